//! Damaged, foreign and hostile objects: each is named and makes the answer partial, none costs
//! memory without bound, and what is sound beside them is counted as ever.

use std::io::Write as _;
use std::sync::Arc;

use analyzer::logs::aim::{Aim, Needs};
use analyzer::logs::classify::Exchange;
use analyzer::logs::list::list;
use analyzer::logs::needle::Prefilter;
use analyzer::logs::read::read;
use analyzer::logs::source::{FolderSource, LogSource};
use analyzer::window::Window;
use benches::corpus::{Bodies, Corpus, Object, Plan, Query};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::fading::{self, Fading};
use crate::common::{Bucket, Folder, object, server_error};

const WINDOW: [&str; 4] = ["--since", "2026-11-22T01:00:00Z", "--until", "2026-11-22T03:00:00Z"];
/// What a hostile object unpacks to; no record is over 112 MiB.
const MIB_100: usize = 100 << 20;
/// Enough for two of them at a time, far too little for all.
const MEMORY: u64 = 600 << 20;

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// One good log, and a place for bad ones.
fn folder() -> Folder {
    Folder::of(&[object(&server_error(1, "2026-11-22T02:00:00.000Z"))])
}

/// The answer is partial, names these objects, and counts the good log.
#[track_caller]
fn is_partial(folder: &Folder, names: &[&str]) {
    let answer = folder.ask(&[&["temporary errors"], &WINDOW[..]].concat()).ends(4);
    for name in names {
        assert!(answer.stderr.contains(name), "{name}: {answer:?}");
    }
    assert!(answer.peak_bytes < MEMORY, "{} MiB at its peak", answer.peak_bytes >> 20);
    let json = answer.json();
    assert_eq!(json["scanned"]["failed"], names.len(), "{}", json["scanned"]);
    assert_eq!(json["counts"], json!({"openai": 1}));
    assert_ne!(json["verdict"]["confidence"], "certain");
}

#[test]
fn every_defect_is_named_and_the_rest_is_counted() {
    let plan = Plan {
        seed: 5,
        objects: 500,
        since: moment("2026-11-22T00:00:00Z"),
        hours: 3,
        bodies: Bodies::Small,
    };
    let mut corpus = Corpus::new(&plan);
    let defects = corpus.damage(6, plan.since);
    let folder = Folder::of(&corpus.objects);
    let until = plan.since + SignedDuration::from_hours(3);
    let arguments = [
        "temporary errors",
        "--all",
        "--since",
        &plan.since.to_string(),
        "--until",
        &until.to_string(),
    ];
    let answer = folder.ask(&arguments).ends(4);
    let json = answer.json();
    let truth = corpus.truth(Query::TemporaryErrors, plan.since, until);
    let counts = truth.counts.iter().map(|(origin, n)| (origin.to_string(), json!(n)));
    assert_eq!(json["counts"], Value::Object(counts.collect()));
    assert_eq!(json["quoted"], truth.quoted_told + truth.quoted_untold);
    let failures = json["scanned"]["failures"].to_string();
    for key in [&defects.truncated, &defects.garbage] {
        assert!(failures.contains(key.as_str()), "{key} in {failures}");
        assert!(answer.stderr.contains(key.as_str()), "{key} in {}", answer.stderr);
    }
    assert_eq!(json["scanned"]["failed"], 2);
    assert_eq!(json["scanned"]["duplicates"], 1, "{}", defects.doubled);
    assert_eq!(json["scanned"]["mismatched"], json!([defects.disagreeing]));
    let foreign = json["scanned"]["unrecognised"].as_array().map(Vec::len);
    assert_eq!(foreign, Some(defects.foreign.len()));
}

#[test]
fn a_record_that_names_another_exchange_than_its_key_counts_once() {
    let folder = folder();
    let mut other = object(&server_error(2, "2026-11-22T02:01:00.000Z"));
    other.key = other.key.replace("00000002", "00000003");
    folder.put(&other.key, &other.bytes);
    let json = folder.ask(&[&["temporary errors"], &WINDOW[..]].concat()).ends(0).json();
    assert_eq!(json["counts"], json!({"openai": 2}));
    assert_eq!(json["scanned"]["mismatched"], json!([other.key]));
}

#[test]
fn truncated_objects_and_garbage_are_named() {
    let folder = folder();
    let json = br#"{"response_body":{"error":{"message":"temporary errors"}}}"#;
    let packed = zstd::encode_all(&json[..], 3).expect("compressible");
    for (name, bytes) in [
        ("cut.json.zst", &packed[..packed.len() - 4]),
        ("cut.json", &json[..json.len() - 1]),
        ("magic-only.json.zst", &packed[..4]),
        ("nothing.json.zst", b""),
        ("garbage.json", b"\x00\xff\x00\xfe temporary errors"),
        ("text.json", b"temporary errors"),
        ("list.json", br#"["temporary errors"]"#),
        ("gzip-magic.json.gz", b"\x1f\x8b\x08\x00"),
    ] {
        folder.put(&format!("logs/2026/11/22/02/{name}"), bytes);
    }
    let answer = folder.ask(&[&["temporary errors"], &WINDOW[..]].concat()).ends(4);
    let json = answer.json();
    assert_eq!(json["scanned"]["failed"], 8, "{}", json["scanned"]);
    assert_eq!(json["counts"], json!({"openai": 1}));
}

#[test]
fn bombs_are_refused_within_bounded_memory() {
    let plain = vec![0; MIB_100];
    let with_size = zstd::bulk::compress(&plain, 1).expect("compressible");
    let without_size = zstd::encode_all(&plain[..], 1).expect("compressible");
    let mut endless = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..3 {
        endless.write_all(&plain).expect("compressible");
    }
    gzip.write_all(&plain).expect("compressible");
    let endless = endless.finish().expect("compressible");
    let gzip = gzip.finish().expect("compressible");
    assert!(zstd::zstd_safe::get_frame_content_size(&with_size).expect("a frame").is_some());
    assert!(zstd::zstd_safe::get_frame_content_size(&without_size).expect("a frame").is_none());

    let folder = folder();
    for (name, bytes) in [
        ("with-size.json.zst", &with_size),
        ("without-size.json.zst", &without_size),
        ("endless.json.zst", &endless),
        ("bomb.json.gz", &gzip),
    ] {
        assert!(bytes.len() < 1 << 20, "{name} is small");
        folder.put(&format!("logs/2026/11/22/02/{name}"), bytes);
    }
    is_partial(&folder, &["with-size", "without-size", "endless", "bomb"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_are_read_within_bounded_memory() {
    let bucket = Bucket::of(&[object(&server_error(1, "2026-11-22T02:00:00.000Z"))]).await;
    let modified = moment("2026-11-22T02:00:00.000Z");
    for name in ["a", "b", "c", "d", "e", "f"] {
        let key = format!("logs/2026/11/22/02/large-{name}.json");
        bucket.put(&Object { key, bytes: vec![b'x'; MIB_100], modified });
    }
    let answer = bucket.ask(&[&["temporary errors"], &WINDOW[..]].concat()).ends(4);
    assert!(answer.peak_bytes < MEMORY, "{} MiB at its peak", answer.peak_bytes >> 20);
    assert_eq!(answer.json()["scanned"]["failed"], 6);
    assert_eq!(answer.json()["counts"], json!({"openai": 1}));
}

#[test]
fn a_large_log_that_is_one_is_read() {
    let folder = folder();
    let body = format!("{}temporary errors", "x".repeat(20 << 20));
    let record = json!({"timestamp": "2026-11-22T02:00:00Z", "status": 503, "response_body": {"error": {"message": "temporary errors", "param": body}}});
    folder.put("logs/2026/11/22/02/large.json", record.to_string().as_bytes());
    let json = folder.ask(&[&["temporary errors"], &WINDOW[..]].concat()).ends(0).json();
    assert_eq!(json["counts"], json!({"openai": 2}));
}

#[tokio::test]
async fn an_object_deleted_between_listing_and_reading_is_told_as_unread() {
    let objects =
        [1, 2, 3].map(|n| object(&server_error(n, &format!("2026-11-22T02:00:0{n}.000Z"))));
    let folder = Folder::of(&objects);
    let gone = objects[1].key.clone();
    let source = FolderSource::open(folder.path()).expect("a folder");
    let fails = {
        let gone = gone.clone();
        move |key: &str| (key == gone).then(|| fading::gone(key))
    };
    let source = Arc::new(Fading { folder: source, fails, unseen: 0.into() });
    let window =
        Window { since: moment("2026-11-22T01:00:00Z"), until: moment("2026-11-22T03:00:00Z") };
    let logs = list(&*source, &window).await.expect("listable");
    assert_eq!(logs.entries.len(), 3);
    let aim = Aim {
        needs: Needs::Body,
        prefilter: Prefilter::everything(),
        words: String::new(),
        until: None,
    };
    let reading = read(source, logs.entries, aim).await;
    assert_eq!(reading.exchanges.len(), 2);
    assert_eq!(reading.read, 2);
    let unread: Vec<_> = reading.unread.iter().map(|unread| (&unread.key, unread.denied)).collect();
    assert_eq!(unread, [(&gone, false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_for_one_exchange_ends_with_the_first_hit_and_reads_hardly_more() {
    let objects: Vec<_> = (0..2_000_u32)
        .map(|n| server_error(n, &format!("2026-11-22T{:02}:{:02}:00.000Z", n / 60 % 24, n % 60)))
        .map(|record| object(&record))
        .collect();
    let bucket = Bucket::of(&objects).await;
    let source = Arc::new(bucket.source().await);
    let window =
        Window { since: moment("2026-11-22T00:00:00Z"), until: moment("2026-11-23T00:00:00Z") };
    for (number, most) in [(1_430_u32, 200), (30, 2_000)] {
        let id = format!("req_{number:016x}");
        let before = bucket.0.counts();
        let wanted = {
            let id = id.clone();
            Box::new(move |exchange: &Exchange| exchange.upstream_request_id.as_ref() == Some(&id))
        };
        let prefilter = Prefilter::new("", &[]).or_literal(&id);
        let logs = list(&*source, &window).await.expect("listable");
        let aim = Aim { needs: Needs::Body, prefilter, words: String::new(), until: Some(wanted) };
        let found = read(Arc::clone(&source) as Arc<dyn LogSource>, logs.entries, aim).await;
        let hits: Vec<_> = found
            .exchanges
            .iter()
            .filter(|exchange| exchange.upstream_request_id.as_ref() == Some(&id))
            .collect();
        assert_eq!(hits.len(), 1, "{id}");
        assert!(found.unread.is_empty());
        let gets = bucket.0.counts().get - before.get;
        assert!(gets <= most, "{gets} GETs for {id}");
    }
}
