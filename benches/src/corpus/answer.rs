//! Bodies of answers: streams and objects of both APIs, and errors in every accepted place.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How a stream ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Last {
    Completed,
    /// `response.failed` with this error.
    Failed,
    /// An `error` event with this error.
    Error,
    /// `response.incomplete`; the code is the reason.
    Incomplete,
    /// In the middle.
    Nothing,
}

/// A stream of the Responses API.
pub(super) fn stream(pieces: &[String], last: Last, code: Option<&str>, message: &str) -> String {
    let mut stream = String::new();
    let mut push = |kind: &str, fields: Value| {
        let mut data = json!({"type": kind});
        if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
            data.extend(fields);
        }
        let _ = write!(stream, "event: {kind}\ndata: {data}\n\n");
    };
    let response = |status: &str| json!({"id": "resp_1", "object": "response", "status": status, "error": null, "output": []});
    push("response.created", json!({"response": response("in_progress")}));
    for piece in pieces {
        push(
            "response.output_text.delta",
            json!({"item_id": "msg_1", "output_index": 0, "delta": piece}),
        );
    }
    let error = json!({"code": code, "message": message});
    match last {
        Last::Completed => {
            push("response.completed", json!({"response": object(pieces, "completed")}));
        }
        Last::Failed => {
            let mut failed = response("failed");
            failed["error"] = error;
            push("response.failed", json!({"response": failed}));
        }
        Last::Error => push("error", error),
        Last::Incomplete => {
            let mut incomplete = response("incomplete");
            incomplete["incomplete_details"] = json!({"reason": code});
            push("response.incomplete", json!({"response": incomplete}));
        }
        Last::Nothing => {}
    }
    stream
}

/// A stream of Chat Completions, which never repeats its text.
pub(super) fn chat_stream(pieces: &[String]) -> String {
    let mut stream = String::new();
    for piece in pieces {
        let chunk = json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]});
        let _ = write!(stream, "data: {chunk}\n\n");
    }
    stream.push_str("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    stream
}

/// A whole answer of the Responses API.
pub(super) fn object(pieces: &[String], status: &str) -> Value {
    json!({
        "id": "resp_1", "object": "response", "status": status, "error": null,
        "incomplete_details": if status == "incomplete" { json!({"reason": "max_output_tokens"}) } else { Value::Null },
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": pieces.concat()}]}],
        "usage": {"input_tokens": 36, "output_tokens": 20, "total_tokens": 56},
    })
}

/// A whole answer of Chat Completions: its `message` is no error.
pub(super) fn chat(pieces: &[String]) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": pieces.concat()}, "finish_reason": "stop"}]})
}

/// An error body in OpenAI's shape.
pub(super) fn error(code: Option<&str>, kind: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
