//! The rows of compacted hours, for whoever asks for logs: listed like these, and read like these.
//!
//! A row is listed as the log that it was made of, with its place; a question chooses among rows and logs
//! alike. What it chooses becomes the JSON of a record again and goes the same way as one from a log, so
//! that both give one answer. Bodies are read only where successes are searched.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use parquet::arrow::arrow_reader::RowSelection;
use schemas::body::TerminalEvent;
use schemas::columns::{BODY, COLUMNS};
use schemas::key::LogKey;

use super::Hour;
use super::batch::Columns;
use super::file::{HourFile, ReadError};
use super::parts::{hash, moved, published};
use super::record::{Body, to_json};
use super::row::Row;
use crate::logs::aim::Aim;
use crate::logs::list::{Entry, RowPlace};
use crate::logs::read::{Reading, Unread};
use crate::logs::source::LogSource;
use crate::logs::understand::{Outcome, Understanding};
use crate::window::Window;

/// Files that are opened, or read, at a time.
const FILES: usize = 8;
/// Rows of a batch of small columns.
const ROWS: usize = 4_096;
/// Rows of a batch with bodies: a few of the largest fit into memory.
const ROWS_WITH_BODIES: usize = 16;
/// Columns with the ids that one exchange has for itself.
const OWN_IDS: [&str; 4] =
    ["exchange_id", "upstream_request_id", "upstream_cf_ray", "lambda_request_id"];
/// Logs that are classified whatever they hold: they tell what kind of proxy wrote the rest.
const SAMPLE: usize = 8;

/// Compacted hours, opened.
#[derive(Clone, Default)]
pub(crate) struct Hours {
    files: Vec<HourFile>,
}

/// Which logs became rows.
#[derive(Default)]
pub(crate) struct Listed {
    /// As logs, with their places.
    pub(crate) entries: Vec<Entry>,
    /// Hashes of the keys of their logs, of those outside the window, too.
    keys: HashSet<u64>,
    /// Files that are none of ours, or damaged: the logs of their hours are read, as far as they are there.
    pub(crate) broken: Vec<Unread>,
}

impl Listed {
    /// Tells whether a row was made of this log.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        self.keys.contains(&hash(&entry.key))
    }
}

/// What rows are read for.
pub(crate) struct RowAim {
    pub(crate) aim: Aim,
    pub(crate) body: Body,
}

impl Hours {
    /// Opens the compacted hours of a window, and lists their rows. The logs have to be listed by then.
    pub(crate) async fn open(
        source: &Arc<dyn LogSource>,
        window: &Window,
    ) -> Result<(Self, Listed), ReadError> {
        let hours = published(source, window).await?;
        let opened = stream::iter(hours).map(|hour| async move {
            loop {
                let opened = match HourFile::open(source, hour).await {
                    Ok(None) => return Ok(None),
                    Ok(Some(file)) => rows_of(&file).await.map(|rows| (file, rows)),
                    Err(error) => Err(error),
                };
                match opened {
                    Ok(opened) => return Ok(Some(Ok(opened))),
                    Err(ReadError::Changed(_)) => {}
                    Err(ReadError::Broken { key, why }) => {
                        return Ok(Some(Err(Unread { key, why, denied: false, gone: false })));
                    }
                    Err(error) => return Err(error),
                }
            }
        });
        let opened: Vec<_> = opened.buffered(FILES).try_collect().await?;
        let (mut hours, mut listed) = (Self::default(), Listed::default());
        for opened in opened.into_iter().flatten() {
            let (file, rows) = match opened {
                Ok(opened) => opened,
                Err(broken) => {
                    listed.broken.push(broken);
                    continue;
                }
            };
            for (row, (key, started_at)) in rows.into_iter().enumerate() {
                let told = LogKey::parse(&key);
                let time = told.map_or(started_at, |told| told.started_at);
                listed.keys.insert(hash(&key));
                if window.contains(time) {
                    let row = Some(RowPlace { file: hours.files.len(), row });
                    listed.entries.push(Entry { key, bytes: 0, told, time, row });
                }
            }
            hours.files.push(file);
        }
        Ok((hours, listed))
    }

    /// Reads rows that were listed here.
    pub(crate) async fn read(
        &self,
        source: &Arc<dyn LogSource>,
        chosen: Vec<Entry>,
        aim: Arc<RowAim>,
    ) -> Reading {
        let mut by_file: BTreeMap<usize, Vec<(usize, Entry)>> = BTreeMap::new();
        for (number, entry) in chosen.into_iter().enumerate() {
            let Some(place) = entry.row else { continue };
            by_file.entry(place.file).or_default().push((number, entry));
        }
        let readings = by_file.into_iter().map(|(file, entries)| {
            let (file, source, aim) =
                (self.files[file].clone(), Arc::clone(source), Arc::clone(&aim));
            tokio::spawn(async move { read_file(&file, &source, entries, &aim).await })
        });
        let mut readings = stream::iter(readings).buffer_unordered(FILES);
        let mut reading = Reading::default();
        while let Some(read) = readings.next().await {
            match read {
                Ok(read) => reading.append(read),
                Err(error) => {
                    let why = format!("reading failed: {error}");
                    let key = "some compacted hour".to_owned();
                    reading.unread.push(Unread { key, why, denied: false, gone: false });
                }
            }
        }
        reading
    }
}

/// Reads the rows of logs that were listed and are gone by now: their hours were compacted meanwhile.
/// Takes those that it finds out of `reading.unread`.
pub(crate) async fn find_gone(
    source: &Arc<dyn LogSource>,
    entries: &[Entry],
    reading: &mut Reading,
    aim: &RowAim,
) {
    let gone: HashSet<&str> =
        reading.unread.iter().filter(|unread| unread.gone).map(|unread| &*unread.key).collect();
    if gone.is_empty() {
        return;
    }
    let entries: Vec<Entry> =
        entries.iter().filter(|entry| gone.contains(&*entry.key)).cloned().collect();
    let Ok(rows) = moved(source, &entries, &columns_of(aim.body)).await else { return };
    let found = understand(&rows, entries.into_iter().enumerate().collect(), aim);
    let is_found: HashSet<String> =
        rows.iter().filter_map(|row| row.text("source_key").map(str::to_owned)).collect();
    let ids: HashSet<&str> = rows.iter().map(|row| row.rank.exchange_id.as_str()).collect();
    reading.unread.retain(|unread| {
        let id = LogKey::parse(&unread.key).map(|told| told.exchange_id.to_string());
        !(is_found.contains(&unread.key) || id.is_some_and(|id| ids.contains(&*id)))
    });
    reading.append(found);
}

/// Finds the row of an exchange by an id of its own: ours, OpenAI's, its edge's, or Lambda's; the newest
/// first.
pub(crate) async fn find_row(
    source: &Arc<dyn LogSource>,
    hours: &[Hour],
    id: &str,
) -> Result<Option<Row>, ReadError> {
    for hour in hours.iter().rev() {
        loop {
            let Some(file) = HourFile::open(source, *hour).await? else { break };
            match row_with(&file, id).await {
                Ok(Some(row)) => return Ok(Some(row)),
                Ok(None) => break,
                Err(ReadError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

async fn row_with(file: &HourFile, id: &str) -> Result<Option<Row>, ReadError> {
    let mut at = 0;
    let mut batches = file.read(&OWN_IDS, None, ROWS)?;
    while let Some(batch) = batches.try_next().await? {
        let columns = Columns::of(&batch);
        let is_it = |row: &usize| OWN_IDS.iter().any(|name| columns.text(name, *row) == Some(id));
        if let Some(row) = (0..batch.num_rows()).find(is_it) {
            let row = at + row;
            let all = usize::try_from(file.rows()).unwrap_or(usize::MAX);
            let one = RowSelection::from_consecutive_ranges(std::iter::once(row..row + 1), all);
            let mut found = file.read(&columns_of(Body::Whole), Some(one), 1)?;
            return Ok(found.try_next().await?.map(|batch| Columns::of(&batch).row(0)));
        }
        at += batch.num_rows();
    }
    Ok(None)
}

/// Takes rows that were read whole the way of logs; returns them as logs, too.
pub(crate) fn understand_whole(rows: &[Row], aim: Aim) -> (Vec<Entry>, Reading) {
    let entry = |row: &Row| {
        let key = row.text("source_key").unwrap_or_default().to_owned();
        let time = Timestamp::from_millisecond(row.rank.started_at_ms).unwrap_or_default();
        Entry { told: LogKey::parse(&key), key, bytes: row.source_bytes(), time, row: None }
    };
    let entries: Vec<_> = rows.iter().map(entry).collect();
    let aim = RowAim { aim, body: Body::Whole };
    let reading = understand(rows, entries.iter().cloned().enumerate().collect(), &aim);
    (entries, reading)
}

/// Reads which logs the rows of a file were made of, and when their exchanges began.
async fn rows_of(file: &HourFile) -> Result<Vec<(String, Timestamp)>, ReadError> {
    let mut rows = Vec::with_capacity(usize::try_from(file.rows()).unwrap_or(0));
    let mut batches = file.read(&["started_at", "source_key"], None, ROWS)?;
    while let Some(batch) = batches.try_next().await? {
        let columns = Columns::of(&batch);
        for row in 0..batch.num_rows() {
            let key = columns.text("source_key", row).unwrap_or_default().to_owned();
            let time = Timestamp::from_millisecond(columns.started_at_ms(row)).unwrap_or_default();
            rows.push((key, time));
        }
    }
    Ok(rows)
}

fn columns_of(body: Body) -> Vec<&'static str> {
    let is_wanted = |name: &str| match body {
        Body::Whole => true,
        Body::OfError => name != BODY && name != "request_body",
    };
    COLUMNS.iter().map(|column| column.name).filter(|name| is_wanted(name)).collect()
}

async fn read_file(
    file: &HourFile,
    source: &Arc<dyn LogSource>,
    mut entries: Vec<(usize, Entry)>,
    aim: &RowAim,
) -> Reading {
    entries.sort_by_key(|(_, entry)| entry.row.map(|place| place.row));
    match try_read(file, &entries, aim).await {
        Ok(reading) => reading,
        Err(ReadError::Changed(_)) => {
            // Late logs were taken in: every row of before is still there, at another place.
            let logs: Vec<_> = entries.iter().map(|(_, entry)| entry.clone()).collect();
            match moved(source, &logs, &columns_of(aim.body)).await {
                Ok(rows) => understand(&rows, entries, aim),
                Err(error) => unread(&entries, &error),
            }
        }
        Err(error) => unread(&entries, &error),
    }
}

async fn try_read(
    file: &HourFile,
    entries: &[(usize, Entry)],
    aim: &RowAim,
) -> Result<Reading, ReadError> {
    let places = entries.iter().filter_map(|(_, entry)| entry.row);
    let ranges = places.map(|place| place.row..place.row + 1);
    let all = usize::try_from(file.rows()).unwrap_or(usize::MAX);
    let selection = RowSelection::from_consecutive_ranges(ranges, all);
    let size = if aim.body == Body::Whole { ROWS_WITH_BODIES } else { ROWS };
    let mut batches = file.read(&columns_of(aim.body), Some(selection), size)?;
    let (mut reading, mut entries) = (Reading::default(), entries.iter());
    while let Some(batch) = batches.try_next().await? {
        let columns = Columns::of(&batch);
        let rows: Vec<_> = (0..batch.num_rows()).map(|row| columns.row(row)).collect();
        let of_batch = entries.by_ref().take(rows.len()).cloned().collect();
        reading.append(understand(&rows, of_batch, aim));
    }
    Ok(reading)
}

/// Takes rows the way of logs.
fn understand(rows: &[Row], entries: Vec<(usize, Entry)>, aim: &RowAim) -> Reading {
    let mut understanding = Understanding::new(&aim.aim.prefilter, &aim.aim.words);
    let mut by_key: HashMap<String, (usize, Entry)> =
        entries.into_iter().map(|entry| (entry.1.key.clone(), entry)).collect();
    let mut reading = Reading::default();
    for row in rows {
        let key = row.text("source_key").unwrap_or_default();
        // Where another log of the exchange was listed than its row was made of, it has the same id.
        let has_id = |entry: &Entry| {
            entry.told.is_some_and(|told| told.exchange_id.to_string() == row.rank.exchange_id)
        };
        let other = || by_key.values().find(|(_, it)| has_id(it)).map(|(_, it)| it.key.clone());
        let Some(key) = by_key.contains_key(key).then(|| key.to_owned()).or_else(other) else {
            continue;
        };
        let Some((number, entry)) = by_key.remove(&key) else { continue };
        let json = to_json(row, aim.body);
        reading.read += 1;
        match understanding.of_whole(&json, &entry, number < SAMPLE) {
            Outcome::Matters(mut exchange, mismatch) => {
                if aim.body == Body::OfError {
                    exchange.terminal = row.text("error_event").and_then(TerminalEvent::parse);
                }
                reading.exchanges.push(*exchange);
                reading.mismatched.extend(mismatch);
            }
            Outcome::Skipped | Outcome::Undecided => {}
            Outcome::Unreadable(why) => {
                reading.read -= 1;
                reading.unread.push(Unread { key, why, denied: false, gone: false });
            }
        }
    }
    reading
}

fn unread(entries: &[(usize, Entry)], error: &ReadError) -> Reading {
    let unread = |(_, entry): &(usize, Entry)| {
        let why = error.to_string();
        Unread { key: entry.key.clone(), why, denied: false, gone: false }
    };
    Reading { unread: entries.iter().map(unread).collect(), ..Reading::default() }
}
