//! The moment that a text names: of the failures that match, those of that moment are meant.
//!
//! In: a question, and what was listed and read. Out: the span in which a failure has to have ended, if
//! any did. Where none did, the text may be about what left no log, and nothing is narrowed down.

use jiff::{SignedDuration, Timestamp};

use crate::logs::classify::Exchange;
use crate::logs::list::Logs;
use crate::question::Question;
use crate::window::Window;

/// How long before a text its failure can have ended: a client counts its tries, and then speaks.
const BEFORE: SignedDuration = SignedDuration::from_mins(2);
/// How much the clock of a developer's machine may be behind.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// How long before a text the metrics of a period can begin that tell of it.
const PERIOD: SignedDuration = SignedDuration::from_mins(5);

impl Question {
    /// Returns the moment that the text names and that can be relied on, within the window.
    fn moment(&self) -> Option<Timestamp> {
        let text = self.recognised.at.filter(|text| text.has_zone)?;
        self.window.contains(text.at).then_some(text.at)
    }

    /// Returns the span around the text's own moment, if a failure that matches ended in it.
    pub(crate) fn focus(&self, logs: &Logs, read: &[Exchange]) -> Option<Window> {
        let at = self.moment()?;
        let focus = Window { since: at - BEFORE, until: at + AHEAD };
        let wanted = &self.recognised.wanted;
        let is_match = |exchange: &&Exchange| {
            exchange.error.is_some() && self.filters.hold(exchange) && wanted.matches(exchange)
        };
        let ends = read.iter().filter(is_match).map(Exchange::ended_at);
        let told = logs.entries.iter().filter_map(|entry| entry.told);
        let by_key = told.filter(|told| {
            told.error_origin.is_some() && self.filters.are_empty() && wanted.key_decides(told)
        });
        let mut ends = ends.chain(by_key.map(|told| told.started_at));
        ends.any(|end| focus.contains(end)).then_some(focus)
    }

    /// Returns the span of the metrics and the lines that tell of the text's own moment.
    pub(crate) fn moment_on_aws(&self) -> Option<Window> {
        let at = self.moment()?;
        Some(Window { since: at - PERIOD, until: at + AHEAD })
    }
}
