//! What every source of logs promises, run over each of them.

use std::collections::BTreeSet;
use std::time::SystemTime;

use analyzer::logs::source::{
    Depth, FolderSource, Listing, LogSource, Part, S3Source, SourceError, Span,
};
use benches::s3::{Failure, MemoryS3, Operation};

use crate::common::{BUCKET, Folder, config};

/// Names in which nearly everything has to be encoded.
const ODD: [&str; 5] = [
    "odd/a b+c%2Bd.json",
    "odd/ü/日本語 🦀.json",
    "odd/=&?#@:;,$'()!*~[]{}|^`\"<>.json",
    "odd/x../y...json",
    "odd/%/%zz+.json",
];

/// An object without a byte, of which S3 gives no range.
const EMPTY: &str = "empty/nothing.json";

/// More than two pages of S3's.
const MANY: usize = 2_500;

fn keys() -> Vec<String> {
    let many = (0..MANY).map(|n| format!("logs/2026/11/22/{:02}/{n:04}.json", n % 3));
    let others = ["logs/top.json", "logs/2026/x.json", "logs-not/y.json", "z.json"];
    many.chain(others.map(str::to_owned)).chain(ODD.map(str::to_owned)).collect()
}

/// A source, and what keeps it alive.
struct Case {
    name: &'static str,
    source: Box<dyn LogSource>,
    _folder: Option<Folder>,
    _server: Option<MemoryS3>,
}

async fn cases() -> Vec<Case> {
    let folder = Folder::new();
    for key in keys() {
        folder.put(&key, key.as_bytes());
    }
    folder.put(EMPTY, b"");
    let source = Box::new(FolderSource::open(folder.path()).expect("a folder"));
    let mut cases = vec![Case { name: "folder", source, _folder: Some(folder), _server: None }];
    for (name, prefix) in [("bucket", ""), ("prefix of a bucket", "/a team/with+signs/")] {
        let server = MemoryS3::start(BUCKET).await.expect("a loopback port is free");
        for key in keys() {
            let whole = format!("{}{key}", prefix.trim_start_matches('/'));
            server.insert(&whole, key.clone().into_bytes(), SystemTime::UNIX_EPOCH);
        }
        let empty = format!("{}{EMPTY}", prefix.trim_start_matches('/'));
        server.insert(&empty, Vec::new(), SystemTime::UNIX_EPOCH);
        let source = S3Source::with(config(&server), BUCKET, prefix).await.expect("a bucket");
        let source = Box::new(source);
        cases.push(Case { name, source, _folder: None, _server: Some(server) });
    }
    cases
}

fn names(listing: &Listing) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let objects = listing.objects.iter().map(|object| object.key.as_str()).collect();
    (objects, listing.folders.iter().map(String::as_str).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_lists_and_reads_alike() {
    for Case { name, source, _folder, _server } in cases().await {
        let list = |prefix, depth| source.list(prefix, depth);

        let here = list("logs/", Depth::Here).await.expect("listable");
        let expected = (BTreeSet::from(["logs/top.json"]), BTreeSet::from(["logs/2026/"]));
        assert_eq!(names(&here), expected, "{name}");

        let root = list("", Depth::Here).await.expect("listable");
        let folders = ["empty/", "logs/", "logs-not/", "odd/"];
        let expected = (BTreeSet::from(["z.json"]), BTreeSet::from(folders));
        assert_eq!(names(&root), expected, "{name}");

        let below = list("logs/", Depth::Below).await.expect("listable");
        let all = keys();
        let expected = all.iter().map(String::as_str).filter(|key| key.starts_with("logs/"));
        assert_eq!(names(&below), (expected.collect(), BTreeSet::new()), "{name}");
        assert_eq!(below.objects.len(), MANY + 2, "{name}: each page once");
        for object in &below.objects {
            assert_eq!(object.bytes, object.key.len() as u64, "{name}: {}", object.key);
            assert!(object.modified.is_some(), "{name}: {}", object.key);
        }

        let hours = list("logs/2026/11/22/", Depth::Here).await.expect("listable");
        assert_eq!(names(&hours).1.len(), 3, "{name}");
        let nothing = list("logs/2025/", Depth::Below).await.expect("an empty listing");
        assert_eq!(names(&nothing), (BTreeSet::new(), BTreeSet::new()), "{name}");

        let key = "logs/2026/11/22/01/0001.json";
        assert_eq!(source.get(key, Part::Whole).await.expect("readable"), key, "{name}");
        let head = source.get(key, Part::Head(9)).await.expect("readable");
        assert_eq!(head, key[..9], "{name}");
        let more = source.get(key, Part::Head(9_999)).await.expect("readable");
        assert_eq!(more, key, "{name}: it has no more");
        let odd = list("odd/", Depth::Below).await.expect("listable");
        assert_eq!(odd.objects.len(), ODD.len(), "{name}: {odd:?}");
        for object in odd.objects {
            let got = source.get(&object.key, Part::Whole).await.expect("readable");
            assert_eq!(got, object.key, "{name}");
        }
        for part in [Part::Whole, Part::Head(9)] {
            assert_eq!(source.get(EMPTY, part).await.expect("readable"), "", "{name}: {part:?}");
        }
        let end = source.read(EMPTY, Span::Last(9), None).await.expect("readable");
        assert_eq!((end.bytes.len(), end.size), (0, 0), "{name}");
        let missing = source.get("logs/2026/11/22/01/none.json", Part::Whole).await;
        assert!(matches!(missing, Err(SourceError::Missing(_))), "{name}: {missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_asks_for_less_is_asked_for_half_as_much_and_each_log_is_read() {
    let server = MemoryS3::start(BUCKET).await.expect("a loopback port is free");
    server.insert("logs/a.json", b"{}".to_vec(), SystemTime::UNIX_EPOCH);
    let source = S3Source::with(config(&server), BUCKET, "").await.expect("a bucket");
    let before = source.concurrency();
    server.fail_next(Operation::Get, Failure::SlowDown, 1);
    assert_eq!(source.get("logs/a.json", Part::Whole).await.expect("tried again"), "{}");
    // The success that followed adds a little again.
    assert!(source.concurrency() <= before / 2 + 1, "{} of {before}", source.concurrency());
}
