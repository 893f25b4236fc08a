//! A question to the logs: which of them can hold the answer, and which failure is meant.
//!
//! The condition that a text proves decides, first on the keys, then on what was read; the words of
//! the text are another way to match, since a server may have said them after all.

use std::collections::HashSet;

use jiff::Timestamp;
use schemas::body::Terminal;
use schemas::key::LogKey;
use schemas::origin::{Ending, Origin};

use crate::classify::Exchange;
use crate::list::{Entry, Logs};
use crate::needle::Prefilter;
use crate::recognise::{Recognised, StreamEnding, Wanted};
use crate::window::Window;

/// Successes that are read to see whether a developer reaches this proxy at all.
const PEEK: usize = 200;

/// A question to the logs.
#[derive(Clone, Debug)]
pub struct Question {
    /// What the text proves.
    pub recognised: Recognised,
    /// Which time it is about.
    pub window: Window,
    /// Whom and what it is about.
    pub filters: Filters,
    /// Look into successes too.
    pub all: bool,
    /// Read no more logs than this.
    pub max: Option<usize>,
    /// When it is asked.
    pub now: Timestamp,
}

/// Narrows a question; each filter must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Name of a developer.
    pub developer: Option<String>,
    /// Session id of the client.
    pub session: Option<String>,
    /// Model.
    pub model: Option<String>,
}

impl Filters {
    pub(crate) fn are_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn hold(&self, exchange: &Exchange) -> bool {
        let holds =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        holds(&self.developer, &exchange.developer)
            && holds(&self.session, &exchange.session_id)
            && holds(&self.model, &exchange.model)
    }
}

/// Which logs to read.
#[derive(Debug, Default)]
pub struct Selection {
    /// Logs to read: those that can hold the answer first, each group newest first.
    pub candidates: Vec<Entry>,
    /// Logs that would have been read without `--max`.
    pub left_out: usize,
    /// Of these, how many have a key that tells no outcome, and so may say anything.
    pub left_out_untold: usize,
}

impl Question {
    /// Chooses which logs to read.
    #[must_use]
    pub fn select(&self, logs: &Logs) -> Selection {
        let mut seen = HashSet::new();
        let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &logs.entries {
            match entry.told {
                // The second object of one exchange is a defect, counted elsewhere.
                Some(told) if !seen.insert(told.exchange_id) => {}
                Some(told) if self.names(&told) => first.push(entry.clone()),
                Some(told) if told.error_origin.is_none() => {
                    if self.all || (self.filters.developer.is_some() && third.len() < PEEK) {
                        third.push(entry.clone());
                    }
                }
                Some(told) if self.recognised.wanted.key_can_match(&told) => {
                    first.push(entry.clone());
                }
                Some(told) if self.recognised.wanted.words_can_match(&told) => {
                    second.push(entry.clone());
                }
                // Whoever is asked about is looked for in every error.
                Some(_) if self.filters.developer.is_some() => third.push(entry.clone()),
                Some(_) => {}
                None => first.push(entry.clone()),
            }
        }
        let mut candidates = first;
        candidates.append(&mut second);
        candidates.append(&mut third);
        let left_out = candidates.split_off(self.max.unwrap_or(usize::MAX).min(candidates.len()));
        let untold = left_out.iter().filter(|entry| entry.told.is_none());
        Selection { left_out_untold: untold.count(), left_out: left_out.len(), candidates }
    }

    /// Makes the search that spares most logs the parsing.
    #[must_use]
    pub fn prefilter(&self) -> Prefilter {
        let wanted = &self.recognised.wanted;
        let by_record = !wanted.codes.is_empty() || wanted.ending.is_some();
        if by_record || !self.recognised.ids.is_empty() || self.filters.developer.is_some() {
            return Prefilter::everything();
        }
        let statuses = if wanted.words_required { &[][..] } else { &wanted.statuses };
        Prefilter::new(&wanted.words, statuses)
    }

    fn names(&self, told: &LogKey) -> bool {
        !self.recognised.ids.is_empty()
            && self.recognised.ids.contains(&told.exchange_id.to_string())
    }

    pub(crate) fn names_exchange(&self, exchange: &Exchange) -> bool {
        self.recognised.ids.iter().any(|id| exchange.has_id(id))
    }
}

impl Wanted {
    /// Tells whether a condition is asked for at all, besides words.
    pub(crate) fn has_condition(&self) -> bool {
        !self.statuses.is_empty() || !self.codes.is_empty() || self.ending.is_some()
    }

    /// Tells whether an error with this key can satisfy the condition.
    pub(crate) fn key_can_match(&self, told: &LogKey) -> bool {
        if !self.statuses.is_empty() {
            return self.statuses.contains(&told.status);
        }
        if self.ending.is_some() {
            return told.status < 300;
        }
        // A code can stand behind any status; words without a condition can be in any error.
        true
    }

    /// Tells whether an error with this key can match by its words alone.
    pub(crate) fn words_can_match(&self, told: &LogKey) -> bool {
        !self.words.is_empty() && (!self.words_required || self.key_can_match(told))
    }

    /// Tells whether this key alone proves a match.
    pub(crate) fn key_decides(&self, told: &LogKey) -> bool {
        !self.statuses.is_empty()
            && !self.words_required
            && !self.without_words
            && self.codes.is_empty()
            && self.statuses.contains(&told.status)
    }

    /// Tells whether a failure satisfies the condition, or says the words.
    #[must_use]
    pub fn matches(&self, exchange: &Exchange) -> bool {
        let says = self.is_said_in(&exchange.searched);
        if !self.has_condition() {
            return says;
        }
        let holds = self.condition_holds(exchange);
        if self.words_required { holds && says } else { holds || says }
    }

    fn condition_holds(&self, exchange: &Exchange) -> bool {
        let Some(error) = &exchange.error else { return false };
        let status = self.statuses.is_empty()
            || exchange.status.is_some_and(|status| self.statuses.contains(&status));
        let code = self.codes.is_empty() || self.codes.contains(&error.code);
        let ending = self.ending.is_none_or(|ending| ended_like(exchange, ending));
        let silent = !self.without_words || error.message.is_empty();
        status && code && ending && silent
    }
}

/// Tells whether Codex would have seen a stream end like this.
fn ended_like(exchange: &Exchange, wanted: StreamEnding) -> bool {
    let Some(error) = &exchange.error else { return false };
    if exchange.status.is_some_and(|status| status >= 300) {
        return false;
    }
    let broke_off = matches!(
        exchange.ending,
        Some(Ending::ClientClosed | Ending::UpstreamCut | Ending::Deadline | Ending::Interrupted)
    );
    match wanted {
        // Codex passes over an `error` event, and then misses the end; so it does after a page in
        // the place of a stream. A stream that was silent for too long is broken off abruptly.
        StreamEnding::NoTerminalEvent => {
            let ignored = matches!(exchange.terminal, Some(Terminal::ErrorEvent(_)));
            let is_page = error.origin == Origin::OpenaiEdge;
            // On Lambda every body ends cleanly, also one that was silent for too long.
            let is_abrupt = error.code == "upstream_idle" && exchange.on_lambda != Some(true);
            let closed = broke_off && !is_abrupt;
            closed || ignored || is_page || error.detail.as_deref() == Some("error")
        }
        StreamEnding::BodyCut => broke_off,
        StreamEnding::Broken => true,
        // It also waits in vain when a stream stays open after `response.failed`.
        StreamEnding::Silence => {
            error.code == "upstream_idle"
                || exchange.ending == Some(Ending::ClientClosed)
                || (matches!(exchange.terminal, Some(Terminal::Failed(_))) && is_long(exchange))
        }
    }
}

/// Tells whether an exchange lasted as long as a client that waits in vain.
fn is_long(exchange: &Exchange) -> bool {
    exchange.duration_ms.is_some_and(|ms| ms > 60_000.0)
}
