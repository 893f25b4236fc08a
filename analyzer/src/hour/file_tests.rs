//! A file that was written is read back: all of it, some columns, and only one version of it.

use std::fs;
use std::path::Path;

use schemas::columns::COLUMNS;
use tempfile::TempDir;

use super::super::batch::{Columns, schema};
use super::super::row::{Object, Row};
use super::super::write::HourWriter;
use super::*;
use crate::logs::source::FolderSource;
use jiff::Timestamp;

const KEY: &str = "logs/2026/11/22/02/20261122T024107123Z-cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e.3fa9c1d2.200.json.zst";

fn record(n: usize, body: &str) -> serde_json::Value {
    serde_json::json!({
        "schema_version": 1,
        "exchange_id": format!("cpx_{n:032x}"),
        "proxy": {"version": "0.1.0", "region": null, "function": "codex-proxy"},
        "started_at": format!("2026-11-22T02:41:{:02}.{:03}Z", n / 1_000, n % 1_000),
        "origin": "openai",
        "error": null,
        "ending": "complete",
        "status": 200,
        "upstream": {"host": "h", "status": 200, "request_id": "req_1", "ratelimit": {"limit-requests": "5"}},
        "client": {"ip": "127.0.0.1", "turn_id": "t"},
        "stream": true,
        "duration_ms": 12.5,
        "usage": {"input_tokens": 7},
        "response_body": body,
    })
}

fn row(n: usize, body: &str) -> Row {
    let object = Object { key: KEY, bytes: 1_234, time: Timestamp::UNIX_EPOCH };
    Row::from_json(record(n, body).to_string().as_bytes(), &object).expect("a record")
}

fn hour() -> Hour {
    Hour::parse("2026-11-22", 2).expect("an hour")
}

#[tokio::test]
async fn a_row_group_is_full_by_all_of_its_text() {
    let root = TempDir::new().expect("a folder");
    let mut rows: Vec<_> = (0..40).map(|n| row(n, "{}")).collect();
    for row in &mut rows {
        row.set("request_body", super::super::row::Cell::Text("x".repeat(1 << 20)));
    }
    write(root.path(), &rows, Bodies::Full).await;
    let source: Arc<dyn LogSource> = Arc::new(FolderSource::open(root.path()).expect("a folder"));
    let file = HourFile::open(&source, hour()).await.expect("readable").expect("published");
    assert_eq!(file.metadata().num_row_groups(), 3, "40 MiB in groups of at most 16");
}

async fn write(root: &Path, rows: &[Row], bodies: Bodies) -> String {
    let mut writer = HourWriter::new(hour(), bodies).expect("a schema");
    let mut bytes = Vec::new();
    for row in rows {
        writer.push(row.clone()).await.expect("packed");
        bytes.extend_from_slice(&writer.take());
    }
    let written = writer.finish().await.expect("packed");
    bytes.extend_from_slice(&written.rest);
    let path = root.join(hour().key());
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path.with_extension("new"), bytes).expect("written");
    fs::rename(path.with_extension("new"), path).expect("renamed");
    written.digest
}

async fn open(root: &TempDir) -> HourFile {
    let source: Arc<dyn LogSource> = Arc::new(FolderSource::open(root.path()).expect("a folder"));
    HourFile::open(&source, hour()).await.expect("readable").expect("published")
}

/// Text that does not pack.
fn sha256(n: u64) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(n.to_le_bytes());
    hash.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

async fn rows(file: &HourFile, columns: &[&str]) -> Vec<Row> {
    let batches: Vec<_> =
        file.read(columns, None, 1_000).expect("ours").try_collect().await.expect("readable");
    let of = |batch: &RecordBatch| {
        let columns = Columns::of(batch);
        (0..batch.num_rows()).map(|row| columns.row(row)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

#[tokio::test]
async fn rows_come_back_as_they_were_over_several_row_groups() {
    let root = tempfile::tempdir().expect("a folder");
    let large = "a \u{e9} \"quoted\" line\n".repeat(400_000);
    let written: Vec<_> = (0..5).map(|n| row(n, if n == 3 { "" } else { &large })).collect();
    let digest = write(root.path(), &written, Bodies::Full).await;
    let file = open(&root).await;
    assert!(file.metadata().num_row_groups() >= 2, "{}", file.metadata().num_row_groups());
    assert_eq!((file.rows(), file.digest()), (5, Some(digest.as_str())));
    assert_eq!(file.bodies(), Some(Bodies::Full));
    let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(rows(&file, &names).await, written);
    let first = &rows(&file, &["started_at", "exchange_id", "client_turn_id"]).await[0];
    assert_eq!(first.rank, written[0].rank);
    assert_eq!(
        (first.text("client_turn_id"), first.text(schemas::columns::BODY)),
        (Some("t"), None)
    );
    let types = file.metadata().file_metadata().schema_descr();
    assert_eq!(types.num_columns(), schema().fields().len());
}

#[tokio::test]
async fn the_bytes_depend_on_the_rows_alone() {
    let (one, other) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("other"));
    let written: Vec<_> = (0..2_000).map(|n| row(n, &"x".repeat(n))).collect();
    let first = write(one.path(), &written, Bodies::Full).await;
    let second = write(other.path(), &written, Bodies::Full).await;
    let bytes = |root: &TempDir| fs::read(root.path().join(hour().key())).expect("written");
    assert!(bytes(&one) == bytes(&other), "two files of the same rows differ");
    assert_eq!(first, second);
    let fewer = write(other.path(), &written[1..], Bodies::Full).await;
    assert_ne!(first, fewer);
}

#[tokio::test]
async fn a_body_that_is_not_kept_is_null_and_that_of_a_failure_can_be_kept_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let mut failed = row(1, "it failed");
    failed.set("error_origin", super::super::row::Cell::Text("openai".to_owned()));
    let written = [row(0, "it went well"), failed];
    for (bodies, kept) in [
        (Bodies::Full, [Some("it went well"), Some("it failed")]),
        (Bodies::Errors, [None, Some("it failed")]),
        (Bodies::None, [None, None]),
    ] {
        write(root.path(), &written, bodies).await;
        let file = open(&root).await;
        let read = rows(&file, &["response_body"]).await;
        let found: Vec<_> = read.iter().map(|row| row.text("response_body")).collect();
        assert_eq!((found.as_slice(), file.bodies()), (kept.as_slice(), Some(bodies)));
    }
}

#[tokio::test]
async fn a_file_that_was_replaced_is_never_mixed_with_the_new_one() {
    let root = tempfile::tempdir().expect("a folder");
    let noise: String = (0..8_000_u64).map(sha256).collect();
    write(root.path(), &[row(0, &noise)], Bodies::Full).await;
    let file = open(&root).await;
    write(root.path(), &[row(1, &noise)], Bodies::Full).await;
    let read = file.read(&["response_body"], None, 10).expect("ours");
    let error = read.try_collect::<Vec<_>>().await.expect_err("replaced");
    assert!(matches!(error, ReadError::Changed(_)), "{error}");
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_named() {
    let root = tempfile::tempdir().expect("a folder");
    write(root.path(), &[row(0, "")], Bodies::Full).await;
    let path = root.path().join(hour().key());
    let whole = fs::read(&path).expect("written");
    for broken in [&b""[..], b"PAR1", &whole[..whole.len() - 1], &vec![0; 100_000]] {
        fs::write(&path, broken).expect("written");
        let source: Arc<dyn LogSource> =
            Arc::new(FolderSource::open(root.path()).expect("a folder"));
        let error = HourFile::open(&source, hour()).await.err().expect("broken");
        assert!(error.to_string().contains(&hour().key()), "{error}");
    }
}
