//! What every publisher promises, run over each of them: what it replaces is the version that it was told,
//! and nobody sees a file before it is whole.

use analyzer::compact::publish::{
    FolderPublisher, PART_BYTES, PublishError, Publisher, S3Publisher,
};
use analyzer::logs::source::{FolderSource, LogSource, Part, S3Source, SourceError, Span, Version};
use bytes::Bytes;

use crate::common::{BUCKET, Bucket, Folder, config};

const KEY: &str = "parquet/day=2026-11-22/hour=02/exchanges.parquet";

/// A publisher, a source that reads what it publishes, and what keeps them alive.
struct Case {
    name: &'static str,
    publisher: Box<dyn Publisher>,
    source: Box<dyn LogSource>,
    _folder: Option<Folder>,
    _bucket: Option<Bucket>,
}

async fn cases() -> [Case; 2] {
    let folder = Folder::new();
    let in_folder = Case {
        name: "folder",
        publisher: Box::new(FolderPublisher::new(folder.path())),
        source: Box::new(FolderSource::open(folder.path()).expect("a folder")),
        _folder: Some(folder),
        _bucket: None,
    };
    let bucket = Bucket::new().await;
    let source: S3Source = bucket.source().await;
    let in_bucket = Case {
        name: "bucket",
        publisher: Box::new(S3Publisher::new(&config(&bucket.0), BUCKET, "codex")),
        source: Box::new(source),
        _folder: None,
        _bucket: Some(bucket),
    };
    [in_folder, in_bucket]
}

/// A file of so many parts and a rest, all of one byte.
struct Sketch {
    of: u8,
    parts: usize,
}

impl Sketch {
    fn part(&self) -> Bytes {
        vec![self.of; PART_BYTES].into()
    }

    fn rest(&self) -> Bytes {
        vec![self.of; 9].into()
    }
}

impl Case {
    async fn publish(&self, sketch: &Sketch, over: Option<&Version>) -> Result<(), PublishError> {
        let mut publication = self.publisher.begin(KEY, over).await?;
        for _ in 0..sketch.parts {
            publication.write(sketch.part()).await?;
        }
        let published = publication.publish(sketch.rest()).await;
        if published.is_err() {
            publication.abandon().await;
        }
        published
    }

    async fn version(&self) -> Version {
        self.source.read(KEY, Span::Last(1), None).await.expect("published").version
    }

    #[track_caller]
    fn assert_refused(&self, published: &Result<(), PublishError>, what: &str) {
        assert!(
            matches!(published, Err(PublishError::Unsure(_))),
            "{}, {what}: {published:?}",
            self.name
        );
    }

    async fn assert_is(&self, sketch: &Sketch, what: &str) {
        let found = self.source.get(KEY, Part::Whole).await.expect("published");
        let bytes = sketch.parts * PART_BYTES + sketch.rest().len();
        assert_eq!(found.len(), bytes, "{}, {what}", self.name);
        assert!(found.iter().all(|byte| *byte == sketch.of), "{}, {what}", self.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_publisher_replaces_only_the_version_it_was_told() {
    for case in cases().await {
        for parts in [0, 2] {
            let file = |of| Sketch { of, parts };
            let [first, second, third] = [file(b'1'), file(b'2'), file(b'3')];
            if parts > 0 {
                // What stands there is of the round before.
                let over = case.version().await;
                case.publish(&first, Some(&over)).await.expect("over its version");
            } else {
                case.publish(&first, None).await.expect("over none");
            }
            case.assert_is(&first, "first").await;
            let before = case.version().await;
            case.assert_refused(&case.publish(&second, None).await, "something is there");
            case.assert_is(&first, "untouched").await;
            case.publish(&second, Some(&before)).await.expect("over its version");
            case.assert_is(&second, "replaced").await;
            case.assert_refused(&case.publish(&third, Some(&before)).await, "an older version");
            case.assert_is(&second, "still there").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_a_file_that_is_being_written_or_was_abandoned() {
    for case in cases().await {
        let sketch = Sketch { of: b'1', parts: 1 };
        let mut publication = case.publisher.begin(KEY, None).await.expect("begun");
        publication.write(sketch.part()).await.expect("written");
        let seen = case.source.get(KEY, Part::Whole).await;
        assert!(matches!(seen, Err(SourceError::Missing(_))), "{}", case.name);
        publication.abandon().await;
        let seen = case.source.get(KEY, Part::Whole).await;
        assert!(matches!(seen, Err(SourceError::Missing(_))), "{}", case.name);
        drop(publication);
        // A rival between beginning and end.
        let mut slow = case.publisher.begin(KEY, None).await.expect("begun");
        slow.write(sketch.part()).await.expect("written");
        let quick = Sketch { of: b'2', parts: 0 };
        case.publish(&quick, None).await.expect("over none");
        case.assert_refused(&slow.publish(sketch.rest()).await, "the quicker one stands");
        case.assert_is(&quick, "the quicker one").await;
        let gone = case.version().await;
        slow.abandon().await;
        assert_eq!(case.version().await, gone, "{}", case.name);
    }
}
