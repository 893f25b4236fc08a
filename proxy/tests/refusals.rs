//! What the proxy refuses by itself: the catalogue's own answers, before OpenAI is asked.

use std::fs;

use futures::future::BoxFuture;
use proxy::secret::Secret;
use proxy::token::{LookUpFailed, Owner, TokenHash, TokenStore};
use schemas::catalogue::ErrorCode;
use schemas::origin::{AnsweredBy, Ending, Origin};

use crate::common::client::Ask;
use crate::common::wire::Wire;
use crate::common::{RESPONSES, Running, Setup};
use crate::outcomes::check_key;

type Case = (&'static str, ErrorCode, fn(&Running) -> Ask);

const CASES: &[Case] = &[
    ("no token", ErrorCode::MissingAuthorization, |p| p.ask("POST", RESPONSES).without_token()),
    ("other scheme", ErrorCode::MissingAuthorization, |p| {
        p.ask("POST", RESPONSES).header("authorization", "Basic YTpi")
    }),
    ("empty token", ErrorCode::MissingAuthorization, |p| {
        p.ask("POST", RESPONSES).header("authorization", "Bearer ")
    }),
    ("unknown token", ErrorCode::InvalidToken, |p| p.ask("POST", RESPONSES).token("a-stranger")),
    ("disabled token", ErrorCode::InvalidToken, |p| p.ask("POST", RESPONSES).token(&p.disabled)),
    ("mistyped token", ErrorCode::InvalidToken, |p| {
        p.ask("POST", RESPONSES).token(&p.token[..p.token.len() - 1])
    }),
    ("stored hash", ErrorCode::InvalidToken, |p| {
        let hash = TokenHash::of(&p.token).to_string();
        p.ask("POST", RESPONSES).token(&hash)
    }),
    ("upgrade", ErrorCode::UpgradeRequired, |p| {
        p.ask("GET", RESPONSES).header("connection", "upgrade").header("upgrade", "websocket")
    }),
    ("dot segments", ErrorCode::MalformedRequest, |p| p.ask("GET", "/v1/%2e%2e/admin")),
    ("root", ErrorCode::NotFound, |p| p.ask("GET", "/")),
    ("too long", ErrorCode::RequestTooLarge, |p| {
        p.ask("POST", RESPONSES).body(vec![b' '; 3 << 20])
    }),
];

#[tokio::test]
async fn a_refusal_says_why_to_the_client_and_in_the_record() {
    let proxy = Setup::new().limits(|limits| limits.request_bytes = 2 << 20).start().await;
    for (name, code, ask) in CASES {
        let entry = code.entry();
        let answer = ask(&proxy).named(name).send().await;
        assert_eq!(answer.status, entry.status, "{name}");
        let error = &answer.json()["error"];
        let expected = serde_json::json!({
            "message": entry.message, "type": "proxy_error", "code": entry.name, "param": null,
        });
        assert_eq!(*error, expected, "{name}");
        let status = format!("codex-proxy; error={}", entry.proxy_status);
        assert_eq!(answer.header("proxy-status"), Some(status.as_str()), "{name}");
        assert_eq!(answer.header("x-codex-proxy-origin"), Some("proxy"), "{name}");
        assert_eq!(answer.header("x-request-id"), answer.header("x-codex-proxy-exchange-id"));
    }
    assert!(proxy.fake.requests().is_empty(), "OpenAI is not asked");
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), CASES.len());
    for (name, code, _) in CASES {
        let logged = logs.named(name);
        let record = &logged.record;
        let error = record.error.as_ref().expect("a failure");
        assert_eq!((record.origin, error.origin), (AnsweredBy::Proxy, Origin::Proxy), "{name}");
        assert_eq!((record.status, error.code.as_str()), (code.entry().status, code.entry().name));
        assert_eq!((record.ending, error.detail.as_deref()), (Ending::Complete, None), "{name}");
        assert!(record.upstream.is_none(), "{name}");
        assert!(record.response_body.contains(error.code.as_str()), "{name}");
        check_key(logged);
    }
    let developer = |name| logs.named(name).record.developer.as_deref();
    assert_eq!(developer("disabled token"), Some("dev-02"), "its owner is known");
    assert_eq!(developer("unknown token"), None);
    assert_eq!(logs.named("no token").record.token_id, None);
    assert_eq!(logs.named("too long").record.request_bytes, 3 << 20);
}

#[tokio::test]
async fn a_request_target_that_could_mean_another_path_or_host_is_refused() {
    let proxy = Setup::new().start().await;
    let targets =
        ["/v1/../admin", "/v1\\responses", "http://api.openai.com/v1/models", "*", "/v1/.%2E/x"];
    for target in targets {
        let mut wire = Wire::connect(proxy.address).await;
        let token = &proxy.token;
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        ))
        .await;
        let answer = wire.read_until("}").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
        assert!(answer.contains("proxy_malformed_request"), "{target}: {answer}");
    }
    assert_eq!(proxy.finish().await.0.len(), targets.len());
}

#[tokio::test]
async fn a_broken_token_store_is_our_fault_and_soon_worth_another_try() {
    let proxy = Setup::new().start().await;
    fs::write(proxy.folder().join("tokens.json"), "not json").expect("writable");
    let answer = proxy.turn(RESPONSES, "good", true).send().await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("2"));
    let logs = proxy.finish().await;
    let expected = "proxy proxy proxy_token_lookup_failed - complete";
    assert_eq!(logs.only().outcome(), expected);
    assert_eq!(logs.only().record.model.as_deref(), Some("gpt-5.5"), "also of what is refused");
}

/// A store with a fault that nobody thought of.
struct PanickingStore;

impl TokenStore for PanickingStore {
    fn look_up<'a>(
        &'a self,
        _: &'a Secret,
        _: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        panic!("a fault that nobody thought of");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_server_lives_on() {
    let proxy = Setup::new().tokens(PanickingStore).start().await;
    for _ in 0..2 {
        let answer = proxy.turn(RESPONSES, "good", true).send().await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("2"));
        assert_eq!(answer.json()["error"]["message"], "internal error");
    }
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), 2);
    for logged in &logs.0 {
        assert_eq!(logged.outcome(), "proxy proxy proxy_internal - complete");
        check_key(logged);
    }
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused_while_it_is_sent() {
    let proxy = Setup::new().limits(|limits| limits.request_bytes = 1 << 20).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    let token = &proxy.token;
    wire.send(format!(
        "POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    ))
    .await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..64 {
        wire.send(&chunk).await;
    }
    wire.send("0\r\n\r\n").await;
    let answer = wire.read_until("}").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "proxy proxy proxy_request_too_large - complete");
}

#[tokio::test]
async fn a_body_of_broken_chunks_is_refused() {
    let proxy = Setup::new().start().await;
    let mut wire = Wire::connect(proxy.address).await;
    let token = &proxy.token;
    wire.send(format!(
        "POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         transfer-encoding: chunked\r\n\r\nno length\r\n"
    ))
    .await;
    let answer = wire.read_until("}").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "proxy proxy proxy_malformed_request - complete");
}

#[tokio::test]
async fn a_long_body_does_not_cost_the_client_the_answer_that_nobody_is_there() {
    let proxy = Setup::new().upstream("http://127.0.0.1:1").start().await;
    for size in [100 << 10, 1 << 20, 8 << 20] {
        let answer = proxy.ask("POST", RESPONSES).body(vec![b' '; size]).send().await;
        assert_eq!(answer.status, 502, "{size} bytes");
        assert!(answer.is_whole, "{size} bytes");
    }
    let logs = proxy.finish().await;
    let sizes: Vec<_> = logs.0.iter().map(|logged| logged.record.request_bytes).collect();
    assert_eq!(sizes, [100 << 10, 1 << 20, 8 << 20]);
}
