//! One way through the logs of a window: listed, chosen and read at the same time. Where the text names
//! exchanges by ids of ours, these are read, and nothing else.
//!
//! Reading begins with the first hour that is listed, unless there turns out to be so much that
//! somebody should be asked first: then it pauses, the listing goes on to its end, since that is what
//! the question is about, and the estimate goes back instead of an answer.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use schemas::key::ExchangeId;

use crate::hour::file::ReadError;
use crate::hour::parts::published;
use crate::hour::record::Body;
use crate::hour::row::Row;
use crate::hour::rows::{Hours, Listed, RowAim, find_gone, find_row, understand_whole};
use crate::logs::aim::{Aim, Needs};
use crate::logs::classify::Exchange;
use crate::logs::earlier::last_before;
use crate::logs::find::{find, span_of};
use crate::logs::list::{Entry, Logs, newest_first, walk};
use crate::logs::read::{Progress, Reader, Reading};
use crate::logs::source::{LogSource, Rates, SourceError};
use crate::question::{Question, Selection};
use crate::window::Window;

/// More than this is not spent unasked.
const MOST_DOLLARS: f64 = 1.0;
/// Nor is more than this waited for.
const MOST_SECONDS: f64 = 60.0;
/// Objects that one LIST names.
const PAGE: u64 = 1_000;

/// What reading will take, from what the listing tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Logs to read.
    pub logs: u64,
    /// Bytes of them, as stored.
    pub bytes: u64,
    /// What S3 will charge for reading and listing.
    pub dollars: f64,
    /// How long it will take.
    pub seconds: f64,
}

/// Whether much may be read without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// However much there is.
    Given,
    /// Up to a minute, and a dollar.
    Needed,
}

/// What a scan gave.
#[derive(Debug)]
pub struct Scanned {
    /// What was listed.
    pub logs: Logs,
    /// What of it was read, and what was left out.
    pub selection: Selection,
    /// What that gave.
    pub reading: Reading,
    /// The last exchange before the window of whoever is asked about and was not here in it.
    pub earlier: Option<Exchange>,
    /// Compacted hours may not be listed: what has expired is not here.
    pub hides_hours: bool,
}

/// Why there is nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The logs cannot be listed. What of them was listed until then is no answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Somebody has to be asked first.
    #[error("{0} would have to be read")]
    TooMuch(Estimate),
}

/// Scans for a question. `watch` is called once all is listed, with what is to come and how far it
/// has come; what it returns is kept until the end.
///
/// # Errors
///
/// When the source cannot be listed, or somebody has to be asked first.
pub async fn scan<T>(
    source: Arc<dyn LogSource>,
    question: &Question,
    consent: Consent,
    watch: impl FnOnce(&Estimate, Arc<Progress>) -> T,
) -> Result<Scanned, ScanError> {
    if let Some(scanned) = by_id(&source, question).await? {
        return Ok(scanned);
    }
    let rates = source.rates();
    let reader = Reader::start(Arc::clone(&source), aim(question));
    let mut chooser = question.chooser();
    let (mut listed, mut paused) = (0, Vec::new());
    let is_allowed = |estimate: &Estimate| consent == Consent::Given || !estimate.is_large();
    let window = question.listed();
    // Where hours are compacted, nothing is read before it is known which logs stand in them.
    let waits = match published(&source, &window).await {
        Ok(hours) => Some(!hours.is_empty()),
        // Whoever may see the logs alone gets an answer from these.
        Err(ReadError::Source(SourceError::Denied(_))) => None,
        Err(error) => return Err(SourceError::from(error).into()),
    };
    let (hides_hours, waits) = (waits.is_none(), waits.unwrap_or(false));
    let walked = walk(&*source, &window, question.order(), |batch| {
        listed += batch.len() as u64;
        if !waits {
            let batch = batch.iter().filter(|entry| question.may_include(entry));
            paused.extend(batch.filter_map(|entry| chooser.take(entry)));
            if is_allowed(&Estimate::of(chooser.selection(), listed, &rates)) {
                reader.push(paused.drain(..));
            }
        }
        ControlFlow::Continue(())
    });
    let mut logs = walked.await?;
    let opened = if hides_hours { None } else { open(&source, &window).await? };
    let hides_hours = opened.is_none();
    let (hours, mut rows) = opened.unwrap_or_default();
    let broken = std::mem::take(&mut rows.broken);
    let fresh = join(&mut logs, rows, waits);
    for entry in fresh.iter().filter(|entry| question.may_include(entry)) {
        paused.extend(chooser.take(entry));
    }
    logs.entries.retain(|entry| question.may_include(entry));
    let (rest, selection) = chooser.finish();
    let estimate = Estimate::of(&selection, listed, &rates);
    if !is_allowed(&estimate) {
        return Err(ScanError::TooMuch(estimate));
    }
    let (chosen_rows, chosen): (Vec<_>, Vec<_>) =
        paused.into_iter().chain(rest).partition(|entry| entry.row.is_some());
    reader.push(chosen);
    let watching = watch(&estimate, reader.progress());
    let row_aim = Arc::new(row_aim(question));
    let of_rows = hours.read(&source, chosen_rows, Arc::clone(&row_aim)).await;
    let mut reading = reader.finish().await;
    reading.append(of_rows);
    reading.unread.extend(broken);
    find_gone(&source, &logs.entries, &mut reading, &row_aim).await;
    reading.sort();
    let earlier = Box::pin(earlier(&source, question, &selection, &reading)).await;
    drop(watching);
    Ok(Scanned { logs, selection, reading, earlier, hides_hours })
}

/// Opens the compacted hours; `None` where they may not be read.
async fn open(
    source: &Arc<dyn LogSource>,
    window: &Window,
) -> Result<Option<(Hours, Listed)>, SourceError> {
    match Hours::open(source, window).await {
        Err(ReadError::Source(SourceError::Denied(_))) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// Joins logs and rows, each exchange once: as its row where it has one. Returns what nobody has chosen
/// from yet: everything, if that `waited`, else rows of what was compacted since.
fn join(logs: &mut Logs, mut rows: Listed, waited: bool) -> Vec<Entry> {
    if !waited {
        let keys: HashSet<_> = logs.entries.iter().map(|entry| entry.key.as_str()).collect();
        rows.entries.retain(|row| !keys.contains(row.key.as_str()));
        let fresh = rows.entries;
        logs.entries.extend(fresh.iter().cloned());
        logs.entries.sort_unstable_by(newest_first);
        return fresh;
    }
    logs.entries.retain(|entry| !rows.has(entry));
    logs.entries.append(&mut rows.entries);
    logs.entries.sort_unstable_by(newest_first);
    logs.entries.clone()
}

/// Finds when whoever is asked about was last here, if they were not in the window.
async fn earlier(
    source: &Arc<dyn LogSource>,
    question: &Question,
    selection: &Selection,
    reading: &Reading,
) -> Option<Exchange> {
    let developer = question.filters.developer.as_ref()?;
    let is_here = reading.exchanges.iter().any(|it| it.developer.as_ref() == Some(developer));
    if is_here || selection.left_out > 0 || !reading.unread.is_empty() {
        return None;
    }
    last_before(source, developer, question.window.since, selection.tokens.clone()).await
}

fn row_aim(question: &Question) -> RowAim {
    // A question about errors reads no body: what one says of its failure stands in other columns.
    let body = if question.all { Body::Whole } else { Body::OfError };
    RowAim { aim: aim(question), body }
}

fn aim(question: &Question) -> Aim {
    let words = question.recognised.wanted.words.clone();
    Aim { needs: Needs::Body, prefilter: question.prefilter(), words, until: None }
}

/// Reads the exchanges that the text names, and nothing else; `None` unless each id of the text is
/// one of theirs. An id of ours tells its hour, so the window is no matter.
async fn by_id(
    source: &Arc<dyn LogSource>,
    question: &Question,
) -> Result<Option<Scanned>, SourceError> {
    let ids = question.exchange_ids();
    let spans: Vec<_> = ids.iter().filter_map(|id| span_of(*id)).collect();
    let since = spans.iter().map(|span| span.since).min();
    let until = spans.iter().map(|span| span.until).max();
    let looked = since.zip(until).map(|(since, until)| Window { since, until });
    let mut logs = Logs { looked, ..Logs::default() };
    let mut rows = Vec::new();
    for id in ids {
        let found = find(&**source, id).await?;
        logs.beside.extend(found.listed);
        if found.named.is_empty()
            && let Some(row) = row_of(source, id).await?
        {
            rows.push(row);
            continue;
        }
        let entries = if found.named.is_empty() { found.untold } else { found.named };
        if entries.is_empty() {
            return Ok(None);
        }
        logs.entries.extend(entries);
    }
    if logs.entries.is_empty() && rows.is_empty() {
        return Ok(None);
    }
    let reader = Reader::start(Arc::clone(source), aim(question));
    reader.push(logs.entries.iter().cloned());
    let mut reading = reader.finish().await;
    let row_aim = RowAim { aim: aim(question), body: Body::OfError };
    find_gone(source, &logs.entries, &mut reading, &row_aim).await;
    let (entries, of_rows) = understand_whole(&rows, aim(question));
    logs.entries.extend(entries);
    reading.append(of_rows);
    reading.sort();
    let is_read = |id: &String| reading.exchanges.iter().any(|exchange| exchange.has_id(id));
    let is_unread = |id: &String| reading.unread.iter().any(|unread| unread.key.contains(id));
    if !question.recognised.ids.iter().all(|id| is_read(id) || is_unread(id)) {
        return Ok(None);
    }
    let chosen = logs.entries.len() as u64;
    let bytes = logs.entries.iter().map(|entry| entry.bytes).sum();
    let selection = Selection { chosen, bytes, ..Selection::default() };
    Ok(Some(Scanned { logs, selection, reading, earlier: None, hides_hours: false }))
}

/// Finds an exchange in the compacted hours around the time in its id.
pub(crate) async fn row_of(
    source: &Arc<dyn LogSource>,
    id: ExchangeId,
) -> Result<Option<Row>, SourceError> {
    let Some(window) = span_of(id) else { return Ok(None) };
    let hours = match published(source, &window).await {
        Err(ReadError::Source(SourceError::Denied(_))) => return Ok(None),
        hours => hours?,
    };
    match find_row(source, &hours, &id.to_string()).await {
        Err(ReadError::Source(SourceError::Denied(_))) => Ok(None),
        row => Ok(row?),
    }
}

impl Estimate {
    fn of(selection: &Selection, listed: u64, rates: &Rates) -> Self {
        // Rows of compacted hours cost next to nothing.
        let (logs, bytes) = (selection.chosen - selection.rows, selection.bytes);
        let lists = listed.div_ceil(PAGE);
        Self {
            logs,
            bytes,
            dollars: logs as f64 * rates.dollars_per_get + lists as f64 * rates.dollars_per_list,
            seconds: (logs as f64 / rates.objects_per_second)
                .max(bytes as f64 / rates.bytes_per_second),
        }
    }

    /// Tells whether somebody should be asked first.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.dollars > MOST_DOLLARS || self.seconds > MOST_SECONDS
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        write!(f, "{} logs, {megabytes:.0} MB, about {:.0} s", self.logs, self.seconds.ceil())?;
        if self.dollars > 0.0 {
            write!(f, " and ${:.2}", (self.dollars * 100.0).ceil() / 100.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chosen: u64, bytes: u64, rates: &Rates) -> Estimate {
        Estimate::of(&Selection { chosen, bytes, ..Selection::default() }, chosen, rates)
    }

    #[test]
    fn a_minute_or_a_dollar_is_much() {
        assert!(!of(200_000, 10 << 20, &Rates::S3).is_large());
        assert!(of(400_000, 10 << 20, &Rates::S3).is_large(), "80 s");
        assert!(of(10, 7_000_000_000, &Rates::S3).is_large(), "70 s");
        assert!(!of(500_000, 10 << 20, &Rates::DISK).is_large(), "50 s");
        let cheap = Rates { objects_per_second: 1e9, ..Rates::S3 };
        assert!(of(2_500_000, 0, &cheap).is_large(), "over a dollar");
    }

    #[test]
    fn an_estimate_names_what_it_will_take() {
        let of = |rates| of(20_000, 105_000_000, rates).to_string();
        assert_eq!(of(&Rates::S3), "20000 logs, 105 MB, about 4 s and $0.01");
        assert_eq!(of(&Rates::DISK), "20000 logs, 105 MB, about 2 s");
    }
}
