//! Figures of one period, and their sums: a figure without a data point stays unknown.

use jiff::{SignedDuration, Timestamp};

/// Metrics of a period, or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Requests that came to the Function URL.
    pub url_requests: Option<u64>,
    /// Of these, answered 400 to 499, by Lambda or by the function.
    pub url_4xx: Option<u64>,
    /// Of these, answered 500 to 599, by Lambda or by the function.
    pub url_5xx: Option<u64>,
    /// Invocations that ran; throttled ones are not among them.
    pub invocations: Option<u64>,
    /// Invocations that ended in an error of the function.
    pub errors: Option<u64>,
    /// Requests refused for want of a slot.
    pub throttles: Option<u64>,
    /// Most invocations at a time.
    pub concurrent_max: Option<u64>,
    /// Time that the invocations took together, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Records that S3 refused, by the proxy's own account.
    pub spills: Option<u64>,
}

/// Metrics of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Its beginning.
    pub at: Timestamp,
    /// Its length, in seconds: 60, and more for what lies far back.
    pub period_s: u32,
    /// Its figures.
    pub counts: Counts,
}

impl Minute {
    /// Returns the first moment after it.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.at + SignedDuration::from_secs(self.period_s.into())
    }
}

impl Counts {
    /// Puts two periods together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        let Self {
            url_requests,
            url_4xx,
            url_5xx,
            invocations,
            errors,
            throttles,
            concurrent_max,
            duration_ms,
            spills,
        } = self;
        Self {
            url_requests: add(url_requests, other.url_requests),
            url_4xx: add(url_4xx, other.url_4xx),
            url_5xx: add(url_5xx, other.url_5xx),
            invocations: add(invocations, other.invocations),
            errors: add(errors, other.errors),
            throttles: add(throttles, other.throttles),
            // `None` is less than any number.
            concurrent_max: concurrent_max.max(other.concurrent_max),
            duration_ms: add(duration_ms, other.duration_ms),
            spills: add(spills, other.spills),
        }
    }

    /// Returns how long an invocation took on average, in seconds.
    #[must_use]
    pub fn mean_duration_s(&self) -> Option<f64> {
        let invocations = self.invocations.filter(|count| *count > 0)?;
        Some(self.duration_ms? as f64 / 1_000.0 / invocations as f64)
    }
}

/// Adds what is known; nothing and nothing stay nothing.
fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_data_point_is_not_zero() {
        let none = Counts::default();
        let some = Counts { throttles: Some(3), concurrent_max: Some(7), ..none };
        let zero = Counts { throttles: Some(0), concurrent_max: Some(25), ..none };
        assert_eq!(none.and(&none), none);
        let both = none.and(&some).and(&zero).and(&none);
        assert_eq!((both.throttles, both.concurrent_max), (Some(3), Some(25)));
        assert_eq!(both.url_requests, None);
    }

    #[test]
    fn a_mean_needs_both_figures_and_an_invocation() {
        let counts =
            |invocations, duration_ms| Counts { invocations, duration_ms, ..Counts::default() };
        assert_eq!(counts(Some(4), Some(10_000)).mean_duration_s(), Some(2.5));
        assert_eq!(counts(Some(0), Some(0)).mean_duration_s(), None);
        assert_eq!(counts(None, Some(5)).mean_duration_s(), None);
        assert_eq!(counts(Some(5), None).mean_duration_s(), None);
    }
}
