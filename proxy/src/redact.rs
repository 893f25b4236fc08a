//! Masks what must not be stored: the OpenAI key and the presented token, by value, in whatever way
//! JSON or a URL spells it.
//!
//! The client's answer is never edited; this works on the copy for the log.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::secret::Secret;
use crate::token::{PREFIX, TOKEN_LENGTH, checksum_holds};

/// Stands in the log where a secret stood.
pub const MASK: &str = "[redacted]";

/// A secret shorter than this is left alone: masking it would tear up ordinary words.
pub(crate) const SHORTEST: usize = 8;

/// Searches texts and bodies for a few secrets, and remembers whether it found one.
pub struct Redactor {
    secrets: Vec<Secret>,
    found: bool,
}

impl Redactor {
    /// Makes a redactor for these secrets.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            if secret.expose().len() >= SHORTEST {
                spellings.extend(secret.spellings());
            }
        }
        Self { secrets: spellings, found: false }
    }

    /// Returns whether a secret was found so far.
    #[must_use]
    pub fn found(&self) -> bool {
        self.found
    }

    /// Masks secrets in a short text, which may have been cut, and whatever is a token of ours: a
    /// client that knows no better puts its token into the query.
    #[must_use]
    pub fn text(&mut self, text: String) -> String {
        if !self.may_be_in(&text) {
            return text;
        }
        let mut text = text;
        let tokens = text.match_indices(PREFIX).filter_map(|(at, _)| {
            let token = text.get(at..at + TOKEN_LENGTH)?;
            (checksum_holds(token) == Some(true)).then(|| token.to_owned())
        });
        for token in tokens.collect::<Vec<_>>() {
            self.found = true;
            text = text.replace(&token, MASK);
        }
        let masked = String::from_utf8(self.body(text.into_bytes(), true));
        masked.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Returns whether a text has to be looked at closely: a record has dozens, and hardly ever is one.
    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        static OURS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));
        let text = text.as_bytes();
        if text.len() < SHORTEST {
            return false;
        }
        let may_be =
            |secret: &Secret| secret.find(text).is_some() || secret.begun_at_end(text) >= SHORTEST;
        OURS.find(text).is_some() || self.secrets.iter().any(may_be)
    }

    /// Masks secrets in a text that is only looked at.
    pub(crate) fn clean<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if self.may_be_in(text) { self.text(text.to_owned()).into() } else { text.into() }
    }

    /// Masks secrets in an optional text.
    #[must_use]
    pub fn option(&mut self, text: Option<String>) -> Option<String> {
        text.map(|text| self.text(text))
    }

    /// Masks secrets in a body. Of a body that was cut, the beginning of a secret at its end is
    /// masked too.
    #[must_use]
    pub fn body(&mut self, mut body: Vec<u8>, was_cut: bool) -> Vec<u8> {
        for secret in &self.secrets {
            if secret.find(&body).is_some() {
                self.found = true;
                body = replace(&body, secret);
            }
        }
        let begun = self.secrets.iter().filter(|_| was_cut).map(|s| s.begun_at_end(&body)).max();
        if let Some(begun) = begun.filter(|begun| *begun >= SHORTEST) {
            self.found = true;
            body.truncate(body.len() - begun);
            body.extend_from_slice(MASK.as_bytes());
        }
        body
    }
}

fn replace(body: &[u8], secret: &Secret) -> Vec<u8> {
    let mut masked = Vec::with_capacity(body.len());
    let mut from = 0;
    for at in secret.finder().find_iter(body) {
        masked.extend_from_slice(&body[from..at]);
        masked.extend_from_slice(MASK.as_bytes());
        from = at + secret.expose().len();
    }
    masked.extend_from_slice(&body[from..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new([Secret::new("sk-canary-key"), Secret::new("cpt_canary"), Secret::new("a")])
    }

    #[test]
    fn every_occurrence_is_masked_and_noted() {
        let mut redactor = redactor();
        let body = redactor.body(b"x sk-canary-key y cpt_canary sk-canary-key a".to_vec(), false);
        assert_eq!(body, b"x [redacted] y [redacted] [redacted] a");
        assert!(redactor.found());
        assert_eq!(redactor.text("?k=cpt_canary".to_owned()), "?k=[redacted]");
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        let mut redactor = redactor();
        assert_eq!(redactor.body(b"sk-canary-ke".to_vec(), false), b"sk-canary-ke");
        assert!(!redactor.found());
    }

    #[test]
    fn the_beginning_of_a_secret_at_a_cut_end_is_masked() {
        assert_eq!(redactor().body(b"x sk-canary-k".to_vec(), true), b"x [redacted]");
    }
}
