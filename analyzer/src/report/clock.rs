//! Times in a verdict's sentences, which are UTC and say so, as the reader's own clock shows them.
//!
//! What stands in quotation marks is somebody else's, and stays.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use regex::{Captures, Regex};

/// Rewrites `22 Nov 02:30-02:40 UTC` for a zone. A time without a date is the last such one up to
/// `until`.
pub(super) fn local(text: &str, zone: &TimeZone, until: Timestamp) -> String {
    static MOMENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?:(\d{1,2} [A-Z][a-z]{2})(?: (\d{4}))? )?(\d\d:\d\d(?::\d\d)?)(?:-(\d\d:\d\d))? UTC\b",
        )
        .expect("tested")
    });
    if matches!(zone.iana_name(), None | Some("UTC" | "Etc/UTC" | "GMT")) {
        return text.to_owned();
    }
    let own = |part: &str| {
        let written = MOMENT.replace_all(part, |found: &Captures<'_>| {
            rewrite(found, zone, until).unwrap_or_else(|| found[0].to_owned())
        });
        written.into_owned()
    };
    let parts = text.split('"').enumerate();
    let parts = parts.map(|(at, part)| if at % 2 == 0 { own(part) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("\"")
}

fn rewrite(found: &Captures<'_>, zone: &TimeZone, until: Timestamp) -> Option<String> {
    let now = until.to_zoned(TimeZone::UTC);
    let group = |at| found.get(at).map(|part| part.as_str());
    let clock = group(3)?;
    let format = if clock.len() > 5 { "%H:%M:%S" } else { "%H:%M" };
    let time = Time::strptime(format, clock).ok()?;
    let day = match (group(1), group(2)) {
        (Some(day), year) => {
            let year = year.map_or_else(|| now.year().to_string(), str::to_owned);
            Date::strptime("%d %b %Y", format!("{day} {year}")).ok()?
        }
        (None, _) if time > now.time() => now.date().yesterday().ok()?,
        (None, _) => now.date(),
    };
    let here = |at: DateTime| Some(at.to_zoned(TimeZone::UTC).ok()?.with_time_zone(zone.clone()));
    let begin = here(day.to_datetime(time))?;
    let date = match (group(1), group(2)) {
        (None, _) => String::new(),
        (_, None) => begin.strftime("%d %b ").to_string(),
        (_, Some(_)) => begin.strftime("%d %b %Y ").to_string(),
    };
    let end = match group(4) {
        None => String::new(),
        Some(end) => {
            let end = Time::strptime("%H:%M", end).ok()?;
            let end = if end < time {
                day.checked_add(1.day()).ok()?.to_datetime(end)
            } else {
                day.to_datetime(end)
            };
            here(end)?.strftime("-%H:%M").to_string()
        }
    };
    Some(format!("{date}{}{end}", begin.strftime(format)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_readers_own_unless_they_stand_in_somebody_elses_words() {
        let until: Timestamp = "2026-11-22T02:42:00Z".parse().expect("a time");
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        for (text, expected) in [
            ("CloudWatch 02:30-02:40 UTC: 318 throttles", "CloudWatch 03:30-03:40: 318 throttles"),
            ("cpx_1, 23:10:05 UTC, dev-04", "cpx_1, 00:10:05, dev-04"),
            ("since 21 Nov 23:10 UTC, all", "since 22 Nov 00:10, all"),
            (
                "the text's own time, 21 Jul 2026 23:10 UTC",
                "the text's own time, 22 Jul 2026 01:10",
            ),
            ("CloudWatch 22:30-23:10 UTC: x", "CloudWatch 23:30-00:10: x"),
            ("newest: \"back at 02:30 UTC\"", "newest: \"back at 02:30 UTC\""),
            ("at 99:99 UTC", "at 99:99 UTC"),
        ] {
            assert_eq!(local(text, &zone, until), expected);
        }
        let same = "CloudWatch 02:30-02:40 UTC: x";
        assert_eq!(local(same, &TimeZone::UTC, until), same, "said where it is the reader's own");
    }
}
