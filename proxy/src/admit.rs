//! May this request pass? Path, protocol, size and token, in that order.
//!
//! In comes the head of a request, out goes where to forward it and for whom, or the one entry of
//! the error catalogue that refuses it. What was learned about the token on the way is kept in
//! either case: a refusal is logged with its owner too.

use http::request::Parts;
use http::{HeaderMap, Method, header};
use schemas::catalogue::ErrorCode;

use crate::path;
use crate::secret::Secret;
use crate::settings::Limits;
use crate::token::{self, LookUpFailed, TokenHash, TokenStore};

/// The token that a request presented, and what is known about it.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The token itself, to mask it where an answer repeats it.
    pub token: Secret,
    /// Its hash.
    pub hash: TokenHash,
    /// Its owner, also when it is disabled.
    pub developer: Option<String>,
}

/// Decides where a request goes: the path and query to forward.
///
/// # Errors
///
/// The catalogue entry that refuses the request before its token is looked at.
pub fn route(head: &Parts, limits: &Limits) -> Result<String, ErrorCode> {
    if head.method == Method::CONNECT {
        return Err(ErrorCode::MalformedRequest);
    }
    let target = path::normalise(&head.uri)?;
    if is_websocket(&head.headers) {
        return Err(ErrorCode::UpgradeRequired);
    }
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let length = length.and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.request_bytes) {
        return Err(ErrorCode::RequestTooLarge);
    }
    Ok(target)
}

/// Reads the token that a request presents, and hashes it.
#[must_use]
pub fn presented(headers: &HeaderMap) -> Option<Presented> {
    let token = bearer(headers)?;
    Some(Presented { hash: TokenHash::of(token.expose()), token, developer: None })
}

/// Returns all that `Authorization` holds, whatever it is: a token that is presented wrongly is no less
/// secret.
pub(crate) fn credentials(headers: &HeaderMap) -> impl Iterator<Item = Secret> {
    let texts =
        headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    texts.filter_map(|text| text.split_whitespace().last()).map(Secret::new)
}

/// Reads the bearer token; `None` unless there is exactly one `Authorization: Bearer` with one.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Secret::new(token))
}

/// Checks a presented token, and notes its owner.
///
/// # Errors
///
/// [`ErrorCode::InvalidToken`] for an unknown or disabled token, and, without a look-up, for what can
/// be none: too long, misspelt, or a stored hash in the place of a token; [`ErrorCode::TokenLookupFailed`] when the store did not answer.
pub async fn check(
    presented: &mut Presented,
    store: &dyn TokenStore,
) -> Result<(), (ErrorCode, Option<LookUpFailed>)> {
    if token::fault(presented.token.expose()).is_some() {
        return Err((ErrorCode::InvalidToken, None));
    }
    let owner = store.look_up(&presented.token, presented.hash).await;
    let owner = owner.map_err(|error| (ErrorCode::TokenLookupFailed, Some(error)))?;
    presented.developer = owner.as_ref().and_then(|owner| owner.developer.clone());
    match owner {
        Some(owner) if owner.enabled => Ok(()),
        _ => Err((ErrorCode::InvalidToken, None)),
    }
}

/// Tells a WebSocket upgrade by any of its marks. Codex falls back to HTTP at once on 426, and
/// tries seven times on anything else.
fn is_websocket(headers: &HeaderMap) -> bool {
    let has = |name: header::HeaderName, word: &str| {
        headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains(word))
        })
    };
    has(header::UPGRADE, "websocket")
        || headers.keys().any(|name| name.as_str().starts_with("sec-websocket-"))
        || has(header::HeaderName::from_static("openai-beta"), "responses_websockets")
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_bearer_token_is_read_and_anything_else_is_none() {
        let read = |value| {
            bearer(&headers(&[("authorization", value)])).map(|token| token.expose().to_owned())
        };
        assert_eq!(read("Bearer abc"), Some("abc".to_owned()));
        assert_eq!(read("bearer  abc "), Some("abc".to_owned()));
        assert_eq!(read("Bearer "), None);
        assert_eq!(read("Bearer"), None);
        assert_eq!(read("Basic abc"), None);
        let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert_eq!(bearer(&twice), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn an_upgrade_and_a_body_over_the_limit_are_refused_before_the_token() {
        let routed = |name: &str, value: &str| {
            let request = Request::get("/v1/responses").header(name, value).body(());
            route(&request.expect("a request").into_parts().0, &Limits::default())
        };
        assert_eq!(routed("upgrade", "WebSocket"), Err(ErrorCode::UpgradeRequired));
        assert_eq!(routed("sec-websocket-key", "x"), Err(ErrorCode::UpgradeRequired));
        assert_eq!(routed("Sec-WebSocket-Protocol", "x"), Err(ErrorCode::UpgradeRequired));
        let beta = "responses_websockets=2026-02-06";
        assert_eq!(routed("openai-beta", beta), Err(ErrorCode::UpgradeRequired));
        assert_eq!(routed("content-length", "67108865"), Err(ErrorCode::RequestTooLarge));
        assert_eq!(routed("content-length", "67108864").as_deref(), Ok("/v1/responses"));
    }
}
