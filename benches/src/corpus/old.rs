//! Records from before version 1: little more than a body, and errors in every accepted place.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schemas::catalogue::CATALOGUE;
use schemas::origin::Origin;
use serde_json::{Value, json};

use super::truth::Failure;
use super::{answer, prose, record};
use crate::upstream::SplitMix;

/// An old record, and what is true of it.
pub(super) struct OldDraft {
    pub(super) at: Timestamp,
    /// Stem for the name of its object.
    pub(super) name: String,
    pub(super) json: String,
    /// The record says when it was.
    pub(super) tells_time: bool,
    pub(super) failure: Option<Failure>,
    pub(super) words: String,
}

/// Messages that are no whole message of the proxy's, and their codes.
const OTHER_MESSAGES: [(&str, Option<&str>); 10] = [
    ("upstream said:\n  temporary\n\terrors", None),
    ("An internal error occurred. Please retry.", Some("server_error")),
    ("Internal error", None),
    ("the upstream request failed", None),
    ("token lookup failed!", Some("server_error")),
    ("invalid or disabled token: sk-x", Some("invalid_api_key")),
    ("You sent a missing or invalid Authorization header", None),
    ("Rate limit reached for gpt-5.5 in organization org-x", Some("rate_limit_exceeded")),
    ("The engine is overloaded, which may cause temporary errors.", Some("server_error")),
    ("The server had an error while processing your request.", Some("server_error")),
];

/// How many accepted places there are for an error.
const PLACES: usize = 6;

/// Makes an old record.
pub(super) fn record(random: &mut SplitMix, at: Timestamp, number: usize) -> OldDraft {
    let is_failure = random.below(5) < 2;
    let (body, is_stream, failure, words) =
        if is_failure { failed(random) } else { succeeded(random) };
    let mut fields = serde_json::Map::new();
    let name = match random.below(4) {
        0 => format!("{number:06}"),
        _ => record::exchange_id(random, at).to_string().replace("cpx_", ""),
    };
    if name.len() > 6 {
        fields.insert("request_id".to_owned(), json!(name));
    }
    let tells_time = random.below(4) > 0;
    if tells_time {
        fields.insert("timestamp".to_owned(), time(random, at));
    }
    if random.below(2) == 0 {
        fields.insert("user".to_owned(), json!(format!("dev-{:02}", random.below(24))));
    }
    let status = failure.as_ref().and_then(|failure| failure.status);
    let status = status.or((!is_failure && random.below(3) == 0).then_some(200));
    if let Some(status) = status {
        fields.insert("status".to_owned(), json!(status));
    }
    let as_object: Option<Value> = serde_json::from_str(&body).ok().filter(Value::is_object);
    let body = match (random.below(4), as_object) {
        (0 | 1, Some(object)) => object,
        (2, _) if is_stream || random.below(3) == 0 => {
            fields.insert("response_encoding".to_owned(), json!("base64"));
            json!(STANDARD.encode(&body))
        }
        _ => json!(body),
    };
    // In the order of the names: not the last field.
    fields.insert("response_body".to_owned(), body);
    let plain = Value::Object(fields);
    let json = match random.below(5) {
        0 => escaped(&plain.to_string(), |c| !c.is_ascii()),
        1 => escaped(&plain.to_string(), |c| !c.is_ascii() || "'<>&".contains(c)),
        // Legal, and seen from writers that escape whatever they like.
        2 => escaped(&plain.to_string(), |c| c == 'o'),
        3 => serde_json::to_string_pretty(&plain).expect("plain data is always JSON"),
        _ => plain.to_string(),
    };
    OldDraft { at, name, json, tells_time, failure, words }
}

type Answer = (String, bool, Option<Failure>, String);

fn failed(random: &mut SplitMix) -> Answer {
    let (message, code, origin) = if random.below(2) == 0 {
        let entry = &CATALOGUE[random.below(5)];
        (entry.message, Some(entry.name), Origin::Proxy)
    } else {
        let (message, code) = OTHER_MESSAGES[random.below(OTHER_MESSAGES.len())];
        (message, code, Origin::Openai)
    };
    let place = random.below(PLACES);
    let pieces = vec![prose::quote(random)];
    let body = match place {
        0 => answer::error(code, Some("x"), message).to_string(),
        1 => json!({"error": message}).to_string(),
        2 => json!({"message": message}).to_string(),
        3 => format!("\n {message}\r\n"),
        4 => answer::stream(&pieces, answer::Last::Error, code, message),
        _ => answer::stream(&pieces, answer::Last::Failed, code, message),
    };
    let is_stream = place > 3;
    let status = match (is_stream, random.below(3)) {
        (_, 0) => None,
        (true, _) => Some(200),
        (false, _) => Some([401, 429, 500, 500, 503][random.below(5)]),
    };
    // The code stands in the body only where there is a place for it.
    let code = if [1, 2, 3].contains(&place) { None } else { code };
    let failure =
        Failure { origin, code: code.unwrap_or_default().to_owned(), status, endless: place == 4 };
    (body, is_stream, Some(failure), message.to_owned())
}

fn succeeded(random: &mut SplitMix) -> Answer {
    let mut pieces = prose::pieces(random, 500);
    if random.below(3) == 0 {
        pieces.push(prose::quote(random));
    }
    let (body, is_stream) = match random.below(6) {
        // A list has no place for an error.
        5 => (json!([pieces.concat(), "internal error"]).to_string(), false),
        0 => (answer::object(&pieces, "completed").to_string(), false),
        1 => (answer::chat(&pieces).to_string(), false),
        2 => (
            json!({"object": "list", "data": [{"id": "gpt-5.5", "note": pieces.concat()}]})
                .to_string(),
            false,
        ),
        3 => (answer::chat_stream(&pieces), true),
        _ => (answer::stream(&pieces, answer::Last::Completed, None, ""), true),
    };
    let words =
        if body.starts_with('[') { pieces.concat() + " internal error" } else { pieces.concat() };
    (body, is_stream, None, words)
}

/// RFC 3339 in two precisions, or a number.
fn time(random: &mut SplitMix, at: Timestamp) -> Value {
    match random.below(3) {
        0 => json!(format!("{at:.6}")),
        1 => json!(at.as_millisecond()),
        _ => json!(format!("{at:.3}").replace('Z', "+00:00")),
    }
}

/// Escapes characters of a JSON text that need no escape; of those chosen none may stand outside
/// its strings.
fn escaped(json: &str, choose: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if choose(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}
