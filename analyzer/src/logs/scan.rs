//! One way through the logs of a window: listed, chosen and read at the same time. Where the text names
//! exchanges by ids of ours, these are read, and nothing else.
//!
//! Reading begins with the first hour that is listed, unless there turns out to be so much that
//! somebody should be asked first: then it pauses, the listing goes on to its end, since that is what
//! the question is about, and the estimate goes back instead of an answer.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::logs::classify::Exchange;
use crate::logs::earlier::last_before;
use crate::logs::find::{find, span_of};
use crate::logs::list::{Logs, walk};
use crate::logs::read::{Aim, Progress, Reader, Reading};
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
    let walked = walk(&*source, &window, question.order(), |batch| {
        listed += batch.len() as u64;
        let batch = batch.iter().filter(|entry| question.may_include(entry));
        paused.extend(batch.filter_map(|entry| chooser.take(entry)));
        if is_allowed(&Estimate::of(chooser.selection(), listed, &rates)) {
            reader.push(paused.drain(..));
        }
        ControlFlow::Continue(())
    });
    let mut logs = walked.await?;
    logs.entries.retain(|entry| question.may_include(entry));
    let (rest, selection) = chooser.finish();
    let estimate = Estimate::of(&selection, listed, &rates);
    if !is_allowed(&estimate) {
        return Err(ScanError::TooMuch(estimate));
    }
    reader.push(paused);
    reader.push(rest);
    let watching = watch(&estimate, reader.progress());
    let reading = reader.finish().await;
    let earlier = Box::pin(earlier(&source, question, &selection, &reading)).await;
    drop(watching);
    Ok(Scanned { logs, selection, reading, earlier })
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

fn aim(question: &Question) -> Aim {
    let words = question.recognised.wanted.words.clone();
    Aim { prefilter: question.prefilter(), words, until: None }
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
    for id in ids {
        let found = find(&**source, id).await?;
        let entries = if found.named.is_empty() { found.untold } else { found.named };
        if entries.is_empty() {
            return Ok(None);
        }
        logs.entries.extend(entries);
        logs.beside.extend(found.listed);
    }
    if logs.entries.is_empty() {
        return Ok(None);
    }
    let reader = Reader::start(Arc::clone(source), aim(question));
    reader.push(logs.entries.iter().cloned());
    let reading = reader.finish().await;
    let is_read = |id: &String| reading.exchanges.iter().any(|exchange| exchange.has_id(id));
    let is_unread = |id: &String| reading.unread.iter().any(|unread| unread.key.contains(id));
    if !question.recognised.ids.iter().all(|id| is_read(id) || is_unread(id)) {
        return Ok(None);
    }
    let chosen = logs.entries.len() as u64;
    let bytes = logs.entries.iter().map(|entry| entry.bytes).sum();
    let selection = Selection { chosen, bytes, ..Selection::default() };
    Ok(Some(Scanned { logs, selection, reading, earlier: None }))
}

impl Estimate {
    fn of(selection: &Selection, listed: u64, rates: &Rates) -> Self {
        let (logs, bytes) = (selection.chosen, selection.bytes);
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
