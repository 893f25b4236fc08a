//! The symptom catalogue: what a developer pastes, who wrote it, and what it proves.
//!
//! Most texts in a terminal are the client's own wording: "high demand" is what Codex CLI prints
//! for any HTTP 500 from anybody. So a row does not name a culprit. It names the *condition* that
//! the text proves (a status, a code, a missing end), and the logs are searched for that.
//!
//! Patterns are regular expressions over folded text: lower case, straight apostrophes, single
//! spaces, terminal decoration removed (the analyzer's `recognise` does that). They match pieces
//! and statuses, never whole sentences, because the wording changes with the client's version.

mod codex;
mod servers;

use crate::origin::Origin;

/// One row: a text that can stand in a developer's terminal.
#[derive(Clone, Copy, Debug)]
pub struct Symptom {
    /// Stable name of the row.
    pub id: &'static str,
    /// The text as it is printed; `{…}` stands for what varies.
    pub text: &'static str,
    /// Regular expression over folded text. The groups `status`, `code` and `message` pick out
    /// what the text carries.
    pub pattern: &'static str,
    /// Who wrote these words.
    pub author: Origin,
    /// What the text proves about an exchange.
    pub proves: Condition,
    /// What to believe while no log says otherwise.
    pub alone: Alone,
    /// What the text means, in one line.
    pub explains: &'static str,
    /// What to look at when no log settles it.
    pub checks: &'static [&'static str],
}

/// What a text proves about an exchange, and so what the logs are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Somebody answered with one of these statuses.
    Status(&'static [u16]),
    /// Somebody answered with the status that the text carries.
    StatusInText,
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
    /// Nothing was sent.
    NothingSent,
}

/// What a text makes likely by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// Nothing: several layers produce it.
    Open,
    /// This layer.
    Likely(Origin),
    /// OpenAI if the text carries a request id, else this layer: OpenAI's answers carry one.
    IdDecides(Origin),
}

/// Every row, the more specific before the more general.
pub fn catalogue() -> impl Iterator<Item = &'static Symptom> {
    servers::SERVERS.iter().chain(codex::CODEX)
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
            assert!(!symptom.explains.is_empty() && !symptom.text.is_empty(), "{}", symptom.id);
        }
    }

    #[test]
    fn what_the_condition_takes_from_the_text_is_a_group_of_the_pattern() {
        for symptom in catalogue() {
            let group = match symptom.proves {
                Condition::StatusInText | Condition::StatusAlone => "(?<status>",
                Condition::CodeInText => "(?<code>",
                _ => continue,
            };
            assert!(symptom.pattern.contains(group), "{}", symptom.id);
        }
    }
}
