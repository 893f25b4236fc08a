//! Which hours there are to compact: those of a span of time that have logs, and are closed.

use jiff::{SignedDuration, Timestamp};
use schemas::key::LOGS;

use crate::hour::Hour;
use crate::logs::source::{Depth, LogSource, SourceError};
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

/// Leaves out hours for which there is no folder of logs, unless there are logs whose keys tell no hour:
/// those may be of any. A year of nothing is not to take 9,000 listings.
///
/// # Errors
///
/// When the logs cannot be listed.
pub async fn with_logs(source: &dyn LogSource, hours: Vec<Hour>) -> Result<Vec<Hour>, SourceError> {
    let top = source.list(LOGS, Depth::Here).await?;
    let year_of = |folder: &str| folder.strip_prefix(LOGS)?.strip_suffix('/').map(str::to_owned);
    let is_year = |name: &String| name.len() == 4 && name.bytes().all(|b| b.is_ascii_digit());
    let years: Vec<String> = top.folders.iter().filter_map(|folder| year_of(folder)).collect();
    if !top.objects.is_empty() || !years.iter().all(is_year) {
        return Ok(hours);
    }
    let mut days: Vec<String> = hours.iter().map(|hour| day_folder(*hour)).collect();
    days.dedup();
    let mut folders = Vec::new();
    for day in days {
        let listing = source.list(&day, Depth::Here).await?;
        folders.extend(listing.folders);
        // What stands in the folder of a day may be of any hour of it.
        if !listing.objects.is_empty() {
            folders.push(day);
        }
    }
    let has_logs =
        |hour: &Hour| folders.contains(&hour.logs()) || folders.contains(&day_folder(*hour));
    Ok(hours.into_iter().filter(has_logs).collect())
}

/// Returns the folder of the logs of its day.
fn day_folder(hour: Hour) -> String {
    hour.logs()[..LOGS.len() + "YYYY/MM/DD/".len()].to_owned()
}
