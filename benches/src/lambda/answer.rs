//! What the client gets: the function's answer as AWS passes it on, or one that AWS gives itself.
//!
//! A prelude comes in, the head of a response goes out. Headers that AWS keeps for itself come back
//! under another name; a function that claims those names, or a content coding, has failed.

use http::{HeaderName, HeaderValue, Response, StatusCode, header::SET_COOKIE, response};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::invocation::Stamp;

const REMAPPED: [&str; 4] = ["connection", "content-length", "date", "transfer-encoding"];
const REMAPPED_PREFIX: &str = "x-amzn-remapped-";

/// An answer that AWS gives in place of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The function gave none, or none that can be passed on.
    BadGateway,
    /// The function claims to be AWS.
    InternalError,
    /// The event is too large.
    TooLarge,
    /// All environments are busy.
    Throttled,
}

impl Refusal {
    pub(super) fn response(self) -> (response::Builder, &'static str) {
        let (status, error, body) = match self {
            Self::BadGateway => (502, None, "Internal Server Error"),
            Self::InternalError => (500, None, "Internal Server Error"),
            Self::TooLarge => (
                413,
                Some("RequestEntityTooLargeException"),
                r#"{"message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#,
            ),
            Self::Throttled => (
                429,
                Some("TooManyRequestsException"),
                r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            ),
        };
        let kind = if error.is_some() { "application/json" } else { "text/plain" };
        let mut response = Response::builder().status(status).header("content-type", kind);
        if let Some(error) = error {
            response = response.header("x-amzn-errortype", error);
        }
        (response, body)
    }
}

/// Adds what every answer of a Function URL carries.
pub(super) fn signed(mut response: response::Builder, stamp: &Stamp) -> response::Builder {
    let Some(headers) = response.headers_mut() else { return response };
    for (name, value) in
        [("x-amzn-requestid", &stamp.request_id), ("x-amzn-trace-id", &stamp.trace)]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prelude {
    #[serde(default = "ok")]
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    cookies: Vec<String>,
}

fn ok() -> u16 {
    200
}

/// Reads a prelude.
pub(super) fn head(prelude: &[u8]) -> Result<response::Builder, Refusal> {
    let prelude: Prelude = serde_json::from_slice(prelude).map_err(|_| Refusal::BadGateway)?;
    let status = StatusCode::from_u16(prelude.status_code).map_err(|_| Refusal::BadGateway)?;
    // 1xx announces an answer and is none.
    if status.is_informational() {
        return Err(Refusal::BadGateway);
    }
    let mut response = Response::builder().status(status);
    for (name, values) in &prelude.headers {
        let name = name.to_ascii_lowercase();
        if name.starts_with(REMAPPED_PREFIX) {
            return Err(Refusal::InternalError);
        }
        if name == "content-encoding" {
            return Err(Refusal::BadGateway);
        }
        let is_remapped = REMAPPED.contains(&&*name);
        let name = if is_remapped { format!("{REMAPPED_PREFIX}{name}") } else { name };
        let values = values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice);
        for value in values {
            response = response.header(&name, value.as_str().ok_or(Refusal::BadGateway)?);
        }
    }
    for cookie in prelude.cookies {
        response = response.header(SET_COOKIE, cookie);
    }
    match response.headers_ref() {
        Some(_) => Ok(response),
        None => Err(Refusal::BadGateway),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(prelude: &str) -> Result<Response<()>, Refusal> {
        head(prelude.as_bytes()).map(|builder| builder.body(()).unwrap())
    }

    #[test]
    fn a_prelude_becomes_a_head() {
        let prelude = r#"{"statusCode":201,"headers":{"A":["1","2"],"Content-Length":"5","date":"x"},
            "cookies":["c=d","e=f"]}"#;
        let response = read(prelude).unwrap();
        assert_eq!(response.status(), 201);
        let shown: Vec<_> = response.headers().iter().map(|(n, v)| format!("{n}: {v:?}")).collect();
        let expected = [
            r#"a: "1""#,
            r#"a: "2""#,
            r#"x-amzn-remapped-content-length: "5""#,
            r#"x-amzn-remapped-date: "x""#,
            r#"set-cookie: "c=d""#,
            r#"set-cookie: "e=f""#,
        ];
        assert_eq!(shown, expected);
        assert_eq!(read("{}").unwrap().status(), 200);
    }

    #[test]
    fn what_aws_does_not_pass_on_is_refused() {
        for (prelude, refusal) in [
            (r#"{"headers":{"x-amzn-remapped-date":"x"}}"#, Refusal::InternalError),
            (r#"{"headers":{"content-encoding":"gzip"}}"#, Refusal::BadGateway),
            (r#"{"headers":{"a b":"x"}}"#, Refusal::BadGateway),
            (r#"{"headers":{"a":1}}"#, Refusal::BadGateway),
            (r#"{"statusCode":99}"#, Refusal::BadGateway),
            (r#"{"statusCode":101}"#, Refusal::BadGateway),
            ("no JSON", Refusal::BadGateway),
        ] {
            assert_eq!(read(prelude).unwrap_err(), refusal, "{prelude}");
        }
    }
}
