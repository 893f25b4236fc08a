//! What a request asks for.
//!
//! Method, path, headers and body come in; [`Asked`] goes out, with defaults for all that is
//! missing. A body that is no JSON is remembered as such: OpenAI answers it with 400.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header::AUTHORIZATION, request::Parts};
use serde_json::Value;

/// The request header that chooses a fault by its name; it goes before a model `fault-NAME`.
pub const FAULT_HEADER: &str = "x-fake-fault";
/// The request header with the delay in milliseconds, for the faults that wait.
pub const DELAY_HEADER: &str = "x-fake-delay-ms";
/// The request header with the seed, for the fault `random`.
pub const SEED_HEADER: &str = "x-fake-seed";
/// The request header with the length of the body, for the fault `random`.
pub const BYTES_HEADER: &str = "x-fake-bytes";

const DEFAULT_MODEL: &str = "gpt-5.5";
const DEFAULT_RANDOM_BYTES: usize = 64 * 1024;
const FAULT_MODEL_PREFIX: &str = "fault-";

/// One request, read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) readable: bool,
    pub(crate) model: String,
    pub(crate) delivery: Delivery,
    pub(crate) usage_chunk: bool,
    pub(crate) fault: Option<String>,
    pub(crate) delay: Option<Duration>,
    pub(crate) seed: u64,
    pub(crate) random_bytes: usize,
    pub(crate) authorization: String,
}

/// The API that a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Responses,
    Chat,
}

/// How the answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Stream,
    Whole,
}

impl Asked {
    pub(crate) fn read(parts: &Parts, body: &Bytes) -> Self {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let field = |pointer: &str| json.as_ref().and_then(|json| json.pointer(pointer));
        let is_true = |pointer: &str| field(pointer).and_then(Value::as_bool) == Some(true);

        let model = field("/model").and_then(Value::as_str).unwrap_or(DEFAULT_MODEL).to_owned();
        let fault = text(&parts.headers, FAULT_HEADER)
            .or_else(|| model.strip_prefix(FAULT_MODEL_PREFIX).map(str::to_owned));
        let dialect = match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/v1/responses") => Some(Dialect::Responses),
            (&Method::POST, "/v1/chat/completions") => Some(Dialect::Chat),
            _ => None,
        };
        Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            dialect,
            readable: json.is_some(),
            delivery: if is_true("/stream") { Delivery::Stream } else { Delivery::Whole },
            usage_chunk: is_true("/stream_options/include_usage"),
            fault,
            delay: number(&parts.headers, DELAY_HEADER).map(Duration::from_millis),
            seed: number(&parts.headers, SEED_HEADER).unwrap_or_default(),
            random_bytes: number(&parts.headers, BYTES_HEADER)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(DEFAULT_RANDOM_BYTES),
            authorization: text(&parts.headers, AUTHORIZATION.as_str()).unwrap_or_default(),
            model,
        }
    }
}

/// Returns a header's value; bytes that are no UTF-8 are replaced.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}
