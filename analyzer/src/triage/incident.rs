//! From troubles to incidents: what belongs together is one, and what one brought about is told with it.

use jiff::SignedDuration;
use schemas::origin::{Acts, Origin};

use super::cause::{Cause, cause};
use super::deploy::Deploy;
use super::detect::Scope;
use super::fact::{Dimension, Fact, Facts};
use super::traffic::{per_minute, rise};
use super::trouble::{Kind, Only, Trouble};
use crate::verdict::Confidence;
use crate::verdict::advice::about;
use crate::window::Window;

/// After so long without it, and with successes since, a trouble is over.
const OVER: SignedDuration = SignedDuration::from_mins(5);
/// CloudWatch is some minutes late.
const OVER_AWS: SignedDuration = SignedDuration::from_mins(10);
/// Successes that show that it is over.
const SUCCESSES: usize = 3;
/// A consequence begins no earlier than so long before its cause was noticed, and no later than so long
/// after it has ended: what is running still fills slots.
const EARLY: SignedDuration = SignedDuration::from_mins(2);
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// By so much two measures of one thing may differ by chance.
const CHANCE: SignedDuration = SignedDuration::from_mins(2);

/// So many requests that carry no name are several developers'.
const MANY: u64 = 20;

/// How much it matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// One or two developers, or few exchanges.
    Minor,
    /// Several developers, or one exchange in twenty.
    Major,
    /// One exchange in four.
    Critical,
}

impl Severity {
    /// Returns what it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

/// One incident: its cause first, and what that brought about.
#[derive(Clone, Debug)]
pub struct Incident {
    /// What it is about.
    pub trouble: Trouble,
    /// Other kinds of the same trouble.
    pub also: Vec<Trouble>,
    /// What it brought about.
    pub consequences: Vec<Trouble>,
    /// How sure the origin is.
    pub confidence: Confidence,
    /// Who has to do something.
    pub acts: Acts,
    /// How much it matters.
    pub severity: Severity,
    /// It was still there at the end.
    pub ongoing: bool,
    /// What happened, a sentence without its origin.
    pub what: String,
    /// Why, as far as the data shows it.
    pub cause: Option<String>,
    /// What to do.
    pub step: String,
    /// A sentence for the chat.
    pub say: String,
}

impl Incident {
    /// Returns from when to when it lasted: as the strongest of its kinds says, unless another lasted clearly
    /// longer.
    #[must_use]
    pub fn window(&self) -> Window {
        let (mut since, mut until) = (self.trouble.began, self.trouble.window.until);
        for Trouble { window, began, .. } in &self.also {
            if *began + CHANCE < since {
                since = *began;
            }
            if window.until > until + CHANCE {
                until = window.until;
            }
        }
        Window { since, until }
    }

    /// Returns all of its troubles.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        std::iter::once(&self.trouble).chain(&self.also).chain(&self.consequences)
    }
}

/// Makes incidents of troubles; the gravest that is there still comes first.
#[must_use]
pub fn incidents(
    troubles: Vec<Trouble>,
    facts: &Facts,
    deploys: &[Deploy],
    scope: &Scope,
) -> Vec<Incident> {
    let mut groups = group(troubles);
    let effects = take_effects(&mut groups, facts);
    let mut incidents: Vec<Incident> = groups
        .into_iter()
        .zip(effects)
        .filter_map(|(mut group, consequences)| {
            if group.is_empty() {
                return None;
            }
            // The one with the most evidence speaks for the others.
            let first = (0..group.len())
                .max_by(|a, b| group[*a].evidence.total_cmp(&group[*b].evidence))?;
            let trouble = group.swap_remove(first);
            Some(incident(trouble, group, consequences, facts, deploys, scope))
        })
        .collect();
    incidents.sort_by(|a, b| {
        let rank = |it: &Incident| (it.ongoing, it.severity);
        rank(b).cmp(&rank(a)).then_with(|| a.window().since.cmp(&b.window().since))
    });
    incidents
}

/// Puts together what is of one origin, at one time, and for the same people to mend.
fn group(troubles: Vec<Trouble>) -> Vec<Vec<Trouble>> {
    let mut groups: Vec<Vec<Trouble>> = Vec::new();
    for trouble in troubles {
        let belongs = |group: &&mut Vec<Trouble>| group.iter().any(|it| is_same(it, &trouble));
        match groups.iter_mut().find(belongs) {
            Some(group) => group.push(trouble),
            None => groups.push(vec![trouble]),
        }
    }
    groups
}

fn is_same(one: &Trouble, other: &Trouble) -> bool {
    let of_one = |trouble: &Trouble| -> Vec<String> {
        let personal = trouble.only.iter().filter(|only| only.dimension == Dimension::Developer);
        personal.map(|only| only.value.clone()).collect()
    };
    // What is only slow is of those who act where it fails.
    let who = |trouble: &Trouble| (trouble.kind != Kind::Slow).then(|| acts(trouble));
    let is_one_kind = one.origin != Origin::Aws || one.kind == other.kind;
    let same_people = match (who(one), who(other)) {
        (Some(one), Some(other)) => one == other,
        (Some(acts), None) | (None, Some(acts)) => acts == Acts::Openai || acts == Acts::Us,
        (None, None) => true,
    };
    one.origin == other.origin
        && is_one_kind
        && same_people
        && of_one(one) == of_one(other)
        && overlap(&one.window, &other.window)
}

/// Tells whether half of the shorter lies in the other.
fn overlap(one: &Window, other: &Window) -> bool {
    let since = one.since.max(other.since);
    let until = one.until.min(other.until);
    let both = until.duration_since(since);
    let shorter = one.until.duration_since(one.since).min(other.until.duration_since(other.since));
    both * 2 >= shorter
}

fn acts(trouble: &Trouble) -> Acts {
    let code = trouble.codes.first();
    about(trouble.origin, code.map_or("", |it| &it.code), code.and_then(|it| it.status)).acts
}

/// Moves what a slow-down of OpenAI brought about out of its own group, to the group of its cause.
fn take_effects(groups: &mut [Vec<Trouble>], facts: &Facts) -> Vec<Vec<Trouble>> {
    let mut effects: Vec<Vec<Trouble>> = groups.iter().map(|_| Vec::new()).collect();
    for at in 0..groups.len() {
        let Some(first) = groups[at].first() else { continue };
        if !can_be_effect(first) {
            continue;
        }
        let begun = first.window.since;
        let explains = |group: &[Trouble]| {
            group.iter().any(|it| {
                let is_slow = it.kind == Kind::Slow && it.origin == Origin::Openai;
                is_slow && it.window.since - EARLY <= begun && begun <= it.window.until + LATE
            })
        };
        let cause = (0..groups.len()).find(|cause| *cause != at && explains(&groups[*cause]));
        let Some(cause) = cause else { continue };
        let slow_since = groups[cause].iter().map(|it| it.window.since).min().unwrap_or(begun);
        if rise(facts, slow_since, per_minute(facts, &first.window)).is_none() {
            let moved = std::mem::take(&mut groups[at]);
            effects[cause].extend(moved);
        }
    }
    effects
}

/// Tells whether waiting too long for OpenAI can have brought this about: slots fill, clients and time
/// limits give up.
fn can_be_effect(trouble: &Trouble) -> bool {
    let code = trouble.codes.first().map_or("", |it| &*it.code);
    match trouble.kind {
        Kind::Throttled => true,
        Kind::Fails => {
            trouble.origin == Origin::Client && code == "client_closed"
                || trouble.origin == Origin::Aws && code == "deadline"
        }
        Kind::Slow | Kind::Refused | Kind::Died => false,
    }
}

fn incident(
    trouble: Trouble,
    also: Vec<Trouble>,
    consequences: Vec<Trouble>,
    facts: &Facts,
    deploys: &[Deploy],
    scope: &Scope,
) -> Incident {
    let ongoing = std::iter::once(&trouble)
        .chain(&also)
        .chain(&consequences)
        .any(|trouble| is_ongoing(trouble, facts, scope));
    let severity = std::iter::once(&trouble).chain(&also).map(severity).max();
    let words = super::words::words(&trouble, &also, &consequences);
    let confidence = match trouble.kind {
        // The record, or Lambda's own count, says so itself.
        Kind::Fails | Kind::Throttled if consequences.is_empty() => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let cause = cause(&trouble, facts, deploys);
    let Cause { text, acts, step, say } = cause.unwrap_or_default();
    Incident {
        severity: severity.unwrap_or(Severity::Minor),
        confidence,
        ongoing,
        what: words.what,
        cause: text,
        acts: acts.unwrap_or(words.acts),
        step: step.unwrap_or(words.step),
        say: say.unwrap_or(words.say),
        trouble,
        also,
        consequences,
    }
}

fn severity(trouble: &Trouble) -> Severity {
    let is_throttled = trouble.kind == Kind::Throttled;
    let several = trouble.blast.developers >= 3 || is_throttled && trouble.blast.exchanges >= MANY;
    match trouble.share() {
        // Who waits gets an answer.
        share if share >= 0.25 && several && trouble.kind != Kind::Slow => Severity::Critical,
        share if share >= 0.05 || several => Severity::Major,
        _ => Severity::Minor,
    }
}

/// Tells whether a trouble was there still at the end of the window, or nobody can tell.
fn is_ongoing(trouble: &Trouble, facts: &Facts, scope: &Scope) -> bool {
    let end = scope.window.until.min(scope.now);
    let over_after = if trouble.origin == Origin::Aws { OVER_AWS } else { OVER };
    if end.duration_since(trouble.window.until) < over_after {
        return true;
    }
    if trouble.origin == Origin::Aws {
        return false;
    }
    let of = |fact: &Fact| {
        let is = |only: &Only| {
            let value = fact.of(only.dimension).map(|name| facts.names.text(name));
            value == Some(only.value.as_str())
        };
        trouble.only.iter().filter(|it| it.dimension == Dimension::Model).all(is)
    };
    let good = facts.window.facts.iter().filter(|fact| {
        fact.at >= trouble.window.until && fact.failure.is_none() && (!fact.is_read || of(fact))
    });
    good.take(SUCCESSES).count() < SUCCESSES
}
