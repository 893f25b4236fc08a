//! What an answer tells, whichever API tells it.
//!
//! [`responses`](super::responses) and [`chat`](super::chat) put a [`Story`] into their own words.

use serde::Serialize;

use super::fault::Last;

/// A fixed time (2026-09-21T14:13:20Z), so that only ids differ between two runs.
pub(crate) const CREATED_AT: u64 = 1_790_000_000;

/// The contents of one answer.
pub(crate) struct Story<'a> {
    /// The stem of the ids.
    pub(crate) id: &'a str,
    pub(crate) model: &'a str,
    pub(crate) text: &'a str,
    pub(crate) last: Last,
}

impl<'a> Story<'a> {
    /// Returns the text word by word, as far as this answer gets.
    pub(crate) fn deltas(&self) -> Vec<&'a str> {
        let mut words: Vec<_> = self.text.split_inclusive(' ').collect();
        match self.last {
            Last::Completed | Last::Incomplete { .. } => {}
            Last::Failed { .. } | Last::Error(_) | Last::Nothing => {
                words.truncate(words.len().div_ceil(2));
            }
        }
        words
    }

    /// Returns the message of a failure with this answer's request id in it.
    pub(crate) fn message(&self, template: &str) -> String {
        template.replace("{request_id}", &format!("req_{}", self.id))
    }
}

/// Writes JSON as OpenAI streams it.
pub(crate) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data is always JSON")
}

/// Writes JSON as OpenAI sends what is not streamed: over several lines.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data is always JSON")
}
