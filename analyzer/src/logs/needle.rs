//! The search in raw bytes that lets almost every object be skipped unparsed.
//!
//! In come what a question looks for, and the JSON of a record as it was stored; out goes "may
//! matter", never wrongly "no". Words are looked for by the runs of characters that JSON writes in
//! one way: white space between them may be folded, escaped or broken over lines. What could hide
//! them, a body in base64 or letters written as `\u0061`, is parsed. The structure decides later.

use std::sync::OnceLock;

use memchr::memmem::{self, Finder};
use schemas::catalogue::CATALOGUE;

use crate::logs::literal::Literals;
use crate::logs::words::Words;
use crate::text::fold::fold;

/// What a raw record must hold to be worth parsing. Each part is one way to matter.
#[derive(Debug, Default)]
pub struct Prefilter {
    /// Nothing can be excluded.
    everything: bool,
    /// Without these nothing matters: names of whoever is asked about.
    required: Vec<Finder<'static>>,
    words: Option<Words>,
    statuses: Vec<u16>,
    /// Codes and ids.
    literals: Vec<String>,
    /// Messages that mean a code.
    messages: Vec<Words>,
    /// Every failure matters.
    failures: bool,
    /// One search for all of it, by which piece of the words is looked for.
    searches: OnceLock<Vec<Search>>,
}

/// What the raw bytes of a record show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing that matters.
    Excluded,
    /// It matters if it is a failure.
    Failure,
    /// Its body may be in base64, and then is still to be searched.
    Packed,
    /// It may matter.
    Hit,
}

/// A search, and what each of its byte strings stands for.
#[derive(Debug)]
struct Search {
    literals: Literals,
    means: Vec<Means>,
}

#[derive(Clone, Copy, Debug)]
enum Means {
    /// A body may be in base64.
    Base64,
    /// A letter may be escaped.
    Escape,
    Status,
    Literal,
    Words(usize),
    Message(usize),
}

impl Prefilter {
    /// Lets every record through.
    #[must_use]
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// Lets records through that may hold all of `words`, which are folded, or one of these
    /// statuses. Without any words the statuses decide.
    #[must_use]
    pub fn new(words: &str, statuses: &[u16]) -> Self {
        let mut prefilter = Self { statuses: statuses.to_vec(), ..Self::default() };
        if !words.is_empty() {
            prefilter.words = Words::new(words);
            // Words without one safe character cannot be looked for in raw bytes.
            prefilter.everything = prefilter.words.is_none();
        }
        prefilter
    }

    /// Lets records through, too, that may hold this code or id.
    #[must_use]
    pub fn or_literal(mut self, literal: &str) -> Self {
        if is_literal(literal) {
            self.literals.push(literal.to_owned());
        } else {
            self.everything = true;
        }
        self
    }

    /// Lets records through, too, that may have this error code. A record from before version 1 has
    /// the proxy's codes only by their messages, and some only by its status.
    #[must_use]
    pub fn or_code(self, code: &str) -> Self {
        if code == "error" || code.starts_with("http_") {
            return self.or_failures();
        }
        let mut prefilter = self.or_literal(code);
        if let Some(entry) = CATALOGUE.iter().find(|entry| entry.name == code) {
            match Words::new(&fold(entry.message)) {
                Some(message) => prefilter.messages.push(message),
                None => prefilter.failures = true,
            }
        }
        prefilter
    }

    /// Lets everything through that the names do not keep back.
    #[must_use]
    pub fn or_anything(mut self) -> Self {
        self.everything = true;
        self
    }

    /// Lets every failure through.
    #[must_use]
    pub fn or_failures(mut self) -> Self {
        self.failures = true;
        self
    }

    /// Keeps back whatever does not hold this name, whatever else it holds.
    #[must_use]
    pub fn and_name(mut self, name: &str) -> Self {
        // A name that JSON may write in two ways is left to those who parse.
        if is_literal(name) {
            self.required.push(Finder::new(name).into_owned());
        }
        self
    }

    /// Tells whether a success can matter: one that a record's small fields tell need not be
    /// unpacked further otherwise.
    #[must_use]
    pub fn wants_successes(&self) -> bool {
        self.everything || self.words.is_some()
    }

    /// Returns the search for the words, if there are any that can be looked for.
    pub(crate) fn words(&self) -> Option<&Words> {
        self.words.as_ref()
    }

    /// Tells whether the small fields of a success may name what is looked for.
    #[must_use]
    pub fn may_name(&self, head: &[u8]) -> bool {
        self.literals.iter().any(|literal| memmem::find(head, literal.as_bytes()).is_some())
    }

    /// Tells whether a record may matter. Never wrongly `false`.
    #[must_use]
    pub fn may_match(&self, json: &[u8]) -> bool {
        self.look(json) != Look::Excluded
    }

    /// Tells what the raw bytes of a record show.
    pub(crate) fn look(&self, json: &[u8]) -> Look {
        let is_missing = |name: &Finder<'_>| name.find(json).is_none();
        if self.required.iter().any(is_missing) && !may_hide(json) {
            return Look::Excluded;
        }
        if self.everything {
            return Look::Hit;
        }
        match self.search(json) {
            Look::Excluded if self.failures => Look::Failure,
            look => look,
        }
    }

    /// Passes over a record once.
    fn search(&self, json: &[u8]) -> Look {
        let searches = self.searches.get_or_init(|| self.searches());
        let best = self.words.as_ref().map_or(0, Words::best);
        let Some(search) = searches.get(best) else { return Look::Excluded };
        let mut look = Look::Excluded;
        for (literal, at) in search.literals.find_iter(json) {
            let is_hit = match search.means[literal] {
                Means::Base64 => {
                    look = Look::Packed;
                    false
                }
                Means::Literal => true,
                Means::Escape => escapes_plain(json, at),
                Means::Status => self.has_status(json, at),
                Means::Words(piece) => {
                    self.words.as_ref().is_some_and(|words| words.may_be_at(json, piece, at))
                }
                Means::Message(index) => self.messages[index].may_be_at(json, 0, at),
            };
            if is_hit {
                return Look::Hit;
            }
        }
        look
    }

    fn searches(&self) -> Vec<Search> {
        let pieces = self.words.as_ref().map_or(1, Words::pieces);
        let is_empty = self.words.is_none()
            && self.statuses.is_empty()
            && self.literals.is_empty()
            && self.messages.is_empty();
        if is_empty {
            return Vec::new();
        }
        let search = |piece: usize| {
            let mut all =
                vec![(b"\"base64\"".to_vec(), Means::Base64), (b"\\u00".to_vec(), Means::Escape)];
            if !self.statuses.is_empty() {
                all.push((b"\"status\"".to_vec(), Means::Status));
            }
            all.extend(self.literals.iter().map(|one| (one.as_bytes().to_vec(), Means::Literal)));
            if let Some(words) = &self.words {
                all.extend(
                    words.spellings(piece).into_iter().map(|one| (one, Means::Words(piece))),
                );
            }
            for (index, message) in self.messages.iter().enumerate() {
                let spellings = message.spellings(0).into_iter();
                all.extend(spellings.map(|one| (one, Means::Message(index))));
            }
            let (literals, means): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            Search { literals: Literals::new(&literals), means }
        };
        (0..pieces).map(search).collect()
    }

    /// Tells whether the key at this place has one of the statuses.
    fn has_status(&self, json: &[u8], at: usize) -> bool {
        // Inside a body the quotes are escaped, so these bytes are a key of the record itself.
        let rest = &json[at + b"\"status\"".len()..];
        let rest = rest.trim_ascii_start().strip_prefix(b":").unwrap_or_default();
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|d| d.parse().ok()).is_some_and(|s| self.statuses.contains(&s))
    }
}

/// Tells whether JSON writes a text in one way only, unless it escapes letters.
fn is_literal(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.,:- ".contains(c);
    text.len() > 2 && text.chars().all(is_plain)
}

/// Tells whether a record can hold what its raw bytes do not show: in base64, or in letters written
/// as `\u0061`.
pub(crate) fn may_hide(json: &[u8]) -> bool {
    // Inside a body the quotes are escaped, so these bytes are a value of the record itself.
    memmem::find(json, b"\"base64\"").is_some()
        || memmem::find_iter(json, b"\\u00").any(|at| escapes_plain(json, at))
}

/// Tells whether the escape at this place is of a character that needs none.
fn escapes_plain(json: &[u8], at: usize) -> bool {
    let digits = json.get(at + 4..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
    let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    code.is_some_and(|code| code.is_ascii_alphanumeric() || b"_.,:- ".contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_however_json_writes_them() {
        let filter = Prefilter::new("we're currently busy", &[]);
        for json in [
            r#"{"response_body":"We\u2019re Currently Busy"}"#,
            r#"{"response_body":"{\"m\":\"we're currently busy\"}"}"#,
            r#"{"response_body":"we're\n  currently\tbusy"}"#,
            r#"{"response_body":"we're curr\u0065ntly busy"}"#,
            r#"{"response_body":"{\"m\":\"we're curr\\u0065ntly busy\"}"}"#,
            r#"{"response_encoding" : "base64","response_body":"d2UncmU="}"#,
        ] {
            assert!(filter.may_match(json.as_bytes()), "{json}");
        }
        for json in [
            r#"{"response_body":"we are busy"}"#,
            r#"{"response_body":"we're currently exceedingly busy"}"#,
            r#"{"response_body":"busy we're currently"}"#,
            r#"{"response_body":"\u0027\u003c\u001b[0m"}"#,
            r#"{"response_body":"\"base64\""}"#,
            r#"{"response_body":"\u00"}"#,
        ] {
            assert!(!filter.may_match(json.as_bytes()), "{json}");
        }
        assert!(Prefilter::new("\u{2019}", &[]).may_match(b"anything"));
        assert!(!Prefilter::new("", &[]).may_match(b"anything"));
    }

    #[test]
    fn a_status_is_found_in_any_spacing_and_not_in_a_body() {
        let filter = Prefilter::new("", &[500]);
        for json in [
            &b"{\"status\":500}"[..],
            b"{\"status\" : \"500\"}",
            b"{\"status\":\n500,",
            b"{\"st\\u0061tus\":500}",
        ] {
            assert!(filter.may_match(json), "{json:?}");
        }
        for json in [&b"{\"status\":200}"[..], br#"{"b":"{\"status\":500}"}"#, b"\"status\"", b"{}"]
        {
            assert!(!filter.may_match(json), "{json:?}");
        }
    }

    #[test]
    fn codes_ids_and_names_are_found_where_they_stand_and_where_they_may_hide() {
        let filter = Prefilter::new("", &[]).or_literal("slow_down").and_name("dev-17");
        for (json, expected) in [
            (r#"{"developer":"dev-17","error":{"code":"slow_down"}}"#, true),
            (r#"{"developer":"dev-18","error":{"code":"slow_down"}}"#, false),
            (r#"{"developer":"dev-17","error":{"code":"other"}}"#, false),
            (r#"{"developer":"d\u0065v-17","error":{"code":"slow_down"}}"#, true),
            (r#"{"developer":"dev-17","response_body":"sl\u006fw_down"}"#, true),
            (r#"{"developer":"dev-17","response_encoding":"base64"}"#, true),
        ] {
            assert_eq!(filter.may_match(json.as_bytes()), expected, "{json}");
        }
        // What JSON may write in two ways cannot be looked for.
        let odd = Prefilter::new("", &[]).or_literal("a\"b").and_name("größer");
        assert!(odd.may_match(b"{}"));
    }
}
