//! Deploys of the proxy, as its exchanges show them: when each version answered first.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::origin::Origin;

use super::fact::{Dimension, Facts};
use super::name::Name;
use super::trouble::{Kind, Trouble};

/// A deploy explains what begins so long around it.
const AROUND: SignedDuration = SignedDuration::from_mins(10);

/// A version of the proxy that took over from another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Deploy {
    /// The version.
    pub version: String,
    /// The one that answered before.
    pub before: String,
    /// Its first exchange, of those that were read.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Its last one.
    #[schemars(with = "String")]
    pub last: Timestamp,
}

/// Finds the deploys of the window and of the time before, oldest first.
#[must_use]
pub fn deploys(facts: &Facts) -> Vec<Deploy> {
    let mut seen: BTreeMap<Name, (Timestamp, Timestamp)> = BTreeMap::new();
    for fact in facts.baseline.facts.iter().chain(&facts.window.facts) {
        if let Some(version) = fact.of(Dimension::ProxyVersion) {
            seen.entry(version).or_insert((fact.at, fact.at)).1 = fact.at;
        }
    }
    let mut seen: Vec<_> = seen.into_iter().collect();
    seen.sort_by_key(|(_, (first, _))| *first);
    let text = |name| facts.names.text(name).to_owned();
    let took_over = seen.windows(2).map(|pair| Deploy {
        version: text(pair[1].0),
        before: text(pair[0].0),
        at: pair[1].1.0,
        last: pair[1].1.1,
    });
    took_over.collect()
}

/// Returns the version that answered last.
#[must_use]
pub fn current(facts: &Facts) -> Option<&str> {
    let mut newest_first = facts.window.facts.iter().rev().chain(facts.baseline.facts.iter().rev());
    let version = newest_first.find_map(|fact| fact.of(Dimension::ProxyVersion))?;
    Some(facts.names.text(version))
}

/// Returns the deploy that a trouble began with: by the time and by what can be a proxy's doing, or because
/// no other version has the trouble.
#[must_use]
pub fn behind<'a>(trouble: &Trouble, deploys: &'a [Deploy]) -> Option<&'a Deploy> {
    deploys.iter().rev().find(|deploy| {
        let at_the_time = deploy.at.duration_since(trouble.began).abs() <= AROUND;
        let is_only = trouble.only(Dimension::ProxyVersion) == Some(&deploy.version);
        let can_be = matches!(trouble.origin, Origin::Proxy | Origin::Network | Origin::Aws);
        // Somebody's token is no matter of a version.
        let is_personal = trouble.only(Dimension::Developer).is_some();
        // Nor are requests that never reached it.
        let is_throttled = trouble.kind == Kind::Throttled;
        let fits =
            is_only && (can_be || at_the_time) || at_the_time && can_be && trouble.only.is_empty();
        fits && !is_personal && !is_throttled
    })
}
