//! One kind of trouble in one stretch of time: what was seen, before anybody says what caused it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::origin::Origin;

use super::fact::{Dimension, Fact, Facts};
use super::latency::Slowness;
use super::name::Name;
use crate::verdict::turn::{Try, count};
use crate::window::Window;

/// A share from which on a trouble is of one model, developer or version only.
const ONLY: f64 = 0.9;
/// The most that those may have of all exchanges: else it says nothing.
const ALL: f64 = 0.8;
/// So many times as often as elsewhere.
const TIMES: f64 = 4.0;
/// Exchanges that are named.
const SAMPLES: usize = 5;
/// One in so many may be known by its key alone where turns are counted.
const TOLD: usize = 10;
/// Developers, and models, that are named.
const NAMED: usize = 10;

/// What kind of trouble it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Exchanges fail.
    Fails,
    /// They take longer than usual.
    Slow,
    /// Lambda refuses for want of slots.
    Throttled,
    /// The Function URL refuses, for another reason.
    Refused,
    /// Lambda answers in the place of a function that died.
    Died,
}

/// A value of a dimension that a trouble is confined to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Only {
    /// Of what.
    pub dimension: Dimension,
    /// Which.
    pub value: String,
    /// Share of the trouble that it has, from 0 to 1.
    pub share: f64,
    /// Share that it has of all exchanges of that time, from 0 to 1.
    pub of_all: f64,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Code {
    /// Code of the failure; `http_503` where only keys are known.
    pub code: String,
    /// Status that the client got most often.
    pub status: Option<u16>,
    /// How many exchanges.
    pub exchanges: u64,
}

/// Whom it hurt.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Blast {
    /// Exchanges in trouble.
    pub exchanges: u64,
    /// Exchanges of that time, also those that were well.
    pub of: u64,
    /// Developers; of those without a name their tokens.
    pub developers: u64,
    /// Some of them, those with the most first.
    pub names: Vec<String>,
    /// Turns; null where of too many the key alone is known, which does not tell them.
    pub turns: Option<u64>,
    /// Models, those with the most first; some of them.
    pub models: Vec<String>,
}

/// One kind of trouble in one stretch of time.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What kind.
    pub kind: Kind,
    /// The layer that it was seen in.
    pub origin: Origin,
    /// When, in whole minutes.
    pub window: Window,
    /// When it began: before the window, where it was there already.
    pub began: Timestamp,
    /// Last moment at which it was seen.
    pub last: Timestamp,
    /// Which failures, most frequent first.
    pub codes: Vec<Code>,
    /// Whom it hurt.
    pub blast: Blast,
    /// What it is confined to.
    pub only: Vec<Only>,
    /// What took longer, where it is about time.
    pub slow: Option<Slowness>,
    /// Most slots in use at a time, and how many there are, where requests were refused for want of one.
    pub slots: Option<(u64, u32)>,
    /// Newest exchanges of it.
    pub samples: Vec<String>,
    /// Logarithm of how much likelier than chance it is.
    pub evidence: f64,
}

/// Which exchanges a trouble consists of.
pub(super) struct Hit<'a> {
    pub(super) window: Window,
    pub(super) facts: Vec<&'a Fact>,
}

impl Trouble {
    /// Describes a trouble by the exchanges that are in it.
    pub(super) fn of(
        kind: Kind,
        origin: Origin,
        hit: &Hit<'_>,
        all: &Facts,
        evidence: f64,
    ) -> Self {
        let within = |fact: &&Fact| hit.window.contains(fact.at);
        let others: Vec<_> = all.window.facts.iter().filter(within).collect();
        let last = hit.facts.last().map_or(hit.window.until, |fact| fact.at);
        Self {
            kind,
            origin,
            window: hit.window.clone(),
            began: hit.window.since,
            last,
            codes: codes(&hit.facts, all),
            blast: blast(&hit.facts, others.len() as u64, all),
            only: only(&hit.facts, &others, all),
            slow: None,
            slots: None,
            samples: samples(&hit.facts, SAMPLES),
            evidence,
        }
    }

    /// Returns the only value of a dimension that it is confined to.
    #[must_use]
    pub fn only(&self, dimension: Dimension) -> Option<&str> {
        let only = self.only.iter().find(|only| only.dimension == dimension)?;
        Some(&only.value)
    }

    /// Returns the share of the exchanges of its time that were in trouble, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.blast.of == 0 { 0.0 } else { self.blast.exchanges as f64 / self.blast.of as f64 }
    }
}

/// Names the newest of some exchanges, those that were read first.
pub(super) fn samples(facts: &[&Fact], most: usize) -> Vec<String> {
    let (read, others): (Vec<&Fact>, Vec<&Fact>) =
        facts.iter().copied().rev().partition(|fact| fact.is_read);
    read.into_iter().chain(others).take(most).map(|fact| fact.exchange_id.to_string()).collect()
}

/// Returns the code of a failure, or what its status says where nobody read the code.
pub(super) fn code_of(fact: &Fact, all: &Facts) -> Option<String> {
    let failure = fact.failure?;
    let told = failure.code.map(|code| all.names.text(code).to_owned());
    Some(told.unwrap_or_else(|| format!("http_{}", fact.status.unwrap_or_default())))
}

/// Returns the status that most of these have.
pub(super) fn most_frequent_status(facts: &[&Fact]) -> Option<u16> {
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    facts.iter().filter_map(|fact| fact.status).for_each(|it| *counts.entry(it).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(status, _)| status)
}

fn codes(facts: &[&Fact], all: &Facts) -> Vec<Code> {
    let mut by_code: BTreeMap<String, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        if let Some(code) = code_of(fact, all) {
            by_code.entry(code).or_default().push(fact);
        }
    }
    let code = |(code, facts): (String, Vec<&Fact>)| Code {
        code,
        exchanges: facts.len() as u64,
        status: most_frequent_status(&facts),
    };
    let mut codes: Vec<_> = by_code.into_iter().map(code).collect();
    codes.sort_by(|a, b| b.exchanges.cmp(&a.exchanges).then_with(|| a.code.cmp(&b.code)));
    codes
}

pub(super) fn blast(facts: &[&Fact], of: u64, all: &Facts) -> Blast {
    let people = most_first(facts, Dimension::Developer, all);
    let text = |name: Option<Name>| name.map(|name| all.names.text(name).to_owned());
    let tries = facts.iter().map(|fact| {
        let (session, turn) = (text(fact.session), text(fact.turn));
        Try::failed(session, turn, fact.exchange_id.to_string(), fact.at, fact.timing.duration_ms)
    });
    let unread = facts.iter().filter(|fact| !fact.is_read).count();
    Blast {
        exchanges: facts.len() as u64,
        of,
        developers: people.len() as u64,
        turns: (unread * TOLD <= facts.len()).then(|| count(tries.collect()).hurt),
        models: most_first(facts, Dimension::Model, all).into_iter().take(NAMED).collect(),
        names: people.into_iter().take(NAMED).collect(),
    }
}

/// Lists the values of a dimension, those with the most exchanges first.
fn most_first(facts: &[&Fact], dimension: Dimension, all: &Facts) -> Vec<String> {
    let mut counts: BTreeMap<Name, u64> = BTreeMap::new();
    for name in facts.iter().filter_map(|fact| fact.of(dimension)) {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> =
        counts.into_iter().map(|(name, count)| (count, all.names.text(name))).collect();
    counts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    counts.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Finds what a trouble is confined to: one value has nearly all of it, far less of all exchanges, and
/// is hit far more often than the others are.
fn only(facts: &[&Fact], all_facts: &[&Fact], all: &Facts) -> Vec<Only> {
    let mut found = Vec::new();
    for dimension in Dimension::ALL {
        let known: Vec<Name> = facts.iter().filter_map(|fact| fact.of(dimension)).collect();
        let mut counts: BTreeMap<Name, usize> = BTreeMap::new();
        for name in &known {
            *counts.entry(*name).or_default() += 1;
        }
        let Some((value, count)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            continue;
        };
        let share = count as f64 / known.len() as f64;
        // Those in trouble are among all.
        let mut sums = (0.0, 0.0);
        for fact in all_facts {
            let weight = match (fact.is_read, fact.failure) {
                (true, Some(_)) => all.window.failure_weight,
                (true, None) => all.window.success_weight,
                (false, _) => continue,
            };
            if let Some(name) = fact.of(dimension) {
                sums.0 += if name == value { weight } else { 0.0 };
                sums.1 += weight;
            }
        }
        if sums.1 <= 0.0 {
            continue;
        }
        let of_all: f64 = sums.0 / sums.1;
        let rate = |hits: f64, of: f64| if of <= 0.0 { 0.0 } else { hits / of };
        let elsewhere = rate((known.len() - count) as f64, sums.1 - sums.0);
        let is_only =
            share >= ONLY && of_all <= ALL && rate(count as f64, sums.0) >= TIMES * elsewhere;
        if is_only && known.len() * 2 > facts.len() {
            let value = all.names.text(value).to_owned();
            found.push(Only { dimension, value, share, of_all });
        }
    }
    // Who has one client, and one model, is who it is about.
    if found.iter().any(|only| only.dimension == Dimension::Developer) {
        found.retain(|only| only.dimension == Dimension::Developer);
    }
    found
}
