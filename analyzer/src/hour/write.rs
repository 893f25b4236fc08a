//! Rows to the bytes of one Parquet file, in memory that does not grow with the file.
//!
//! Rows come in their order. A row group is full at so many bytes of text; it is packed on another
//! thread while the next one fills, and its bytes can be taken as soon as it is done. What comes out
//! depends on the rows alone: no time, no path and no number of threads goes into it.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use schemas::columns::{BODY, COLUMNS, Lookup};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::Hour;
use super::batch::{Batch, index, schema};
use super::row::{Cell, Row};

/// Most bytes of text in a row group, unless one alone has more: several are in memory at a time.
const GROUP_BYTES: usize = 16 << 20;
/// Rows at which it is full: with small bodies, too, single rows are to be found quickly.
const GROUP_ROWS: usize = 32 << 10;
/// Row groups that are packed at a time.
const PACKING: usize = 2;
/// zstd's own default. Level 9 saves 12 % for 3.7 times the CPU (`benches/README.md`).
const LEVEL: i32 = 3;
/// What is packed as a unit: zstd looks back no further than 2 MiB, and a reader unpacks no less.
const PAGE_BYTES: usize = 1 << 20;

/// Name of the footer's entry that tells the rows of a file from any others.
pub const DIGEST: &str = "codex-proxy.digest";
/// Name of the footer's entry that says of which hour a file is.
pub const HOUR: &str = "codex-proxy.hour";
/// Name of the footer's entry that says which bodies were kept.
pub const BODIES: &str = "codex-proxy.bodies";

/// Which bodies are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Bodies {
    /// None.
    None,
    /// Those of failures.
    Errors,
    /// All that the logs have.
    #[default]
    Full,
}

impl Bodies {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Errors => "errors",
            Self::Full => "full",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::Errors, Self::Full].into_iter().find(|bodies| bodies.name() == name)
    }
}

/// Why rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// They are not what the columns take.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// Packing them died.
    #[error("packing a row group failed: {0}")]
    Died(#[from] tokio::task::JoinError),
}

/// Writes the rows of one hour.
pub struct HourWriter {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    batch: Batch,
    packing: VecDeque<JoinHandle<Result<Vec<ArrowColumnChunk>, ParquetError>>>,
    groups: usize,
    rows: u64,
    hour: Hour,
    bodies: Bodies,
    digest: Sha256,
}

/// The end of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What has not been taken yet, to the end of the footer.
    pub rest: Bytes,
    /// Rows in all.
    pub rows: u64,
    /// What tells these rows from any others: of their ids, and of the keys of their logs.
    pub digest: String,
}

impl HourWriter {
    /// Starts a file.
    ///
    /// # Errors
    ///
    /// When the columns are no Parquet schema.
    pub fn new(hour: Hour, bodies: Bodies) -> Result<Self, WriteError> {
        let schema = schema();
        let parquet = ArrowSchemaConverter::new().schema_root("exchanges").convert(&schema)?;
        let root = parquet.root_schema_ptr();
        let file = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties()?))?;
        let columns = Arc::new(ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema)));
        Ok(Self {
            file,
            columns,
            schema,
            batch: Batch::new(0),
            packing: VecDeque::new(),
            groups: 0,
            rows: 0,
            hour,
            bodies,
            digest: Sha256::new(),
        })
    }

    /// Adds the next row.
    ///
    /// # Errors
    ///
    /// When an earlier row group could not be packed.
    pub async fn push(&mut self, mut row: Row) -> Result<(), WriteError> {
        let is_kept = match self.bodies {
            Bodies::Full => true,
            Bodies::Errors => row.text("error_origin").is_some(),
            Bodies::None => false,
        };
        if !is_kept {
            row.set(BODY, Cell::Null);
            row.set("request_body", Cell::Null);
        }
        // Room for so much is made at once: more would double it.
        let with_row = self.batch.text_bytes() + row.text_bytes();
        if self.batch.rows() > 0 && with_row > GROUP_BYTES || self.batch.rows() >= GROUP_ROWS {
            self.pack(GROUP_BYTES)?;
            while self.packing.len() > PACKING {
                self.take_group().await?;
            }
        }
        let key = row.text("source_key").unwrap_or_default();
        digest_row(&mut self.digest, &row.rank.exchange_id, key);
        self.batch.push(&row);
        self.rows += 1;
        Ok(())
    }

    /// Returns how many bytes can be taken.
    #[must_use]
    pub fn ready_bytes(&self) -> usize {
        self.file.inner().len()
    }

    /// Takes what is done of the file, in its order.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(self.file.inner_mut()).into()
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// When a row group could not be packed.
    pub async fn finish(mut self) -> Result<Written, WriteError> {
        if self.batch.rows() > 0 {
            self.pack(0)?;
        }
        while !self.packing.is_empty() {
            self.take_group().await?;
        }
        let digest = hex(self.digest);
        let hour = self.hour.to_string();
        let entries =
            [(HOUR, hour.as_str()), (DIGEST, digest.as_str()), (BODIES, self.bodies.name())];
        for (name, value) in entries {
            let entry = KeyValue::new(name.to_owned(), value.to_owned());
            self.file.append_key_value_metadata(entry);
        }
        let rest = self.file.into_inner()?.into();
        Ok(Written { rest, rows: self.rows, digest })
    }

    /// Has the rows so far packed on another thread.
    fn pack(&mut self, room: usize) -> Result<(), WriteError> {
        let full = std::mem::replace(&mut self.batch, Batch::new(room));
        let batch = full.finish().map_err(ParquetError::from)?;
        let writers = self.columns.create_column_writers(self.groups)?;
        self.groups += 1;
        let schema = Arc::clone(&self.schema);
        self.packing.push_back(tokio::task::spawn_blocking(move || pack(writers, &schema, &batch)));
        Ok(())
    }

    /// Waits for the oldest row group, and puts it into the file.
    async fn take_group(&mut self) -> Result<(), WriteError> {
        let Some(packing) = self.packing.pop_front() else { return Ok(()) };
        let chunks = packing.await??;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}

/// Takes a row into the digest of a file.
pub(crate) fn digest_row(digest: &mut Sha256, exchange_id: &str, source_key: &str) {
    for part in [exchange_id, source_key] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
}

/// Ends a digest.
pub(crate) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Packs the columns of one row group.
fn pack(
    writers: Vec<ArrowColumnWriter>,
    schema: &SchemaRef,
    batch: &RecordBatch,
) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let mut writers = writers.into_iter();
    let mut chunks = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        for leaf in compute_leaves(field, column)? {
            let Some(mut writer) = writers.next() else { break };
            writer.write(&leaf)?;
            chunks.push(writer.close()?);
        }
    }
    Ok(chunks)
}

fn properties() -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::from(name);
    let sorted = ["started_at", "exchange_id"].map(|name| SortingColumn {
        column_idx: i32::try_from(index(name)).unwrap_or(0),
        descending: false,
        nulls_first: false,
    });
    let mut properties = WriterProperties::builder()
        .set_created_by("codex-proxy analyzer".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_sorting_columns(Some(sorted.to_vec()));
    for large in [BODY, "request_body", "error_body"] {
        properties = properties
            .set_column_dictionary_enabled(path(large), false)
            .set_column_statistics_enabled(path(large), EnabledStatistics::None);
    }
    for column in COLUMNS.iter().filter(|column| column.lookup == Lookup::Id) {
        properties = properties
            .set_column_bloom_filter_enabled(path(column.name), true)
            .set_column_bloom_filter_max_ndv(path(column.name), GROUP_ROWS as u64)
            .set_column_dictionary_enabled(path(column.name), false);
    }
    // No value of it stands twice.
    properties = properties.set_column_dictionary_enabled(path("source_key"), false);
    Ok(properties.build())
}
