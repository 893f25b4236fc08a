//! From a window to its logs: walks the hours newest first, and reads outcomes off the keys.
//!
//! Folders that are times are entered only where they overlap the window; any other folder below
//! `logs/` is listed whole, because old layouts put logs anywhere. Whatever a key does not tell is
//! left open, never guessed: such an object has to be read.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemas::key::{LOGS, LogKey};

use crate::logs::source::{Depth, Listed, LogSource, SourceError};
use crate::window::Window;

/// Listings that are asked for at a time.
const PARALLEL: usize = 16;

/// Names that logs of any age end in.
const LOG_ENDINGS: [&str; 3] = [".json.zst", ".json", ".json.gz"];

/// One log, as far as its key tells.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Key below the root of the source.
    pub key: String,
    /// Size as stored.
    pub bytes: u64,
    /// Everything, if the key is one of ours; else the object has to be read.
    pub told: Option<LogKey>,
    /// Time of the exchange as well as key and listing tell it; the record may say more.
    pub time: Timestamp,
    /// Where its row stands, if its hour is compacted: then that is read, and not the log.
    pub row: Option<RowPlace>,
}

/// The place of a row among the compacted hours that a question opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// Which hour.
    pub file: usize,
    /// Which of its rows.
    pub row: usize,
}

/// The logs of a window.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// Logs, newest first. Those whose key tells no time may turn out to lie outside the window.
    pub entries: Vec<Entry>,
    /// Objects below `logs/` whose names are not those of logs; not read.
    pub unrecognised: Vec<String>,
    /// Where only the logs of ids were looked for: when that was. Else all of the window are here.
    pub looked: Option<Window>,
    /// Then: all that was listed on the way, of which only the keys are known.
    pub beside: Vec<Entry>,
}

/// In which order logs are handed over while they are still being listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they are found: nothing waits.
    Any,
    /// Newest first: an hour waits for what is newer, and for all that tells no hour.
    NewestFirst,
}

/// Lists the logs of a window.
///
/// # Errors
///
/// When the source cannot be listed; a part of the logs would be no answer.
pub async fn list(source: &dyn LogSource, window: &Window) -> Result<Logs, SourceError> {
    walk(source, window, Order::Any, |_| ControlFlow::Continue(())).await
}

/// Lists the logs of a window, and hands them over as it goes; ends when it is told to.
///
/// # Errors
///
/// When the source cannot be listed. What was handed over until then is no answer.
pub async fn walk(
    source: &dyn LogSource,
    window: &Window,
    order: Order,
    mut each: impl FnMut(&[Entry]) -> ControlFlow<()>,
) -> Result<Logs, SourceError> {
    let mut logs = Logs::default();
    let mut waiting =
        vec![Span { prefix: LOGS.to_owned(), kind: Kind::Time(Vec::new()), within: None }];
    let mut running = FuturesUnordered::new();
    let mut held = Held::default();
    loop {
        // What leads to hours first, then hours, newest first, then what is listed whole.
        waiting.sort_by_key(Span::rank);
        while running.len() < PARALLEL
            && let Some(span) = waiting.pop()
        {
            running.push(async move {
                let listing = source.list(&span.prefix, span.depth()).await?;
                Ok::<_, SourceError>((span, listing))
            });
        }
        let Some(listed) = running.next().await else { break };
        let (span, listing) = listed?;
        let mut entries = Vec::new();
        for object in listing.objects {
            entries.extend(logs.take(object, &span, window));
        }
        let below = listing.folders.into_iter().filter_map(|folder| span.enter(folder, window));
        let below: Vec<Span> = below.collect();
        let batches = match order {
            Order::Any => vec![entries],
            Order::NewestFirst => held.take(&span, &below, entries),
        };
        waiting.extend(below);
        for mut batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
            batch.sort_unstable_by(newest_first);
            let told = each(&batch);
            logs.entries.append(&mut batch);
            if told.is_break() {
                return Ok(logs);
            }
        }
    }
    logs.entries.sort_unstable_by(newest_first);
    Ok(logs)
}

pub(crate) fn newest_first(a: &Entry, b: &Entry) -> Ordering {
    b.time.cmp(&a.time).then_with(|| b.key.cmp(&a.key))
}

/// Entries that wait for newer ones.
#[derive(Default)]
struct Held {
    /// Of no hour.
    others: Vec<Entry>,
    /// By the beginning of the hour; `None` while it is being listed.
    hours: BTreeMap<Timestamp, Option<Vec<Entry>>>,
    /// Listings besides hours that are not done, the first of all not counted.
    unlisted: usize,
}

impl Held {
    /// Takes what a listing found, and returns what waits for nothing any more, newest first.
    fn take(&mut self, span: &Span, below: &[Span], mut entries: Vec<Entry>) -> Vec<Vec<Entry>> {
        if let Some(start) = span.hour() {
            self.hours.insert(start, Some(entries));
        } else {
            self.others.append(&mut entries);
            self.unlisted = self.unlisted.saturating_sub(1);
        }
        for span in below {
            match span.hour() {
                Some(start) => _ = self.hours.entry(start).or_insert(None),
                None => self.unlisted += 1,
            }
        }
        let mut batches = Vec::new();
        if self.unlisted > 0 {
            return batches;
        }
        while let Some(hour) = self.hours.last_entry().filter(|hour| hour.get().is_some()) {
            let (start, entries) = hour.remove_entry();
            let mut batch: Vec<_> =
                self.others.extract_if(.., |entry| entry.time >= start).collect();
            batch.extend(entries.unwrap_or_default());
            // What names an earlier time than its folder waits for the hour of that.
            self.others.extend(batch.extract_if(.., |entry| entry.time < start));
            batches.push(batch);
        }
        if self.hours.is_empty() {
            batches.push(std::mem::take(&mut self.others));
        }
        batches
    }
}

impl Logs {
    /// Takes an object; returns it as a log, if it is one and may lie in the window.
    fn take(&mut self, object: Listed, span: &Span, window: &Window) -> Option<Entry> {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if !is_log(name) {
            self.unrecognised.push(object.key);
            return None;
        }
        let told = LogKey::parse(&object.key);
        let modified = object.modified;
        let (time, is_possible) = match (
            told.map(|told| told.started_at).or(stamp_within(name, span.within)),
            span.within,
        ) {
            (Some(time), _) => (time, window.contains(time)),
            // Some time within the folder's: when it was written, unless it was moved since.
            (None, Some((start, end))) => {
                let written = modified.filter(|written| start <= *written && *written < end);
                let time = written.unwrap_or(start.max(window.since));
                (time, window.overlaps(start, end))
            }
            // Written at the end of the exchange, so it began no later than that.
            (None, None) => {
                let time = modified.unwrap_or(window.since);
                (time, time >= window.since)
            }
        };
        is_possible.then_some(Entry { key: object.key, bytes: object.bytes, told, time, row: None })
    }
}

/// A folder, and the time that its place stands for.
struct Span {
    prefix: String,
    kind: Kind,
    /// From when to when; `None` where the place tells no time.
    within: Option<(Timestamp, Timestamp)>,
}

enum Kind {
    /// A year, month, day or hour, as the numbers on the way to it; none at the top.
    Time(Vec<i16>),
    /// Any other folder, which is listed whole.
    Other,
}

impl Span {
    /// How deep to list: an hour, and what is no time at all, is listed whole.
    fn depth(&self) -> Depth {
        match &self.kind {
            Kind::Time(date) if date.len() < 4 => Depth::Here,
            Kind::Time(_) | Kind::Other => Depth::Below,
        }
    }

    /// The beginning of the hour that this is the folder of.
    fn hour(&self) -> Option<Timestamp> {
        let is_hour = matches!(&self.kind, Kind::Time(date) if date.len() == 4);
        self.within.filter(|_| is_hour).map(|(start, _)| start)
    }

    /// What is listed first has the highest.
    fn rank(&self) -> (u8, Option<Timestamp>) {
        match (&self.kind, self.hour()) {
            (Kind::Other, _) => (0, None),
            (Kind::Time(_), Some(start)) => (1, Some(start)),
            (Kind::Time(_), None) => (2, self.within.map(|(start, _)| start)),
        }
    }

    /// Enters a folder below this one; `None` when its time lies outside the window.
    fn enter(&self, prefix: String, window: &Window) -> Option<Self> {
        let Kind::Time(above) = &self.kind else { return None };
        let name = prefix.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let date = number_of(name, above.len());
        let date = date.map(|number| [above.as_slice(), &[number]].concat());
        match date.and_then(|date| Some((span_of(&date)?, date))) {
            Some(((start, end), date)) => window.overlaps(start, end).then_some(Self {
                prefix,
                kind: Kind::Time(date),
                within: Some((start, end)),
            }),
            None => Some(Self { prefix, kind: Kind::Other, within: self.within }),
        }
    }
}

/// Returns the time that `[year, month, day, hour]`, or its beginning, stands for.
fn span_of(date: &[i16]) -> Option<(Timestamp, Timestamp)> {
    let part = |index: usize| date.get(index).copied();
    let small = |number: i16| i8::try_from(number).ok();
    let year = part(0)?;
    let month = part(1).map_or(Some(1), small)?;
    let day = part(2).map_or(Some(1), small)?;
    let first = Date::new(year, month, day).ok()?;
    let hour = part(3).map_or(Some(0), small)?;
    let start = TimeZone::UTC.to_timestamp(first.at(0, 0, 0, 0)).ok()?;
    let start = start + SignedDuration::from_hours((0..24).contains(&hour).then_some(hour)?.into());
    let next_day =
        |date: Date| TimeZone::UTC.to_timestamp(date.tomorrow().ok()?.at(0, 0, 0, 0)).ok();
    let end = match date.len() {
        1 => next_day(first.last_of_year())?,
        2 => next_day(first.last_of_month())?,
        3 => next_day(first)?,
        _ => start + SignedDuration::from_hours(1),
    };
    Some((start, end))
}

/// Tells from the key of a log when its exchange began, or in which hour; `None` where the key tells less.
pub(crate) fn time_of_key(key: &str) -> Option<Timestamp> {
    let (folder, name) = key.rsplit_once('/')?;
    let folders = folder.strip_prefix(LOGS).into_iter().flat_map(|below| below.split('/'));
    let mut date: Vec<i16> = Vec::new();
    date.extend(folders.take(4).enumerate().map_while(|(depth, name)| number_of(name, depth)));
    let within = if date.is_empty() { None } else { span_of(&date) };
    let told = LogKey::parse(key).map(|told| told.started_at);
    told.or_else(|| stamp_within(name, within))
        .or_else(|| within.filter(|_| date.len() == 4).map(|(start, _)| start))
}

/// Returns the year, month or day in whose folder a log stands.
pub(crate) fn folder_span(key: &str) -> Option<(Timestamp, Timestamp)> {
    let (folder, _) = key.strip_prefix(LOGS)?.rsplit_once('/')?;
    let names = folder.split('/').take(4).enumerate();
    let date: Vec<i16> = names.map_while(|(depth, name)| number_of(name, depth)).collect();
    if date.is_empty() { None } else { span_of(&date) }
}

/// Tells when an exchange began of which neither the name nor the record says so: when its log was
/// written, unless that was at another time than its folder's, because it was moved since.
pub(crate) fn untold_time(object: &Listed) -> Option<Timestamp> {
    let Some((start, end)) = folder_span(&object.key) else { return object.modified };
    object.modified.filter(|written| start <= *written && *written < end).or(Some(start))
}

/// Tells whether a key is one of a log, by what it ends in.
pub(crate) fn is_log(key: &str) -> bool {
    LOG_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Reads a folder that is a time: a year has four digits, everything below it two.
fn number_of(name: &str, depth: usize) -> Option<i16> {
    let width = if depth == 0 { 4 } else { 2 };
    let is_number = name.len() == width && name.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| name.parse().ok()).flatten()
}

/// Reads the time of a name, unless its folder says otherwise: then the record has to tell.
fn stamp_within(name: &str, within: Option<(Timestamp, Timestamp)>) -> Option<Timestamp> {
    let is_in = |time: &Timestamp| within.is_none_or(|(start, end)| start <= *time && *time < end);
    stamp(name).filter(is_in)
}

/// Reads the time at the beginning of a name, `YYYYMMDDTHHMMSS[mmm]Z`, which records of version 1
/// under older keys have too.
fn stamp(name: &str) -> Option<Timestamp> {
    let digits = name.get(..15).filter(|stamp| stamp.as_bytes()[8] == b'T')?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", digits).ok()?;
    let start = TimeZone::UTC.to_timestamp(civil).ok()?;
    let ms = name.get(15..18).and_then(|ms| ms.parse::<u16>().ok()).unwrap_or(0);
    Some(start + SignedDuration::from_millis(ms.into()))
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
