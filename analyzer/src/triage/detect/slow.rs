//! What takes longer than usual: waiting for OpenAI's first byte and all of its answer, by model, and what the
//! proxy adds to the first byte.

use std::collections::BTreeSet;

use schemas::origin::Origin;

use super::Scope;
use crate::triage::burst::{Burst, bursts, usual};
use crate::triage::fact::{Dimension, Fact, Facts, Half};
use crate::triage::latency::{Slowness, Stage};
use crate::triage::name::Name;
use crate::triage::percentile::percentile;
use crate::triage::series::Minutes;
use crate::triage::trouble::{Hit, Kind, Trouble};

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

/// Finds what is slow.
pub(super) fn slow(facts: &Facts, scope: &Scope) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for watched in WATCHED {
        let models: BTreeSet<Option<Name>> = if watched.by_model {
            let models = facts.window.facts.iter().map(|fact| fact.of(Dimension::Model));
            models.flatten().map(Some).collect()
        } else {
            BTreeSet::from([None])
        };
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
    let usual = usual(&count(&minutes_before, &facts.baseline, &before)).at_least(0.01);
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
        let mut trouble = Trouble::of(Kind::Slow, watched.origin, &hit, facts, burst.evidence);
        // Whoever was not measured may have been slow, too.
        trouble.blast.of = times.len() as u64;
        let slow = Slowness {
            stage: watched.stage,
            usual_ms: median_before,
            median_ms: percentile(&times, 0.5),
        };
        troubles.push(Trouble { slow: Some(slow), ..trouble });
    }
    troubles
}
