//! What happened when: exchanges, failures by origin, throttles and slots, step by step over the window.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::origin::Origin;

use super::fact::Facts;
use super::latency::Stage;
use super::percentile::percentile;
use super::series::Minutes;
use crate::aws::cloudwatch::Observed;

/// Steps at most: a chart shows no more.
const STEPS: usize = 120;
/// Minutes of a day; a step that is longer than all of [`LENGTHS`] is of whole days.
const DAY: usize = 1_440;
/// Lengths of a step, in minutes.
const LENGTHS: [usize; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, DAY];

/// One step.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Step {
    /// Its beginning.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Exchanges that began in it.
    pub exchanges: u64,
    /// Those of them that failed, by origin.
    pub failed: BTreeMap<Origin, u64>,
    /// Requests that Lambda refused for want of a slot; null without a data point, which is not zero.
    pub throttles: Option<u64>,
    /// Most slots in use at a time; null without a data point.
    pub concurrent_max: Option<u64>,
    /// Median time to OpenAI's first byte, in milliseconds; null where nobody measured it.
    pub openai_first_byte_ms: Option<f64>,
}

/// All steps of the window.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Timeline {
    /// Length of a step, in minutes.
    pub step_minutes: u64,
    /// Oldest first, without a gap.
    pub steps: Vec<Step>,
    /// Slots that the function has; null where that was not seen, or it shares the account's.
    pub slots: Option<u32>,
}

/// Draws up the timeline of the window.
#[must_use]
pub fn timeline(facts: &Facts, observed: Option<&Observed>, minutes: &Minutes) -> Timeline {
    let fits = |length: &&usize| minutes.count().div_ceil(**length) <= STEPS;
    let days = || minutes.count().div_ceil(STEPS * DAY) * DAY;
    let length = LENGTHS.iter().find(fits).copied().unwrap_or_else(days);
    let count = minutes.count().div_ceil(length);
    let empty = |place: usize| Step {
        at: minutes.start(place * length),
        exchanges: 0,
        failed: BTreeMap::new(),
        throttles: None,
        concurrent_max: None,
        openai_first_byte_ms: None,
    };
    let mut steps: Vec<Step> = (0..count).map(empty).collect();
    let mut waits: Vec<Vec<f64>> = vec![Vec::new(); count];
    for fact in &facts.window.facts {
        let Some(place) = minutes.place(fact.at).map(|place| place / length) else { continue };
        steps[place].exchanges += 1;
        if let Some(failure) = fact.failure {
            *steps[place].failed.entry(failure.origin).or_default() += 1;
        }
        waits[place].extend(Stage::OpenaiFirstByte.of(fact));
    }
    for (step, mut waits) in steps.iter_mut().zip(waits) {
        waits.sort_by(f64::total_cmp);
        step.openai_first_byte_ms = (!waits.is_empty()).then(|| percentile(&waits, 0.5));
    }
    for minute in observed.iter().flat_map(|observed| &observed.minutes) {
        let Some(place) = minutes.place(minute.at).map(|place| place / length) else { continue };
        let step = &mut steps[place];
        if let Some(throttles) = minute.counts.throttles {
            *step.throttles.get_or_insert(0) += throttles;
        }
        step.concurrent_max = step.concurrent_max.max(minute.counts.concurrent_max);
    }
    let slots = observed.and_then(|observed| match observed.reserved() {
        Some(crate::aws::cloudwatch::Reserved::Slots(slots)) => Some(slots),
        _ => None,
    });
    Timeline { step_minutes: length as u64, steps, slots }
}
