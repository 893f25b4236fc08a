//! Where logs are: a folder or an S3 bucket, behind two methods.
//!
//! A source is the parent of `logs/`, the same root that the proxy's `--logs` names. Keys are
//! relative to it.

mod folder;
mod s3;

use std::path::Path;

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use folder::FolderSource;
pub use s3::S3Source;

/// Why a source cannot be used, or one object of it cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The bucket, folder or object is not there.
    #[error("{0}")]
    Missing(String),
    /// It is there, and we may not.
    #[error("{0}")]
    Denied(String),
    /// It did not answer, or not in time.
    #[error("{0}")]
    Unreachable(String),
}

/// One object, as a listing tells it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Key below the root.
    pub key: String,
    /// Size in bytes, as stored.
    pub bytes: u64,
    /// When it was written.
    pub modified: Option<Timestamp>,
}

/// What stands below a prefix.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Objects.
    pub objects: Vec<Listed>,
    /// Prefixes one level down, each with its slash; only with [`Depth::Here`].
    pub folders: Vec<String>,
}

/// How far a listing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// This level only; deeper ones are named as folders.
    Here,
    /// Everything below.
    Below,
}

/// Lists and reads logs.
pub trait LogSource: Send + Sync {
    /// Lists what stands below a prefix that is empty or ends in a slash. A prefix that nothing
    /// stands below is an empty listing.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxFuture<'a, Result<Listing, SourceError>>;

    /// Reads one object.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>>;

    /// Returns how many objects are best read at a time.
    fn concurrency(&self) -> usize;

    /// Returns where this is, for people.
    fn place(&self) -> String;
}

/// Opens the source that a person named: `s3://BUCKET[/PREFIX]` or a folder.
///
/// # Errors
///
/// [`SourceError::Missing`] for a folder that is not there, or a URL without a bucket.
pub async fn open(place: &str) -> Result<Box<dyn LogSource>, SourceError> {
    if let Some(bucket) = place.strip_prefix("s3://") {
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        if bucket.is_empty() {
            return Err(SourceError::Missing(format!("`{place}` names no bucket")));
        }
        return Ok(Box::new(S3Source::open(bucket, prefix).await));
    }
    Ok(Box::new(FolderSource::open(Path::new(place))?))
}
