//! Whether a failure is one that was asked about: by its key first, then by what was read of it.

use schemas::body::TerminalEvent;
use schemas::key::LogKey;
use schemas::origin::{Ending, Origin};

use crate::logs::classify::Exchange;
use crate::text::recognise::{StreamEnding, Wanted};

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
            let ignored = exchange.terminal == Some(TerminalEvent::Error);
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
                || (exchange.terminal == Some(TerminalEvent::Failed) && is_long(exchange))
        }
    }
}

/// Milliseconds for which a client waits, at least, before it gives up on a silent stream: a minute
/// where somebody has set it low; 300 s by default.
const PATIENCE_MS: f64 = 60_000.0;

/// Tells whether an exchange lasted as long as a client that waits in vain.
fn is_long(exchange: &Exchange) -> bool {
    exchange.timing.duration_ms.is_some_and(|ms| ms > PATIENCE_MS)
}

/// Tells whether an exchange is known to have been too short for that.
fn is_short(exchange: &Exchange) -> bool {
    exchange.timing.duration_ms.is_some_and(|ms| ms <= PATIENCE_MS)
}
