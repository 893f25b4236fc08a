//! Which exchanges are new: one listing after another comes in, each new log goes out once.
//!
//! A key is ordered by the arrival of its request and appears when the exchange ends, up to a quarter
//! of an hour later, and later still when a spool is replayed. So there is no last key to go on from:
//! a span of time is listed again and again, and what was shown is remembered as long as the span.

use std::collections::{HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use schemas::origin::Origin;

use crate::logs::list::Entry;
use crate::number::count;

/// How far back each look goes: an exchange takes 15 minutes at most on Lambda, and then its log is
/// written.
pub const NEAR: SignedDuration = SignedDuration::from_mins(20);
/// How far back a look goes now and then, for logs that come late.
pub const FAR: SignedDuration = SignedDuration::from_hours(3);
/// How often that is.
pub const FAR_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// What the rate speaks about.
pub const RATE_SPAN: SignedDuration = SignedDuration::from_mins(5);

/// The logs that were shown already.
#[derive(Debug, Default)]
pub struct Shown {
    keys: HashSet<String>,
    by_time: VecDeque<(Timestamp, String)>,
}

impl Shown {
    /// Takes what a look found; returns what is new, oldest first.
    pub fn take(&mut self, listed: Vec<Entry>) -> Vec<Entry> {
        let mut new: Vec<_> =
            listed.into_iter().filter(|entry| self.keys.insert(entry.key.clone())).collect();
        new.sort_unstable_by(|a, b| a.time.cmp(&b.time).then_with(|| a.key.cmp(&b.key)));
        // A key that tells no time may be listed for as long as its folder is: it is never forgotten.
        let told = new.iter().filter(|entry| entry.told.is_some());
        self.by_time.extend(told.map(|entry| (entry.time, entry.key.clone())));
        new
    }

    /// Forgets what no later look can find, because it began before `horizon`.
    pub fn forget_before(&mut self, horizon: Timestamp) {
        self.by_time.retain(|(time, key)| {
            let keep = *time >= horizon;
            if !keep {
                self.keys.remove(key);
            }
            keep
        });
    }
}

/// How many exchanges of the last minutes failed, and whose fault that was.
#[derive(Debug, Default)]
pub struct Rate {
    recent: VecDeque<(Timestamp, Option<Origin>)>,
}

impl Rate {
    /// Counts an exchange; `None` for a success.
    pub fn count(&mut self, started_at: Timestamp, failure: Option<Origin>) {
        self.recent.push_back((started_at, failure));
    }

    /// Writes the line: `last 5 min: 312 exchanges, 4.2% failed: openai 12, proxy 1`.
    pub fn line(&mut self, now: Timestamp) -> String {
        self.recent.retain(|(time, _)| *time >= now - RATE_SPAN);
        let all = self.recent.len();
        let minutes = RATE_SPAN.as_mins();
        let failed = self.recent.iter().filter(|(_, failure)| failure.is_some()).count();
        if failed == 0 {
            return format!("last {minutes} min: {}, none failed", count(all as u64, "exchange"));
        }
        let of =
            |origin| self.recent.iter().filter(|(_, failure)| *failure == Some(origin)).count();
        let shares = Origin::ALL.into_iter().map(|origin| (origin, of(origin)));
        let shares: Vec<_> =
            shares.filter(|(_, n)| *n > 0).map(|(origin, n)| format!("{origin} {n}")).collect();
        let percent = failed as f64 * 100.0 / all as f64;
        let all = count(all as u64, "exchange");
        format!("last {minutes} min: {all}, {percent:.1}% failed: {}", shares.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use schemas::key::{ExchangeId, LogKey};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_764_000_000 + second).expect("in range")
    }

    fn entry(key: &str, second: i64) -> Entry {
        let told = LogKey {
            started_at: at(second),
            exchange_id: ExchangeId(0),
            token8: None,
            status: 200,
            error_origin: None,
        };
        Entry { key: key.to_owned(), bytes: 1, told: Some(told), time: at(second), row: None }
    }

    fn keys(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.key.as_str()).collect()
    }

    #[test]
    fn what_appears_late_is_shown_and_nothing_twice() {
        let mut shown = Shown::default();
        let first = shown.take(vec![entry("c", 30), entry("a", 10)]);
        assert_eq!(keys(&first), ["a", "c"]);
        let second = shown.take(vec![entry("c", 30), entry("b", 20), entry("a", 10)]);
        assert_eq!(keys(&second), ["b"], "it began before c and ended after it");
        assert!(shown.take(vec![entry("a", 10), entry("b", 20), entry("c", 30)]).is_empty());
    }

    #[test]
    fn what_no_look_can_find_any_more_is_forgotten() {
        let mut shown = Shown::default();
        shown.take(vec![entry("a", 10), entry("b", 20), entry("c", 30)]);
        shown.take(vec![entry("late", 15), Entry { told: None, ..entry("untold", 1) }]);
        shown.forget_before(at(20));
        assert_eq!((shown.keys.len(), shown.by_time.len()), (3, 2));
        let still_listed = vec![entry("b", 20), entry("c", 30), entry("untold", 1)];
        assert_eq!(keys(&shown.take(still_listed)), [""; 0]);
    }

    #[test]
    fn the_rate_speaks_of_the_last_minutes_only() {
        let mut rate = Rate::default();
        rate.count(at(0), Some(Origin::Proxy));
        for second in 400..403 {
            rate.count(at(second), None);
        }
        assert_eq!(rate.line(at(410)), "last 5 min: 3 exchanges, none failed");
        rate.count(at(404), Some(Origin::Openai));
        assert_eq!(rate.line(at(410)), "last 5 min: 4 exchanges, 25.0% failed: openai 1");
    }
}
