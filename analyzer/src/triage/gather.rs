//! Gathers the exchanges of a window, and of the time before it: rows of compacted hours, small fields of
//! logs, and of the rest what their keys tell.
//!
//! Of the window every failure is read and as many successes as are asked for; of the time before, enough
//! of both to know what is usual. Where not all is read, those that are lie evenly over the time, and
//! counts come from the keys all the same.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use schemas::columns::COLUMNS;

use super::fact::Facts;
use super::rows::READ;
use crate::aws::cloudwatch::Observed;
use crate::hour::Hour;
use crate::hour::file::{HourFile, ReadError};
use crate::hour::parts::{Parts, moved, parts};
use crate::hour::rows::understand_whole;
use crate::inquire::understand_spilled;
use crate::logs::aim::Aim;
use crate::logs::list::Entry;
use crate::logs::read::{Progress, Reader, Reading, Unread};
use crate::logs::source::LogSource;
use crate::window::Window;

/// Hours that are read at a time.
const FILES: usize = 4;
/// Rows of a batch.
const ROWS: usize = 16_384;
/// Logs that are read of the window, if nobody says another number.
pub const MOST: usize = 20_000;
/// Successes, and failures, that are read of the time before.
const MOST_BEFORE: usize = 2_000;

/// What was gathered.
#[derive(Default)]
pub struct Gathered {
    /// The exchanges.
    pub facts: Facts,
    /// What of it came from where, and what is missing.
    pub sources: Sources,
}

/// Where exchanges came from, and what is missing.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Hours that were compacted.
    pub hours: u64,
    /// Logs that were listed beside them.
    pub logs: u64,
    /// Logs that were read.
    pub read: u64,
    /// Logs, and compacted hours, that could not be read.
    pub unread: Vec<Unread>,
    /// Objects whose names are not those of logs.
    pub unrecognised: Vec<String>,
    /// Keys that tell another outcome than the record in them; the record is believed.
    pub mismatched: Vec<String>,
    /// Logs of the window whose keys alone are known, because nobody asked for more.
    pub by_key: u64,
    /// Logs of the window whose keys tell nothing, and that nobody asked to be read.
    pub unknown: u64,
    /// Exchanges whose record S3 refused, and that was found among the function's lines.
    pub spilled: HashSet<String>,
}

impl Gathered {
    /// Takes records that S3 refused, and that stand among the function's lines, as the logs that they are.
    pub fn take_spilled(&mut self, observed: &Observed, window: &Window, baseline: &Window) {
        for spilled in &observed.spilled {
            let Some((_, exchange)) = understand_spilled(spilled) else { continue };
            if self.facts.add_exchange(&exchange, window, baseline) {
                self.sources.spilled.insert(exchange.exchange_id);
            }
        }
        let why = "S3 refused it, and in CloudWatch Logs a part is missing or damaged";
        self.sources.unread.extend(observed.broken_spills.iter().map(|key| Unread {
            key: key.clone(),
            why: why.to_owned(),
            denied: false,
            gone: false,
        }));
        self.facts.finish();
    }
}

/// Gathers. `watch` is called with how far reading has come, once it is known what is read.
///
/// # Errors
///
/// When the logs cannot be listed: a part of them would be no answer.
pub async fn gather<T>(
    source: &Arc<dyn LogSource>,
    window: &Window,
    baseline: &Window,
    most: usize,
    watch: impl FnOnce(u64, Arc<Progress>) -> T,
) -> Result<Gathered, ReadError> {
    let both = Window { since: baseline.since.min(window.since), until: window.until };
    let Parts { hours, logs, unrecognised, broken, contents: _ } =
        parts(source, &both, true).await?;
    let mut gathered = Gathered::default();
    let Gathered { facts, sources } = &mut gathered;
    sources.hours = hours.len() as u64;
    sources.logs = logs.len() as u64;
    sources.unrecognised = unrecognised;
    let damaged = |(key, why): (String, String)| Unread { key, why, denied: false, gone: false };
    sources.unread.extend(broken.into_iter().map(damaged));

    let chosen = choose(logs, window, most);
    let reader = Reader::start(Arc::clone(source), Aim::small_fields());
    reader.push(chosen.read.iter().cloned());
    let watching = watch(chosen.read.len() as u64, reader.progress());
    let mut read = stream::iter(hours)
        .map(|file| {
            let source = Arc::clone(source);
            tokio::spawn(async move { batches_of(&source, file).await })
        })
        .buffered(FILES);
    while let Some(batches) = read.next().await {
        match batches {
            Ok(Ok(batches)) => {
                for batch in &batches {
                    facts.add_rows(batch, window, baseline);
                }
            }
            Ok(Err(ReadError::Broken { key, why })) => sources.unread.push(damaged((key, why))),
            Ok(Err(error)) => return Err(error),
            Err(error) => {
                let why = format!("reading failed: {error}");
                sources.unread.push(damaged(("some compacted hour".to_owned(), why)));
            }
        }
    }
    let mut reading = reader.finish().await;
    find_gone(source, &chosen.read, &mut reading).await?;
    drop(watching);
    for exchange in &reading.exchanges {
        facts.add_exchange(exchange, window, baseline);
    }
    // Of what could not be read, and of what nobody asked for, the keys count.
    let unread: HashSet<&str> = reading.unread.iter().map(|unread| unread.key.as_str()).collect();
    for entry in chosen.read.iter().filter(|entry| unread.contains(entry.key.as_str())) {
        facts.add_key(entry, window, baseline);
    }
    for entry in &chosen.left {
        let is_within = u64::from(window.contains(entry.time));
        *(if entry.told.is_some() { &mut sources.by_key } else { &mut sources.unknown }) +=
            is_within;
        facts.add_key(entry, window, baseline);
    }
    sources.read = reading.read;
    sources.mismatched = reading.mismatched;
    sources.unread.append(&mut reading.unread);
    facts.finish();
    Ok(gathered)
}

/// Reads an hour; again, if it is replaced meanwhile.
async fn batches_of(
    source: &Arc<dyn LogSource>,
    mut file: HourFile,
) -> Result<Vec<RecordBatch>, ReadError> {
    let hour: Hour = file.hour();
    loop {
        let read = match file.read(&READ, None, ROWS) {
            Ok(batches) => batches.try_collect().await,
            Err(error) => Err(error),
        };
        match read {
            Err(ReadError::Changed(_)) => match HourFile::open(source, hour).await? {
                Some(newer) => file = newer,
                // Somebody removed it: its logs count, where they are still there.
                None => return Ok(Vec::new()),
            },
            read => return read,
        }
    }
}

/// Takes what was compacted, and expired, since it was listed from its hour.
async fn find_gone(
    source: &Arc<dyn LogSource>,
    entries: &[Entry],
    reading: &mut Reading,
) -> Result<(), ReadError> {
    let gone = reading.unread.iter().filter(|unread| unread.gone);
    let gone: HashSet<&str> = gone.map(|unread| unread.key.as_str()).collect();
    let is_gone = |entry: &&Entry| gone.contains(entry.key.as_str());
    let gone: Vec<Entry> = entries.iter().filter(is_gone).cloned().collect();
    if gone.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
    let rows = moved(source, &gone, &all).await?;
    let (found, of_rows) = understand_whole(&rows, Aim::small_fields());
    let ids: Vec<_> = of_rows.exchanges.iter().map(|it| it.exchange_id.clone()).collect();
    reading.unread.retain(|unread| {
        let is_row = found.iter().any(|entry| entry.key == unread.key);
        !(is_row || ids.iter().any(|id| unread.key.contains(id.as_str())))
    });
    reading.append(of_rows);
    Ok(())
}

/// Which logs are read.
struct Chosen {
    read: Vec<Entry>,
    /// Their keys have to do.
    left: Vec<Entry>,
}

/// Chooses what is read: of the window failures first, and what no key tells.
fn choose(logs: Vec<Entry>, window: &Window, most: usize) -> Chosen {
    let (within, before): (Vec<_>, Vec<_>) =
        logs.into_iter().partition(|entry| window.contains(entry.time));
    let is_success = |entry: &Entry| entry.told.is_some_and(|told| told.error_origin.is_none());
    let (good, bad): (Vec<_>, Vec<_>) = within.into_iter().partition(is_success);
    let mut chosen = Chosen { read: Vec::new(), left: Vec::new() };
    let room = most.saturating_sub(bad.len());
    chosen.take(bad, most);
    chosen.take(good, room);
    let (good, bad): (Vec<_>, Vec<_>) = before.into_iter().partition(is_success);
    chosen.take(bad, MOST_BEFORE.min(most));
    chosen.take(good, MOST_BEFORE.min(most));
    chosen
}

impl Chosen {
    /// Takes at most so many, evenly over all.
    fn take(&mut self, entries: Vec<Entry>, most: usize) {
        let all = entries.len();
        for (at, entry) in entries.into_iter().enumerate() {
            // One more whenever the share that was asked for passes a whole number.
            let is_due = all <= most || (at + 1) * most / all > at * most / all;
            if is_due { self.read.push(entry) } else { self.left.push(entry) }
        }
    }
}
