//! Which path goes to OpenAI: Codex may leave out `/v1`, or say it twice.
//!
//! In comes the request target, out goes the path and query to forward. All but the prefix stays
//! byte for byte: trailing slash, percent-encoding, query. What could be read as another path on
//! the other side (dot segments, backslashes, a foreign host) is refused.

use http::Uri;
use schemas::catalogue::ErrorCode;

/// Normalises a request target.
///
/// # Errors
///
/// [`ErrorCode::MalformedRequest`] for dot segments (encoded or not), `\`, absolute and other
/// forms that are not a plain path; [`ErrorCode::NotFound`] for the bare root.
pub fn normalise(target: &Uri) -> Result<String, ErrorCode> {
    if target.scheme().is_some() || target.authority().is_some() {
        return Err(ErrorCode::MalformedRequest);
    }
    let path = target.path();
    if !path.starts_with('/') || path.contains('\\') || has_dot_segment(path) {
        return Err(ErrorCode::MalformedRequest);
    }
    let mut rest = path.trim_start_matches('/');
    if rest.is_empty() {
        return Err(ErrorCode::NotFound);
    }
    while let Some(after) = strip_version(rest) {
        rest = after.trim_start_matches('/');
        if rest.is_empty() {
            // `/v1` and `/v1/` are different resources: the slash is kept.
            return Ok(with_query(if after.is_empty() { "/v1" } else { "/v1/" }, target));
        }
        if !after.starts_with("/v1/") && after != "/v1" {
            // Doubled slashes after the prefix are the client's, and stay.
            return Ok(with_query(&format!("/v1{after}"), target));
        }
    }
    Ok(with_query(&format!("/v1/{rest}"), target))
}

/// Returns what follows a leading segment `v1`; `None` when the first segment is another.
fn strip_version(path: &str) -> Option<&str> {
    path.strip_prefix("v1").filter(|after| after.is_empty() || after.starts_with('/'))
}

fn with_query(path: &str, target: &Uri) -> String {
    match target.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Tells whether a segment is `.` or `..` in any spelling. An encoded slash or backslash counts as
/// a separator here, because a server that decodes before it splits would take it for one.
fn has_dot_segment(path: &str) -> bool {
    let decoded = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    let decoded = decoded.replace("%5c", "/");
    decoded.split('/').any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(target: &str) -> Result<String, ErrorCode> {
        normalise(&target.parse().expect("a request target that hyper lets through"))
    }

    #[test]
    fn the_prefix_is_put_right_and_nothing_else() {
        for (received, forwarded) in [
            ("/responses", "/v1/responses"),
            ("/v1", "/v1"),
            ("/v1/", "/v1/"),
            ("/v1/responses", "/v1/responses"),
            ("//v1/x", "/v1/x"),
            ("///v1/x", "/v1/x"),
            ("//responses", "/v1/responses"),
            ("/v1/v1/x", "/v1/x"),
            ("/v1/v1/v1/x", "/v1/x"),
            ("/v1/v1", "/v1"),
            ("/v1/v1/", "/v1/"),
            ("/v10/x", "/v1/v10/x"),
            ("/v1x", "/v1/v1x"),
            ("/V1/x", "/v1/V1/x"),
            ("/v1/responses/", "/v1/responses/"),
            ("/v1//responses", "/v1//responses"),
            ("/v1/a%2Fb%20c", "/v1/a%2Fb%20c"),
            ("/responses?a=%2e%2e/&b=\\", "/v1/responses?a=%2e%2e/&b=\\"),
            ("/v1?x=1", "/v1?x=1"),
            ("/v1/files/..hidden", "/v1/files/..hidden"),
            ("/v1/files/a...b", "/v1/files/a...b"),
        ] {
            assert_eq!(normalised(received).as_deref(), Ok(forwarded), "{received}");
        }
    }

    #[test]
    fn what_could_mean_another_path_or_host_is_refused() {
        for received in [
            "/v1/../admin",
            "/v1/./x",
            "/v1/%2e%2e/x",
            "/v1/.%2E/x",
            "/v1/x%2f..%2fy",
            "/v1/..%5cx",
            "/v1\\x",
            "/..",
            "http://api.example/v1/x",
            "example:443",
            "*",
        ] {
            assert_eq!(normalised(received), Err(ErrorCode::MalformedRequest), "{received}");
        }
        assert_eq!(normalised("/"), Err(ErrorCode::NotFound));
        assert_eq!(normalised("//"), Err(ErrorCode::NotFound));
    }
}
