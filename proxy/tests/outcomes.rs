//! Every row of the table of outcomes that a server can see: what the client gets, what is logged.

use std::time::Duration;

use futures::future::join_all;
use schemas::origin::Origin;

use crate::common::client::Answer;
use crate::common::logs::Logged;
use crate::common::wire::{RawUpstream, Wire};
use crate::common::{CHAT, RESPONSES, Running, Setup, until};

/// In which of the two APIs, streamed or not, a fault shows.
const EVERYWHERE: &[(&str, bool)] =
    &[(RESPONSES, true), (RESPONSES, false), (CHAT, true), (CHAT, false)];
const STREAMED: &[(&str, bool)] = &[(RESPONSES, true), (CHAT, true)];
const WHOLE: &[(&str, bool)] = &[(RESPONSES, false), (CHAT, false)];
const RESPONSES_STREAMED: &[(&str, bool)] = &[(RESPONSES, true)];
const RESPONSES_WHOLE: &[(&str, bool)] = &[(RESPONSES, false)];
const RESPONSES_BOTH: &[(&str, bool)] = &[(RESPONSES, true), (RESPONSES, false)];
const CHAT_STREAMED: &[(&str, bool)] = &[(CHAT, true)];
const CHAT_BOTH: &[(&str, bool)] = &[(CHAT, true), (CHAT, false)];

type Row = (&'static str, &'static [(&'static str, bool)], &'static str);

const CUT: &str = "200 openai openai upstream_cut http_response_incomplete upstream_cut";
const IDLE: &str = "200 openai openai upstream_idle http_response_timeout upstream_cut";

/// `status origin error.origin error.code error.detail ending` by fault.
const ANSWERED: &[Row] = &[
    ("good", EVERYWHERE, "200 openai - complete"),
    ("quote", EVERYWHERE, "200 openai - complete"),
    ("slow-stream", EVERYWHERE, "200 openai - complete"),
    ("random", RESPONSES_BOTH, "200 openai - complete"),
    ("http-400", EVERYWHERE, "400 openai openai invalid_value - complete"),
    ("http-400-context", EVERYWHERE, "400 openai openai context_length_exceeded - complete"),
    ("http-401", EVERYWHERE, "401 openai openai invalid_api_key - complete"),
    ("http-403", EVERYWHERE, "403 openai openai model_not_found - complete"),
    ("http-404", EVERYWHERE, "404 openai openai model_not_found - complete"),
    ("http-429", EVERYWHERE, "429 openai openai rate_limit_exceeded - complete"),
    ("http-429-quota", EVERYWHERE, "429 openai openai insufficient_quota - complete"),
    ("http-500", EVERYWHERE, "500 openai openai server_error - complete"),
    ("http-500-empty", EVERYWHERE, "500 openai openai http_500 - complete"),
    ("http-503", EVERYWHERE, "503 openai openai server_is_overloaded - complete"),
    ("http-503-other", EVERYWHERE, "503 openai openai service_unavailable_error - complete"),
    ("edge-502", EVERYWHERE, "502 openai openai_edge edge_502 - complete"),
    ("edge-520", EVERYWHERE, "520 openai openai_edge edge_520 - complete"),
    ("html-200", EVERYWHERE, "200 openai openai_edge edge_200 - complete"),
    ("failed", RESPONSES_STREAMED, "200 openai openai server_error response.failed complete"),
    ("failed", RESPONSES_WHOLE, "200 openai openai server_error - complete"),
    ("failed", CHAT_STREAMED, "200 openai openai server_error error complete"),
    (
        "failed-rate-limit",
        RESPONSES_STREAMED,
        "200 openai openai rate_limit_exceeded response.failed complete",
    ),
    (
        "failed-invalid-prompt",
        RESPONSES_STREAMED,
        "200 openai openai invalid_prompt response.failed complete",
    ),
    ("error-event", STREAMED, "200 openai openai server_error error complete"),
    ("error-event-nested", STREAMED, "200 openai openai server_error error complete"),
    (
        "incomplete",
        RESPONSES_BOTH,
        "200 openai openai max_output_tokens response.incomplete complete",
    ),
    (
        "incomplete-content-filter",
        RESPONSES_BOTH,
        "200 openai openai content_filter response.incomplete complete",
    ),
    // Chat Completions tells it as a finish reason: the answer is complete.
    ("incomplete", CHAT_BOTH, "200 openai - complete"),
    ("cut-clean", EVERYWHERE, CUT),
    ("cut-abrupt", EVERYWHERE, CUT),
    ("cut-json", EVERYWHERE, CUT),
    // An answer that an object cannot tell is half of one.
    ("error-event", WHOLE, CUT),
    ("empty-200", EVERYWHERE, CUT),
    ("reset", EVERYWHERE, "502 proxy network proxy_upstream_failed connection_terminated complete"),
];

/// The same where OpenAI stays silent for longer than the proxy waits.
const SILENT: &[Row] = &[
    ("idle", EVERYWHERE, IDLE),
    ("idle-after-headers", EVERYWHERE, IDLE),
    ("completed-open", STREAMED, "200 openai - complete"),
    ("failed-open", RESPONSES_STREAMED, "200 openai openai server_error response.failed complete"),
];

/// Faults that the client must see as a broken connection, and not as a clean end.
const BREAKS: &[&str] =
    &["cut-abrupt", "cut-json", "idle", "idle-after-headers", "completed-open", "failed-open"];

#[tokio::test]
async fn what_openai_answers_is_passed_on_and_named_in_the_record() {
    prove(Setup::new().start().await, ANSWERED).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_broken_off_and_named_in_the_record() {
    let proxy = Setup::new().timeouts(|t| t.idle = Duration::from_millis(800)).start().await;
    prove(proxy, SILENT).await;
}

#[tokio::test]
async fn an_answer_that_begins_too_late_is_a_gateway_timeout() {
    let rows: &[Row] = &[(
        "slow-first-byte",
        EVERYWHERE,
        "504 proxy network proxy_upstream_failed http_response_timeout complete",
    )];
    let proxy = Setup::new().timeouts(|t| t.first_byte = Duration::from_millis(100)).start().await;
    prove(proxy, rows).await;
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_the_networks_failure() {
    for (url, detail) in [
        ("http://127.0.0.1:1", "connection_refused"),
        ("http://nonexistent.invalid", "dns_error"),
        ("https://nonexistent.invalid", "dns_error"),
    ] {
        let line = format!("502 proxy network proxy_upstream_failed {detail} complete");
        prove_one(Setup::new().upstream(url).start().await, &line).await;
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_no_tls_is_the_networks_failure() {
    let plain = benches::upstream::FakeOpenAi::start().await.expect("a free loopback port");
    let url = plain.url().replace("http://", "https://");
    let line = "502 proxy network proxy_upstream_failed tls_protocol_error complete";
    prove_one(Setup::new().upstream(url).start().await, line).await;
}

#[tokio::test]
async fn an_upstream_that_speaks_no_http_is_the_networks_failure() {
    let ssh = RawUpstream::start().await;
    let proxy = Setup::new().upstream(ssh.url()).start().await;
    let greet = async {
        let mut connection = ssh.accept().await;
        connection.send("SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
        connection.read_until("Hello").await
    };
    let (answer, _) = tokio::join!(proxy.turn(RESPONSES, "good", true).send(), greet);
    assert_eq!(answer.status, 502);
    let logs = proxy.finish().await;
    let expected = "proxy network proxy_upstream_failed http_protocol_error complete";
    assert_eq!(logs.only().outcome(), expected);
}

async fn prove_one(proxy: Running, expected: &str) {
    for (target, stream) in EVERYWHERE {
        let name = format!("{target} {stream}");
        let answer = proxy.turn(target, "good", *stream).named(&name).send().await;
        assert!(expected.starts_with(&answer.status.to_string()), "{}", answer.status);
        check_marks(&answer, None);
    }
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), EVERYWHERE.len());
    for logged in &logs.0 {
        assert_eq!(format!("{} {}", logged.record.status, logged.outcome()), expected);
        check_key(logged);
    }
}

/// Asks every row at once, then looks at every answer and its record.
async fn prove(proxy: Running, rows: &[Row]) {
    let cases: Vec<_> = rows
        .iter()
        .flat_map(|(fault, forms, expected)| {
            forms.iter().map(move |(target, stream)| (*fault, *target, *stream, *expected))
        })
        .collect();
    let name = |fault: &str, target: &str, stream| format!("{fault} {target} {stream}");
    let asked = cases.iter().map(|(fault, target, stream, _)| {
        let ask = proxy.turn(target, fault, *stream).delay_ms(if fault.contains("byte") {
            5_000
        } else {
            1
        });
        ask.named(&name(fault, target, *stream)).send()
    });
    let answers = join_all(asked).await;
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), cases.len(), "as many records as exchanges");
    for ((fault, target, stream, expected), answer) in cases.iter().zip(&answers) {
        let name = name(fault, target, *stream);
        let logged = logs.named(&name);
        assert_eq!(format!("{} {}", answer.status, logged.outcome()), *expected, "{name}");
        assert_eq!(answer.is_whole, !BREAKS.contains(fault), "{name}");
        assert_eq!(logged.record.response_body.as_bytes(), answer.body, "{name}");
        assert_eq!(logged.record.response_bytes, answer.body.len() as u64, "{name}");
        assert_eq!(logged.record.status, answer.status, "{name}");
        assert_eq!(logged.record.stream, Some(*stream), "{name}");
        check_marks(answer, Some(logged));
        check_key(logged);
    }
}

/// What every answer carries, by its author.
fn check_marks(answer: &Answer, logged: Option<&Logged>) {
    let id = answer.header("x-codex-proxy-exchange-id").expect("every answer names its exchange");
    let request_id = answer.header("x-request-id").expect("every answer has a request id");
    if answer.header("x-codex-proxy-origin") == Some("proxy") {
        assert_eq!(request_id, id);
        let status = answer.header("proxy-status").expect("RFC 9209");
        assert!(status.starts_with("codex-proxy; error="), "{status}");
        assert_eq!(answer.json()["error"]["type"], "proxy_error");
        if let Some(error) = logged.and_then(|logged| logged.record.error.as_ref()) {
            assert_eq!(answer.json()["error"]["code"], error.code);
            assert_eq!(answer.json()["error"]["message"], error.message);
            assert!(error.detail.as_deref().is_none_or(|detail| status.ends_with(detail)));
        }
    } else {
        assert_eq!(answer.header("x-codex-proxy-origin"), Some("openai"));
        assert_eq!(answer.header("proxy-status"), None);
        let upstream = logged.and_then(|logged| logged.record.upstream.as_ref());
        let theirs = upstream.and_then(|upstream| upstream.request_id.as_deref());
        assert_eq!(request_id, theirs.unwrap_or(id));
    }
    if let Some(logged) = logged {
        assert_eq!(logged.record.exchange_id, id);
    }
}

/// The key says what the record says.
pub(crate) fn check_key(logged: &Logged) {
    let record = &logged.record;
    let error = record.error.as_ref();
    let token8 = record.token_id.as_deref().map_or("none", |id| &id[..8]);
    let suffix = error.map(|error| format!(".{}", error.origin)).unwrap_or_default();
    let ending = format!("-{}.{token8}.{:03}{suffix}.json.zst", record.exchange_id, record.status);
    assert!(logged.name.ends_with(&ending), "{} ends with {ending}", logged.name);
    assert_eq!(logged.key.error_origin, error.map(|error| error.origin));
    let by_ms = |time: jiff::Timestamp| time.as_millisecond();
    assert_eq!(by_ms(logged.key.started_at), by_ms(record.started_at));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_headers_is_recorded_as_having_left() {
    let proxy = Setup::new().start().await;
    let mut wire = Wire::connect(proxy.address).await;
    wire.send(by_hand(&proxy, "slow-first-byte", "60000")).await;
    until(|| proxy.fake.requests().len() == 1).await;
    drop(wire);
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "proxy client client_closed - client_closed");
    assert_eq!(logs.only().record.status, 499);
    assert_eq!(logs.only().record.model.as_deref(), Some("gpt-5.5"));
    check_key(logs.only());
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_upload_is_recorded_as_having_left() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    let whole = by_hand(&proxy, "good", "0");
    wire.send(&whole[..whole.len() - 10]).await;
    let mut forwarded = openai.accept().await;
    forwarded.read_until("gpt-5.5").await;
    drop(wire);
    forwarded.read_to_end().await;
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "proxy client client_closed - client_closed");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_terminal_event_is_recorded_as_having_left() {
    let proxy = Setup::new().start().await;
    for (target, first) in [(RESPONSES, "response.output_text.delta"), (CHAT, "content")] {
        let ask = proxy.turn(target, "slow-stream", true).delay_ms(50).named(target);
        let mut answer = ask.open().await;
        answer.read_until(first).await;
    }
    until(|| proxy.fake.open_streams() == 0).await;
    let logs = proxy.finish().await;
    for target in [RESPONSES, CHAT] {
        let logged = logs.named(target);
        assert_eq!(logged.outcome(), "openai client client_closed - client_closed", "{target}");
        assert_eq!(logged.record.status, 200);
        assert!(logged.record.response_body.contains("delta"), "what it got is kept");
        check_key(logged);
    }
}

#[tokio::test]
async fn a_client_that_leaves_right_after_the_terminal_event_got_everything() {
    let proxy = Setup::new().start().await;
    for (target, fault, last) in [
        (RESPONSES, "completed-open", "event: response.completed"),
        (RESPONSES, "failed-open", "event: response.failed"),
        (CHAT, "completed-open", "data: [DONE]"),
    ] {
        let ask = proxy.turn(target, fault, true).named(&format!("{target} {fault}"));
        let mut answer = ask.open().await;
        answer.read_until(last).await;
    }
    until(|| proxy.fake.open_streams() == 0).await;
    let logs = proxy.finish().await;
    let outcome = |name| logs.named(name).outcome();
    assert_eq!(outcome("/v1/responses completed-open"), "openai - complete");
    assert_eq!(outcome("/v1/chat/completions completed-open"), "openai - complete");
    let failed = "openai openai server_error response.failed complete";
    assert_eq!(outcome("/v1/responses failed-open"), failed);
}

/// A streamed turn as bytes, for a client that hangs up.
fn by_hand(proxy: &Running, fault: &str, delay_ms: &str) -> String {
    let body = r#"{"model":"gpt-5.5","stream":true}"#;
    let fault = if fault == "good" { String::new() } else { format!("x-fake-fault: {fault}\r\n") };
    let (token, length) = (&proxy.token, body.len());
    format!(
        "POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{fault}\
         x-fake-delay-ms: {delay_ms}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_client_that_leaves_right_after_its_request_leaves_a_record_too() {
    let proxy = Setup::new().start().await;
    for n in 0..40 {
        let mut wire = Wire::connect(proxy.address).await;
        let body = r#"{"model":"gpt-5.5","stream":true,"input":"Hello"}"#;
        wire.send(format!(
            "POST {RESPONSES} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             session-id: {n}\r\ncontent-length: {}\r\n\r\n{body}",
            proxy.token,
            body.len()
        ))
        .await;
        drop(wire);
    }
    // A connection that was made and left may still wait to be accepted.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), 40);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let patience = std::time::Duration::from_millis(200);
    let proxy = Setup::new().timeouts(|timeouts| timeouts.send = patience).start().await;
    let ask = proxy.turn(RESPONSES, "random", true).header("x-fake-bytes", "60000000");
    let unread = ask.open().await;
    crate::common::until(|| proxy.fake.open_streams() == 0).await;
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "openai client client_closed - client_closed");
    drop(unread);
}

#[tokio::test]
async fn a_client_that_stalls_its_own_request_is_not_the_networks_failure() {
    let proxy = Setup::new().timeouts(|t| t.first_byte = Duration::from_millis(200)).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    let request = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 100\r\n\r\n{{",
        proxy.token
    );
    wire.send(request).await;
    wire.read_until("\r\n\r\n").await;
    let logs = proxy.finish().await;
    let error = logs.only().record.error.as_ref().expect("it failed");
    assert_eq!(error.origin, Origin::Client, "{error:?}");
}

#[tokio::test]
async fn an_upstream_that_is_silent_over_tls_is_a_connection_that_timed_out() {
    let openai = RawUpstream::start().await;
    let url = openai.url().replace("http://", "https://");
    let setup = Setup::new().upstream(url).timeouts(|t| t.connect = Duration::from_millis(200));
    let line = "504 proxy network proxy_upstream_failed connection_timeout complete";
    prove_one(setup.start().await, line).await;
}
