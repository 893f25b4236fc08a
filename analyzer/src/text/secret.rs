//! What must not be repeated of a paste: keys and tokens.
//!
//! In comes a text as it was pasted; out goes the same with every credential cut down to what tells
//! its kind. People paste whole commands and headers.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What a credential looks like: the part that stays is a group, the rest is masked.
const SHAPES: &str = concat!(
    r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}",
    r"|\b(sk-(?:[a-z]+-)?|cpt_|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|eyJ)[A-Za-z0-9_.-]{8,}",
    r"|(\bsha256:)[0-9a-f]{16,}",
    // A name that says so, and its value.
    r#"|(\b[A-Za-z0-9_-]*(?:api[_-]?key|secret|token|password|passwd)[A-Za-z0-9_-]*["']?\s*[=:]\s*["']?)[^\s"',;]{6,}"#,
    // A password in an address.
    r"|(://[^\s/:@]+:)[^\s/@]+(?:@)",
);

/// Masks the credentials of a text.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    static SECRET: LazyLock<Regex> = LazyLock::new(|| Regex::new(SHAPES).expect("tested"));
    // A terminal wraps what is long, and the rest of a key is a secret, too.
    static REST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\[masked\](?:\r?\n[ \t]*[A-Za-z0-9_-]{12,})+").expect("tested")
    });
    let once = SECRET.replace_all(text, |found: &Captures<'_>| {
        let kind = (1..=5).find_map(|group| found.get(group)).map_or("", |kind| kind.as_str());
        // "bearer authentication" and "invalid token: expired" are prose.
        let secret = &found[0][kind.len()..];
        let letters = secret.strip_prefix(|c: char| c.is_ascii_uppercase()).unwrap_or(secret);
        let is_prose = secret.len() < 16 && letters.bytes().all(|b| b.is_ascii_lowercase());
        let end = if secret.ends_with('@') { "@" } else { "" };
        if is_prose { found[0].to_owned() } else { format!("{kind}[masked]{end}") }
    });
    match REST.replace_all(&once, "[masked]") {
        Cow::Owned(all) => Cow::Owned(all),
        Cow::Borrowed(_) => once,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_masked_and_the_rest_stays() {
        for (text, expected) in [
            ("Authorization: Bearer sk-proj-abcDEF123456", "Authorization: Bearer [masked]"),
            ("bearer AbCdEfGhIjKlMnOpQrStUvWx", "bearer [masked]"),
            ("key sk-proj-abcDEF123456 refused", "key sk-proj-[masked] refused"),
            (
                "Incorrect API key provided: cpt_abcdefgh1234.",
                "Incorrect API key provided: cpt_[masked]",
            ),
            ("key sk-proj-Ab3x9Yzx9Yzx9\n  Yzx9Yzx9Yzx9 refused", "key sk-proj-[masked] refused"),
            ("key sk-proj-Ab3x9Yzx9Yzx9\nunexpected", "key sk-proj-[masked]\nunexpected"),
            ("OPENAI_API_KEY=abc123def codex", "OPENAI_API_KEY=[masked] codex"),
            (
                "{\"aws_secret_access_key\": \"wJalrXUtnFEMI\"}",
                "{\"aws_secret_access_key\": \"[masked]\"}",
            ),
            ("https://me:pa55word@proxy.corp:3128", "https://me:[masked]@proxy.corp:3128"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "eyJ[masked]"),
        ] {
            assert_eq!(masked(text), expected);
        }
        for text in [
            "Incorrect API key provided: sk-proj-****abcd.",
            "Missing bearer or basic authentication in header",
            "request id: req_7c1f0a9be2d34c55",
            "unexpected status 401 Unauthorized: invalid or disabled token, url: https://h/v1",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
