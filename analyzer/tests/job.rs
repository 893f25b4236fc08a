//! The scheduled compaction: the built binary as a Lambda function, over a bucket.

use std::time::Duration;

use benches::corpus::{Bodies, Corpus, Plan};
use benches::lambda::{Function, Lambda};
use benches::s3::{ACCESS_KEY, Failure, Operation, SECRET_KEY};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{BUCKET, Bucket};
use crate::compact::{assert_same, rows, source};

/// Logs of the last whole hours that are closed by now.
fn recent(objects: usize, hours: u32) -> Corpus {
    #[expect(clippy::disallowed_methods, reason = "what a schedule compacts is so by its clock")]
    let now = Timestamp::now();
    let closed = now - SignedDuration::from_mins(20);
    let until = closed.as_second().div_euclid(3_600) * 3_600;
    let until = Timestamp::from_second(until).expect("a time");
    let since = until - SignedDuration::from_hours(hours.into());
    Corpus::with_outcomes(&Plan { seed: 41, objects, since, hours, bodies: Bodies::Small })
}

async fn function(bucket: &Bucket, timeout: Duration) -> Lambda {
    Function::new(env!("CARGO_BIN_EXE_analyzer"))
        .env("ANALYZER_SOURCE", format!("s3://{BUCKET}/codex"))
        .env("AWS_ENDPOINT_URL", bucket.0.url())
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .timeout(timeout)
        .start()
        .await
        .expect("the function starts")
}

/// Invokes the function; returns the report that it left in its log, and fails unless it answered as a
/// function does that succeeded, or did not.
async fn invoke_to(lambda: &Lambda, event: &Value, succeeds: bool) -> Value {
    let reports = || {
        let lines = lambda.stdout();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(&line.text).ok());
        lines.filter(|line| line["event"] == "compacted").collect::<Vec<_>>()
    };
    let before = reports().len();
    let invoked = lambda.invoke(event.to_string()).await.expect("not throttled");
    lambda.until_frozen().await;
    // What it wrote comes through a pipe.
    while reports().len() == before {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let report = reports().pop().expect("a report")["report"].clone();
    assert_eq!(!invoked.body.is_empty(), succeeds, "{report}");
    report
}

async fn invoke(lambda: &Lambda, event: &Value) -> Value {
    invoke_to(lambda, event, true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_compacts_each_hour_once_it_is_closed_and_late_logs_with_the_next() {
    let corpus = recent(90, 3);
    let bucket = Bucket::of(&corpus.objects[..60]).await;
    let lambda = function(&bucket, Duration::from_mins(1)).await;
    let report = invoke(&lambda, &json!({"run": "hourly"})).await;
    assert_eq!(report["added"], 60, "{report}");
    assert_same(&rows(source(&bucket).await).await, &corpus.known[..60]);
    let again = invoke(&lambda, &json!({"run": "hourly"})).await;
    assert_eq!((&again["added"], &again["written"]), (&json!(0), &json!([])), "{again}");
    corpus.objects[60..].iter().for_each(|object| bucket.put(object));
    let daily = invoke(&lambda, &json!({"run": "daily"})).await;
    assert_eq!(daily["added"], 30, "{daily}");
    assert_same(&rows(source(&bucket).await).await, &corpus.known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_before_its_deadline_says_what_is_left_and_the_next_run_goes_on() {
    let corpus = recent(60, 3);
    let bucket = Bucket::of(&corpus.objects).await;
    // So little is left above what it keeps for the end that no hour is begun.
    let lambda = function(&bucket, Duration::from_secs(10)).await;
    let stopped = invoke_to(&lambda, &json!({}), false).await;
    assert_eq!(stopped["left"].as_array().map(Vec::len), Some(3), "{stopped}");
    assert_eq!(bucket.0.counts().put, 0);
    let lambda = function(&bucket, Duration::from_mins(1)).await;
    assert_eq!(invoke(&lambda, &json!({})).await["added"], 60);
    assert_same(&rows(source(&bucket).await).await, &corpus.known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_that_fails_fails_the_run_and_the_others_are_done() {
    let corpus = recent(60, 3);
    let bucket = Bucket::of(&corpus.objects).await;
    let lambda = function(&bucket, Duration::from_mins(1)).await;
    bucket.0.fail_next(Operation::Put, Failure::AccessDenied, 1);
    let failed = invoke_to(&lambda, &json!({}), false).await;
    assert!(
        failed["failed"][0].as_str().is_some_and(|why| why.contains("AccessDenied")),
        "{failed}"
    );
    assert_eq!(failed["written"].as_array().map(Vec::len), Some(2), "{failed}");
    invoke(&lambda, &json!({})).await;
    assert_same(&rows(source(&bucket).await).await, &corpus.known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_do_is_an_answer_and_not_a_crash() {
    let bucket = Bucket::new().await;
    let lambda = function(&bucket, Duration::from_mins(1)).await;
    for (event, said) in [
        (json!({"run": "weekly"}), "weekly"),
        (json!({"date": "2026-13-01"}), "2026-13-01"),
        (json!({"hour": 3}), "without `date`"),
    ] {
        let report = invoke_to(&lambda, &event, false).await;
        assert!(report["error"].as_str().is_some_and(|why| why.contains(said)), "{report}");
    }
    assert_eq!(invoke(&lambda, &json!({})).await["added"], 0, "no logs are no failure");
    assert_eq!(lambda.environments().len(), 1, "one process answered all of it");
}
