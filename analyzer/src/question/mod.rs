//! A question to the logs: which of them can hold the answer, and which failure is meant.
//!
//! The condition that a text proves decides, first on the keys, then on what was read; the words of
//! the text are another way to match, since a server may have said them after all.

mod choose;
mod matches;

use jiff::{SignedDuration, Timestamp};
use schemas::key::{ExchangeId, LogKey};

use crate::logs::classify::Exchange;
use crate::logs::list::{Entry, Order};
use crate::logs::needle::Prefilter;
use crate::text::ids::is_only_ids;
use crate::text::recognise::Recognised;
use crate::window::Window;

pub use choose::{Chooser, Selection};

/// How long before its end an answer can have begun: Lambda's longest, and what it takes to write of it.
const LONGEST: SignedDuration = SignedDuration::from_mins(20);

/// From this status on an answer is an error, and no stream.
const FIRST_REFUSAL: u16 = 300;

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

impl Question {
    /// Returns the order in which logs have to come for that.
    #[must_use]
    pub fn order(&self) -> Order {
        match (self.max, &self.filters.developer) {
            (None, None) => Order::Any,
            _ => Order::NewestFirst,
        }
    }

    /// Returns the time in which what is listed has to have begun: a stream may have ended within the
    /// window, and be what is meant, and have begun before it.
    #[must_use]
    pub fn listed(&self) -> Window {
        let Window { since, until } = self.window;
        let wanted = &self.recognised.wanted;
        let can_be_stream = wanted.statuses.is_empty() || self.filters.developer.is_some();
        let longest = if can_be_stream { LONGEST } else { SignedDuration::ZERO };
        Window { since: since.checked_sub(longest).unwrap_or(since), until }
    }

    /// Tells whether a listed log may be one of the window: that it began within it, or, of a stream that
    /// failed, that it may have ended within it.
    pub(crate) fn may_include(&self, entry: &Entry) -> bool {
        let is_broken_stream =
            |told: LogKey| told.error_origin.is_some() && told.status < FIRST_REFUSAL;
        match entry.told {
            Some(told) => self.window.contains(told.started_at) || is_broken_stream(told),
            None => entry.time >= self.window.since,
        }
    }

    /// Tells whether an exchange is one of the window.
    pub(crate) fn includes(&self, exchange: &Exchange) -> bool {
        let Window { since, until } = self.window;
        let (started, ended) = (exchange.started_at, exchange.ended_at());
        let counts_from = if exchange.error.is_some() { ended } else { started };
        counts_from >= since && started < until
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
