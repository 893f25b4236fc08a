//! What changed: values that nobody had before, or that have many more, or fewer, of the exchanges now.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::fact::{Dimension, Facts, Half};
use super::name::Name;

/// A share of the exchanges that a value must have won or lost to be named.
const SHARE: f64 = 0.1;
/// Changes that are named of each dimension.
const NAMED: usize = 3;
/// A new value is named from so many exchanges on, unless it is a version: one shows a deploy.
const FEW: u64 = 5;
/// Exchanges of the time before without which nothing is new.
const ENOUGH: u64 = 50;

/// How a value changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Nobody had it before.
    New,
    /// Nobody has it any more.
    Gone,
    /// It has a larger share.
    More,
    /// It has a smaller share.
    Less,
}

/// One value whose part changed.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Change {
    /// Of what.
    pub dimension: Dimension,
    /// Which.
    pub value: String,
    /// How.
    pub how: How,
    /// Exchanges with it in the window.
    pub exchanges: u64,
    /// Share of the window's exchanges, from 0 to 1.
    pub share: f64,
    /// Exchanges with it in the time before.
    pub before: u64,
    /// Share of those, from 0 to 1.
    pub share_before: f64,
    /// The first of the window.
    #[schemars(with = "Option<String>")]
    pub first: Option<Timestamp>,
}

#[derive(Clone, Copy, Default)]
struct Part {
    exchanges: f64,
    first: Option<Timestamp>,
}

/// Finds what changed; nothing where the time before tells too little.
#[must_use]
pub fn changes(facts: &Facts) -> Vec<Change> {
    let mut found = Vec::new();
    for dimension in Dimension::ALL {
        let (now, all) = parts(&facts.window, dimension);
        let (before, all_before) = parts(&facts.baseline, dimension);
        if all_before < ENOUGH as f64 || all <= 0.0 {
            continue;
        }
        let values: std::collections::BTreeSet<Name> =
            now.keys().chain(before.keys()).copied().collect();
        let change = |value| {
            let of_now: Part = now.get(&value).copied().unwrap_or_default();
            let of_before: Part = before.get(&value).copied().unwrap_or_default();
            let change = Change {
                dimension,
                value: facts.names.text(value).to_owned(),
                how: How::New,
                exchanges: whole(of_now.exchanges),
                share: of_now.exchanges / all,
                before: whole(of_before.exchanges),
                share_before: of_before.exchanges / all_before,
                first: of_now.first,
            };
            how(&change).map(|how| Change { how, ..change })
        };
        let mut changes: Vec<_> = values.into_iter().filter_map(change).collect();
        let size = |change: &Change| (change.share - change.share_before).abs();
        changes.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| a.value.cmp(&b.value)));
        // Who works when is nobody's news, but for who sends far more than before.
        changes.retain(|change| dimension != Dimension::Developer || change.how == How::More);
        changes.truncate(NAMED);
        found.append(&mut changes);
    }
    found
}

fn how(change: &Change) -> Option<How> {
    let is_version = matches!(change.dimension, Dimension::ProxyVersion | Dimension::Region);
    match (change.before, change.exchanges) {
        (0, 0) => None,
        (0, now) => (is_version || now >= FEW).then_some(How::New),
        (_, 0) => (change.share_before >= SHARE).then_some(How::Gone),
        _ if change.share - change.share_before >= SHARE => Some(How::More),
        _ if change.share_before - change.share >= SHARE => Some(How::Less),
        _ => None,
    }
}

/// Adds up who has how many; each that was read stands for some.
fn parts(half: &Half, dimension: Dimension) -> (BTreeMap<Name, Part>, f64) {
    let mut parts: BTreeMap<Name, Part> = BTreeMap::new();
    let mut all = 0.0;
    for fact in &half.facts {
        let Some(value) = fact.of(dimension) else { continue };
        // The key tells whose it is, so every exchange counts by itself.
        let weight = match (dimension, fact.is_read, fact.failure) {
            (Dimension::Developer, _, _) => 1.0,
            (_, false, _) => continue,
            (_, true, Some(_)) => half.failure_weight,
            (_, true, None) => half.success_weight,
        };
        let part = parts.entry(value).or_default();
        part.exchanges += weight;
        part.first = part.first.or(Some(fact.at));
        all += weight;
    }
    (parts, all)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
