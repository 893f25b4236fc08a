//! The search in raw bytes that lets almost every object be skipped unparsed.
//!
//! Words are looked for one by one, by the characters that JSON writes in one way: white space
//! between them may be folded, escaped or broken over lines. Whatever holds the words holds each of
//! them, and the few hits are decided by structure later. What could hide them, a body in base64 or
//! letters written as `\u0061`, is parsed. A status is looked for behind the one key that can hold it.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

/// What a raw record must hold to be worth parsing.
#[derive(Debug)]
pub struct Prefilter {
    /// Each must occur; the longest, and so the rarest, first. Empty for none.
    words: Vec<AhoCorasick>,
    statuses: Vec<u16>,
    /// Nothing can be excluded by raw bytes.
    everything: bool,
}

impl Prefilter {
    /// Lets every record through.
    #[must_use]
    pub fn everything() -> Self {
        Self { words: Vec::new(), statuses: Vec::new(), everything: true }
    }

    /// Lets records through that may hold all of `words`, or one of these statuses. Without any
    /// words the statuses decide.
    #[must_use]
    pub fn new(words: &str, statuses: &[u16]) -> Self {
        let mut runs: Vec<_> = safe_runs(words).collect();
        runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.len()));
        let one = |run| AhoCorasick::builder().ascii_case_insensitive(true).build([run]);
        match runs.iter().map(one).collect::<Result<Vec<_>, _>>() {
            // Words without one safe character cannot be looked for in raw bytes.
            Ok(built) if words.is_empty() || !built.is_empty() => {
                Self { words: built, statuses: statuses.to_vec(), everything: false }
            }
            _ => Self::everything(),
        }
    }

    /// Tells whether a record may be wanted. Never wrongly `false`.
    #[must_use]
    pub fn may_match(&self, json: &[u8]) -> bool {
        self.everything
            || (!self.statuses.is_empty() && self.has_status(json))
            || (!self.words.is_empty()
                && (self.words.iter().all(|word| word.is_match(json)) || may_hide_words(json)))
    }

    fn has_status(&self, json: &[u8]) -> bool {
        // Inside a body the quotes are escaped, so these bytes are a key of the record itself.
        let key = b"\"status\"";
        memmem::find_iter(json, key).any(|at| {
            let rest = &json[at + key.len()..];
            let rest = rest.trim_ascii_start().strip_prefix(b":").unwrap_or_default();
            let rest = rest.trim_ascii_start();
            let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
            let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            digits.and_then(|d| d.parse().ok()).is_some_and(|s| self.statuses.contains(&s))
        })
    }
}

/// Returns the runs of characters that JSON writes in one way, unless it escapes letters.
fn safe_runs(words: &str) -> impl Iterator<Item = &str> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_.,:-".contains(c);
    words.split(move |c: char| !is_safe(c)).filter(|run| !run.is_empty())
}

/// Tells whether a record can hold words that its raw bytes do not show.
fn may_hide_words(json: &[u8]) -> bool {
    static BASE64: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new("\"base64\""));
    static ESCAPE: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new("\\u00"));
    let of_safe = |at: usize| {
        let digits = json.get(at + 4..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_some_and(|code| {
            safe_runs(char::from(code).encode_utf8(&mut [0; 4])).next().is_some()
        })
    };
    // Inside a body the quotes are escaped, so these bytes are a value of the record itself.
    BASE64.find(json).is_some() || ESCAPE.find_iter(json).any(of_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_safe_runs_stand_for_the_words() {
        let runs = |words| safe_runs(words).collect::<Vec<_>>();
        assert_eq!(runs("temporary errors"), ["temporary", "errors"]);
        assert_eq!(runs("we're currently busy"), ["we", "re", "currently", "busy"]);
        assert_eq!(runs("{\"error\": \"x\"}"), ["error", ":", "x"]);
        assert_eq!(runs("\"\u{2019}\""), [""; 0]);
    }

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
        for json in [&b"{\"status\":500}"[..], b"{\"status\" : \"500\"}", b"{\"status\":\n500,"] {
            assert!(filter.may_match(json), "{json:?}");
        }
        for json in [&b"{\"status\":200}"[..], br#"{"b":"{\"status\":500}"}"#, b"\"status\"", b"{}"]
        {
            assert!(!filter.may_match(json), "{json:?}");
        }
    }
}
