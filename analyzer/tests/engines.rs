//! Every engine reads what is compacted: the same answers to a dozen questions, the same types, the same
//! texts, from the same files. DuckDB always, Spark and chdb where `check.sh --all` has installed them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use benches::corpus::Corpus;
use schemas::columns::{COLUMNS, Kind};
use serde_json::Value;

use crate::common::{Folder, analyzer, run};
use crate::compact::plan;

/// Questions in the SQL that all engines share.
const QUESTIONS: [&str; 12] = [
    "SELECT count(*) AS a FROM exchanges",
    "SELECT error_origin AS a, error_code AS b, count(*) AS c FROM exchanges WHERE error_origin IS NOT NULL GROUP BY error_origin, error_code ORDER BY a, b",
    "SELECT status AS a, count(*) AS b FROM exchanges WHERE status IS NOT NULL GROUP BY status ORDER BY a",
    "SELECT model AS a, count(DISTINCT developer) AS b FROM exchanges WHERE model IS NOT NULL GROUP BY model ORDER BY a",
    "SELECT developer AS a, sum(usage_total_tokens) AS b FROM exchanges WHERE usage_total_tokens IS NOT NULL GROUP BY developer ORDER BY a",
    "SELECT count(*) AS a FROM exchanges WHERE started_at >= TIMESTAMP '2026-11-21 21:00:00' AND started_at < TIMESTAMP '2026-11-21 21:30:00'",
    "SELECT count(*) AS a FROM exchanges WHERE response_body LIKE '%temporary errors%'",
    "SELECT exchange_id AS a, source_key AS b, source_bytes AS c FROM exchanges ORDER BY a",
    "SELECT exchange_id AS a, error_message AS b, error_body AS c FROM exchanges WHERE error_origin IS NOT NULL ORDER BY a",
    "SELECT exchange_id AS a, response_body AS b FROM exchanges ORDER BY a",
    "SELECT count(*) AS a FROM exchanges WHERE stream AND duration_ms > 100.5 AND ending = 'complete'",
    "SELECT count(*) AS a, count(status) AS b, count(upstream_request_id) AS c, count(client_turn_id) AS d, max(response_bytes) AS e FROM exchanges",
];

fn corpus() -> Folder {
    let corpus = Corpus::new(&plan(400, 51));
    let folder = Folder::of(&corpus.objects);
    let mut command = analyzer(&["compact", "--since", "2026-11-21T19:00:00Z", "--source"]);
    command.arg(folder.path());
    run(command, "").ends(0);
    // All are to answer from the same files.
    fs::remove_dir_all(folder.path().join("logs")).expect("expired");
    folder
}

/// The rows of our own answer, each a list of values.
fn ours(folder: &Folder, question: &str) -> Vec<Vec<Value>> {
    let mut command = analyzer(&["sql", question, "--json", "--source"]);
    command.arg(folder.path());
    let answer = run(command, "").ends(0);
    let row = |line: &str| {
        let row: serde_json::Map<String, Value> = serde_json::from_str(line).expect("JSON");
        row.into_iter().map(|(_, value)| value).collect()
    };
    answer.stdout.lines().map(row).collect()
}

/// What an engine calls the types of the columns, and its rows for each question.
fn theirs(python: &str, engine: &str, folder: &Folder) -> (Value, Vec<Vec<Vec<Value>>>) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines.py");
    let mut command = Command::new(python);
    command.arg(script).arg(engine).arg(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Python runs");
    let mut questions = child.stdin.take().expect("a pipe");
    questions.write_all(QUESTIONS.join("\n").as_bytes()).expect("read");
    drop(questions);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{engine}: {said}");
    let mut lines = text.lines().filter(|line| line.starts_with(['{', '[']));
    let types = serde_json::from_str(lines.next().expect("types")).expect("JSON");
    (types, lines.map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

/// Numbers are compared as numbers; an engine may say `7`, `7.0` or, for want of digits, `"7"`.
fn same(ours: &Value, theirs: &Value) -> bool {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    ours == theirs || number(ours).is_some_and(|ours| number(theirs) == Some(ours))
}

fn agrees(python: &str, engine: &str, name: impl Fn(Kind) -> &'static str) {
    let folder = corpus();
    let (types, answers) = theirs(python, engine, &folder);
    for column in COLUMNS {
        assert_eq!(types[column.name], name(column.kind), "{engine}: {}", column.name);
    }
    assert_eq!(answers.len(), QUESTIONS.len());
    for (question, theirs) in QUESTIONS.iter().zip(&answers) {
        let ours = ours(&folder, question);
        assert!(!ours.is_empty(), "{question}");
        assert_eq!(ours.len(), theirs.len(), "{engine}: {question}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            let agree = ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs));
            assert!(agree, "{engine}: {question}\n ours: {ours:?}\n theirs: {theirs:?}");
        }
    }
}

fn python(variable: &str) -> Option<String> {
    let python = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if python.is_none() {
        #[expect(clippy::print_stderr, reason = "whoever runs the tests is to see it")]
        {
            eprintln!("SKIPPED: {variable} names no Python; `scripts/check.sh` sets it");
        }
    }
    python
}

#[test]
fn duckdb_agrees() {
    let Some(python) = python("CODEX_PROXY_TEST_PYTHON") else { return };
    agrees(&python, "duckdb", |kind| match kind {
        Kind::Text => "VARCHAR",
        Kind::Time => "TIMESTAMP WITH TIME ZONE",
        Kind::Int => "INTEGER",
        Kind::Long => "BIGINT",
        Kind::Double => "DOUBLE",
        Kind::Boolean => "BOOLEAN",
    });
}

#[test]
fn chdb_agrees() {
    let Some(python) = python("CODEX_PROXY_TEST_CHDB") else { return };
    agrees(&python, "chdb", |kind| match kind {
        Kind::Text => "String",
        Kind::Time => "DateTime64(3, 'UTC')",
        Kind::Int => "Int32",
        Kind::Long => "Int64",
        Kind::Double => "Float64",
        Kind::Boolean => "Bool",
    });
}

#[test]
fn spark_agrees() {
    let Some(python) = python("CODEX_PROXY_TEST_SPARK") else { return };
    agrees(&python, "spark", |kind| match kind {
        Kind::Text => "string",
        Kind::Time => "timestamp",
        Kind::Int => "int",
        Kind::Long => "bigint",
        Kind::Double => "double",
        Kind::Boolean => "boolean",
    });
}
