//! How long exchanges take, and whose time that is: what OpenAI takes by its own account, what waiting for it
//! takes, and what the proxy adds.

use std::collections::BTreeMap;

use super::fact::{Dimension, Fact, Facts, Half};
use super::name::Name;
use super::percentile::percentile;

/// Models that are told apart.
const MODELS: usize = 5;
/// Fewer exchanges make no percentile.
const FEWEST: usize = 5;

/// What takes time in an exchange.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Until the client got the first byte.
    FirstByte,
    /// Of that, waiting for OpenAI's first byte.
    OpenaiFirstByte,
    /// Of that, by OpenAI's own account.
    OpenaiProcessing,
    /// What the proxy itself added to the first byte.
    Proxy,
    /// All of the exchange.
    Whole,
}

impl Stage {
    /// Every stage, in the order in which reports list them.
    pub const ALL: [Self; 5] =
        [Self::FirstByte, Self::OpenaiFirstByte, Self::OpenaiProcessing, Self::Proxy, Self::Whole];

    /// Returns what it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstByte => "first byte",
            Self::OpenaiFirstByte => "OpenAI's first byte",
            Self::OpenaiProcessing => "OpenAI's processing",
            Self::Proxy => "the proxy's part",
            Self::Whole => "whole exchange",
        }
    }

    /// Returns how long it took, in milliseconds; `None` where that is not known, and of a failure, which may be
    /// quick.
    #[must_use]
    pub fn of(self, fact: &Fact) -> Option<f64> {
        let timing = fact.failure.is_none().then_some(&fact.timing)?;
        match self {
            Self::FirstByte => timing.ttfb_ms,
            Self::OpenaiFirstByte => timing.upstream_ttfb_ms,
            Self::OpenaiProcessing => timing.processing_ms,
            Self::Proxy => Some((timing.ttfb_ms? - timing.upstream_ttfb_ms?).max(0.0)),
            Self::Whole => timing.duration_ms,
        }
    }
}

/// What takes longer than usual, at the median.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Slowness {
    /// What takes longer.
    pub stage: Stage,
    /// Milliseconds before.
    pub usual_ms: f64,
    /// Milliseconds of the time in trouble.
    pub median_ms: f64,
}

/// Percentiles of a time, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Percentiles {
    /// How many exchanges were measured.
    pub exchanges: u64,
    /// Median.
    pub p50_ms: f64,
    /// Nine of ten take no longer.
    pub p90_ms: f64,
    /// 99 of a hundred take no longer.
    pub p99_ms: f64,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Latency {
    /// What took so long.
    pub stage: Stage,
    /// With which model; null for all of them.
    pub model: Option<String>,
    /// In the window; null where too few were measured.
    pub window: Option<Percentiles>,
    /// In the time before.
    pub baseline: Option<Percentiles>,
}

/// Measures every stage, and waiting for OpenAI by model, of the successes.
#[must_use]
pub fn latencies(facts: &Facts) -> Vec<Latency> {
    let row = |stage, model: Option<Name>| Latency {
        stage,
        model: model.map(|name| facts.names.text(name).to_owned()),
        window: percentiles(&facts.window, stage, model),
        baseline: percentiles(&facts.baseline, stage, model),
    };
    let mut rows: Vec<_> = Stage::ALL.into_iter().map(|stage| row(stage, None)).collect();
    let mut models: BTreeMap<Name, usize> = BTreeMap::new();
    for model in facts.window.facts.iter().filter_map(|fact| fact.of(Dimension::Model)) {
        *models.entry(model).or_default() += 1;
    }
    let mut models: Vec<_> = models.into_iter().collect();
    models.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), facts.names.text(*name)));
    if models.len() > 1 {
        let models = models.into_iter().take(MODELS);
        rows.extend(models.map(|(model, _)| row(Stage::OpenaiFirstByte, Some(model))));
    }
    rows.retain(|row| row.window.is_some() || row.baseline.is_some());
    rows
}

fn percentiles(half: &Half, stage: Stage, model: Option<Name>) -> Option<Percentiles> {
    let is_meant = |fact: &&Fact| model.is_none() || fact.of(Dimension::Model) == model;
    let measured = half.facts.iter().filter(is_meant).filter_map(|fact| stage.of(fact));
    let mut times: Vec<f64> = measured.filter(|ms| ms.is_finite()).collect();
    if times.len() < FEWEST {
        return None;
    }
    times.sort_by(f64::total_cmp);
    Some(Percentiles {
        exchanges: times.len() as u64,
        p50_ms: percentile(&times, 0.5),
        p90_ms: percentile(&times, 0.9),
        p99_ms: percentile(&times, 0.99),
    })
}
