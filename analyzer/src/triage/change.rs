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
/// Standard deviations by which two shares differ that do not differ by chance.
const SURE: f64 = 4.0;
/// A value is gone if so many of it were to be expected; and new, where not all of the time before was read.
const EXPECTED: f64 = 12.0;

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
    if !facts.window.is_told() || !facts.baseline.is_told() {
        return found;
    }
    for dimension in Dimension::ALL {
        let (now, all, read) = parts(&facts.window, dimension);
        let (before, all_before, read_before) = parts(&facts.baseline, dimension);
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
            let is_sample = read_before + 0.5 < all_before;
            how(&change, read, read_before, is_sample).map(|how| Change { how, ..change })
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

/// Says how a value changed, if that is more than chance among so many that were read, and so many of the time
/// before, which may be a sample.
fn how(change: &Change, read: f64, read_before: f64, is_sample: bool) -> Option<How> {
    let is_version = matches!(change.dimension, Dimension::ProxyVersion | Dimension::Region);
    let (now, before) = (change.share, change.share_before);
    let both = (now * read + before * read_before) / (read + read_before);
    let deviation = (both * (1.0 - both) * (1.0 / read + 1.0 / read_before)).sqrt();
    let is_sure = (now - before).abs() >= SHARE.max(deviation * SURE);
    match (change.before, change.exchanges) {
        (0, 0) => None,
        (0, few) if !is_version && few < FEW => None,
        (0, _) if !is_version && is_sample && now * read_before < EXPECTED => None,
        (0, _) => Some(How::New),
        (_, 0) => (before >= SHARE && before * read >= EXPECTED).then_some(How::Gone),
        _ if !is_sure => None,
        _ if now > before => Some(How::More),
        _ => Some(How::Less),
    }
}

/// Adds up who has how many; each that was read stands for some. Returns how many there are, and how many that
/// all count alike would tell as much (Kish's effective sample size), too.
fn parts(half: &Half, dimension: Dimension) -> (BTreeMap<Name, Part>, f64, f64) {
    let mut parts: BTreeMap<Name, Part> = BTreeMap::new();
    let (mut all, mut squares) = (0.0, 0.0);
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
        squares += weight * weight;
    }
    (parts, all, all * all / squares)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges a model with so many exchanges of so many, and so many before.
    fn of(now: (u64, u64), before: (u64, u64), is_sample: bool) -> Option<How> {
        let share = |(part, all): (u64, u64)| part as f64 / all as f64;
        let change = Change {
            dimension: Dimension::Model,
            value: "gpt-5.5".to_owned(),
            how: How::New,
            exchanges: now.0,
            share: share(now),
            before: before.0,
            share_before: share(before),
            first: None,
        };
        how(&change, now.1 as f64, before.1 as f64, is_sample)
    }

    #[test]
    fn a_share_changes_by_more_than_chance_or_not_at_all() {
        for (now, before, expected) in [
            ((38, 60), (320, 640), None),
            ((380, 600), (3_200, 6_400), Some(How::More)),
            ((230, 600), (3_200, 6_400), Some(How::Less)),
            // Clear, and small.
            ((5_500, 10_000), (50_000, 100_000), None),
            ((0, 10), (120, 640), None),
            ((0, 100), (120, 640), Some(How::Gone)),
            ((4, 5_000), (0, 5_000), None),
            ((5, 5_000), (0, 5_000), Some(How::New)),
        ] {
            assert_eq!(of(now, before, false), expected, "{now:?} {before:?}");
        }
        assert_eq!(of((5, 5_000), (0, 5_000), true), None, "another sample may have shown it");
        assert_eq!(of((50, 5_000), (0, 5_000), true), Some(How::New));
    }
}
