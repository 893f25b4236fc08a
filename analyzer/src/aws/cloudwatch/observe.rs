//! Asks for metrics and lines at the same time, page by page and within limits, and makes one
//! observation of them.
//!
//! Lines are read newest first, a slice of time after the other: only a slice that was read to its end
//! counts, because an exchange's end stands after its start. How far that came is part of the answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::gather::{self, Kept};
use super::watch::{Ask, CloudWatch, METRICS, Watch};
use super::{Minute, Observed, Unseen};
use crate::aws::Trouble;
use crate::aws::deployment::Deployment;
use crate::aws::permission::Action;
use crate::window::Window;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Metrics alone: one question.
    Metrics,
    /// Metrics, and the lines of the log group.
    MetricsAndLines,
}

/// How much is read of the lines at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pages of up to 1 MB each.
    pub pages: usize,
    /// Time.
    pub time: Duration,
    /// Bytes of spilled records that are held.
    pub spilled_bytes: usize,
}

impl Limits {
    /// For an answer that somebody waits for.
    pub const ANSWER: Self =
        Self { pages: 600, time: Duration::from_secs(20), spilled_bytes: 256 << 20 };
    /// For work that has to come to its end.
    pub const WORK: Self =
        Self { pages: usize::MAX, time: Duration::from_hours(1), spilled_bytes: 512 << 20 };
}

/// How far reading the lines has come, newest first.
#[derive(Debug, Default)]
pub struct LinesProgress {
    /// Pages that were read.
    pages: AtomicUsize,
    /// Slices of time, those that were read to their end and all.
    slices: AtomicUsize,
    all: AtomicUsize,
}

impl fmt::Display for LinesProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let (slices, all, pages) = (read(&self.slices), read(&self.all), read(&self.pages));
        write!(f, "{slices} of {all} slices of time, {pages} pages")
    }
}

/// Slices of time that are read at a time.
const PARALLEL: usize = 4;

/// Looks at what AWS saw of a deployment's function. What could not be seen is part of the answer.
pub async fn observe(
    deployment: &Deployment,
    window: &Window,
    scope: Scope,
    now: Timestamp,
) -> Observed {
    let progress = LinesProgress::default();
    observe_within(deployment, window, scope, now, Limits::ANSWER, &progress).await
}

/// As [`observe`], within other limits, and seen by whoever waits.
pub async fn observe_within(
    deployment: &Deployment,
    window: &Window,
    scope: Scope,
    now: Timestamp,
    limits: Limits,
    progress: &LinesProgress,
) -> Observed {
    let mut observed = Observed::nothing(&deployment.function, window.clone(), now);
    observed.naming = deployment.naming();
    observed.region.clone_from(&deployment.region);
    observed.configuration.clone_from(&deployment.configuration);
    observed.unseen.clone_from(&deployment.unseen);
    let watch = CloudWatch::new(deployment.config());
    look(&watch, &mut observed, &deployment.log_group, scope, limits, progress).await;
    observed
}

/// Finds the newest line of a window, without reading more than it must.
pub(crate) async fn last_line(
    deployment: &Deployment,
    window: &Window,
) -> Result<Option<Timestamp>, Trouble> {
    let watch = CloudWatch::new(deployment.config());
    for slice in slices(window) {
        let (mut next, mut newest) = (None, None);
        loop {
            let page = watch.lines(&deployment.log_group, &slice, next).await?;
            newest = newest.max(page.items.iter().map(|line| line.at).max());
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

async fn look(
    watch: &dyn Watch,
    observed: &mut Observed,
    group: &str,
    scope: Scope,
    limits: Limits,
    progress: &LinesProgress,
) {
    if observed.region.is_none() {
        observed.unsee(Action::GetMetricData, Trouble::NoRegion);
        if scope == Scope::MetricsAndLines {
            observed.unsee(Action::FilterLogEvents, Trouble::NoRegion);
        }
        return;
    }
    let (function, window) = (observed.function.clone(), observed.window.clone());
    let now = observed.asked_at;
    let wanted = (scope == Scope::MetricsAndLines)
        .then(|| Window { since: window.since, until: gather::until(observed, now) });
    let lines = async {
        match &wanted {
            Some(wanted) => Some(lines(watch, group, wanted, limits, progress).await),
            None => None,
        }
    };
    let (minutes, lines) = futures::join!(metrics(watch, &function, &window, now), lines);
    match minutes {
        Ok(minutes) => observed.minutes = minutes,
        Err(trouble) => observed.unsee(Action::GetMetricData, trouble),
    }
    if let Some(Lines { kept, since, trouble }) = lines {
        observed.lines_since = since;
        gather::tell(observed, kept);
        let nothing_at_all = (since.is_none() && wanted.is_some()).then(|| {
            let seconds = limits.time.as_secs();
            Trouble::Busy(format!("the last minutes have more lines than {seconds} s can read"))
        });
        let trouble = trouble.or(nothing_at_all);
        if let Some(trouble) = trouble {
            observed.unsee(Action::FilterLogEvents, trouble);
        }
    }
}

impl Observed {
    fn unsee(&mut self, action: Action, trouble: Trouble) {
        let means = match action {
            Action::GetMetricData => "cannot tell whether Lambda refused requests",
            _ => "cannot tell what died, spilled or is still running",
        };
        self.unseen.push(Unseen { action, trouble, means });
    }
}

/// Returns the finest period for which CloudWatch still has figures of a window.
fn period_s(window: &Window, now: Timestamp) -> u32 {
    let days = now.duration_since(window.since).as_hours() / 24;
    match days {
        ..15 => 60,
        15..63 => 300,
        63.. => 3_600,
    }
}

/// Widens a window to whole periods: CloudWatch answers in those, and refuses others far back.
fn aligned(window: &Window, period_s: u32) -> Window {
    let period = i64::from(period_s);
    let down = |time: Timestamp| time.as_second().div_euclid(period) * period;
    let up = |time: Timestamp| down(time) + if time.as_second() % period == 0 { 0 } else { period };
    let time = |second| Timestamp::from_second(second).unwrap_or(window.until);
    Window { since: time(down(window.since)), until: time(up(window.until)) }
}

async fn metrics(
    watch: &dyn Watch,
    function: &str,
    window: &Window,
    now: Timestamp,
) -> Result<Vec<Minute>, Trouble> {
    let period_s = period_s(window, now);
    let window = aligned(window, period_s);
    let ask = Ask { function, window: &window, period_s };
    let mut minutes = BTreeMap::<Timestamp, Minute>::new();
    let mut next = None;
    loop {
        let page = watch.metrics(&ask, next).await?;
        for point in page.items {
            let minute = minutes.entry(point.at).or_insert_with(|| Minute {
                at: point.at,
                period_s,
                counts: super::Counts::default(),
            });
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts and milliseconds; a float saturates"
            )]
            let value = point.value.round() as u64;
            *(METRICS[point.metric].place)(&mut minute.counts) = Some(value);
        }
        next = page.next;
        if next.is_none() {
            return Ok(minutes.into_values().collect());
        }
    }
}

/// Lines that were read.
struct Lines {
    /// Oldest first.
    kept: Vec<Kept>,
    /// From when on they are complete; `None` when nothing is.
    since: Option<Timestamp>,
    /// Why reading ended early, unless a limit was reached.
    trouble: Option<Trouble>,
}

async fn lines(
    watch: &dyn Watch,
    group: &str,
    window: &Window,
    limits: Limits,
    progress: &LinesProgress,
) -> Lines {
    let end = Instant::now() + limits.time;
    let (pages, bytes) = (&progress.pages, &AtomicUsize::new(0));
    let within = move || {
        pages.load(Ordering::Relaxed) < limits.pages
            && bytes.load(Ordering::Relaxed) < limits.spilled_bytes
            && Instant::now() < end
    };
    let slices = slices(window);
    progress.all.store(slices.len(), Ordering::Relaxed);
    let slices = stream::iter(slices).map(|slice| async move {
        let mut kept = Vec::new();
        let mut next = None;
        loop {
            if !within() {
                return Err(None);
            }
            pages.fetch_add(1, Ordering::Relaxed);
            let page = watch.lines(group, &slice, next).await.map_err(Some)?;
            for line in page.items.into_iter().filter_map(gather::keep) {
                bytes.fetch_add(line.bytes(), Ordering::Relaxed);
                kept.push(line);
            }
            next = page.next;
            if next.is_none() {
                return Ok((slice.since, kept));
            }
        }
    });
    let mut slices = slices.buffered(PARALLEL);
    let mut read = Lines { kept: Vec::new(), since: None, trouble: None };
    let mut newest_first = Vec::new();
    while let Some(slice) = slices.next().await {
        match slice {
            Ok((since, kept)) => {
                progress.slices.fetch_add(1, Ordering::Relaxed);
                read.since = Some(since);
                newest_first.push(kept);
            }
            Err(trouble) => {
                read.trouble = trouble;
                break;
            }
        }
    }
    read.kept = newest_first.into_iter().rev().flatten().collect();
    read
}

/// Cuts a window, newest slice first: small ones where somebody looks most, larger ones further back.
fn slices(window: &Window) -> Vec<Window> {
    let mut slices = Vec::new();
    let mut until = window.until;
    while until > window.since {
        let minutes = match window.until.duration_since(until) {
            back if back < SignedDuration::from_hours(1) => 10,
            back if back < SignedDuration::from_hours(24) => 60,
            _ => 360,
        };
        let since = (until - SignedDuration::from_mins(minutes)).max(window.since);
        slices.push(Window { since, until });
        until = since;
    }
    slices
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
