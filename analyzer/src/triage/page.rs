//! The page: everything that triage says, for all of its forms. What is decided here is what stands first.

use jiff::Timestamp;
use schemas::origin::{Acts, Origin};

use super::change::{Change, changes};
use super::deploy::{Deploy, current, deploys};
use super::detect::{Scope, detect};
use super::fact::{Facts, Half};
use super::failures::{Failures, failures};
use super::gather::Gathered;
use super::incident::{Incident, Severity, incidents};
use super::latency::{Latency, latencies};
use super::pattern::{Pattern, patterns};
use super::series::Minutes;
use super::story::Story;
use super::timeline::{Timeline, timeline};
use super::trouble::Kind;
use super::usage::{Prices, Usages, usages};
use super::whole::{Hanging, Whole, hanging, whole};
use super::words::both;
use crate::aws::capacity::capacity;
use crate::aws::cloudwatch::Observed;
use crate::number::{agreeing, count, grouped};
use crate::verdict::Confidence;
use crate::window::Window;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Span {
    /// Its beginning.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// The first moment after it.
    #[schemars(with = "String")]
    pub until: Timestamp,
}

impl From<&Window> for Span {
    fn from(window: &Window) -> Self {
        Self { since: window.since, until: window.until }
    }
}

/// How things are at the end of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing that is not usual.
    Quiet,
    /// There was an incident, and it is over.
    Over,
    /// There is one.
    Ongoing,
    /// No exchange was seen.
    Unknown,
}

impl State {
    /// Returns what it is called.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Over => "over",
            Self::Ongoing => "ongoing",
            Self::Unknown => "unknown",
        }
    }
}

/// Exchanges of a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Total {
    /// All of them.
    pub exchanges: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Total {
    fn of(half: &Half) -> Self {
        let failed = half.facts.iter().filter(|fact| fact.failure.is_some()).count();
        Self { exchanges: half.facts.len() as u64, failed: failed as u64 }
    }

    /// Returns the share that failed, from 0 to 1; `None` of none.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.exchanges > 0).then(|| self.failed as f64 / self.exchanges as f64)
    }
}

/// Everything that triage says of a window. Times in sentences are UTC and say so.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Page {
    /// Version of this form.
    pub version: u32,
    /// When it was asked.
    #[schemars(with = "String")]
    pub asked_at: Timestamp,
    /// The time in question.
    pub window: Span,
    /// The time before, which tells what is usual.
    pub baseline: Span,
    /// How things are.
    pub state: State,
    /// The layer behind the first incident; null where there is none.
    pub origin: Option<Origin>,
    /// How sure that is.
    pub confidence: Confidence,
    /// The gravest of the incidents.
    pub severity: Option<Severity>,
    /// What happened, in a sentence.
    pub what: String,
    /// Who has to do something.
    pub acts: Acts,
    /// What to do.
    pub step: String,
    /// Why.
    pub reason: String,
    /// A sentence for the chat.
    pub say: String,
    /// What happened, the gravest that is there still first.
    pub incidents: Vec<Story>,
    /// Exchanges of the window.
    pub total: Total,
    /// Exchanges of the time before.
    pub total_before: Total,
    /// Failures by origin and code.
    pub failures: Vec<Failures>,
    /// Failures by their words.
    pub patterns: Vec<Pattern>,
    /// What changed against the time before.
    pub changes: Vec<Change>,
    /// Deploys of the proxy, of both times.
    pub deploys: Vec<Deploy>,
    /// Version of the proxy that answered last.
    pub proxy_version: Option<String>,
    /// How long exchanges take, and whose time that is.
    pub latencies: Vec<Latency>,
    /// Who used how many tokens.
    pub usage: Usages,
    /// What happened when.
    pub timeline: Timeline,
    /// What runs still; null where nobody could say.
    pub hanging: Option<Vec<Hanging>>,
    /// What the page rests on.
    pub whole: Whole,
}

/// Writes the page.
#[must_use]
pub fn page(
    gathered: &Gathered,
    mut observed: Option<Observed>,
    scope: &Scope,
    prices: Option<&Prices>,
) -> Page {
    let facts = &gathered.facts;
    let minutes = Minutes::of(&scope.window, scope.now);
    let whole = whole(&gathered.sources, facts, observed.as_mut());
    let observed = observed.as_ref();
    let deploys = deploys(facts);
    let troubles = detect(facts, observed, scope);
    let mut incidents = incidents(troubles, facts, &deploys, scope);
    if let Some(observed) = observed {
        for incident in &mut incidents {
            name_slots(incident, observed);
        }
    }
    let (total, total_before) = (Total::of(&facts.window), Total::of(&facts.baseline));
    let failures = failures(facts);
    let story = |incident: &Incident| Story::of(incident, &failures, total_before, scope);
    let stories: Vec<Story> = incidents.iter().map(story).collect();
    let first = First::of(&stories, facts, &total, &total_before, &whole, scope);
    Page {
        version: 1,
        asked_at: scope.now,
        window: (&scope.window.up_to(scope.now)).into(),
        baseline: (&scope.baseline).into(),
        state: first.state,
        origin: first.origin,
        confidence: first.confidence,
        severity: stories.iter().map(|story| story.severity).max(),
        what: first.what,
        acts: first.acts,
        step: first.step,
        reason: first.reason,
        say: first.say,
        incidents: stories,
        total,
        total_before,
        failures,
        patterns: patterns(facts, &minutes),
        changes: changes(facts),
        deploys,
        proxy_version: current(facts).map(str::to_owned),
        latencies: latencies(facts),
        usage: usages(facts, prices),
        timeline: timeline(facts, observed, &minutes),
        hanging: observed.filter(|it| it.lines_since.is_some()).map(hanging),
        whole,
    }
}

/// Puts the command that reserves slots in the place of the one that would tell it.
fn name_slots(incident: &mut Incident, observed: &Observed) {
    let throttled = incident.troubles().find(|it| it.kind == Kind::Throttled);
    let Some(window) = throttled.map(|it| it.window.clone()) else { return };
    let mut of_then = observed.clone();
    of_then.minutes.retain(|minute| window.overlaps(minute.at, minute.end()));
    of_then.window = window;
    if let Some(step) = capacity(&of_then, None).step() {
        incident.step = step;
    }
}

/// What stands first.
struct First {
    state: State,
    origin: Option<Origin>,
    confidence: Confidence,
    what: String,
    acts: Acts,
    step: String,
    reason: String,
    say: String,
}

impl First {
    fn of(
        stories: &[Story],
        facts: &Facts,
        total: &Total,
        before: &Total,
        whole: &Whole,
        scope: &Scope,
    ) -> Self {
        match stories.first() {
            Some(story) if story.ongoing => Self::ongoing(story, stories),
            Some(story) => Self::over(story, stories, facts, scope),
            None if total.exchanges == 0 => Self::nothing_seen(whole),
            None => Self::quiet(total, before),
        }
    }

    fn ongoing(gravest: &Story, stories: &[Story]) -> Self {
        // Where nobody here can mend the gravest, another that is there as well may be ours to mend.
        let is_ours = |story: &&Story| {
            story.ongoing && story.acts == Acts::Us && story.severity > Severity::Minor
        };
        let at = if gravest.acts == Acts::Us {
            None
        } else {
            stories.iter().position(|it| is_ours(&it))
        };
        let ours = at.map(|at| (at + 1, &stories[at]));
        Self {
            state: State::Ongoing,
            origin: Some(gravest.origin),
            confidence: gravest.confidence,
            what: gravest.what.clone(),
            acts: ours.map_or(gravest.acts, |(_, story)| story.acts),
            step: ours.map_or(gravest.step.clone(), |(number, story)| {
                format!("about {number}: {}", story.step)
            }),
            reason: ours.map_or(gravest, |(_, story)| story).because(),
            say: match ours {
                Some((_, story)) => format!("{} {}", gravest.say, story.say),
                None => gravest.say.clone(),
            },
        }
    }

    fn over(gravest: &Story, stories: &[Story], facts: &Facts, scope: &Scope) -> Self {
        let last = stories.iter().map(|story| story.until).max().unwrap_or(gravest.until);
        let after = facts.window.facts.iter().filter(|fact| fact.at >= last);
        let (all, failed) = after.fold((0, 0), |(all, failed), fact| {
            (all + 1, failed + u64::from(fact.failure.is_some()))
        });
        let since = super::story::clock(last, scope);
        let what = match (all, failed) {
            (0, _) => format!("nothing since {since}, and no exchange after it."),
            (all, 0) => format!(
                "no error since {since}; {} {} after it succeeded.",
                agreeing(all, "the one", &format!("all {}", grouped(all))),
                agreeing(all, "exchange", "exchanges")
            ),
            (all, failed) => format!(
                "no incident since {since}; of {} after it {} failed, no more than usual.",
                count(all, "exchange"),
                grouped(failed)
            ),
        };
        // What a team can mend stays to be mended.
        let to_mend = stories.iter().find(|story| story.acts == Acts::Us);
        let (acts, step, reason) = match to_mend {
            Some(story) => {
                (Acts::Us, format!("before it comes again: {}", story.step), story.because())
            }
            None => (
                Acts::Nobody,
                "nothing now; a packet for OpenAI: --support-packet case.md".to_owned(),
                gravest.because(),
            ),
        };
        Self {
            state: State::Over,
            origin: Some(gravest.origin),
            confidence: gravest.confidence,
            what,
            acts,
            step,
            reason,
            say: match stories {
                [one, other] if other.severity > Severity::Minor => both(&one.say, &other.say),
                _ => gravest.say.clone(),
            },
        }
    }

    fn quiet(total: &Total, before: &Total) -> Self {
        let percent = |total: &Total| total.share().map(|share| share * 100.0);
        let usual = percent(before)
            .map_or(String::new(), |usual| format!(" ({usual:.1}% in the time before)"));
        let failed = match total.failed {
            0 => "none failed".to_owned(),
            failed => format!(
                "{} failed, {:.1}%{usual}",
                grouped(failed),
                percent(total).unwrap_or_default()
            ),
        };
        Self {
            state: State::Quiet,
            origin: None,
            confidence: Confidence::Likely,
            what: format!("{}, {failed}; nothing stands out.", count(total.exchanges, "exchange")),
            acts: Acts::Nobody,
            step: "nothing here; for one developer's error: analyzer origin \"the text\""
                .to_owned(),
            reason: "no failure, wait or refusal is more frequent than usual".to_owned(),
            say: "Our proxy and OpenAI look fine. Send me the exact line that you see.".to_owned(),
        }
    }

    fn nothing_seen(whole: &Whole) -> Self {
        let (what, step) = if whole.unread_count > 0 || whole.unknown > 0 {
            (
                "no exchange could be read; whether anything failed is not known.",
                "see what could not be read, below; `analyzer permissions triage` prints the policy",
            )
        } else {
            (
                "no exchange was logged in this time.",
                "analyzer validate   (is anybody reaching the proxy?); or further back: --since 24h",
            )
        };
        Self {
            state: State::Unknown,
            origin: None,
            confidence: Confidence::Unknown,
            what: what.to_owned(),
            acts: Acts::Us,
            step: step.to_owned(),
            reason: "without exchanges there is nothing to judge by".to_owned(),
            say: "I see no traffic of ours at all. Is your Codex pointed at our proxy?".to_owned(),
        }
    }
}
