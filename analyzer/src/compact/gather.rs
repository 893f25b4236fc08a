//! What there is to compact in an hour: its logs, what is published of it, and which logs are new.
//!
//! The logs are listed first and the file is opened after that, as every reader does it: what another
//! compactor publishes in between is taken for what it is.

use std::collections::HashSet;
use std::sync::Arc;

use crate::hour::Hour;
use crate::hour::file::{HourFile, ReadError};
use crate::hour::parts::{Contents, open};
use crate::hour::write::Bodies;
use crate::logs::list::{Entry, folder_start, list};
use crate::logs::source::LogSource;

/// What there is to compact.
pub(super) struct Gathered {
    /// What is published, and which exchanges stand in it.
    pub(super) published: Option<(HourFile, Contents)>,
    /// Which bodies the new file keeps.
    pub(super) bodies: Bodies,
    /// Logs that become rows, or may.
    pub(super) logs: Vec<Entry>,
    /// Keys of logs whose exchange has a row, or gets one, from another log.
    pub(super) duplicates: Vec<String>,
    /// Whether rows that are published are to be made anew from their logs, where these are still there.
    pub(super) is_afresh: bool,
}

/// Gathers an hour.
pub(super) async fn gather(
    source: &Arc<dyn LogSource>,
    hour: Hour,
    bodies: Option<Bodies>,
) -> Result<Gathered, ReadError> {
    let listed = list(&**source, &hour.window()).await.map_err(ReadError::Source)?;
    let published = open(source, hour).await?;
    let kept = published.as_ref().and_then(|(file, _)| file.bodies());
    let bodies = bodies.or(kept).unwrap_or_default();
    // Bodies that are not in the file any more, or should not be, come from the logs once more.
    let is_afresh = published.is_some() && kept != Some(bodies);
    let mut gathered =
        Gathered { published: None, bodies, logs: Vec::new(), duplicates: Vec::new(), is_afresh };
    let mut seen = HashSet::new();
    // Oldest first, so that of two logs with one id the first is taken, as it is every time.
    for mut entry in listed.entries.into_iter().rev() {
        match Hour::of_log(&entry.key) {
            Some(of) if of != hour => continue,
            // Nobody knows better: then it has the same time in every hour that is asked about.
            None if entry.time == hour.start() => {
                entry.time = folder_start(&entry.key).unwrap_or(entry.time);
            }
            _ => {}
        }
        let contents = published.as_ref().map(|(_, contents)| contents);
        if contents.is_some_and(|contents| contents.has_log(&entry.key)) && !is_afresh {
            continue;
        }
        let has_row = contents.is_some_and(|contents| contents.has(&entry));
        let is_first = entry.told.is_none_or(|told| seen.insert(told.exchange_id));
        let is_other = has_row && !contents.is_some_and(|contents| contents.has_log(&entry.key));
        if is_first && !is_other {
            gathered.logs.push(entry);
        } else {
            gathered.duplicates.push(entry.key);
        }
    }
    gathered.published = published;
    Ok(gathered)
}

impl Gathered {
    /// Tells whether the published file is what it should be already, as far as keys tell.
    pub(super) fn is_done(&self) -> bool {
        self.logs.is_empty() && !self.is_afresh
    }
}
