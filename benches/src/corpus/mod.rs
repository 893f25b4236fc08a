//! Logs as a team leaves them, made from a seed, with the truth about every one of them.
//!
//! A [`Plan`] comes in; a [`Corpus`] goes out: objects for a folder or a bucket, and for each
//! [`Query`] what an analyzer has to find. The truth is noted while a log is made, from what went
//! into it; nothing here reads a log. Successes that quote errors are as common as errors.

mod prose;
mod answer;
mod rows;
mod record;
mod old;
mod store;
mod truth;
mod defect;
pub mod day;

use jiff::{SignedDuration, Timestamp};

use crate::upstream::SplitMix;
pub use defect::Defects;
pub use store::{Object, object};
pub use truth::{Known, Query, Truth};

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The same seed makes the same corpus.
    pub seed: u64,
    /// How many logs.
    pub objects: usize,
    /// When the first hour begins.
    pub since: Timestamp,
    /// Over how many hours the logs are spread.
    pub hours: u32,
    /// How large the answers are.
    pub bodies: Bodies,
}

impl Plan {
    /// When the last hour ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.since + SignedDuration::from_hours(self.hours.into())
    }

    fn moment(&self, random: &mut SplitMix) -> Timestamp {
        let span = self.hours as usize * 3_600_000;
        let ms = i64::try_from(random.below(span)).unwrap_or_default();
        self.since + SignedDuration::from_millis(ms)
    }
}

/// How the objects of a corpus are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As the proxy packs them.
    Zstd,
    /// Not at all.
    Plain,
}

/// How large the answers in a corpus are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// 1 to 4 KB, for quick tests.
    Small,
    /// As measured: a tenth under 8 KB, half under 30 KB, a hundredth over 300 KB.
    Real,
}

/// Logs, and the truth about them.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// One object per exchange, in no order.
    pub objects: Vec<Object>,
    /// What is true of each exchange, in the same order.
    pub known: Vec<Known>,
}

/// Of a thousand logs: successes under keys that tell their outcome.
const TOLD_SUCCESSES: usize = 770;
/// Failures under such keys.
const TOLD_FAILURES: usize = 60;
/// Records of version 1 under keys that tell no outcome.
const UNTOLD: usize = 80;

impl Corpus {
    /// Makes a corpus.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut random = SplitMix::new(plan.seed);
        let mut corpus = Self::default();
        for number in 0..plan.objects {
            let at = plan.moment(&mut random);
            let (object, known) = match random.below(1_000) {
                n if n < TOLD_SUCCESSES => {
                    store::told(&record::success(&mut random, at, plan.bodies))
                }
                n if n < TOLD_SUCCESSES + TOLD_FAILURES => {
                    store::told(&record::failure(&mut random, at, number))
                }
                n if n < TOLD_SUCCESSES + TOLD_FAILURES + UNTOLD => {
                    let draft = match random.below(3) {
                        0 => record::failure(&mut random, at, number),
                        _ => record::success(&mut random, at, plan.bodies),
                    };
                    store::untold(&mut random, &draft)
                }
                _ => store::old(&mut random, old::record(&mut random_of(number, plan), at, number)),
            };
            corpus.objects.push(object);
            corpus.known.push(known);
        }
        corpus
    }

    /// Makes a corpus of records of version 1 under keys that tell a time and no outcome.
    #[must_use]
    pub fn without_outcomes(plan: &Plan, packing: Packing) -> Self {
        Self::of_version_1(plan, |draft| store::without_outcome(draft, packing))
    }

    /// Makes a corpus of records of version 1 under keys that tell their outcome.
    #[must_use]
    pub fn with_outcomes(plan: &Plan) -> Self {
        Self::of_version_1(plan, store::told)
    }

    fn of_version_1(plan: &Plan, store: impl Fn(&record::Draft) -> (Object, Known)) -> Self {
        let mut random = SplitMix::new(plan.seed);
        let mut corpus = Self::default();
        for number in 0..plan.objects {
            let at = plan.moment(&mut random);
            let draft = match random.below(1_000) {
                n if n < TOLD_FAILURES => record::failure(&mut random, at, number),
                _ => record::success(&mut random, at, plan.bodies),
            };
            let (object, known) = store(&draft);
            corpus.objects.push(object);
            corpus.known.push(known);
        }
        corpus
    }

    /// Tells what an analyzer has to find in the window from `since` up to `until`.
    #[must_use]
    pub fn truth(&self, query: Query, since: Timestamp, until: Timestamp) -> Truth {
        truth::of(&self.known, query, since, until)
    }
}

/// A sequence of its own for one log, so that borrowing stays simple.
fn random_of(number: usize, plan: &Plan) -> SplitMix {
    SplitMix::new(plan.seed ^ (number as u64).wrapping_mul(0x9e37_79b9))
}
