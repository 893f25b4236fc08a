//! Logs that stand in no compacted hour, as batches of rows: fetched many at a time, each exchange once.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream::{self, Stream, StreamExt as _};
use jiff::Timestamp;
use schemas::columns::COLUMNS;
use schemas::key::ExchangeId;

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

/// Logs that are read, each exchange once.
///
/// Of the logs whose keys tell one exchange the first by its key is read with all others. What else says
/// that it is this exchange waits until these are through: then it has its row, or its log was none.
pub(super) struct Logs {
    source: Arc<dyn LogSource>,
    /// Those that are read first, and after them those that wait.
    entries: Vec<Entry>,
    /// How many are read first.
    first: usize,
    /// What the keys of these tell.
    told: HashSet<ExchangeId>,
    /// What stands in the compacted hours.
    compacted: Vec<Contents>,
    tally: Arc<Tally>,
}

/// One way through the logs.
struct Run {
    /// Ids that had their row.
    seen: Mutex<HashSet<String>>,
    /// Logs that wait since they were read.
    waiting: Mutex<Vec<usize>>,
    /// Shares that are not through yet.
    left: AtomicUsize,
}

impl Logs {
    pub(super) fn new(
        source: Arc<dyn LogSource>,
        mut logs: Vec<Entry>,
        compacted: Vec<Contents>,
        tally: Arc<Tally>,
    ) -> Self {
        logs.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut told = HashSet::new();
        let (mut entries, mut waiting): (Vec<_>, Vec<_>) =
            logs.into_iter().partition(|log| log.told.is_none_or(|of| told.insert(of.exchange_id)));
        // The newest first, which most questions are about.
        entries.reverse();
        let first = entries.len();
        entries.append(&mut waiting);
        Self { source, entries, first, told, compacted, tally }
    }

    /// Returns the logs in so many shares.
    pub(super) fn shares(self, of: usize, schema: &SchemaRef) -> Vec<Arc<dyn PartitionStream>> {
        let of = of.clamp(1, self.first.max(1));
        let (logs, runs) = (Arc::new(self), Arc::new(Mutex::default()));
        let share = |part| {
            let (logs, runs) = (Arc::clone(&logs), Arc::clone(&runs));
            let (schema, begun) = (Arc::clone(schema), AtomicUsize::new(0));
            Arc::new(Share { logs, runs, begun, part, of, schema }) as Arc<dyn PartitionStream>
        };
        (0..of).map(share).collect()
    }
}

/// A share of the logs.
struct Share {
    logs: Arc<Logs>,
    /// A plan may be run more than once, and each run has every row.
    runs: Arc<Mutex<Vec<Arc<Run>>>>,
    /// How often this share was begun.
    begun: AtomicUsize,
    part: usize,
    of: usize,
    schema: SchemaRef,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} raw logs", self.logs.entries.len().div_ceil(self.of))
    }
}

impl Share {
    fn begin(&self) -> Arc<Run> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        while runs.len() <= number {
            let left = AtomicUsize::new(self.of);
            runs.push(Arc::new(Run { seen: Mutex::default(), waiting: Mutex::default(), left }));
        }
        Arc::clone(&runs[number])
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (logs, run) = (Arc::clone(&self.logs), self.begin());
        let most = logs.source.concurrency().div_ceil(self.of).max(1);
        let mine = (self.part..logs.first).step_by(self.of);
        let first = fetched(&logs, mine.collect(), most).map(|(at, got)| (at, got, true));
        let (of_run, of_logs) = (Arc::clone(&run), Arc::clone(&logs));
        // Asked for once all of the first have been taken.
        let last = stream::once(async move { of_run.waiting(&of_logs) });
        let of_logs = Arc::clone(&logs);
        let last = last.flat_map(move |waiting| fetched(&of_logs, waiting, most));
        let rows = first.chain(last.map(|(at, got)| (at, got, false))).boxed();
        let to = Arc::clone(&self.schema);
        let batches =
            stream::try_unfold((rows, Decoder::default()), move |(mut rows, mut decoder)| {
                let (logs, run, schema) = (Arc::clone(&logs), Arc::clone(&run), Arc::clone(&to));
                async move {
                    let (mut batch, mut hours) = (Batch::new(0), Vec::new());
                    while batch.rows() < ROWS
                        && batch.text_bytes() < TEXT_BYTES
                        && let Some((at, got, may_wait)) = rows.next().await
                    {
                        let row = logs.row(at, got, &mut decoder)?;
                        if let Some(row) = row.filter(|row| logs.is_due(&run, at, row, may_wait)) {
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
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

impl Run {
    /// Returns the logs that have waited, if this is the last share.
    fn waiting(&self, logs: &Logs) -> Vec<usize> {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Vec::new();
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = std::mem::take(&mut *waiting);
        waiting.extend(logs.first..logs.entries.len());
        waiting.sort_unstable_by(|a, b| logs.entries[*a].key.cmp(&logs.entries[*b].key));
        waiting
    }
}

/// Fetches logs, so many at a time, in their order.
fn fetched(
    logs: &Arc<Logs>,
    of: Vec<usize>,
    most: usize,
) -> impl Stream<Item = (usize, Result<Got>)> + use<> {
    let logs = Arc::clone(logs);
    let fetching = stream::iter(of).map(move |at| {
        let logs = Arc::clone(&logs);
        async move { (at, fetch(&logs, at).await) }
    });
    fetching.buffered(most)
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
            let mut rows = found.map_err(|error| failed(error, &logs.tally))?;
            // The row of this log, before that of another one of the exchange that its key tells.
            rows.sort_by_key(|row| row.text("source_key") != Some(&entry.key));
            let row = rows.into_iter().next();
            Ok(row.map_or(Got::Missed(error.to_string()), |row| Got::Row(Box::new(row))))
        }
        Err(error @ SourceError::Denied(_)) => {
            Err(DataFusionError::External(Box::new(logs.tally.note(error))))
        }
        Err(error) => Ok(Got::Missed(error.to_string())),
    }
}

impl Logs {
    /// Makes the row of a log, unless it is none.
    fn row(&self, at: usize, got: Result<Got>, decoder: &mut Decoder) -> Result<Option<Row>> {
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
        match made {
            Ok(row) => {
                if entry.told.is_some_and(|told| row.differs_from(&told)) {
                    self.tally.mismatch(&entry.key);
                }
                Ok(Some(row))
            }
            Err(why) => {
                self.tally.miss(entry.key.clone(), why);
                Ok(None)
            }
        }
    }

    /// Tells whether it is this row's turn: whether its exchange has none yet, and nobody else is to have it.
    fn is_due(&self, run: &Run, at: usize, row: &Row, may_wait: bool) -> bool {
        let id = &row.rank.exchange_id;
        if self.compacted.iter().any(|contents| contents.has_id(id)) {
            return false;
        }
        let told = self.entries[at].told.map(|told| told.exchange_id);
        let is_other = |id: ExchangeId| Some(id) != told && self.told.contains(&id);
        if may_wait && ExchangeId::parse(id).is_some_and(is_other) {
            run.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(at);
            return false;
        }
        run.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
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
