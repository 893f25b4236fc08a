//! The time span that an answer speaks about: parsed from what people type, printed both ways.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit, Zoned};

/// From `since` on, up to and without `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub since: Timestamp,
    /// First moment after it.
    pub until: Timestamp,
}

impl Window {
    /// Tells whether a moment lies in the window.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.since <= time && time < self.until
    }

    /// Returns the part of it that has been: the future is only there for clocks that are ahead.
    #[must_use]
    pub fn up_to(&self, now: Timestamp) -> Self {
        Self { since: self.since, until: self.until.min(now).max(self.since) }
    }

    /// Tells whether the span from `start` up to `end` has a moment in common with the window.
    #[must_use]
    pub fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        start < self.until && self.since < end
    }

    /// Writes the window in local time and in UTC: `01:42-02:42 Berlin (00:42-01:42 UTC)`.
    #[must_use]
    pub fn describe(&self, zone: &TimeZone) -> String {
        let utc = self.span(&TimeZone::UTC);
        match zone.iana_name() {
            None | Some("UTC" | "Etc/UTC" | "GMT") => format!("{utc} UTC"),
            Some(name) => {
                let city = name.rsplit('/').next().unwrap_or(name).replace('_', " ");
                format!("{} {city} ({utc} UTC)", self.span(zone))
            }
        }
    }

    fn span(&self, zone: &TimeZone) -> String {
        let since = self.since.to_zoned(zone.clone());
        let until = self.until.to_zoned(zone.clone());
        if since.date() == until.date() {
            return format!("{} {}-{}", since.strftime("%d %b"), hour(&since), hour(&until));
        }
        format!(
            "{} {} - {} {}",
            since.strftime("%d %b"),
            hour(&since),
            until.strftime("%d %b"),
            hour(&until)
        )
    }
}

fn hour(time: &Zoned) -> String {
    time.strftime("%H:%M").to_string()
}

/// Parses a moment: `90s`, `30m`, `2h`, `3d`, `1w` ago; `02:10` today, or yesterday if that is yet
/// to come; `2026-11-22`; or RFC 3339.
///
/// # Errors
///
/// A sentence that names the value and what is accepted.
pub fn parse_moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong = || {
        format!("`{text}` is not a time; accepted are 30m, 2h, 3d, 02:10, 2026-11-22 or RFC 3339")
    };
    if let Some(ago) = parse_duration(text) {
        return now.timestamp().checked_sub(ago).map_err(|_| wrong());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = |date: Date, time: Time| {
        let zoned = date.to_datetime(time).to_zoned(now.time_zone().clone());
        zoned.map(|zoned| zoned.timestamp()).map_err(|_| wrong())
    };
    if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
        return local(date, Time::midnight());
    }
    let time = Time::strptime("%H:%M", text).or_else(|_| Time::strptime("%H:%M:%S", text));
    let time = time.map_err(|_| wrong())?;
    let today = local(now.date(), time)?;
    if today <= now.timestamp() {
        return Ok(today);
    }
    local(now.date().yesterday().map_err(|_| wrong())?, time)
}

fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    Some(SignedDuration::from_secs(digits.parse::<i64>().ok()?.checked_mul(seconds)?))
}

/// Writes how long ago something was, in its largest unit: `3 min`, `2 h`, `5 d`.
#[must_use]
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let minutes = (now - time).total(Unit::Minute).unwrap_or_default();
    match minutes {
        m if m < 1.0 => "less than a minute".to_owned(),
        m if m < 120.0 => format!("{m:.0} min"),
        m if m < 2_880.0 => format!("{:.0} h", m / 60.0),
        m => format!("{:.0} d", m / 1_440.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-11-22T02:42:00+01:00[Europe/Berlin]".parse().expect("a moment")
    }

    #[test]
    fn every_spelling_of_a_moment_is_understood() {
        for (text, expected) in [
            ("1h", "2026-11-22T00:42:00Z"),
            ("3d", "2026-11-19T01:42:00Z"),
            ("02:10", "2026-11-22T01:10:00Z"),
            ("23:00", "2026-11-21T22:00:00Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("2026-11-22T01:02:03Z", "2026-11-22T01:02:03Z"),
        ] {
            assert_eq!(parse_moment(text, &now()).map(|t| t.to_string()), Ok(expected.to_owned()));
        }
        for text in
            ["", "h", "yesterday", "-1h", "25:00", "9999999999999999999d", "2026-13-01", "é"]
        {
            assert!(parse_moment(text, &now()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_window_is_written_in_local_time_and_in_utc() {
        let until = now().timestamp();
        let window = Window { since: until - SignedDuration::from_hours(1), until };
        let zone = now().time_zone().clone();
        assert_eq!(window.describe(&zone), "22 Nov 01:42-02:42 Berlin (22 Nov 00:42-01:42 UTC)");
        assert_eq!(window.describe(&TimeZone::UTC), "22 Nov 00:42-01:42 UTC");
        let day = Window { since: until - SignedDuration::from_hours(24), until };
        assert_eq!(day.describe(&TimeZone::UTC), "21 Nov 01:42 - 22 Nov 01:42 UTC");
    }
}
