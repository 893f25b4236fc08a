//! Reads a published hour back: what stands there is what was written, id by id.

use std::sync::Arc;

use futures::stream::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::hour::Hour;
use crate::hour::batch::Columns;
use crate::hour::file::{HourFile, ReadError};
use crate::hour::write::{Bodies, Written, digest_row, hex};
use crate::logs::source::LogSource;

/// Rows of a batch of small columns.
const ROWS: usize = 8_192;

/// What stands in the place of an hour.
pub(super) enum Found {
    /// What was written, so many bytes of it.
    Ours(u64),
    /// Something else, or nothing.
    Other,
    /// What claims to be what was written, and is not.
    Different(String),
}

/// Reads back.
pub(super) async fn read_back(
    source: &Arc<dyn LogSource>,
    hour: Hour,
    written: &Written,
    bodies: Bodies,
) -> Result<Found, ReadError> {
    loop {
        let Some(file) = HourFile::open(source, hour).await? else { return Ok(Found::Other) };
        // With other bodies it has the same rows, and is another file.
        if file.digest() != Some(written.digest.as_str()) || file.bodies() != Some(bodies) {
            return Ok(Found::Other);
        }
        match digest_of(&file).await {
            Ok((digest, rows)) if digest == written.digest && rows == written.rows => {
                return Ok(Found::Ours(file.size()));
            }
            Ok((_, rows)) => {
                let why = format!("{rows} rows where {} were written, or other ids", written.rows);
                return Ok(Found::Different(why));
            }
            // Somebody has taken in more logs since.
            Err(ReadError::Changed(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes the digest of the rows that are really there.
async fn digest_of(file: &HourFile) -> Result<(String, u64), ReadError> {
    let mut digest = Sha256::new();
    let mut rows = 0;
    let mut batches = file.read(&["exchange_id", "source_key"], None, ROWS)?;
    while let Some(batch) = batches.try_next().await? {
        let columns = Columns::of(&batch);
        for row in 0..batch.num_rows() {
            let text = |name| columns.text(name, row).unwrap_or_default();
            digest_row(&mut digest, text("exchange_id"), text("source_key"));
        }
        rows += batch.num_rows() as u64;
    }
    Ok((hex(digest), rows))
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
