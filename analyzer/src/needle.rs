//! The search in raw bytes that lets almost every object be skipped unparsed.
//!
//! Words are looked for by their longest run of characters that JSON never writes in another way;
//! so whatever holds the words holds the run, and the few hits are decided by structure later. A
//! status is looked for behind the one key that can hold it.

use aho_corasick::AhoCorasick;
use memchr::memmem;

/// What a raw record must hold to be worth parsing.
#[derive(Debug)]
pub struct Prefilter {
    words: Option<AhoCorasick>,
    statuses: Vec<u16>,
    /// Nothing can be excluded by raw bytes.
    everything: bool,
}

impl Prefilter {
    /// Lets every record through.
    #[must_use]
    pub fn everything() -> Self {
        Self { words: None, statuses: Vec::new(), everything: true }
    }

    /// Lets records through that may hold all of one of `words`, or one of these statuses.
    #[must_use]
    pub fn new(words: &[&str], statuses: &[u16]) -> Self {
        let runs: Vec<_> = words.iter().map(|words| safe_run(words)).collect();
        let built = AhoCorasick::builder().ascii_case_insensitive(true).build(&runs);
        match built {
            Ok(words) if runs.iter().all(|run| !run.is_empty()) => {
                let words = (!runs.is_empty()).then_some(words);
                Self { words, statuses: statuses.to_vec(), everything: false }
            }
            // Words without one safe character cannot be looked for in raw bytes.
            _ => Self::everything(),
        }
    }

    /// Tells whether a record may be wanted. Never wrongly `false`.
    #[must_use]
    pub fn may_match(&self, json: &[u8]) -> bool {
        self.everything
            || self.words.as_ref().is_some_and(|words| words.is_match(json))
            || (!self.statuses.is_empty() && self.has_status(json))
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

/// Returns the longest run of characters that JSON writes in one way only.
///
/// Single spaces count, since white space is folded on both sides only where it is more than one.
fn safe_run(words: &str) -> &str {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || " _.,:-".contains(c);
    let runs = words.split(|c: char| !is_safe(c)).map(str::trim);
    runs.max_by_key(|run| run.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_safe_run_stands_for_the_words() {
        assert_eq!(safe_run("temporary errors"), "temporary errors");
        assert_eq!(safe_run("we're currently busy"), "re currently busy");
        assert_eq!(safe_run("{\"error\": \"x\"}"), "error");
        assert_eq!(safe_run("\"\u{2019}\""), "");
    }

    #[test]
    fn words_are_found_however_json_writes_what_stands_around_them() {
        let filter = Prefilter::new(&["we're currently busy"], &[]);
        assert!(filter.may_match(br#"{"response_body":"We\u2019re Currently Busy"}"#));
        assert!(filter.may_match(br#"{"response_body":"{\"m\":\"we're currently busy\"}"}"#));
        assert!(!filter.may_match(br#"{"response_body":"we are busy"}"#));
        assert!(Prefilter::new(&["\u{2019}"], &[]).may_match(b"anything"));
    }

    #[test]
    fn a_status_is_found_in_any_spacing_and_not_in_a_body() {
        let filter = Prefilter::new(&[], &[500]);
        for json in [&b"{\"status\":500}"[..], b"{\"status\" : \"500\"}", b"{\"status\":\n500,"] {
            assert!(filter.may_match(json), "{json:?}");
        }
        for json in [&b"{\"status\":200}"[..], br#"{"b":"{\"status\":500}"}"#, b"\"status\"", b"{}"]
        {
            assert!(!filter.may_match(json), "{json:?}");
        }
    }
}
