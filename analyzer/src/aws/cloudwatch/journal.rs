//! The proxy's own lines in the log group: starts, ends and spilled records.
//!
//! A start without an end is an exchange that still runs, or one that died with its environment; its
//! age decides, or the platform, which says that an invocation is over. Of two ends of one exchange the
//! later line holds.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use schemas::journal::{Ended, Fate, Line, Started};
use schemas::spill::SpillLine;
use serde_json::Value;

use super::{Death, LINES_LAG};

/// One line of the proxy's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ours {
    /// Of the journal.
    Journal(Line),
    /// Of a spilled record.
    Spill(SpillLine),
}

/// Reads a line of a log group: as it is, or wrapped as Lambda's JSON log format wraps it, its text in
/// `message`. `None` for every other line.
pub(crate) fn parse(text: &str) -> Option<Ours> {
    const EVENTS: [&str; 3] = ["exchange_started", "exchange_ended", "log_spilled"];
    // Nearly every other line is the platform's: parsing them all would cost.
    if !EVENTS.iter().any(|event| text.contains(event)) {
        return None;
    }
    // A formatter may have put time, id and level in front.
    let text = &text[text.find('{')?..];
    direct(text).or_else(|| wrapped(text))
}

fn direct(text: &str) -> Option<Ours> {
    if let Some(line) = schemas::spill::parse(text) {
        return Some(Ours::Spill(line));
    }
    serde_json::from_str(text.trim()).ok().map(Ours::Journal)
}

fn wrapped(text: &str) -> Option<Ours> {
    let mut outer: Value = serde_json::from_str(text.trim()).ok()?;
    match outer.get_mut("message")?.take() {
        Value::String(inner) => direct(&inner),
        inner @ Value::Object(_) => direct(&inner.to_string()),
        _ => None,
    }
}

/// Starts and ends of exchanges.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    starts: HashMap<String, Started>,
    ends: HashMap<String, (Timestamp, Ended)>,
}

/// What became of the exchanges of a journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fates {
    pub(super) unended: Vec<Started>,
    pub(super) in_flight: Vec<Started>,
    pub(super) ended: Vec<Ended>,
}

impl Journal {
    /// Takes a line in, with its time.
    pub(super) fn take(&mut self, at: Timestamp, line: Line) {
        match line {
            Line::ExchangeStarted(started) => {
                self.starts.insert(started.exchange_id.clone(), started);
            }
            Line::ExchangeEnded(ended) => {
                let holds = |(known_at, known): &(Timestamp, Ended)| {
                    *known_at < at || (*known_at == at && known.record != Fate::Stored)
                };
                if self.ends.get(&ended.exchange_id).is_none_or(holds) {
                    self.ends.insert(ended.exchange_id.clone(), (at, *ended));
                }
            }
        }
    }

    /// Gives each death the exchange that it held.
    pub(super) fn name(&self, deaths: &mut [Death]) {
        let by_request: HashMap<&str, &Started> = self
            .starts
            .values()
            .filter_map(|started| Some((started.lambda_request_id.as_deref()?, started)))
            .collect();
        for death in deaths {
            let request_id = death.request_id.as_deref();
            death.started = request_id.and_then(|id| by_request.get(id)).copied().cloned();
        }
    }

    /// Says what became of each exchange. `over` are invocations of which the platform says that they
    /// are over; `deaths` have been named.
    pub(super) fn fates(
        self,
        deaths: &[Death],
        over: &HashSet<String>,
        longest: SignedDuration,
        now: Timestamp,
    ) -> Fates {
        let died: HashSet<&str> = deaths
            .iter()
            .filter_map(|death| Some(death.started.as_ref()?.exchange_id.as_str()))
            .collect();
        let Self { starts, ends } = self;
        let mut fates = Fates::default();
        let open = starts.into_values().filter(|started| {
            !ends.contains_key(&started.exchange_id) && !died.contains(&*started.exchange_id)
        });
        for started in open {
            let is_over = started.lambda_request_id.as_ref().is_some_and(|id| over.contains(id));
            let age = now.duration_since(started.started_at);
            if is_over || age > longest + LINES_LAG {
                fates.unended.push(started);
            } else {
                fates.in_flight.push(started);
            }
        }
        fates.ended = ends.into_values().map(|(_, ended)| ended).collect();
        let order = |a: &Started, b: &Started| {
            (a.started_at, &a.exchange_id).cmp(&(b.started_at, &b.exchange_id))
        };
        fates.unended.sort_by(order);
        fates.in_flight.sort_by(order);
        fates.ended.sort_by(|a, b| a.exchange_id.cmp(&b.exchange_id));
        fates
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
