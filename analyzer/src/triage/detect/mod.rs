//! Finds trouble: what fails, is slow or is refused more often than usual, from when to when.
//!
//! In: the exchanges, and what AWS saw. Out: troubles, each of one kind. Nothing is said of causes here.

mod failing;
mod slow;
mod refused;

use jiff::Timestamp;

use super::burst::{Bin, Usual, usual};
use super::fact::Facts;
use super::trouble::Trouble;
use crate::aws::cloudwatch::Observed;
use crate::window::Window;

/// What is taken for seen where there is no time before: one developer's minute in two hundred.
const UNKNOWN: Bin = Bin { chances: 1_000.0, hits: 5.0 };

/// Where and when is looked.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The time in question.
    pub window: Window,
    /// The time before, which tells what is usual.
    pub baseline: Window,
    /// When it is asked.
    pub now: Timestamp,
}

/// Finds all troubles, in the order in which they began.
#[must_use]
pub fn detect(facts: &Facts, observed: Option<&Observed>, scope: &Scope) -> Vec<Trouble> {
    let mut troubles = failing::failing(facts, scope);
    troubles.extend(slow::slow(facts, scope));
    if let Some(observed) = observed {
        troubles.extend(refused::refused(facts, observed, scope));
    }
    troubles.sort_by(|a, b| {
        a.window.since.cmp(&b.window.since).then(b.evidence.total_cmp(&a.evidence))
    });
    troubles
}

/// What is usual, by the time before; a guess where there is none.
fn usually(before: &[Bin]) -> Usual {
    let has_any = before.iter().any(|bin| bin.chances > 0.0);
    if has_any { usual(before) } else { Usual::learnt(UNKNOWN) }
}
