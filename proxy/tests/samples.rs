//! One golden sample record for each entry of the error catalogue, made by the real request path.
//!
//! When this fails, run `UPDATE_GENERATED=1 cargo test -p proxy --test samples` and commit what
//! changed in `schemas/samples`.

#[expect(dead_code, reason = "the harness serves the other tests too")]
mod common;

use std::fs;
use std::path::Path;

use futures::future::BoxFuture;
use proxy::secret::Secret;
use proxy::token::{LookUpFailed, Owner, TokenHash, TokenStore};
use schemas::catalogue::{CATALOGUE, ErrorCode};
use schemas::record::LogRecord;

use common::client::Ask;
use common::{RESPONSES, Running, Setup, turn};

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
async fn the_samples_are_what_the_proxy_writes() {
    for entry in &CATALOGUE {
        let proxy = setup(entry.code).start().await;
        let answer = trigger(entry.code, &proxy).send().await;
        assert_eq!(answer.status, entry.status, "{}", entry.name);
        assert_eq!(answer.json()["error"]["code"], entry.name);
        let logs = proxy.finish().await;
        let record = logs.only().record.clone();
        assert_eq!(record.response_body, answer.text(), "what the client got");
        let sample = serde_json::to_string_pretty(&normalised(record)).expect("a record is JSON");
        check(entry.name, &format!("{sample}\n"));
    }
}

fn setup(code: ErrorCode) -> Setup {
    let setup = Setup::new();
    match code {
        ErrorCode::Internal => setup.tokens(PanickingStore),
        ErrorCode::UpstreamFailed => setup.upstream("http://127.0.0.1:1"),
        ErrorCode::RequestTooLarge => setup.limits(|limits| limits.request_bytes = 8),
        _ => setup,
    }
}

fn trigger(code: ErrorCode, proxy: &Running) -> Ask {
    let turn = |ask: Ask| {
        ask.json(&turn(true))
            .header("user-agent", "codex_exec/0.169.0 (Debian 12.0.0; x86_64) unknown")
            .header("originator", "codex_exec")
            .header("session-id", "0199c0de-0000-7000-8000-000000000001")
            .header(
                "x-codex-turn-metadata",
                r#"{"turn_id":"0199c0de-0000-7000-8000-000000000002"}"#,
            )
    };
    let ask = turn(proxy.ask("POST", RESPONSES));
    match code {
        ErrorCode::MissingAuthorization => ask.without_token(),
        ErrorCode::InvalidToken => ask.token(&proxy.disabled),
        ErrorCode::TokenLookupFailed => {
            fs::write(proxy.folder().join("tokens.json"), "not json").expect("writable");
            ask
        }
        ErrorCode::UpstreamFailed | ErrorCode::Internal | ErrorCode::RequestTooLarge => ask,
        ErrorCode::UpgradeRequired => {
            let ask = proxy.ask("GET", RESPONSES).header("connection", "upgrade");
            ask.header("upgrade", "websocket")
        }
        ErrorCode::MalformedRequest => turn(proxy.ask("POST", "/v1/../responses")),
        ErrorCode::NotFound => proxy.ask("GET", "/"),
    }
}

/// Fixes what differs from run to run.
fn normalised(record: LogRecord) -> LogRecord {
    let token_id = record.token_id.map(|_| "3fa9c1d27b6e8053".to_owned());
    LogRecord {
        exchange_id: "cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e".to_owned(),
        started_at: "2026-11-22T02:41:07.123Z".parse().expect("a time"),
        token_id,
        duration_ms: 1.5,
        ttfb_ms: record.ttfb_ms.map(|_| 1.25),
        auth_ms: if record.auth_ms > 0.0 { 0.25 } else { 0.0 },
        ..record
    }
}

fn check(name: &str, sample: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/samples");
    let path = folder.join(name).with_extension("json");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(&folder).expect("schemas/ can be written");
        fs::write(&path, sample).expect("schemas/samples can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == sample,
        "schemas/samples/{name}.json is out of date; run: UPDATE_GENERATED=1 cargo test -p proxy --test samples"
    );
}
