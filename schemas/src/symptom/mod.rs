//! The symptom catalogue: what a developer pastes, who wrote it, and what it proves.
//!
//! Most texts in a terminal are the client's own wording: "high demand" is what Codex CLI prints
//! for any HTTP 500 from anybody. So a row does not name a culprit. It names the *condition* that
//! the text proves (a status, a code, a missing end), and the logs are searched for that.
//!
//! Patterns are regular expressions over folded text: lower case, straight apostrophes, terminal
//! decoration removed (the analyzer's `recognise` does that). A space in a pattern is white space or
//! none, because terminals and chats break lines in the middle of words. Patterns match pieces and
//! statuses, never whole sentences, because the wording changes with the client's version.

mod aws;
mod codex;
mod edge;
mod header;
mod local;
mod network;
mod openai;
mod plain;
mod sdk;
mod vendor;

use crate::origin::{Acts, Origin};

pub use vendor::{PROGRAMS, VENDORS, Vendor};

/// One row: a text that can stand in a developer's terminal.
#[derive(Clone, Copy, Debug)]
pub struct Symptom {
    /// Stable name of the row.
    pub id: &'static str,
    /// The texts as they are printed, today's first; `{…}` stands for what varies.
    pub texts: &'static [&'static str],
    /// Regular expression over folded text. The groups `status`, `code` and `message` pick out
    /// what the text carries.
    pub pattern: &'static str,
    /// Who wrote these words.
    pub author: Origin,
    /// What the text proves about an exchange.
    pub proves: Condition,
    /// What to believe while no log says otherwise.
    pub alone: Alone,
    /// Who acts, where it is not whoever runs the layer that failed.
    pub acts: Option<Acts>,
    /// Whether its line shows the id of the answer, if the answer had one.
    pub shows_id: ShowsId,
    /// What AWS did, where these are its words; none of it leaves a log.
    pub unlogged: Option<AwsAct>,
    /// Whether other programs print it too.
    pub breadth: Breadth,
    /// What the text means, in one line.
    pub explains: &'static str,
    /// What to look at when no log settles it.
    pub checks: &'static [&'static str],
    /// Versions in which the text was seen; empty where it does not depend on one.
    pub seen: &'static str,
}

/// What a text proves about an exchange, and so what the logs are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Somebody answered with one of these statuses.
    Status(&'static [u16]),
    /// Somebody answered with the status that the text carries, or with this one where a piece of
    /// the text leaves it out.
    StatusInText(Option<u16>),
    /// The text is nothing but a status, and somebody answered with it.
    StatusAlone,
    /// The error has one of these codes.
    Code(&'static [&'static str]),
    /// The error has the code that the text carries.
    CodeInText,
    /// A stream ended, as the client sees it, without its terminal event.
    NoTerminalEvent,
    /// A body broke off in the middle.
    BodyCut,
    /// A stream fell silent.
    Silence,
    /// A stream failed or ended too early, in whatever way.
    StreamBroken,
    /// The error says the words that the text carries.
    Words,
    /// No answer came at all, so this proxy may never have seen the request.
    NoAnswer,
    /// Nothing was sent, or nothing to this proxy.
    NothingSent,
}

/// What a text makes likely by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// Nothing: several layers produce it.
    Open,
    /// This origin.
    Likely(Origin),
    /// This origin and no other: nothing else can produce the text.
    Proven(Origin),
    /// Whose id stands in the text decides, and the address that it was asked at.
    IdDecides,
}

/// Whether the line of a text shows the id of the answer, if the answer had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowsId {
    /// It does not, or not in every version.
    No,
    /// It does once the line shows an address too.
    WithAddress,
    /// It does once the line shows the status.
    WithStatus,
}

/// What AWS can do to a request without the proxy's logging anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsAct {
    /// Refuses it for want of a slot: 429.
    Throttle,
    /// Refuses it for want of a right, or because nothing stands at this URL: 403.
    Forbid,
    /// Refuses it for its size: 413.
    TooLarge,
    /// Lets the invocation die before its answer: 502 or 504, in Lambda's words.
    Die,
    /// Lets the invocation die over its answer: the stream just ends.
    Cut,
}

/// Whether other programs print a text too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Only what it is attributed to prints it.
    Own,
    /// Many programs print it, or it says little: in a long paste a text of its own goes before it.
    Common,
}

impl Symptom {
    /// A row that many programs or layers could have caused, until more is said about it.
    const fn new(id: &'static str, author: Origin, pattern: &'static str) -> Self {
        Self {
            id,
            texts: &[],
            pattern,
            author,
            proves: Condition::Words,
            alone: Alone::Open,
            acts: None,
            shows_id: ShowsId::No,
            unlogged: None,
            breadth: Breadth::Own,
            explains: "",
            checks: &[],
            seen: "",
        }
    }

    const fn texts(self, texts: &'static [&'static str]) -> Self {
        Self { texts, ..self }
    }

    const fn proves(self, proves: Condition) -> Self {
        Self { proves, ..self }
    }

    const fn likely(self, origin: Origin) -> Self {
        Self { alone: Alone::Likely(origin), ..self }
    }

    /// Only this origin can produce it, because nothing was sent to anybody.
    const fn local(self) -> Self {
        let alone = Alone::Proven(Origin::Client);
        Self { alone, proves: Condition::NothingSent, ..self }
    }

    const fn id_decides(self, shows_id: ShowsId) -> Self {
        Self { alone: Alone::IdDecides, shows_id, ..self }
    }

    const fn acts(self, acts: Acts) -> Self {
        Self { acts: Some(acts), ..self }
    }

    const fn unlogged(self, act: AwsAct) -> Self {
        Self { unlogged: Some(act), ..self }
    }

    const fn common(self) -> Self {
        Self { breadth: Breadth::Common, ..self }
    }

    const fn explains(self, explains: &'static str) -> Self {
        Self { explains, ..self }
    }

    const fn checks(self, checks: &'static [&'static str]) -> Self {
        Self { checks, ..self }
    }

    const fn seen(self, seen: &'static str) -> Self {
        Self { seen, ..self }
    }
}

/// A part of the catalogue, as the reference page shows it.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its heading.
    pub title: &'static str,
    /// Its rows.
    pub rows: &'static [Symptom],
}

/// Every part, in the order in which a text is matched against its rows: what a server wrote stands
/// inside a sentence of the client's and says more than that, and what many programs print comes
/// last.
pub const PARTS: [Part; 9] = [
    Part { title: "AWS Lambda", rows: aws::ROWS },
    Part { title: "Codex CLI, on the developer's machine", rows: local::ROWS },
    Part { title: "OpenAI", rows: openai::ROWS },
    Part { title: "OpenAI's edge", rows: edge::ROWS },
    Part { title: "Headers of an answer", rows: header::ROWS },
    Part { title: "Networks and middleboxes", rows: network::ROWS },
    Part { title: "Codex CLI, about an answer", rows: codex::ROWS },
    Part { title: "A bare status", rows: plain::ROWS },
    Part { title: "OpenAI's libraries", rows: sdk::ROWS },
];

/// Returns the catalogue, the more specific rows first.
pub fn catalogue() -> impl Iterator<Item = &'static Symptom> {
    PARTS.iter().flat_map(|part| part.rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_pattern_compiles_and_every_id_is_unique() {
        let mut ids = BTreeSet::new();
        for symptom in catalogue() {
            regex::Regex::new(symptom.pattern).unwrap_or_else(|e| panic!("{}: {e}", symptom.id));
            assert!(ids.insert(symptom.id), "{} stands twice", symptom.id);
            let is_said = !symptom.explains.is_empty() && !symptom.texts.is_empty();
            assert!(is_said && !symptom.checks.is_empty(), "{}", symptom.id);
            assert_eq!(symptom.pattern, symptom.pattern.to_lowercase(), "{}", symptom.id);
        }
    }

    #[test]
    fn what_the_condition_takes_from_the_text_is_a_group_of_the_pattern() {
        for symptom in catalogue() {
            let group = match symptom.proves {
                Condition::StatusInText(_) | Condition::StatusAlone => "(?<status>",
                Condition::CodeInText => "(?<code>",
                _ => continue,
            };
            assert!(symptom.pattern.contains(group), "{}", symptom.id);
        }
    }

    #[test]
    fn only_what_was_never_sent_here_is_proven_by_its_text() {
        for symptom in catalogue() {
            if let Alone::Proven(origin) = symptom.alone {
                assert_eq!(origin, Origin::Client, "{}", symptom.id);
                assert_eq!(symptom.proves, Condition::NothingSent, "{}", symptom.id);
            }
        }
    }
}
