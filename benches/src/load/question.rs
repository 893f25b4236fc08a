//! What the load asks: one request of Codex's kind, answered in one of three ways.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde_json::json;

use crate::upstream::{DELAY_HEADER, FAULT_HEADER};

/// Bytes of the prompt.
const PROMPT: usize = 4_096;

/// How the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As one JSON object.
    Whole,
    /// As 200 events, as fast as they are read.
    Stream,
    /// As 200 events with this time between them.
    Paced(Duration),
}

/// A request that can be sent again and again.
#[derive(Clone)]
pub(crate) struct Question {
    body: Bytes,
    token: String,
    host: String,
    delay_ms: Option<u128>,
}

impl Question {
    pub(crate) fn new(kind: Kind, host: String, token: &str) -> Self {
        let prompt = "Why is the sky blue, and who pays for it? ".repeat(100);
        let stream = kind != Kind::Whole;
        let body = json!({ "model": "gpt-5.5", "stream": stream, "input": &prompt[..PROMPT] });
        let delay_ms = match kind {
            Kind::Paced(gap) => Some(gap.as_millis()),
            Kind::Whole | Kind::Stream => None,
        };
        Self { body: body.to_string().into(), token: format!("Bearer {token}"), host, delay_ms }
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::post("/v1/responses")
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, &self.token)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream")
            .header(header::USER_AGENT, "codex_exec/0.169.0 (Debian 12.0.0; x86_64)")
            .header("originator", "codex_exec")
            .header("session-id", "01a200ea-080c-7b3e-9f1c-2d4a5b6c7d8e")
            .header(
                "x-codex-turn-metadata",
                r#"{"turn_id":"01a200ea-0b1f-7c52-8a3e-6f1d2c3b4a59"}"#,
            )
            .header(FAULT_HEADER, "long");
        if let Some(delay_ms) = self.delay_ms {
            request = request.header(DELAY_HEADER, delay_ms.to_string());
        }
        request.body(Full::new(self.body.clone())).expect("a token and an address are plain ASCII")
    }
}
