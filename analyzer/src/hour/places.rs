//! Which hours have logs, and which logs tell no hour: from listings of folders, not of their logs.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemas::key::LOGS;

use super::Hour;
use crate::logs::list::{Entry, folder_span, is_log, untold_time};
use crate::logs::source::{Depth, Listed, LogSource, SourceError};

/// How far the clock of whoever wrote a log may be from that of whoever stored it.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Where there are logs: hours that have any by their keys, and logs of which only the record tells.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) hours: BTreeSet<Hour>,
    pub(crate) untimed: Vec<Entry>,
}

/// Finds the hours that have logs, of all or of some, without listing the logs of any: a year of nothing
/// is not to take 9,000 listings.
///
/// # Errors
///
/// When the logs cannot be listed.
pub(crate) async fn places(
    source: &dyn LogSource,
    among: Option<&[Hour]>,
) -> Result<Places, SourceError> {
    let wanted: Option<BTreeSet<_>> = among.map(|hours| hours.iter().copied().collect());
    let is_hour = |hour: &Hour| wanted.as_ref().is_none_or(|wanted| wanted.contains(hour));
    let leads = |prefix: &str| {
        let any = |of: &BTreeSet<Hour>| of.iter().any(|hour| hour.logs().starts_with(prefix));
        wanted.as_ref().is_none_or(any)
    };
    let first = wanted.as_ref().and_then(BTreeSet::first).map(|hour| hour.start());
    let may_be_wanted = |object: &Listed| first.is_none_or(|first| may_begin_after(object, first));
    let mut places = Places::default();
    let mut waiting = vec![(LOGS.to_owned(), Depth::Here)];
    while let Some((prefix, depth)) = waiting.pop() {
        let listing = source.list(&prefix, depth).await?;
        for object in listing.objects {
            match Hour::of_log(&object.key) {
                Some(hour) => _ = is_hour(&hour).then(|| places.hours.insert(hour)),
                None if may_be_wanted(&object) => places.untimed.extend(untimed(object)),
                None => {}
            }
        }
        for folder in listing.folders {
            let hour = Hour::of_log(&format!("{folder}any"));
            match hour.filter(|hour| hour.logs() == folder) {
                Some(hour) => _ = is_hour(&hour).then(|| places.hours.insert(hour)),
                None if is_date(&folder) && leads(&folder) => {
                    waiting.push((folder, Depth::Here));
                }
                None if is_date(&folder) => {}
                None => waiting.push((folder, Depth::Below)),
            }
        }
    }
    Ok(places)
}

/// Tells whether the exchange of a log can have begun at a time or later: a log is written when its
/// exchange ends, and the folder of a day, month or year holds what began in it.
fn may_begin_after(object: &Listed, first: Timestamp) -> bool {
    match (folder_span(&object.key), object.modified) {
        (Some((_, end)), _) => end > first,
        (None, Some(written)) => written.checked_add(SKEW).is_ok_and(|written| written >= first),
        (None, None) => true,
    }
}

/// Tells whether a folder is a year, or a month or day of one.
fn is_date(folder: &str) -> bool {
    if folder_span(&format!("{folder}any")).is_none() {
        return false;
    }
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
