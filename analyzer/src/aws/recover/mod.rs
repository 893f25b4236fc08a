//! Spilled records back to their place: what the proxy could not put into the logs, and wrote to stdout.
//!
//! In: lines of a log group, or of a file. Out: each record under the key that it had before its first
//! PUT, with the same bytes, put there only if nothing is there yet. So it can be run as often as one
//! likes, and nothing is ever overwritten: what is there already with other bytes is named.

mod exported;
mod folder;
mod s3;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_config::SdkConfig;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use schemas::key::LogKey;
use schemas::spill::{SpillLine, Spilled};
use serde::Serialize;

pub(crate) use self::exported::read as read_exported;
use self::folder::Folder;
use self::s3::Bucket;

/// Records that are put at a time.
const PARALLEL: usize = 16;

/// A place for logs that takes an object only where nothing is yet.
pub(crate) trait Destination: Send + Sync {
    /// Puts an object under a key; `false` when something is there already.
    fn put_new<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<bool, String>>;

    /// Reads an object; `None` when nothing is there.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, String>>;
}

/// Opens the root of the logs: `s3://BUCKET[/PREFIX]` or a folder. Asks nothing yet.
pub(crate) fn open(place: &str, aws: &SdkConfig, kms_key: Option<&str>) -> Box<dyn Destination> {
    match place.strip_prefix("s3://") {
        Some(bucket) => {
            let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
            Box::new(Bucket::new(aws, bucket, prefix, kms_key))
        }
        None => Box::new(Folder::new(Path::new(place))),
    }
}

/// What became of the records that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Whole records that were found.
    pub found: usize,
    /// Keys of records that were put in their place; with `--dry-run`, that would be.
    pub put: Vec<String>,
    /// How many were there already, with the same bytes.
    pub already: usize,
    /// Keys under which something else stands.
    pub other_bytes: Vec<String>,
    /// Keys of records of which a part is missing or damaged.
    pub broken: Vec<String>,
    /// Keys that are no log's; nothing is put there.
    pub no_log: Vec<String>,
    /// Keys of records that could not be put, and why.
    pub failed: Vec<Failed>,
}

/// A record that could not be put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its key.
    pub key: String,
    /// Why not.
    pub why: String,
}

impl Recovered {
    /// Tells whether everything that was spilled is in its place now.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Self { found: _, put: _, already: _, other_bytes, broken, no_log, failed } = self;
        other_bytes.is_empty() && broken.is_empty() && no_log.is_empty() && failed.is_empty()
    }
}

/// What happens to one record.
enum Outcome {
    Put,
    Already,
    OtherBytes,
}

/// Puts records together and in their place; with `is_dry`, only looks at what is there. `done` counts
/// how many are.
pub(crate) async fn recover(
    spilled: Vec<Spilled>,
    broken: Vec<String>,
    destination: &dyn Destination,
    is_dry: bool,
    done: &AtomicU64,
) -> Recovered {
    let mut recovered = Recovered { found: spilled.len(), broken, ..Recovered::default() };
    // A line is only text: whatever it names, nothing but a log is put anywhere.
    let (logs, others): (Vec<_>, Vec<_>) =
        spilled.into_iter().partition(|spilled| LogKey::parse(&spilled.key).is_some());
    recovered.no_log = others.into_iter().map(|other| other.key).collect();
    let outcomes = stream::iter(logs).map(|log| async move {
        let outcome = place(&log, destination, is_dry).await;
        (log.key, outcome)
    });
    let mut outcomes = outcomes.buffered(PARALLEL);
    while let Some((key, outcome)) = outcomes.next().await {
        done.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(Outcome::Put) => recovered.put.push(key),
            Ok(Outcome::Already) => recovered.already += 1,
            Ok(Outcome::OtherBytes) => recovered.other_bytes.push(key),
            Err(why) => recovered.failed.push(Failed { key, why }),
        }
    }
    recovered
}

async fn place(
    log: &Spilled,
    destination: &dyn Destination,
    is_dry: bool,
) -> Result<Outcome, String> {
    if !is_dry && destination.put_new(&log.key, &log.bytes).await? {
        return Ok(Outcome::Put);
    }
    Ok(match destination.get(&log.key).await? {
        Some(there) if there == log.bytes => Outcome::Already,
        Some(_) => Outcome::OtherBytes,
        None if is_dry => Outcome::Put,
        None => return Err("something was there, and is gone".to_owned()),
    })
}

/// Makes records of lines.
pub(crate) fn assemble(lines: Vec<SpillLine>) -> (Vec<Spilled>, Vec<String>) {
    Spilled::assemble(lines)
}

#[cfg(test)]
#[path = "../recover_tests.rs"]
mod tests;
