//! Where logs are: a folder or an S3 bucket, behind one trait.
//!
//! A source is the parent of `logs/`, the same root that the proxy's `--logs` names. Keys are
//! relative to it.

mod folder;
mod s3;

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use folder::FolderSource;
pub(crate) use folder::version_of;
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
    /// It is another version by now than the one that was asked for.
    #[error("{0}")]
    Changed(String),
    /// The bucket is in another region than the one that was asked.
    #[error("{text}")]
    Elsewhere {
        /// What S3 said.
        text: String,
        /// Where the bucket is.
        region: String,
    },
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

/// How much of an object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// So many bytes from its beginning, or all where it has no more.
    Head(u64),
}

/// A stretch of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many bytes at its end, or all where it has no more.
    Last(u64),
    /// From the first of these bytes up to the second, which is not read.
    Range(Range<u64>),
}

/// Which version of an object something was read of: two reads of the same one agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub String);

/// A stretch of one version of an object.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What was read.
    pub bytes: Bytes,
    /// Of which version.
    pub version: Version,
    /// How many bytes all of it has.
    pub size: u64,
}

/// What reading takes, for the estimate before much is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Objects a second.
    pub objects_per_second: f64,
    /// Bytes a second, as stored.
    pub bytes_per_second: f64,
    /// Price of a GET.
    pub dollars_per_get: f64,
    /// Price of a LIST, which names up to 1,000 objects.
    pub dollars_per_list: f64,
}

impl Rates {
    /// S3: 256 GETs at a time of 50 ms each, a line of 1 Gbit/s, the prices of us-east-1.
    pub const S3: Self = Self {
        objects_per_second: 5_000.0,
        bytes_per_second: 100e6,
        dollars_per_get: 0.4e-6,
        dollars_per_list: 5e-6,
    };
    /// A disk, cold.
    pub const DISK: Self = Self {
        objects_per_second: 10_000.0,
        bytes_per_second: 200e6,
        dollars_per_get: 0.0,
        dollars_per_list: 0.0,
    };
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

    /// Reads one object, or its beginning. What is worth another try has been tried again.
    fn get<'a>(&'a self, key: &'a str, part: Part) -> BoxFuture<'a, Result<Bytes, SourceError>>;

    /// Reads a stretch of an object; with `of`, only while it is that version
    /// ([`SourceError::Changed`] else).
    fn read<'a>(
        &'a self,
        key: &'a str,
        span: Span,
        of: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Piece, SourceError>>;

    /// Returns how many objects are best read at a time, as things stand.
    fn concurrency(&self) -> usize;

    /// Returns what reading takes.
    fn rates(&self) -> Rates;

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
        return Ok(Box::new(S3Source::open(bucket, prefix).await?));
    }
    Ok(Box::new(FolderSource::open(Path::new(place))?))
}
