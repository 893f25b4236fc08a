//! A published file is ours only if its rows are, whatever its footer claims.

use std::fs;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::hour::row::{Object, Row};
use crate::hour::write::HourWriter;
use crate::logs::source::FolderSource;

fn hour() -> Hour {
    Hour::parse("2026-11-22", 2).expect("an hour")
}

/// The file of an hour with exchanges of these numbers.
async fn file(numbers: &[u32]) -> (Vec<u8>, Written) {
    let mut writer = HourWriter::new(hour(), Bodies::Full).expect("a schema");
    for number in numbers {
        let record = serde_json::json!({
            "exchange_id": format!("cpx_{number:032x}"),
            "started_at": "2026-11-22T02:41:07.123Z",
            "status": 200,
        });
        let object = Object { key: "logs/a.json", bytes: 9, time: Timestamp::UNIX_EPOCH };
        let row = Row::from_json(record.to_string().as_bytes(), &object).expect("a record");
        writer.push(row).await.expect("packed");
    }
    let mut bytes = writer.take().to_vec();
    let written = writer.finish().await.expect("packed");
    bytes.extend_from_slice(&written.rest);
    (bytes, written)
}

/// Reads back what stands there, as if `written` had been published.
async fn found(bytes: &[u8], written: &Written, bodies: Bodies) -> Found {
    let root = TempDir::new().expect("a folder");
    let path = root.path().join(hour().key());
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("written");
    let source: Arc<dyn LogSource> = Arc::new(FolderSource::open(root.path()).expect("a folder"));
    read_back(&source, hour(), written, bodies).await.expect("readable")
}

#[tokio::test]
async fn what_was_written_is_found_and_another_file_is_not_ours() {
    let (bytes, written) = file(&[1, 2]).await;
    let size = bytes.len() as u64;
    assert!(matches!(found(&bytes, &written, Bodies::Full).await, Found::Ours(it) if it == size));
    assert!(matches!(found(&bytes, &written, Bodies::None).await, Found::Other));
    let (other, _) = file(&[1, 3]).await;
    assert!(matches!(found(&other, &written, Bodies::Full).await, Found::Other));
}

#[tokio::test]
async fn a_footer_that_claims_other_rows_than_there_are_is_noticed() {
    let (_, written) = file(&[1, 2]).await;
    for (numbers, what) in [(&[1, 3][..], "other ids"), (&[1], "fewer rows"), (&[1, 2, 3], "more")]
    {
        let (bytes, of_others) = file(numbers).await;
        let claim = replace(&bytes, &of_others.digest, &written.digest);
        let found = found(&claim, &written, Bodies::Full).await;
        assert!(matches!(found, Found::Different(_)), "{what}");
    }
}

/// Puts one text in the place of another that is as long.
fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.expect("it is there");
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}
