//! Compacting logs that are not where they should be, or not what they should be: each becomes one row or is
//! named, and none keeps the others from theirs.

use std::fs::{self, File};
use std::process::Stdio;
use std::sync::Arc;

use analyzer::compact::publish::FolderPublisher;
use analyzer::compact::run::Compactor;
use analyzer::compact::{Done, Options};
use analyzer::hour::Hour;
use analyzer::hour::file::HourFile;
use analyzer::hour::write::Bodies;
use analyzer::logs::source::{FolderSource, LogSource, SourceError};
use benches::s3::{Failure, Operation};
use benches::upstream::random_body;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::common::fading::{Fading, gone};
use crate::common::{Bucket, Folder, analyzer, object, run, server_error};
use crate::compact::{compact, rows_of, source};

/// A moment in the hour that the ids of [`server_error`] tell.
const OWN: &str = "2026-11-22T01:41:07.000Z";
const DAY: [&str; 2] = ["--date", "2026-11-22"];

/// A record of before there were versions.
fn old(id: &str, time: Option<&str>) -> Value {
    let mut record = json!({"request_id": id, "status": 200, "response_body": "{}"});
    record["timestamp"] = json!(time);
    record
}

/// Puts an object that was written at a time.
fn put(folder: &Folder, key: &str, record: &Value, written: &str) {
    folder.put(key, record.to_string().as_bytes());
    let written: Timestamp = written.parse().expect("a moment");
    let file = File::options().write(true).open(folder.path().join(key)).expect("just written");
    file.set_modified(written.into()).expect("a time");
}

async fn ids(folder: &Folder) -> Vec<String> {
    let mut ids: Vec<_> =
        rows_of(folder).await.into_iter().map(|row| row.rank.exchange_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn records_of_other_times_than_their_folders_become_rows() {
    let folder = Folder::new();
    let midnight = Some("2026-11-21T23:59:50Z");
    put(&folder, "logs/2026/11/22/day.json", &old("day", midnight), "2026-11-22T00:00:10Z");
    put(&folder, "logs/2026/11/22/full.json", &old("full", None), "2026-11-22T05:00:00Z");
    // The clock of whoever wrote it was ahead.
    let ahead = old("ahead", Some("2026-11-22T03:00:02Z"));
    put(&folder, "logs/old/ahead.json", &ahead, "2026-11-22T02:59:58Z");
    put(&folder, "logs/2026/13/no-month.json", &old("no-month", Some(OWN)), OWN);
    for _ in 0..2 {
        compact(&folder, &DAY).ends(0);
        assert_eq!(ids(&folder).await, ["ahead", "day", "full", "no-month"]);
    }
}

#[tokio::test]
async fn another_log_of_an_exchange_takes_the_place_of_a_bad_one() {
    let record = server_error(1, OWN);
    let mut other = record.clone();
    other.token_id = Some("a".repeat(16));
    let mut both = [object(&record), object(&other)];
    both.sort_by(|a, b| a.key.cmp(&b.key));
    both[0].bytes = b"{\"exchange_id\": \"cpx_".to_vec();
    let folder = Folder::of(&both);
    let page = compact(&folder, &[&DAY[..], &["--json"]].concat()).ends(4).json();
    assert_eq!(page["hours"][0]["quarantined"][0]["key"], both[0].key);
    let rows = rows_of(&folder).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].text("source_key"), Some(both[1].key.as_str()));
}

#[tokio::test]
async fn a_copy_in_another_hour_is_no_second_exchange() {
    let own = object(&server_error(1, OWN));
    let folder = Folder::of(std::slice::from_ref(&own));
    folder.put("logs/2026/11/22/04/copy.json.zst", &own.bytes);
    let page = compact(&folder, &[&DAY[..], &["--json"]].concat()).ends(0).json();
    assert_eq!(page["hours"][1]["duplicates"], json!(["logs/2026/11/22/04/copy.json.zst"]));
    assert_eq!(rows_of(&folder).await.len(), 1);
    // Its own log has expired, and it has a row.
    fs::remove_file(folder.path().join(&own.key)).expect("expired");
    compact(&folder, &DAY).ends(0);
    assert_eq!(rows_of(&folder).await.len(), 1);
}

#[tokio::test]
async fn a_copy_that_comes_later_does_not_take_the_row() {
    let own = object(&server_error(1, OWN));
    let folder = Folder::of(std::slice::from_ref(&own));
    compact(&folder, &DAY).ends(0);
    let copy = "logs/2026/11/22/01/a-copy.json.zst";
    folder.put(copy, &own.bytes);
    folder.put_object(&object(&server_error(2, OWN)));
    let page = compact(&folder, &[&DAY[..], &["--json"]].concat()).ends(0).json();
    assert_eq!(page["hours"][0]["duplicates"], json!([copy]));
    let rows = rows_of(&folder).await;
    assert_eq!((rows.len(), rows[0].text("source_key")), (2, Some(own.key.as_str())));
}

#[test]
fn what_is_no_log_by_its_name_is_named() {
    let folder = Folder::of(&[object(&server_error(1, OWN))]);
    let odd = "logs/2026/11/22/01/UPPER.JSON.ZST";
    folder.put(odd, b"{}");
    let answer = compact(&folder, &[&DAY[..], &["--json"]].concat()).ends(0);
    assert_eq!(answer.json()["unrecognised"], json!([odd]));
    assert!(answer.stderr.contains(odd), "{answer:?}");
}

#[test]
fn rivals_in_a_folder_leave_nothing_but_the_hour() {
    let folder = Folder::of(&(1..=200).map(|n| object(&server_error(n, OWN))).collect::<Vec<_>>());
    let mut rivals: Vec<_> = (0..4)
        .map(|_| {
            let mut command = analyzer(&[&["compact"], &DAY[..], &["--source"]].concat());
            command.arg(folder.path()).stdout(Stdio::null()).spawn().expect("it runs")
        })
        .collect();
    for rival in &mut rivals {
        assert!(rival.wait().expect("a child").success());
    }
    let hour = folder.path().join("parquet/day=2026-11-22/hour=01");
    let names = fs::read_dir(hour).expect("compacted");
    let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", "exchanges.parquet"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rerun_reads_no_log() {
    let bucket =
        Bucket::of(&(1..=30).map(|n| object(&server_error(n, OWN))).collect::<Vec<_>>()).await;
    let compact = || run(bucket.analyzer(&[&["compact"], &DAY[..]].concat()), "").ends(0);
    compact();
    let before = bucket.0.counts().get;
    compact();
    let gets = bucket.0.counts().get - before;
    assert!(gets <= 3, "{gets} GETs for an hour in which nothing is new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_log_beside_a_published_hour_has_nothing_written_anew() {
    // Bodies that do not pack: reading all rows of the hour would show.
    let log = |number: u32| {
        let mut record = server_error(number, OWN);
        let noise = random_body(number.into(), 200_000);
        record.response_body = String::from_utf8(noise).expect("text");
        object(&record)
    };
    let mut objects: Vec<_> = (1..=9).map(log).collect();
    objects[8].bytes = b"{".to_vec();
    let bucket = Bucket::of(&objects).await;
    let compact = || run(bucket.analyzer(&[&["compact", "--json"], &DAY[..]].concat()), "").ends(4);
    compact();
    let before = bucket.0.counts();
    let page = compact().json();
    let counts = bucket.0.counts();
    assert_eq!(page["hours"][0]["quarantined"][0]["key"], objects[8].key);
    assert_eq!(page["hours"][0]["rows"], 8);
    assert_eq!(counts.put, before.put);
    let read = counts.got_bytes - before.got_bytes;
    assert!(read < 200_000, "{read} bytes: the ids in the file and the bad log");
}

#[tokio::test]
async fn a_log_that_was_copied_since_keeps_its_one_row() {
    let (folder, key) = (Folder::new(), "logs/2026/11/22/02/timeless.json");
    put(&folder, key, &old("timeless", None), "2026-11-22T02:10:00Z");
    compact(&folder, &DAY).ends(0);
    put(&folder, key, &old("timeless", None), "2026-11-22T02:20:00Z");
    for bodies in ["errors", "full"] {
        compact(&folder, &[&DAY[..], &["--bodies", bodies]].concat()).ends(0);
        assert_eq!(ids(&folder).await, ["timeless"]);
    }
}

#[tokio::test]
async fn records_with_empty_ids_are_not_one_exchange() {
    let folder = Folder::new();
    for n in 1..=2 {
        let key = format!("logs/2026/11/22/02/{n}.json");
        folder.put(&key, old("", Some(&format!("2026-11-22T02:00:0{n}Z"))).to_string().as_bytes());
    }
    compact(&folder, &DAY).ends(0);
    let ids = ids(&folder).await;
    assert!(ids.len() == 2 && !ids.contains(&String::new()), "{ids:?}");
}

#[tokio::test]
async fn bodies_of_expired_logs_can_be_left_out() {
    let folder = Folder::of(&[object(&server_error(1, OWN))]);
    compact(&folder, &DAY).ends(0);
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    compact(&folder, &[&DAY[..], &["--bodies", "none"]].concat()).ends(0);
    let rows = rows_of(&folder).await;
    assert_eq!((rows.len(), rows[0].text("response_body")), (1, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_other_bodies_is_not_taken_for_the_one_that_was_written() {
    let bucket = Bucket::of(&[object(&server_error(1, OWN))]).await;
    let compact =
        |more: &[&str]| run(bucket.analyzer(&[&["compact"], &DAY[..], more].concat()), "").ends(0);
    compact(&[]);
    // Nothing is written, and the answer could mean anything.
    bucket.0.fail_next(Operation::Put, Failure::Precondition, 1);
    compact(&["--bodies", "none"]);
    let hour = Hour::parse("2026-11-22", 1).expect("an hour");
    let file = HourFile::open(&source(&bucket).await, hour).await.expect("readable");
    assert_eq!(file.expect("published").bodies(), Some(Bodies::None));
}

/// Compacts the hour of [`OWN`] of a source that fails for some objects.
async fn compact_failing(
    folder: &Folder,
    fails: impl Fn(&str) -> Option<SourceError> + Send + Sync + 'static,
    options: Options,
) -> Result<analyzer::compact::Compacted, analyzer::compact::CompactError> {
    let hour = Hour::parse("2026-11-22", 1).expect("an hour");
    let of_folder = FolderSource::open(folder.path()).expect("a folder");
    let source: Arc<dyn LogSource> =
        Arc::new(Fading { folder: of_folder, fails, unseen: 0.into() });
    let publisher = Box::new(FolderPublisher::new(folder.path()));
    let mut compactor = Compactor::new(source, publisher, options, None);
    let hours = compactor.with_logs(&[hour]).await.expect("listable");
    assert_eq!(hours, [hour]);
    compactor.compact(hour).await
}

fn denied(key: &str) -> SourceError {
    SourceError::Denied(format!("cannot read `{key}`: archived"))
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_named_and_the_others_are_published() {
    let folder = Folder::of(&[1, 2, 3].map(|n| object(&server_error(n, OWN))));
    folder.put("logs/flat.json", old("flat", Some(OWN)).to_string().as_bytes());
    let fails = |key: &str| {
        let is_bad = key.contains("00000002.") || key == "logs/flat.json";
        is_bad.then(|| denied(key))
    };
    let done = compact_failing(&folder, fails, Options::default()).await.expect("published");
    assert_eq!((done.rows, done.done), (2, Done::Published));
    assert!(done.quarantined.iter().any(|bad| bad.why.ends_with("archived")), "{done:?}");
    // The next run takes it in.
    let done = compact_failing(&folder, |_| None, Options::default()).await.expect("published");
    assert_eq!((done.rows, done.added), (4, 2));
}

#[tokio::test]
async fn an_hour_of_which_nothing_can_be_read_fails() {
    let folder = Folder::of(&[1, 2, 3].map(|n| object(&server_error(n, OWN))));
    let fails = |key: &str| key.starts_with("logs/").then(|| denied(key));
    let error = compact_failing(&folder, fails, Options::default()).await.expect_err("unreadable");
    assert!(error.to_string().contains("archived"), "{error}");
    assert!(rows_of(&folder).await.is_empty());
}

#[tokio::test]
async fn a_log_that_is_gone_does_not_take_another_of_its_exchange_with_it() {
    let record = server_error(1, OWN);
    let mut other = record.clone();
    other.token_id = Some("a".repeat(16));
    let mut keys = [object(&record), object(&other)];
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    let folder = Folder::of(&keys);
    let first = keys[0].key.clone();
    let fails = move |key: &str| (key == first).then(|| gone(key));
    let done = compact_failing(&folder, fails, Options::default()).await.expect("published");
    assert_eq!((done.rows, done.gone), (1, vec![keys[0].key.clone()]));
}

#[tokio::test]
async fn what_a_schedule_keeps_of_new_hours_does_not_change_old_ones() {
    let folder = Folder::of(&[object(&server_error(1, OWN))]);
    compact(&folder, &DAY).ends(0);
    let options = Options { bodies: Some(Bodies::None), only_new: true, dry_run: false };
    let done = compact_failing(&folder, |_| None, options).await.expect("looked at");
    assert_eq!(done.done, Done::Unchanged);
    fs::remove_dir_all(folder.path().join("parquet")).expect("removed");
    let done = compact_failing(&folder, |_| None, options).await.expect("published");
    assert_eq!(done.done, Done::Published);
    assert_eq!(rows_of(&folder).await[0].text("response_body"), None);
}
