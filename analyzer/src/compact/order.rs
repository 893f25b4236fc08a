//! Puts the logs of an hour in the order of their rows.
//!
//! A key of ours tells the place of its row; of any other log the beginning is read, and where that
//! does not tell, all of it. Keys are not believed twice: once a record was found in another place
//! than its key tells, every record of the hour is asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::{CompactError, Quarantined};
use crate::hour::Hour;
use crate::hour::parts::Contents;
use crate::hour::row::{Object, Rank, Row};
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::list::Entry;
use crate::logs::source::{LogSource, Part, SourceError};

/// The beginning of a log that holds the small fields of its record.
const HEAD: u64 = 16 << 10;

/// How far keys are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// Those that tell everything.
    Keys,
    /// None: one of them was wrong.
    Records,
}

/// A log, and where its row stands.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub(super) rank: Rank,
    pub(super) entry: Entry,
}

/// What came of ordering.
#[derive(Default)]
pub(super) struct Order {
    /// In the order of their rows, each exchange once.
    pub(super) logs: Vec<Ordered>,
    pub(super) duplicates: Vec<String>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) gone: Vec<String>,
}

/// What is known of logs whose keys do not tell where their rows stand: a run over many hours meets
/// those without any time in each of them.
pub(super) type Known = HashMap<String, Result<Rank, Quarantined>>;

/// Orders logs.
pub(super) async fn order(
    source: &Arc<dyn LogSource>,
    hour: Hour,
    logs: Vec<Entry>,
    published: Option<&Contents>,
    belief: Belief,
    known: &mut Known,
) -> Result<Order, CompactError> {
    let mut order = Order::default();
    let mut asked = Vec::new();
    for entry in logs {
        match entry.told.filter(|_| belief == Belief::Keys) {
            Some(told) => {
                let exchange_id = told.exchange_id.to_string();
                let rank = Rank { started_at_ms: told.started_at.as_millisecond(), exchange_id };
                order.logs.push(Ordered { rank, entry });
            }
            None if belief == Belief::Keys && known.contains_key(&entry.key) => {
                order.take(entry.clone(), Some(known[&entry.key].clone()), hour);
            }
            None => asked.push(entry),
        }
    }
    let ask = asked.into_iter().map(|entry| ask(source, entry, belief));
    let mut answers = stream::iter(ask).buffered(source.concurrency().clamp(1, 64));
    while let Some((entry, answer)) = answers.next().await {
        let answer = answer?;
        if let Some(answer) = &answer {
            known.insert(entry.key.clone(), answer.clone());
        }
        order.take(entry, answer, hour);
    }
    order.logs.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.entry.key.cmp(&b.entry.key)));
    order.keep_first(published);
    Ok(order)
}

/// Tells the hours of logs whose keys tell none.
pub(super) async fn hours_of(
    source: &Arc<dyn LogSource>,
    logs: Vec<Entry>,
    known: &mut Known,
) -> Result<Vec<Hour>, CompactError> {
    let ask = logs.into_iter().map(|entry| ask(source, entry, Belief::Keys));
    let mut answers = stream::iter(ask).buffered(source.concurrency().clamp(1, 64));
    let mut hours = Vec::new();
    while let Some((entry, answer)) = answers.next().await {
        let Some(answer) = answer? else { continue };
        // One that is no record is named in the hour in which it was written.
        let time = answer.as_ref().ok().map(|rank| rank.started_at_ms);
        let time = time.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(entry.time);
        hours.push(Hour::of(time));
        known.insert(entry.key, answer);
    }
    Ok(hours)
}

impl Order {
    fn take(&mut self, entry: Entry, answer: Option<Result<Rank, Quarantined>>, hour: Hour) {
        match answer {
            None => self.gone.push(entry.key),
            Some(Err(quarantined)) => {
                // One that tells no hour is named once.
                if Hour::of_log(&entry.key).unwrap_or(Hour::of(entry.time)) == hour {
                    self.quarantined.push(quarantined);
                }
            }
            Some(Ok(rank)) => {
                // What tells its hour only in its record belongs in that one.
                let time = Timestamp::from_millisecond(rank.started_at_ms).unwrap_or_default();
                if Hour::of_log(&entry.key).unwrap_or(Hour::of(time)) == hour {
                    self.logs.push(Ordered { rank, entry });
                }
            }
        }
    }

    /// Keeps the first log of each exchange, of those that have no row yet.
    fn keep_first(&mut self, published: Option<&Contents>) {
        let mut seen = HashSet::new();
        let (kept, doubled): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.logs).into_iter().partition(|log| {
                let Ordered { rank, entry } = log;
                let has_row =
                    |of: &Contents| of.has_id(&rank.exchange_id) && !of.has_log(&entry.key);
                !published.is_some_and(has_row) && seen.insert(rank.exchange_id.clone())
            });
        self.logs = kept;
        self.duplicates.extend(doubled.into_iter().map(|log| log.entry.key));
    }
}

/// Asks a log where its row stands; `None` when it is gone.
async fn ask(
    source: &Arc<dyn LogSource>,
    entry: Entry,
    belief: Belief,
) -> (Entry, Result<Option<Result<Rank, Quarantined>>, CompactError>) {
    let answer = rank_of(source, &entry, belief).await;
    (entry, answer)
}

async fn rank_of(
    source: &Arc<dyn LogSource>,
    entry: &Entry,
    belief: Belief,
) -> Result<Option<Result<Rank, Quarantined>>, CompactError> {
    let object = object_of(entry);
    let mut decoder = Decoder::default();
    let parts = [Part::Head(HEAD), Part::Whole];
    let only_whole = belief == Belief::Records || entry.bytes <= HEAD;
    for part in parts.into_iter().skip(usize::from(only_whole)) {
        let Some(bytes) = fetch(source, entry, part).await? else { return Ok(None) };
        if part != Part::Whole {
            if let Some(rank) = Row::rank_of_head(decoder.decode_head(&bytes), &object) {
                return Ok(Some(Ok(rank)));
            }
            continue;
        }
        return Ok(Some(row_of(&mut decoder, &bytes, entry).map(|row| row.rank)));
    }
    Ok(None)
}

/// Fetches a log; `None` when it is gone.
pub(super) async fn fetch(
    source: &Arc<dyn LogSource>,
    entry: &Entry,
    part: Part,
) -> Result<Option<Bytes>, CompactError> {
    if entry.bytes > RECORD_LIMIT {
        // Nothing that large is a log; its beginning is enough to say so.
        return Ok(Some(Bytes::new()));
    }
    match source.get(&entry.key, part).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(SourceError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes the row of a log, or says why it is none.
pub(super) fn row_of(
    decoder: &mut Decoder,
    bytes: &[u8],
    entry: &Entry,
) -> Result<Row, Quarantined> {
    let bad = |why: String| Quarantined { key: entry.key.clone(), why };
    if entry.bytes > RECORD_LIMIT {
        let limit = RECORD_LIMIT >> 20;
        return Err(bad(format!("{} bytes; no log is over {limit} MiB", entry.bytes)));
    }
    let json = decoder.decode(bytes, RECORD_LIMIT).map_err(|error| bad(error.to_string()))?;
    let row = Row::from_json(json, &object_of(entry));
    row.map_err(|error| bad(format!("not a log record: {error}")))
}

fn object_of(entry: &Entry) -> Object<'_> {
    Object { key: &entry.key, bytes: entry.bytes, time: entry.time }
}
