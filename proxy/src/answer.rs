//! Answers and marks that the proxy makes by itself.
//!
//! Every answer of ours has one constructor, and every answer, ours or OpenAI's, is marked with its
//! author: an answer without the mark came from in front of the proxy.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use serde_json::json;

/// Who wrote the answer: `openai` or `proxy`.
pub const ORIGIN: HeaderName = HeaderName::from_static("x-codex-proxy-origin");
/// The exchange's identity in our logs.
pub const EXCHANGE_ID: HeaderName = HeaderName::from_static("x-codex-proxy-exchange-id");
/// Printed by Codex CLI beside an error.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// RFC 9209.
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Makes the answer for a catalogue entry. `status` and `detail` (an RFC 9209 error type) replace
/// the entry's own where the failure is known more precisely.
#[must_use]
pub fn refuse(
    code: ErrorCode,
    status: u16,
    detail: Option<&str>,
    exchange_id: ExchangeId,
) -> (Response<()>, Bytes) {
    let entry = code.entry();
    let body = Bytes::from(format!(
        r#"{{"error":{{"message":{},"type":"proxy_error","code":{},"param":null}}}}"#,
        json!(entry.message),
        json!(entry.name),
    ));
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ORIGIN, HeaderValue::from_static("proxy"));
    headers.insert(EXCHANGE_ID, id_value(exchange_id));
    headers.insert(REQUEST_ID, id_value(exchange_id));
    let detail = detail.unwrap_or(entry.proxy_status);
    if let Ok(value) = HeaderValue::try_from(format!("codex-proxy; error={detail}")) {
        headers.insert(PROXY_STATUS, value);
    }
    if let Some(seconds) = entry.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code == ErrorCode::UpgradeRequired {
        headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    (answer, body)
}

/// Marks a forwarded answer: author, exchange, and a request id where OpenAI sent none.
pub fn mark_forwarded(headers: &mut HeaderMap, exchange_id: ExchangeId) {
    headers.insert(ORIGIN, HeaderValue::from_static("openai"));
    headers.insert(EXCHANGE_ID, id_value(exchange_id));
    if !headers.contains_key(REQUEST_ID) && !headers.contains_key("x-oai-request-id") {
        headers.insert(REQUEST_ID, id_value(exchange_id));
    }
}

fn id_value(exchange_id: ExchangeId) -> HeaderValue {
    HeaderValue::try_from(exchange_id.to_string()).unwrap_or(HeaderValue::from_static("cpx_"))
}
