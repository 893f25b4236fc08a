//! Are there slots enough? Throttles, slots used and needed, and the command that changes it.
//!
//! Lambda runs one exchange in one slot. What is needed is what was used at most, unless requests were
//! refused: then the figure of use stops at the limit, and what is needed is computed, as requests a
//! second in the busiest refused minute, times the mean time that an exchange holds its slot.

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::cloudwatch::{Counts, Minute, Observed, Reserved};

/// Slots are suggested in steps, with half as many again as needed: the next hour may be busier.
const STEP: u32 = 25;
const HEADROOM: f64 = 1.5;
/// A share of the slots above which the next busy hour may find none.
const NEARLY_ALL: f64 = 0.8;
/// Slots that an account must keep unreserved.
const KEPT: u32 = 100;

/// What an account may run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AccountSlots {
    /// All its slots.
    pub slots: u32,
    /// Those that may still be reserved for a function; some must stay unreserved.
    pub free: u32,
}

impl AccountSlots {
    /// Returns the slots that are reserved for no function.
    #[must_use]
    pub fn unreserved(self) -> u32 {
        self.free.saturating_add(self.slots.min(KEPT))
    }
}

/// What the figures say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// How the slots are.
    pub state: State,
    /// Requests refused for want of a slot; `None` without a data point.
    pub throttles: Option<u64>,
    /// Requests that came to the Function URL; `None` without a data point.
    pub url_requests: Option<u64>,
    /// Invocations that ran; `None` without a data point.
    pub invocations: Option<u64>,
    /// Most slots in use at a time; `None` without a data point.
    pub used: Option<u64>,
    /// Slots reserved for the function; `None` when that is not known, or nothing is reserved.
    pub reserved: Option<u32>,
    /// The function has no slots of its own and shares the account's.
    pub shared: bool,
    /// Slots that would have been enough; `None` when the figures do not tell.
    pub needed: Option<u32>,
    /// How that was computed; `None` when it is simply what was used.
    pub formula: Option<Formula>,
    /// The first and the last refusal, as the period's beginning and end.
    pub refused_between: Option<(Timestamp, Timestamp)>,
    /// Figures between these.
    pub meanwhile: Option<Counts>,
    /// The account's limits; `None` when they could not be read.
    pub account: Option<AccountSlots>,
    /// Slots that it may use at most: its own, or those that the account shares; `None` when that is
    /// not known.
    pub room: Option<u32>,
    /// How many slots to reserve; `None` when there is nothing to change.
    pub suggested: Option<u32>,
    /// The account's limit is too small for that.
    pub account_too_small: bool,
}

/// How the slots are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Requests were refused.
    Short,
    /// Nobody was refused, and nearly all slots were in use.
    Tight,
    /// There are enough.
    Enough,
    /// A figure that would tell has no data point.
    Unknown,
}

/// How the need was computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Formula {
    /// Requests a second in the busiest refused period, those refused included.
    pub per_second: f64,
    /// When that was.
    pub at: Timestamp,
    /// Mean time that an invocation took, in seconds.
    pub mean_s: f64,
}

impl Formula {
    fn slots(&self) -> f64 {
        self.per_second * self.mean_s
    }
}

/// Reads capacity off an observation.
#[must_use]
pub fn capacity(observed: &Observed, account: Option<AccountSlots>) -> Capacity {
    let totals = observed.totals(&observed.window);
    let refused = |minute: &&Minute| minute.counts.throttles.is_some_and(|count| count > 0);
    let first = observed.minutes.iter().find(refused);
    let last = observed.minutes.iter().rev().find(refused);
    let refused_between = first.zip(last).map(|(first, last)| (first.at, last.end()));
    let meanwhile = refused_between
        .map(|(since, until)| observed.totals(&crate::window::Window { since, until }));
    let is_short = refused_between.is_some();
    let formula = formula(observed, meanwhile.as_ref(), &totals);
    let (reserved, shared) = match observed.reserved() {
        Some(Reserved::Slots(slots)) => (Some(slots), false),
        Some(Reserved::Shared) => (None, true),
        None => (None, false),
    };
    let used = totals.concurrent_max;
    let needed = needed(used, reserved, is_short, formula.as_ref());
    // Whoever has no slots of its own has those that the account keeps for everybody.
    let pool = account.filter(|_| shared).map(AccountSlots::unreserved);
    let room = reserved.or(pool);
    let is_tight = match (used, room) {
        (Some(used), Some(room)) => used as f64 >= NEARLY_ALL * f64::from(room),
        _ => false,
    };
    // No data point is not zero: that nobody was refused needs a figure, and so does what was used.
    let is_known = totals.throttles.is_some() && used.is_some();
    let state = match () {
        () if is_short => State::Short,
        () if !is_known => State::Unknown,
        () if is_tight => State::Tight,
        () => State::Enough,
    };
    let wanted = needed.filter(|_| matches!(state, State::Short | State::Tight)).map(with_headroom);
    let (suggested, account_too_small) = fit(wanted, reserved, account);
    Capacity {
        state,
        throttles: totals.throttles,
        url_requests: totals.url_requests,
        invocations: totals.invocations,
        used,
        reserved,
        shared,
        needed,
        formula,
        refused_between,
        meanwhile,
        account,
        room,
        suggested,
        account_too_small,
    }
}

/// Returns the command that reserves slots.
#[must_use]
pub fn reserve(slots: u32) -> String {
    format!("scripts/deploy.sh --reserved-concurrent-executions {slots}")
}

impl Capacity {
    /// Returns the command that changes it; `None` when there is nothing to change, or nothing known.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        self.suggested.map(reserve)
    }

    /// Returns the command with the figures that it rests on: `(now 25, needed 47, free 940)`.
    #[must_use]
    pub fn step(&self) -> Option<String> {
        let now = self.reserved.map_or("none".to_owned(), |slots| slots.to_string());
        let needed = self.needed.map_or("not known".to_owned(), |needed| needed.to_string());
        let free = self.account.map_or(String::new(), |account| format!(", free {}", account.free));
        Some(format!("{}   (now {now}, needed {needed}{free})", self.command()?))
    }

    /// Returns the figures without a data point that would be needed to tell more.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let figures = [
            ("Throttles", self.throttles.is_none()),
            ("ConcurrentExecutions", self.used.is_none()),
            ("Invocations", self.invocations.is_none()),
            ("UrlRequestCount", self.url_requests.is_none()),
        ];
        figures.into_iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| name).collect()
    }
}

/// Computes the need of the busiest refused period; `None` where nothing was refused or no duration is
/// known.
fn formula(observed: &Observed, meanwhile: Option<&Counts>, totals: &Counts) -> Option<Formula> {
    let mean_s = meanwhile?.mean_duration_s().or_else(|| totals.mean_duration_s())?;
    let refused = observed.minutes.iter().filter_map(|minute| {
        let throttles = minute.counts.throttles.filter(|count| *count > 0)?;
        let arrived = throttles + minute.counts.invocations.unwrap_or(0);
        let per_second = arrived as f64 / f64::from(minute.period_s.max(1));
        Some(Formula { per_second, at: minute.at, mean_s })
    });
    refused.max_by(|a, b| a.per_second.total_cmp(&b.per_second))
}

fn needed(
    used: Option<u64>,
    reserved: Option<u32>,
    is_short: bool,
    formula: Option<&Formula>,
) -> Option<u32> {
    let used = used.map(|used| u32::try_from(used).unwrap_or(u32::MAX));
    if !is_short {
        return used;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of slots; a float saturates"
    )]
    let computed = formula.map(|formula| formula.slots().ceil() as u32);
    // Whoever refused had all of them in use, so one more at least.
    let more = reserved.or(used).map(|slots| slots.saturating_add(1));
    computed.max(used).max(more)
}

fn with_headroom(needed: u32) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of slots; a float saturates"
    )]
    let wanted = (f64::from(needed) * HEADROOM).ceil() as u32;
    wanted.div_ceil(STEP).saturating_mul(STEP)
}

/// Fits what is wanted into what the account can give.
fn fit(
    wanted: Option<u32>,
    reserved: Option<u32>,
    account: Option<AccountSlots>,
) -> (Option<u32>, bool) {
    let Some(wanted) = wanted.filter(|wanted| reserved.is_none_or(|has| *wanted > has)) else {
        return (None, false);
    };
    match account.map(|account| reserved.unwrap_or(0).saturating_add(account.free)) {
        Some(most) if wanted > most => {
            let better = Some(most).filter(|most| *most > reserved.unwrap_or(0));
            (better, true)
        }
        _ => (Some(wanted), false),
    }
}

#[cfg(test)]
#[path = "capacity_tests.rs"]
mod tests;
