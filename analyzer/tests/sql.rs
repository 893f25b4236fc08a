//! `analyzer sql`: the same answers over logs, over compacted hours and over both; nothing read that
//! cannot matter; nothing written that was not asked for.

use std::fs;

use benches::corpus::{Corpus, Known};
use serde_json::{Value, json};

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
    assert_eq!(rows_of(&folder, BY_ORIGIN), by_origin(&corpus.known[..600]), "logs alone");
    compact(&folder);
    assert_eq!(rows_of(&folder, BY_ORIGIN), by_origin(&corpus.known[..600]), "both, each once");
    for object in &corpus.objects[600..] {
        folder.put_object(object);
    }
    assert_eq!(rows_of(&folder, BY_ORIGIN), by_origin(&corpus.known), "late logs beside hours");
    compact(&folder);
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    assert_eq!(rows_of(&folder, BY_ORIGIN), by_origin(&corpus.known), "hours alone");
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
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
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

#[test]
fn times_compare_as_times() {
    let corpus = Corpus::with_outcomes(&plan(90, 34));
    let folder = Folder::of(&corpus.objects);
    compact(&folder);
    let count = |condition: &str| {
        let query = format!("SELECT count(*) AS n FROM exchanges WHERE {condition}");
        rows_of(&folder, &query)[0]["n"].as_u64().expect("a number")
    };
    let noon = "2026-11-21T21:30:00Z";
    let at: jiff::Timestamp = noon.parse().expect("a moment");
    let later = corpus.known.iter().filter(|known| known.started_at >= at).count() as u64;
    assert_eq!(count(&format!("started_at >= '{noon}'")), later);
    assert_eq!(count(&format!("started_at < '{noon}'")), 90 - later);
    assert_eq!(count("day = '2026-11-21' AND hour BETWEEN '20' AND '22'"), 90);
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
    let bytes = fs::read(file).expect("written");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
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
        ("SELECT 1 FROM exchange", "exchange"),
        ("SELECT * FROM exchanges WHERE started_at > 'yesterday'", "yesterday"),
        ("CREATE TABLE t AS SELECT 1", "not supported"),
        ("INSERT INTO exchanges SELECT * FROM exchanges", "not supported"),
        ("SET datafusion.execution.batch_size = 1", "not supported"),
        (&copy, "not supported"),
        ("SELECT * FROM '/etc/passwd'", "not found"),
        ("SELECT 1; SELECT 2", "one"),
    ] {
        let answer = ask(&folder, query, &[]).ends(2);
        assert!(answer.stderr.to_lowercase().contains(&said.to_lowercase()), "{query}: {answer:?}");
        assert!(answer.stderr.contains("hint: "), "{answer:?}");
        assert_eq!(answer.stdout, "");
    }
    assert!(!elsewhere.exists());
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
    assert!(answer.stderr.contains("--memory-limit"), "{answer:?}");
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
