//! `analyzer compact`: what stands in Parquet is what stood in the logs, each exchange once, in a folder
//! and in a bucket, after one run and after many.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use analyzer::hour::Hour;
use analyzer::hour::batch::Columns;
use analyzer::hour::file::HourFile;
use analyzer::hour::row::Row;
use analyzer::logs::source::{Depth, FolderSource, LogSource, S3Source};
use benches::corpus::{Bodies, Corpus, Known, Object, Plan};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use schemas::columns::COLUMNS;
use serde_json::json;

use crate::common::{Answer, Bucket, Folder, analyzer, object, run, server_error};

const SINCE: [&str; 2] = ["--since", "2026-11-21T19:00:00Z"];

pub(crate) fn plan(objects: usize, seed: u64) -> Plan {
    let since = "2026-11-21T20:00:00Z".parse().expect("a moment");
    Plan { seed, objects, since, hours: 3, bodies: Bodies::Small }
}

/// All rows of the compacted hours of a source.
pub(crate) async fn rows(source: Arc<dyn LogSource>) -> Vec<Row> {
    let listing = source.list("parquet/", Depth::Below).await.expect("listable");
    let hours = listing.objects.iter().filter_map(|object| Hour::parse_key(&object.key));
    let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    let mut rows = Vec::new();
    for hour in hours {
        let file = HourFile::open(&source, hour).await.expect("readable").expect("published");
        let mut batches = file.read(&names, None, 100).expect("ours");
        while let Some(batch) = batches.try_next().await.expect("readable") {
            let columns = Columns::of(&batch);
            rows.extend((0..batch.num_rows()).map(|row| columns.row(row)));
        }
    }
    rows
}

pub(crate) async fn rows_of(folder: &Folder) -> Vec<Row> {
    rows(Arc::new(FolderSource::open(folder.path()).expect("a folder"))).await
}

/// Fails unless the rows are the exchanges of these logs, each once, as their truth has them.
#[track_caller]
pub(crate) fn assert_same(rows: &[Row], known: &[Known]) {
    let ids: HashSet<_> = rows.iter().map(|row| row.rank.exchange_id.as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "an exchange has two rows");
    let mut by_key: BTreeMap<_, _> =
        rows.iter().map(|row| (row.text("source_key").expect("a key"), row)).collect();
    for known in known {
        let Some(row) = by_key.remove(known.key.as_str()) else { panic!("lost: {}", known.key) };
        let failure = known.failure.as_ref();
        let origin = failure.map(|failure| failure.origin.as_str());
        assert_eq!(row.text("error_origin"), origin, "{}", known.key);
        // Of an old one nobody noted which code its body leads to.
        if let Some(code) = failure.map(|failure| &failure.code).filter(|code| !code.is_empty()) {
            assert_eq!(row.text("error_code"), Some(code.as_str()), "{}", known.key);
        }
        assert_eq!(row.rank.started_at_ms, known.started_at.as_millisecond(), "{}", known.key);
    }
    assert!(by_key.is_empty(), "rows of no log: {:?}", by_key.keys());
}

pub(crate) fn compact(folder: &Folder, arguments: &[&str]) -> Answer {
    let mut command = analyzer(&["compact", "--source"]);
    command.arg(folder.path()).args(arguments);
    run(command, "")
}

/// The bytes of all compacted hours, by their keys.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.join("parquet")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "parquet") {
                files.insert(path.display().to_string(), fs::read(&path).expect("readable"));
            }
        }
    }
    files
}

#[tokio::test]
async fn logs_of_every_age_become_one_row_each_and_a_rerun_changes_nothing() {
    let corpus = Corpus::new(&plan(1_500, 5));
    let folder = Folder::of(&corpus.objects);
    let page = compact(&folder, &[&SINCE[..], &["--json"]].concat()).ends(0).json();
    assert_eq!((page["added"].as_u64(), page["failed"].as_u64()), (Some(1_500), Some(0)));
    let written = rows_of(&folder).await;
    assert_same(&written, &corpus.known);
    for pair in written.windows(2) {
        let same_hour = |row: &Row| row.rank.started_at_ms / 3_600_000;
        assert!(pair[0].rank < pair[1].rank || same_hour(&pair[0]) != same_hour(&pair[1]));
    }
    let before = files(folder.path());
    let again = compact(&folder, &SINCE).ends(0);
    assert!(again.stdout.ends_with("nothing new in 3 hours\n"), "{again:?}");
    assert!(before == files(folder.path()), "a rerun wrote something else");
}

#[tokio::test]
async fn a_bucket_gets_the_same_bytes_as_a_folder_by_one_put_for_each_hour() {
    let corpus = Corpus::new(&plan(600, 6));
    let (folder, bucket) = (Folder::of(&corpus.objects), Bucket::of(&corpus.objects).await);
    compact(&folder, &SINCE).ends(0);
    let command = bucket.analyzer(&[&["compact"], &SINCE[..]].concat());
    let answer = tokio::task::spawn_blocking(move || run(command, "")).await.expect("no panic");
    answer.ends(0);
    assert_eq!(bucket.0.counts().put, 3, "one for each hour");
    let in_bucket: Vec<_> = bucket.0.objects().into_iter().map(|(_, bytes)| bytes).collect();
    for (key, bytes) in files(folder.path()) {
        assert!(in_bucket.iter().any(|other| *other == bytes), "{key} differs");
    }
    let command = bucket.analyzer(&[&["compact"], &SINCE[..]].concat());
    tokio::task::spawn_blocking(move || run(command, "")).await.expect("no panic").ends(0);
    assert_eq!(bucket.0.counts().put, 3, "a rerun writes nothing");
    assert!(bucket.0.overwritten().is_empty());
}

#[tokio::test]
async fn late_logs_are_taken_in_and_the_file_is_what_it_would_have_been() {
    let corpus = Corpus::new(&plan(900, 7));
    let (early, late) = corpus.objects.split_at(700);
    let (folder, whole) = (Folder::of(early), Folder::of(&corpus.objects));
    compact(&folder, &SINCE).ends(0);
    assert_same(&rows_of(&folder).await, &corpus.known[..700]);
    for object in late {
        folder.put_object(object);
    }
    let page = compact(&folder, &[&SINCE[..], &["--json"]].concat()).ends(0).json();
    assert_eq!(page["added"], 200);
    assert_eq!(page["hours"][0]["done"], "updated");
    assert_same(&rows_of(&folder).await, &corpus.known);
    compact(&whole, &SINCE).ends(0);
    let contents = |of: &Folder| files(of.path()).into_values().collect::<Vec<_>>();
    assert!(contents(&folder) == contents(&whole), "two ways to the same rows differ");
}

#[tokio::test]
async fn a_log_that_expired_stays_a_row() {
    let corpus = Corpus::with_outcomes(&plan(300, 8));
    let folder = Folder::of(&corpus.objects[..250]);
    compact(&folder, &SINCE).ends(0);
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    compact(&folder, &SINCE).ends(0);
    for object in &corpus.objects[250..] {
        folder.put_object(object);
    }
    compact(&folder, &SINCE).ends(0);
    assert_same(&rows_of(&folder).await, &corpus.known);
}

#[tokio::test]
async fn a_bad_object_is_named_and_the_others_are_published() {
    let corpus = Corpus::with_outcomes(&plan(50, 9));
    let folder = Folder::of(&corpus.objects);
    folder.put("logs/2026/11/21/20/20261121T200000000Z-broken.json.zst", b"\x28\xb5\x2f\xfd??");
    folder.put("logs/2026/11/21/20/list.json", b"[1, 2]");
    let answer = compact(&folder, &[&SINCE[..], &["--json"]].concat()).ends(4);
    assert_eq!(answer.json()["quarantined"], 2);
    assert!(answer.stderr.contains("list.json: not a log record"), "{answer:?}");
    assert_same(&rows_of(&folder).await, &corpus.known);
    let before = files(folder.path());
    compact(&folder, &SINCE).ends(4);
    assert!(before == files(folder.path()), "they are named every time, and nothing is written");
}

#[tokio::test]
async fn of_two_logs_of_one_exchange_the_first_becomes_its_row() {
    let record = server_error(1, "2026-11-22T02:00:01.000Z");
    let one = object(&record);
    let mut other = record.clone();
    other.token_id = Some("a".repeat(16));
    let other = object(&other);
    assert_ne!(one.key, other.key);
    let untold = Object { key: "logs/2026/11/22/02/copy.json".to_owned(), ..one.clone() };
    let first = one.key.clone().min(other.key.clone());
    let folder = Folder::of(&[one, other, untold]);
    let page = compact(&folder, &["--date", "2026-11-22", "--json"]).ends(0).json();
    assert_eq!(page["hours"][0]["duplicates"].as_array().map(Vec::len), Some(2));
    let rows = rows_of(&folder).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].text("source_key"), Some(first.as_str()));
    let before = files(folder.path());
    compact(&folder, &["--date", "2026-11-22"]).ends(0);
    assert!(before == files(folder.path()));
}

#[tokio::test]
async fn a_record_that_stands_elsewhere_than_its_key_says_has_its_own_place() {
    let mut objects: Vec<_> =
        (1..=5).map(|n| object(&server_error(n, &format!("2026-11-22T02:00:0{n}.000Z")))).collect();
    // The record of the first says that it began last.
    let moved = object(&server_error(1, "2026-11-22T02:30:00.000Z"));
    objects[0].bytes = moved.bytes;
    let folder = Folder::of(&objects);
    compact(&folder, &["--date", "2026-11-22"]).ends(0);
    let rows = rows_of(&folder).await;
    let times: Vec<_> = rows.iter().map(|row| row.rank.started_at_ms).collect();
    assert!(times.is_sorted() && times.len() == 5, "{times:?}");
    let before = files(folder.path());
    compact(&folder, &["--date", "2026-11-22"]).ends(0);
    assert!(before == files(folder.path()));
}

#[tokio::test]
async fn logs_whose_keys_tell_no_time_go_to_the_hour_of_their_record() {
    let record = |n: u32, time: &str| {
        json!({"request_id": format!("r{n}"), "timestamp": time, "response_body": "{}"}).to_string()
    };
    let folder = Folder::new();
    for (n, time) in [(1, "2026-11-21T21:00:00Z"), (2, "2026-11-21T22:59:59Z")] {
        folder.put(&format!("logs/flat-{n}.json"), record(n, time).as_bytes());
    }
    folder.put("logs/2026/11/21/day.json", record(3, "2026-11-21T21:30:00Z").as_bytes());
    compact(&folder, &SINCE).ends(0);
    let source: Arc<dyn LogSource> = Arc::new(FolderSource::open(folder.path()).expect("a folder"));
    for (hour, count) in [(20, None), (21, Some(2)), (22, Some(1)), (23, None)] {
        let hour = Hour::parse("2026-11-21", hour).expect("an hour");
        let file = HourFile::open(&source, hour).await.expect("readable");
        assert_eq!(file.map(|file| file.rows()), count, "{hour}");
    }
}

#[tokio::test]
async fn bodies_are_kept_as_asked_and_come_back_while_their_logs_are_there() {
    let corpus = Corpus::with_outcomes(&plan(60, 11));
    let folder = Folder::of(&corpus.objects);
    let bodies = async || {
        let rows = rows_of(&folder).await;
        let has = |row: &&Row| row.text("response_body").is_some_and(|body| !body.is_empty());
        let of_failures = rows.iter().filter(has).filter(|row| row.text("error_origin").is_some());
        (rows.iter().filter(has).count(), of_failures.count())
    };
    compact(&folder, &SINCE).ends(0);
    let (all, of_failures) = bodies().await;
    assert!(all > of_failures && of_failures > 0, "{all} {of_failures}");
    compact(&folder, &[&SINCE[..], &["--bodies", "errors"]].concat()).ends(0);
    assert_eq!(bodies().await, (of_failures, of_failures));
    // Unasked, a file keeps what it kept.
    folder.put_object(&object(&server_error(1, "2026-11-21T20:00:01.000Z")));
    compact(&folder, &SINCE).ends(0);
    assert_eq!(bodies().await, (of_failures + 1, of_failures + 1));
    compact(&folder, &[&SINCE[..], &["--bodies", "none"]].concat()).ends(0);
    assert_eq!(bodies().await, (0, 0));
    compact(&folder, &[&SINCE[..], &["--bodies", "full"]].concat()).ends(0);
    assert_eq!(bodies().await, (all + 1, of_failures + 1));
}

#[tokio::test]
async fn a_dry_run_says_what_there_is_to_do_and_does_nothing() {
    let corpus = Corpus::with_outcomes(&plan(40, 12));
    let folder = Folder::of(&corpus.objects);
    let page = compact(&folder, &[&SINCE[..], &["--dry-run", "--json"]].concat()).ends(0).json();
    assert_eq!((&page["added"], &page["hours"][0]["done"]), (&json!(40), &json!("planned")));
    assert!(!folder.path().join("parquet").exists());
}

#[test]
fn an_hour_that_is_not_closed_is_left_out_unless_it_is_named() {
    #[expect(clippy::disallowed_methods, reason = "what is open is so by the clock of the command")]
    let now = Timestamp::now();
    let log = object(&server_error(1, &format!("{now:.3}")));
    let folder = Folder::of(&[log]);
    let answer = compact(&folder, &["--since", "30m"]).ends(0);
    assert!(answer.stderr.contains("is not closed") || answer.stderr.contains("left out"));
    assert!(!folder.path().join("parquet").exists());
    let hour = Hour::of(now);
    compact(&folder, &["--date", &hour.day(), "--hour", &hour.number()]).ends(0);
    assert!(folder.path().join(hour.key()).exists());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let folder = Folder::new();
    for (arguments, said) in [
        (&["--date", "2026-13-01"][..], "2026-13-01"),
        (&["--hour", "24"], "24"),
        (&["--date", "2999-01-01"], "has not begun"),
        (&["--date", "2026-11-22", "--since", "2h"], "--since"),
        (&["--since", "2999-01-01"], "future"),
    ] {
        let answer = compact(&folder, arguments).ends(2);
        assert!(answer.stderr.contains(said), "{answer:?}");
    }
    let answer = compact(&folder, &SINCE).ends(0);
    assert!(answer.stdout.starts_with("nothing new"), "{answer:?}");
}

/// What a command is that compacts a bucket.
pub(crate) fn command(bucket: &Bucket) -> Command {
    bucket.analyzer(&[&["compact", "--json"], &SINCE[..]].concat())
}

pub(crate) async fn source(bucket: &Bucket) -> Arc<dyn LogSource> {
    let source: S3Source = bucket.source().await;
    Arc::new(source)
}
