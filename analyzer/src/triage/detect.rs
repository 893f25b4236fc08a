//! Finds trouble: what fails, is slow or is refused more often than usual, from when to when.
//!
//! In: the exchanges, and what AWS saw. Out: troubles, each of one kind. Nothing is said of causes here.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use schemas::origin::Origin;

use super::burst::{Bin, Burst, bursts, usual};
use super::fact::{Dimension, Fact, Facts, Half};
use super::latency::{Slowness, Stage};
use super::name::Name;
use super::percentile::percentile;
use super::series::{Minutes, count_hurt, present};
use super::trouble::{Hit, Kind, Trouble, code_of};
use crate::aws::cloudwatch::{Counts, Observed, Reserved};
use crate::window::Window;

/// What is taken for usual where there is no time before: one developer's minute in two hundred.
const UNKNOWN_USUAL: f64 = 0.005;
/// Exchanges of a model that tell how long it usually takes.
const ENOUGH: usize = 50;
/// How much longer than nine of ten usual ones an exchange takes that is slow.
const SLOW: f64 = 1.5;
/// A share of slow ones from which on it is a trouble.
const SLOW_SHARE: f64 = 0.2;
/// Slow ones, at least.
const FEWEST_SLOW: f64 = 10.0;
/// What the proxy adds is slow only from so many milliseconds on.
const SLOW_PROXY_MS: f64 = 100.0;
/// Requests refused by AWS, at least: one or two are a hiccup.
const FEWEST_REFUSED: f64 = 5.0;

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
    let mut troubles = failing(facts, scope);
    troubles.extend(slow(facts, scope));
    if let Some(observed) = observed {
        troubles.extend(refused(facts, observed, scope));
    }
    troubles.sort_by(|a, b| {
        a.window.since.cmp(&b.window.since).then(b.evidence.total_cmp(&a.evidence))
    });
    troubles
}

/// Failures, by origin and code: of everybody, and what is left of that by developer.
fn failing(facts: &Facts, scope: &Scope) -> Vec<Trouble> {
    let minutes = Minutes::of(&scope.window, scope.now);
    let before = Minutes::of(&scope.baseline, scope.baseline.until);
    let there = present(&facts.window.facts, &minutes);
    let there_before = present(&facts.baseline.facts, &before);
    let failures_before = by_code(&facts.baseline, facts);
    let mut troubles = Vec::new();
    for (key, failures) in by_code(&facts.window, facts) {
        let mut bins = there.clone();
        count_hurt(&mut bins, failures.iter().copied(), &minutes, 1.0);
        let mut bins_before = there_before.clone();
        let others = failures_before.get(&key).map(Vec::as_slice).unwrap_or_default();
        count_hurt(
            &mut bins_before,
            others.iter().copied(),
            &before,
            facts.baseline.failure_weight,
        );
        let usual = usually(&bins_before);
        let mut left = failures.clone();
        for burst in bursts(&bins, usual) {
            let window = minutes.window(&burst);
            let (hit, rest): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|fact| window.contains(fact.at));
            left = rest;
            let hit = Hit { window, facts: hit };
            troubles.push(Trouble::of(Kind::Fails, key.0, &hit, facts, burst.evidence));
        }
        troubles.extend(of_one(&left, others, key.0, facts, (&minutes, &before), usual));
    }
    troubles
}

/// What is usual, by the time before; a guess where there is none.
fn usually(before: &[Bin]) -> f64 {
    let has_any = before.iter().any(|bin| bin.chances > 0.0);
    if has_any { usual(before) } else { UNKNOWN_USUAL }
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

/// Finds developers who fail more often than they used to, and than the others do: seldom enough that it
/// is no matter among everybody's exchanges.
fn of_one(
    failures: &[&Fact],
    failures_before: &[&Fact],
    origin: Origin,
    facts: &Facts,
    (minutes, before): (&Minutes, &Minutes),
    usual_of_all: f64,
) -> Vec<Trouble> {
    let of_whom = |facts: &[&Fact]| {
        let names = facts.iter().filter_map(|fact| fact.of(Dimension::Developer));
        names.collect::<std::collections::BTreeSet<Name>>()
    };
    let mut troubles = Vec::new();
    for who in of_whom(failures) {
        let is_hers = |fact: &&Fact| fact.of(Dimension::Developer) == Some(who);
        let hers: Vec<&Fact> = failures.iter().copied().filter(is_hers).collect();
        if hers.len() < 3 {
            continue;
        }
        let mut bins = present(facts.window.facts.iter().filter(is_hers), minutes);
        count_hurt(&mut bins, hers.iter().copied(), minutes, 1.0);
        let mut bins_before = present(facts.baseline.facts.iter().filter(is_hers), before);
        let of_before = failures_before.iter().copied().filter(is_hers);
        count_hurt(&mut bins_before, of_before, before, facts.baseline.failure_weight);
        let usual = usually(&bins_before).max(usual_of_all);
        for burst in bursts(&bins, usual) {
            let window = minutes.window(&burst);
            let hit = hers.iter().copied().filter(|fact| window.contains(fact.at)).collect();
            let hit = Hit { window, facts: hit };
            troubles.push(Trouble::of(Kind::Fails, origin, &hit, facts, burst.evidence));
        }
    }
    troubles
}

/// What is looked at for slowness.
#[derive(Clone, Copy)]
struct Watched {
    stage: Stage,
    origin: Origin,
    /// From how many milliseconds on it can be slow.
    least: f64,
    by_model: bool,
}

/// Waiting for OpenAI's first byte, all of its answer, and what the proxy adds to the first byte.
const WATCHED: [Watched; 3] = [
    Watched { stage: Stage::OpenaiFirstByte, origin: Origin::Openai, least: 500.0, by_model: true },
    Watched { stage: Stage::Whole, origin: Origin::Openai, least: 1_000.0, by_model: true },
    Watched { stage: Stage::Proxy, origin: Origin::Proxy, least: SLOW_PROXY_MS, by_model: false },
];

fn slow(facts: &Facts, scope: &Scope) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for watched in WATCHED {
        let models: HashSet<Option<Name>> = if watched.by_model {
            facts
                .window
                .facts
                .iter()
                .filter_map(|fact| fact.of(Dimension::Model))
                .map(Some)
                .collect()
        } else {
            HashSet::from([None])
        };
        let mut models: Vec<_> = models.into_iter().collect();
        models.sort_unstable();
        for model in models {
            troubles.extend(slow_in(facts, scope, watched, model));
        }
    }
    troubles
}

fn slow_in(facts: &Facts, scope: &Scope, watched: Watched, model: Option<Name>) -> Vec<Trouble> {
    let measured = |half: &'_ Half| -> Vec<(usize, f64)> {
        let is_it = |fact: &Fact| model.is_none() || fact.of(Dimension::Model) == model;
        let facts = half.facts.iter().enumerate().filter(|(_, fact)| is_it(fact));
        facts.filter_map(|(at, fact)| Some((at, watched.stage.of(fact)?))).collect()
    };
    let before = measured(&facts.baseline);
    if before.len() < ENOUGH {
        return Vec::new();
    }
    let mut times: Vec<f64> = before.iter().map(|(_, ms)| *ms).collect();
    times.sort_by(f64::total_cmp);
    let limit = (percentile(&times, 0.9) * SLOW).max(watched.least);
    let median_before = percentile(&times, 0.5);
    let count = |minutes: &Minutes, half: &Half, measured: &[(usize, f64)]| {
        let mut bins = minutes.bins();
        for (at, ms) in measured {
            let Some(place) = minutes.place(half.facts[*at].at) else { continue };
            bins[place].chances += 1.0;
            bins[place].hits += f64::from(u8::from(*ms > limit));
        }
        bins
    };
    let (minutes, minutes_before) =
        (Minutes::of(&scope.window, scope.now), Minutes::of(&scope.baseline, scope.baseline.until));
    let usual = usual(&count(&minutes_before, &facts.baseline, &before)).max(0.01);
    let now = measured(&facts.window);
    let bins = count(&minutes, &facts.window, &now);
    let is_much =
        |burst: &Burst| burst.hits >= FEWEST_SLOW && burst.hits >= SLOW_SHARE * burst.chances;
    let mut troubles = Vec::new();
    for burst in bursts(&bins, usual).into_iter().filter(is_much) {
        let window = minutes.window(&burst);
        let within = now.iter().filter(|(at, _)| window.contains(facts.window.facts[*at].at));
        let mut times: Vec<f64> = within.clone().map(|(_, ms)| *ms).collect();
        times.sort_by(f64::total_cmp);
        let hit = within.filter(|(_, ms)| *ms > limit).map(|(at, _)| &facts.window.facts[*at]);
        let hit = Hit { facts: hit.collect(), window: window.clone() };
        let trouble = Trouble::of(Kind::Slow, watched.origin, &hit, facts, burst.evidence);
        let slow = Slowness {
            stage: watched.stage,
            usual_ms: median_before,
            median_ms: percentile(&times, 0.5),
        };
        troubles.push(Trouble { slow: Some(slow), codes: Vec::new(), ..trouble });
    }
    troubles
}

/// How many requests AWS refused in a period.
type Refusals = fn(&Counts, &Logged) -> Option<u64>;

/// What logs tell of the same period.
#[derive(Clone, Copy, Default)]
struct Logged {
    client_errors: u64,
    server_errors: u64,
}

/// Refusals that leave no log, by what CloudWatch counts and the logs do not.
const REFUSALS: [(Kind, Refusals); 3] = [
    (Kind::Throttled, |counts, _| counts.throttles),
    (Kind::Refused, |counts, logged| {
        let known = logged.client_errors + counts.throttles.unwrap_or(0);
        counts.url_4xx.map(|all| all.saturating_sub(known))
    }),
    (Kind::Died, |counts, logged| {
        counts.url_5xx.map(|all| all.saturating_sub(logged.server_errors))
    }),
];

fn refused(facts: &Facts, observed: &Observed, scope: &Scope) -> Vec<Trouble> {
    let minutes = Minutes::of(&scope.window, scope.now);
    let before = Minutes::of(&scope.baseline, scope.baseline.until);
    let mut troubles = Vec::new();
    for (kind, of) in REFUSALS {
        let bins = refusals(&minutes, &facts.window, observed, of);
        let bins_before = refusals(&before, &facts.baseline, observed, of);
        let has_any = bins_before.iter().any(|bin| bin.chances > 0.0);
        let usual = if has_any { usual(&bins_before) } else { UNKNOWN_USUAL };
        for burst in bursts(&bins, usual) {
            if burst.hits < FEWEST_REFUSED {
                continue;
            }
            let hit = Hit { window: minutes.window(&burst), facts: Vec::new() };
            let mut trouble = Trouble::of(kind, Origin::Aws, &hit, facts, burst.evidence);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
            {
                trouble.blast.exchanges = burst.hits as u64;
                trouble.blast.of = (burst.chances as u64).max(trouble.blast.exchanges);
            }
            trouble.slots = slots(observed, &trouble.window).filter(|_| kind == Kind::Throttled);
            troubles.push(trouble);
        }
    }
    troubles
}

/// Returns how many slots were in use at most, and how many there are.
fn slots(observed: &Observed, window: &Window) -> Option<(u64, u32)> {
    let used = observed.totals(window).concurrent_max?;
    match observed.reserved()? {
        Reserved::Slots(slots) => Some((used, slots)),
        Reserved::Shared => None,
    }
}

/// Counts requests, and those that were refused; a period longer than a minute stands in its first.
fn refusals(minutes: &Minutes, half: &Half, observed: &Observed, of: Refusals) -> Vec<Bin> {
    let mut logged = vec![Logged::default(); minutes.count()];
    for fact in &half.facts {
        let (Some(place), Some(status)) = (minutes.place(fact.at), fact.status) else { continue };
        logged[place].client_errors += u64::from((400..500).contains(&status));
        logged[place].server_errors += u64::from(status >= 500);
    }
    let mut bins = minutes.bins();
    for minute in &observed.minutes {
        let Some(place) = minutes.place(minute.at) else { continue };
        let Some(hits) = of(&minute.counts, &logged[place]) else { continue };
        let requests = minute.counts.url_requests.or(minute.counts.invocations).unwrap_or(0);
        bins[place].hits += hits as f64;
        bins[place].chances += requests.max(hits) as f64;
    }
    bins
}
