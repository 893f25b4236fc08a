//! The event that a Function URL makes of an HTTP request: payload version 2.0.
//!
//! A request comes in, the JSON goes out. Not made: `queryStringParameters`, which repeats
//! `rawQueryString` in another form.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header, request::Parts};
use serde_json::{Map, Value, json};

use super::{function::REGION, invocation::Stamp};

const URL_ID: &str = "abcdefghijklmnopqrstuvwxyz012345";
const CLIENT: &str = "127.0.0.1";
/// What concerns one connection only, and the length, which is told of the body as it was received.
const NOT_PASSED: [&str; 7] =
    ["connection", "content-length", "cookie", "keep-alive", "te", "transfer-encoding", "upgrade"];

/// Makes the event of one request.
pub(super) fn event(request: &Parts, body: &[u8], stamp: &Stamp) -> Value {
    let domain = format!("{URL_ID}.lambda-url.{REGION}.on.aws");
    let path = request.uri.path();
    let headers = headers(&request.headers, body, &domain, &stamp.trace);
    let user_agent = headers.get("user-agent").cloned().unwrap_or_else(|| "".into());
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": URL_ID,
            "domainName": domain,
            "domainPrefix": URL_ID,
            "http": {
                "method": request.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": CLIENT,
                "userAgent": user_agent,
            },
            "requestId": stamp.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": stamp.time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": stamp.time.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    let cookies = cookies(&request.headers);
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !body.is_empty() {
        let text = str::from_utf8(body).ok().filter(|_| is_text(&request.headers));
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| STANDARD.encode(body).into(), Value::from);
    }
    event
}

fn headers(given: &HeaderMap, body: &[u8], domain: &str, trace: &str) -> Map<String, Value> {
    let mut headers = Map::new();
    for name in given.keys().filter(|name| !NOT_PASSED.contains(&name.as_str())) {
        let values =
            given.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        headers.insert(name.to_string(), values.collect::<Vec<_>>().join(",").into());
    }
    if !body.is_empty() || given.contains_key(header::CONTENT_LENGTH) {
        headers.insert("content-length".to_owned(), body.len().to_string().into());
    }
    for (name, value) in [
        ("host", domain),
        ("x-amzn-trace-id", trace),
        ("x-forwarded-for", CLIENT),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ] {
        headers.insert(name.to_owned(), value.into());
    }
    headers
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split("; ")).map(str::to_owned).collect()
}

/// Says whether AWS takes the body for text, by its type alone.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&&*kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const JSON: &str = "application/json; charset=utf-8";
    /// Content type, body, what the event has for it, whether that is base64.
    const BODIES: [(&str, &[u8], &str, bool); 5] = [
        (JSON, b"{}", "{}", false),
        ("Text/Event-Stream", b"data", "data", false),
        ("application/octet-stream", b"{}", "e30=", true),
        ("", b"{}", "e30=", true),
        (JSON, b"\xff", "/w==", true),
    ];

    fn parts(change: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        let request = change(Request::post("/a%20b?c=d&c=%65"));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_body_is_text_by_its_type() {
        for (kind, body, shown, is_base64) in BODIES {
            let event = event(&parts(|it| it.header("content-type", kind)), body, &Stamp::fresh());
            assert_eq!(event["body"], shown, "{kind}");
            assert_eq!(event["isBase64Encoded"], is_base64, "{kind}");
        }
    }

    #[test]
    fn headers_are_joined_cookies_are_split_and_the_way_is_overwritten() {
        let parts = parts(|it| {
            it.header("X-Many", "1")
                .header("x-many", "2")
                .header("cookie", "a=1; b=2")
                .header("cookie", "c=3")
                .header("x-forwarded-for", "10.0.0.1")
                .header("x-amzn-trace-id", "mine")
                .header("connection", "close")
        });
        let stamp = Stamp::fresh();
        let event = event(&parts, b"", &stamp);
        assert_eq!(event["headers"]["x-many"], "1,2");
        assert_eq!(event["cookies"], json!(["a=1", "b=2", "c=3"]));
        assert_eq!(event["headers"]["x-forwarded-for"], CLIENT);
        assert_eq!(event["headers"]["x-amzn-trace-id"], stamp.trace);
        assert_eq!(event["headers"].get("connection"), None);
        assert_eq!(event["rawPath"], "/a%20b");
        assert_eq!(event["rawQueryString"], "c=d&c=%65");
        assert_eq!(event.get("body"), None);
    }
}
