//! Which hours there are to compact: those of a span of time that are closed, and have logs.

use jiff::{SignedDuration, Timestamp};

use crate::hour::Hour;
use crate::window::Window;

/// The hours of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Hours to compact, oldest first.
    pub hours: Vec<Hour>,
    /// Hours that are not closed yet.
    pub open: Vec<Hour>,
}

/// Plans the hours of a window, as far as they are over.
#[must_use]
pub fn plan(window: &Window, now: Timestamp) -> Plan {
    let first = Hour::of(window.since);
    let hours = std::iter::successors(Some(first), |hour| Some(hour.next()));
    let of_window = hours.take_while(|hour| hour.start() < window.until && hour.start() <= now);
    let (hours, open) = of_window.partition(|hour: &Hour| hour.is_closed(now));
    Plan { hours, open }
}

/// Returns the last hour that is closed.
#[must_use]
pub fn last_closed(now: Timestamp) -> Hour {
    let hour = Hour::of(now - SignedDuration::from_hours(1));
    if hour.is_closed(now) { hour } else { Hour::of(hour.start() - SignedDuration::from_hours(1)) }
}
