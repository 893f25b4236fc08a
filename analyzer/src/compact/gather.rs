//! What there is to compact in an hour: its logs, what is published of it, and which logs are new.
//!
//! The logs are listed first and the file is opened after that, as every reader does it: what another
//! compactor publishes in between is taken for what it is.

use std::collections::hash_map::Entry as MapEntry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use schemas::key::ExchangeId;

use super::Options;
use super::order::{Duplicate, Known, Untimed};
use crate::hour::Hour;
use crate::hour::file::{HourFile, ReadError};
use crate::hour::parts::{Contents, open};
use crate::hour::write::Bodies;
use crate::logs::list::{Entry, list};
use crate::logs::source::LogSource;

/// What there is to compact.
pub(super) struct Gathered {
    /// What is published, and which exchanges stand in it.
    pub(super) published: Option<(HourFile, Contents)>,
    /// Which bodies the new file keeps.
    pub(super) bodies: Bodies,
    /// Logs that become rows, or may.
    pub(super) logs: Vec<Entry>,
    /// What those say whose keys tell no hour.
    pub(super) known: Known,
    /// Logs whose exchange has a row, or gets one, from another log.
    pub(super) duplicates: Vec<Duplicate>,
    /// Whether rows that are published are to be made anew from their logs, where these are still there.
    pub(super) is_afresh: bool,
}

/// Gathers an hour, with those logs of it whose keys do not tell that, and without those that are spoiled.
pub(super) async fn gather(
    source: &Arc<dyn LogSource>,
    hour: Hour,
    options: Options,
    untimed: &[Untimed],
    spoiled: &HashSet<String>,
) -> Result<Gathered, ReadError> {
    let listed = list(&**source, &hour.window()).await.map_err(ReadError::Source)?;
    let published = open(source, hour).await?;
    let kept = published.as_ref().and_then(|(file, _)| file.bodies());
    let bodies = if options.only_new { kept.or(options.bodies) } else { options.bodies.or(kept) };
    let bodies = bodies.unwrap_or_default();
    // Bodies that are not in the file any more, or should not be, come from the logs once more.
    let is_afresh = published.is_some() && kept != Some(bodies);
    let (mut logs, mut duplicates) = (Vec::new(), Vec::new());
    let mut seen: HashMap<ExchangeId, String> = HashMap::new();
    // Oldest first, so that of two logs with one id the first is taken, as it is every time.
    let of_hour = listed.entries.into_iter().rev().filter(|it| Hour::of_log(&it.key) == Some(hour));
    let untold = untimed.iter().map(|(entry, _)| entry.clone());
    for entry in of_hour.chain(untold).filter(|entry| !spoiled.contains(&entry.key)) {
        let contents = published.as_ref().map(|(_, contents)| contents);
        let has_log = contents.is_some_and(|contents| contents.has_log(&entry.key));
        if has_log && !is_afresh {
            continue;
        }
        if contents.is_some_and(|contents| contents.has(&entry)) && !has_log {
            duplicates.push(Duplicate { key: entry.key, of: None });
            continue;
        }
        match entry.told.map(|told| seen.entry(told.exchange_id)) {
            None => logs.push(entry),
            Some(MapEntry::Vacant(first)) => {
                first.insert(entry.key.clone());
                logs.push(entry);
            }
            Some(MapEntry::Occupied(first)) => {
                let of = Some(first.get().clone());
                duplicates.push(Duplicate { key: entry.key, of });
            }
        }
    }
    let known = untimed.iter().map(|(entry, answer)| (entry.key.clone(), answer.clone())).collect();
    Ok(Gathered { published, bodies, logs, known, duplicates, is_afresh })
}

impl Gathered {
    /// Tells whether the published file is what it should be already, as far as keys tell.
    pub(super) fn is_done(&self) -> bool {
        self.logs.is_empty() && !self.is_afresh
    }
}
