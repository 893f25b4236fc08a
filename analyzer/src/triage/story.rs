//! An incident as it is told: its cause first, what belongs to it, and what it brought about.

use jiff::Timestamp;
use schemas::origin::{Acts, Origin};

use super::detect::Scope;
use super::failures::Failures;
use super::incident::{Incident, Severity};
use super::latency::Slowness;
use super::page::Total;
use super::trouble::{Blast, Code, Kind, Only, Trouble};
use super::words::{hurt, label, past, reason};
use crate::verdict::Confidence;
use crate::window::Window;

/// One part of an incident.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Part {
    /// The layer that it was seen in.
    pub origin: Origin,
    /// What kind.
    pub kind: Kind,
    /// Its first minute.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// The end of its last minute.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// What it is, in a few words.
    pub label: String,
    /// Whom it hurt, in a few words.
    pub hurt: String,
    /// How much of what, and what is usual.
    pub reason: String,
    /// Which failures, most frequent first.
    pub codes: Vec<Code>,
    /// Whom it hurt.
    pub blast: Blast,
    /// What it is confined to.
    pub only: Vec<Only>,
    /// What took longer, where it is about time.
    pub slow: Option<Slowness>,
    /// Newest exchanges of it.
    pub samples: Vec<String>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Story {
    /// The layer that is the cause.
    pub origin: Origin,
    /// Its first minute.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// It was there when the window began.
    pub from_the_start: bool,
    /// The end of its last minute.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// It was still there at the end.
    pub ongoing: bool,
    /// How much it matters.
    pub severity: Severity,
    /// How sure the origin is.
    pub confidence: Confidence,
    /// Who has to do something.
    pub acts: Acts,
    /// What happened.
    pub what: String,
    /// Why, as far as the data shows it.
    pub cause: Option<String>,
    /// What to do.
    pub step: String,
    /// A sentence for the chat.
    pub say: String,
    /// What it consists of, the strongest first.
    pub parts: Vec<Part>,
    /// What it brought about.
    pub consequences: Vec<Part>,
}

impl Story {
    /// Tells an incident.
    pub(super) fn of(
        incident: &Incident,
        failures: &[Failures],
        before: Total,
        scope: &Scope,
    ) -> Self {
        let window = incident.window();
        let part = |trouble: &Trouble| Part::of(trouble, failures, before);
        let say = if incident.ongoing {
            format!("{} Since {}.", incident.say, clock(window.since, scope))
        } else {
            past(&incident.trouble, &between(&window, scope))
        };
        Self {
            origin: incident.trouble.origin,
            since: window.since,
            from_the_start: window.since <= scope.window.since,
            until: window.until,
            ongoing: incident.ongoing,
            severity: incident.severity,
            confidence: incident.confidence,
            acts: incident.acts,
            what: incident.what.clone(),
            cause: incident.cause.clone(),
            step: incident.step.clone(),
            say,
            parts: std::iter::once(&incident.trouble).chain(&incident.also).map(part).collect(),
            consequences: incident.consequences.iter().map(part).collect(),
        }
    }

    /// Returns why one should do what is suggested.
    pub(super) fn because(&self) -> String {
        let first = self.parts.first().map_or("", |part| &part.reason);
        match &self.cause {
            Some(cause) => format!("{cause}; {first}"),
            None => first.to_owned(),
        }
    }
}

impl Part {
    fn of(trouble: &Trouble, failures: &[Failures], before: Total) -> Self {
        let code = trouble.codes.first();
        let usual = code.and_then(|code| {
            let is_it = |row: &&Failures| row.origin == trouble.origin && row.code == code.code;
            let row = failures.iter().find(is_it)?;
            (before.exchanges > 0).then(|| row.before as f64 / before.exchanges as f64)
        });
        Self {
            origin: trouble.origin,
            kind: trouble.kind,
            since: trouble.began,
            until: trouble.window.until,
            label: label(trouble),
            hurt: hurt(trouble),
            reason: reason(trouble, usual),
            codes: trouble.codes.clone(),
            blast: trouble.blast.clone(),
            only: trouble.only.clone(),
            slow: trouble.slow,
            samples: trouble.samples.clone(),
        }
    }
}

/// Writes a moment of the window, with its day where that is not the last one's.
pub(super) fn clock(at: Timestamp, scope: &Scope) -> String {
    format!("{} UTC", day_and_time(at, scope))
}

fn day_and_time(at: Timestamp, scope: &Scope) -> String {
    let end = scope.window.until.min(scope.now);
    let is_recent = end.duration_since(at).as_hours() < 24;
    at.strftime(if is_recent { "%H:%M" } else { "%-d %b %H:%M" }).to_string()
}

/// Writes a stretch of the window: `14:02-14:31 UTC`, or `7 Oct 14:02 UTC to 9 Oct 14:31 UTC`.
fn between(window: &Window, scope: &Scope) -> String {
    let (since, until) = (window.since, window.until);
    if until.duration_since(since).as_hours() >= 24 {
        return format!("{} to {}", clock(since, scope), clock(until, scope));
    }
    format!("{}-{} UTC", day_and_time(since, scope), until.strftime("%H:%M"))
}
