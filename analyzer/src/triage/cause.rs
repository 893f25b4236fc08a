//! Why an incident happened, as far as the data shows it: a deploy of the proxy, a new version of the client,
//! somebody who uses up a limit, more traffic.
//!
//! In: the trouble that speaks for the incident, the exchanges, and the deploys. Out: the cause in a few words,
//! and what has to be done then in place of what is done otherwise. Where the data shows none, none is named.

use std::collections::BTreeMap;

use schemas::origin::{Acts, Origin};

use super::deploy::{Deploy, behind, current};
use super::fact::{Dimension, Fact, Facts};
use super::name::Name;
use super::traffic::{per_minute, rise};
use super::trouble::{Kind, Trouble};
use crate::verdict::rate;
use crate::window::Window;

/// Who uses up a limit uses so many times the usual share.
const TIMES: f64 = 2.0;
/// Exchanges of the time before without which nothing is new.
const ENOUGH: usize = 50;

/// Why something happened, and what follows from that.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    /// In a few words; `None` where the data shows none.
    pub(super) text: Option<String>,
    /// Who has to do something; `None` where that does not depend on the cause.
    pub(super) acts: Option<Acts>,
    /// What to do; `None` where that does not.
    pub(super) step: Option<String>,
    /// A sentence for the chat; `None` where that does not.
    pub(super) say: Option<String>,
}

/// Finds why something happened.
pub(super) fn cause(trouble: &Trouble, facts: &Facts, deploys: &[Deploy]) -> Option<Cause> {
    deploy(trouble, facts, deploys)
        .or_else(|| new_client(trouble, facts))
        .or_else(|| heavy_user(trouble, facts))
        .or_else(|| traffic(trouble, facts))
}

/// A version of the proxy that it began with.
fn deploy(trouble: &Trouble, facts: &Facts, deploys: &[Deploy]) -> Option<Cause> {
    let Deploy { version, at, before, .. } = behind(trouble, deploys)?;
    let step = if current(facts) == Some(version) {
        format!("roll the proxy back to {before}")
    } else {
        format!("find out what broke in proxy {version} before it goes out again")
    };
    let at = at.strftime("%H:%M:%S");
    Some(Cause {
        text: Some(format!("proxy {version} was deployed then: first seen {at} UTC")),
        acts: Some(Acts::Us),
        step: Some(step),
        say: None,
    })
}

/// A version of the client that alone has the trouble, and that nobody had before.
fn new_client(trouble: &Trouble, facts: &Facts) -> Option<Cause> {
    let version = trouble.only(Dimension::ClientVersion)?;
    let of = |fact: &Fact| fact.of(Dimension::ClientVersion);
    let mut before: BTreeMap<Name, usize> = BTreeMap::new();
    for name in facts.baseline.facts.iter().filter_map(of) {
        *before.entry(name).or_default() += 1;
    }
    let is_it = |name: Name| facts.names.text(name) == version;
    let is_new = !before.keys().any(|name| is_it(*name));
    if trouble.kind != Kind::Fails || !is_new || before.values().sum::<usize>() < ENOUGH {
        return None;
    }
    let (usual, _) = before.into_iter().max_by_key(|(_, count)| *count)?;
    let usual = facts.names.text(usual);
    let first = facts.window.facts.iter().find(|fact| of(fact).is_some_and(is_it))?;
    Some(Cause {
        text: Some(format!(
            "client {version} is new here: first seen {} UTC",
            first.at.strftime("%H:%M:%S")
        )),
        acts: None,
        step: Some(format!("stay with client {usual} until that is mended; the words: --list")),
        say: Some(format!("Client {version} fails here. Stay with {usual} for now.")),
    })
}

/// Who uses far more of a rate limit than usually.
fn heavy_user(trouble: &Trouble, facts: &Facts) -> Option<Cause> {
    let code = trouble.codes.first().map_or("", |it| &*it.code);
    if trouble.kind != Kind::Fails
        || trouble.origin != Origin::Openai
        || !rate::is_rate_limit(code)
        || trouble.only(Dimension::Developer).is_some()
    {
        return None;
    }
    let within = |fact: &&Fact| trouble.window.contains(fact.at);
    let then = Shares::of(facts.window.facts.iter().filter(within));
    let before = Shares::of(&facts.baseline.facts);
    let (who, share) = then.largest()?;
    let usual = before.share(who);
    if share * 100.0 < rate::MUCH as f64 || share < usual * TIMES {
        return None;
    }
    let who = facts.names.text(who);
    let before = if before.of.is_empty() {
        String::new()
    } else {
        format!(" ({:.0}% before)", usual * 100.0)
    };
    let (share, unit) = (share * 100.0, then.unit());
    Some(Cause {
        text: Some(format!("{who} used {share:.0}% of the {unit} of that time{before}")),
        acts: Some(Acts::Us),
        step: Some(rate::stop(who)),
        say: None,
    })
}

/// Who used how much: tokens where these are known, else exchanges.
struct Shares {
    of: BTreeMap<Name, f64>,
    are_tokens: bool,
}

impl Shares {
    fn of<'a>(facts: impl IntoIterator<Item = &'a Fact> + Clone) -> Self {
        let tokens = |fact: &Fact| -> Option<f64> {
            let usage = fact.usage?;
            Some((usage.input_tokens? + usage.output_tokens?) as f64)
        };
        let are_tokens = facts.clone().into_iter().any(|fact| tokens(fact).is_some());
        let mut of: BTreeMap<Name, f64> = BTreeMap::new();
        for fact in facts {
            let Some(who) = fact.of(Dimension::Developer) else { continue };
            let used = if are_tokens { tokens(fact).unwrap_or_default() } else { 1.0 };
            *of.entry(who).or_default() += used;
        }
        Self { of, are_tokens }
    }

    fn share(&self, who: Name) -> f64 {
        let all: f64 = self.of.values().sum();
        let hers = self.of.get(&who).copied().unwrap_or_default();
        if all > 0.0 { hers / all } else { 0.0 }
    }

    fn largest(&self) -> Option<(Name, f64)> {
        let (who, _) = self.of.iter().max_by(|a, b| a.1.total_cmp(b.1))?;
        Some((*who, self.share(*who)))
    }

    fn unit(&self) -> &'static str {
        if self.are_tokens { "tokens" } else { "exchanges" }
    }
}

/// How much more was asked for, where Lambda refused for want of slots.
fn traffic(trouble: &Trouble, facts: &Facts) -> Option<Cause> {
    if trouble.kind != Kind::Throttled {
        return None;
    }
    let Window { since, until } = trouble.window;
    let minutes = until.duration_since(since).as_secs_f64() / 60.0;
    let refused = trouble.blast.exchanges as f64 / minutes.max(1.0);
    let now = per_minute(facts, &trouble.window) + refused;
    let was = rise(facts, since, now)?;
    let text =
        format!("traffic rose from {was:.0} to {now:.0} requests a minute, tries again included");
    Some(Cause { text: Some(text), ..Cause::default() })
}
