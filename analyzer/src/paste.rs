//! From what was pasted to the one error in it: colours, marks, wrappers and repetitions off.
//!
//! People paste a line, a wrapped line, a whole run of `codex exec` with its tries, or the events of
//! `codex exec --json`. The last error is the one that the developer is left with.

use std::sync::LazyLock;

use regex::Regex;
use schemas::body::{self, Shape};
use schemas::catalogue::ErrorCode;
use serde_json::Value;

/// The error in a paste.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pasted {
    /// Its words.
    pub(crate) words: String,
    /// The proxy's own error, if a body says so.
    pub(crate) ours: Option<ErrorCode>,
    /// It is the body of an error, as a server sent it.
    pub(crate) is_error_body: bool,
    /// Session that a whole run of Codex names.
    pub(crate) session: Option<String>,
}

struct Marks {
    session: Regex,
    ansi: Regex,
    /// Where an error begins, in `codex exec` and in the terminal user interface.
    error: Regex,
    /// What may stand before the words of an error.
    prefix: Regex,
    /// The words of a try that is not the last one.
    wrapper: Regex,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("tested");
    Marks {
        ansi: regex("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\))"),
        error: regex(r"(?m)^[ \t]*(?:ERROR: |■[ \t]*)"),
        session: regex(r#"(?m)(?:^session id: |"thread_id":\s*")([0-9a-fA-F-]{36})"#),
        prefix: regex(r"(?i)^(?:error: |warning: |error running remote compact task: )+"),
        wrapper: regex(r"(?is)^reconnecting\.{3}\s+\d+/\d+\s+\((.*?)\)?$"),
    }
});

/// Finds the last error in a paste.
pub(crate) fn last_error(text: &str) -> Pasted {
    let text = MARKS.ansi.replace_all(text, "");
    let session = MARKS.session.captures(&text).map(|found| found[1].to_owned());
    let pasted = if let Some(message) = last_event(&text) {
        unwrap(&message)
    } else {
        let begins = MARKS.error.find_iter(&text).last().map_or(0, |mark| mark.end());
        unwrap(&text[begins..])
    };
    Pasted { session, ..pasted }
}

/// Finds the message of the last failed event of `codex exec --json`.
fn last_event(text: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let event: Value = serde_json::from_str(line.trim()).ok()?;
        let message = match event["type"].as_str()? {
            "error" => event["message"].as_str(),
            "turn.failed" => event["error"]["message"].as_str(),
            _ => None,
        };
        message.map(str::to_owned)
    })
}

fn unwrap(text: &str) -> Pasted {
    let text = text.trim();
    let text = MARKS.prefix.find(text).map_or(text, |prefix| &text[prefix.end()..]);
    if let Some(inner) = MARKS.wrapper.captures(text).and_then(|captures| captures.get(1)) {
        return unwrap(inner.as_str());
    }
    let plain = || Pasted { words: text.to_owned(), ..Pasted::default() };
    if Shape::of(text.as_bytes()) != Shape::Json {
        return plain();
    }
    // A body, whatever was pasted after it.
    let Some(Ok(value)) = serde_json::Deserializer::from_str(text).into_iter::<Value>().next()
    else {
        return plain();
    };
    match body::read(value.to_string().as_bytes()).error {
        Some(error) => Pasted {
            ours: error.code.as_deref().and_then(ErrorCode::from_name),
            words: error.message,
            is_error_body: true,
            session: None,
        },
        // Lambda's own bodies are known as they stand.
        None => plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "{\n  \"error\": {\n    \"message\": \"Unsupported value\",\n    \"code\": \"invalid_value\"\n  }\n}";

    #[test]
    fn the_last_error_of_a_whole_run_is_taken() {
        let run = format!(
            "codex v0.169.0\nuser\nhi\nERROR: Reconnecting... 1/5\nERROR: {BODY}\nERROR: {BODY}\ntokens used 3"
        );
        let found = last_error(&run);
        assert_eq!((found.words.as_str(), found.is_error_body), ("Unsupported value", true));
        let tui = "■ first\n\n  ■ We’re currently experiencing\n    high demand";
        assert!(last_error(tui).words.starts_with("We’re"));
    }

    #[test]
    fn the_last_failed_event_of_json_output_is_taken() {
        let events = [
            r#"{"type":"thread.started","thread_id":"x"}"#.to_owned(),
            r#"{"type":"error","message":"Reconnecting... 1/5 (some fault)"}"#.to_owned(),
            serde_json::json!({"type": "turn.failed", "error": {"message": BODY}}).to_string(),
        ];
        assert_eq!(last_error(&events.join("\n")).words, "Unsupported value");
        assert_eq!(last_error(&events[1]).words, "some fault");
        assert_eq!(last_error("Reconnecting... 2/5 (a (b) c)").words, "a (b) c");
    }

    #[test]
    fn the_session_of_a_whole_run_is_read() {
        let id = "01a20399-4e95-7000-8000-000000000000";
        let run = format!("workdir: x\nsession id: {id}\nERROR: high demand");
        assert_eq!(last_error(&run).session.as_deref(), Some(id));
        let event = format!("{{\"type\":\"thread.started\",\"thread_id\":\"{id}\"}}");
        assert_eq!(last_error(&event).session.as_deref(), Some(id));
        assert_eq!(last_error("high demand").session, None);
    }

    #[test]
    fn our_own_body_is_ours() {
        let body =
            r#"ERROR: {"error":{"message":"malformed request","code":"proxy_malformed_request"}}"#;
        assert_eq!(last_error(body).ours, Some(ErrorCode::MalformedRequest));
    }
}
