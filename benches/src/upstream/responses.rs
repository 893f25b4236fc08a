//! A story in the words of the Responses API: as server-sent events, or as one object.
//!
//! The order of the events and of their leading fields is OpenAI's. `event:` repeats the `type` that
//! stands in the data.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    fault::{ErrorShape, Last},
    story::{CREATED_AT, Story, compact, pretty},
    tokens::TOKENS,
};

/// Returns the events of a streamed answer, one piece each.
pub(crate) fn events(story: &Story) -> Vec<Bytes> {
    let mut stream = EventStream::default();
    let item_id = format!("msg_{}", story.id);
    let words = story.deltas();
    let text = words.concat();

    stream.response("response.created", &Reply::in_progress(story));
    stream.response("response.in_progress", &Reply::in_progress(story));
    stream.item("response.output_item.added", &message(&item_id, "in_progress", None));
    stream.part(&item_id, "response.content_part.added", &json!({ "part": text_part("") }));
    for word in &words {
        let delta = json!({ "delta": word, "logprobs": [] });
        stream.part(&item_id, "response.output_text.delta", &delta);
    }

    let terminal = Reply::of(story);
    if terminal.has_output() {
        let done = json!({ "text": text, "logprobs": [] });
        stream.part(&item_id, "response.output_text.done", &done);
        stream.part(&item_id, "response.content_part.done", &json!({ "part": text_part(&text) }));
        stream.item("response.output_item.done", &message(&item_id, terminal.status, Some(&text)));
    }
    match story.last {
        Last::Completed => stream.response("response.completed", &terminal),
        Last::Failed { .. } => stream.response("response.failed", &terminal),
        Last::Incomplete { .. } => stream.response("response.incomplete", &terminal),
        Last::Error(shape) => stream.error(shape),
        Last::Nothing => {}
    }
    stream.pieces
}

/// Returns an answer that is not streamed, or `None` for an end that such an answer cannot tell.
///
/// A failure stands in its `status` and `error`.
pub(crate) fn object(story: &Story) -> Option<String> {
    match story.last {
        Last::Completed | Last::Incomplete { .. } | Last::Failed { .. } => {
            Some(pretty(&Reply::of(story)))
        }
        Last::Error(_) | Last::Nothing => None,
    }
}

#[derive(Default)]
struct EventStream {
    pieces: Vec<Bytes>,
}

impl EventStream {
    fn push(&mut self, kind: &str, rest: &impl Serialize) {
        let event = Event { kind, sequence_number: self.pieces.len(), rest };
        self.pieces.push(format!("event: {kind}\ndata: {}\n\n", compact(&event)).into());
    }

    fn response(&mut self, kind: &str, response: &Reply) {
        #[derive(Serialize)]
        struct Rest<'a> {
            response: &'a Reply<'a>,
        }
        self.push(kind, &Rest { response });
    }

    fn item(&mut self, kind: &str, item: &Value) {
        #[derive(Serialize)]
        struct Rest<'a> {
            output_index: u8,
            item: &'a Value,
        }
        self.push(kind, &Rest { output_index: 0, item });
    }

    fn part(&mut self, item_id: &str, kind: &str, fields: &Value) {
        #[derive(Serialize)]
        struct Rest<'a> {
            item_id: &'a str,
            output_index: u8,
            content_index: u8,
            #[serde(flatten)]
            fields: &'a Value,
        }
        self.push(kind, &Rest { item_id, output_index: 0, content_index: 0, fields });
    }

    /// An `error` event bears its sequence number last.
    fn error(&mut self, shape: ErrorShape) {
        let number = self.pieces.len();
        let fields = r#""code":"server_error","message":"The model is overloaded.","param":null"#;
        let data = match shape {
            ErrorShape::Flat => {
                format!(r#"{{"type":"error",{fields},"sequence_number":{number}}}"#)
            }
            ErrorShape::Nested => format!(
                r#"{{"type":"error","error":{{"type":"server_error",{fields}}},"sequence_number":{number}}}"#
            ),
        };
        self.pieces.push(format!("event: error\ndata: {data}\n\n").into());
    }
}

#[derive(Serialize)]
struct Event<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: usize,
    #[serde(flatten)]
    rest: &'a T,
}

/// The `response` object. The settings that a real one echoes are the API's defaults.
#[derive(Serialize)]
struct Reply<'a> {
    id: String,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    background: bool,
    error: Value,
    incomplete_details: Value,
    instructions: Value,
    max_output_tokens: Value,
    model: &'a str,
    output: Vec<Value>,
    #[serde(flatten)]
    settings: Value,
    usage: Value,
}

impl<'a> Reply<'a> {
    fn in_progress(story: &Story<'a>) -> Self {
        Self {
            id: format!("resp_{}", story.id),
            object: "response",
            created_at: CREATED_AT,
            status: "in_progress",
            background: false,
            error: Value::Null,
            incomplete_details: Value::Null,
            instructions: Value::Null,
            max_output_tokens: Value::Null,
            model: story.model,
            output: Vec::new(),
            settings: settings(),
            usage: Value::Null,
        }
    }

    /// The object at the end of the story; without a last word it stays in progress.
    fn of(story: &Story<'a>) -> Self {
        let begun = Self::in_progress(story);
        match story.last {
            Last::Completed => begun.with_output(story, "completed"),
            Last::Incomplete { reason } => Self {
                incomplete_details: json!({ "reason": reason }),
                ..begun.with_output(story, "incomplete")
            },
            Last::Failed { code, message } => Self {
                status: "failed",
                error: json!({ "code": code, "message": story.message(message) }),
                ..begun
            },
            Last::Error(_) | Last::Nothing => begun,
        }
    }

    fn with_output(self, story: &Story, status: &'static str) -> Self {
        let item_id = format!("msg_{}", story.id);
        let output = vec![message(&item_id, status, Some(story.text))];
        Self { status, output, usage: TOKENS.in_responses(), ..self }
    }

    fn has_output(&self) -> bool {
        !self.output.is_empty()
    }
}

fn message(id: &str, status: &str, text: Option<&str>) -> Value {
    let content: Vec<_> = text.map(text_part).into_iter().collect();
    json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
}

fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

fn settings() -> Value {
    json!({
        "max_tool_calls": null,
        "metadata": {},
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "reasoning": { "effort": "medium", "summary": null },
        "safety_identifier": null,
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": { "format": { "type": "text" }, "verbosity": "medium" },
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": null,
    })
}
