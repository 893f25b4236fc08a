//! Compacted hours for the engine's Parquet scan: it asks for a reader of a file by its key, and gets one
//! that reads the version that was opened, through our source, with its credentials and its patience.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::Tally;
use crate::hour::file::{HourBytes, HourFile};
use crate::logs::source::SourceError;

/// Files that are open, by their keys.
pub(super) struct OpenHours {
    files: HashMap<String, HourFile>,
    tally: Arc<Tally>,
}

impl std::fmt::Debug for OpenHours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} compacted hours", self.files.len())
    }
}

impl OpenHours {
    pub(super) fn new(files: &[HourFile], tally: Arc<Tally>) -> Self {
        let files = files.iter().map(|file| (file.key().to_owned(), file.clone())).collect();
        Self { files, tally }
    }
}

/// Describes a file to the engine; its folder tells day and hour.
pub(super) fn partitioned(file: &HourFile) -> PartitionedFile {
    let text = |text: String| ScalarValue::Utf8View(Some(text));
    let mut described = PartitionedFile::new(file.key().to_owned(), file.size());
    described.partition_values = vec![text(file.hour().day()), text(file.hour().number())];
    described
}

impl ParquetFileReaderFactory for OpenHours {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        // The engine writes `=` in a path as it stands, and may encode other characters; ours has none.
        let key = file.object_meta.location.as_ref().replace("%3D", "=");
        let file = self.files.get(&key).ok_or_else(|| {
            DataFusionError::Internal(format!("`{key}` is none of the hours that were opened"))
        })?;
        Ok(Box::new(Reader { bytes: file.bytes(), tally: Arc::clone(&self.tally) }))
    }
}

struct Reader {
    bytes: HourBytes,
    tally: Arc<Tally>,
}

/// Notes what the source said, for whoever has to say why the query failed.
fn noted(error: ParquetError, tally: &Tally) -> ParquetError {
    if let ParquetError::External(inner) = &error
        && let Some(said) = inner.downcast_ref::<SourceError>()
    {
        tally.note(said.clone());
    }
    error
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let tally = Arc::clone(&self.tally);
        let read = self.bytes.get_bytes(range);
        Box::pin(async move { read.await.map_err(|error| noted(error, &tally)) })
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let tally = Arc::clone(&self.tally);
        let read = self.bytes.get_byte_ranges(ranges);
        Box::pin(async move { read.await.map_err(|error| noted(error, &tally)) })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        self.bytes.get_metadata(options)
    }
}
