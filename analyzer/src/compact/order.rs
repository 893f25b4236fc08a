//! Puts the logs of an hour in the order of their rows.
//!
//! A key of ours tells the place of its row; of any other log the beginning is read, and where that
//! does not tell, all of it. Where two logs claim one exchange, keys do not decide: one of them may be
//! no log, or that of another exchange, so both are read. Keys are not believed twice: once a record was
//! found in another place than its key tells, every record of the hour is asked.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use schemas::key::{ExchangeId, LogKey};

use super::{CompactError, Quarantined};
use crate::hour::Hour;
use crate::hour::parts::{Contents, open};
use crate::hour::row::{Object, Rank, Row};
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::find::time_of;
use crate::logs::list::{Entry, list};
use crate::logs::source::{LogSource, Part, SourceError};

/// The beginning of a log that holds the small fields of its record.
const HEAD: u64 = 16 << 10;
/// Bytes of logs, as stored, that are under way at a time.
pub(super) const UNDER_WAY: u64 = 16 << 20;
/// So many logs of an hour may be unreadable, and are named; with more, the hour fails.
const MOST_UNREAD: usize = 100;

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
    pub(super) duplicates: Vec<Duplicate>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) gone: Vec<String>,
}

/// A log whose exchange has a row from another log, or gets one.
#[derive(Clone, Debug)]
pub(super) struct Duplicate {
    pub(super) key: String,
    /// Key of the log that is taken in its place; `None` where the row is published.
    pub(super) of: Option<String>,
}

/// What is known of logs whose keys do not tell where their rows stand.
pub(super) type Known = HashMap<String, Result<Rank, Quarantined>>;

/// Orders logs.
pub(super) async fn order(
    source: &Arc<dyn LogSource>,
    hour: Hour,
    logs: Vec<Entry>,
    published: Option<&Contents>,
    belief: Belief,
    known: &Known,
) -> Result<Order, CompactError> {
    let mut order = Order::default();
    let (mut asked, mut untold) = (Vec::new(), Vec::new());
    let claims = Claims::of(&logs);
    for entry in logs {
        match entry.told.filter(|_| belief == Belief::Keys) {
            Some(told) if claims.are_one(told) && !has_other_row(published, &entry) => {
                let exchange_id = told.exchange_id.to_string();
                let rank = Rank { started_at_ms: told.started_at.as_millisecond(), exchange_id };
                order.logs.push(Ordered { rank, entry });
            }
            Some(_) => asked.push((entry, Belief::Records)),
            None => match known.get(&entry.key).filter(|_| belief == Belief::Keys) {
                Some(answer) => untold.push((entry, answer.clone())),
                None => asked.push((entry, belief)),
            },
        }
    }
    let mut asking = Asking::new(source, asked);
    while let Some(asked) = asking.next().await? {
        untold.push(asked);
    }
    order.gone = asking.reads.gone;
    let mut elsewhere = Elsewhere::default();
    for (entry, answer) in untold {
        let is_row = published.is_some_and(|of| of.has_log(&entry.key));
        if let Ok(rank) = &answer
            && !is_row
            && elsewhere.has(source, hour, rank).await?
        {
            order.duplicates.push(Duplicate { key: entry.key, of: None });
        } else {
            order.take(entry, answer);
        }
    }
    order.logs.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.entry.key.cmp(&b.entry.key)));
    order.keep_first(published);
    Ok(order)
}

fn has_other_row(published: Option<&Contents>, entry: &Entry) -> bool {
    published.is_some_and(|contents| contents.has_from_other(entry))
}

/// How many logs of an hour claim an exchange by their keys.
struct Claims(HashMap<ExchangeId, u32>);

impl Claims {
    fn of(logs: &[Entry]) -> Self {
        let mut claims = HashMap::with_capacity(logs.len());
        for told in logs.iter().filter_map(|entry| entry.told) {
            *claims.entry(told.exchange_id).or_default() += 1;
        }
        Self(claims)
    }

    fn are_one(&self, told: LogKey) -> bool {
        self.0.get(&told.exchange_id) == Some(&1)
    }
}

/// Other hours, in which exchanges stand whose logs were copied.
#[derive(Default)]
struct Elsewhere {
    /// Ids that the keys of an hour tell, and what is published of it.
    hours: HashMap<Hour, (HashSet<ExchangeId>, Option<Contents>)>,
}

impl Elsewhere {
    /// Tells whether an exchange that was found in this hour has its own log, or its row, in the hour that
    /// its id tells: then this one is a copy.
    async fn has(
        &mut self,
        source: &Arc<dyn LogSource>,
        hour: Hour,
        rank: &Rank,
    ) -> Result<bool, CompactError> {
        let Some(id) = ExchangeId::parse(&rank.exchange_id) else { return Ok(false) };
        let own = time_of(id).map(Hour::of).filter(|own| *own != hour);
        let Some(own) = own else { return Ok(false) };
        let (ids, contents) = match self.hours.entry(own) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(new) => {
                let listed = list(&**source, &own.window()).await?;
                let told = listed.entries.iter().filter_map(|entry| entry.told);
                let ids = told.map(|told| told.exchange_id).collect();
                let contents = open(source, own).await?.map(|(_, contents)| contents);
                new.insert((ids, contents))
            }
        };
        Ok(ids.contains(&id) || contents.as_ref().is_some_and(|of| of.has_id(&rank.exchange_id)))
    }
}

/// A log whose key tells no hour, and what it says itself.
pub(super) type Untimed = (Entry, Result<Rank, Quarantined>);

/// Asks logs whose keys tell no hour.
pub(super) async fn hours_of(
    source: &Arc<dyn LogSource>,
    logs: Vec<Entry>,
) -> Result<HashMap<Hour, Vec<Untimed>>, CompactError> {
    let logs = logs.into_iter().map(|entry| (entry, Belief::Keys)).collect();
    let mut asking = Asking::new(source, logs);
    let mut hours: HashMap<Hour, Vec<Untimed>> = HashMap::new();
    while let Some((entry, answer)) = asking.next().await? {
        // One that is no record is named in the hour in which it was written.
        let time = answer.as_ref().ok().map(|rank| rank.started_at_ms);
        let time = time.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(entry.time);
        hours.entry(Hour::of_record(&entry.key, time)).or_default().push((entry, answer));
    }
    Ok(hours)
}

impl Order {
    fn take(&mut self, entry: Entry, answer: Result<Rank, Quarantined>) {
        match answer {
            Err(quarantined) => self.quarantined.push(quarantined),
            Ok(rank) => self.logs.push(Ordered { rank, entry }),
        }
    }

    /// Keeps the first log of each exchange, of those that have no row yet.
    fn keep_first(&mut self, published: Option<&Contents>) {
        let mut seen: HashMap<String, String> = HashMap::new();
        let duplicates = &mut self.duplicates;
        self.logs.retain(|Ordered { rank, entry }| {
            let has_row = |of: &Contents| of.has_id(&rank.exchange_id) && !of.has_log(&entry.key);
            let of = seen.get(&rank.exchange_id).cloned();
            let is_published = published.is_some_and(has_row);
            if is_published || of.is_some() {
                duplicates.push(Duplicate { key: entry.key.clone(), of });
                return false;
            }
            seen.insert(rank.exchange_id.clone(), entry.key.clone());
            true
        });
    }
}

/// Logs that are asked where their rows stand, many at a time.
struct Asking<'a> {
    answers: BoxStream<'a, (Entry, Result<Answer, SourceError>)>,
    reads: Reads,
}

enum Answer {
    Rank(Result<Rank, Quarantined>),
    Gone,
}

impl<'a> Asking<'a> {
    fn new(source: &'a Arc<dyn LogSource>, logs: Vec<(Entry, Belief)>) -> Self {
        let largest = logs.iter().map(|(entry, _)| entry.bytes).max().unwrap_or(0).max(1);
        let fit = usize::try_from(UNDER_WAY / largest).unwrap_or(usize::MAX);
        let most = source.concurrency().min(fit).clamp(1, 64);
        let ask = move |(entry, belief): (Entry, Belief)| async move {
            let answer = rank_of(source, &entry, belief).await;
            (entry, answer)
        };
        let answers = stream::iter(logs).map(ask).buffered(most).boxed();
        Self { answers, reads: Reads::default() }
    }

    /// Returns the next log that is there, and what it says.
    async fn next(&mut self) -> Result<Option<Untimed>, CompactError> {
        while let Some((entry, answer)) = self.answers.next().await {
            match answer {
                Ok(Answer::Rank(answer)) => return Ok(Some((entry, answer))),
                Ok(Answer::Gone) => self.reads.gone.push(entry.key),
                Err(error) => {
                    let unread = self.reads.miss(&entry.key, error)?;
                    return Ok(Some((entry, Err(unread))));
                }
            }
        }
        Ok(None)
    }
}

/// How reading the logs of an hour goes.
#[derive(Default)]
pub(super) struct Reads {
    /// Logs that were deleted meanwhile.
    pub(super) gone: Vec<String>,
    unread: usize,
    pub(super) first: Option<SourceError>,
}

impl Reads {
    /// Takes a log that cannot be read: it is named, as one that is no log. Where there are many, it is
    /// not they that are at fault.
    pub(super) fn miss(
        &mut self,
        key: &str,
        error: SourceError,
    ) -> Result<Quarantined, CompactError> {
        self.unread += 1;
        let why = error.to_string();
        let first = self.first.get_or_insert(error);
        if self.unread > MOST_UNREAD {
            return Err(CompactError::Source(first.clone()));
        }
        Ok(Quarantined { key: key.to_owned(), why })
    }
}

async fn rank_of(
    source: &Arc<dyn LogSource>,
    entry: &Entry,
    belief: Belief,
) -> Result<Answer, SourceError> {
    let object = object_of(entry);
    let mut decoder = Decoder::default();
    if belief == Belief::Keys && entry.bytes > HEAD {
        let Some(bytes) = fetch(source, entry, Part::Head(HEAD)).await? else {
            return Ok(Answer::Gone);
        };
        if let Some(rank) = Row::rank_of_head(decoder.decode_head(&bytes), &object) {
            return Ok(Answer::Rank(Ok(rank)));
        }
    }
    let Some(bytes) = fetch(source, entry, Part::Whole).await? else { return Ok(Answer::Gone) };
    Ok(Answer::Rank(row_of(&mut decoder, &bytes, entry).map(|row| row.rank)))
}

/// Fetches a log; `None` when it is gone.
pub(super) async fn fetch(
    source: &Arc<dyn LogSource>,
    entry: &Entry,
    part: Part,
) -> Result<Option<Bytes>, SourceError> {
    if entry.bytes > RECORD_LIMIT {
        // Nothing that large is a log; its beginning is enough to say so.
        return Ok(Some(Bytes::new()));
    }
    match source.get(&entry.key, part).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(SourceError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
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
