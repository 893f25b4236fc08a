//! Text that must never be printed: the OpenAI key and presented tokens.

use std::fmt;
use std::sync::{Arc, OnceLock};

use memchr::memmem::Finder;

use crate::spelling;

/// A secret text. `Debug` prints `[redacted]`; there is no `Display` and no serialisation.
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    text: Box<str>,
    /// Made once: a record has dozens of texts that must not hold the secret, and preparing the
    /// search costs more than each of them.
    finder: OnceLock<Finder<'static>>,
    /// How else it may be spelt, mostly in no other way.
    others: OnceLock<Vec<Secret>>,
}

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (finder, others) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { text: text.into(), finder, others }))
    }

    /// Returns the secret itself: for a header to OpenAI, a hash, or a search for leaks.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    /// Returns how else the secret may stand in a text (see `spelling`), and last the secret itself.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = Self> {
        let others =
            || spelling::others(self.expose()).iter().map(|text| Self::new(text)).collect();
        let others: &Vec<_> = self.0.others.get_or_init(others);
        others.iter().chain(std::iter::once(self)).cloned()
    }

    /// Returns what finds the secret in a text.
    pub(crate) fn finder(&self) -> &Finder<'static> {
        self.0.finder.get_or_init(|| Finder::new(self.0.text.as_bytes()).into_owned())
    }

    /// Returns where the secret stands first.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        if text.len() < self.0.text.len() { None } else { self.finder().find(text) }
    }

    /// Returns the length of the longest end of a text that begins the secret and is not all of it.
    pub(crate) fn begun_at_end(&self, text: &[u8]) -> usize {
        let secret = self.0.text.as_bytes();
        let Some(first) = secret.first() else { return 0 };
        let window = &text[text.len() - text.len().min(secret.len() - 1)..];
        let begins = |at: &usize| secret.starts_with(&window[*at..]);
        memchr::memchr_iter(*first, window).find(begins).map_or(0, |at| window.len() - at)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
