//! Questions over compacted hours: the same answers as over the logs that they were made of, each
//! exchange once, also while logs expire, come late, or are compacted just now.

use std::fs;
use std::sync::Arc;

use analyzer::logs::scan::{Consent, scan};
use analyzer::logs::source::{FolderSource, SourceError};
use analyzer::question::{Filters, Question};
use analyzer::text::recognise::recognise;
use analyzer::window::Window;
use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use benches::corpus::{Bodies, Corpus, Plan, Query};
use benches::upstream::random_body;
use bytes::Bytes;
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::{Value, json};

use crate::common::fading::{Fading, gone};
use crate::common::{Answer, Bucket, Folder, analyzer, object, run, server_error};

const WINDOW: [&str; 4] = ["--since", "2026-11-22T00:00:00Z", "--until", "2026-11-22T04:00:00Z"];

fn plan(objects: usize, seed: u64) -> Plan {
    let since = "2026-11-22T01:00:00Z".parse().expect("a moment");
    Plan { seed, objects, since, hours: 2, bodies: Bodies::Small }
}

fn compact(folder: &Folder) {
    let mut command = analyzer(&["compact", "--date", "2026-11-22", "--source"]);
    command.arg(folder.path());
    run(command, "").ends(0);
}

/// All of an answer but what reading it took, and what is quoted: bodies of successes are not read.
fn essence(mut answer: Value) -> Value {
    for field in ["scanned", "quoted", "say"] {
        answer[field] = Value::Null;
    }
    answer
}

fn ask(folder: &Folder, query: &str, more: &[&str]) -> Value {
    folder.ask(&[&[query], &WINDOW[..], more].concat()).json()
}

#[test]
fn every_question_has_the_same_answer_before_and_after_and_when_the_logs_have_expired() {
    let corpus = Corpus::new(&plan(800, 21));
    let folder = Folder::of(&corpus.objects);
    let ask_all = || Query::ALL.map(|query| essence(ask(&folder, query.text(), &[])));
    let before = ask_all();
    compact(&folder);
    assert_eq!(ask_all(), before, "compacted, and the logs still there");
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    assert_eq!(ask_all(), before, "nothing but compacted hours");
    for query in Query::ALL {
        let truth = corpus.truth(query, plan(0, 0).since, plan(0, 0).until());
        let counts: Value = serde_json::to_value(&truth.counts).expect("JSON");
        assert_eq!(ask(&folder, query.text(), &[])["counts"], counts, "{query:?}");
    }
}

#[test]
fn with_all_successes_that_quote_are_found_in_compacted_bodies_too() {
    let corpus = Corpus::new(&plan(500, 22));
    let folder = Folder::of(&corpus.objects);
    let quoted = |query: Query| ask(&folder, query.text(), &["--all"])["quoted"].clone();
    let before = Query::ALL.map(quoted);
    assert!(before.iter().any(|count| *count != json!(0)), "{before:?}");
    compact(&folder);
    assert_eq!(Query::ALL.map(quoted), before);
}

#[test]
fn late_logs_beside_a_compacted_hour_count_and_nothing_counts_twice() {
    let corpus = Corpus::with_outcomes(&plan(300, 23));
    let folder = Folder::of(&corpus.objects[..200]);
    compact(&folder);
    let count = || ask(&folder, "temporary errors", &[]);
    let first = count()["counts"]["openai"].as_u64().expect("some");
    for number in 0..3 {
        folder.put_object(&object(&server_error(number, "2026-11-22T01:30:00.000Z")));
    }
    assert_eq!(count()["counts"]["openai"], first + 3);
    assert_eq!(count()["scanned"]["duplicates"], 0);
    compact(&folder);
    assert_eq!(count()["counts"]["openai"], first + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_compacted_hours_cost_no_get_of_a_log_and_no_body() {
    let mut records: Vec<_> =
        (0..40).map(|n| server_error(n, &format!("2026-11-22T02:00:{n:02}.000Z"))).collect();
    // Bodies that hardly pack, of successes: who reads them is told by the bytes that were read.
    for (seed, record) in (0..).zip(&mut records[20..]) {
        record.error = None;
        record.status = 200;
        record.response_body = String::from_utf8(random_body(seed, 60_000)).expect("text");
    }
    let objects: Vec<_> = records.iter().map(object).collect();
    let bucket = Bucket::of(&objects).await;
    run(bucket.analyzer(&["compact", "--date", "2026-11-22"]), "").ends(0);
    let before = bucket.0.counts();
    let json = bucket.ask(&["temporary errors", "--since", "2026-11-22"]).ends(0).json();
    assert_eq!(json["counts"], json!({"openai": 20}));
    let after = bucket.0.counts();
    let (gets, bytes) = (after.get - before.get, after.got_bytes - before.got_bytes);
    assert!(gets <= 6, "{gets} GETs for one hour");
    assert!(bytes < 200_000, "{bytes} bytes, where the bodies alone have a million");
}

fn question() -> Question {
    let moment = |text: &str| text.parse::<Timestamp>().expect("a moment");
    let window =
        Window { since: moment("2026-11-22T01:00:00Z"), until: moment("2026-11-22T03:00:00Z") };
    Question {
        recognised: recognise("temporary errors"),
        now: window.until,
        window,
        filters: Filters::default(),
        all: false,
        max: None,
    }
}

#[tokio::test]
async fn whoever_may_not_read_the_hours_gets_an_answer_from_the_logs() {
    let folder = Folder::of(&[object(&server_error(1, "2026-11-22T02:00:01.000Z"))]);
    compact(&folder);
    let of_folder = FolderSource::open(folder.path()).expect("a folder");
    let denied = |key: &str| SourceError::Denied(format!("cannot read `{key}`"));
    let fails = move |key: &str| key.starts_with("parquet/").then(|| denied(key));
    let source = Arc::new(Fading { folder: of_folder, fails, unseen: 0.into() });
    let scanned = scan(source, &question(), Consent::Given, |_, _| ()).await.expect("readable");
    assert_eq!(scanned.reading.exchanges.len(), 1);
    assert!(scanned.hides_hours);
}

#[tokio::test]
async fn logs_that_expire_while_somebody_reads_are_read_from_their_hours() {
    let objects: Vec<_> = (0..20)
        .map(|n| object(&server_error(n, &format!("2026-11-22T02:00:{n:02}.000Z"))))
        .collect();
    let folder = Folder::of(&objects);
    compact(&folder);
    // The window lies in one day, which is listed once each time.
    for unseen in 0..=2 {
        let folder = FolderSource::open(folder.path()).expect("a folder");
        let fails = |key: &str| key.starts_with("logs/").then(|| gone(key));
        let source = Arc::new(Fading { folder, fails, unseen: unseen.into() });
        let scanned = scan(source, &question(), Consent::Given, |_, _| ()).await.expect("readable");
        assert_eq!(scanned.logs.entries.len(), 20, "{unseen}");
        assert_eq!(scanned.reading.exchanges.len(), 20, "{unseen}: each once");
        assert!(scanned.reading.unread.is_empty(), "{unseen}: {:?}", scanned.reading.unread);
    }
}

#[test]
fn one_exchange_is_shown_whole_after_its_log_has_expired() {
    let records: Vec<_> =
        (0..5).map(|n| server_error(n, &format!("2026-11-22T02:00:0{n}.000Z"))).collect();
    let objects: Vec<_> = records.iter().map(object).collect();
    let folder = Folder::of(&objects);
    let show = |id: &str, more: &[&str]| {
        let mut command = analyzer(&["show", id, "--since", "2026-11-21", "--source"]);
        command.arg(folder.path()).args(more);
        run(command, "")
    };
    let ids = [
        &records[3].exchange_id,
        records[3].upstream.as_ref().and_then(|it| it.request_id.as_ref()).expect("an id"),
    ];
    let outputs = || {
        ids.map(|id| [&["--json"][..], &["--body"], &[]].map(|more| show(id, more).ends(0).stdout))
    };
    let before = outputs();
    let text = format!("unexpected status 500: something, request id: {}", ids[0]);
    let answer = essence(ask(&folder, &text, &[]));
    assert_eq!(answer["counts"], json!({"openai": 1}), "{answer}");
    compact(&folder);
    assert_eq!(outputs(), before, "compacted");
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    assert_eq!(outputs(), before, "expired");
    assert_eq!(essence(ask(&folder, &text, &[])), answer, "the verdict by its id");
    show("cpx_01a200ea080c7b3e9f1c2d4affffffff", &[]).ends(1);
}

const FILE: &str = "parquet/day=2026-11-22/hour=02/exchanges.parquet";
const NEXT: &str = "parquet/day=2026-11-22/hour=03/exchanges.parquet";

/// Two compacted hours with four logs each.
fn two_hours() -> Folder {
    let record = |n: u32| server_error(n, &format!("2026-11-22T0{}:00:0{n}.000Z", 2 + n / 4));
    let folder = Folder::of(&(0..8).map(|n| object(&record(n))).collect::<Vec<_>>());
    compact(&folder);
    folder
}

fn sql(folder: &Folder, query: &str) -> Answer {
    let mut command = analyzer(&["sql", query, "--json", "--source"]);
    command.arg(folder.path());
    run(command, "")
}

#[test]
fn a_file_that_is_no_hour_of_ours_is_named_and_the_logs_of_its_hour_are_read() {
    let folder = two_hours();
    let [whole, next] = [FILE, NEXT].map(|file| fs::read(folder.path().join(file)).expect("there"));
    let column = Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", column)]).expect("a batch");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a schema");
    writer.write(&batch).expect("written");
    let foreign = writer.into_inner().expect("written");
    for (bytes, why) in [
        (&whole[..whole.len() - 9], ""),
        (&b""[..], ""),
        (&next, "it is the file of 2026-11-22T03"),
        (&foreign, "not written by `analyzer compact`"),
    ] {
        folder.put(FILE, bytes);
        let answer = folder.ask(&[&["temporary errors"], &WINDOW[..]].concat()).ends(4);
        assert_eq!(answer.json()["counts"], json!({"openai": 8}), "{answer:?}");
        assert!(answer.stderr.contains(FILE) && answer.stderr.contains(why), "{answer:?}");
        let answer = sql(&folder, "SELECT count(*) AS n FROM exchanges").ends(4);
        assert_eq!(answer.stdout, "{\"n\":8}\n");
        assert!(answer.stderr.contains(FILE) && answer.stderr.contains(why), "{answer:?}");
        // Nothing takes the place of what nobody can read.
        let mut command = analyzer(&["compact", "--date", "2026-11-22", "--source"]);
        command.arg(folder.path());
        let answer = run(command, "").ends(4);
        assert!(answer.stderr.contains(FILE) && answer.stderr.contains(why), "{answer:?}");
        assert_eq!(fs::read(folder.path().join(FILE)).expect("still there"), bytes);
    }
}

#[test]
fn an_hour_that_turns_out_to_be_damaged_while_it_is_read_is_named() {
    let folder = two_hours();
    let mut bytes = fs::read(folder.path().join(FILE)).expect("compacted");
    let reader = SerializedFileReader::new(Bytes::from(bytes.clone())).expect("Parquet");
    let (start, length) =
        reader.metadata().row_group(0).columns().last().expect("bodies").byte_range();
    let bodies =
        usize::try_from(start).expect("small")..usize::try_from(start + length).expect("small");
    bytes[bodies].fill(0xff);
    folder.put(FILE, &bytes);
    let answer = sql(&folder, "SELECT * FROM exchanges").ends(4);
    assert!(
        answer.stderr.contains(FILE) && answer.stderr.contains("remove that file"),
        "{answer:?}"
    );
    fs::remove_file(folder.path().join(FILE)).expect("removed");
    assert_eq!(sql(&folder, "SELECT * FROM exchanges").ends(0).stdout.lines().count(), 8);
}
