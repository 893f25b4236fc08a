//! Whatever dies when, and whatever S3 answers: no row is lost, none doubled, and no reader sees half an
//! hour. The compactor is a process that is killed at each boundary of its requests, and at random; its
//! rivals run beside it; every judgement is by the set of ids.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use benches::corpus::{Corpus, Known, Object};
use benches::s3::{Failure, Moment, Operation};
use sha2::{Digest as _, Sha256};

use crate::common::{Answer, Bucket, object, run, server_error};
use crate::compact::{assert_same, command, plan, rows, source};

/// As many requests as one run can make, at most.
const MOST_REQUESTS: usize = 400;

fn small(seed: u64) -> Corpus {
    Corpus::with_outcomes(&plan(24, seed))
}

fn start(bucket: &Bucket) -> Child {
    command(bucket).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
}

async fn run_on(bucket: &Bucket) -> Answer {
    let command = command(bucket);
    tokio::task::spawn_blocking(move || run(command, "")).await.expect("no panic")
}

/// What a reader may see at any moment: of each hour nothing, or the rows of one of these times, each once.
async fn assert_nothing_is_half(bucket: &Bucket, times: &[&[Known]]) {
    let hour = |ms: i64| ms.div_euclid(3_600_000);
    let mut seen: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for row in rows(source(bucket).await).await {
        let key = row.text("source_key").expect("a key").to_owned();
        seen.entry(hour(row.rank.started_at_ms)).or_default().push(key);
    }
    for (of, mut keys) in seen {
        keys.sort();
        let is_whole = times.iter().any(|known| {
            let known = known.iter().filter(|it| hour(it.started_at.as_millisecond()) == of);
            let mut all: Vec<_> = known.map(|known| known.key.clone()).collect();
            all.sort();
            all == keys
        });
        assert!(is_whole, "half an hour was seen: {keys:?}");
    }
}

/// Kills at one boundary after another until a run ends unharmed. Returns how many there were.
async fn kill_at_each(
    bucket: impl AsyncFn() -> Bucket,
    (before, known): (&[Known], &[Known]),
    moment: Moment,
) -> usize {
    for request in 1..MOST_REQUESTS {
        let bucket = bucket().await;
        let mut halted = bucket.0.halt_at(request, moment);
        let mut child = start(&bucket);
        let died = loop {
            if let Ok(()) = halted.try_recv() {
                break true;
            }
            if child.try_wait().expect("a child").is_some() {
                break halted.try_recv().is_ok();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let _ = child.kill();
        child.wait().expect("it has ended");
        bucket.0.recover();
        if !died {
            return request - 1;
        }
        assert_nothing_is_half(&bucket, &[before, known]).await;
        run_on(&bucket).await.ends(0);
        assert_same(&rows(source(&bucket).await).await, known);
    }
    panic!("more than {MOST_REQUESTS} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_or_after_any_request_of_its_first_run_it_loses_and_doubles_nothing() {
    let corpus = small(1);
    let fresh = async || Bucket::of(&corpus.objects).await;
    for moment in [Moment::Before, Moment::After] {
        let boundaries = kill_at_each(fresh, (&[], &corpus.known), moment).await;
        assert!(boundaries > 30, "{boundaries}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_or_after_any_request_while_late_logs_are_taken_in_it_loses_nothing() {
    let corpus = small(2);
    let late = async || {
        let bucket = Bucket::of(&corpus.objects[..16]).await;
        run_on(&bucket).await.ends(0);
        // What was compacted first has expired.
        for object in &corpus.objects[..8] {
            bucket.0.remove(&format!("codex/{}", object.key));
        }
        corpus.objects[16..].iter().for_each(|object| bucket.put(object));
        bucket
    };
    for moment in [Moment::Before, Moment::After] {
        let boundaries = kill_at_each(late, (&corpus.known[..16], &corpus.known), moment).await;
        assert!(boundaries > 30, "{boundaries}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_again_and_again_it_comes_to_the_same_end() {
    let corpus = Corpus::new(&plan(200, 3));
    let bucket = Bucket::of(&corpus.objects[..120]).await;
    bucket.0.set_latency(Duration::from_millis(1));
    let mut times: Vec<&[Known]> = vec![&corpus.known[..120]];
    for kill in 0..100_u64 {
        let mut child = start(&bucket);
        tokio::time::sleep(Duration::from_millis(kill * 61 % 149)).await;
        child.kill().expect("ours");
        child.wait().expect("it has ended");
        if kill % 5 == 0 {
            let at = 120 + usize::try_from(kill).expect("small") / 5 * 4;
            corpus.objects[at..at + 4].iter().for_each(|object| bucket.put(object));
            times.push(&corpus.known[..at + 4]);
        }
        assert_nothing_is_half(&bucket, &times).await;
    }
    run_on(&bucket).await.ends(0);
    assert_same(&rows(source(&bucket).await).await, &corpus.known);
}

#[tokio::test(flavor = "multi_thread")]
async fn rivals_come_to_one_end_and_each_of_them_says_so() {
    let corpus = Corpus::with_outcomes(&plan(120, 4));
    let bucket = Bucket::of(&corpus.objects).await;
    for round in 0..3 {
        let mut rivals: Vec<_> = (0..4).map(|_| start(&bucket)).collect();
        for rival in &mut rivals {
            assert!(rival.wait().expect("it ends").success(), "round {round}");
        }
        assert_same(&rows(source(&bucket).await).await, &corpus.known);
        assert!(bucket.0.overwritten().is_empty(), "the same rows are the same bytes");
        // All of them find the same again.
        let hours = ["20", "21", "22"].map(|hour| format!("hour={hour}/exchanges.parquet"));
        if round == 0 {
            for hour in hours {
                bucket.0.remove(&format!("codex/parquet/day=2026-11-21/{hour}"));
            }
        }
    }
    assert!(bucket.0.open_uploads().is_empty());
}

/// Answers that S3 gives now and then, to so many of a thousand requests. Returns how many there were.
async fn compact_under(faults: &[(Operation, Failure)], of_thousand: usize, seed: u64) -> usize {
    let corpus = Corpus::with_outcomes(&plan(90, seed));
    let bucket = Bucket::of(&corpus.objects[..60]).await;
    let mut runs = 0;
    for until in [60, 90] {
        corpus.objects[60..until].iter().for_each(|object| bucket.put(object));
        // A run may give up; it never lies, and the next one goes on.
        loop {
            runs += 1;
            for (number, (operation, failure)) in (1..).zip(faults) {
                bucket.0.fail_often(
                    *operation,
                    *failure,
                    of_thousand,
                    seed * 100 + runs * 20 + number,
                );
            }
            let answer = run_on(&bucket).await;
            let is_whole = answer.code == 0;
            assert!([0, 3, 4].contains(&answer.code), "{answer:?}");
            bucket.0.recover();
            if is_whole {
                assert_same(&rows(source(&bucket).await).await, &corpus.known[..until]);
                break;
            }
            assert!(runs < 60, "it never comes to an end: {answer:?}");
        }
    }
    bucket.0.failures()
}

const FAULTS: [(Operation, Failure); 14] = [
    (Operation::List, Failure::SlowDown),
    (Operation::List, Failure::Internal),
    (Operation::List, Failure::Reset),
    (Operation::Get, Failure::SlowDown),
    (Operation::Get, Failure::Internal),
    (Operation::Get, Failure::Reset),
    (Operation::Get, Failure::Truncate),
    (Operation::Put, Failure::SlowDown),
    (Operation::Put, Failure::Internal),
    (Operation::Put, Failure::Reset),
    (Operation::Put, Failure::StoredReset),
    (Operation::Put, Failure::StoredUntold),
    (Operation::Put, Failure::Conflict),
    (Operation::Put, Failure::Precondition),
];

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_s3_in_one_of_twenty_requests_cost_time_and_no_row() {
    let mut failures = 0;
    for seed in 1..=5 {
        // Each kind of request meets each of its three to seven failures with this chance.
        failures += compact_under(&FAULTS, 50 / 4, seed).await;
    }
    assert!(failures >= 10, "{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_s3_in_nearly_every_third_request_cost_time_and_no_row() {
    let failures = compact_under(&FAULTS, 300 / 4, 4).await;
    assert!(failures >= 10, "{failures}");
}

/// Logs of one hour that do not pack, so many that their file is sent in parts.
fn large() -> Vec<Object> {
    let log = |number: u32| {
        let mut record = server_error(number, &format!("2026-11-21T20:00:{number:02}.000Z"));
        let hash = |n: u32| {
            STANDARD.encode(Sha256::digest([number.to_le_bytes(), n.to_le_bytes()].concat()))
        };
        record.response_body = (0..40_000).map(hash).collect();
        object(&record)
    };
    (0..50).map(log).collect()
}

async fn assert_all_of(bucket: &Bucket, objects: &[Object]) {
    let rows = rows(source(bucket).await).await;
    let mut keys: Vec<_> = rows.iter().filter_map(|row| row.text("source_key")).collect();
    let mut wanted: Vec<_> = objects.iter().map(|object| object.key.as_str()).collect();
    keys.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_sent_in_parts_appears_whole_or_not_at_all() {
    let objects = large();
    let bucket = Bucket::of(&objects).await;
    let before = bucket.0.counts();
    run_on(&bucket).await.ends(0);
    let counts = bucket.0.counts();
    assert!(counts.multipart >= 4 && counts.put == 0, "created, two parts, completed: {counts:?}");
    let requests = counts.total() - before.total();
    // From the creation of the upload to the end of reading back.
    for request in requests - 9..=requests {
        for moment in [Moment::Before, Moment::After] {
            let bucket = Bucket::of(&objects).await;
            let mut halted = bucket.0.halt_at(request, moment);
            let mut child = start(&bucket);
            while halted.try_recv().is_err() && child.try_wait().expect("a child").is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let _ = child.kill();
            child.wait().expect("it has ended");
            bucket.0.recover();
            let seen = rows(source(&bucket).await).await.len();
            assert!(seen == 0 || seen == objects.len(), "half an hour was seen: {seen}");
            run_on(&bucket).await.ends(0);
            assert_all_of(&bucket, &objects).await;
        }
    }
    for failure in
        [Failure::StoredReset, Failure::StoredUntold, Failure::Conflict, Failure::Precondition]
    {
        let bucket = Bucket::of(&objects).await;
        bucket.0.fail_next(Operation::CompleteUpload, failure, 1);
        run_on(&bucket).await.ends(0);
        assert_all_of(&bucket, &objects).await;
    }
}
