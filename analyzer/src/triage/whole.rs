//! Is the data whole? What was read, what could not be, what runs still, and whether every request is
//! accounted for.

use std::collections::HashSet;

use jiff::Timestamp;

use super::fact::Facts;
use super::gather::Sources;
use crate::aws::cloudwatch::Observed;

/// Keys that are named of each kind.
const NAMED: usize = 20;

/// An exchange that began and has not ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Hanging {
    /// Its id.
    pub exchange_id: String,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// For how many seconds it runs.
    pub seconds: u64,
}

/// What the page rests on, and what is missing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Whole {
    /// Compacted hours that were read, of the window and of the time before.
    pub hours: u64,
    /// Logs that were listed beside them.
    pub logs: u64,
    /// Logs that were read.
    pub read: u64,
    /// Logs of the window of which only the key is known.
    pub by_key: u64,
    /// Logs of the window whose keys tell nothing and that were not read.
    pub unknown: u64,
    /// Logs and hours that could not be read, with the reason.
    pub unread: Vec<String>,
    /// How many of those there are.
    pub unread_count: u64,
    /// Objects whose names are not those of logs.
    pub unrecognised: Vec<String>,
    /// Keys that tell another outcome than their record, which is believed.
    pub mismatched: Vec<String>,
    /// Exchanges whose record S3 refused and that was read from the function's lines: `analyzer recover` puts
    /// them in their place.
    pub spilled: u64,
    /// Whether every request is accounted for; null where AWS was not asked.
    pub sum: Option<String>,
    /// The time that the sum is about.
    #[schemars(with = "Option<String>")]
    pub sum_since: Option<Timestamp>,
    /// What could not be seen of AWS, with the right that is missing.
    pub unseen: Vec<String>,
}

impl Whole {
    /// Tells whether something is missing that could change the page.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.unread_count > 0
    }
}

/// Says what the page rests on.
#[must_use]
pub fn whole(sources: &Sources, facts: &Facts, observed: Option<&mut Observed>) -> Whole {
    let some = |keys: &[String]| keys.iter().take(NAMED).cloned().collect();
    let unread = sources.unread.iter().take(NAMED);
    let mut whole = Whole {
        hours: sources.hours,
        logs: sources.logs,
        read: sources.read,
        by_key: sources.by_key,
        unknown: sources.unknown,
        unread: unread.map(|unread| format!("{}: {}", unread.key, unread.why)).collect(),
        unread_count: sources.unread.len() as u64,
        unrecognised: some(&sources.unrecognised),
        mismatched: some(&sources.mismatched),
        spilled: sources.spilled.len() as u64,
        sum: None,
        sum_since: None,
        unseen: Vec::new(),
    };
    let Some(observed) = observed else { return whole };
    whole.unseen = observed.unseen.iter().map(ToString::to_string).collect();
    if !observed.saw_anything() {
        return whole;
    }
    // Figures and logs are held against each other where both are whole: whole minutes, whose lines
    // were read.
    let window = observed.whole(&observed.window);
    let ids: HashSet<String> = facts
        .window
        .facts
        .iter()
        .chain(&facts.baseline.facts)
        .filter(|fact| observed.window.contains(fact.at))
        .map(|fact| fact.exchange_id.to_string())
        .filter(|id| !sources.spilled.contains(id))
        .collect();
    observed.forget_logged(&ids);
    let is_logged = |exchange_id: &str| !sources.spilled.contains(exchange_id);
    let within = facts.window.facts.iter().filter(|fact| window.contains(fact.at));
    let logged = within.filter(|fact| is_logged(&fact.exchange_id)).count() as u64;
    whole.sum = Some(observed.sum(&window, logged).line());
    whole.sum_since = Some(window.since);
    whole
}

/// Lists what runs, the oldest first; call [`whole`] first, which knows what has ended.
#[must_use]
pub fn hanging(observed: &Observed) -> Vec<Hanging> {
    let hanging = |started: &schemas::journal::Started| Hanging {
        exchange_id: started.exchange_id.clone(),
        started_at: started.started_at,
        seconds: u64::try_from(observed.age(started).as_secs()).unwrap_or_default(),
    };
    let mut hanging: Vec<_> = observed.in_flight.iter().map(hanging).collect();
    hanging.sort_by_key(|it| it.started_at);
    hanging
}
