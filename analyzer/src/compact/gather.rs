//! What there is to compact in an hour: its logs, what is published of it, and which logs are new.
//!
//! The logs are listed first and the file is opened after that, as every reader does it: what another
//! compactor publishes in between is taken for what it is.

use std::collections::HashSet;
use std::sync::Arc;

use super::Options;
use super::order::{Known, Untimed};
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
    /// Logs of which no row was made yet, or is to be made anew.
    pub(super) logs: Vec<Entry>,
    /// Objects below `logs/` that are no logs by their names.
    pub(super) unrecognised: Vec<String>,
    /// What those say whose keys tell no hour.
    pub(super) known: Known,
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
    let contents = published.as_ref().map(|(_, contents)| contents);
    let is_new = |entry: &Entry| {
        let has_row = contents.is_some_and(|contents| contents.has_log(&entry.key));
        (is_afresh || !has_row) && !spoiled.contains(&entry.key)
    };
    let of_hour = listed.entries.into_iter().filter(|entry| Hour::of_log(&entry.key) == Some(hour));
    let untold = untimed.iter().map(|(entry, _)| entry.clone());
    let logs = of_hour.chain(untold).filter(is_new).collect();
    let known = untimed.iter().map(|(entry, answer)| (entry.key.clone(), answer.clone())).collect();
    Ok(Gathered { published, bodies, logs, unrecognised: listed.unrecognised, known, is_afresh })
}

impl Gathered {
    /// Tells whether the published file is what it should be already, as far as keys tell.
    pub(super) fn is_done(&self) -> bool {
        self.logs.is_empty() && !self.is_afresh
    }
}
