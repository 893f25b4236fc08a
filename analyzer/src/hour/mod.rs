//! A compacted hour: one Parquet file with a row for each exchange that began in it.
//!
//! A record becomes a [`row`], rows become Arrow columns ([`batch`]), columns become a file
//! ([`mod@write`]). A published one is opened by version ([`mod@file`]); a window consists of hours and of the
//! logs that are in none ([`parts`]). A row becomes the JSON of its record again ([`record`]) and goes
//! the way of a log (`rows`). What the columns are stands in `schemas::columns`.

pub mod row;
pub mod batch;
pub mod record;
pub mod write;
pub mod file;
pub(crate) mod places;
pub mod parts;
pub(crate) mod rows;

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemas::key::LogKey;

use crate::window::Window;

/// The folder below the root that holds the compacted hours.
pub const PARQUET: &str = "parquet/";
/// The name of the one file of an hour.
const FILE: &str = "exchanges.parquet";
/// An exchange may take so long after its hour, with its log, that the hour is closed only then.
pub const CLOSED_AFTER: SignedDuration = SignedDuration::from_mins(20);

/// An hour of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(Timestamp);

impl Hour {
    /// Returns the hour that a time lies in.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        let seconds = time.as_millisecond().div_euclid(3_600_000) * 3_600;
        Self(Timestamp::from_second(seconds).unwrap_or(time))
    }

    /// Reads the key of a compacted hour, `parquet/day=YYYY-MM-DD/hour=HH/exchanges.parquet`.
    #[must_use]
    pub fn parse_key(key: &str) -> Option<Self> {
        let folder = key.strip_suffix(FILE)?.strip_suffix('/')?;
        let (day, hour) = folder.strip_prefix(PARQUET)?.split_once('/')?;
        let hour = hour.strip_prefix("hour=").filter(|hour| hour.len() == 2)?;
        Self::parse(day.strip_prefix("day=")?, hour.parse().ok()?)
    }

    /// Reads a day, `YYYY-MM-DD`, and the number of an hour of it.
    #[must_use]
    pub fn parse(day: &str, hour: i8) -> Option<Self> {
        let date: jiff::civil::Date = day.parse().ok().filter(|_| day.len() == 10)?;
        let time = (0..24).contains(&hour).then(|| date.at(hour, 0, 0, 0))?;
        TimeZone::UTC.to_timestamp(time).ok().map(Self)
    }

    /// Tells from its key alone in which hour a log belongs; `None` where only its record tells.
    #[must_use]
    pub fn of_log(key: &str) -> Option<Self> {
        crate::logs::list::time_of_key(key).map(Self::of)
    }

    /// Tells in which hour a log belongs whose exchange began then, by its record or, where that says
    /// nothing, by the listing. What its key says comes first: its hour, or the day, month or year in
    /// whose folder it stands, where a record of another time belongs in the first hour.
    #[must_use]
    pub fn of_record(key: &str, time: Timestamp) -> Self {
        Self::of_log(key).unwrap_or_else(|| {
            let folder = crate::logs::list::folder_span(key);
            let other = folder.filter(|(start, end)| time < *start || *end <= time);
            Self::of(other.map_or(time, |(start, _)| start))
        })
    }

    /// Returns when it begins.
    #[must_use]
    pub fn start(self) -> Timestamp {
        self.0
    }

    /// Returns the hour after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(SignedDuration::from_hours(1)).unwrap_or(self.0))
    }

    /// Returns it as a span of time.
    #[must_use]
    pub fn window(self) -> Window {
        Window { since: self.0, until: self.next().0 }
    }

    /// Tells whether no more logs of it are to be expected, but late ones.
    #[must_use]
    pub fn is_closed(self, now: Timestamp) -> bool {
        self.next().0.checked_add(CLOSED_AFTER).is_ok_and(|closed| closed <= now)
    }

    /// Returns its day, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(self) -> String {
        TimeZone::UTC.to_datetime(self.0).date().to_string()
    }

    /// Returns its number on its day, as two digits.
    #[must_use]
    pub fn number(self) -> String {
        format!("{:02}", TimeZone::UTC.to_datetime(self.0).hour())
    }

    /// Returns the key of its file, below the root.
    #[must_use]
    pub fn key(self) -> String {
        format!("{PARQUET}day={}/hour={}/{FILE}", self.day(), self.number())
    }

    /// Returns the folder of its logs, below the root.
    #[must_use]
    pub fn logs(self) -> String {
        LogKey::hour_prefix(self.0)
    }
}

/// `YYYY-MM-DDTHH`, UTC.
impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.day(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_and_its_key_are_one() {
        let time: Timestamp = "2026-11-22T02:41:07.123Z".parse().expect("a time");
        let hour = Hour::of(time);
        assert_eq!(hour.key(), "parquet/day=2026-11-22/hour=02/exchanges.parquet");
        assert_eq!(hour.logs(), "logs/2026/11/22/02/");
        assert_eq!(Hour::parse_key(&hour.key()), Some(hour));
        assert!(hour.window().contains(time));
        for wrong in [
            "parquet/day=2026-11-22/hour=2/exchanges.parquet",
            "parquet/day=2026-11-22/hour=24/exchanges.parquet",
            "parquet/day=2026-13-22/hour=02/exchanges.parquet",
            "parquet/day=2026-11-22/hour=02/.exchanges.parquet",
            "parquet/day=2026-11-22/hour=02/part-0.parquet",
            "logs/day=2026-11-22/hour=02/exchanges.parquet",
        ] {
            assert_eq!(Hour::parse_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_log_belongs_in_the_hour_of_its_record_within_the_folder_of_its_key() {
        let hour =
            |key: &str, time: &str| Hour::of_record(key, time.parse().expect("a time")).to_string();
        let time = "2026-11-22T23:59:50Z";
        assert_eq!(hour("logs/2026/11/22/abc.json", time), "2026-11-22T23");
        assert_eq!(hour("logs/old/abc.json", time), "2026-11-22T23");
        assert_eq!(hour("logs/2026/11/22/05/abc.json", time), "2026-11-22T05");
        assert_eq!(
            hour("logs/2026/11/23/abc.json", time),
            "2026-11-23T00",
            "no other folder is looked in"
        );
        assert_eq!(hour("logs/2026/11/22/abc.json", "2026-11-23T00:00:00Z"), "2026-11-22T00");
    }

    #[test]
    fn an_hour_is_closed_twenty_minutes_after_its_end() {
        let hour = Hour::parse("2026-11-22", 2).expect("an hour");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert!(!hour.is_closed(at("2026-11-22T03:19:59Z")));
        assert!(hour.is_closed(at("2026-11-22T03:20:00Z")));
        assert!(
            Hour::of(at("1969-12-31T23:59:59.9Z")).window().contains(at("1969-12-31T23:00:00Z"))
        );
    }
}
