//! A row of the symptom catalogue, held against a text or a piece of one.
//!
//! In come folded and squeezed texts; out goes whether the row is meant, and what its pattern took.

use std::sync::{LazyLock, OnceLock};

use regex::{Captures, Regex};
use schemas::symptom::Symptom;

use crate::text::fold::{fold, squeeze};

/// Shorter pieces of a known text stand for too many of them.
pub(super) const SHORTEST_PIECE: usize = 10;

/// Fewer words than this stand in many a sentence in the same order.
const FEWEST_WORDS_IN_ORDER: usize = 5;

/// A row of the catalogue, ready to be held against a text.
pub(super) struct Row {
    /// Built when the set says that it matches: most never are.
    pattern: OnceLock<Regex>,
    pub(super) symptom: &'static Symptom,
    /// The row's first text, squeezed, without the status that many rows begin with.
    text: String,
    /// The words of its first text, without punctuation.
    words: Vec<String>,
}

impl Row {
    /// Matches squeezed text.
    pub(super) fn captures<'a>(&self, squeezed: &'a str) -> Option<Captures<'a>> {
        let pattern = self.pattern.get_or_init(|| {
            Regex::new(&without_spaces(self.symptom)).expect("tested with the catalogue")
        });
        pattern.captures(squeezed)
    }

    /// Makes a row ready.
    pub(super) fn of(symptom: &'static Symptom) -> Self {
        static STATUS: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^unexpected ?status ?[0-9]{3}[^:]*:").expect("tested with the catalogue")
        });
        let text = fold(symptom.texts.first().unwrap_or(&""));
        Self {
            pattern: OnceLock::new(),
            symptom,
            words: text.split(' ').map(letters).collect(),
            text: STATUS.replace(&squeeze(&text), "").into_owned(),
        }
    }

    /// Tells whether a fragment is a piece of the row's first text: as it stands, without its
    /// punctuation, or with words left out.
    pub(super) fn holds(&self, fragment: &Fragment<'_>) -> bool {
        let Fragment { squeezed, bare, words } = fragment;
        self.text.contains(squeezed)
            || (bare.len() >= SHORTEST_PIECE && letters(&self.text).contains(bare))
            || (words.len() >= FEWEST_WORDS_IN_ORDER && stand_in_order(words, &self.words))
    }
}

/// What somebody typed of a text, perhaps from memory.
pub(super) struct Fragment<'a> {
    squeezed: &'a str,
    /// Without punctuation.
    bare: String,
    words: Vec<String>,
}

impl<'a> Fragment<'a> {
    /// Takes a folded text, and the same squeezed.
    pub(super) fn of(folded: &str, squeezed: &'a str) -> Self {
        let words = folded.split(' ').map(letters).filter(|word| !word.is_empty()).collect();
        Self { squeezed, bare: letters(squeezed), words }
    }
}

/// A space in a pattern is white space or none: squeezed text has none.
pub(super) fn without_spaces(symptom: &Symptom) -> String {
    symptom.pattern.replace(' ', "")
}

/// Returns a text without its punctuation: who types from memory leaves it out.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Tells whether all words stand in a text in this order, whatever stands between them.
fn stand_in_order(words: &[String], text: &[String]) -> bool {
    let mut rest = text.iter();
    words.iter().all(|word| rest.any(|other| other == word))
}
