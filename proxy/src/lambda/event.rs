//! A Function URL event (payload version 2.0), and the request that it stands for.
//!
//! Whatever AWS hands over becomes a request: one that cannot be read becomes one that is refused
//! and logged, since an error here would be answered by Lambda itself and leave no record. (That is
//! why this is not `lambda_http`, which panics on illegal paths and broken base64.)

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::upload::RequestBody;

/// What a function is invoked with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Event {
    /// A request to the Function URL.
    Url(Box<UrlEvent>),
    /// Anything else: a test from the console, a schedule.
    Other(IgnoredAny),
}

/// A request to the Function URL.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UrlEvent {
    #[serde(default)]
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Debug, Deserialize)]
struct RequestContext {
    http: Http,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    #[serde(default)]
    source_ip: Option<String>,
}

/// The request of an event.
pub(super) struct EventRequest {
    /// The request, as well as it could be read.
    pub(super) request: Request<RequestBody>,
    /// Where it came from.
    pub(super) ip: Option<IpAddr>,
    /// A part of it could not be read.
    pub(super) is_malformed: bool,
}

impl Event {
    /// Reads what a function was invoked with, whatever it is.
    pub(super) fn read(payload: &RawValue) -> Self {
        serde_json::from_str(payload.get()).unwrap_or(Self::Other(IgnoredAny))
    }

    /// Makes the request of it.
    pub(super) fn into_request(self) -> EventRequest {
        match self {
            Self::Url(event) => event.into_request(),
            Self::Other(_) => EventRequest {
                request: Request::new(RequestBody::Whole(Full::default())),
                ip: None,
                is_malformed: true,
            },
        }
    }
}

impl UrlEvent {
    fn into_request(self) -> EventRequest {
        let mut is_malformed = false;
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded {
            let decoded = STANDARD.decode(body);
            is_malformed = decoded.is_err();
            Bytes::from(decoded.unwrap_or_default())
        } else {
            Bytes::from(body)
        };
        let length = body.len();
        let mut request = Request::new(RequestBody::Whole(Full::new(body)));
        match self.request_context.http.method.parse::<Method>() {
            Ok(method) => *request.method_mut() = method,
            Err(_) => is_malformed = true,
        }
        match target(&self.raw_path, &self.raw_query_string) {
            Some(uri) => *request.uri_mut() = uri,
            None => is_malformed = true,
        }
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            let name = name.parse::<HeaderName>();
            let value = HeaderValue::from_bytes(value.as_bytes());
            match (name, value) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => is_malformed = true,
            }
        }
        let cookies = self.cookies.unwrap_or_default().join("; ");
        if !cookies.is_empty() {
            match HeaderValue::from_bytes(cookies.as_bytes()) {
                Ok(cookies) => drop(headers.insert(header::COOKIE, cookies)),
                Err(_) => is_malformed = true,
            }
        }
        // The length on the wire said how long the body was before AWS took it apart.
        headers.remove(header::TRANSFER_ENCODING);
        if length > 0 || headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let ip = self.request_context.http.source_ip.and_then(|ip| ip.parse().ok());
        EventRequest { request, ip, is_malformed }
    }
}

/// Puts path and query together. What may not stand in a request target is percent-encoded: AWS
/// hands some paths over decoded.
fn target(path: &str, query: &str) -> Option<Uri> {
    if !path.starts_with('/') {
        return None;
    }
    let mut target = String::with_capacity(path.len() + query.len() + 1);
    encode(path, b"?#", &mut target);
    if !query.is_empty() {
        target.push('?');
        encode(query, b"#", &mut target);
    }
    // A path of two slashes would be read as a host by a parser of whole URIs.
    let target = http::uri::PathAndQuery::try_from(target).ok()?;
    Uri::builder().path_and_query(target).build().ok()
}

fn encode(part: &str, also: &[u8], target: &mut String) {
    for byte in part.bytes() {
        let is_legal = byte.is_ascii_graphic() && !b"\"<>`{}^|".contains(&byte);
        if is_legal && !also.contains(&byte) {
            target.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(target, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(change: impl FnOnce(&mut Value)) -> EventRequest {
        let mut event = json!({
            "version": "2.0", "routeKey": "$default",
            "rawPath": "/v1/responses", "rawQueryString": "a=1",
            "headers": {"authorization": "Bearer x", "content-length": "7", "host": "id.on.aws"},
            "cookies": ["a=1", "b=2"],
            "requestContext": {"http": {"method": "POST", "sourceIp": "192.0.2.7"}},
            "body": "eyJhIjoxfQ==", "isBase64Encoded": true,
        });
        change(&mut event);
        serde_json::from_value::<Event>(event).expect("any JSON is an event").into_request()
    }

    #[test]
    fn an_event_is_the_request_that_it_was() {
        let EventRequest { request, ip, is_malformed } = event(|_| ());
        assert!(!is_malformed);
        assert_eq!(ip.map(|ip| ip.to_string()).as_deref(), Some("192.0.2.7"));
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::POST, "/v1/responses?a=1".into())
        );
        assert_eq!(request.headers()["cookie"], "a=1; b=2");
        assert_eq!(request.headers()["content-length"], "7");
        let plain = event(|event| {
            event["body"] = json!("{}");
            event["isBase64Encoded"] = json!(false);
        });
        assert_eq!(plain.request.headers()["content-length"], "2");
    }

    #[test]
    fn a_path_that_aws_decoded_is_encoded_again() {
        for (path, query, expected) in [
            ("/v1/files/a b", "", "/v1/files/a%20b"),
            ("/v1/é\r\nx: y", "q=\u{7f}", "/v1/%C3%A9%0D%0Ax:%20y?q=%7F"),
            ("/v1/a%2Fb", "", "/v1/a%2Fb"),
            ("//evil.example/v1", "", "//evil.example/v1"),
            ("/v1/what?#", "", "/v1/what%3F%23"),
        ] {
            assert_eq!(target(path, query).expect(path).to_string(), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_malformed_and_never_a_panic() {
        for change in [
            |event: &mut Value| event["body"] = json!("not base64!"),
            |event: &mut Value| event["rawPath"] = json!("no-slash"),
            |event: &mut Value| event["rawPath"] = json!(format!("/{}", "x".repeat(70_000))),
            |event: &mut Value| event["headers"]["bad name"] = json!("x"),
            |event: &mut Value| event["headers"]["x"] = json!("a\r\nb: c"),
            |event: &mut Value| event["requestContext"]["http"]["method"] = json!("BAD METHOD"),
            |event: &mut Value| event["requestContext"] = json!(null),
            |event: &mut Value| event["headers"] = json!(7),
            |event: &mut Value| *event = json!("a test from the console"),
        ] {
            assert!(event(change).is_malformed);
        }
    }
}
