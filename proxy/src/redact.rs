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

/// A secret shorter than this is left alone: masking it would leave nothing of a text.
pub(crate) const SHORTEST: usize = 4;
/// The beginning of a secret at the end of what was cut is left alone if it is shorter than this: it
/// would tear up ordinary words, and gives nothing away.
pub(crate) const SHORTEST_PART: usize = 8;

/// How OpenAI's keys begin, and how many characters follow at least.
const KEY_PREFIX: &str = "sk-";
const KEY_LENGTH: usize = 16;

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

    /// Masks secrets in a text of the request, which may have been cut, and whatever is a token of ours
    /// or looks like a key of OpenAI's: a client that knows no better puts them into the query, and the
    /// real key may not be known yet.
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
        while let Some((at, end)) = key_in(&text) {
            self.found = true;
            text.replace_range(at..end, MASK);
        }
        let masked = String::from_utf8(self.body(text.into_bytes(), true));
        masked.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Returns whether a text has to be looked at closely: a record has dozens, and hardly ever is one.
    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        static OURS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));
        static KEYS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KEY_PREFIX));
        let text = text.as_bytes();
        if text.len() < SHORTEST {
            return false;
        }
        let may_be = |secret: &Secret| {
            secret.find(text).is_some() || secret.begun_at_end(text) >= SHORTEST_PART
        };
        OURS.find(text).is_some() || KEYS.find(text).is_some() || self.secrets.iter().any(may_be)
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
        if let Some(begun) = begun.filter(|begun| *begun >= SHORTEST_PART) {
            self.found = true;
            body.truncate(body.len() - begun);
            body.extend_from_slice(MASK.as_bytes());
        }
        body
    }
}

/// Returns where something stands that looks like a key of OpenAI's.
fn key_in(text: &str) -> Option<(usize, usize)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.match_indices(KEY_PREFIX).find_map(|(at, _)| {
        let begins = !text[..at].ends_with(is_part);
        let rest = &text[at + KEY_PREFIX.len()..];
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        (begins && length >= KEY_LENGTH).then_some((at, at + KEY_PREFIX.len() + length))
    })
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
    fn what_looks_like_a_key_is_masked_before_the_key_is_known() {
        let mut redactor = Redactor::new([]);
        for (text, masked) in [
            ("/v1?api_key=sk-proj-0123456789abcdef", "/v1?api_key=[redacted]"),
            ("sk-0123456789abcdef x sk-abcdef0123456789", "[redacted] x [redacted]"),
            ("/v1/task-0123456789abcdef", "/v1/task-0123456789abcdef"),
            ("sk-short", "sk-short"),
        ] {
            assert_eq!(redactor.text(text.to_owned()), masked);
        }
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
