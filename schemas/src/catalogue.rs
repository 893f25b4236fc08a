//! The error catalogue: every answer that the proxy makes by itself, one row each.
//!
//! The messages are fixed: [`ErrorCode::from_message`] recognises the five oldest ones in logs that
//! say nothing else about their origin. No code is one that Codex CLI interprets, and no status is
//! 500, because Codex hides the body of every 500 behind its own "high demand" sentence.

use crate::origin::{Acts, Origin};

/// The name of an answer that the proxy makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No usable bearer token came with the request.
    MissingAuthorization,
    /// The token is unknown or disabled.
    InvalidToken,
    /// The token store did not answer.
    TokenLookupFailed,
    /// OpenAI could not be reached, or sent no response headers.
    UpstreamFailed,
    /// A fault of the proxy or of its settings.
    Internal,
    /// A WebSocket upgrade, which the proxy does not serve.
    UpgradeRequired,
    /// The request body is over the limit.
    RequestTooLarge,
    /// The request target is not one that may be forwarded.
    MalformedRequest,
    /// A path that the proxy does not serve.
    NotFound,
}

/// One row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The row's key.
    pub code: ErrorCode,
    /// `error.code` in the answer and in the record.
    pub name: &'static str,
    /// HTTP status of the answer.
    pub status: u16,
    /// `error.message`, word for word.
    pub message: &'static str,
    /// Seconds in `Retry-After`, where trying again can help.
    pub retry_after_s: Option<u32>,
    /// Error type in `Proxy-Status` (RFC 9209, section 2.3), unless a more precise one is known.
    pub proxy_status: &'static str,
    /// `error.origin` in the record.
    pub origin: Origin,
    /// Who has to do something.
    pub acts: Acts,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// What to do about it, one sentence.
    pub next_step: &'static str,
}

/// The catalogue, in the order of [`ErrorCode`].
pub const CATALOGUE: [Entry; 9] = [
    Entry {
        code: ErrorCode::MissingAuthorization,
        name: "proxy_missing_authorization",
        status: 401,
        message: "missing or invalid Authorization header",
        retry_after_s: None,
        proxy_status: "http_request_denied",
        origin: Origin::Proxy,
        acts: Acts::Developer,
        meaning: "the request carried no usable `Authorization: Bearer` header",
        next_step: "set OPENAI_API_KEY to the proxy token: no quotes, no line end; open a new terminal",
    },
    Entry {
        code: ErrorCode::InvalidToken,
        name: "proxy_invalid_token",
        status: 401,
        message: "invalid or disabled token",
        retry_after_s: None,
        proxy_status: "http_request_denied",
        origin: Origin::Proxy,
        acts: Acts::Developer,
        meaning: "the token is unknown to the proxy, or was disabled",
        next_step: "check it: codex-proxy token check; after a rotation: codex app-server daemon restart",
    },
    Entry {
        code: ErrorCode::TokenLookupFailed,
        name: "proxy_token_lookup_failed",
        status: 503,
        message: "token lookup failed",
        retry_after_s: Some(2),
        proxy_status: "proxy_internal_error",
        origin: Origin::Proxy,
        acts: Acts::Us,
        meaning: "the proxy could not read its token store",
        next_step: "look at the token store and the proxy's right to read it",
    },
    Entry {
        code: ErrorCode::UpstreamFailed,
        name: "proxy_upstream_failed",
        status: 502,
        message: "upstream request failed",
        retry_after_s: None,
        proxy_status: "destination_unavailable",
        origin: Origin::Network,
        acts: Acts::Us,
        meaning: "no response headers came from OpenAI: refused, DNS, TLS, reset or time-out (then 504)",
        next_step: "check DNS, egress and `--upstream` from where the proxy runs; `error.detail` names the failure",
    },
    Entry {
        code: ErrorCode::Internal,
        name: "proxy_internal",
        status: 503,
        message: "internal error",
        retry_after_s: Some(2),
        proxy_status: "proxy_internal_error",
        origin: Origin::Proxy,
        acts: Acts::Us,
        meaning: "the proxy itself failed, or one of its settings is missing or wrong",
        next_step: "read the proxy's stderr: it names the fault or the setting",
    },
    Entry {
        code: ErrorCode::UpgradeRequired,
        name: "proxy_upgrade_required",
        status: 426,
        message: "WebSocket is not served here, use HTTP",
        retry_after_s: None,
        proxy_status: "http_protocol_error",
        origin: Origin::Proxy,
        acts: Acts::Nobody,
        meaning: "the client tried a WebSocket; Codex falls back to HTTP at once and silently",
        next_step: "nothing; to save the attempt leave `supports_websockets` off in config.toml",
    },
    Entry {
        code: ErrorCode::RequestTooLarge,
        name: "proxy_request_too_large",
        status: 413,
        message: "request body is larger than the proxy's limit",
        retry_after_s: None,
        proxy_status: "http_request_error",
        origin: Origin::Proxy,
        acts: Acts::Developer,
        meaning: "the request body is over the limit (64 MiB)",
        next_step: "start a new thread, or drop images from this one",
    },
    Entry {
        code: ErrorCode::MalformedRequest,
        name: "proxy_malformed_request",
        status: 400,
        message: "malformed request",
        retry_after_s: None,
        proxy_status: "http_request_error",
        origin: Origin::Proxy,
        acts: Acts::Developer,
        meaning: "the request target has dot segments or a backslash, or is in absolute form, or the body is broken HTTP",
        next_step: "send a plain path such as /v1/responses",
    },
    Entry {
        code: ErrorCode::NotFound,
        name: "proxy_not_found",
        status: 404,
        message: "nothing is served at this path, use /v1",
        retry_after_s: None,
        proxy_status: "http_request_error",
        origin: Origin::Proxy,
        acts: Acts::Developer,
        meaning: "the root path was asked for, which stands for nothing at OpenAI",
        next_step: "base_url must end in /v1",
    },
];

const _: () = {
    let mut index = 0;
    while index < CATALOGUE.len() {
        assert!(CATALOGUE[index].code as usize == index, "rows stand in the order of ErrorCode");
        assert!(CATALOGUE[index].status != 500, "Codex hides the body of every 500");
        index += 1;
    }
};

/// How many rows, from the first, belong to the five messages that were there from the start and
/// that tell the origin of an old record.
const FROM_THE_START: usize = 5;

impl ErrorCode {
    /// Returns the code's row.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        &CATALOGUE[self as usize]
    }

    /// Finds the code by its name in records; `None` for a code that is not the proxy's.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        CATALOGUE.iter().find(|entry| entry.name == name).map(|entry| entry.code)
    }

    /// Finds the code whose fixed message is exactly `message`; only the five messages that old
    /// records can hold. `None` for anything longer, shorter or other.
    #[must_use]
    pub fn from_message(message: &str) -> Option<Self> {
        let known = &CATALOGUE[..FROM_THE_START];
        known.iter().find(|entry| entry.message == message).map(|entry| entry.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes that Codex CLI acts upon; the proxy must never answer with one of them.
    const INTERPRETED_BY_CODEX: [&str; 8] = [
        "context_length_exceeded",
        "cyber_policy",
        "insufficient_quota",
        "invalid_prompt",
        "model_not_found",
        "server_is_overloaded",
        "slow_down",
        "usage_limit_reached",
    ];

    #[test]
    fn no_code_is_one_that_codex_interprets() {
        for entry in &CATALOGUE {
            assert!(entry.name.starts_with("proxy_"), "{}", entry.name);
            assert!(!INTERPRETED_BY_CODEX.contains(&entry.name), "{}", entry.name);
        }
    }

    #[test]
    fn a_message_is_recognised_only_whole() {
        assert_eq!(ErrorCode::from_message("internal error"), Some(ErrorCode::Internal));
        assert_eq!(ErrorCode::from_message("an internal error"), None);
        assert_eq!(ErrorCode::from_message("Internal error"), None);
        assert_eq!(ErrorCode::from_message("malformed request"), None, "not one of the five");
    }
}
