//! What must not be repeated of a paste: keys and tokens.
//!
//! In comes a text as it was pasted; out goes the same with every credential cut down to what tells
//! its kind. People paste whole commands and headers.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Masks the credentials of a text.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    static SECRET: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}|\b(sk-(?:[a-z]+-)?|cpt_|AKIA|ASIA|ghp_|github_pat_)[A-Za-z0-9_-]{8,}|(\bsha256:)[0-9a-f]{16,}")
            .expect("tested")
    });
    SECRET.replace_all(text, |found: &Captures<'_>| {
        let kind = (1..=3).find_map(|group| found.get(group)).map_or("", |kind| kind.as_str());
        // "bearer authentication" is prose.
        let is_prose = !found[0][kind.len()..].contains(|c: char| c.is_ascii_digit());
        if is_prose { found[0].to_owned() } else { format!("{kind}[masked]") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_masked_and_the_rest_stays() {
        for (text, expected) in [
            ("Authorization: Bearer sk-proj-abcDEF123456", "Authorization: Bearer [masked]"),
            ("key sk-proj-abcDEF123456 refused", "key sk-proj-[masked] refused"),
            (
                "Incorrect API key provided: cpt_abcdefgh1234.",
                "Incorrect API key provided: cpt_[masked].",
            ),
            (
                "Incorrect API key provided: sk-proj-****abcd.",
                "Incorrect API key provided: sk-proj-****abcd.",
            ),
            (
                "Missing bearer or basic authentication in header",
                "Missing bearer or basic authentication in header",
            ),
            ("request id: req_7c1f0a9be2d34c55", "request id: req_7c1f0a9be2d34c55"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
