//! 20,000 logs with traps, of every age, whose truth is known: counts are exact, from a folder and
//! from S3, and no more is read than the answer needs.

use std::collections::{BTreeMap, BTreeSet};

use benches::corpus::{Bodies, Corpus, Plan, Query, Truth};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::common::{Answer, Bucket, Folder};

const OBJECTS: usize = 20_000;

fn plan(objects: usize) -> Plan {
    let since = "2026-11-21T20:00:00Z".parse().expect("a moment");
    Plan { seed: 20_261_122, objects, since, hours: 6, bodies: Bodies::Small }
}

/// The whole time of a plan, as arguments.
fn span(plan: &Plan) -> (Timestamp, Timestamp) {
    (plan.since, plan.since + SignedDuration::from_hours(plan.hours.into()))
}

/// A question about a corpus, asked of one of its copies.
struct Asked<'a> {
    corpus: &'a Corpus,
    query: Query,
    window: (Timestamp, Timestamp),
    all: bool,
}

impl Asked<'_> {
    /// Asks, and fails unless the answer is the truth. Returns the answer's JSON.
    #[track_caller]
    fn of(&self, ask: impl FnOnce(&[&str]) -> Answer) -> Value {
        let (since, until) = (self.window.0.to_string(), self.window.1.to_string());
        let mut arguments = vec![self.query.text(), "--since", &since, "--until", &until];
        arguments.extend(self.all.then_some("--all"));
        let answer = ask(&arguments);
        assert!([0, 1].contains(&answer.code), "{:?}: {}", self.query, answer.stderr);
        let json = answer.json();
        let truth = self.corpus.truth(self.query, self.window.0, self.window.1);
        let (counts, quoted) = expected(&truth, self.all);
        assert_eq!(found(&json), counts, "{:?}: {}", self.query, self.missed(&json));
        assert_eq!(json["quoted"], quoted, "{:?}, all: {}", self.query, self.all);
        assert_eq!(json["scanned"]["failed"], 0, "{:?}: {}", self.query, json["scanned"]);
        assert_eq!(json["scanned"]["mismatched"], Value::Array(Vec::new()));
        json
    }

    /// Names keys that matched and should not have, or the other way round.
    fn missed(&self, json: &Value) -> String {
        let found = json["matches"].as_array().expect("an array");
        let found: BTreeSet<_> = found.iter().filter_map(|found| found["key"].as_str()).collect();
        let wrong = self.corpus.known.iter().filter(|known| {
            let in_window = self.window.0 <= known.started_at && known.started_at < self.window.1;
            let is_wanted = in_window && known.matches(self.query);
            is_wanted != found.contains(known.key.as_str())
        });
        format!("{:#?}", wrong.take(3).collect::<Vec<_>>())
    }
}

fn expected(truth: &Truth, all: bool) -> (BTreeMap<String, u64>, u64) {
    let counts = truth.counts.iter().map(|(origin, count)| (origin.to_string(), *count)).collect();
    (counts, truth.quoted_untold + if all { truth.quoted_told } else { 0 })
}

fn found(json: &Value) -> BTreeMap<String, u64> {
    let counts = json["counts"].as_object().expect("an object");
    let counts = counts.iter().map(|(origin, count)| (origin.clone(), count.as_u64()));
    counts.map(|(origin, count)| (origin, count.expect("a number"))).collect()
}

#[test]
fn counts_and_quotes_are_exact_from_a_folder() {
    let plan = plan(OBJECTS);
    let corpus = Corpus::new(&plan);
    let folder = Folder::of(&corpus.objects);
    for (query, all) in [
        (Query::TemporaryErrors, true),
        (Query::StreamClosed, true),
        (Query::Internal, true),
        (Query::UpstreamFailed, false),
    ] {
        let asked = Asked { corpus: &corpus, query, window: span(&plan), all };
        let json = asked.of(|arguments| folder.ask(arguments));
        assert_eq!(json["scanned"]["listed"], OBJECTS, "{query:?}");
    }
}

#[test]
fn every_question_is_answered_exactly() {
    let plan = Plan { seed: 7, ..plan(4_000) };
    let corpus = Corpus::new(&plan);
    let folder = Folder::of(&corpus.objects);
    for query in Query::ALL {
        for all in [true, false] {
            let asked = Asked { corpus: &corpus, query, window: span(&plan), all };
            asked.of(|arguments| folder.ask(arguments));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_quotes_are_exact_from_s3_and_no_success_is_fetched_unasked() {
    let plan = plan(OBJECTS);
    let corpus = Corpus::new(&plan);
    let bucket = Bucket::of(&corpus.objects).await;
    let all = Query::TemporaryErrors;
    let asked = Asked { corpus: &corpus, query: all, window: span(&plan), all: true };
    asked.of(|arguments| bucket.ask(arguments));
    assert_eq!(bucket.0.counts().get, OBJECTS, "each log once");

    // Errors that keys tell, and what keys do not tell.
    let candidates =
        corpus.known.iter().filter(|known| !known.told || known.failure.is_some()).count();
    for query in [Query::TemporaryErrors, Query::Internal, Query::StreamClosed] {
        let before = bucket.0.counts().get;
        let asked = Asked { corpus: &corpus, query, window: span(&plan), all: false };
        let json = asked.of(|arguments| bucket.ask(arguments));
        let fetched = bucket.0.counts().get - before;
        assert!(fetched <= candidates, "{query:?}: {fetched} of {candidates}");
        assert_eq!(json["scanned"]["read"], fetched, "{query:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_reading_leaves_the_totals_that_keys_tell() {
    let plan = plan(3_000);
    let mut corpus = Corpus::new(&plan);
    // Keys that tell everything, so that what is not read is known all the same.
    let told: Vec<_> = corpus.known.iter().map(|known| known.told).collect();
    let mut keep = told.iter();
    corpus.objects.retain(|_| *keep.next().expect("as many"));
    let mut keep = told.iter();
    corpus.known.retain(|_| *keep.next().expect("as many"));
    let bucket = Bucket::of(&corpus.objects).await;
    let (since, until) = span(&plan);
    let arguments = [
        "temporary errors",
        "--max",
        "5",
        "--since",
        &since.to_string(),
        "--until",
        &until.to_string(),
    ];
    let json = bucket.ask(&arguments).ends(0).json();
    assert_eq!(bucket.0.counts().get, 5);
    assert_eq!(json["scanned"]["capped"], true);
    assert_eq!(json["scanned"]["listed"], corpus.objects.len());

    // Every HTTP 500, by its key; those that only say so in another status are not looked for.
    let mut expected = BTreeMap::<String, u64>::new();
    for failure in corpus.known.iter().filter_map(|known| known.failure.as_ref()) {
        if failure.status == Some(500) {
            *expected.entry(failure.origin.to_string()).or_default() += 1;
        }
    }
    assert_eq!(found(&json), expected);
    let newest = json["matches"].as_array().expect("an array");
    let mut of_all: Vec<_> = corpus
        .known
        .iter()
        .filter(|known| known.failure.as_ref().is_some_and(|f| f.status == Some(500)))
        .collect();
    of_all.sort_by_key(|known| std::cmp::Reverse(known.started_at));
    let of_all: Vec<_> = of_all.iter().take(5).map(|known| known.key.as_str()).collect();
    let newest: Vec<_> = newest.iter().filter_map(|m| m["key"].as_str()).collect();
    assert_eq!(newest, of_all, "the newest were read");
}

#[test]
fn windows_cut_to_the_millisecond() {
    let plan = plan(3_000);
    let corpus = Corpus::new(&plan);
    let folder = Folder::of(&corpus.objects);
    let mut failed: Vec<_> = corpus
        .known
        .iter()
        .filter(|known| known.matches(Query::TemporaryErrors))
        .map(|known| known.started_at)
        .collect();
    failed.sort_unstable();
    let (begin, end) = span(&plan);
    let at = |share: usize| failed[failed.len() * share / 10];
    let hour = SignedDuration::from_hours(1);
    for window in [
        // The first moment belongs to a window, the last does not.
        (at(2), at(3)),
        (at(2), at(2) + SignedDuration::from_millis(1)),
        (at(5), at(9) + SignedDuration::from_millis(1)),
        (begin + hour, begin + hour * 2),
        (begin - hour * 50, begin),
        (end, end + hour * 50),
        (begin - hour * 24 * 400, end + hour * 24 * 400),
    ] {
        for query in [Query::TemporaryErrors, Query::Internal] {
            Asked { corpus: &corpus, query, window, all: true }
                .of(|arguments| folder.ask(arguments));
        }
    }
}
