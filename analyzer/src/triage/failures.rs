//! Failures by origin and code: how many, whom they hurt, and how many there were before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::origin::Origin;

use super::fact::{Fact, Facts};
use super::trouble::{blast, code_of, most_frequent_status};

/// Failures of one origin and code.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Failures {
    /// The layer.
    pub origin: Origin,
    /// Code; `http_503` where only keys are known.
    pub code: String,
    /// Status that clients got most often.
    pub status: Option<u16>,
    /// Exchanges that failed so.
    pub exchanges: u64,
    /// Exchanges that did in the time before.
    pub before: u64,
    /// Developers that they hurt; of those without a name their tokens.
    pub developers: u64,
    /// Turns that they hurt; null where of too many the key alone is known, which does not tell them.
    pub turns: Option<u64>,
    /// The first of the window.
    #[schemars(with = "String")]
    pub first_seen: Timestamp,
    /// The last one.
    #[schemars(with = "String")]
    pub last_seen: Timestamp,
}

/// Counts the failures of the window, the most frequent first.
#[must_use]
pub fn failures(facts: &Facts) -> Vec<Failures> {
    let key = |fact: &Fact| Some((fact.failure?.origin, code_of(fact, facts)?));
    let mut before: BTreeMap<(Origin, String), u64> = BTreeMap::new();
    for key in facts.baseline.facts.iter().filter_map(key) {
        *before.entry(key).or_default() += 1;
    }
    let mut groups: BTreeMap<(Origin, String), Vec<&Fact>> = BTreeMap::new();
    for fact in &facts.window.facts {
        if let Some(key) = key(fact) {
            groups.entry(key).or_default().push(fact);
        }
    }
    let row = |(key, facts_of): ((Origin, String), Vec<&Fact>)| {
        let hurt = blast(&facts_of, 0, facts);
        Some(Failures {
            origin: key.0,
            before: before.get(&key).copied().unwrap_or_default(),
            code: key.1,
            status: most_frequent_status(&facts_of),
            exchanges: hurt.exchanges,
            developers: hurt.developers,
            turns: hurt.turns,
            first_seen: facts_of.first()?.at,
            last_seen: facts_of.last()?.at,
        })
    };
    let mut rows: Vec<_> = groups.into_iter().filter_map(row).collect();
    rows.sort_by(|a, b| b.exchanges.cmp(&a.exchanges).then_with(|| a.code.cmp(&b.code)));
    rows
}
