//! The built binary as a Lambda `bootstrap`, seen from the Function URL, the bucket and stdout.
//!
//! Lambda is the emulator of `benches`; what the real one does differently is not known here.

use std::time::Duration;

use benches::upstream::FakeOpenAi;
use schemas::journal::Fate;
use serde_json::{Value, json};

use crate::common::aws::Moto;
use crate::common::client::Answer;
use crate::common::function::Deployed;
use crate::common::wire::RawUpstream;
use crate::common::{CHAT, KEY, RESPONSES, until, within};

/// Fault at OpenAI; status; outcome in the record.
const OUTCOMES: [(&str, u16, &str); 14] = [
    ("good", 200, "openai - complete"),
    ("quote", 200, "openai - complete"),
    ("http-429", 429, "openai openai rate_limit_exceeded - complete"),
    ("http-500", 500, "openai openai server_error - complete"),
    ("http-503", 503, "openai openai server_is_overloaded - complete"),
    ("edge-502", 502, "openai openai_edge edge_502 - complete"),
    ("failed", 200, "openai openai server_error response.failed complete"),
    ("error-event", 200, "openai openai server_error error complete"),
    ("incomplete", 200, "openai openai max_output_tokens response.incomplete complete"),
    ("cut-clean", 200, "openai openai upstream_cut http_response_incomplete upstream_cut"),
    ("cut-abrupt", 200, "openai openai upstream_cut http_response_incomplete upstream_cut"),
    ("completed-open", 200, "openai - complete"),
    ("reset", 502, "proxy network proxy_upstream_failed connection_terminated complete"),
    ("random", 200, "openai - complete"),
];

#[tokio::test]
async fn every_outcome_is_answered_as_openai_does_and_named_in_one_record() {
    // Long enough for the rows that end by themselves; `completed-open` waits for the guard.
    let function = Deployed::start(|function| function.timeout(Duration::from_secs(6))).await;
    for (fault, status, _) in OUTCOMES {
        let answer = function.turn(RESPONSES, fault, true).named(fault).send().await;
        function.rest().await;
        assert_eq!((answer.status, answer.is_whole), (status, true), "{fault}");
        let origin = if fault == "reset" { "proxy" } else { "openai" };
        assert_eq!(answer.header("x-codex-proxy-origin"), Some(origin), "{fault}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains("Lambda-Runtime-Function-Error"), "no error became a body: {fault}");
    }
    let left = function.left().await;
    assert_eq!(left.logs.0.len(), OUTCOMES.len());
    for (fault, status, outcome) in OUTCOMES {
        let logged = left.logs.named(fault);
        assert_eq!((logged.record.status, logged.outcome().as_str()), (status, outcome), "{fault}");
        let invocation = logged.record.lambda_request_id.as_deref();
        let known = function.lambda.invocations();
        assert!(known.iter().any(|i| Some(i.request_id.as_str()) == invocation), "{fault}");
    }
    assert_eq!(function.lambda.environments().len(), 1, "one environment served them all");
    assert_eq!((left.started.len(), left.ended.len()), (OUTCOMES.len(), OUTCOMES.len()));
    assert!(left.ended.iter().all(|line| line.record == Fate::Stored && line.log_spills == 0));
    let failed = left.ended.iter().filter(|line| line.errors == 1).count();
    assert_eq!(failed, OUTCOMES.iter().filter(|(.., o)| *o != "openai - complete").count());
}

#[tokio::test]
async fn bodies_arrive_byte_for_byte_and_what_openai_sees_is_the_request() {
    let function = Deployed::start(|function| function).await;
    for seed in 0..20 {
        let ask = function.turn(RESPONSES, "random", true).header("x-fake-seed", &seed.to_string());
        let answer = ask.send().await;
        let expected = benches::upstream::random_body(seed, 65_536);
        assert!(answer.body.starts_with(&expected), "seed {seed}");
    }
    let odd = function.ask("POST", "//v1/responses?a=%20b&c=/../").header("cookie", "a=1; b=2");
    odd.header("content-type", "application/octet-stream").body(vec![0, 255, 13, 10]).send().await;
    let seen = function.fake.requests().pop().expect("it arrived");
    assert_eq!(seen.path_and_query, "/v1/responses?a=%20b&c=/../");
    assert_eq!(&seen.body[..], [0, 255, 13, 10]);
    assert_eq!(seen.headers["cookie"], "a=1; b=2");
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("x-forwarded-")));
    function.left().await;
}

#[tokio::test]
async fn events_pass_one_by_one_while_the_answer_is_still_being_made() {
    let function = Deployed::start(|function| function).await;
    let mut answer = function.turn(RESPONSES, "idle", true).open().await;
    answer.read_until("response.created").await;
    drop(answer);
    let openai_said_more = function.fake.open_streams();
    assert_eq!(openai_said_more, 1, "the answer is not over");
}

#[tokio::test]
async fn a_body_without_a_byte_gets_one_newline_and_its_record_says_so() {
    let function = Deployed::start(|function| function).await;
    for fault in ["http-500-empty", "empty-200"] {
        let answer = function.turn(CHAT, fault, false).named(fault).send().await;
        assert_eq!((answer.text(), answer.is_whole), ("\n", true), "{fault}");
    }
    // `codex doctor` asks so.
    let head = function.ask("HEAD", RESPONSES).without_token().send().await;
    assert_eq!((head.status, head.text()), (401, ""));
    let left = function.left().await;
    assert_eq!(left.logs.0.len(), 3);
    for logged in &left.logs.0 {
        let record = &logged.record;
        assert!(record.padded && record.response_bytes == 0 && record.response_body.is_empty());
    }
}

#[tokio::test]
async fn connections_that_died_while_the_environment_was_frozen_cost_no_request() {
    let (openai, fake) = (RawUpstream::start().await, FakeOpenAi::start().await);
    let fake = fake.expect("a free loopback port");
    let function = Deployed::before(fake, &openai.url(), |function| function).await;
    let good = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let first = tokio::spawn(function.turn(CHAT, "good", false).named("first").send());
    let mut connection = openai.accept().await;
    connection.read_until("Hello").await;
    connection.send(good).await;
    first.await.expect("no panic");

    // Closed in the freeze: the function cannot see it before it is thawed.
    function.rest().await;
    drop(connection);
    let second = tokio::spawn(function.turn(CHAT, "good", false).named("second").send());
    let mut connection = openai.accept().await;
    connection.read_until("Hello").await;
    connection.send(good).await;
    assert_eq!(second.await.expect("no panic").status, 200);

    // Closed only when the request is there: nothing but its silence tells.
    function.rest().await;
    let third = tokio::spawn(function.turn(CHAT, "good", false).named("third").send());
    connection.read_until("Hello").await;
    drop(connection);
    let mut fresh = openai.accept().await;
    fresh.read_until("Hello").await;
    fresh.send(good).await;
    assert_eq!(third.await.expect("no panic").status, 200);
    let left = function.left().await;
    assert_eq!(left.logs.0.len(), 3);
    assert_eq!(function.lambda.environments().len(), 1);
}

#[tokio::test]
async fn a_wrong_setting_is_answered_logged_and_named_and_the_environment_lives() {
    for (name, value) in [
        ("CODEX_PROXY_LOGS", ""),
        ("CODEX_PROXY_LOGS", "my-bucket"),
        ("CODEX_PROXY_LOGS", "s3://My_Bucket"),
        ("CODEX_PROXY_TOKENS", "redis://tokens"),
        ("CODEX_PROXY_UPSTREAM", "api.openai.com"),
        ("OPENAI_API_KEY", "sk canary"),
        ("OPENAI_API_KEY", ""),
        ("OPENAI_API_KEY_SECRET", "sk-canary-in-the-wrong-place"),
        ("LOG_BODY", "some"),
        ("LOG_KMS_KEY_ARN", "my-key"),
        ("LOG_KMS_KEY_ARN", "arn:aws:s3:::my-bucket"),
    ] {
        let function = Deployed::start(|function| function.env(name, value)).await;
        for _ in 0..2 {
            let answer = function.turn(RESPONSES, "good", true).send().await;
            assert_eq!((answer.status, message(&answer).as_str()), (503, "internal error"));
            assert_eq!(answer.header("retry-after"), Some("30"), "{name}");
            function.rest().await;
        }
        let left = function.left().await;
        assert_eq!(left.logs.0.len() + left.spilled.len(), 2, "{name}={value}");
        let said_name = if value.is_empty() && name == "OPENAI_API_KEY" {
            "OPENAI_API_KEY_SECRET"
        } else {
            name
        };
        assert!(left.stderr.contains(said_name), "{name}: {}", left.stderr);
        assert!(!left.stderr.contains("canary"), "{name}: {}", left.stderr);
        for logged in left.logs.0.iter().chain(&left.spilled) {
            assert!(logged.outcome().starts_with("proxy proxy proxy_internal"), "{name}");
        }
        assert!(function.fake.requests().is_empty(), "nothing was forwarded");
        assert_eq!(function.lambda.environments().len(), 1, "the environment lives");
    }
}

#[tokio::test]
async fn events_that_no_client_could_send_are_refused_and_recorded() {
    let function = Deployed::start(|function| function).await;
    let event = |change: &dyn Fn(&mut Value)| {
        let mut event = json!({
            "version": "2.0", "rawPath": "/v1/responses", "rawQueryString": "",
            "headers": {"authorization": format!("Bearer {}", function.token)},
            "requestContext": {"http": {"method": "POST", "sourceIp": "192.0.2.7"}},
            "body": "{}", "isBase64Encoded": false,
        });
        change(&mut event);
        event.to_string()
    };
    let cases: [&dyn Fn(&mut Value); 7] = [
        &|event| event["isBase64Encoded"] = json!(true),
        &|event| event["rawPath"] = json!("v1/responses"),
        &|event| event["rawPath"] = json!("/v1/../admin\r\nhost: evil"),
        &|event| event["headers"]["a b"] = json!("x"),
        &|event| event["headers"]["x"] = json!("a\r\nx-injected: 1"),
        &|event| event["requestContext"]["http"]["method"] = json!("P OST"),
        &|event| *event = json!({"key1": "a test from the console"}),
    ];
    for change in cases {
        let invoked = within(function.lambda.invoke(event(change))).await.expect("a free slot");
        let prelude = invoked.prelude.expect("a prelude");
        let prelude: Value = serde_json::from_slice(&prelude).expect("a prelude is JSON");
        assert_eq!(prelude["statusCode"], 400, "{prelude}");
        assert!(String::from_utf8_lossy(&invoked.body).contains("proxy_malformed_request"));
    }
    let odd = [format!("{}1{}", "[".repeat(200), "]".repeat(200)), r#"{"a":"\ud800"}"#.to_owned()];
    for event in odd.iter().cloned().chain([r#"{"a":1e999}"#.to_owned()]) {
        let invoked = within(function.lambda.invoke(event)).await.expect("a free slot");
        assert!(String::from_utf8_lossy(&invoked.body).contains("proxy_malformed_request"));
    }
    let decoded = event(&|event| event["rawPath"] = json!("/v1/files/ä b"));
    within(function.lambda.invoke(decoded)).await.expect("a free slot");
    assert_eq!(function.fake.requests()[0].path_and_query, "/v1/files/%C3%A4%20b");
    assert_eq!(function.fake.requests().len(), 1);
    let left = function.left().await;
    assert_eq!(left.logs.0.len(), cases.len() + 4);
}

#[tokio::test]
async fn above_the_concurrency_limit_lambda_answers_and_nothing_of_ours_knows() {
    let function = Deployed::start(|function| function.concurrency(1)).await;
    let mut busy = function.turn(RESPONSES, "idle", true).open().await;
    busy.read_until("response.created").await;
    let refused = function.turn(RESPONSES, "good", true).send().await;
    assert_eq!((refused.status, refused.header("x-codex-proxy-origin")), (429, None));
    until(|| function.lambda.invocations().len() == 1).await;
}

#[tokio::test]
async fn a_function_lives_on_dynamodb_and_secrets_manager() {
    let Some(moto) = Moto::start() else { return };
    moto.table("codex-proxy-tokens").await;
    moto.row(
        "codex-proxy-tokens",
        &[("token", "an-old-token"), ("enabled", "true"), ("developer", "dev-07")],
    )
    .await;
    moto.row(
        "codex-proxy-tokens",
        &[("token", "a-disabled-one"), ("enabled", "false"), ("developer", "dev-08")],
    )
    .await;
    let secret = moto.secrets().create_secret().name("codex-proxy/openai-key").secret_string(KEY);
    secret.send().await.expect("a secret");
    let function = Deployed::start(|function| {
        function
            .env("CODEX_PROXY_TOKENS", "")
            .env("OPENAI_API_KEY", "")
            .env("OPENAI_API_KEY_SECRET", "codex-proxy/openai-key")
            .env("AWS_ENDPOINT_URL", moto.url())
    })
    .await;
    let good =
        function.turn(RESPONSES, "good", true).token("an-old-token").named("good").send().await;
    assert_eq!(good.status, 200);
    assert_eq!(function.fake.requests()[0].headers["authorization"], format!("Bearer {KEY}"));
    let bad =
        function.turn(RESPONSES, "good", true).token("a-disabled-one").named("bad").send().await;
    assert_eq!((bad.status, message(&bad).as_str()), (401, "invalid or disabled token"));
    let left = function.left().await;
    let developer = |name| left.logs.named(name).record.developer.clone();
    assert_eq!(
        (developer("good").as_deref(), developer("bad").as_deref()),
        (Some("dev-07"), Some("dev-08"))
    );
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}
