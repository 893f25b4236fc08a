//! A story in the words of Chat Completions: as chunks, or as one object.
//!
//! A failure that the Responses API tells in an event is here a chunk with `error` in it, after
//! which no `[DONE]` comes.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    fault::{ErrorShape, Last},
    story::{CREATED_AT, Story, compact, pretty},
    tokens::TOKENS,
};

/// Returns the chunks of a streamed answer, one piece each.
pub(crate) fn chunks(story: &Story, usage_chunk: bool) -> Vec<Bytes> {
    let chunk = |choices: Value, usage: Value| {
        let reply = Reply::new(story, "chat.completion.chunk", choices);
        // With the usage asked for, every chunk has the field and the last one has the counts.
        data(&Reply { usage: usage_chunk.then_some(usage), ..reply })
    };
    let choice = |delta: Value, finish_reason: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);

    let opening = json!({ "role": "assistant", "content": "", "refusal": null });
    let mut pieces = vec![chunk(choice(opening, None), Value::Null)];
    for word in story.deltas() {
        pieces.push(chunk(choice(json!({ "content": word }), None), Value::Null));
    }
    match story.last {
        Last::Completed | Last::Incomplete { .. } => {
            pieces.push(chunk(choice(json!({}), finish_reason(story.last)), Value::Null));
            if usage_chunk {
                pieces.push(chunk(json!([]), TOKENS.in_chat()));
            }
            pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        Last::Failed { code, message } => {
            pieces.push(data(&error(code, &story.message(message))));
        }
        Last::Error(ErrorShape::Flat | ErrorShape::Nested) => {
            pieces.push(data(&error("server_error", "The model is overloaded.")));
        }
        Last::Nothing => {}
    }
    pieces
}

/// Returns an answer that is not streamed, or `None` for an end that such an answer cannot tell.
pub(crate) fn object(story: &Story) -> Option<String> {
    let finish_reason = finish_reason(story.last)?;
    let message = json!({
        "role": "assistant",
        "content": story.text,
        "refusal": null,
        "annotations": [],
    });
    let choices = json!([{
        "index": 0,
        "message": message,
        "logprobs": null,
        "finish_reason": finish_reason,
    }]);
    let reply = Reply::new(story, "chat.completion", choices);
    Some(pretty(&Reply { usage: Some(TOKENS.in_chat()), ..reply }))
}

#[derive(Serialize)]
struct Reply<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    service_tier: &'static str,
    system_fingerprint: Option<&'static str>,
}

impl<'a> Reply<'a> {
    fn new(story: &Story<'a>, object: &'static str, choices: Value) -> Self {
        Self {
            id: format!("chatcmpl-{}", story.id),
            object,
            created: CREATED_AT,
            model: story.model,
            choices,
            usage: None,
            service_tier: "default",
            system_fingerprint: None,
        }
    }
}

/// Returns why the model stopped, or `None` when it did not come so far.
fn finish_reason(last: Last) -> Option<&'static str> {
    match last {
        Last::Completed => Some("stop"),
        Last::Incomplete { reason: "content_filter" } => Some("content_filter"),
        Last::Incomplete { .. } => Some("length"),
        Last::Failed { .. } | Last::Error(_) | Last::Nothing => None,
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": code, "param": null, "code": code } })
}

fn data(value: &impl Serialize) -> Bytes {
    format!("data: {}\n\n", compact(value)).into()
}
