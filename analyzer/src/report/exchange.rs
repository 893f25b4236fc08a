//! One exchange as one line, for people and for programs: what `tail` prints.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemas::origin::Origin;
use serde::Serialize;

use super::printable;
use crate::logs::classify::Exchange;
use crate::logs::list::Entry;

/// An exchange, as far as its log, or only the key of it, tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Identity; `None` for an unread log whose key does not tell.
    pub exchange_id: Option<String>,
    /// When the request arrived.
    pub started_at: Timestamp,
    /// The layer that produced a failure; `None` for a success, and where nothing tells.
    pub origin: Option<Origin>,
    /// Whether the outcome is known at all.
    pub told: bool,
    /// Status sent to the client.
    pub status: Option<u16>,
    /// Code of the failure.
    pub code: Option<String>,
    /// Owner of the token.
    pub developer: Option<String>,
    /// First 8 hex digits of the token's hash.
    pub token8: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// How long it took.
    pub duration_ms: Option<f64>,
    /// Key of the object.
    pub key: String,
}

impl Line {
    /// Takes what the log tells.
    #[must_use]
    pub fn of_exchange(exchange: &Exchange) -> Self {
        Self {
            exchange_id: Some(exchange.exchange_id.clone()),
            started_at: exchange.started_at,
            origin: exchange.error.as_ref().map(|error| error.origin),
            told: true,
            status: exchange.status,
            code: exchange.error.as_ref().map(|error| error.code.clone()),
            developer: exchange.developer.clone(),
            token8: exchange.token8.clone(),
            model: exchange.model.clone(),
            duration_ms: exchange.timing.duration_ms,
            key: exchange.key.clone(),
        }
    }

    /// Takes what the key tells.
    #[must_use]
    pub fn of_key(entry: &Entry) -> Self {
        let told = entry.told;
        Self {
            exchange_id: told.map(|told| told.exchange_id.to_string()),
            started_at: entry.time,
            origin: told.and_then(|told| told.error_origin),
            told: told.is_some(),
            status: told.map(|told| told.status),
            code: None,
            developer: None,
            token8: told.and_then(|told| told.token8).map(|token| format!("{token:08x}")),
            model: None,
            duration_ms: None,
            key: entry.key.clone(),
        }
    }

    /// Writes the line: time, origin, status, developer, model, duration, id and code.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let who = self.developer.clone().or_else(|| self.token8.clone());
        let or = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), printable);
        let origin = match self.origin {
            Some(origin) => origin.as_str(),
            None if self.told => "ok",
            None => "?",
        };
        let status = self.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let line = format!(
            "{}  {origin:11}  {status:3}  {:12}  {:14}  {:>8}  {}  {}",
            self.started_at.to_zoned(zone.clone()).strftime("%H:%M:%S"),
            or(who.as_deref()),
            or(self.model.as_deref()),
            self.duration_ms.map_or_else(|| "-".to_owned(), duration),
            or(self.exchange_id.as_deref()),
            self.code.as_deref().map_or_else(String::new, printable),
        );
        line.trim_end().to_owned()
    }
}

/// Writes a duration as people read it: `431 ms`, `12.3 s`, `14 min`.
#[must_use]
pub fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 120_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms => format!("{:.0} min", ms / 60_000.0),
    }
}

#[cfg(test)]
mod tests {
    use schemas::key::LogKey;

    use super::*;

    const KEY: &str = "logs/2026/11/22/02/20261122T024107123Z-cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e.3fa9c1d2.503.openai.json.zst";

    #[test]
    fn a_key_alone_makes_a_line_too() {
        let told = LogKey::parse(KEY).expect("a good key");
        let entry = Entry {
            key: KEY.to_owned(),
            bytes: 1,
            told: Some(told),
            time: told.started_at,
            row: None,
        };
        assert_eq!(
            Line::of_key(&entry).text(&TimeZone::UTC),
            "02:41:07  openai       503  3fa9c1d2      -                      -  cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e"
        );
        let untold = Entry { told: None, ..entry };
        assert!(Line::of_key(&untold).text(&TimeZone::UTC).contains("  ?  "));
    }

    #[test]
    fn durations_are_written_for_people() {
        for (ms, text) in [(431.2, "431 ms"), (12_345.0, "12.3 s"), (840_000.0, "14 min")] {
            assert_eq!(duration(ms), text);
        }
    }
}
