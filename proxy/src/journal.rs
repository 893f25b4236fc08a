//! The journal on stdout: a line when an exchange starts, a line with its metrics when it is over.
//!
//! Off where nobody reads it: a server on a terminal.

use schemas::journal::{Ended, Line, Started};

use crate::facts::Facts;
use crate::stdout::Lines;

/// A method may be any word, also a token that slipped.
fn known(method: &str) -> &str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if known.contains(&method) { method } else { "OTHER" }
}

/// Writes the journal, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Journal(Option<Lines>);

impl Journal {
    /// Writes it to these lines.
    #[must_use]
    pub fn on(lines: Lines) -> Self {
        Self(Some(lines))
    }

    /// Says that an exchange starts.
    pub fn started(&self, facts: &Facts) {
        self.say(|| {
            Line::ExchangeStarted(Started {
                exchange_id: facts.id.to_string(),
                lambda_request_id: facts.lambda_request_id.clone(),
                started_at: facts.started_at,
                method: known(&facts.method).to_owned(),
            })
        });
    }

    /// Says that an exchange is over, and where its record is.
    pub fn ended(&self, ended: Ended) {
        self.say(|| Line::ExchangeEnded(Box::new(ended)));
    }

    fn say(&self, line: impl FnOnce() -> Line) {
        if let Some(lines) = &self.0 {
            // The lines hold nothing that JSON cannot.
            lines.say(serde_json::to_string(&line()).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_place_of_a_method_is_not_repeated() {
        assert_eq!((known("POST"), known("cpt_a-token-that-slipped")), ("POST", "OTHER"));
    }
}
