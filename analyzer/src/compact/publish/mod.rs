//! The one step that everybody sees: a new version of an hour's file takes the place of the one that
//! was read, or nothing happens.
//!
//! Whoever publishes says which version is to be replaced. If it is not that one any more, another
//! compactor was quicker, and the hour is begun anew. Until then nothing stands under the hour's name;
//! readers see the old version or the new one.

mod folder;
mod s3;

use std::path::Path;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::logs::source::{SourceError, Version};

pub use folder::FolderPublisher;
pub use s3::S3Publisher;

/// Bytes that are handed over at a time, at least: S3 takes no smaller part but the last, and 10,000 parts.
pub const PART_BYTES: usize = 16 << 20;

/// Why an hour was not published.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// It may have been, or another may have been quicker: what stands there now tells.
    #[error("{0}")]
    Unsure(String),
    /// It was not, and will not be while things stand as they do.
    #[error("{0}")]
    Denied(String),
    /// It was not: the place cannot be reached, or has no room.
    #[error("{0}")]
    Unreachable(String),
}

/// Publishes compacted hours.
pub trait Publisher: Send + Sync {
    /// Begins a file that is to take the place of the version `over`, or of none.
    fn begin<'a>(
        &'a self,
        key: &'a str,
        over: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Publication + 'a>, PublishError>>;
}

/// A file that is being written, and that nobody sees.
pub trait Publication: Send {
    /// Takes the next bytes: at least [`PART_BYTES`].
    fn write(&mut self, part: Bytes) -> BoxFuture<'_, Result<(), PublishError>>;

    /// Takes the last bytes, and publishes all of it.
    fn publish(&mut self, rest: Bytes) -> BoxFuture<'_, Result<(), PublishError>>;

    /// Forgets what was written; what cannot be removed now is removed by whoever comes next, or by
    /// the bucket's lifecycle.
    fn abandon(&mut self) -> BoxFuture<'_, ()>;
}

/// Opens the place that a person named, to publish there: `s3://BUCKET[/PREFIX]` or a folder.
///
/// # Errors
///
/// When it names no bucket.
pub async fn open(place: &str) -> Result<Box<dyn Publisher>, SourceError> {
    match place.strip_prefix("s3://") {
        Some(bucket) => {
            let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
            Ok(Box::new(S3Publisher::new(&crate::aws::load().await, bucket, prefix)))
        }
        None => Ok(Box::new(FolderPublisher::new(Path::new(place)))),
    }
}
