//! Merges what is published and what is new into the bytes of one file, as a stream.
//!
//! Logs are fetched many at a time and taken in their order; published rows come batch by batch. In
//! memory are the logs under way, one row of each side, and the row groups that fill and are packed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::stream::{BoxStream, FuturesOrdered, StreamExt as _, TryStreamExt as _};
use schemas::columns::COLUMNS;
use tokio::time::Instant;

use super::order::{Ordered, Reads, UNDER_WAY, fetch, row_of};
use super::publish::{PART_BYTES, Publication};
use super::{CompactError, Quarantined};
use crate::hour::Hour;
use crate::hour::batch::Columns;
use crate::hour::file::{HourFile, ReadError};
use crate::hour::parts::Contents;
use crate::hour::row::Row;
use crate::hour::write::{HourWriter, Written};
use crate::logs::decode::Decoder;
use crate::logs::source::{LogSource, Part, SourceError};

/// Rows of a batch of the published file: with bodies of 16 MiB, too, a few fit into memory.
const ROWS: usize = 16;

/// What merging gave.
pub(super) struct Merged {
    /// The end of the file; `None` where what looked new is no log, and nothing was written.
    pub(super) written: Option<Written>,
    /// Rows that were not published before.
    pub(super) added: u64,
    /// Bytes of their logs.
    pub(super) log_bytes: u64,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) gone: Vec<String>,
    /// Logs whose records say something else than their keys.
    pub(super) mismatched: Vec<String>,
}

/// Why merging ended early.
pub(super) enum Ended {
    /// A record stands elsewhere than its key tells: all have to be asked.
    Misplaced,
    /// The file that is merged was replaced.
    Replaced(String),
    /// For good.
    Failed(CompactError),
}

impl<E: Into<CompactError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How far merging has come, and how long it may take.
pub(super) struct Watch<'a> {
    pub(super) hour: Hour,
    pub(super) logs: &'a AtomicU64,
    pub(super) until: Option<Instant>,
}

/// Merges, and hands the bytes over as they are done; all but the rest.
pub(super) async fn merge(
    source: &Arc<dyn LogSource>,
    published: Option<&(HourFile, Contents)>,
    is_afresh: bool,
    logs: Vec<Ordered>,
    mut writer: HourWriter,
    publication: &mut dyn Publication,
    watch: &Watch<'_>,
) -> Result<Merged, Ended> {
    let mut old = OldRows::open(published.map(|(file, _)| file))?;
    let mut new = NewRows::new(source, logs);
    let (mut added, mut log_bytes, mut is_anew) = (0, 0, false);
    let mut next = [None, new.next(watch).await?];
    let has_new = next[1].is_some() || is_afresh;
    if has_new {
        next[0] = old.next().await?;
    }
    loop {
        let from_old = match &next {
            [None, None] => break,
            [Some(_), None] => true,
            [None, Some(_)] => false,
            // A row that is made anew takes the place of the old one.
            [Some(was), Some(new)] if was.rank == new.rank => {
                next[0] = old.next().await?;
                is_anew = true;
                continue;
            }
            [Some(old), Some(new)] => old.rank < new.rank,
        };
        if watch.until.is_some_and(|until| Instant::now() >= until) {
            return Err(CompactError::OutOfTime(watch.hour).into());
        }
        let following = if from_old { old.next().await? } else { new.next(watch).await? };
        let Some(row) = std::mem::replace(&mut next[usize::from(!from_old)], following) else {
            break;
        };
        if !from_old && !std::mem::take(&mut is_anew) {
            // It tells another time now than when its row was made: that one stands.
            if published.is_some_and(|(_, contents)| contents.has_id(&row.rank.exchange_id)) {
                continue;
            }
            added += 1;
            log_bytes += row.source_bytes();
        }
        writer.push(row).await?;
        if writer.ready_bytes() >= PART_BYTES {
            publication.write(writer.take()).await?;
        }
    }
    let NewRows { quarantined, reads, read, mismatched, .. } = new;
    if let Some(error) = reads.first.filter(|_| read == 0 && published.is_none()) {
        return Err(CompactError::Unread { hour: watch.hour, first: error }.into());
    }
    let written = if has_new { Some(writer.finish().await?) } else { None };
    Ok(Merged { written, added, log_bytes, quarantined, gone: reads.gone, mismatched })
}

/// The rows of the published file, one after another.
struct OldRows {
    batches: BoxStream<'static, Result<RecordBatch, ReadError>>,
    batch: Option<RecordBatch>,
    row: usize,
}

impl OldRows {
    fn open(file: Option<&HourFile>) -> Result<Self, Ended> {
        let batches = match file {
            None => futures::stream::empty().boxed(),
            Some(file) => {
                let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
                file.read(&names, None, ROWS)?
            }
        };
        Ok(Self { batches, batch: None, row: 0 })
    }

    async fn next(&mut self) -> Result<Option<Row>, Ended> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.row < batch.num_rows()) {
                self.row += 1;
                return Ok(Some(Columns::of(batch).row(self.row - 1)));
            }
            self.row = 0;
            self.batch = match self.batches.try_next().await {
                Ok(None) => return Ok(None),
                Ok(batch) => batch,
                Err(ReadError::Changed(why)) => return Err(Ended::Replaced(why)),
                Err(error) => return Err(error.into()),
            };
        }
    }
}

/// The rows of logs, one after another.
struct NewRows<'a> {
    source: &'a Arc<dyn LogSource>,
    waiting: VecDeque<Ordered>,
    under_way: FuturesOrdered<Fetching<'a>>,
    bytes: u64,
    decoder: Decoder,
    quarantined: Vec<Quarantined>,
    mismatched: Vec<String>,
    reads: Reads,
    /// Logs that could be read.
    read: u64,
}

type Fetching<'a> = futures::future::BoxFuture<'a, (Ordered, Result<Option<Bytes>, SourceError>)>;

impl<'a> NewRows<'a> {
    fn new(source: &'a Arc<dyn LogSource>, logs: Vec<Ordered>) -> Self {
        Self {
            source,
            waiting: logs.into(),
            under_way: FuturesOrdered::new(),
            bytes: 0,
            decoder: Decoder::default(),
            quarantined: Vec::new(),
            mismatched: Vec::new(),
            reads: Reads::default(),
            read: 0,
        }
    }

    /// Begins to fetch as much as may be under way.
    fn begin(&mut self) {
        let source = self.source;
        while self.under_way.len() < source.concurrency().max(1)
            && (self.bytes < UNDER_WAY || self.under_way.is_empty())
            && let Some(log) = self.waiting.pop_front()
        {
            self.bytes += log.entry.bytes;
            self.under_way.push_back(Box::pin(async move {
                let fetched = fetch(source, &log.entry, Part::Whole).await;
                (log, fetched)
            }));
        }
    }

    async fn next(&mut self, watch: &Watch<'_>) -> Result<Option<Row>, Ended> {
        loop {
            self.begin();
            let Some((Ordered { rank, entry }, fetched)) = self.under_way.next().await else {
                return Ok(None);
            };
            self.bytes -= entry.bytes;
            watch.logs.fetch_add(1, Ordering::Relaxed);
            let bytes = match fetched {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    self.reads.gone.push(entry.key);
                    continue;
                }
                Err(error) => {
                    self.quarantined.push(self.reads.miss(&entry.key, error)?);
                    continue;
                }
            };
            self.read += 1;
            match row_of(&mut self.decoder, &bytes, &entry) {
                Ok(row) if row.rank == rank => {
                    if entry.told.is_some_and(|told| row.differs_from(&told)) {
                        self.mismatched.push(entry.key);
                    }
                    return Ok(Some(row));
                }
                Ok(_) => return Err(Ended::Misplaced),
                Err(quarantined) => self.quarantined.push(quarantined),
            }
        }
    }
}
