//! `analyzer sql`: the same answers over logs, over compacted hours and over both; nothing read that
//! cannot matter; nothing written that was not asked for.

use std::fs;
use std::sync::Arc;

use analyzer::logs::source::{FolderSource, LogSource};
use analyzer::sql::start;
use arrow::array::AsArray as _;
use benches::corpus::{Corpus, Known};
use futures::TryStreamExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::common::fading::{Fading, gone};
use crate::common::{Answer, Bucket, Folder, analyzer, object, run, server_error};
use crate::compact::plan;

fn ask(folder: &Folder, query: &str, more: &[&str]) -> Answer {
    let mut command = analyzer(&["sql", query, "--source"]);
    command.arg(folder.path()).args(more);
    run(command, "")
}

/// The rows of an answer, as JSON.
#[track_caller]
fn rows(answer: &Answer) -> Vec<Value> {
    let row =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    answer.stdout.lines().map(row).collect()
}

#[track_caller]
fn rows_of(folder: &Folder, query: &str) -> Vec<Value> {
    rows(&ask(folder, query, &["--json"]).ends(0))
}

fn compact(folder: &Folder) {
    let mut command = analyzer(&["compact", "--since", "2026-11-21T19:00:00Z", "--source"]);
    command.arg(folder.path());
    run(command, "").ends(0);
}

const BY_ORIGIN: &str = "SELECT error_origin, count(*) AS n FROM exchanges GROUP BY 1 ORDER BY 1";

/// Which logs there are rows of; each is a row for itself.
#[track_caller]
fn assert_rows(folder: &Folder, known: &[Known], what: &str) {
    let rows = rows_of(folder, "SELECT source_key FROM exchanges ORDER BY 1");
    let mut keys: Vec<_> = known.iter().map(|known| json!({"source_key": known.key})).collect();
    keys.sort_by_key(|row| row["source_key"].as_str().map(str::to_owned));
    assert_eq!(rows, keys, "{what}");
    assert_eq!(rows_of(folder, BY_ORIGIN), by_origin(known), "{what}");
}

fn by_origin(known: &[Known]) -> Vec<Value> {
    let mut counts = std::collections::BTreeMap::<Option<&str>, u64>::new();
    for known in known {
        *counts.entry(known.failure.as_ref().map(|it| it.origin.as_str())).or_default() += 1;
    }
    let row = |(origin, n): (Option<&str>, u64)| json!({"error_origin": origin, "n": n});
    // NULLs come last, as in PostgreSQL and DuckDB.
    let (none, some): (Vec<_>, Vec<_>) =
        counts.into_iter().partition(|(origin, _)| origin.is_none());
    some.into_iter().chain(none).map(row).collect()
}

#[test]
fn logs_hours_and_both_together_have_the_same_rows() {
    let corpus = Corpus::new(&plan(700, 31));
    let folder = Folder::of(&corpus.objects[..600]);
    assert_rows(&folder, &corpus.known[..600], "logs alone");
    compact(&folder);
    assert_rows(&folder, &corpus.known[..600], "both, each once");
    for object in &corpus.objects[600..] {
        folder.put_object(object);
    }
    assert_rows(&folder, &corpus.known, "late logs beside hours");
    compact(&folder);
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    assert_rows(&folder, &corpus.known, "hours alone");
}

#[test]
fn every_column_of_a_log_is_that_of_its_row() {
    let corpus = Corpus::new(&plan(120, 32));
    let folder = Folder::of(&corpus.objects);
    let all = "SELECT * FROM exchanges ORDER BY exchange_id";
    let before = rows_of(&folder, all);
    assert_eq!(before.len(), 120);
    compact(&folder);
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    let after = rows_of(&folder, all);
    assert_eq!(before, after);
    assert_eq!(
        before[0].as_object().map(serde_json::Map::len),
        Some(schemas::columns::COLUMNS.len() + 2)
    );
}

#[test]
fn duplicates_count_once_whoever_has_them() {
    let record = server_error(1, "2026-11-21T20:00:01.000Z");
    let one = object(&record);
    let folder = Folder::of(std::slice::from_ref(&one));
    compact(&folder);
    folder.put("logs/2026/11/21/20/copy.json.zst", &one.bytes);
    folder.put("logs/2026/11/21/20/another.json.zst", &one.bytes);
    let mut other = record.clone();
    other.token_id = Some("b".repeat(16));
    folder.put_object(&object(&other));
    let fresh = object(&server_error(2, "2026-11-21T20:00:02.000Z"));
    folder.put_object(&fresh);
    folder.put("logs/flat.json.zst", &fresh.bytes);
    let count = "SELECT count(*) AS n, count(DISTINCT exchange_id) AS ids FROM exchanges";
    assert_eq!(rows_of(&folder, count), [json!({"n": 2, "ids": 2})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_an_answer_is_not_read() {
    let corpus = Corpus::with_outcomes(&plan(300, 33));
    let bucket = Bucket::of(&corpus.objects).await;
    let ask = |query: &str| {
        let before = bucket.0.counts().get;
        let answer = run(bucket.analyzer(&["sql", query, "--json"]), "").ends(0);
        (rows(&answer), bucket.0.counts().get - before)
    };
    let errors = corpus.known.iter().filter(|known| known.failure.is_some()).count();
    let (found, gets) = ask("SELECT exchange_id FROM exchanges WHERE error_origin IS NOT NULL");
    assert_eq!((found.len(), gets), (errors, errors), "errors cost no GET of a success");
    let (found, gets) = ask("SELECT 1 FROM exchanges WHERE hour = '21' AND status = 599");
    assert_eq!((found.len(), gets), (0, 0));
    let of_hour = corpus.known.iter().filter(|known| known.key.contains("/22/2026")).count();
    let (found, gets) = ask("SELECT 1 FROM exchanges WHERE day = '2026-11-21' AND hour = '22'");
    assert_eq!((found.len(), gets), (of_hour, of_hour), "only one hour is read");
    run(bucket.analyzer(&["compact", "--since", "2026-11-21T19:00:00Z"]), "").ends(0);
    let (found, gets) = ask("SELECT count(*) AS n FROM exchanges WHERE error_code IS NOT NULL");
    assert_eq!(found, [json!({"n": errors})]);
    assert!(gets <= 3 * 4, "three hours: {gets} GETs");
    let (found, gets) = ask("SELECT status FROM exchanges WHERE started_at < '2026-11-01'");
    assert_eq!((found.len(), gets), (0, 0), "hours far from that time are not even opened");
}

/// Conditions on all that names of hours and keys of logs tell.
const CONDITIONS: [&str; 27] = [
    "started_at >= '2026-11-21T21:30:00Z'",
    "started_at < '2026-11-21T21:00:00Z'",
    "started_at <= '2026-11-21T21:00:00Z'",
    "started_at > '2026-11-21T21:00:00Z' AND started_at < '2026-11-21T22:00:00Z'",
    "started_at BETWEEN '2026-11-21T20:59:59Z' AND '2026-11-21T21:00:00Z'",
    "NOT started_at < '2026-11-21T22:00:00Z'",
    "CAST(started_at AS DATE) = '2026-11-22'",
    "CAST(started_at AS TIME) >= TIME '23:00:00'",
    "CAST(started_at AS TIME) < TIME '00:30:00' OR status = 500",
    // There midnight is in the middle of an hour of UTC.
    "CAST(started_at AT TIME ZONE 'Asia/Tehran' AS TIME) < TIME '00:20:00'",
    "date_trunc('hour', started_at) = '2026-11-21T21:00:00Z'",
    "day = '2026-11-21' AND hour BETWEEN '20' AND '21'",
    "day || hour = '2026-11-2200'",
    "hour NOT IN ('20', '23')",
    "hour LIKE '2_' AND NOT hour = '21'",
    "day = '2026-11-22' OR error_origin = 'openai'",
    "error_origin IS NULL",
    "error_origin IS DISTINCT FROM 'openai'",
    "NOT (error_origin = 'openai')",
    "error_origin IN ('proxy', 'client') OR status BETWEEN 500 AND 502",
    "error_origin LIKE '%o%' AND error_code IS NOT NULL",
    "coalesce(error_code, 'none') = 'none'",
    "status <> 200 AND status < 429",
    "exchange_id LIKE 'cpx_01a200ea%'",
    "status IS NULL OR error_message IS NULL",
    "error_detail IS NULL AND error_origin IS NOT NULL",
    "error_type IS NOT NULL",
];

#[test]
fn conditions_choose_the_same_rows_of_logs_as_of_hours_and_leave_none_out() {
    let corpus = Corpus::new(&plan(150, 34));
    let folder = Folder::of(&corpus.objects);
    // On the borders of hours and of the day.
    for (n, time) in (0..).zip(["21:00:00.000", "21:59:59.999", "23:00:00.000", "23:59:59.999"]) {
        folder.put_object(&object(&server_error(n, &format!("2026-11-21T{time}Z"))));
    }
    folder.put_object(&object(&server_error(9, "2026-11-22T00:00:00.000Z")));
    let list = "array_agg(source_key ORDER BY source_key)";
    // What an aggregate takes up is not known before it is read: nothing can be left out.
    let columns =
        |(at, condition): (usize, &&str)| format!("{list} FILTER (WHERE {condition}) AS c{at}");
    let columns: Vec<_> = CONDITIONS.iter().enumerate().map(columns).collect();
    let truth = format!("SELECT {} FROM exchanges", columns.join(", "));
    let truth = rows_of(&folder, &truth).remove(0);
    for is_compacted in [false, true] {
        if is_compacted {
            compact(&folder);
            fs::remove_dir_all(folder.path().join("logs")).expect("expired");
        }
        for (at, condition) in CONDITIONS.iter().enumerate() {
            let query = format!("SELECT {list} AS keys FROM exchanges WHERE {condition}");
            let found = &rows_of(&folder, &query)[0]["keys"];
            assert!(found.as_array().is_some_and(|keys| !keys.is_empty()), "{condition}: none");
            assert_eq!(found, &truth[format!("c{at}")], "{condition}, compacted: {is_compacted}");
        }
    }
}

/// Asks in this process, of a source that is not what it was: which logs became rows, and how many could not
/// be read.
pub(crate) async fn keys_of(source: Arc<dyn LogSource>) -> (Vec<String>, usize) {
    let query = "SELECT source_key FROM exchanges";
    let mut running = start(source, query, 100 << 20).await.expect("planned");
    let mut keys = Vec::new();
    while let Some(batch) = running.batches.try_next().await.expect("rows") {
        let texts = batch.column(0).as_string_view();
        keys.extend(texts.iter().map(|key| key.expect("a key").to_owned()));
    }
    keys.sort();
    (keys, running.tally.unread().len())
}

#[tokio::test]
async fn logs_that_expire_while_a_query_runs_are_read_from_their_hours() {
    let corpus = Corpus::with_outcomes(&plan(40, 36));
    let folder = Folder::of(&corpus.objects);
    compact(&folder);
    let mut known: Vec<_> = corpus.known.iter().map(|known| known.key.clone()).collect();
    known.sort();
    // The hours are listed twice: to know which there are, and once the logs were listed.
    for unseen in 0..=2 {
        let folder = FolderSource::open(folder.path()).expect("a folder");
        let fails = |key: &str| key.starts_with("logs/").then(|| gone(key));
        let source = Arc::new(Fading { folder, fails, unseen: unseen.into() });
        assert_eq!(keys_of(source).await, (known.clone(), 0), "{unseen}");
    }
}

#[test]
fn a_query_beside_a_compactor_has_each_exchange_once() {
    let corpus = Corpus::new(&plan(900, 37));
    let folder = Folder::of(&corpus.objects[..800]);
    for until in [800, 900] {
        corpus.objects[800..until].iter().for_each(|object| folder.put_object(object));
        let mut compactor = analyzer(&["compact", "--since", "2026-11-21T19:00:00Z", "--source"]);
        let mut compactor = compactor.arg(folder.path()).spawn().expect("it runs");
        let mut asked = 0;
        while asked == 0 || compactor.try_wait().expect("a child").is_none() {
            assert_rows(&folder, &corpus.known[..until], "while it runs");
            asked += 1;
        }
        assert!(compactor.wait().expect("it has ended").success());
    }
}

#[test]
fn what_is_passed_over_or_says_something_else_is_named() {
    let one = object(&server_error(1, "2026-11-21T20:00:01.000Z"));
    let mut moved = object(&server_error(2, "2026-11-21T20:00:02.000Z"));
    moved.bytes = object(&server_error(2, "2026-11-21T20:00:30.000Z")).bytes;
    let folder = Folder::of(&[one, moved]);
    folder.put("logs/2026/11/21/20/readme.txt", b"?");
    let answer = ask(&folder, "SELECT count(*) AS n FROM exchanges", &["--json"]).ends(0);
    assert_eq!(rows(&answer), [json!({"n": 2})]);
    assert!(answer.stderr.contains("1 object below logs/ passed over"), "{answer:?}");
    assert!(answer.stderr.contains("whose record differs from its key"), "{answer:?}");
}

#[test]
fn a_log_that_is_none_is_named_and_the_others_are_counted() {
    let corpus = Corpus::with_outcomes(&plan(20, 35));
    let folder = Folder::of(&corpus.objects);
    folder.put("logs/2026/11/21/20/broken.json", b"{");
    let answer = ask(&folder, "SELECT count(*) AS n FROM exchanges", &["--json"]).ends(4);
    assert_eq!(rows(&answer), [json!({"n": 20})]);
    assert!(answer.stderr.contains("broken.json: not a log record"), "{answer:?}");
}

#[test]
fn an_answer_is_a_table_lines_of_json_csv_or_parquet() {
    let folder = Folder::of(&[object(&server_error(7, "2026-11-21T20:00:01.000Z"))]);
    let query = "SELECT status, started_at, error_message, usage_input_tokens FROM exchanges";
    let table = ask(&folder, query, &[]).ends(0);
    assert!(table.stdout.contains("| 500    | 2026-11-21T20:00:01Z |"), "{table:?}");
    assert!(table.stdout.contains('…') && table.stderr.contains("1 row"), "{table:?}");
    let csv = ask(&folder, query, &["-o", "csv"]).ends(0).stdout;
    assert!(csv.starts_with("status,started_at,error_message,usage_input_tokens\n500,"), "{csv}");
    let json = rows_of(&folder, query);
    assert_eq!((&json[0]["status"], &json[0]["usage_input_tokens"]), (&json!(500), &Value::Null));
    let file = folder.path().join("out.parquet");
    let to = ["-o", "parquet", "--output-file", file.to_str().expect("text")];
    ask(&folder, query, &to).ends(0);
    let file = fs::File::open(file).expect("written");
    let mut batches =
        ParquetRecordBatchReaderBuilder::try_new(file).expect("ours").build().expect("ours");
    let batch = batches.next().expect("a batch").expect("readable");
    assert_eq!((batch.num_rows(), batch.num_columns()), (1, 4));
    let nested = "SELECT array_agg(chr(27) || error_message) AS said FROM exchanges";
    let nested = ask(&folder, nested, &[]).ends(0).stdout;
    assert!(nested.contains('…') && !nested.contains('\u{1b}'), "{nested}");
    let none = "SELECT status, path FROM exchanges WHERE status = 1";
    assert_eq!(ask(&folder, none, &["-o", "csv"]).ends(0).stdout, "status,path\n");
    assert_eq!(
        ask(&folder, "SELECT status FROM exchanges WHERE status = 1", &["--json"]).ends(0).stdout,
        ""
    );
}

#[test]
fn what_is_wrong_is_said_in_a_line_and_nothing_is_written() {
    let folder = Folder::of(&[object(&server_error(7, "2026-11-21T20:00:01.000Z"))]);
    let elsewhere = folder.path().join("elsewhere.csv");
    let copy = format!("COPY exchanges TO '{}'", elsewhere.display());
    for (query, said) in [
        ("", "empty"),
        ("SELEC 1", "expected: an SQL statement"),
        ("SELECT colour FROM exchanges", "no field named colour"),
        ("SELECT 1 FROM exchange", "exchange' not found"),
        ("SELECT * FROM exchanges WHERE started_at > 'yesterday'", "yesterday"),
        ("CREATE TABLE t AS SELECT 1", "error: DDL not supported"),
        ("INSERT INTO exchanges SELECT * FROM exchanges", "not supported"),
        ("SET datafusion.execution.batch_size = 1", "not supported"),
        (&copy, "not supported"),
        ("SELECT * FROM '/etc/passwd'", "not found"),
        ("SELECT 1; SELECT 2", "a single SQL statement"),
    ] {
        let answer = ask(&folder, query, &[]).ends(2);
        assert!(answer.stderr.to_lowercase().contains(&said.to_lowercase()), "{query}: {answer:?}");
        assert!(answer.stderr.contains("hint: "), "{answer:?}");
        assert_eq!(answer.stdout, "");
    }
    assert!(!elsewhere.exists());
    fs::write(&elsewhere, "yesterday's").expect("written");
    let to = ["-o", "csv", "--output-file", elsewhere.to_str().expect("text")];
    for query in ["SELEC 1", "SELECT CAST(path AS INT) FROM exchanges"] {
        assert_ne!(ask(&folder, query, &to).code, 0);
        assert_eq!(fs::read_to_string(&elsewhere).expect("still there"), "yesterday's");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "logs and the file");
    let mut missing = analyzer(&["sql", "SELECT 1 FROM exchanges", "--source", "/no/such/folder"]);
    missing.env("HOME", folder.path());
    run(missing, "").ends(3);
    for query in [
        "DESCRIBE exchanges",
        "EXPLAIN SELECT status FROM exchanges",
        "SHOW TABLES",
        "WITH a AS (SELECT 1 AS b) SELECT b FROM a",
    ] {
        ask(&folder, query, &[]).ends(0);
    }
}

#[test]
fn memory_has_a_limit_and_says_so() {
    let mut record = server_error(1, "2026-11-21T20:00:01.000Z");
    let logs: Vec<_> = (0..60)
        .map(|number| {
            let started_at = format!("2026-11-21T20:00:{number:02}.000Z");
            record = server_error(number, &started_at);
            record.response_body = format!("{number} {}", "x".repeat(200_000));
            object(&record)
        })
        .collect();
    let folder = Folder::of(&logs);
    let query = "SELECT response_body, count(*) FROM exchanges GROUP BY 1 ORDER BY 1";
    let limited = ["--memory-limit", "1MiB", "--json"];
    let answer = ask(&folder, query, &limited).ends(2);
    assert!(answer.stderr.contains("needs more memory"), "{answer:?}");
    assert_eq!(rows_of(&folder, query).len(), 60);
    ask(&folder, query, &["--memory-limit", "much"]).ends(2);
}

#[test]
fn a_query_can_come_from_stdin() {
    let folder = Folder::of(&[object(&server_error(7, "2026-11-21T20:00:01.000Z"))]);
    let mut command = analyzer(&["sql", "-", "--json", "--source"]);
    command.arg(folder.path());
    let answer = run(command, "SELECT count(*) AS n\nFROM exchanges;\n").ends(0);
    assert_eq!(rows(&answer), [json!({"n": 1})]);
}
