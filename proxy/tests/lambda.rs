//! The built binary as a Lambda `bootstrap`, seen from the Function URL, the bucket and stdout.
//!
//! Lambda is the emulator of `benches`; what the real one does differently is not known here.

use std::collections::HashMap;
use std::time::Duration;

use benches::lambda::{Moment, Order, Outcome, Register};
use benches::s3::{Failure, Operation};
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
async fn the_answer_does_not_wait_for_the_bucket_and_the_environment_does() {
    let function = Deployed::start(|function| function).await;
    function.bucket.fail_next(Operation::Put, Failure::StoredUnanswered, 1);
    let answer = function.turn(RESPONSES, "good", true).send().await;
    assert!(answer.text().contains("event: response.completed"));
    assert!(!function.lambda.environments()[0].is_frozen, "the record is under way");
    let left = function.left().await;
    assert_eq!(left.only().outcome(), "openai - complete");
    assert!(function.bucket.overwritten().is_empty(), "the same key and bytes again");
    assert_eq!(function.bucket.counts().put, 2);
}

#[tokio::test]
async fn what_the_bucket_refuses_for_good_is_spilled_in_full() {
    let function = Deployed::start(|function| function).await;
    function.bucket.fail_next(Operation::Put, Failure::AccessDenied, 99);
    let ask = function.turn(RESPONSES, "random", true).header("x-fake-bytes", "500000");
    let answer = ask.send().await;
    let left = function.left().await;
    assert!(left.logs.0.is_empty());
    assert_eq!(left.spilled.len(), 1);
    let record = &left.spilled[0].record;
    assert_eq!(Some(record.exchange_id.as_str()), answer.header("x-codex-proxy-exchange-id"));
    assert_eq!(record.response_bytes, answer.body.len() as u64);
    let spills = function.lambda.stdout().iter().filter(|l| l.text.contains("log_spilled")).count();
    assert!(spills >= 3, "{spills} lines");
    assert!(function.lambda.stdout().iter().all(|line| line.text.len() <= 200_000));
    assert_eq!((left.ended[0].record, left.ended[0].log_spills), (Fate::Spilled, 1));
    assert!(left.stderr.contains("AccessDenied"), "{}", left.stderr);
}

/// Whatever S3 does and whatever OpenAI does: records and spilled records are the exchanges.
#[tokio::test]
async fn every_invocation_leaves_one_record_or_the_proof_that_it_was_killed() {
    const TURNS: usize = 60;
    let faults = ["good", "http-500", "failed", "cut-abrupt", "cut-clean", "reset", "random"];
    let failures = [
        Failure::SlowDown,
        Failure::Internal,
        Failure::AccessDenied,
        Failure::StoredUntold,
        Failure::Reset,
        Failure::StoredReset,
    ];
    let function = Deployed::start(|function| function).await;
    let (mut answered, mut killed) = (Vec::new(), 0);
    for turn in 0..TURNS {
        if turn % 4 == 0 {
            // One try that fails, or more of them than are made.
            let times = if turn % 12 == 0 { 12 } else { 1 };
            function.bucket.fail_next(Operation::Put, failures[turn / 4 % failures.len()], times);
        }
        let mut fault = faults[turn % faults.len()];
        if turn % 15 == 14 {
            fault = "idle";
            function.lambda.order(Order::Kill(Moment::BodyBytes(1)));
            killed += 1;
        }
        let ask = function.turn(RESPONSES, fault, turn % 4 > 0 || fault == "idle");
        let answer = ask.named(&format!("{turn}")).send().await;
        answered.extend(answer.header("x-codex-proxy-exchange-id").map(str::to_owned));
        function.rest().await;
        function.bucket.recover();
    }
    let left = function.left().await;
    assert!(!left.spilled.is_empty() && !left.logs.0.is_empty());
    let mut objects = HashMap::new();
    for logged in left.logs.0.iter().chain(&left.spilled) {
        // What S3 stored without a word is spilled too: with the same key and the same bytes.
        let known = objects.entry(&logged.name).or_insert(logged);
        assert_eq!(known.object, logged.object, "{}", logged.name);
    }
    let ids = objects.values().map(|logged| logged.record.exchange_id.clone());
    let mut records: Vec<_> = ids.collect();
    records.sort();
    let mut ended: Vec<_> = left.ended.iter().map(|line| line.exchange_id.clone()).collect();
    ended.sort();
    assert_eq!(records, ended, "the end is said of what is safe, and of nothing else");
    assert_eq!((left.started.len(), records.len()), (TURNS, TURNS - killed));
    assert!(answered.iter().filter(|id| !records.contains(id)).count() <= killed);
    assert!(function.bucket.overwritten().is_empty(), "every try has the same bytes");
}

#[tokio::test]
async fn without_the_extension_the_record_is_written_before_the_answer_ends() {
    for (register, why) in [
        (Register::Refused, "extension_refused"),
        (Register::Unanswered, "no answer to the registration within 3 s"),
    ] {
        let function = Deployed::start(|f| f.extensions(register)).await;
        for n in 1..=3 {
            let answer = function.turn(RESPONSES, "good", true).send().await;
            assert!(answer.is_whole);
            assert_eq!(function.bucket.objects().len(), n, "it is there by the end of the answer");
        }
        let left = function.left().await;
        assert!(left.stderr.contains(why), "{}", left.stderr);
        assert_eq!(left.ended.len(), 3);
    }
}

#[tokio::test]
async fn before_the_deadline_the_stream_ends_and_the_record_is_written() {
    let function = Deployed::start(|function| function.timeout(Duration::from_secs(3))).await;
    let answer = function.turn(RESPONSES, "idle", true).named("stream").send().await;
    assert!(answer.is_whole && answer.text().contains("response.created"));
    let waiting = function.turn(RESPONSES, "slow-first-byte", true).delay_ms(60_000);
    let waiting = waiting.named("waiting").send().await;
    assert_eq!((waiting.status, waiting.header("x-codex-proxy-origin")), (504, Some("proxy")));
    let left = function.left().await;
    let stream = left.logs.named("stream");
    assert_eq!(stream.outcome(), "openai aws deadline - deadline");
    assert_eq!(stream.record.response_body, answer.text(), "nothing is added to what came");
    assert_eq!(left.logs.named("waiting").outcome(), "proxy aws deadline - deadline");
    let ended = function.lambda.invocations();
    assert!(ended.iter().all(|i| i.outcome == Some(Outcome::Answered)), "none was killed");
}

#[tokio::test]
async fn the_deadline_comes_also_for_an_answer_that_nobody_takes() {
    let (openai, fake) = (RawUpstream::start().await, FakeOpenAi::start().await);
    let fake = fake.expect("a free loopback port");
    let function = Deployed::before(fake, &openai.url(), |function| {
        // Without its body a record takes no time, on a busy machine too.
        function.timeout(Duration::from_secs(10)).env("LOG_BODY", "none")
    })
    .await;
    let unread = tokio::spawn(function.turn(RESPONSES, "good", true).open());
    let mut connection = openai.accept().await;
    connection.read_until("Hello").await;
    connection.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await;
    // More than all buffers on the way take: it ends when the proxy hangs up.
    let endless = async {
        let block = vec![b'x'; 1 << 20];
        while connection.try_send(&block).await {}
    };
    let _unread = tokio::join!(within(endless), unread).1.expect("no panic");
    let left = function.left().await;
    assert_eq!(left.only().outcome(), "openai aws deadline - deadline");
    assert_eq!(function.lambda.invocations()[0].outcome, Some(Outcome::TimedOut));
    assert_eq!(left.ended.len(), 1);
}

#[tokio::test]
async fn a_bucket_that_is_silent_does_not_outlast_the_function() {
    let function = Deployed::start(|function| function.timeout(Duration::from_secs(4))).await;
    function.bucket.fail_next(Operation::Put, Failure::StoredUnanswered, 99);
    let answer = function.turn(RESPONSES, "good", true).send().await;
    assert_eq!(answer.status, 200);
    let left = function.left().await;
    assert_eq!((left.spilled.len(), left.ended[0].record), (1, Fate::Spilled));
    assert_eq!(function.lambda.invocations()[0].outcome, Some(Outcome::Answered));
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
async fn an_answer_that_cannot_be_handed_over_leaves_its_record_and_a_living_environment() {
    let function = Deployed::start(|function| function).await;
    let orders = [
        ("half", Order::BreakResponse { after_bytes: 100_000 }),
        ("prelude", Order::BreakResponse { after_bytes: 100 }),
        ("refused", Order::RefuseResponse(413)),
    ];
    for (name, order) in orders {
        function.lambda.order(order);
        let broken = function.turn(RESPONSES, "random", true).header("x-fake-bytes", "9000000");
        let broken = broken.named(name).send().await;
        assert!(!broken.is_whole || broken.status == 502, "{name}");
        function.rest().await;
    }
    let answer = function.turn(RESPONSES, "good", true).named("next").send().await;
    assert_eq!(answer.status, 200);
    let left = function.left().await;
    assert_eq!((left.logs.0.len(), left.ended.len()), (4, 4));
    for (name, _) in orders {
        let outcome = "openai aws lambda_closed - interrupted";
        assert_eq!(left.logs.named(name).outcome(), outcome, "{name}");
    }
    assert_eq!(left.logs.named("next").outcome(), "openai - complete");
    let environments = function.lambda.environments();
    assert_eq!(environments.len(), 1, "the same environment served all");
    assert!(left.stderr.contains("runtime_failed"), "{}", left.stderr);
}

#[tokio::test]
async fn an_environment_that_is_killed_is_proven_by_its_journal() {
    let function = Deployed::start(|function| function).await;
    function.lambda.order(Order::Kill(Moment::BodyBytes(10)));
    let answer = function.turn(RESPONSES, "idle", true).open().await.collect().await;
    assert!(!answer.is_whole);
    let next = function.turn(RESPONSES, "good", true).send().await;
    assert_eq!(next.status, 200);
    let left = function.left().await;
    assert_eq!((left.logs.0.len(), left.started.len(), left.ended.len()), (1, 2, 1));
    let died = answer.header("x-codex-proxy-exchange-id");
    let unfinished = left.started.iter().find(|s| s.exchange_id != left.ended[0].exchange_id);
    assert_eq!(unfinished.map(|line| line.exchange_id.as_str()), died);
}

#[tokio::test]
async fn a_client_that_leaves_changes_nothing_because_lambda_does_not_tell() {
    let function = Deployed::start(|function| function).await;
    let mut answer = function.turn(RESPONSES, "slow-stream", true).delay_ms(20).open().await;
    answer.read_until("response.created").await;
    drop(answer);
    let left = function.left().await;
    assert_eq!(left.only().outcome(), "openai - complete");
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
