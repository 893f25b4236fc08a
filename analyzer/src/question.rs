//! A question to the logs: which of them can hold the answer, and which failure is meant.
//!
//! The condition that a text proves decides, first on the keys, then on what was read; the words of
//! the text are another way to match, since a server may have said them after all.

use std::collections::HashSet;

use jiff::Timestamp;
use schemas::body::Terminal;
use schemas::key::{ExchangeId, LogKey};
use schemas::origin::{Ending, Origin};

use crate::logs::classify::Exchange;
use crate::logs::list::{Entry, Order};
use crate::logs::needle::Prefilter;
use crate::text::ids::is_only_ids;
use crate::text::recognise::{Recognised, StreamEnding, Wanted};
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

/// Which logs are read.
#[derive(Debug, Default)]
pub struct Selection {
    /// Logs that are read.
    pub chosen: u64,
    /// Bytes of them, as stored.
    pub bytes: u64,
    /// Logs that would have been read without `--max`.
    pub left_out: usize,
    /// Of these, how many have a key that tells no outcome, and so may say anything.
    pub left_out_untold: usize,
    /// Of the chosen, how many have a key that tells a success.
    pub successes: u64,
}

/// Chooses which logs to read while they are being listed: with `--max` those that can hold the
/// answer first, each group newest first, which is the order they have to come in.
pub struct Chooser<'a> {
    question: &'a Question,
    seen: HashSet<ExchangeId>,
    /// What is read if there is room at the end: its words may match; it is of whom is asked about.
    second: Vec<Entry>,
    third: Vec<Entry>,
    peeked: usize,
    selection: Selection,
}

/// When a log is read.
#[derive(Clone, Copy)]
enum Turn {
    First,
    Second,
    Third,
}

impl Chooser<'_> {
    /// Takes the next log; returns it if it is to be read now.
    pub fn take(&mut self, entry: &Entry) -> Option<Entry> {
        let turn = self.turn(entry)?;
        let later = match (self.question.max, turn) {
            (None, _) | (_, Turn::First) => return self.choose(entry.clone()),
            (Some(_), Turn::Second) => &mut self.second,
            (Some(_), Turn::Third) => &mut self.third,
        };
        later.push(entry.clone());
        None
    }

    /// Returns what is to be read after all have been taken, and what was chosen in sum.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Entry>, Selection) {
        let later = std::mem::take(&mut self.second).into_iter();
        let later: Vec<_> = later.chain(std::mem::take(&mut self.third)).collect();
        let rest = later.into_iter().filter_map(|entry| self.choose(entry)).collect();
        (rest, self.selection)
    }

    /// Returns what is chosen so far.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    fn choose(&mut self, entry: Entry) -> Option<Entry> {
        if self.question.max.is_some_and(|max| self.selection.chosen >= max as u64) {
            self.selection.left_out += 1;
            self.selection.left_out_untold += usize::from(entry.told.is_none());
            return None;
        }
        self.selection.chosen += 1;
        self.selection.bytes += entry.bytes;
        let is_success = entry.told.is_some_and(|told| told.error_origin.is_none());
        self.selection.successes += u64::from(is_success);
        Some(entry)
    }

    fn turn(&mut self, entry: &Entry) -> Option<Turn> {
        let question = self.question;
        let wanted = &question.recognised.wanted;
        let developer = question.filters.developer.is_some();
        let Some(told) = entry.told else { return Some(Turn::First) };
        // The second object of one exchange is a defect, counted elsewhere.
        if !self.seen.insert(told.exchange_id) {
            return None;
        }
        if question.names(&told) {
            return Some(Turn::First);
        }
        if told.error_origin.is_none() {
            let peeks = developer && self.peeked < PEEK;
            self.peeked += usize::from(peeks);
            return (question.all || peeks).then_some(Turn::Third);
        }
        if wanted.key_can_match(&told) {
            return Some(Turn::First);
        }
        if wanted.words_can_match(&told) {
            return Some(Turn::Second);
        }
        // Whoever is asked about is looked for in every error.
        developer.then_some(Turn::Third)
    }
}

impl Question {
    /// Begins to choose which logs to read.
    #[must_use]
    pub fn chooser(&self) -> Chooser<'_> {
        Chooser {
            question: self,
            seen: HashSet::new(),
            second: Vec::new(),
            third: Vec::new(),
            peeked: 0,
            selection: Selection::default(),
        }
    }

    /// Returns the order in which logs have to come for that.
    #[must_use]
    pub fn order(&self) -> Order {
        match (self.max, &self.filters.developer) {
            (None, None) => Order::Any,
            _ => Order::NewestFirst,
        }
    }

    /// Makes the search that spares most logs the parsing.
    #[must_use]
    pub fn prefilter(&self) -> Prefilter {
        let wanted = &self.recognised.wanted;
        let statuses = if wanted.words_required { &[][..] } else { &wanted.statuses };
        let mut prefilter = Prefilter::new(&wanted.words, statuses);
        if wanted.is_broken {
            // A terminal may have broken a word where the log has none broken.
            prefilter = prefilter.or_anything();
        }
        for code in &wanted.codes {
            prefilter = prefilter.or_code(code);
        }
        if wanted.ending.is_some() {
            prefilter = prefilter.or_failures();
        }
        for id in &self.recognised.ids {
            prefilter = prefilter.or_literal(id);
        }
        if self.is_only_ids() {
            prefilter = prefilter.or_failures();
        }
        let Filters { developer, session, model } = &self.filters;
        if developer.is_some() {
            // Whatever a developer has done last tells whether she reaches this proxy.
            prefilter = prefilter.or_anything();
        }
        // An exchange that the text names counts, whoever it is of.
        if self.recognised.ids.is_empty() {
            for name in [developer, session, model].into_iter().flatten() {
                prefilter = prefilter.and_name(name);
            }
        }
        prefilter
    }

    /// Returns the ids of ours that the text carries.
    pub(crate) fn exchange_ids(&self) -> Vec<ExchangeId> {
        self.recognised.ids.iter().filter_map(|id| ExchangeId::parse(id)).collect()
    }

    /// Tells whether the text says nothing but which exchange, session or turn is meant: then all its
    /// failures are, whatever they are.
    pub(crate) fn is_only_ids(&self) -> bool {
        let recognised = &self.recognised;
        let is_known = recognised.symptom.is_some() || recognised.ours.is_some();
        !is_known && is_only_ids(&recognised.folded)
    }

    fn names(&self, told: &LogKey) -> bool {
        !self.recognised.ids.is_empty()
            && self.recognised.ids.contains(&told.exchange_id.to_string())
    }

    pub(crate) fn names_exchange(&self, exchange: &Exchange) -> bool {
        let session = self.recognised.session.as_ref().filter(|_| self.is_only_ids());
        let mut ids = self.recognised.ids.iter().chain(session);
        ids.any(|id| exchange.is_named_by(id))
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
        // What is said of a stream is said of an answer that began well.
        if self.ending.is_some() && exchange.status.is_some_and(|status| status >= 300) {
            return false;
        }
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
        StreamEnding::Said => false,
        // It also waits in vain when a stream stays open after `response.failed`.
        StreamEnding::Silence => {
            error.code == "upstream_idle"
                || (exchange.ending == Some(Ending::ClientClosed) && !is_short(exchange))
                || (matches!(exchange.terminal, Some(Terminal::Failed(_))) && is_long(exchange))
        }
    }
}

/// Milliseconds for which a client waits, at least, before it gives up on a silent stream: a minute
/// where somebody has set it low; 300 s by default.
const PATIENCE_MS: f64 = 60_000.0;

/// Tells whether an exchange lasted as long as a client that waits in vain.
fn is_long(exchange: &Exchange) -> bool {
    exchange.duration_ms.is_some_and(|ms| ms > PATIENCE_MS)
}

/// Tells whether an exchange is known to have been too short for that.
fn is_short(exchange: &Exchange) -> bool {
    exchange.duration_ms.is_some_and(|ms| ms <= PATIENCE_MS)
}
