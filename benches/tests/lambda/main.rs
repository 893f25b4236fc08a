//! The Lambda emulator, with a tiny function that does as the query tells it.

mod client;

use std::time::Duration;

use benches::lambda::{Function, LARGEST_EVENT_BYTES, Moment, Order, Outcome, Register};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::client::*;

#[tokio::test]
async fn pieces_reach_the_client_as_they_come() {
    let lambda = start(tiny()).await;
    let (first, second) = (Gate::new().await, Gate::new().await);
    let steps = format!(
        "status=201&header=x-a:b&cookie=c:d&chunk=one&gate={}&chunk=two&gate={}&chunk=three",
        first.port(),
        second.port()
    );
    let mut response = open(lambda.address(), get(&steps)).await;
    let held = first.arrival().await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(response.headers()["set-cookie"], "c:d");
    assert_eq!(piece(&mut response).await, "one");
    drop(held);
    let held = second.arrival().await;
    assert_eq!(piece(&mut response).await, "two");
    drop(held);
    let answer = rest(response).await;
    assert_eq!((&*answer.body, answer.is_whole), ("three", true));

    let invocation = settled(&lambda).await.remove(0);
    assert_eq!(invocation.outcome, Some(Outcome::Answered));
    assert_eq!(invocation.request_id, answer.header("x-amzn-requestid"));
    assert_eq!(invocation.produced_bytes, "onetwothree".len());
    let times = [
        invocation.invoked,
        invocation.prelude,
        invocation.body_end,
        invocation.runtime_next,
        invocation.ended,
    ];
    assert!(times.is_sorted() && times[0].is_some(), "{times:?}");
    let report = &lambda.reports()[0];
    assert_eq!(report["record"]["requestId"], *invocation.request_id);
    assert_eq!(report["record"]["status"], "success");
}

#[tokio::test]
async fn an_event_says_what_the_request_was() {
    let lambda = start(tiny().env("GIVEN", "yes")).await;
    let request = Request::post("/v1/a%2Fb?echo")
        .header("host", "url")
        .header("Content-Type", "application/json")
        .header("X-Forwarded-For", "10.1.1.1")
        .header("User-Agent", "test")
        .body(Full::from("{}"))
        .expect("a request");
    let answer = rest(open(lambda.address(), request).await).await;
    let event: Value = serde_json::from_str(&answer.body).expect("the event");
    assert_eq!(event["rawPath"], "/v1/a%2Fb");
    assert_eq!(event["body"], "{}");
    assert_eq!(event["headers"]["x-forwarded-for"], "127.0.0.1");
    assert_eq!(event["headers"]["content-length"], "2");
    let http = &event["requestContext"]["http"];
    assert_eq!((&http["method"], &http["userAgent"]), (&json!("POST"), &json!("test")));
    assert_eq!(event["requestContext"]["requestId"], answer.header("x-amzn-requestid"));

    assert_eq!(ask(&lambda, "env=GIVEN").await.body, "yes");
    assert_eq!(ask(&lambda, "env=AWS_LAMBDA_FUNCTION_NAME").await.body, "codex-proxy");
    assert_eq!(ask(&lambda, "env=CARGO_PKG_NAME&chunk=none").await.body, "none");
}

#[tokio::test]
async fn an_environment_stands_still_between_two_invocations() {
    let lambda = start(tiny().env("TINY_TICK", "1")).await;
    let ticks = || lambda.stdout().iter().filter(|line| line.text == "tick").count();
    // It is held until it has ticked: an environment that answers at once may never get to it.
    let gate = Gate::new().await;
    let response = open(lambda.address(), get(&format!("chunk=a&gate={}", gate.port()))).await;
    let held = gate.arrival().await;
    until(|| ticks() > 0).await;
    drop(held);
    rest(response).await;
    settled(&lambda).await;
    assert!(lambda.environments()[0].is_frozen);
    // What is still in the pipe gets out of it, and then there is nothing more.
    let before = within(async {
        loop {
            let before = ticks();
            lambda.rest(Duration::from_millis(100)).await;
            if ticks() == before {
                break before;
            }
        }
    })
    .await;

    let gate = Gate::new().await;
    let response = open(lambda.address(), get(&format!("chunk=b&gate={}", gate.port()))).await;
    let held = gate.arrival().await;
    assert!(!lambda.environments()[0].is_frozen);
    until(|| ticks() > before).await;
    drop(held);
    rest(response).await;
    let invocations = settled(&lambda).await;
    assert_eq!(invocations.iter().map(|it| it.is_cold).collect::<Vec<_>>(), [true, false]);
    assert_eq!(lambda.environments().len(), 1);
}

#[tokio::test]
async fn an_extension_that_holds_its_next_holds_the_environment() {
    let lambda = start(tiny().env("TINY_EXTENSION", "1")).await;
    let gate = Gate::new().await;
    let answer = ask(&lambda, &format!("chunk=a&hold={}", gate.port())).await;
    assert!(answer.is_whole);
    let held = gate.arrival().await;
    until(|| lambda.invocations()[0].runtime_next.is_some()).await;
    assert!(!lambda.environments()[0].is_frozen);
    assert_eq!(lambda.invocations()[0].outcome, None);
    assert_eq!(lambda.environments()[0].extensions, ["tiny"]);

    // It is not free: another one starts.
    ask(&lambda, "chunk=b").await;
    drop(held);
    let invocations = settled(&lambda).await;
    assert!(lambda.environments()[0].is_frozen);
    assert_eq!(invocations[1].environment, 1);
    assert!(invocations[0].extension_next > invocations[0].runtime_next);
    assert!(invocations[0].extension_next > invocations[0].body_end);

    let said = lambda.stdout();
    let event = said.iter().find_map(|line| line.text.strip_prefix("extension ")).expect("INVOKE");
    let event: Value = serde_json::from_str(event).expect("JSON");
    assert_eq!(event["eventType"], "INVOKE");
    assert_eq!(event["requestId"], *invocations[0].request_id);
    assert_eq!(event["deadlineMs"].as_i64(), invocations[0].deadline_ms);
}

#[tokio::test]
async fn an_extension_that_holds_its_next_too_long_times_out() {
    let lambda = start(tiny().env("TINY_EXTENSION", "1").timeout(SHORT)).await;
    let gate = Gate::new().await;
    assert!(ask(&lambda, &format!("chunk=a&hold={}", gate.port())).await.is_whole);
    let _held = gate.arrival().await;
    assert_eq!(outcomes(&lambda).await, [Outcome::TimedOut]);
}

#[tokio::test]
async fn a_registration_can_be_refused() {
    let lambda = start(tiny().env("TINY_EXTENSION", "1").extensions(Register::Refused)).await;
    assert_eq!(ask(&lambda, "chunk=a").await.body, "a");
    settled(&lambda).await;
    assert!(lambda.stdout().iter().any(|line| line.text == "register 403"));
    assert!(lambda.environments()[0].extensions.is_empty());
}

#[tokio::test]
async fn a_time_out_before_the_prelude_is_a_502() {
    let lambda = start(tiny().timeout(SHORT)).await;
    let gate = Gate::new().await;
    let answer = ask(&lambda, &format!("gate={}", gate.port())).await;
    assert_bad_gateway(&answer);
    assert_eq!(outcomes(&lambda).await, [Outcome::TimedOut]);
    assert_eq!(lambda.reports()[0]["record"]["status"], "timeout");
    assert!(!lambda.environments()[0].is_alive);

    ask(&lambda, "chunk=a").await;
    assert_eq!(settled(&lambda).await[1].environment, 1);
}

#[tokio::test]
async fn a_time_out_after_the_prelude_breaks_the_body() {
    let lambda = start(tiny().timeout(SHORT)).await;
    let gate = Gate::new().await;
    let answer = ask(&lambda, &format!("chunk=a&gate={}", gate.port())).await;
    assert_eq!((answer.status, &*answer.body, answer.is_whole), (200, "a", false));
    assert_eq!(outcomes(&lambda).await, [Outcome::TimedOut]);
}

#[tokio::test]
async fn an_empty_body_hangs_until_the_time_out() {
    let lambda = start(tiny().timeout(SHORT)).await;
    let answer = ask(&lambda, "prelude").await;
    assert_eq!((answer.status, &*answer.body, answer.is_whole), (200, "", false));
    let invocation = settled(&lambda).await.remove(0);
    assert_eq!(invocation.outcome, Some(Outcome::TimedOut));
    assert!(invocation.ended.expect("an end") >= invocation.invoked.expect("a start") + SHORT);
}

#[tokio::test]
async fn a_crash_is_a_502_or_breaks_the_body() {
    let lambda = start(tiny()).await;
    assert_bad_gateway(&ask(&lambda, "exit").await);

    let gate = Gate::new().await;
    let mut response =
        open(lambda.address(), get(&format!("chunk=a&gate={}&exit", gate.port()))).await;
    assert_eq!(piece(&mut response).await, "a");
    drop(gate.arrival().await);
    assert!(!rest(response).await.is_whole);
    let invocations = settled(&lambda).await;
    assert!(invocations.iter().all(|it| it.invoked.is_some() && it.runtime_next.is_none()));
    let exited = Outcome::Exited("exit status: 7".to_owned());
    assert_eq!(outcomes(&lambda).await, [exited.clone(), exited]);
    assert_eq!(lambda.environments().len(), 2);
}

#[tokio::test]
async fn a_bootstrap_that_does_not_start_is_a_502() {
    let lambda = start(tiny().env("TINY_EXIT", "1")).await;
    assert_bad_gateway(&ask(&lambda, "chunk=a").await);
    assert_eq!(outcomes(&lambda).await, [Outcome::Exited("exit status: 3".to_owned())]);
    assert_eq!(lambda.invocations()[0].invoked, None);

    let lambda = start(Function::new("no-such-bootstrap")).await;
    assert_bad_gateway(&ask(&lambda, "chunk=a").await);
    let outcome = outcomes(&lambda).await.remove(0);
    assert!(format!("{outcome:?}").contains("cannot start `no-such-bootstrap`: "), "{outcome:?}");
}

#[tokio::test]
async fn an_error_of_the_function_is_a_502_and_the_environment_lives_on() {
    let lambda = start(tiny()).await;
    assert_bad_gateway(&ask(&lambda, "error").await);
    settled(&lambda).await;
    assert_eq!(ask(&lambda, "chunk=a").await.body, "a");
    let failed = Outcome::Failed(r#"{"errorMessage":"told to fail"}"#.to_owned());
    assert_eq!(outcomes(&lambda).await, [failed, Outcome::Answered]);
    assert_eq!(lambda.environments().len(), 1);
}

#[tokio::test]
async fn above_the_limit_of_busy_environments_it_throttles() {
    let lambda = start(tiny().concurrency(1)).await;
    let gate = Gate::new().await;
    let response = open(lambda.address(), get(&format!("chunk=a&gate={}", gate.port()))).await;
    let held = gate.arrival().await;
    let answer = ask(&lambda, "chunk=b").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("x-amzn-errortype"), "TooManyRequestsException");
    assert_ne!(answer.header("x-amzn-requestid"), "");
    let expected = r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#;
    assert_eq!(answer.body, expected);
    drop(held);
    rest(response).await;
    settled(&lambda).await;
    assert_eq!(ask(&lambda, "chunk=c").await.body, "c");
    assert_eq!(settled(&lambda).await.len(), 2);
}

#[tokio::test]
async fn a_request_too_large_is_a_413_and_no_invocation() {
    let lambda = start(tiny()).await;
    let post = |length: usize| {
        let body = Full::from(vec![b'x'; length]);
        Request::post("/?chunk=a").header("host", "url").body(body).expect("a request")
    };
    // In base64, four bytes for three.
    let answer = rest(open(lambda.address(), post(LARGEST_EVENT_BYTES / 4 * 3)).await).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("Request must be smaller than 6291456 bytes"));
    assert!(lambda.invocations().is_empty());
    let answer = rest(open(lambda.address(), post(LARGEST_EVENT_BYTES / 4 * 3 - 2000)).await).await;
    assert_eq!(answer.body, "a");
}

#[tokio::test]
async fn headers_that_aws_keeps_for_itself_are_remapped_or_refused() {
    let lambda = start(tiny()).await;
    let answer = ask(&lambda, "header=content-length:9&header=x-amzn-requestid:mine&chunk=a").await;
    assert_eq!((answer.status, &*answer.body), (200, "a"));
    assert_eq!(answer.header("x-amzn-remapped-content-length"), "9");
    assert_eq!(answer.header("x-amzn-requestid"), lambda.invocations()[0].request_id);
    assert_eq!(ask(&lambda, "header=x-amzn-remapped-date:x&chunk=a").await.status, 500);
    assert_bad_gateway(&ask(&lambda, "header=content-encoding:gzip&chunk=a").await);
}

#[tokio::test]
async fn the_post_of_a_response_can_break() {
    let lambda = start(tiny()).await;
    lambda.order(Order::BreakResponse { after_bytes: 0 });
    assert_bad_gateway(&ask(&lambda, "chunk=a").await);
    let prelude = "{\"headers\":{}}\0\0\0\0\0\0\0\0".len();
    lambda.order(Order::BreakResponse { after_bytes: prelude + 3 });
    let answer = ask(&lambda, "chunk=abcdef").await;
    assert_eq!((&*answer.body, answer.is_whole), ("abc", false));
    // The function's runtime gave up.
    let exited = Outcome::Exited("exit status: 1".to_owned());
    assert_eq!(outcomes(&lambda).await, [exited.clone(), exited]);
}

#[tokio::test]
async fn the_post_of_a_response_can_be_refused() {
    let lambda = start(tiny()).await;
    lambda.order(Order::RefuseResponse(413));
    assert_bad_gateway(&ask(&lambda, "chunk=a").await);
    settled(&lambda).await;
    lambda.order(Order::RefuseResponse(500));
    assert_bad_gateway(&ask(&lambda, "chunk=a").await);
    assert!(outcomes(&lambda).await.iter().all(|outcome| *outcome != Outcome::Answered));
}

#[tokio::test]
async fn a_function_goes_on_when_the_client_is_gone() {
    let lambda = start(tiny()).await;
    let gate = Gate::new().await;
    let steps = format!("chunk=one&gate={}&chunk=two&chunk=three&say=done", gate.port());
    let mut response = open(lambda.address(), get(&steps)).await;
    assert_eq!(piece(&mut response).await, "one");
    let held = gate.arrival().await;
    drop(response);
    drop(held);
    assert_eq!(outcomes(&lambda).await, [Outcome::Answered]);
    assert_eq!(lambda.invocations()[0].produced_bytes, "onetwothree".len());
    until(|| lambda.stdout().iter().any(|line| line.text == "done")).await;
}

#[tokio::test]
async fn an_environment_dies_at_the_moment_that_was_ordered() {
    let lambda = start(tiny()).await;
    let gate = Gate::new().await;
    let steps = format!("say=read&chunk=abcdef&gate={}", gate.port());
    lambda.order(Order::Kill(Moment::Delivered));
    assert_bad_gateway(&ask(&lambda, &steps).await);
    lambda.order(Order::Kill(Moment::Prelude));
    let answer = ask(&lambda, &steps).await;
    assert_eq!((answer.status, &*answer.body, answer.is_whole), (200, "", false));
    lambda.order(Order::Kill(Moment::BodyBytes(4)));
    let answer = ask(&lambda, &steps).await;
    assert_eq!((answer.status, &*answer.body, answer.is_whole), (200, "abcd", false));
    assert_eq!(outcomes(&lambda).await, [Outcome::Killed, Outcome::Killed, Outcome::Killed]);
    let readers: Vec<_> = lambda.stdout().iter().map(|line| line.environment).collect();
    assert!(!readers.contains(&0), "the first event was not read");
}

#[tokio::test]
async fn a_frozen_environment_can_be_killed() {
    let lambda = start(tiny()).await;
    ask(&lambda, "chunk=a").await;
    settled(&lambda).await;
    lambda.kill(0);
    assert!(!lambda.environments()[0].is_alive);
    assert_eq!(ask(&lambda, "chunk=b").await.body, "b");
    assert_eq!(settled(&lambda).await[1].environment, 1);
}

#[tokio::test]
async fn an_environment_is_asked_to_end_only_if_it_has_an_extension() {
    for (function, is_asked) in [(tiny().env("TINY_EXTENSION", "1"), true), (tiny(), false)] {
        let lambda = start(function).await;
        ask(&lambda, "chunk=a").await;
        settled(&lambda).await;
        lambda.retire(0);
        assert!(!lambda.environments()[0].is_alive);
        let gone = || lambda.stdout().iter().any(|line| line.text == "asked to end");
        if is_asked {
            until(gone).await;
        }
        assert_eq!(gone(), is_asked);
        assert_eq!(ask(&lambda, "chunk=b").await.body, "b");
    }
}

#[tokio::test]
async fn an_event_made_by_hand_reaches_the_function_as_it_is() {
    let lambda = start(tiny()).await;
    let event =
        r#"{"rawQueryString":"echo","rawPath":"no path","body":"%","isBase64Encoded":true}"#;
    let invoked = within(lambda.invoke(event)).await.expect("room for it");
    assert_eq!(invoked.prelude.as_deref(), Some(&br#"{"headers":{}}"#[..]));
    let seen: Value = serde_json::from_slice(&invoked.body).expect("JSON");
    assert_eq!(seen, serde_json::from_str::<Value>(event).expect("JSON"));
    assert!(invoked.is_whole);
}

#[tokio::test]
async fn dropping_the_host_kills_what_it_started() {
    let lambda = start(tiny()).await;
    let (address, gate) = (lambda.address(), Gate::new().await);
    let _response = open(address, get(&format!("chunk=a&gate={}", gate.port()))).await;
    let mut held = gate.arrival().await;
    drop(lambda);
    // Its end of the connection is closed by the system, when it is gone.
    assert_eq!(within(held.read(&mut [0])).await.ok(), Some(0));
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
