//! The completeness sum: is every request that came accounted for?
//!
//! URL requests ≈ invocations + throttled + refused; invocations ≈ logged + spilled + lost + died + in
//! flight.
//! What is left over is what nobody logged. It is never exact: CloudWatch is minutes behind, and counts
//! an invocation when it is over.

use jiff::SignedDuration;

use super::{Counts, Observed};
use crate::number::{count, grouped};
use crate::window::Window;

/// CloudWatch is said to be behind if less than one in so many traces is missing from its figures.
const PART: u64 = 50;

/// The two sides of the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests that came to the Function URL; `None` without a data point.
    pub url_requests: Option<u64>,
    /// Invocations; `None` without a data point.
    pub invocations: Option<u64>,
    /// Requests refused for want of a slot; `None` without a data point.
    pub throttled: Option<u64>,
    /// Requests in periods without a data point of invocations or of throttles: CloudWatch is a
    /// minute late or more, so they may have run, or been refused.
    pub unsettled: u64,
    /// Exchanges with a log in S3.
    pub logged: u64,
    /// Records that wait in the lines for `analyzer recover`.
    pub spilled: u64,
    /// Exchanges that ended, and whose record is nowhere.
    pub lost: u64,
    /// Exchanges that died with their environment.
    pub died: u64,
    /// Exchanges that may still be running.
    pub in_flight: u64,
    /// Age of the oldest of them.
    pub oldest: Option<SignedDuration>,
    /// Whether the lines were read: without them nobody knows what spilled, died or runs.
    pub saw_lines: bool,
    /// Whether the metrics were read.
    pub saw_metrics: bool,
}

impl Sum {
    pub(super) fn of(observed: &Observed, window: &Window, logged: u64) -> Self {
        let totals = observed.totals(window);
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let starts_within =
            |started: &&schemas::journal::Started| window.contains(started.started_at);
        let spilled = observed.spilled.iter().map(|spilled| spilled.key.as_str());
        let spilled =
            spilled.chain(observed.broken_spills.iter().map(String::as_str)).filter(|key| {
                let key = schemas::key::LogKey::parse(key);
                key.is_none_or(|key| window.contains(key.started_at))
            });
        // A start-up that failed before there was a request is nobody's request.
        let deaths =
            observed.deaths.iter().filter(|death| death.request_id.is_some() && !death.is_logged);
        let deaths = deaths.filter(|death| {
            window.contains(death.started.as_ref().map_or(death.at, |started| started.started_at))
        });
        let in_flight = || observed.in_flight.iter().filter(starts_within);
        Self {
            url_requests: totals.url_requests,
            invocations: totals.invocations,
            throttled: totals.throttles,
            unsettled: unsettled(observed, window),
            logged,
            spilled: number(spilled.count()),
            lost: number(observed.lost.len()),
            died: number(observed.unended.iter().filter(starts_within).count())
                + number(deaths.count()),
            in_flight: number(in_flight().count()),
            oldest: in_flight().map(|started| observed.age(started)).max(),
            saw_lines: observed.lines_since.is_some(),
            saw_metrics: observed.saw_metrics(),
        }
    }

    /// Returns how many requests Lambda refused for another reason than want of a slot (rights, size);
    /// `None` where the metrics do not tell, or not yet.
    #[must_use]
    pub fn refused(&self) -> Option<u64> {
        let requests = self.url_requests.filter(|_| self.unsettled == 0)?;
        // Nothing is unsettled: where a figure is missing, the others leave nothing for it.
        let ran = self.invocations.into_iter().chain(self.throttled).sum();
        Some(requests.saturating_sub(ran))
    }

    /// Says that AWS refused and lost nothing by itself, as far as the sum bears that out.
    #[must_use]
    pub fn none_by_itself(&self) -> String {
        match self.untold() {
            Some(rest) if rest > 0 => format!(
                "CloudWatch: AWS is not known to have refused any; {} left no trace",
                count(rest.unsigned_abs(), "invocation")
            ),
            _ if self.is_behind() => "CloudWatch: AWS is not known to have refused any".to_owned(),
            _ => "CloudWatch: AWS refused and lost none by itself".to_owned(),
        }
    }

    /// Tells whether CloudWatch has counted clearly less than has left a trace, or no request at all: then
    /// it speaks of a part only.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let missing = self.untold().map_or(0, |untold| untold.min(0).unsigned_abs());
        missing * PART > self.told() || (self.url_requests.is_none() && self.told() > 0)
    }

    /// Returns what has a trace in S3 or in the lines, and is over.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.logged + self.spilled + self.lost + self.died
    }

    /// Returns how many invocations left no trace: negative when there are more traces than CloudWatch
    /// has counted so far; `None` without a data point.
    #[must_use]
    pub fn untold(&self) -> Option<i64> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let rest = number(self.invocations?) - number(self.told());
        // Whether CloudWatch counts what still runs is not known: neither way is anything missing.
        Some(if rest > 0 { (rest - number(self.in_flight)).max(0) } else { rest })
    }

    /// Counts what still runs and CloudWatch has counted: no more than there are invocations without
    /// a trace.
    fn counted_in_flight(&self) -> u64 {
        let untold = self.invocations.map_or(0, |ran| ran.saturating_sub(self.told()));
        untold.min(self.in_flight)
    }

    fn uncounted_in_flight(&self) -> u64 {
        self.in_flight - self.counted_in_flight()
    }

    /// Writes the sum as one line: `2,704 URL requests = 2,695 logged + 9 in flight (oldest 74 s) + 0
    /// throttled + 0 refused`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = vec![format!("{} logged", grouped(self.logged))];
        let mut part = |count: u64, what: &str| {
            if count > 0 {
                parts.push(format!("{} {what}", grouped(count)));
            }
        };
        part(self.spilled, "spilled");
        part(self.lost, "lost");
        part(self.died, "died unlogged");
        let mut after = Vec::new();
        if self.saw_lines {
            let oldest =
                self.oldest.map_or(String::new(), |age| format!(" (oldest {} s)", age.as_secs()));
            let (counted, rest) = (self.counted_in_flight(), self.uncounted_in_flight());
            match (counted, rest) {
                (0, 1..) => after.push(format!("{} in flight{oldest} on top", grouped(rest))),
                _ => parts.push(format!("{} in flight{oldest}", grouped(counted))),
            }
            if counted > 0 && rest > 0 {
                after.push(format!("{} more in flight on top", grouped(rest)));
            }
        } else {
            after.push("what is in flight or died is not known".to_owned());
        }
        match (self.throttled, self.url_requests) {
            (Some(throttled), _) => parts.push(format!("{} throttled", grouped(throttled))),
            (None, Some(_)) => after.push("no data point for throttles".to_owned()),
            (None, None) => {}
        }
        if let Some(refused) = self.refused() {
            parts.push(format!("{} refused", grouped(refused)));
        }
        match (self.unsettled, self.untold()) {
            (0, Some(rest)) if rest > 0 => {
                parts.push(format!("{} without a trace", grouped(rest.unsigned_abs())));
            }
            (0, Some(rest)) if rest < 0 => {
                let ahead = grouped(rest.unsigned_abs());
                after.push(format!("CloudWatch is {ahead} behind"));
            }
            (0, _) => {}
            // What ran is not whole either: only what is left of all requests can be told.
            (unsettled, _) => {
                let known = self.told() + self.counted_in_flight() + self.throttled.unwrap_or(0);
                let rest = self.url_requests.unwrap_or(0).saturating_sub(known);
                parts.push(format!("{} not known yet", grouped(rest.min(unsettled))));
                let gone = rest.saturating_sub(unsettled);
                if gone > 0 {
                    parts.push(format!("{} refused or without a trace", grouped(gone)));
                }
            }
        }
        let left = match (self.url_requests, self.saw_metrics) {
            (Some(requests), _) => count(requests, "URL request"),
            (None, true) => "no data point for URL requests".to_owned(),
            (None, false) => "URL requests not seen".to_owned(),
        };
        let sign = if self.url_requests.is_some() { " = " } else { ": " };
        let after = after.into_iter().fold(String::new(), |all, part| all + "; " + &part);
        format!("{left}{sign}{}{after}", parts.join(" + "))
    }
}

/// Counts the requests of which a figure that is missing could tell more.
fn unsettled(observed: &Observed, window: &Window) -> u64 {
    let within = observed.minutes.iter().filter(|minute| window.contains(minute.at));
    let of_one = within.filter_map(|minute| {
        let Counts { url_requests, invocations, throttles, .. } = minute.counts;
        let is_settled = invocations.is_some() && throttles.is_some();
        let known: u64 = invocations.into_iter().chain(throttles).sum();
        (!is_settled).then_some(url_requests?.saturating_sub(known))
    });
    of_one.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Sum = Sum {
        url_requests: Some(2_704),
        invocations: Some(2_704),
        throttled: Some(0),
        unsettled: 0,
        logged: 2_695,
        spilled: 0,
        lost: 0,
        died: 0,
        in_flight: 9,
        oldest: Some(SignedDuration::from_secs(74)),
        saw_lines: true,
        saw_metrics: true,
    };

    #[test]
    fn the_sum_is_one_line() {
        let line = "2,704 URL requests = 2,695 logged + 9 in flight (oldest 74 s) + 0 throttled + 0 refused";
        assert_eq!(WHOLE.line(), line);
    }

    #[test]
    fn what_still_runs_may_not_be_counted_yet() {
        let sum = Sum { url_requests: Some(2_695), invocations: Some(2_695), ..WHOLE };
        assert_eq!(
            sum.line(),
            "2,695 URL requests = 2,695 logged + 0 throttled + 0 refused; 9 in flight (oldest 74 s) on top"
        );
        assert_eq!(sum.untold(), Some(0));
    }

    #[test]
    fn what_has_no_trace_is_said_and_so_is_a_cloudwatch_that_is_behind() {
        let calm = Sum { in_flight: 0, oldest: None, ..WHOLE };
        assert_eq!(calm.untold(), Some(9));
        assert!(calm.line().ends_with("0 in flight + 0 throttled + 0 refused + 9 without a trace"));
        let died = Sum { died: 5, spilled: 4, ..calm };
        assert_eq!(died.untold(), Some(0));
        assert!(
            died.line().contains("2,695 logged + 4 spilled + 5 died unlogged"),
            "{}",
            died.line()
        );
        let behind = Sum { invocations: Some(2_000), url_requests: Some(2_000), ..calm };
        assert!(behind.line().ends_with("; CloudWatch is 695 behind"), "{}", behind.line());
    }

    #[test]
    fn no_data_point_is_said_and_is_not_zero() {
        let blind = Sum { url_requests: None, invocations: None, throttled: None, ..WHOLE };
        let line = "no data point for URL requests: 2,695 logged; 9 in flight (oldest 74 s) on top";
        assert_eq!(blind.line(), line);
        assert_eq!((blind.refused(), blind.untold()), (None, None));
        let denied =
            Sum { saw_metrics: false, saw_lines: false, in_flight: 0, oldest: None, ..blind };
        let line = "URL requests not seen: 2,695 logged; what is in flight or died is not known";
        assert_eq!(denied.line(), line);
        let half = Sum { throttled: None, ..WHOLE };
        assert!(half.line().ends_with("; no data point for throttles"), "{}", half.line());
    }

    /// Returns both sides of the sum as they are written.
    fn sides(line: &str) -> (u64, u64) {
        let (left, right) = line.split_once(" = ").expect("a sum");
        let right = right.split(';').next().unwrap_or_default();
        let number = |part: &str| {
            let digits = part.split(' ').next().unwrap_or_default().replace(',', "");
            digits.parse::<u64>().expect("a number")
        };
        (number(left), right.split(" + ").map(number).sum())
    }

    #[test]
    fn both_sides_are_the_same_whatever_is_known() {
        let late = Sum { url_requests: Some(2_730), throttled: None, unsettled: 30, ..WHOLE };
        let gone = Sum { url_requests: Some(2_800), unsettled: 30, throttled: Some(4), ..WHOLE };
        for sum in [
            WHOLE,
            Sum { url_requests: Some(2_720), throttled: Some(10), ..WHOLE },
            Sum { invocations: Some(2_697), url_requests: Some(2_697), ..WHOLE },
            Sum { in_flight: 0, oldest: None, ..WHOLE },
            late,
            Sum { invocations: None, ..late },
            Sum { logged: 2_721, invocations: Some(2_690), ..late },
            gone,
            Sum { spilled: 3, died: 2, lost: 1, ..gone },
        ] {
            let (left, right) = sides(&sum.line());
            assert_eq!(left, right, "{}", sum.line());
        }
    }

    fn observed(minutes: &[Counts]) -> (Observed, Window) {
        let since = jiff::Timestamp::UNIX_EPOCH;
        let until = since + SignedDuration::from_mins(60);
        let window = Window { since, until };
        let mut observed = Observed::nothing("codex-proxy", window.clone(), until);
        let minutes = (0..).zip(minutes).map(|(number, counts)| super::super::Minute {
            at: since + SignedDuration::from_mins(number),
            period_s: 60,
            counts: *counts,
        });
        observed.minutes = minutes.collect();
        (observed, window)
    }

    #[test]
    fn a_figure_that_has_not_come_yet_is_not_computed_with() {
        let counts = |url_requests, invocations, throttles| Counts {
            url_requests,
            invocations,
            throttles,
            ..Counts::default()
        };
        let whole = counts(Some(20), Some(18), Some(0));
        for (minutes, unsettled, refused) in [
            (vec![whole], 0, Some(2)),
            // The last minute's invocations are on their way.
            (vec![whole, counts(Some(36), None, None)], 36, None),
            (vec![whole, counts(Some(36), None, Some(6))], 30, None),
            (vec![whole, counts(Some(36), Some(30), None)], 6, None),
            // What is there leaves nothing for what is missing.
            (vec![whole, counts(Some(36), Some(36), None)], 0, Some(2)),
            (vec![whole, counts(Some(5), None, Some(5))], 0, Some(2)),
            (vec![counts(Some(1_140), None, None)], 1_140, None),
            (vec![counts(None, None, None)], 0, None),
        ] {
            let (observed, window) = observed(&minutes);
            let sum = Sum::of(&observed, &window, 0);
            assert_eq!((sum.unsettled, sum.refused()), (unsettled, refused), "{minutes:?}");
            assert_eq!(sum.line().contains("not known yet"), unsettled > 0, "{}", sum.line());
        }
    }

    #[test]
    fn figures_that_are_clearly_behind_do_not_speak_for_aws() {
        let calm = Sum { in_flight: 0, oldest: None, logged: 2_704, ..WHOLE };
        assert!(!calm.is_behind());
        assert!(!Sum { logged: 2_740, ..calm }.is_behind(), "one in a hundred is on its way");
        let gap = Sum { logged: 3_000, ..calm };
        assert!(gap.is_behind() && gap.none_by_itself().contains("not known"));
        assert!(Sum { url_requests: None, invocations: None, ..calm }.is_behind());
        assert!(!Sum { url_requests: None, invocations: None, logged: 0, ..calm }.is_behind());
    }

    #[test]
    fn what_left_no_trace_is_not_called_none() {
        let calm = Sum { in_flight: 0, oldest: None, ..WHOLE };
        assert!(calm.none_by_itself().contains("9 invocations left no trace"));
        let whole = Sum { logged: 2_704, ..calm };
        assert!(whole.none_by_itself().ends_with("refused and lost none by itself"));
    }
}
