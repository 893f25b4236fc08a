//! What fails more often than usual, by origin and code: for everybody, and for one developer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::origin::Origin;

use super::{Scope, usually};
use crate::triage::burst::{Bin, Burst, Usual, bursts, evidence, sum};
use crate::triage::fact::{Dimension, Fact, Facts, Half};
use crate::triage::name::Name;
use crate::triage::series::{Minutes, count_hurt, present};
use crate::triage::trouble::{Hit, Kind, Trouble, code_of};

/// Failures of one developer that are looked at by themselves.
const FEWEST: usize = 3;
/// Failures that are no further apart belong to one trouble.
const TOGETHER: SignedDuration = SignedDuration::from_mins(3);
/// A trouble that pauses for so long goes on, minutes.
const PAUSE: usize = 15;
/// So many times as often as the others somebody fails whose own matter it is.
const TIMES: f64 = 4.0;

/// Finds what fails.
pub(super) fn failing(facts: &Facts, scope: &Scope) -> Vec<Trouble> {
    let minutes = Minutes::of(&scope.window, scope.now);
    let before = Minutes::of(&scope.baseline, scope.baseline.until);
    let there = present(&facts.window.facts, &minutes);
    let there_before = present(&facts.baseline.facts, &before);
    let mut failures_before = by_code(&facts.baseline, facts);
    let mut troubles = Vec::new();
    for (key, failures) in by_code(&facts.window, facts) {
        let earlier = failures_before.remove(&key).unwrap_or_default();
        let mut bins_before = there_before.clone();
        count_hurt(&mut bins_before, earlier.iter().copied(), &before);
        let usual = usually(&bins_before);
        let search =
            Search { facts, origin: key.0, minutes, before, there: &there, earlier, usual };
        search.run(failures, &mut troubles);
    }
    troubles
}

fn by_code<'a>(half: &'a Half, facts: &Facts) -> BTreeMap<(Origin, String), Vec<&'a Fact>> {
    let mut groups: BTreeMap<_, Vec<&Fact>> = BTreeMap::new();
    for fact in &half.facts {
        let Some(failure) = fact.failure else { continue };
        let code = code_of(fact, facts).unwrap_or_default();
        groups.entry((failure.origin, code)).or_default().push(fact);
    }
    groups
}

/// The search for bursts of one origin and code.
struct Search<'a> {
    facts: &'a Facts,
    origin: Origin,
    minutes: Minutes,
    before: Minutes,
    /// Who was there in each minute.
    there: &'a [Bin],
    /// Such failures of the time before.
    earlier: Vec<&'a Fact>,
    /// How often a developer's minute has one usually.
    usual: Usual,
}

impl<'a> Search<'a> {
    /// Looks at everybody; what is the matter of one developer, and among everybody's left over, by
    /// developer.
    fn run(&self, failures: Vec<&'a Fact>, troubles: &mut Vec<Trouble>) {
        let mut left = failures;
        let mut of_one = Vec::new();
        let found = loop {
            let found = bursts(&self.series(&left), self.usual);
            let Some(who) = found.iter().find_map(|burst| self.is_of_one(&left, burst)) else {
                break found;
            };
            let (hers, others) =
                left.into_iter().partition(|fact| fact.of(Dimension::Developer) == Some(who));
            left = others;
            of_one.push((who, hers));
        };
        for burst in going_on(found) {
            let window = self.minutes.window(&burst);
            let (hit, rest) = left.into_iter().partition(|fact| window.contains(fact.at));
            left = rest;
            troubles.push(self.trouble(hit, &burst));
        }
        let everybody: BTreeSet<Name> =
            left.iter().filter_map(|fact| fact.of(Dimension::Developer)).collect();
        for who in everybody {
            let is_hers = |fact: &&Fact| fact.of(Dimension::Developer) == Some(who);
            of_one.push((who, left.iter().copied().filter(is_hers).collect()));
        }
        for (who, hers) in of_one {
            self.look_at(who, &hers, troubles);
        }
    }

    fn series(&self, failures: &[&Fact]) -> Vec<Bin> {
        let mut bins = self.there.to_vec();
        count_hurt(&mut bins, failures.iter().copied(), &self.minutes);
        bins
    }

    /// Returns the developer whose matter a burst is: without her it would be none, and the others that were
    /// there fail far more seldom.
    fn is_of_one(&self, failures: &[&Fact], burst: &Burst) -> Option<Name> {
        let window = self.minutes.window(burst);
        let mut counts: BTreeMap<Name, u64> = BTreeMap::new();
        for fact in failures.iter().filter(|fact| window.contains(fact.at)) {
            if let Some(who) = fact.of(Dimension::Developer) {
                *counts.entry(who).or_default() += 1;
            }
        }
        let (who, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let is_hers = |fact: &Fact| fact.of(Dimension::Developer) == Some(who);
        let others = failures.iter().copied().filter(|fact| !is_hers(fact)).collect::<Vec<_>>();
        let within = |bins: Vec<Bin>| sum(&bins[burst.first..=burst.last]);
        let others = within(self.series(&others));
        let hers = self.facts.window.facts.iter().filter(|fact| is_hers(fact));
        let hers = Bin { hits: burst.hits - others.hits, ..within(present(hers, &self.minutes)) };
        let rate = |bin: Bin| bin.hits / bin.chances.max(1.0);
        let others = Bin { chances: others.chances - hers.chances, ..others };
        let is_none = evidence(others.hits, others.chances, self.usual).is_none();
        (is_none && rate(others) * TIMES <= rate(hers)).then_some(who)
    }

    /// Finds when one developer failed more often than before, and than everybody does.
    fn look_at(&self, who: Name, hers: &[&'a Fact], troubles: &mut Vec<Trouble>) {
        if hers.len() < FEWEST {
            return;
        }
        let is_hers = |fact: &&Fact| fact.of(Dimension::Developer) == Some(who);
        let mut bins = present(self.facts.window.facts.iter().filter(is_hers), &self.minutes);
        count_hurt(&mut bins, hers.iter().copied(), &self.minutes);
        let baseline = &self.facts.baseline;
        let mut bins_before = present(baseline.facts.iter().filter(is_hers), &self.before);
        let earlier = self.earlier.iter().copied().filter(is_hers);
        count_hurt(&mut bins_before, earlier, &self.before);
        let usual = usually(&bins_before).or_more(self.usual);
        for burst in going_on(bursts(&bins, usual)) {
            let window = self.minutes.window(&burst);
            let hit = hers.iter().copied().filter(|fact| window.contains(fact.at)).collect();
            troubles.push(self.trouble(hit, &burst));
        }
    }

    fn trouble(&self, facts: Vec<&'a Fact>, burst: &Burst) -> Trouble {
        let hit = Hit { window: self.minutes.window(burst), facts };
        let trouble = Trouble::of(Kind::Fails, self.origin, &hit, self.facts, burst.evidence);
        Trouble { began: self.began(trouble.window.since), ..trouble }
    }

    /// Goes back from the beginning of the window for as long as such failures follow each other.
    fn began(&self, since: Timestamp) -> Timestamp {
        if since > self.minutes.start(0) {
            return since;
        }
        let mut began = since;
        for fact in self.earlier.iter().rev().filter(|fact| fact.at < since) {
            if began.duration_since(fact.at) > TOGETHER {
                break;
            }
            began = fact.at;
        }
        self.before.place(began).map_or(began, |place| self.before.start(place))
    }
}

/// Makes one of bursts that follow each other after no more than a pause: whom they hurt is counted once.
fn going_on(found: Vec<Burst>) -> Vec<Burst> {
    let mut told: Vec<Burst> = Vec::new();
    for burst in found {
        match told.last_mut() {
            Some(before) if burst.first - before.last <= PAUSE + 1 => {
                before.last = burst.last;
                before.hits += burst.hits;
                before.chances += burst.chances;
                before.evidence += burst.evidence;
            }
            _ => told.push(burst),
        }
    }
    told
}
