//! A published hour, opened: one version of its file, of which columns are read.
//!
//! The footer comes with the end of the file, in one request; whatever is read after that is read of
//! the same version, so that nobody mixes two. A file that was replaced meanwhile is
//! [`ReadError::Changed`], and whoever asked opens it again.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use schemas::columns::COLUMNS;

use arrow::array::RecordBatch;

use super::Hour;
use super::write::{BODIES, Bodies, DIGEST, HOUR};
use crate::logs::source::{LogSource, SourceError, Span, Version};

/// Bytes at the end of a file that are asked for first: footer, page index and filters of a usual hour.
const TAIL: u64 = 64 << 10;
/// Nothing between two ranges that is smaller than this is worth a request of its own.
const GAP: u64 = 256 << 10;
/// No more than this is asked for at once, unless a column of one row group has more.
const LONGEST: u64 = 32 << 20;
/// Requests for one file at a time.
const REQUESTS: usize = 8;
/// Rows of a batch of all columns: a few of the largest bodies fit into memory.
const CHECKED_ROWS: usize = 16;

/// Why a compacted hour cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Another version was published meanwhile.
    #[error("{0}")]
    Changed(String),
    /// The file cannot be had.
    #[error(transparent)]
    Source(SourceError),
    /// It is no Parquet file, or not one of ours.
    #[error("cannot read `{key}`: {why}")]
    Broken {
        /// Its key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Source(error) => error,
            ReadError::Changed(text) => Self::Changed(text),
            ReadError::Broken { .. } => Self::Unreachable(error.to_string()),
        }
    }
}

/// One version of the file of an hour.
#[derive(Clone)]
pub struct HourFile {
    source: Arc<dyn LogSource>,
    hour: Hour,
    key: String,
    version: Version,
    size: u64,
    metadata: Arc<ParquetMetaData>,
    /// The end of the file, which has been read.
    tail: Bytes,
}

impl HourFile {
    /// Opens the file of an hour; `None` where none is published.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn open(source: &Arc<dyn LogSource>, hour: Hour) -> Result<Option<Self>, ReadError> {
        let key = hour.key();
        let mut wanted = TAIL;
        let mut version = None;
        loop {
            let piece = match source.read(&key, Span::Last(wanted), version.as_ref()).await {
                Ok(piece) => piece,
                Err(SourceError::Missing(_)) => return Ok(None),
                // It was replaced between two reads: the new one is as good.
                Err(SourceError::Changed(_)) => {
                    version = None;
                    continue;
                }
                Err(error) => return Err(ReadError::Source(error)),
            };
            let mut reader =
                ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            match reader.try_parse_sized(&piece.bytes, piece.size) {
                Ok(()) => {}
                Err(ParquetError::NeedMoreData(more)) if piece.size > wanted => {
                    wanted = wanted.saturating_mul(2).max(more as u64);
                    version = Some(piece.version);
                    continue;
                }
                Err(error) => return Err(broken(&key, &error)),
            }
            let metadata = reader.finish().map_err(|error| broken(&key, &error))?;
            let file = Self {
                source: Arc::clone(source),
                hour,
                key,
                version: piece.version,
                size: piece.size,
                metadata: Arc::new(metadata),
                tail: piece.bytes,
            };
            return file.of_its_hour().map(Some);
        }
    }

    /// Returns the file, unless somebody else wrote it, or for another hour.
    fn of_its_hour(self) -> Result<Self, ReadError> {
        let why = match self.entry(HOUR) {
            Some(hour) if hour == self.hour.to_string() && self.digest().is_some() => {
                return Ok(self);
            }
            Some(hour) => format!("it is the file of {hour}"),
            None => "it was not written by `analyzer compact`".to_owned(),
        };
        Err(ReadError::Broken { key: self.key, why })
    }

    /// Returns the hour.
    #[must_use]
    pub fn hour(&self) -> Hour {
        self.hour
    }

    /// Returns the key of the file.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns which version of the file this is.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Returns how many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns its footer, with the page index.
    #[must_use]
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    /// Returns how many rows it has.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    /// Returns what tells its rows from any others.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.entry(DIGEST)
    }

    /// Returns which bodies were kept in it.
    #[must_use]
    pub fn bodies(&self) -> Option<Bodies> {
        self.entry(BODIES).and_then(Bodies::parse)
    }

    fn entry(&self, name: &str) -> Option<&str> {
        let entries = self.metadata.file_metadata().key_value_metadata()?;
        entries.iter().find(|entry| entry.key == name)?.value.as_deref()
    }

    /// Returns a reader of this version's bytes.
    #[must_use]
    pub fn bytes(&self) -> HourBytes {
        HourBytes { file: self.clone() }
    }

    /// Reads all of it, to see whether that can be done.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub async fn check(&self) -> Result<(), ReadError> {
        let all: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
        let mut batches = self.read(&all, None, CHECKED_ROWS)?;
        while batches.try_next().await?.is_some() {}
        Ok(())
    }

    /// Reads columns by their names, in the order of the rows; of all rows, or of those that are
    /// selected. So many rows make a batch.
    ///
    /// # Errors
    ///
    /// When the file is none of ours. What fails later stands in the stream.
    pub fn read(
        &self,
        columns: &[&str],
        rows: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, ReadError>>, ReadError> {
        let key = self.key.clone();
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)
            .map_err(|error| broken(&key, &error))?;
        let parquet = metadata.metadata().file_metadata().schema_descr_ptr();
        let names = columns.iter().copied();
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.bytes(), metadata)
                .with_projection(ProjectionMask::columns(&parquet, names))
                .with_batch_size(batch_rows);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(rows);
        }
        let stream = builder.build().map_err(|error| broken(&key, &error))?;
        Ok(stream.map_err(move |error| explain(&key, error)).boxed())
    }
}

/// The bytes of one version of a file.
pub struct HourBytes {
    file: HourFile,
}

impl HourBytes {
    async fn range(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let HourFile { source, key, version, size, tail, .. } = &self.file;
        let tail_starts = size - tail.len() as u64;
        if range.start >= tail_starts && range.end <= *size {
            return Ok(within(tail, tail_starts, &range));
        }
        let length = range.end - range.start;
        let piece = source.read(key, Span::Range(range), Some(version)).await;
        let piece = piece.map_err(|error| ParquetError::External(Box::new(error)))?;
        if piece.bytes.len() as u64 != length {
            return Err(ParquetError::EOF(format!("{length} bytes wanted of `{key}`")));
        }
        Ok(piece.bytes)
    }

    async fn ranges(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, ParquetError> {
        let joined = join(&ranges);
        let mut read = futures::stream::FuturesOrdered::new();
        let mut pieces = Vec::with_capacity(joined.len());
        for range in joined.iter().cloned() {
            if read.len() == REQUESTS
                && let Some(piece) = read.next().await
            {
                pieces.push(piece?);
            }
            read.push_back(self.range(range));
        }
        while let Some(piece) = read.next().await {
            pieces.push(piece?);
        }
        let of = |range: &Range<u64>| {
            let at = joined.partition_point(|one| one.start <= range.start).saturating_sub(1);
            within(&pieces[at], joined[at].start, range)
        };
        Ok(ranges.iter().map(of).collect())
    }
}

impl AsyncFileReader for HourBytes {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(self.range(range))
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        Box::pin(self.ranges(ranges))
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        Box::pin(async move { Ok(Arc::clone(&self.file.metadata)) })
    }
}

/// Cuts a range out of bytes that begin at `start`.
fn within(bytes: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
    bytes.slice(at(range.start)..at(range.end))
}

/// Joins ranges that nearly touch, in order.
fn join(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        let is_near =
            |last: &Range<u64>| range.start <= last.end + GAP && range.end <= last.start + LONGEST;
        match joined.last_mut().filter(|last| is_near(last)) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

fn broken(key: &str, error: &ParquetError) -> ReadError {
    ReadError::Broken { key: key.to_owned(), why: error.to_string() }
}

/// Finds in an error of the Parquet reader what the source had said.
fn explain(key: &str, error: ParquetError) -> ReadError {
    let ParquetError::External(inner) = error else { return broken(key, &error) };
    match inner.downcast::<SourceError>() {
        Ok(said) => match *said {
            SourceError::Changed(text) | SourceError::Missing(text) => ReadError::Changed(text),
            said => ReadError::Source(said),
        },
        Err(other) => ReadError::Broken { key: key.to_owned(), why: other.to_string() },
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
