//! A verdict: whose failure it was, how sure that is, and what follows.

pub mod turn;
mod focus;
pub mod evidence;
pub mod advice;
mod proof;
mod nearest;
mod refusal;
pub(crate) mod rate;
mod by_id;
mod absent;
mod presume;
mod named;
pub mod judge;
pub mod unlogged;
mod made;
pub mod corroborate;

use schemas::origin::{Acts, Origin};

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The evidence excludes the others.
    Certain,
    /// Most of it, or the text alone, points there.
    Likely,
    /// Nothing decides.
    Unknown,
}

/// Which logs a verdict is about: whom it hurt, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// None: the logs that match, if any, are evidence against.
    Nothing,
    /// Every failure that matches.
    Matches,
    /// The exchanges whose ids the text carries.
    Named,
}

/// What keeps a verdict from being certain, where one thing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// AWS could have done it too, whose refusals leave no log: CloudWatch can tell.
    Aws,
}

/// Whose failure it was, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The layer that produced the failure; `None` is the finding that nothing decides.
    pub origin: Option<Origin>,
    /// How sure that is.
    pub confidence: Confidence,
    /// What happened, a sentence.
    pub why: String,
    /// Who has to do something; `None` while the origin is unknown.
    pub acts: Option<Acts>,
    /// The evidence, a sentence each.
    pub proof: Vec<String>,
    /// What is presumably behind it, a sentence.
    pub cause: Option<String>,
    /// Evidence that points elsewhere.
    pub other: Option<String>,
    /// What to do, or to check.
    pub next_steps: Vec<String>,
    /// A sentence for the chat.
    pub say: Option<String>,
    /// Which logs it is about.
    pub about: About,
    /// The one thing that keeps it from being certain.
    pub doubt: Option<Doubt>,
}

impl Verdict {
    /// The finding that nothing decides.
    pub(crate) fn unknown(why: &str) -> Self {
        Self {
            origin: None,
            confidence: Confidence::Unknown,
            why: why.to_owned(),
            acts: None,
            proof: Vec::new(),
            cause: None,
            other: None,
            next_steps: Vec::new(),
            say: None,
            about: About::Nothing,
            doubt: None,
        }
    }

    /// What most points at, acted upon by whoever runs that layer.
    pub(crate) fn likely(origin: Origin, why: &str) -> Self {
        let acts = match origin {
            Origin::Client => Acts::Developer,
            Origin::Openai | Origin::OpenaiEdge => Acts::Openai,
            Origin::Proxy | Origin::Aws | Origin::Network => Acts::Us,
        };
        let confidence = Confidence::Likely;
        Self { origin: Some(origin), confidence, acts: Some(acts), ..Self::unknown(why) }
    }

    /// What nothing else can have produced.
    pub(crate) fn certain(origin: Origin, why: &str) -> Self {
        Self { confidence: Confidence::Certain, ..Self::likely(origin, why) }
    }

    /// Takes back certainty.
    pub(crate) fn at_most_likely(mut self) -> Self {
        if self.confidence == Confidence::Certain {
            self.confidence = Confidence::Likely;
        }
        self
    }
}
