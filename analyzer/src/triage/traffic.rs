//! How much is asked for, and whether that is more than just before.

use jiff::{SignedDuration, Timestamp};

use super::fact::Facts;
use crate::window::Window;

/// Traffic is unchanged up to so many times what it was.
const UNCHANGED: f64 = 1.5;
/// The time before that tells what it was.
const BEFORE: SignedDuration = SignedDuration::from_mins(30);

/// Returns how many exchanges began a minute.
pub(super) fn per_minute(facts: &Facts, window: &Window) -> f64 {
    let all = facts.baseline.facts.iter().chain(&facts.window.facts);
    let count = all.filter(|fact| window.contains(fact.at)).count();
    let minutes = window.until.duration_since(window.since).as_secs_f64() / 60.0;
    if minutes <= 0.0 { 0.0 } else { count as f64 / minutes }
}

/// Returns how many exchanges a minute there were before a moment, if so many a minute are clearly more.
pub(super) fn rise(facts: &Facts, since: Timestamp, now: f64) -> Option<f64> {
    let was = per_minute(facts, &Window { since: since - BEFORE, until: since });
    (was > 0.0 && now > was * UNCHANGED).then_some(was)
}
