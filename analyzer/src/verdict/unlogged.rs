//! Failures that left no log, because the proxy never saw them or died over them: refused by Lambda, or
//! ended by the death of an invocation.
//!
//! In: a question and what AWS saw. Out: how many failures of the kind that is asked about AWS made by
//! itself, or that it made none. A figure without a data point decides neither way.

use jiff::{SignedDuration, Timestamp};
use schemas::symptom::AwsAct;

use crate::aws::cloudwatch::{Counts, Death, DeathKind, Observed};
use crate::question::Question;
use crate::text::ids::Host;
use crate::text::recognise::{Id, Recognised, StreamEnding};
use crate::verdict::evidence::Evidence;
use crate::verdict::judge::BEFORE;
use crate::window::Window;

/// How late metrics may be and still speak for the end of a window.
const LATE: SignedDuration = SignedDuration::from_mins(15);

/// What AWS says about failures of the kind that is asked about.
#[derive(Clone, Debug, PartialEq)]
pub enum Unlogged {
    /// Nothing of the kind is AWS's to do.
    NotAws,
    /// AWS could not be asked, or has no data point.
    Unknown(AwsAct),
    /// AWS made none in the window.
    None(AwsAct),
    /// AWS made some.
    Some(Made),
}

/// Failures that AWS made by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// What it did.
    pub act: AwsAct,
    /// How often.
    pub count: u64,
    /// The first, to the minute.
    pub first: Timestamp,
    /// The last, to the minute.
    pub last: Timestamp,
    /// What most of the dead died of; `None` where only the metrics tell.
    pub died_of: Option<DeathKind>,
    /// They are of the moment that the text names.
    pub of_moment: bool,
}

impl Made {
    /// Tells whether a moment is not far from these.
    fn is_about(&self, moment: Timestamp) -> bool {
        self.first - BEFORE <= moment && moment <= self.last + BEFORE
    }
}

/// Tells what AWS can have done to produce a text.
#[must_use]
pub fn act_behind(recognised: &Recognised) -> Option<AwsAct> {
    let wanted = &recognised.wanted;
    let is_elsewhere = recognised.host.is_some_and(|host| host != Host::Lambda);
    // With an id the answer passed the proxy, and what was asked for elsewhere never came near Lambda.
    if !recognised.ids.is_empty()
        || recognised.id == Id::CutOff
        || is_elsewhere
        || recognised.ours.is_some()
    {
        return None;
    }
    let symptom = recognised.symptom?;
    // Of a time-out Lambda says 502; a page with a 504 is another server's.
    let is_anothers = wanted.statuses.contains(&504) || recognised.host == Some(Host::Other);
    if is_anothers {
        return None;
    }
    let is_bare = recognised.would_show_id() || !wanted.words_required;
    symptom.unlogged.or(match (wanted.statuses.as_slice(), wanted.ending) {
        ([429], _) => Some(AwsAct::Throttle),
        ([403], _) if recognised.would_show_id() => Some(AwsAct::Forbid),
        ([413], _) => Some(AwsAct::TooLarge),
        ([502], _) if is_bare => Some(AwsAct::Die),
        (_, Some(StreamEnding::Silence | StreamEnding::Said)) => None,
        (_, Some(_)) => Some(AwsAct::Cut),
        _ => None,
    })
}

impl Unlogged {
    /// Tells what AWS made of the kind of failure that is asked about.
    #[must_use]
    pub fn of(question: &Question, evidence: Option<&Evidence>, observed: &Observed) -> Self {
        let Some(act) = act_behind(&question.recognised) else { return Self::NotAws };
        let window = question.window.up_to(question.now);
        let within = |window: &Window| match act {
            AwsAct::Throttle => by_metric(act, observed, window, |counts| counts.throttles),
            AwsAct::Forbid | AwsAct::TooLarge => by_refusals(act, evidence, observed, window),
            AwsAct::Die | AwsAct::Cut => by_deaths(act, evidence, observed, window),
        };
        // What a text with a time of its own tells of was then, or hardly at another time.
        let Some(moment) = question.moment_on_aws() else { return within(&window) };
        match within(&moment) {
            Self::Some(made) => Self::Some(Made { of_moment: true, ..made }),
            then => match within(&window) {
                Self::Some(made) if made.is_about(moment.until) => Self::Some(made),
                _ => then,
            },
        }
    }

    /// Returns how many failures AWS made.
    #[must_use]
    pub fn count(&self) -> u64 {
        if let Self::Some(made) = self { made.count } else { 0 }
    }

    /// Tells whether AWS is known to have had no part in it.
    #[must_use]
    pub fn excludes_aws(&self) -> bool {
        matches!(self, Self::None(_))
    }
}

/// Adds a figure up. Metrics of a period are counted where they began, so the sum over the window
/// decides, and the periods tell when.
fn by_metric(
    act: AwsAct,
    observed: &Observed,
    window: &Window,
    figure: impl Fn(&Counts) -> Option<u64>,
) -> Unlogged {
    let Some(count) = figure(&observed.totals(window)) else { return Unlogged::Unknown(act) };
    if count == 0 {
        let seen = observed.minutes.iter().filter(|minute| figure(&minute.counts).is_some());
        let newest = seen.map(|minute| minute.at).max();
        // Metrics come late: where the last of them is old, what is new cannot be seen yet.
        let is_fresh = newest.is_some_and(|newest| window.until.duration_since(newest) <= LATE);
        return if is_fresh { Unlogged::None(act) } else { Unlogged::Unknown(act) };
    }
    let some = observed.minutes.iter().filter(|minute| window.contains(minute.at));
    let some = some.filter(|minute| figure(&minute.counts).is_some_and(|count| count > 0));
    let times: Vec<_> = some.map(|minute| minute.at).collect();
    Unlogged::Some(Made {
        act,
        count,
        first: times.first().copied().unwrap_or(window.since),
        last: times.last().copied().unwrap_or(window.until),
        died_of: None,
        of_moment: false,
    })
}

/// Counts the requests that never ran and were not throttled, so that they were refused for another
/// reason. A figure that may only be late is no zero: logs tell that requests ran, and where there is
/// nothing to hold the metrics against, they have to say it themselves.
fn by_refusals(
    act: AwsAct,
    evidence: Option<&Evidence>,
    observed: &Observed,
    window: &Window,
) -> Unlogged {
    let refused = |counts: &Counts, logged: u64, refusals: u64| {
        let (came, throttled) = (counts.url_requests?, counts.throttles.unwrap_or(0));
        let ran = match (counts.invocations, evidence) {
            (Some(ran), _) => ran.max(logged),
            (None, Some(_)) => logged,
            (None, None) => return None,
        };
        let refused = came.saturating_sub(ran + throttled);
        // Those of the proxy's own, or passed on, are logged; 429 is a refusal, too.
        let others = counts.url_4xx.map(|all| all.saturating_sub(throttled + refusals));
        Some(refused.min(others.unwrap_or(refused)))
    };
    let (logged, refusals) = evidence.map_or((0, 0), |logs| (logs.listed, logs.refusals));
    let Some(count) = refused(&observed.totals(window), logged, refusals) else {
        return Unlogged::Unknown(act);
    };
    // Requests of which nobody knows yet what became of them.
    let is_unsettled = observed.minutes.iter().any(|minute| {
        let came = minute.counts.url_requests.is_some_and(|came| came > 0);
        came && minute.counts.invocations.is_none() && window.contains(minute.at)
    });
    if count == 0 && is_unsettled && logged == 0 {
        return Unlogged::Unknown(act);
    }
    // The periods tell when; they are not held against the logs one by one.
    let figure = |counts: &Counts| match count {
        0 => counts.url_requests.map(|_| 0),
        _ => refused(counts, 0, 0),
    };
    match by_metric(act, observed, window, figure) {
        Unlogged::Some(made) => Unlogged::Some(Made { count, ..made }),
        other => other,
    }
}

/// Counts the dead: by the lines, and where these were not read by the metric of errors.
fn by_deaths(
    act: AwsAct,
    evidence: Option<&Evidence>,
    observed: &Observed,
    window: &Window,
) -> Unlogged {
    // What has a log all the same counts among the logs.
    let unlogged = observed.deaths.iter().filter(|death| !death.is_logged);
    let within: Vec<&Death> = unlogged.filter(|death| window.contains(death.at)).collect();
    let unended = observed.unended.iter().map(|started| started.started_at);
    let unended: Vec<_> = unended.filter(|time| window.contains(*time)).collect();
    let times = within.iter().map(|death| death.at).chain(unended.iter().copied());
    if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
        return Unlogged::Some(Made {
            act,
            count: (within.len() + unended.len()) as u64,
            first,
            last,
            died_of: commonest(&within),
            of_moment: false,
        });
    }
    let errors = by_metric(act, observed, window, |counts| counts.errors);
    match errors {
        Unlogged::None(_) if !observed.saw_lines() && act == AwsAct::Cut => Unlogged::Unknown(act),
        // Without a data point, the lines of the whole window say as much; but if there is none though
        // the function wrote logs, they are another one's.
        Unlogged::Unknown(_) if observed.saw_lines() => {
            let wrote =
                evidence.is_some_and(|logs| logs.listed > 0 && logs.on_lambda != Some(false));
            if wrote && observed.lines == 0 { Unlogged::Unknown(act) } else { Unlogged::None(act) }
        }
        known => known,
    }
}

fn commonest(deaths: &[&Death]) -> Option<DeathKind> {
    let of = |kind| deaths.iter().filter(|death| death.kind == kind).count();
    deaths.iter().map(|death| death.kind).max_by_key(|kind| of(*kind))
}

#[cfg(test)]
#[path = "unlogged_tests.rs"]
mod tests;
