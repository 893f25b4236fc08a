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
use schemas::columns::BODY;
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
    /// Which exchanges stand in each of them.
    pub contents: Vec<Contents>,
    /// Logs that stand in none of these, newest first, one for each exchange as far as keys tell.
    pub logs: Vec<Entry>,
    /// Objects below `logs/` whose names are not those of logs.
    pub unrecognised: Vec<String>,
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

    /// Tells whether the exchange of a log stands here.
    #[must_use]
    pub fn has(&self, entry: &Entry) -> bool {
        match entry.told {
            // A key may tell another id than the record in it.
            Some(told) => self.told.contains_key(&told.exchange_id) || self.has_log(&entry.key),
            None => self.keys.contains(&entry.key),
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

/// Tells one key from any other of the same exchange.
fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Returns what a window consists of.
///
/// # Errors
///
/// When logs or hours cannot be listed, or an hour cannot be read: a part would be no answer.
pub async fn parts(source: &Arc<dyn LogSource>, window: &Window) -> Result<Parts, ReadError> {
    let logs = list(&**source, window).await.map_err(ReadError::Source)?;
    let hours = published(source, window).await?;
    let opened = stream::iter(hours).map(|hour| open(source, hour));
    let mut opened: Vec<_> = opened.buffer_unordered(OPENED).try_collect().await?;
    opened.sort_by_key(|opened| opened.as_ref().map(|(file, _)| file.hour()));
    let opened: Vec<_> = opened.into_iter().flatten().collect();
    let mut seen = HashSet::new();
    let is_new = |entry: &Entry| entry.told.is_none_or(|told| seen.insert(told.exchange_id));
    let by_hour: BTreeMap<Hour, usize> =
        opened.iter().enumerate().map(|(at, (file, _))| (file.hour(), at)).collect();
    let is_compacted = |entry: &Entry| match Hour::of_log(&entry.key) {
        Some(hour) => by_hour.get(&hour).is_some_and(|at| opened[*at].1.has(entry)),
        // Only its record tells the hour of this one.
        None => opened.iter().any(|(_, contents)| contents.has(entry)),
    };
    let entries = logs.entries.into_iter().filter(|entry| !is_compacted(entry)).filter(is_new);
    let entries = entries.collect();
    let (hours, contents) = opened.into_iter().unzip();
    Ok(Parts { logs: entries, hours, contents, unrecognised: logs.unrecognised })
}

impl Parts {
    /// Takes the parts of another window, too.
    pub fn append(&mut self, mut other: Self) {
        self.hours.append(&mut other.hours);
        self.contents.append(&mut other.contents);
        self.logs.append(&mut other.logs);
        self.unrecognised.append(&mut other.unrecognised);
    }

    /// Takes logs that tell no hour, unless they stand in one; and leaves out what came twice, because
    /// every window has those.
    pub fn add_untimed(&mut self, untimed: Vec<Entry>) {
        self.logs.extend(untimed);
        let mut seen = HashSet::new();
        let contents = &self.contents;
        self.logs.retain(|entry| {
            let is_untimed = Hour::of_log(&entry.key).is_none();
            let is_compacted = is_untimed && contents.iter().any(|hour| hour.has(entry));
            !is_compacted && seen.insert(entry.key.clone())
        });
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
    let mut wanted = vec!["exchange_id", "source_key", "started_at"];
    wanted.extend(columns);
    let mut rows = Vec::new();
    let size = if columns.contains(&BODY) { ROWS_WITH_BODIES } else { ROWS };
    let mut batches = file.read(&wanted, None, size)?;
    while let Some(batch) = batches.try_next().await? {
        let columns = Columns::of(&batch);
        let is_wanted = |row: &usize| {
            columns.text("source_key", *row).is_some_and(|key| keys.contains(key))
                || columns.text("exchange_id", *row).is_some_and(|id| ids.contains(id))
        };
        rows.extend((0..batch.num_rows()).filter(is_wanted).map(|row| columns.row(row)));
    }
    Ok(rows)
}
