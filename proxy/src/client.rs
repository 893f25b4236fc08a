//! What a client says about itself: the headers that join its tries, sessions and versions.
//!
//! Both spellings of the correlation headers are read (`session-id` since Codex 0.149, `session_id`
//! and `conversation_id` before). Values are the client's own words: they are cut at 512 bytes, and
//! control characters are escaped, before they reach a log or a terminal.

use std::net::IpAddr;

use http::{HeaderMap, header};
use schemas::record::Client;

/// Bytes of a value that are kept.
const VALUE_LIMIT: usize = 512;

/// Reads what the client says about itself.
#[must_use]
pub fn read(headers: &HeaderMap, ip: Option<IpAddr>) -> Client {
    let user_agent = value(headers, header::USER_AGENT.as_str());
    let version = value(headers, "version").or_else(|| version_of(user_agent.as_deref()?));
    let session = ["session-id", "session_id", "conversation_id"];
    Client {
        ip: ip.map(|ip| ip.to_string()),
        originator: value(headers, "originator"),
        version,
        session_id: session.iter().find_map(|name| value(headers, name)),
        turn_id: turn_id(headers),
        user_agent,
    }
}

/// Reads one header, made harmless; `None` when it is missing or empty.
#[must_use]
pub fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let bytes = headers.get(name)?.as_bytes();
    (!bytes.is_empty()).then(|| harmless(&String::from_utf8_lossy(bytes)))
}

/// Escapes control characters and cuts at the limit, at a character's border.
#[must_use]
pub fn harmless(text: &str) -> String {
    if text.len() <= VALUE_LIMIT && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        let before = kept.len();
        if character.is_control() {
            kept.extend(character.escape_default());
        } else {
            kept.push(character);
        }
        if kept.len() > VALUE_LIMIT {
            kept.truncate(before);
            break;
        }
    }
    kept
}

/// Reads `turn_id` from the JSON in `x-codex-turn-metadata`.
fn turn_id(headers: &HeaderMap) -> Option<String> {
    let metadata = headers.get("x-codex-turn-metadata")?.as_bytes();
    let metadata: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    metadata["turn_id"].as_str().map(harmless)
}

/// Reads the version from a user agent such as `codex_exec/0.169.0 (Debian 12.0.0; x86_64)`.
fn version_of(user_agent: &str) -> Option<String> {
    let (name, rest) = user_agent.split_once('/')?;
    let version = rest.split_whitespace().next()?;
    name.starts_with("codex").then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn both_spellings_of_the_correlation_headers_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert("session_id", HeaderValue::from_static("s-1"));
        headers.insert("user-agent", HeaderValue::from_static("codex_exec/0.169.0 (Debian)"));
        let turn = r#"{"turn_id":"t-1","x":"é"}"#;
        headers
            .insert("x-codex-turn-metadata", HeaderValue::from_bytes(turn.as_bytes()).expect("ok"));
        let client = read(&headers, None);
        assert_eq!(client.session_id.as_deref(), Some("s-1"));
        assert_eq!(client.turn_id.as_deref(), Some("t-1"));
        assert_eq!(client.version.as_deref(), Some("0.169.0"));
        headers.insert("session-id", HeaderValue::from_static("s-2"));
        assert_eq!(read(&headers, None).session_id.as_deref(), Some("s-2"));
    }

    #[test]
    fn a_value_is_cut_and_its_control_characters_are_escaped() {
        assert_eq!(harmless("a\u{1b}[31m\tb"), "a\\u{1b}[31m\\tb");
        assert_eq!(harmless(&"é".repeat(400)).len(), VALUE_LIMIT);
    }
}
