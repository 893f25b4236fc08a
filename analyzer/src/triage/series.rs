//! Exchanges by the minute: how many could have failed in some way, and how many did.
//!
//! What is counted of failures are developers by the minute, not exchanges: a client that tries again
//! and again is one developer in trouble. Of one turn only the first try counts.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::burst::{Bin, Burst};
use super::fact::{Dimension, Fact};
use super::name::Name;
use crate::window::Window;

/// The minutes of a window, the first one whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes {
    first: i64,
    count: usize,
}

impl Minutes {
    /// Returns the minutes of a window up to a moment, which may be its end.
    #[must_use]
    pub fn of(window: &Window, now: Timestamp) -> Self {
        let Window { until, .. } = window.up_to(now);
        let first = window.since.as_second().div_euclid(60);
        let last = (until.as_millisecond() - 1).div_euclid(60_000).max(first);
        Self { first, count: usize::try_from(last - first + 1).unwrap_or(1) }
    }

    /// Returns the place of a moment; `None` outside.
    #[must_use]
    pub fn place(&self, at: Timestamp) -> Option<usize> {
        let minute = at.as_millisecond().div_euclid(60_000) - self.first;
        usize::try_from(minute).ok().filter(|place| *place < self.count)
    }

    /// Returns when a minute begins.
    #[must_use]
    pub fn start(&self, place: usize) -> Timestamp {
        let minute = self.first + i64::try_from(place).unwrap_or(0);
        Timestamp::from_second(minute * 60).unwrap_or(Timestamp::MAX)
    }

    /// Returns the time of a burst: from the beginning of its first minute to the end of its last.
    #[must_use]
    pub fn window(&self, burst: &Burst) -> Window {
        let until = self.start(burst.last) + SignedDuration::from_mins(1);
        Window { since: self.start(burst.first), until }
    }

    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns as many empty bins.
    #[must_use]
    pub fn bins(&self) -> Vec<Bin> {
        vec![Bin::default(); self.count]
    }
}

/// Who sent an exchange; those without a token are one.
fn who(fact: &Fact) -> Option<Name> {
    fact.of(Dimension::Developer).or(fact.token)
}

/// Counts who was there in each minute.
#[must_use]
pub fn present<'a>(facts: impl IntoIterator<Item = &'a Fact>, minutes: &Minutes) -> Vec<Bin> {
    let mut bins = minutes.bins();
    let mut seen: HashSet<(usize, Option<Name>)> = HashSet::new();
    for fact in facts {
        let Some(place) = minutes.place(fact.at) else { continue };
        if seen.insert((place, who(fact))) {
            bins[place].chances += 1.0;
        }
    }
    bins
}

/// Counts who of those was hurt in each minute. Facts come in the order of time.
pub fn count_hurt<'a>(
    bins: &mut [Bin],
    facts: impl IntoIterator<Item = &'a Fact>,
    minutes: &Minutes,
) {
    let mut seen: HashSet<(usize, Option<Name>)> = HashSet::new();
    let mut turns: HashMap<Name, usize> = HashMap::new();
    for fact in facts {
        let Some(place) = minutes.place(fact.at) else { continue };
        let first = fact.turn.map(|turn| *turns.entry(turn).or_insert(place));
        // Another try of a turn that was counted.
        if first.is_some_and(|first| first != place) {
            continue;
        }
        if seen.insert((place, who(fact))) {
            bins[place].hits += 1.0;
        }
    }
}
