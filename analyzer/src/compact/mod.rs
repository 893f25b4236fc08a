//! From the raw logs of an hour to its one Parquet file, without losing or doubling a row.
//!
//! An hour is compacted in four steps: its logs are listed and what is published is opened
//! (`gather`); the logs that are not in it are put in order (`order`); both are merged into a new
//! file (`merge`), which takes the place of the one that was read, or of none ([`publish`]); and what
//! stands there now is read back (`verify`). If another compactor was quicker, or nobody knows, the
//! hour is begun anew. Nothing here deletes a log.
//!
//! What holds, whatever dies when (`tests/compact_*.rs`):
//! - no row is lost: a published row stays, a listed log becomes one or is named;
//! - none is doubled: an id has one row; what is published wins over what comes later;
//! - a rerun changes nothing: where no log is new, nothing is written;
//! - late logs are taken in by the next run;
//! - nobody sees half an hour: the new file appears whole, or not at all.

pub mod publish;
mod gather;
mod order;
mod merge;
mod verify;
pub mod plan;
pub mod run;

use crate::hour::Hour;
use crate::hour::file::ReadError;
use crate::hour::write::{Bodies, WriteError};
use crate::logs::source::SourceError;
use publish::PublishError;

/// How an hour is compacted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which bodies are kept; `None` for those that the published file keeps, and all in a new one.
    pub bodies: Option<Bodies>,
    /// Only of a new file: what a published one keeps, it keeps.
    pub only_new: bool,
    /// Look only at what there is to do.
    pub dry_run: bool,
}

/// A log that became no row: it is none, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its key.
    pub key: String,
    /// Why.
    pub why: String,
}

/// What came of an hour.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// Which hour.
    pub hour: Hour,
    /// What was done.
    pub done: Done,
    /// Rows that its file has now; in a dry run, that it would have at most.
    pub rows: u64,
    /// Rows that are new in it.
    pub added: u64,
    /// Bytes of the logs of these, as stored.
    pub log_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Logs of exchanges that have a row from another log.
    pub duplicates: Vec<String>,
    /// Logs that became no row, because they are none, or cannot be read.
    pub quarantined: Vec<Quarantined>,
    /// Logs that were deleted before they could be read.
    pub gone: Vec<String>,
    /// Logs that became rows, and whose records say another id, time or outcome than their keys.
    pub mismatched: Vec<String>,
    /// Objects that stand where logs of it could, and are none by their names.
    pub unrecognised: Vec<String>,
    /// How often the hour was begun.
    pub attempts: u32,
}

/// What was done with an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// There are no logs of it, and no file.
    Empty,
    /// Every log of it is in its file already.
    Unchanged,
    /// Its first file was published.
    Published,
    /// A file with late logs took the place of the last one.
    Updated,
    /// There is something to do, and it was not done.
    Planned,
}

impl Done {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unchanged => "unchanged",
            Self::Published => "published",
            Self::Updated => "updated",
            Self::Planned => "planned",
        }
    }
}

/// Why an hour was not compacted. What was published before stands.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// Its logs cannot be listed or read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What is published cannot be read.
    #[error(
        "{0}; if it is damaged for good, remove it: the next run makes it anew from the logs that are left"
    )]
    Read(ReadError),
    /// Its logs are there, and none of them can be read.
    #[error("none of its logs can be read: {first}")]
    Unread {
        /// The hour.
        hour: Hour,
        /// Why the first of them cannot.
        first: SourceError,
    },
    /// The new file cannot be made.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The new file cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Others were quicker every time, or S3 said nothing that could be relied on.
    #[error("{hour} was begun {attempts} times: {last}")]
    Contended {
        /// The hour.
        hour: Hour,
        /// How often it was begun.
        attempts: u32,
        /// What ended the last attempt.
        last: String,
    },
    /// What was read back is not what was written.
    #[error("`{key}` was published, and read back it is not what was written: {why}")]
    Different {
        /// Its key.
        key: String,
        /// What differs.
        why: String,
    },
    /// There is no time left.
    #[error("stopped: {0} could not be finished in the time that is left")]
    OutOfTime(Hour),
}

impl From<ReadError> for CompactError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Source(error) => Self::Source(error),
            error => Self::Read(error),
        }
    }
}
