//! Which hours there are to compact: those of a span of time that are closed, and have logs.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemas::key::LOGS;

use crate::hour::Hour;
use crate::logs::list::{Entry, is_log, untold_time};
use crate::logs::source::{Depth, Listed, LogSource, SourceError};
use crate::window::Window;

/// The hours of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Hours to compact, oldest first.
    pub hours: Vec<Hour>,
    /// Hours that are not closed yet.
    pub open: Vec<Hour>,
}

/// Plans the hours of a window, as far as they are over.
#[must_use]
pub fn plan(window: &Window, now: Timestamp) -> Plan {
    let first = Hour::of(window.since);
    let hours = std::iter::successors(Some(first), |hour| Some(hour.next()));
    let of_window = hours.take_while(|hour| hour.start() < window.until && hour.start() <= now);
    let (hours, open) = of_window.partition(|hour: &Hour| hour.is_closed(now));
    Plan { hours, open }
}

/// Returns the last hour that is closed.
#[must_use]
pub fn last_closed(now: Timestamp) -> Hour {
    let hour = Hour::of(now - SignedDuration::from_hours(1));
    if hour.is_closed(now) { hour } else { Hour::of(hour.start() - SignedDuration::from_hours(1)) }
}

/// Where there are logs: hours that have any by their keys, and logs of which only the record tells.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) hours: BTreeSet<Hour>,
    pub(super) untimed: Vec<Entry>,
}

/// Finds the hours that have logs, without listing the logs of any: a year of nothing is not to take
/// 9,000 listings.
///
/// # Errors
///
/// When the logs cannot be listed.
pub(super) async fn places(source: &dyn LogSource, hours: &[Hour]) -> Result<Places, SourceError> {
    let wanted: BTreeSet<_> = hours.iter().copied().collect();
    let is_wanted = |prefix: &str| wanted.iter().any(|hour| hour.logs().starts_with(prefix));
    let mut places = Places::default();
    let mut waiting = vec![(LOGS.to_owned(), Depth::Here)];
    while let Some((prefix, depth)) = waiting.pop() {
        let listing = source.list(&prefix, depth).await?;
        for object in listing.objects {
            match Hour::of_log(&object.key) {
                Some(hour) => _ = wanted.contains(&hour).then(|| places.hours.insert(hour)),
                None => places.untimed.extend(untimed(object)),
            }
        }
        for folder in listing.folders {
            let hour = Hour::of_log(&format!("{folder}any"));
            match hour.filter(|hour| hour.logs() == folder) {
                Some(hour) => _ = wanted.contains(&hour).then(|| places.hours.insert(hour)),
                None if is_date(&folder) && is_wanted(&folder) => {
                    waiting.push((folder, Depth::Here));
                }
                None if is_date(&folder) => {}
                None => waiting.push((folder, Depth::Below)),
            }
        }
    }
    Ok(places)
}

/// Tells whether a folder is a year, or a month or day of one.
fn is_date(folder: &str) -> bool {
    let below = folder.strip_prefix(LOGS).unwrap_or_default().trim_end_matches('/');
    let is_number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
    below.split('/').zip([4, 2, 2]).all(|(name, width)| name.len() == width && is_number(name))
        && below.split('/').count() <= 3
}

fn untimed(object: Listed) -> Option<Entry> {
    let time = untold_time(&object)?;
    is_log(&object.key).then_some(Entry {
        key: object.key,
        bytes: object.bytes,
        told: None,
        time,
        row: None,
    })
}
