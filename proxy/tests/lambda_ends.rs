//! The ends of a Lambda invocation: its record, its deadline, the death of its environment.

use std::collections::HashMap;
use std::time::Duration;

use benches::lambda::{Moment, Order, Outcome, Register};
use benches::s3::{Failure, Operation};
use benches::upstream::FakeOpenAi;
use schemas::journal::Fate;

use crate::common::function::Deployed;
use crate::common::wire::RawUpstream;
use crate::common::{RESPONSES, within};

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
    let said = &left.logs.named("waiting").record.response_body;
    assert!(waiting.text() == said && said.contains("upstream request failed"), "{said}");
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
