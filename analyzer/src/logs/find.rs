//! From the id of an exchange to its log, without looking through a window.
//!
//! In: a source and an id of ours, which begins with the time of its exchange. Out: the log whose key
//! has the id, or, where keys tell less, those of its hour that may be it. The hour of that time is
//! listed, whatever time somebody asked about; its neighbours only if it is not there.

use jiff::{SignedDuration, Timestamp};
use schemas::key::ExchangeId;

use crate::logs::list::{Entry, list};
use crate::logs::source::{LogSource, SourceError};
use crate::window::Window;

/// How far from the time in its id an exchange can stand: clocks are read once, hours begin.
const AROUND: SignedDuration = SignedDuration::from_mins(1);
/// How long before it is listed too: who sent what then may have caused it.
pub const BEFORE: SignedDuration = SignedDuration::from_mins(15);
/// How far it is looked for if it is not there.
const FAR: SignedDuration = SignedDuration::from_hours(1);

/// Where an exchange stands.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Logs whose key has the id: one, unless it was written twice.
    pub named: Vec<Entry>,
    /// Logs of that time whose key tells no id, and which may be it; only where no key has it.
    pub untold: Vec<Entry>,
    /// All that was listed, from [`BEFORE`] on.
    pub listed: Vec<Entry>,
}

/// Returns the time that stands in an id.
#[must_use]
pub fn time_of(id: ExchangeId) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(id.0 >> 80).ok()?).ok()
}

/// Returns the span of time in which an exchange is looked for.
#[must_use]
pub fn span_of(id: ExchangeId) -> Option<Window> {
    span(id, FAR, FAR)
}

fn span(id: ExchangeId, before: SignedDuration, after: SignedDuration) -> Option<Window> {
    let time = time_of(id)?;
    Some(Window { since: time.checked_sub(before).ok()?, until: time.checked_add(after).ok()? })
}

/// Finds an exchange.
///
/// # Errors
///
/// When the source cannot be listed.
pub async fn find(source: &dyn LogSource, id: ExchangeId) -> Result<Found, SourceError> {
    let mut found = Found::default();
    let text = id.to_string();
    for window in [span(id, BEFORE, AROUND), span_of(id)] {
        let Some(window) = window else { return Ok(found) };
        let listed = list(source, &window).await?.entries;
        let is_it = |entry: &&Entry| entry.key.contains(&text);
        let named: Vec<_> = listed.iter().filter(is_it).cloned().collect();
        if !named.is_empty() {
            return Ok(Found { named, untold: Vec::new(), listed });
        }
        let untold = listed.iter().filter(|entry| entry.told.is_none()).cloned().collect();
        found = Found { named, untold, listed };
    }
    Ok(found)
}
