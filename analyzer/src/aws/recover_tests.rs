use super::*;

const KEY: &str = "logs/2026/11/22/02/20261122T024107123Z-cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e.3fa9c1d2.200.json.zst";

fn record(bytes: &[u8]) -> Spilled {
    Spilled { key: KEY.to_owned(), bytes: bytes.to_vec() }
}

async fn into(root: &Path, spilled: Vec<Spilled>, is_dry: bool) -> Recovered {
    recover(spilled, Vec::new(), &Folder::new(root), is_dry, &AtomicU64::new(0)).await
}

#[tokio::test]
async fn a_record_is_put_once_however_often_it_is_recovered() {
    let root = tempfile::tempdir().expect("a folder");
    let dry = into(root.path(), vec![record(b"a")], true).await;
    assert_eq!((dry.put.len(), root.path().join(KEY).exists()), (1, false));
    let first = into(root.path(), vec![record(b"a")], false).await;
    assert_eq!((first.found, first.put, first.already), (1, vec![KEY.to_owned()], 0));
    let again = into(root.path(), vec![record(b"a")], false).await;
    assert!(again.is_whole());
    assert_eq!((again.put.len(), again.already), (0, 1));
    let names = std::fs::read_dir(root.path().join(KEY).parent().expect("a folder"));
    assert_eq!(names.expect("a folder").count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn what_is_there_with_other_bytes_stays_and_is_named() {
    let root = tempfile::tempdir().expect("a folder");
    into(root.path(), vec![record(b"a")], false).await;
    for is_dry in [true, false] {
        let other = into(root.path(), vec![record(b"b")], is_dry).await;
        assert_eq!(other.other_bytes, [KEY]);
        assert!(!other.is_whole());
    }
    assert_eq!(std::fs::read(root.path().join(KEY)).expect("still there"), b"a");
}

#[tokio::test]
async fn nothing_but_a_log_is_put_anywhere() {
    let root = tempfile::tempdir().expect("a folder");
    for key in ["../outside", "/etc/passwd", "logs/../../x", "parquet/x", ""] {
        let spilled = Spilled { key: key.to_owned(), bytes: b"x".to_vec() };
        let recovered = into(root.path(), vec![spilled], false).await;
        assert_eq!(recovered.no_log, [key]);
        assert!(!recovered.is_whole());
    }
    assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn what_cannot_be_put_is_named_with_the_reason() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let recovered = into(file.path(), vec![record(b"a")], false).await;
    assert_eq!(recovered.failed.len(), 1);
    assert!(!recovered.failed[0].why.is_empty());
}
