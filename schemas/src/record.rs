//! The log record, version 1: one JSON object per exchange.
//!
//! Field names and their order are a public contract. The small fields come first and
//! `response_body` last, so that the first few KB of an object say everything but the body.
//! [`crate::view`] reads records of any age; this type is the strict one, which the proxy writes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::origin::{AnsweredBy, Ending, Origin};

/// The version that this crate writes.
pub const SCHEMA_VERSION: u32 = 1;

/// One exchange, as the proxy logs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogRecord {
    /// Always 1.
    pub schema_version: u32,
    /// `cpx_` and 32 hex digits of a UUIDv7; sent to the client as `x-codex-proxy-exchange-id`.
    #[schemars(regex(pattern = r"^cpx_[0-9a-f]{32}$"))]
    pub exchange_id: String,
    /// Joins with CloudWatch Logs; null outside Lambda.
    pub lambda_request_id: Option<String>,
    /// Which proxy wrote this.
    pub proxy: ProxyIdentity,
    /// When the request arrived: RFC 3339, UTC, milliseconds.
    #[serde(with = "milliseconds")]
    #[schemars(regex(pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"))]
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// Who wrote the answer that the client got.
    pub origin: AnsweredBy,
    /// What failed; null for a success.
    pub error: Option<LoggedError>,
    /// How the exchange ended.
    pub ending: Ending,
    /// Status sent to the client; 499 when it left before any was sent.
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// What OpenAI answered; null when it never did.
    pub upstream: Option<Upstream>,
    /// HTTP method.
    pub method: String,
    /// Path as forwarded, without the query.
    pub path: String,
    /// Request target as it arrived, with the query.
    pub received_path: String,
    /// First 16 hex digits of SHA-256 of the presented token; never the token.
    #[schemars(regex(pattern = r"^[0-9a-f]{16}$"))]
    pub token_id: Option<String>,
    /// Owner of the token, also of a disabled one.
    pub developer: Option<String>,
    /// What the client says about itself.
    pub client: Client,
    /// Model that the request asks for; null when the request body could not be read.
    pub model: Option<String>,
    /// Whether the request asks for a stream; null when the request body could not be read.
    pub stream: Option<bool>,
    /// Arrival of the request to the end of the exchange, in milliseconds.
    pub duration_ms: f64,
    /// Arrival of the request to the response headers, in milliseconds; null when none were sent.
    pub ttfb_ms: Option<f64>,
    /// Time spent on checking the token, in milliseconds.
    pub auth_ms: f64,
    /// Forwarding to OpenAI's response headers, in milliseconds; null when none came.
    pub upstream_ttfb_ms: Option<f64>,
    /// Bytes of the request body on the wire.
    pub request_bytes: u64,
    /// Bytes of the response body on the wire, also of what was not stored.
    pub response_bytes: u64,
    /// Tokens used; null when the answer did not say.
    pub usage: Option<Usage>,
    /// `content-type` of the answer.
    pub response_content_type: Option<String>,
    /// How `response_body` is written.
    pub response_encoding: Encoding,
    /// The OpenAI key or the presented token occurred in something stored and is masked here.
    pub redacted: bool,
    /// `response_body` was cut at the body cap; `response_bytes` is still the true size.
    pub response_truncated: bool,
    /// The empty body of the answer got one newline, which Lambda needs to end it; that newline is
    /// neither in `response_body` nor in `response_bytes`.
    #[serde(default)]
    pub padded: bool,
    /// Off by default.
    pub request_body: Option<String>,
    /// The response body as the client got it; empty where `LOG_BODY` leaves it out.
    pub response_body: String,
}

/// Which proxy wrote a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyIdentity {
    /// Version of the proxy.
    pub version: String,
    /// AWS region, if any.
    pub region: Option<String>,
    /// Lambda function, if any.
    pub function: Option<String>,
}

/// What failed in an exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedError {
    /// The layer that produced the failure.
    pub origin: Origin,
    /// OpenAI's code (else its type), or ours from the catalogue.
    pub code: String,
    /// `error.type` of the answer, if it had one.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The words of the answer, at most 2,000 characters.
    pub message: String,
    /// RFC 9209 name of a network failure, or the event that carried an error in a stream.
    pub detail: Option<String>,
}

/// What OpenAI answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// Host and port that the request went to.
    pub host: String,
    /// Status of its answer.
    pub status: u16,
    /// `x-request-id` (else `x-oai-request-id`).
    pub request_id: Option<String>,
    /// `openai-processing-ms`.
    pub processing_ms: Option<f64>,
    /// `cf-ray`.
    pub cf_ray: Option<String>,
    /// `x-ratelimit-*`, without that prefix.
    pub ratelimit: BTreeMap<String, String>,
}

/// What the client says about itself; each value at most 512 bytes, control characters escaped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    /// Address that the request came from.
    pub ip: Option<String>,
    /// `user-agent`.
    pub user_agent: Option<String>,
    /// `originator`.
    pub originator: Option<String>,
    /// Version, from the user agent or the `version` header.
    pub version: Option<String>,
    /// `session-id`, in either spelling.
    pub session_id: Option<String>,
    /// `turn_id` of `x-codex-turn-metadata`: all tries of one turn carry the same.
    pub turn_id: Option<String>,
}

/// Tokens used by an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Those of them that came from the cache.
    pub cached_input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Those of them spent on reasoning.
    pub reasoning_tokens: Option<u64>,
    /// All of them.
    pub total_tokens: Option<u64>,
}

/// How a body is written into the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As text.
    Utf8,
    /// As base64, because it is not UTF-8.
    Base64,
}

impl LogRecord {
    /// Renders the record as JSON and says how many of the first bytes stand before the body.
    ///
    /// # Errors
    ///
    /// Only when a number is not finite, which `serde_json` refuses.
    pub fn to_json(&self) -> Result<(Vec<u8>, usize), serde_json::Error> {
        // What stands around the body has 1 to 2 KB; a body grows by what has to be escaped in it.
        let mut json = Vec::with_capacity(2_048 + self.response_body.len() * 9 / 8);
        serde_json::to_writer(&mut json, self)?;
        // Inside a value every quote is escaped, so these bytes can only be the key itself.
        let key = memmem::find(&json, b",\"response_body\":");
        let head = key.map_or(json.len(), |at| at + b",\"response_body\":".len());
        Ok((json, head))
    }
}

/// RFC 3339 with exactly three digits of a second.
pub(crate) mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{time:.3}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(from)
    }
}
