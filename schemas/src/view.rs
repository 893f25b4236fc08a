//! Reading a record of any age: borrowed, tolerant, and no more of it than is asked for.
//!
//! Unknown fields are skipped, missing ones and those of an unexpected type are `None`, the three
//! old names (`request_id`, `timestamp`, `user`) are read as aliases, and the body stays raw until
//! somebody wants it. Only what is not a JSON object at all is an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::origin::{AnsweredBy, Ending, Origin};
use crate::record::{Encoding, LoggedError, Usage};

/// What a record says about its error.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ErrorField {
    /// The field is missing: an old record, whose body has to tell.
    #[default]
    Missing,
    /// The field is null: a success.
    Null,
    /// The failure.
    Error(LoggedError),
}

/// How long the stages of an exchange took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// `duration_ms`: all of it.
    pub duration_ms: Option<f64>,
    /// `ttfb_ms`: until the response headers.
    pub ttfb_ms: Option<f64>,
    /// `upstream_ttfb_ms`: of that, waiting for OpenAI's.
    pub upstream_ttfb_ms: Option<f64>,
    /// `upstream.processing_ms`: OpenAI's own account of it.
    pub processing_ms: Option<f64>,
}

/// A record of any age, as far as it says anything.
#[derive(Clone, Debug, Default)]
pub struct RecordView<'a> {
    /// `exchange_id`, or `request_id` in old records.
    pub exchange_id: Option<String>,
    /// `started_at`, or `timestamp` in old records.
    pub started_at: Option<Timestamp>,
    /// `origin`: who wrote the answer.
    pub origin: Option<AnsweredBy>,
    /// `error`.
    pub error: ErrorField,
    /// `ending`.
    pub ending: Option<Ending>,
    /// `status`.
    pub status: Option<u16>,
    /// `token_id`.
    pub token_id: Option<String>,
    /// `developer`, or `user` in old records.
    pub developer: Option<String>,
    /// `model`.
    pub model: Option<String>,
    /// `path`.
    pub path: Option<String>,
    /// `client.version`.
    pub client_version: Option<String>,
    /// `client.session_id`.
    pub session_id: Option<String>,
    /// `client.turn_id`.
    pub turn_id: Option<String>,
    /// `upstream.request_id`.
    pub upstream_request_id: Option<String>,
    /// `upstream.cf_ray`.
    pub cf_ray: Option<String>,
    /// `upstream.ratelimit`: what OpenAI says of its limits.
    pub ratelimit: BTreeMap<String, String>,
    /// `lambda_request_id`.
    pub lambda_request_id: Option<String>,
    /// How long it took.
    pub timing: Timing,
    /// `usage`.
    pub usage: Option<Usage>,
    /// `proxy.version`.
    pub proxy_version: Option<String>,
    /// `proxy.region`.
    pub proxy_region: Option<String>,
    /// Whether `proxy.function` names a Lambda function; `None` where `proxy` is missing.
    pub on_lambda: Option<bool>,
    /// `response_encoding`.
    pub response_encoding: Option<Encoding>,
    /// `response_body`, not yet decoded: a JSON string, or in old records the object itself.
    pub response_body: Option<&'a RawValue>,
}

impl<'a> RecordView<'a> {
    /// Reads the JSON of one record.
    ///
    /// # Errors
    ///
    /// When `json` is not one JSON object.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Decodes the response body. Empty when there is none; a body that says it is base64 and is
    /// not is returned as it stands.
    #[must_use]
    pub fn body(&self) -> Cow<'a, [u8]> {
        let raw = self.response_body.map(RawValue::get).filter(|raw| *raw != "null");
        let Some(raw) = raw else { return Cow::default() };
        if !raw.starts_with('"') {
            return Cow::Borrowed(raw.as_bytes());
        }
        let text = if raw.contains('\\') {
            Cow::Owned(unescape(raw))
        } else {
            Cow::Borrowed(&raw[1..raw.len() - 1])
        };
        if self.response_encoding == Some(Encoding::Base64) {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
            if let Ok(bytes) = decoded {
                return Cow::Owned(bytes);
            }
        }
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// Tells whether the proxy's version 1, or a later one, wrote this record: it then says by
    /// itself who answered and what failed.
    #[must_use]
    pub fn tells_origin(&self) -> bool {
        self.origin.is_some() && self.error != ErrorField::Missing
    }
}

/// Decodes a JSON string, its quotes included. A lone surrogate is legal JSON and no text: it becomes
/// U+FFFD, and the rest is kept.
#[must_use]
pub fn unescape(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_else(|_| lossy_string(raw))
}

/// Decodes a JSON string that `serde_json` refuses for its lone surrogates.
fn lossy_string(raw: &str) -> String {
    let bytes: Result<serde_bytes_from_json::Bytes, _> = serde_json::from_str(raw);
    bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
}

/// `serde_json` decodes a string into bytes without insisting that surrogates come in pairs.
mod serde_bytes_from_json {
    use serde::de::{Deserialize, Deserializer, Error, Visitor};

    pub(super) struct Bytes(pub(super) Vec<u8>);

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct BytesVisitor;
            impl Visitor<'_> for BytesVisitor {
                type Value = Bytes;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a string")
                }

                fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }
            }
            from.deserialize_bytes(BytesVisitor)
        }
    }
}

impl<'de> Deserialize<'de> for RecordView<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = RecordView<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log record, which is one JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut view = RecordView::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "response_body" => view.response_body = Some(map.next_value()?),
                "exchange_id" => view.exchange_id = text(map.next_value()?),
                "request_id" => view.exchange_id = view.exchange_id.or(text(map.next_value()?)),
                "started_at" => view.started_at = time(map.next_value()?),
                "timestamp" => view.started_at = view.started_at.or(time(map.next_value()?)),
                "developer" => view.developer = text(map.next_value()?),
                "user" => view.developer = view.developer.or(text(map.next_value()?)),
                "origin" => view.origin = read(map.next_value()?),
                "ending" => view.ending = read(map.next_value()?),
                "status" => view.status = status(map.next_value()?),
                "token_id" => view.token_id = text(map.next_value()?),
                "model" => view.model = text(map.next_value()?),
                "path" => view.path = text(map.next_value()?),
                "lambda_request_id" => view.lambda_request_id = text(map.next_value()?),
                "duration_ms" => view.timing.duration_ms = read(map.next_value()?),
                "ttfb_ms" => view.timing.ttfb_ms = read(map.next_value()?),
                "upstream_ttfb_ms" => view.timing.upstream_ttfb_ms = read(map.next_value()?),
                "usage" => view.usage = read(map.next_value()?),
                "response_encoding" => view.response_encoding = read(map.next_value()?),
                "error" => view.error = error(map.next_value()?),
                "client" => {
                    let client: Value = map.next_value()?;
                    view.client_version = word(&client["version"]);
                    view.session_id = word(&client["session_id"]);
                    view.turn_id = word(&client["turn_id"]);
                }
                "proxy" => {
                    let proxy: Value = map.next_value()?;
                    view.proxy_version = word(&proxy["version"]);
                    view.proxy_region = word(&proxy["region"]);
                    view.on_lambda = proxy.is_object().then(|| proxy["function"].is_string());
                }
                "upstream" => {
                    let upstream: Value = map.next_value()?;
                    view.upstream_request_id = word(&upstream["request_id"]);
                    view.cf_ray = word(&upstream["cf_ray"]);
                    view.timing.processing_ms = upstream["processing_ms"].as_f64();
                    let limits = upstream["ratelimit"].as_object().into_iter().flatten();
                    let said = |(name, value): (&String, &Value)| {
                        Some((name.clone(), value.as_str()?.to_owned()))
                    };
                    view.ratelimit = limits.filter_map(said).collect();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        // An empty id is none: every record with one would be the same exchange.
        view.exchange_id = view.exchange_id.filter(|id| !id.is_empty());
        Ok(view)
    }
}

/// Reads a value of a known type; `None` when it is of another.
fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads text, or a number as text.
#[must_use]
pub fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn text(raw: &RawValue) -> Option<String> {
    word(&read::<Value>(raw)?)
}

/// Reads a status as a number or as its digits.
fn status(raw: &RawValue) -> Option<u16> {
    text(raw)?.parse().ok()
}

fn time(raw: &RawValue) -> Option<Timestamp> {
    moment(&read(raw)?)
}

/// Reads RFC 3339, or seconds or milliseconds since 1970.
#[must_use]
pub fn moment(value: &Value) -> Option<Timestamp> {
    let text = word(value)?;
    if let Ok(number) = text.parse::<f64>() {
        // From the year 5138 on seconds have twelve digits; anything longer is milliseconds.
        let ms = if number.abs() < 1e11 { number * 1e3 } else { number };
        #[expect(clippy::cast_possible_truncation, reason = "out of range is refused by jiff")]
        return Timestamp::from_millisecond(ms as i64).ok();
    }
    text.parse().ok()
}

fn error(raw: &RawValue) -> ErrorField {
    match read::<Value>(raw) {
        None | Some(Value::Null) => ErrorField::Null,
        Some(value) => {
            let origin = value["origin"].as_str().and_then(Origin::parse);
            let Some(origin) = origin else { return ErrorField::Missing };
            ErrorField::Error(LoggedError {
                origin,
                code: word(&value["code"]).unwrap_or_default(),
                kind: word(&value["type"]),
                message: word(&value["message"]).unwrap_or_default(),
                detail: word(&value["detail"]),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn old_names_are_read_and_new_ones_win() {
        let json = br#"{"request_id":"a","timestamp":"2026-11-22T02:41:07Z","user":"dev-04","x":[1],"response_body":"\u00e9\n"}"#;
        let view = RecordView::parse(json).expect("an object");
        assert_eq!(view.exchange_id.as_deref(), Some("a"));
        assert_eq!(view.developer.as_deref(), Some("dev-04"));
        assert!(view.started_at.is_some());
        assert_eq!(view.body().as_ref(), "é\n".as_bytes());
        assert!(!view.tells_origin());
        let both = br#"{"exchange_id":"new","request_id":"old"}"#;
        assert_eq!(RecordView::parse(both).expect("an object").exchange_id.as_deref(), Some("new"));
    }

    #[test]
    fn a_body_can_be_the_object_itself_or_base64_or_broken_text() {
        let body = |json: &str| RecordView::parse(json.as_bytes()).expect("ok").body().into_owned();
        assert_eq!(body(r#"{"response_body":{"error": null}}"#), br#"{"error": null}"#);
        assert_eq!(body(r#"{"response_encoding":"base64","response_body":"aGk="}"#), b"hi");
        assert_eq!(body(r#"{"response_encoding":"base64","response_body":"no!"}"#), b"no!");
        assert_eq!(
            body(r#"{"response_body":"a\ud800b"}"#),
            "a\u{fffd}\u{fffd}\u{fffd}b".as_bytes()
        );
        assert_eq!(body(r#"{"response_body":null}"#), b"");
        assert_eq!(body("{}"), b"");
    }

    #[test]
    fn a_field_of_an_unexpected_type_does_not_lose_the_record() {
        let json = br#"{"status":"503","model":["?"],"client":7,"upstream":null,"error":"x","timestamp":1763779267}"#;
        let view = RecordView::parse(json).expect("an object");
        assert_eq!(view.status, Some(503));
        assert_eq!(view.model, None);
        assert_eq!(view.error, ErrorField::Missing);
        assert!(view.started_at.is_some());
    }

    proptest! {
        #[test]
        fn reading_never_panics(json: Vec<u8>, text in "\\PC*") {
            let _ = RecordView::parse(&json);
            let quoted = serde_json::json!({"response_body": text, "started_at": text, "status": text});
            let bytes = quoted.to_string().into_bytes();
            let view = RecordView::parse(&bytes).expect("an object");
            let body = view.body();
            prop_assert_eq!(body.as_ref(), text.as_bytes());
        }
    }
}
