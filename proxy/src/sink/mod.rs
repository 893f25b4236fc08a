//! Where records go: a folder or an S3 bucket, behind one method.

mod place;
mod folder;
mod s3;
#[cfg(target_os = "linux")]
mod unnamed;

use futures::future::BoxFuture;

use crate::encode::LogObject;

pub use folder::FolderSink;
pub use place::{LogPlace, check_kms_key};
pub use s3::S3Sink;

/// A record could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{place}`: {reason}")]
pub struct SinkError {
    /// The object, with the folder or bucket it was meant for.
    pub place: String,
    /// Why, in one line.
    pub reason: String,
}

/// Stores records.
pub trait LogSink: Send + Sync {
    /// Stores one object, or says why not. Storing the same object twice leaves it once.
    fn put<'a>(&'a self, object: &'a LogObject) -> BoxFuture<'a, Result<(), SinkError>>;

    /// The same at once, on a thread that may wait for a disk; `None` where nothing was tried,
    /// because a network is in between.
    fn put_now(&self, object: &LogObject) -> Option<Result<(), SinkError>> {
        let _ = object;
        None
    }

    /// Returns where records go, for people.
    fn place(&self) -> String;
}
