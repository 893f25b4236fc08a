//! Logs that stand in no compacted hour, as batches of rows: fetched many at a time, each exchange once.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use schemas::columns::COLUMNS;
use schemas::key::LogKey;

use super::{Tally, failed};
use crate::hour::Hour;
use crate::hour::batch::Batch;
use crate::hour::parts::{Contents, moved};
use crate::hour::row::{Object, Row};
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::list::Entry;
use crate::logs::source::{LogSource, Part, SourceError};

/// Rows of a batch, and bytes of text at which it is full before.
const ROWS: usize = 512;
const TEXT_BYTES: usize = 8 << 20;

/// Logs that are read, and what keeps each exchange to one row.
pub(super) struct Logs {
    pub(super) source: Arc<dyn LogSource>,
    pub(super) entries: Vec<Entry>,
    /// What stands in the compacted hours.
    pub(super) compacted: Vec<Contents>,
    pub(super) tally: Arc<Tally>,
    /// Ids that had their row.
    pub(super) seen: Mutex<HashSet<String>>,
}

/// A share of the logs.
pub(super) struct Share {
    pub(super) logs: Arc<Logs>,
    pub(super) part: usize,
    pub(super) of: usize,
    pub(super) schema: SchemaRef,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} raw logs", self.logs.entries.len().div_ceil(self.of))
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (logs, schema) = (Arc::clone(&self.logs), Arc::clone(&self.schema));
        let mine: Vec<_> = (self.part..logs.entries.len()).step_by(self.of).collect();
        let most = logs.source.concurrency().div_ceil(self.of).max(1);
        let fetching = {
            let logs = Arc::clone(&logs);
            stream::iter(mine).map(move |at| {
                let logs = Arc::clone(&logs);
                async move { (at, fetch(&logs, at).await) }
            })
        };
        let rows = fetching.buffered(most).boxed();
        let to = Arc::clone(&schema);
        let batches =
            stream::try_unfold((rows, Decoder::default()), move |(mut rows, mut decoder)| {
                let (logs, schema) = (Arc::clone(&logs), Arc::clone(&to));
                async move {
                    let (mut batch, mut hours) = (Batch::new(0), Vec::new());
                    while batch.rows() < ROWS
                        && batch.text_bytes() < TEXT_BYTES
                        && let Some((at, got)) = rows.next().await
                    {
                        if let Some(row) = logs.rows(at, got, &mut decoder)? {
                            let time = Timestamp::from_millisecond(row.rank.started_at_ms);
                            let time = time.unwrap_or_default();
                            hours.push(Hour::of_record(&logs.entries[at].key, time));
                            batch.push(&row);
                        }
                    }
                    if batch.rows() == 0 {
                        return Ok::<_, DataFusionError>(None);
                    }
                    Ok(Some((with_hours(batch, &hours, &schema)?, (rows, decoder))))
                }
            });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

enum Got {
    Bytes(bytes::Bytes),
    /// From its compacted hour, where it is by now.
    Row(Box<Row>),
    Missed(String),
}

async fn fetch(logs: &Logs, at: usize) -> Result<Got> {
    let entry = &logs.entries[at];
    if entry.bytes > RECORD_LIMIT {
        let limit = RECORD_LIMIT >> 20;
        return Ok(Got::Missed(format!("{} bytes; no log is over {limit} MiB", entry.bytes)));
    }
    match logs.source.get(&entry.key, Part::Whole).await {
        Ok(bytes) => Ok(Got::Bytes(bytes)),
        Err(error @ SourceError::Missing(_)) => {
            let all: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
            let found = moved(&logs.source, std::slice::from_ref(entry), &all).await;
            let row = found.map_err(|error| failed(error, &logs.tally))?.into_iter().next();
            Ok(row.map_or(Got::Missed(error.to_string()), |row| Got::Row(Box::new(row))))
        }
        Err(error @ SourceError::Denied(_)) => {
            Err(DataFusionError::External(Box::new(logs.tally.note(error))))
        }
        Err(error) => Ok(Got::Missed(error.to_string())),
    }
}

impl Logs {
    /// Makes the row of a log, unless it is none, or its exchange has one.
    fn rows(&self, at: usize, got: Result<Got>, decoder: &mut Decoder) -> Result<Option<Row>> {
        let entry = &self.entries[at];
        self.tally.read.fetch_add(1, Ordering::Relaxed);
        let made = match got? {
            Got::Row(row) => Ok(*row),
            Got::Missed(why) => Err(why),
            Got::Bytes(bytes) => {
                let object = Object { key: &entry.key, bytes: entry.bytes, time: entry.time };
                let json = decoder.decode(&bytes, RECORD_LIMIT).map_err(|error| error.to_string());
                json.and_then(|json| {
                    let row = Row::from_json(json, &object);
                    row.map_err(|error| format!("not a log record: {error}"))
                })
            }
        };
        let row = match made {
            Ok(row) => row,
            Err(why) => {
                self.tally.miss(entry.key.clone(), why);
                return Ok(None);
            }
        };
        let id = &row.rank.exchange_id;
        let says_other = |told: LogKey| {
            told.exchange_id.to_string() != *id
                || told.started_at.as_millisecond() != row.rank.started_at_ms
        };
        if entry.told.is_some_and(says_other) {
            self.tally.mismatch(&entry.key);
        }
        let is_compacted = self.compacted.iter().any(|contents| contents.has_id(id));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((!is_compacted && seen.insert(id.clone())).then_some(row))
    }
}

/// Adds day and hour, and takes text as the table has it.
fn with_hours(batch: Batch, hours: &[Hour], schema: &SchemaRef) -> Result<RecordBatch> {
    let batch = batch.finish()?;
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns.push(Arc::new(hours.iter().map(|hour| Some(hour.day())).collect::<StringArray>()));
    columns.push(Arc::new(hours.iter().map(|hour| Some(hour.number())).collect::<StringArray>()));
    let fields = columns.iter().zip(schema.fields());
    let columns: Result<Vec<_>, _> =
        fields.map(|(column, field)| cast(column, field.data_type())).collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns?)?)
}
