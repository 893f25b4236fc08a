//! Pooled connections that are dead without anybody knowing: one more try, and only where it is safe.

use serde_json::json;

use crate::common::wire::{RawUpstream, Wire};
use crate::common::{RESPONSES, Running, Setup};

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n\
                    {\"object\":\"response\"}";

/// A proxy whose pool holds one connection, which has served one request.
async fn pooled(openai: &RawUpstream) -> (Running, Wire) {
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let first = tokio::spawn(proxy.ask("POST", RESPONSES).json(&json!({"n": 1})).send());
    let mut connection = openai.accept().await;
    connection.read_until("{\"n\":1}").await;
    connection.send(GOOD).await;
    assert_eq!(first.await.expect("no panic").status, 200);
    (proxy, connection)
}

#[tokio::test]
async fn a_request_that_a_dead_pooled_connection_swallowed_is_sent_once_more_on_a_new_one() {
    let openai = RawUpstream::start().await;
    let (proxy, mut dead) = pooled(&openai).await;
    let asked = tokio::spawn(proxy.ask("POST", "/v1/responses?x=1").json(&json!({"n": 2})).send());
    let swallowed = dead.read_until("{\"n\":2}").await;
    drop(dead);
    let mut fresh = openai.accept().await;
    let again = fresh.read_until("{\"n\":2}").await;
    assert_eq!(again, swallowed, "byte for byte the same request");
    fresh.send(GOOD).await;
    assert_eq!(asked.await.expect("no panic").status, 200);
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), 2, "one exchange, one record");
    for logged in &logs.0 {
        assert_eq!(
            (logged.outcome().as_str(), logged.record.request_bytes),
            ("openai - complete", 7)
        );
    }
}

#[tokio::test]
async fn a_request_is_replayed_once_and_not_twice() {
    let openai = RawUpstream::start().await;
    let (proxy, mut dead) = pooled(&openai).await;
    let asked = tokio::spawn(proxy.ask("POST", RESPONSES).json(&json!({"n": 2})).send());
    dead.read_until("{\"n\":2}").await;
    drop(dead);
    let mut fresh = openai.accept().await;
    fresh.read_until("{\"n\":2}").await;
    drop(fresh);
    let answer = asked.await.expect("no panic");
    assert_eq!((answer.status, answer.header("proxy-status")), FAILED);
    assert_eq!(proxy.finish().await.0.len(), 2);
}

const FAILED: (u16, Option<&str>) = (502, Some("codex-proxy; error=connection_terminated"));

#[tokio::test]
async fn a_request_whose_answer_had_begun_is_not_replayed() {
    let openai = RawUpstream::start().await;
    let (proxy, mut dying) = pooled(&openai).await;
    let asked = tokio::spawn(proxy.ask("POST", RESPONSES).json(&json!({"n": 2})).send());
    dying.read_until("{\"n\":2}").await;
    dying.send("HTTP/1.1 2").await;
    drop(dying);
    let answer = asked.await.expect("no panic");
    assert_eq!((answer.status, answer.header("proxy-status")), FAILED);
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_that_a_new_connection_swallowed_is_not_replayed() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let asked = tokio::spawn(proxy.ask("POST", RESPONSES).json(&json!({"n": 1})).send());
    let mut connection = openai.accept().await;
    connection.read_until("{\"n\":1}").await;
    drop(connection);
    let answer = asked.await.expect("no panic");
    assert_eq!((answer.status, answer.header("proxy-status")), FAILED);
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_of_which_no_whole_copy_is_kept_is_not_replayed() {
    let openai = RawUpstream::start().await;
    let setup = Setup::new().upstream(openai.url());
    let proxy = setup.limits(|limits| limits.request_copy_bytes = 6).start().await;
    let first = tokio::spawn(proxy.ask("GET", "/v1/models").send());
    let mut connection = openai.accept().await;
    connection.read_until("\r\n\r\n").await;
    connection.send(GOOD).await;
    assert_eq!(first.await.expect("no panic").status, 200);
    let asked = tokio::spawn(proxy.ask("POST", RESPONSES).json(&json!({"n": 2})).send());
    connection.read_until("{\"n\":2}").await;
    drop(connection);
    let answer = asked.await.expect("no panic");
    assert_eq!((answer.status, answer.header("proxy-status")), FAILED);
    proxy.finish().await;
}
