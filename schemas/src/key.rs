//! The key of a log object: where it stands, and what its name tells without opening it.
//!
//! `logs/YYYY/MM/DD/HH/<YYYYMMDDTHHMMSSmmmZ>-<exchange_id>.<token8>.<status>[.<origin>].json.zst`
//!
//! Two properties carry the product: lexical order is time order, and the name tells the outcome.
//! [`LogKey::parse`] believes a name only when all of it matches; any other object is read instead.

use std::fmt::{self, Display, Formatter};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::origin::Origin;

/// The folder that holds the logs, below the root that proxy and analyzer share.
pub const LOGS: &str = "logs/";

/// Ending of every object that the proxy writes.
const EXTENSION: &str = ".json.zst";

/// Identity of one exchange: a UUIDv7, written as `cpx_` and 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u128);

impl ExchangeId {
    /// Parses `cpx_` and 32 lower-case hex digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("cpx_").filter(|digits| digits.len() == 32)?;
        hex(digits).map(Self)
    }
}

impl Display for ExchangeId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "cpx_{:032x}", self.0)
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// What the key of a log object tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogKey {
    /// When the request arrived, to the millisecond.
    pub started_at: Timestamp,
    /// Which exchange it was.
    pub exchange_id: ExchangeId,
    /// First 8 hex digits of the token id; `None` when no token was presented.
    pub token8: Option<u32>,
    /// Status sent to the client.
    pub status: u16,
    /// Origin of the failure; `None` for a success.
    pub error_origin: Option<Origin>,
}

impl LogKey {
    /// Returns the folder of the hour that `time` falls into: `logs/YYYY/MM/DD/HH/`.
    #[must_use]
    pub fn hour_prefix(time: Timestamp) -> String {
        let utc = TimeZone::UTC.to_datetime(time);
        let (year, month, day, hour) = (utc.year(), utc.month(), utc.day(), utc.hour());
        format!("{LOGS}{year:04}/{month:02}/{day:02}/{hour:02}/")
    }

    /// Parses a key below the root. `None` unless the whole of it matches the pattern with known
    /// parts and the folder agrees with the time: such an object must be read to know its outcome.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let (folder, name) = key.strip_prefix(LOGS)?.split_at_checked("YYYY/MM/DD/HH/".len())?;
        let name = name.strip_suffix(EXTENSION)?;
        let (stamp, rest) = name.split_at_checked("YYYYMMDDTHHMMSSmmmZ".len())?;
        let started_at = parse_stamp(stamp)?;
        let slashes = [4, 7, 10, 13].into_iter().all(|at| folder.as_bytes()[at] == b'/');
        let hour = stamp.bytes().filter(|b| *b != b'T').take(10);
        (slashes && folder.bytes().filter(|b| *b != b'/').eq(hour)).then_some(())?;

        let mut parts = rest.strip_prefix('-')?.split('.');
        let exchange_id = ExchangeId::parse(parts.next()?)?;
        let token8 = match parts.next()? {
            "none" => None,
            token if token.len() == 8 => Some(u32::try_from(hex(token)?).ok()?),
            _ => return None,
        };
        let status = parts.next().filter(|status| status.len() == 3).and_then(decimal)?;
        let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status))?;
        let error_origin = match parts.next() {
            Some(name) => Some(Origin::parse(name)?),
            // An error status without an origin tells only half: the object has to be read.
            None if status >= 400 => return None,
            None => None,
        };
        parts.next().is_none().then_some(Self {
            started_at,
            exchange_id,
            token8,
            status,
            error_origin,
        })
    }
}

impl Display for LogKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let utc = TimeZone::UTC.to_datetime(self.started_at);
        let (year, month, day) = (utc.year(), utc.month(), utc.day());
        let (hour, minute, second) = (utc.hour(), utc.minute(), utc.second());
        let millisecond = utc.millisecond();
        write!(f, "{LOGS}{year:04}/{month:02}/{day:02}/{hour:02}/{year:04}{month:02}{day:02}T")?;
        write!(f, "{hour:02}{minute:02}{second:02}{millisecond:03}Z-{}.", self.exchange_id)?;
        match self.token8 {
            Some(token) => write!(f, "{token:08x}")?,
            None => f.write_str("none")?,
        }
        write!(f, ".{:03}", self.status)?;
        if let Some(origin) = self.error_origin {
            write!(f, ".{origin}")?;
        }
        f.write_str(EXTENSION)
    }
}

/// Parses lower-case hex digits only, without sign or prefix.
fn hex(digits: &str) -> Option<u128> {
    digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(())?;
    u128::from_str_radix(digits, 16).ok()
}

/// Parses decimal digits only, without sign.
fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    digits.parse().ok()
}

/// Parses `YYYYMMDDTHHMMSSmmmZ`.
fn parse_stamp(stamp: &str) -> Option<Timestamp> {
    stamp.is_ascii().then_some(())?;
    (stamp.as_bytes()[8] == b'T' && stamp.as_bytes()[18] == b'Z').then_some(())?;
    let number = |range: std::ops::Range<usize>| decimal(&stamp[range]);
    let small = |range: std::ops::Range<usize>| number(range).and_then(|n| i8::try_from(n).ok());
    let date = Date::new(i16::try_from(number(0..4)?).ok()?, small(4..6)?, small(6..8)?).ok()?;
    let nanosecond = i32::try_from(number(15..18)? * 1_000_000).ok()?;
    let (hour, minute, second) = (small(9..11)?, small(11..13)?, small(13..15)?);
    let time = jiff::civil::Time::new(hour, minute, second, nanosecond).ok()?;
    TimeZone::UTC.to_timestamp(DateTime::from_parts(date, time)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUCCESS: &str = "logs/2026/11/22/02/20261122T024107123Z-cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e.3fa9c1d2.200.json.zst";

    #[test]
    fn a_key_tells_the_outcome() {
        let key = LogKey::parse(SUCCESS).expect("a good key");
        assert_eq!(key.status, 200);
        assert_eq!(key.error_origin, None);
        assert_eq!(key.token8, Some(0x3fa9_c1d2));
        assert_eq!(key.started_at.to_string(), "2026-11-22T02:41:07.123Z");
        let cut = SUCCESS.replace(".200.", ".200.openai.");
        assert_eq!(LogKey::parse(&cut).and_then(|k| k.error_origin), Some(Origin::Openai));
        let anonymous = SUCCESS.replace("3fa9c1d2.200", "none.401.proxy");
        assert_eq!(LogKey::parse(&anonymous).map(|k| k.token8), Some(None));
    }

    #[test]
    fn a_name_is_believed_only_whole() {
        for (why, key) in [
            ("no root folder", SUCCESS.replace("logs/", "")),
            ("another hour's folder", SUCCESS.replace("/22/02/", "/22/03/")),
            ("another compression", SUCCESS.replace(".zst", ".gz")),
            ("an unknown origin", SUCCESS.replace(".200.", ".200.martians.")),
            ("an error without origin", SUCCESS.replace(".200.", ".503.")),
            ("no such status", SUCCESS.replace(".200.", ".099.")),
            ("a sign in the status", SUCCESS.replace(".200.", ".+20.")),
            ("upper-case hex", SUCCESS.replace("3fa9c1d2", "3FA9C1D2")),
            ("a short id", SUCCESS.replace("cpx_01", "cpx_")),
            ("a part too many", SUCCESS.replace(".json.zst", ".openai.x.json.zst")),
            ("a month 13", SUCCESS.replace("2026/11", "2026/13").replace("202611", "202613")),
            ("deeper", SUCCESS.replace("/02/", "/02/x/")),
            ("multi-byte where digits stand", SUCCESS.replace("20261122T02", "2026112é02")),
            ("nothing", String::new()),
        ] {
            assert_eq!(LogKey::parse(&key), None, "{why}: {key}");
        }
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(
            ms in 0_i64..253_402_300_799_999,
            id: u128,
            token8: Option<u32>,
            status in 100_u16..600,
            origin in proptest::option::of(proptest::sample::select(&Origin::ALL[..])),
        ) {
            let origin = origin.or((status >= 400).then_some(Origin::Proxy));
            let key = LogKey {
                started_at: Timestamp::from_millisecond(ms).expect("in range"),
                exchange_id: ExchangeId(id),
                token8,
                status,
                error_origin: origin,
            };
            prop_assert_eq!(LogKey::parse(&key.to_string()), Some(key));
        }

        #[test]
        fn parsing_never_panics(key in "\\PC*") {
            let _ = LogKey::parse(&key);
            let _ = LogKey::parse(&format!("{LOGS}{key}"));
        }

        #[test]
        fn lexical_order_is_time_order(a in 0_i64..4_102_444_800_000, b in 0_i64..4_102_444_800_000) {
            let key = |ms| LogKey {
                started_at: Timestamp::from_millisecond(ms).expect("in range"),
                exchange_id: ExchangeId(0),
                token8: None,
                status: 200,
                error_origin: None,
            }.to_string();
            prop_assert_eq!(a.cmp(&b), key(a).cmp(&key(b)));
        }
    }
}
