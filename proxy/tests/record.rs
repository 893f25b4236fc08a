//! One exchange, one record: complete, valid, and without a secret in it.

use std::collections::HashSet;
use std::io::Read as _;

use benches::upstream::{BYTES_HEADER, FAULTS, TOKENS};
use futures::future::join_all;
use proxy::settings::LogBody;
use schemas::record::{Encoding, Usage};
use schemas::render::json_schema;

use crate::common::client::Ask;
use crate::common::logs::{Logged, Logs};
use crate::common::wire::{RawUpstream, Wire};
use crate::common::{CHAT, KEY, RESPONSES, Setup};
use crate::outcomes::check_key;

/// Faults that wait until somebody gives up.
const SILENT: &[&str] = &["failed-open", "idle", "idle-after-headers", "completed-open"];

#[tokio::test]
async fn n_exchanges_of_every_kind_leave_n_valid_records_without_a_secret() {
    let proxy = Setup::new().start().await;
    let faults = FAULTS.iter().map(|fault| fault.name).filter(|name| !SILENT.contains(name));
    let mut asked = Vec::new();
    for fault in faults.chain(["good"]) {
        for target in [RESPONSES, CHAT, "/v1/models", "/elsewhere"] {
            for stream in [true, false] {
                asked.push(proxy.turn(target, fault, stream).delay_ms(1));
            }
        }
    }
    asked.push(proxy.ask("POST", RESPONSES).without_token());
    asked.push(proxy.ask("POST", RESPONSES).token(&proxy.disabled));
    asked.push(proxy.ask("POST", RESPONSES).token("some-old-plaintext-token"));
    asked.push(proxy.ask("GET", "/"));
    asked.push(proxy.ask("HEAD", "/"));
    asked.push(proxy.ask("DELETE", "/v1/../x"));
    asked.push(proxy.ask("POST", RESPONSES).body("not json"));
    asked.push(proxy.ask("POST", RESPONSES).body(vec![0xff, 0xfe]));
    let count = asked.len();
    let answers = join_all(asked.into_iter().map(Ask::send)).await;
    let secrets = [KEY, &proxy.token, &proxy.disabled, "some-old-plaintext-token"];
    let secrets = secrets.map(str::to_owned);
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), count);
    let ids = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect::<HashSet<_>>();
    let told = ids(answers.iter().filter_map(|a| a.header("x-codex-proxy-exchange-id")).collect());
    let logged = ids(logs.0.iter().map(|logged| logged.record.exchange_id.as_str()).collect());
    assert_eq!(told, logged, "every answer has its record");
    assert_eq!(logged.len(), count);

    let schema = serde_json::from_str(&json_schema()).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a JSON Schema");
    for logged in &logs.0 {
        let json = serde_json::from_slice(&logged.json).expect("a record is JSON");
        let errors: Vec<_> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        check_key(logged);
        assert_no_secret(logged, &secrets);
    }
}

fn assert_no_secret(logged: &Logged, secrets: &[String]) {
    let text = String::from_utf8_lossy(&logged.json);
    for secret in secrets {
        assert!(!text.contains(secret), "{}", logged.name);
        assert!(!logged.name.contains(secret), "{}", logged.name);
    }
}

#[tokio::test]
async fn a_secret_is_masked_wherever_it_stands_and_the_answer_is_not_edited() {
    let proxy = Setup::new().start().await;
    let token = proxy.token.clone();
    for (target, stream) in [(RESPONSES, true), (RESPONSES, false), (CHAT, true), (CHAT, false)] {
        let name = format!("echo {target} {stream}");
        let answer = proxy.turn(target, "echo-authorization", stream).named(&name).send().await;
        assert!(answer.text().contains(KEY), "what OpenAI said is not edited");
    }
    let good = || proxy.turn(RESPONSES, "good", true);
    good().named("clean").send().await;
    good().named("agent").header("user-agent", &format!("x/{token}")).send().await;
    good().named("originator").header("originator", KEY).send().await;
    let metadata = format!(r#"{{"turn_id":"{token}"}}"#);
    good().named("turn").header("x-codex-turn-metadata", &metadata).send().await;
    let filler = "x".repeat(512 - 30);
    good().named("cut").header("user-agent", &format!("{filler}{token}")).send().await;
    let model = serde_json::json!({"model": token, "stream": true});
    good().named("model").json(&model).send().await;
    proxy.ask("GET", &format!("/v1/models?key={token}")).named("query").send().await;
    let target = format!("/v1/models?key={token}");
    proxy.ask("GET", &target).without_token().named("no header").send().await;
    let target = format!("/v1/{}/{token}", "x".repeat(2_048 - 20));
    proxy.ask("GET", &target).named("path").send().await;
    proxy.ask(&token, "/v1/models").named("method").send().await;
    good().named(&token).send().await;

    let secrets = [KEY.to_owned(), token.clone(), token[..20].to_owned()];
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), 15);
    for logged in &logs.0 {
        assert_no_secret(logged, &secrets);
        let is_masked = String::from_utf8_lossy(&logged.json).contains("[redacted]");
        assert_eq!(logged.record.redacted, is_masked, "{}", String::from_utf8_lossy(&logged.json));
    }
    let clean: Vec<_> = logs.0.iter().filter(|logged| !logged.record.redacted).collect();
    let names: Vec<_> =
        clean.iter().filter_map(|l| l.record.client.session_id.as_deref()).collect();
    assert_eq!(names, ["clean"], "and nothing else is masked");
}

#[tokio::test]
async fn the_first_four_kilobytes_of_an_object_say_everything_but_the_body() {
    let proxy = Setup::new().start().await;
    let ask = proxy.turn(RESPONSES, "random", true).header(BYTES_HEADER, "2000000");
    ask.send().await;
    let logs = proxy.finish().await;
    let logged = logs.only();
    assert!(logged.object.len() > 100_000);
    let mut decoder = zstd::Decoder::new(&logged.object[..4096]).expect("a frame");
    let (mut head, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = decoder.read(&mut piece) {
        head.extend_from_slice(&piece[..length]);
    }
    let head = String::from_utf8_lossy(&head);
    for part in
        ["\"usage\":{\"input_tokens\":36", "\"response_bytes\":2000000,", "\"response_body\":"]
    {
        assert!(head.contains(part), "{part} in {head}");
    }
    let size = zstd::zstd_safe::get_frame_content_size(&logged.object).expect("a frame");
    assert_eq!(size, Some(logged.json.len() as u64));
}

#[tokio::test]
async fn model_stream_and_usage_are_read_in_both_apis() {
    let proxy = Setup::new().start().await;
    let forms = [(RESPONSES, true), (RESPONSES, false), (CHAT, true), (CHAT, false)];
    for (target, stream) in forms {
        proxy.turn(target, "good", stream).named(&format!("{target} {stream}")).send().await;
    }
    proxy.ask("GET", "/v1/models").named("models").send().await;
    let logs = proxy.finish().await;
    let usage = Usage {
        input_tokens: Some(TOKENS.input),
        cached_input_tokens: Some(TOKENS.cached_input),
        output_tokens: Some(TOKENS.output),
        reasoning_tokens: Some(TOKENS.reasoning),
        total_tokens: Some(TOKENS.total()),
    };
    for (target, stream) in forms {
        let record = &logs.named(&format!("{target} {stream}")).record;
        assert_eq!(record.usage, Some(usage), "{target} {stream}");
        assert_eq!((record.model.as_deref(), record.stream), (Some("gpt-5.5"), Some(stream)));
    }
    let models = &logs.named("models").record;
    assert_eq!((models.usage, models.model.as_deref(), models.stream), (None, None, None));
}

#[tokio::test]
async fn both_spellings_of_the_correlation_headers_are_kept() {
    let proxy = Setup::new().start().await;
    let agent = "codex_exec/0.169.0 (Debian 12.0.0; x86_64)";
    let turn = r#"{"turn_id":"t-1","x":1}"#;
    for name in ["session-id", "session_id", "conversation_id"] {
        let ask = proxy.turn(RESPONSES, "good", true).header(name, name);
        let ask = ask.header("user-agent", agent).header("x-codex-turn-metadata", turn);
        ask.header("originator", "codex_exec").send().await;
    }
    let logs = proxy.finish().await;
    for name in ["session-id", "session_id", "conversation_id"] {
        let record = &logs.named(name).record;
        let client = &record.client;
        assert_eq!(client.user_agent.as_deref(), Some(agent));
        assert_eq!(client.version.as_deref(), Some("0.169.0"));
        assert_eq!(client.turn_id.as_deref(), Some("t-1"));
        assert_eq!(client.originator.as_deref(), Some("codex_exec"));
        assert_eq!(client.ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(record.developer.as_deref(), Some("dev-01"));
    }
}

#[tokio::test]
async fn of_a_long_body_the_beginning_is_stored_and_the_end_is_still_read() {
    let proxy = Setup::new().limits(|limits| limits.response_log_bytes = 1_000).start().await;
    let good = proxy.turn(RESPONSES, "good", true).named("good").send().await;
    let failed = proxy.turn(RESPONSES, "failed", true).named("failed").send().await;
    let whole = proxy.turn(RESPONSES, "good", false).named("whole").send().await;
    let logs = proxy.finish().await;
    for (name, answer, outcome) in [
        ("good", good, "openai - complete"),
        ("failed", failed, "openai openai server_error response.failed complete"),
        ("whole", whole, "openai - complete"),
    ] {
        let logged = logs.named(name);
        assert_eq!(logged.outcome(), outcome);
        assert!(logged.record.response_truncated, "{name}");
        assert_eq!(logged.record.response_bytes, answer.body.len() as u64, "{name}");
        assert_eq!(logged.record.response_body.as_bytes(), &answer.body[..1_000], "{name}");
    }
    let usage = logs.named("good").record.usage.expect("it stands in the last event");
    assert_eq!(usage.total_tokens, Some(TOKENS.total()));
}

#[tokio::test]
async fn a_request_over_the_copy_limit_passes_and_its_model_is_unknown() {
    let proxy = Setup::new().limits(|limits| limits.request_copy_bytes = 50).start().await;
    let answer = proxy.turn(RESPONSES, "good", true).send().await;
    assert_eq!(answer.status, 200);
    let logs = proxy.finish().await;
    let record = &logs.only().record;
    assert_eq!((record.model.as_deref(), record.stream), (None, None));
    assert!(record.request_bytes > 50);
}

#[tokio::test]
async fn a_body_that_is_no_text_is_kept_as_base64() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let answer = async {
        let mut forwarded = openai.accept().await;
        forwarded.read_until("\r\n\r\n").await;
        forwarded.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\x00\x01\xfe").await;
        forwarded
    };
    let (answer, _) = tokio::join!(proxy.ask("GET", "/v1/files/1/content").send(), answer);
    assert_eq!(answer.body, b"\xff\x00\x01\xfe");
    let logs = proxy.finish().await;
    let record = &logs.only().record;
    assert_eq!(record.response_encoding, Encoding::Base64);
    assert_eq!(record.response_body, "/wAB/g==");
}

#[tokio::test]
async fn an_error_that_is_not_the_exchanges_own_is_none() {
    for (method, path, body) in [
        (
            "GET",
            "/v1/fine_tuning/jobs/1",
            r#"{"status":"succeeded","error":{"code":null,"message":null,"param":null}}"#,
        ),
        (
            "GET",
            "/v1/responses/resp_1",
            r#"{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"x"}}"#,
        ),
        ("GET", "/v1/files/1/content", "data: {\"error\":{\"message\":\"internal error\"}}\n\n"),
        ("POST", "/v1/embeddings", r#"{"message":"ok"}"#),
        (
            "POST",
            RESPONSES,
            r#"{"id":"r","object":"response","status":"completed","error":{},"usage":null}"#,
        ),
    ] {
        let openai = RawUpstream::start().await;
        let proxy = Setup::new().upstream(openai.url()).start().await;
        let answer = async {
            let mut forwarded = openai.accept().await;
            forwarded.read_until("\r\n\r\n").await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            forwarded.send(format!("{head}{body}")).await;
            forwarded
        };
        let _ = tokio::join!(proxy.ask(method, path).send(), answer);
        let logs = proxy.finish().await;
        assert_eq!(logs.only().record.error, None, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn log_body_is_obeyed_and_everything_else_is_known() {
    for (log_body, of_success, of_error) in
        [(LogBody::Full, true, true), (LogBody::Errors, false, true), (LogBody::None, false, false)]
    {
        let logs = two_exchanges(log_body).await;
        for (name, is_kept) in [("good", of_success), ("failed", of_error)] {
            let record = &logs.named(name).record;
            assert_eq!(!record.response_body.is_empty(), is_kept, "{log_body:?} {name}");
            assert!(record.response_bytes > 0 && !record.response_truncated, "{log_body:?} {name}");
            let json = String::from_utf8_lossy(&logs.named(name).json).into_owned();
            assert_eq!(json.contains("output_text"), is_kept, "{log_body:?} {name}");
        }
        assert!(logs.named("good").record.usage.is_some());
        assert!(logs.named("failed").record.error.is_some());
    }
}

#[tokio::test]
async fn request_bodies_are_logged_only_when_asked_for_and_without_secrets() {
    for (setup, is_kept) in [(Setup::new(), false), (Setup::new().log_request_body(), true)] {
        let proxy = setup.start().await;
        let body = format!("{{\"model\":\"gpt-5.5\",\"input\":\"my token: {}\"}}", proxy.token);
        proxy.ask("POST", RESPONSES).body(body.clone()).send().await;
        let token = proxy.token.clone();
        let logs = proxy.finish().await;
        let record = &logs.only().record;
        let expected = is_kept.then(|| body.replace(&token, "[redacted]"));
        assert_eq!(record.request_body, expected);
        assert_eq!(record.redacted, is_kept);
    }
}

async fn two_exchanges(log_body: LogBody) -> Logs {
    let proxy = Setup::new().log_body(log_body).start().await;
    proxy.turn(RESPONSES, "good", true).named("good").send().await;
    proxy.turn(RESPONSES, "failed", true).named("failed").send().await;
    proxy.finish().await
}

#[tokio::test]
async fn a_hundred_requests_of_one_millisecond_leave_a_hundred_records() {
    let proxy = Setup::new().start().await;
    let mut wire = Wire::connect(proxy.address).await;
    // Pipelined on one connection: as fast as they can be read.
    let one = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    wire.send(format!("{}GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", one.repeat(99)))
        .await;
    let answers = wire.read_to_end().await;
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 100);
    assert_eq!(proxy.finish().await.0.len(), 100);
}

#[tokio::test]
async fn what_is_presented_wrongly_is_no_less_secret() {
    for authorization in [
        "authorization: old-token-4f9d1c\r\n",
        "authorization: Basic old-token-4f9d1c\r\n",
        "authorization: Bearer old-token-4f9d1c\r\nauthorization: Bearer second-4f9d1c\r\n",
    ] {
        let proxy = Setup::new().start().await;
        let mut wire = Wire::connect(proxy.address).await;
        let target = "/v1/models?t=old-token-4f9d1c&key=sk-canary-4f9d1c7a2b6e8053d1";
        wire.send(format!("GET {target} HTTP/1.1\r\nhost: x\r\n{authorization}\r\n")).await;
        wire.read_until("\r\n\r\n").await;
        let logs = proxy.finish().await;
        let record = &logs.only().record;
        let text = serde_json::to_string(record).expect("a record is JSON");
        assert!(!text.contains("4f9d1c") && record.redacted, "{text}");
    }
}
