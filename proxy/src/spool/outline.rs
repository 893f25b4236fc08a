//! Stands in for the body where `LOG_BODY=none`: what tells the outcome, without the words.
//!
//! It is written in the same shapes as a real body, so that a replay reads it like one.

use schemas::body::{self, BodyError, Shape, Terminal};
use serde_json::{Value, json};

/// The outline of a body that has not said more than what it is.
pub(super) fn of_shape(is_stream: bool) -> &'static [u8] {
    if is_stream { b":\n\n" } else { b"" }
}

/// The event that ended a stream.
pub(super) fn of_terminal(terminal: &Terminal) -> String {
    let (name, data) = match terminal {
        Terminal::Completed => ("response.completed", json!({"type": "response.completed"})),
        Terminal::Failed(error) => {
            let response = json!({"error": of_error(error)});
            ("response.failed", json!({"type": "response.failed", "response": response}))
        }
        Terminal::Incomplete(reason) => {
            let response = json!({"incomplete_details": {"reason": reason}});
            ("response.incomplete", json!({"type": "response.incomplete", "response": response}))
        }
        Terminal::ErrorEvent(error) => {
            ("error", json!({"type": "error", "error": of_error(error)}))
        }
    };
    format!("event: {name}\ndata: {data}\n\n")
}

/// A whole body that is no stream.
pub(super) fn of_whole(stored: &[u8], status: u16) -> Vec<u8> {
    let shape = Shape::of(stored);
    if status >= 400 && shape != Shape::Empty && shape != Shape::Html {
        return json!({"error": of_error(&body::read_failure(stored))}).to_string().into_bytes();
    }
    match shape {
        Shape::Empty | Shape::Events => Vec::new(),
        Shape::Html => b"<html>".to_vec(),
        Shape::Text => b"text".to_vec(),
        Shape::Json if serde_json::from_slice::<serde::de::IgnoredAny>(stored).is_err() => {
            b"{".to_vec()
        }
        Shape::Json => {
            let said = body::read(stored);
            let value = match (said.error, said.terminal) {
                (Some(error), _) => json!({"error": of_error(&error)}),
                (None, Some(Terminal::Incomplete(reason))) => {
                    json!({"status": "incomplete", "incomplete_details": {"reason": reason}})
                }
                (None, _) => json!({}),
            };
            value.to_string().into_bytes()
        }
    }
}

fn of_error(error: &BodyError) -> Value {
    json!({"code": error.code, "type": error.kind, "message": error.message})
}

#[cfg(test)]
mod tests {
    use schemas::body::EventReader;

    use super::*;

    #[test]
    fn an_outline_says_what_the_body_says() {
        let error = BodyError {
            code: Some("server_error".to_owned()),
            kind: Some("kind".to_owned()),
            message: "words".to_owned(),
        };
        for terminal in [
            Terminal::Completed,
            Terminal::Failed(error.clone()),
            Terminal::Incomplete("max_output_tokens".to_owned()),
            Terminal::ErrorEvent(error),
        ] {
            let mut reader = EventReader::default();
            reader.push(of_shape(true));
            reader.push(of_terminal(&terminal).as_bytes());
            assert_eq!(reader.finish().0, Some(terminal));
        }
        for body in [
            r#"{"id":"r","output":"words","error":null}"#,
            r#"{"error":{"message":"m","code":"c"}}"#,
            r#"{"status":"incomplete","incomplete_details":{"reason":"r"},"output":"words"}"#,
            "",
        ] {
            let outline = of_whole(body.as_bytes(), 200);
            assert_eq!(body::read(&outline), body::read(body.as_bytes()), "{body}");
            assert!(!String::from_utf8_lossy(&outline).contains("words"));
        }
        assert_eq!(Shape::of(&of_whole(b"<html><p>words", 502)), Shape::Html);
    }
}
