//! What a window consists of: compacted hours, and the logs that are in none of them. Each exchange
//! once, also while hours are compacted and logs expire.
//!
//! The logs are listed first and the compacted hours opened after that: what is compacted in between
//! stands in both, and is taken from the hour; what expired in between was compacted before. A log
//! that is gone by the time somebody reads it is looked for in its hour once more ([`moved`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parquet::arrow::arrow_reader::RowSelection;
use schemas::key::{ExchangeId, LogKey};

use super::batch::Columns;
use super::file::{HourFile, ReadError};
use super::row::Row;
use super::{Hour, PARQUET};
use crate::logs::list::{Entry, list};
use crate::logs::source::{Depth, LogSource};
use crate::window::Window;

/// Files that are opened at a time.
const OPENED: usize = 16;
/// Days up to which each is listed by itself; the listing of all hours of a year has 9 pages.
const FEW_DAYS: usize = 8;
/// Rows of a batch of small columns.
const ROWS: usize = 8_192;
/// Rows of a batch with bodies: a few of the largest fit into memory.
const ROWS_WITH_BODIES: usize = 16;

/// What a window consists of.
#[derive(Default)]
pub struct Parts {
    /// Compacted hours, oldest first.
    pub hours: Vec<HourFile>,
    /// Which exchanges stand in those that logs could stand in, too.
    pub contents: Vec<Contents>,
    /// Logs of which no row here was made, newest first. Their exchanges may have rows from other logs.
    pub logs: Vec<Entry>,
    /// Objects below `logs/` whose names are not those of logs.
    pub unrecognised: Vec<String>,
    /// Files of hours that are damaged, by their keys, and why they are not read.
    pub broken: Vec<(String, String)>,
}

/// Which exchanges stand in a compacted hour, from which logs.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Hashes of the keys of logs that tell the id of their exchange as ours: those of most.
    told: HashMap<ExchangeId, u64>,
    /// Keys of the other logs.
    keys: HashSet<String>,
    /// Ids of these.
    ids: HashSet<String>,
}

impl Contents {
    /// Reads which exchanges stand in a compacted hour.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn of(file: &HourFile) -> Result<Self, ReadError> {
        let mut contents = Self::default();
        let mut batches = file.read(&["exchange_id", "source_key"], None, ROWS)?;
        while let Some(batch) = batches.try_next().await? {
            let columns = Columns::of(&batch);
            for row in 0..batch.num_rows() {
                let id = columns.text("exchange_id", row).unwrap_or_default();
                let key = columns.text("source_key", row).unwrap_or_default();
                let told = LogKey::parse(key).filter(|told| told.exchange_id.to_string() == id);
                if let Some(told) = told {
                    contents.told.insert(told.exchange_id, hash(key));
                } else {
                    contents.ids.insert(id.to_owned());
                    contents.keys.insert(key.to_owned());
                }
            }
        }
        Ok(contents)
    }

    /// Tells whether the exchange that a key tells has its row from another log. The record may tell another
    /// exchange, or be none: only reading it shows.
    #[must_use]
    pub fn has_from_other(&self, entry: &Entry) -> bool {
        let Some(told) = entry.told else { return false };
        match self.told.get(&told.exchange_id) {
            Some(of) => *of != hash(&entry.key),
            None => !self.ids.is_empty() && self.ids.contains(&told.exchange_id.to_string()),
        }
    }

    /// Tells whether a row was made of this log.
    #[must_use]
    pub fn has_log(&self, key: &str) -> bool {
        let told = LogKey::parse(key).and_then(|told| self.told.get(&told.exchange_id));
        told == Some(&hash(key)) || self.keys.contains(key)
    }

    /// Tells whether an exchange stands here.
    #[must_use]
    pub fn has_id(&self, id: &str) -> bool {
        ExchangeId::parse(id).is_some_and(|id| self.told.contains_key(&id)) || self.ids.contains(id)
    }
}

/// Tells one key from any other.
pub(super) fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Returns what a window consists of; with the contents of all its hours, if there are logs elsewhere that
/// could stand in any. A file that is none of ours, or damaged, is named; the logs of its
/// hour count, as far as they are there.
///
/// # Errors
///
/// When logs or hours cannot be listed, or an hour cannot be read: a part would be no answer.
pub async fn parts(
    source: &Arc<dyn LogSource>,
    window: &Window,
    has_untimed: bool,
) -> Result<Parts, ReadError> {
    let logs = list(&**source, window).await.map_err(ReadError::Source)?;
    let hours = published(source, window).await?;
    // What stands in an hour matters only to logs: to those of that hour, and to those that tell none.
    let with_logs: HashSet<Hour> =
        logs.entries.iter().filter_map(|entry| Hour::of_log(&entry.key)).collect();
    let is_any = has_untimed || logs.entries.iter().any(|entry| entry.told.is_none());
    let opened = stream::iter(hours).map(|hour| {
        let needs_contents = is_any || with_logs.contains(&hour);
        async move {
            match opened(source, hour, needs_contents).await {
                Err(ReadError::Broken { key, why }) => Ok(Err((key, why))),
                opened => opened.map(Ok),
            }
        }
    });
    let opened: Vec<_> = opened.buffered(OPENED).try_collect().await?;
    let mut parts = Parts { unrecognised: logs.unrecognised, ..Parts::default() };
    let mut by_hour: HashMap<Hour, usize> = HashMap::new();
    for opened in opened {
        match opened {
            Ok(None) => {}
            Ok(Some((file, contents))) => {
                if let Some(contents) = contents {
                    by_hour.insert(file.hour(), parts.contents.len());
                    parts.contents.push(contents);
                }
                parts.hours.push(file);
            }
            Err(broken) => parts.broken.push(broken),
        }
    }
    let contents = &parts.contents;
    let is_compacted = |entry: &Entry| match Hour::of_log(&entry.key) {
        Some(hour) => by_hour.get(&hour).is_some_and(|at| contents[*at].has_log(&entry.key)),
        // Only its record tells the hour of this one.
        None => contents.iter().any(|contents| contents.has_log(&entry.key)),
    };
    let entries = logs.entries.into_iter().filter(|entry| !is_compacted(entry)).collect();
    Ok(Parts { logs: entries, ..parts })
}

/// Opens an hour, and reads which exchanges stand in it, if that is needed.
async fn opened(
    source: &Arc<dyn LogSource>,
    hour: Hour,
    needs_contents: bool,
) -> Result<Option<(HourFile, Option<Contents>)>, ReadError> {
    if needs_contents {
        let opened = open(source, hour).await?;
        return Ok(opened.map(|(file, contents)| (file, Some(contents))));
    }
    Ok(HourFile::open(source, hour).await?.map(|file| (file, None)))
}

impl Parts {
    /// Takes the parts of another window, too; logs that tell no hour come with every window, and are
    /// taken by themselves ([`Parts::add_untimed`]).
    pub fn append(&mut self, mut other: Self) {
        self.hours.append(&mut other.hours);
        self.contents.append(&mut other.contents);
        self.logs.extend(other.logs.into_iter().filter(|log| Hour::of_log(&log.key).is_some()));
        self.unrecognised.append(&mut other.unrecognised);
        self.broken.append(&mut other.broken);
    }

    /// Takes logs that tell no hour, unless they stand in one.
    pub fn add_untimed(&mut self, mut untimed: Vec<Entry>) {
        untimed.retain(|entry| !self.contents.iter().any(|hour| hour.has_log(&entry.key)));
        self.logs.append(&mut untimed);
    }
}

/// Opens an hour, and reads which exchanges stand in it; again, if it is replaced meanwhile.
pub(crate) async fn open(
    source: &Arc<dyn LogSource>,
    hour: Hour,
) -> Result<Option<(HourFile, Contents)>, ReadError> {
    loop {
        let Some(file) = HourFile::open(source, hour).await? else { return Ok(None) };
        match Contents::of(&file).await {
            Ok(contents) => return Ok(Some((file, contents))),
            Err(ReadError::Changed(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lists the compacted hours of a window.
///
/// # Errors
///
/// When they cannot be listed.
pub async fn published(
    source: &Arc<dyn LogSource>,
    window: &Window,
) -> Result<Vec<Hour>, ReadError> {
    let first = Hour::of(window.since);
    let days: Vec<_> = std::iter::successors(Some(first), |hour| {
        Some(Hour::of(hour.start() + jiff::SignedDuration::from_hours(24)))
    })
    .take(FEW_DAYS + 1)
    .take_while(|hour| hour.start() < window.until || hour.day() == Hour::of(window.until).day())
    .map(|hour| format!("{PARQUET}day={}/", hour.day()))
    .collect();
    let prefixes = if days.len() > FEW_DAYS { vec![PARQUET.to_owned()] } else { days };
    let mut hours = Vec::new();
    let listings = prefixes.iter().map(|prefix| source.list(prefix, Depth::Below));
    for listing in futures::future::join_all(listings).await {
        let listing = listing.map_err(ReadError::Source)?;
        let found = listing.objects.iter().filter_map(|object| Hour::parse_key(&object.key));
        hours.extend(found.filter(|hour| window.overlaps(hour.start(), hour.next().start())));
    }
    hours.sort_unstable();
    hours.dedup();
    Ok(hours)
}

/// Looks for exchanges in their compacted hours whose logs were listed and are gone: the hour was
/// compacted meanwhile, and they have expired. What is found in no hour is not in what comes back.
///
/// # Errors
///
/// When an hour cannot be read.
pub async fn moved(
    source: &Arc<dyn LogSource>,
    gone: &[Entry],
    columns: &[&str],
) -> Result<Vec<Row>, ReadError> {
    let mut by_hour: BTreeMap<Hour, Vec<&Entry>> = BTreeMap::new();
    for entry in gone {
        // Of what only its record tells the hour, the listing knows when it was written.
        let hour = Hour::of_record(&entry.key, entry.time);
        by_hour.entry(hour).or_default().push(entry);
    }
    let mut found = Vec::new();
    for (hour, entries) in by_hour {
        let keys: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let ids = entries.iter().filter_map(|entry| entry.told);
        let ids: HashSet<String> = ids.map(|told| told.exchange_id.to_string()).collect();
        loop {
            let Some(file) = HourFile::open(source, hour).await? else { break };
            match rows_of(&file, columns, &keys, &ids).await {
                Ok(rows) => {
                    found.extend(rows);
                    break;
                }
                Err(ReadError::Changed(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

async fn rows_of(
    file: &HourFile,
    columns: &[&str],
    keys: &HashSet<&str>,
    ids: &HashSet<String>,
) -> Result<Vec<Row>, ReadError> {
    let (mut places, mut at) = (Vec::new(), 0);
    let mut batches = file.read(&["exchange_id", "source_key"], None, ROWS)?;
    while let Some(batch) = batches.try_next().await? {
        let of_batch = Columns::of(&batch);
        let is_wanted = |row: &usize| {
            of_batch.text("source_key", *row).is_some_and(|key| keys.contains(key))
                || of_batch.text("exchange_id", *row).is_some_and(|id| ids.contains(id))
        };
        places.extend((0..batch.num_rows()).filter(is_wanted).map(|row| at + row));
        at += batch.num_rows();
    }
    let mut rows = Vec::with_capacity(places.len());
    if places.is_empty() {
        return Ok(rows);
    }
    let mut wanted = vec!["exchange_id", "source_key", "started_at"];
    wanted.extend(columns);
    let selection = places.into_iter().map(|row| row..row + 1);
    let selection = RowSelection::from_consecutive_ranges(selection, at);
    let mut batches = file.read(&wanted, Some(selection), ROWS_WITH_BODIES)?;
    while let Some(batch) = batches.try_next().await? {
        let of_batch = Columns::of(&batch);
        rows.extend((0..batch.num_rows()).map(|row| of_batch.row(row)));
    }
    Ok(rows)
}
