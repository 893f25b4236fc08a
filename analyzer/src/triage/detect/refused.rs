//! What AWS refused or answered by itself, and no log tells: CloudWatch's counts, minus what was logged.

use schemas::origin::Origin;

use super::{Scope, usually};
use crate::aws::cloudwatch::{Counts, Observed, Reserved};
use crate::triage::burst::{Bin, bursts};
use crate::triage::fact::{Facts, Half};
use crate::triage::series::Minutes;
use crate::triage::trouble::{Hit, Kind, Trouble};
use crate::window::Window;

/// Requests refused by AWS, at least: one or two are a hiccup.
const FEWEST_REFUSED: f64 = 5.0;

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

/// Finds what was refused.
pub(super) fn refused(facts: &Facts, observed: &Observed, scope: &Scope) -> Vec<Trouble> {
    let minutes = Minutes::of(&scope.window, scope.now);
    let before = Minutes::of(&scope.baseline, scope.baseline.until);
    let mut troubles = Vec::new();
    for (kind, of) in REFUSALS {
        let bins = refusals(&minutes, &facts.window, observed, of);
        let bins_before = refusals(&before, &facts.baseline, observed, of);
        for burst in bursts(&bins, usually(&bins_before)) {
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
