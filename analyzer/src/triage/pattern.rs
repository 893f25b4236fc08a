//! The table of fingerprints: which words fail how often, since when, and whether they are new.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::origin::Origin;

use super::fact::{Fact, Facts};
use super::fingerprint::fingerprint;
use super::name::Name;
use super::series::Minutes;
use super::trouble::{blast, code_of, samples};

/// Exchanges that are named of each.
const SAMPLES: usize = 3;
/// Parts of the window in each of which failures are counted.
pub const PARTS: usize = 24;
/// So many times as many in the later half as in the earlier: it rises.
const TIMES: u64 = 2;

/// Which way a count goes, from the earlier half of the window to the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// At least twice as many.
    Rising,
    /// Between half and twice as many.
    Steady,
    /// At most half as many.
    Falling,
}

impl Trend {
    /// Returns what it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Steady => "steady",
            Self::Falling => "falling",
        }
    }
}

/// Failures whose words are the same but for ids, numbers, models and durations.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Pattern {
    /// Names the words: the same on every machine, on every day.
    pub fingerprint: String,
    /// The layer that failed.
    pub origin: Origin,
    /// Its code.
    pub code: String,
    /// The words, masked; null where only keys are known.
    pub words: Option<String>,
    /// Exchanges that failed so in the window.
    pub exchanges: u64,
    /// Exchanges that did in the time before.
    pub before: u64,
    /// Nobody failed so in the time before.
    pub new: bool,
    /// Which way it goes.
    pub trend: Trend,
    /// Developers that it hurt.
    pub developers: u64,
    /// The first, of the time before too.
    #[schemars(with = "String")]
    pub first_seen: Timestamp,
    /// The last.
    #[schemars(with = "String")]
    pub last_seen: Timestamp,
    /// Failures in each part of the window, oldest first.
    pub series: Vec<u64>,
    /// Newest exchanges of it.
    pub samples: Vec<String>,
}

type Key = (Origin, String, Option<Name>);

/// Groups the failures of the window by their words, the most frequent first.
#[must_use]
pub fn patterns(facts: &Facts, minutes: &Minutes) -> Vec<Pattern> {
    let key = |fact: &Fact| -> Option<Key> {
        let failure = fact.failure?;
        Some((failure.origin, code_of(fact, facts)?, failure.words))
    };
    let mut before: BTreeMap<Key, (u64, Timestamp)> = BTreeMap::new();
    for fact in &facts.baseline.facts {
        if let Some(key) = key(fact) {
            before.entry(key).or_insert((0, fact.at)).0 += 1;
        }
    }
    let mut groups: BTreeMap<Key, Vec<&Fact>> = BTreeMap::new();
    for fact in &facts.window.facts {
        if let Some(key) = key(fact) {
            groups.entry(key).or_default().push(fact);
        }
    }
    let row = |(key, of): (Key, Vec<&Fact>)| {
        let series = series(&of, minutes);
        let (before, first_before) = before.get(&key).map_or((0, None), |it| (it.0, Some(it.1)));
        let words = key.2.map(|words| facts.names.text(words));
        Some(Pattern {
            fingerprint: fingerprint(key.0, &key.1, words.unwrap_or_default()),
            origin: key.0,
            words: words.map(str::to_owned),
            code: key.1,
            exchanges: of.len() as u64,
            before,
            new: before == 0,
            trend: trend(&series),
            developers: blast(&of, 0, facts).developers,
            first_seen: first_before.unwrap_or(of.first()?.at),
            last_seen: of.last()?.at,
            series,
            samples: samples(&of, SAMPLES),
        })
    };
    let mut rows: Vec<_> = groups.into_iter().filter_map(row).collect();
    rows.sort_by(|a, b| {
        b.exchanges.cmp(&a.exchanges).then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
    rows
}

fn series(facts: &[&Fact], minutes: &Minutes) -> Vec<u64> {
    let mut parts = vec![0; PARTS.min(minutes.count())];
    for fact in facts {
        if let Some(place) = minutes.place(fact.at) {
            let part = place * parts.len() / minutes.count();
            parts[part] += 1;
        }
    }
    parts
}

fn trend(series: &[u64]) -> Trend {
    let (earlier, later) = series.split_at(series.len() / 2);
    let (earlier, later): (u64, u64) = (earlier.iter().sum(), later.iter().sum());
    match () {
        // One more or less says nothing.
        () if earlier.abs_diff(later) < 3 => Trend::Steady,
        () if later >= earlier * TIMES => Trend::Rising,
        () if earlier >= later * TIMES => Trend::Falling,
        () => Trend::Steady,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_is_told_by_the_halves() {
        for (series, expected) in [
            (&[0, 0, 4, 9][..], Trend::Rising),
            (&[9, 1, 0, 0], Trend::Falling),
            (&[5, 5, 4, 7], Trend::Steady),
            (&[0, 0, 1, 1], Trend::Steady),
            (&[], Trend::Steady),
        ] {
            assert_eq!(trend(series), expected, "{series:?}");
        }
    }
}
