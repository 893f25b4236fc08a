//! The words of a failure without what differs from one time to the next: ids, numbers, models,
//! durations. What is left is the same failure.
//!
//! Masks, and no template mining (Drain and its like): a fingerprint has to be the same tomorrow and on
//! another machine, whatever else was read before it.

use std::sync::LazyLock;

use regex::Regex;
use schemas::origin::Origin;
use sha2::{Digest as _, Sha256};

/// Version of the masks: another one makes other fingerprints.
pub const VERSION: u32 = 1;
/// Characters of a message that count.
const LONGEST: usize = 300;

/// What is masked, in this order; the first that fits has it.
const MASKS: [(&str, &str); 9] = [
    ("<url>", r"https?://[^\s<>'\x22`]+"),
    ("<email>", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("<time>", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
    ("<id>", r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    (
        "<id>",
        r"\b(?:req|resp|rs|msg|fc|call|run|thread|org|proj|user|file|sess|cpx|sk|item|ws)[_-][\w*.-]*[\w*]",
    ),
    (
        "<model>",
        r"(?i)\b(?:gpt|chatgpt|codex|davinci|text-embedding|whisper|dall-e|o\d)(?:-[\w.]*\w)+|\bo\d\b",
    ),
    ("<id>", r"\b(?:[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]*[a-f][0-9a-f]*\d[0-9a-f]*)\b"),
    (
        "<duration>",
        r"(?:\d+(?:\.\d+)?(?:ms|us|µs|ns|s|m|h|d))+\b|\d+(?:\.\d+)? ?(?:milliseconds?|seconds?|minutes?|hours?|days?)\b",
    ),
    ("<n>", r"\d+(?:[.,]\d+)*"),
];

/// One of each mask, by its number, in one expression: the leftmost wins, then the first.
static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let parts: Vec<_> =
        MASKS.iter().enumerate().map(|(at, (_, mask))| format!("(?P<m{at}>{mask})")).collect();
    Regex::new(&parts.join("|")).ok()
});

/// Returns the words of a message with what differs masked, on one line.
#[must_use]
pub fn masked(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(LONGEST).collect();
    let Some(any) = &*ANY else { return line };
    let replaced = any.replace_all(&line, |found: &regex::Captures<'_>| {
        let mask = (0..MASKS.len()).find(|at| found.name(&format!("m{at}")).is_some());
        mask.map_or("", |at| MASKS[at].0).to_owned()
    });
    replaced.into_owned()
}

/// Returns the fingerprint of a failure: its version, and 12 hex digits of who failed, by which code, and
/// the masked words.
#[must_use]
pub fn fingerprint(origin: Origin, code: &str, masked: &str) -> String {
    let digest = Sha256::digest(format!("{VERSION}\0{origin}\0{code}\0{masked}"));
    let number = digest.iter().take(6).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("f{VERSION}-{number:012x}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_time_to_time_is_masked() {
        for (message, expected) in [
            (
                "Rate limit reached for gpt-5.5 in organization org-x on tokens per min (TPM): \
                 Limit 2000000, Used 1990000, Requested 20000. Please try again in 300ms.",
                "Rate limit reached for <model> in organization <id> on tokens per min (TPM): \
                 Limit <n>, Used <n>, Requested <n>. Please try again in <duration>.",
            ),
            ("Please try again in 1m2.5s.", "Please try again in <duration>."),
            (
                "The model `gpt-5.3-codex-spark` does not exist",
                "The model `<model>` does not exist",
            ),
            ("The model `o3` does not exist", "The model `<model>` does not exist"),
            ("error, request ID req_011abC-9 failed", "error, request ID <id> failed"),
            ("id 01a200ea-080c-7b3e-9f1c-2d4a5b6c7d8e!", "id <id>!"),
            ("cf-ray 8f2a9b3c1d2e3f40-FRA", "cf-ray <id>-FRA"),
            ("see https://example.com/a?b=c for more", "see <url> for more"),
            ("at 2026-11-22T02:41:07.123Z,\n  again", "at <time>, again"),
            ("Incorrect API key provided: sk-x***y.", "Incorrect API key provided: <id>."),
            ("Your input exceeds the context window", "Your input exceeds the context window"),
            ("a bad face added", "a bad face added"),
            ("waited 30 seconds", "waited <duration>"),
            ("", ""),
        ] {
            assert_eq!(masked(message), expected);
        }
    }

    #[test]
    fn a_fingerprint_is_the_same_on_every_machine() {
        let one = fingerprint(Origin::Openai, "server_error", "The server had an error");
        assert_eq!(one, "f1-c13adad4f8ca");
        assert_ne!(one, fingerprint(Origin::Proxy, "server_error", "The server had an error"));
    }

    proptest! {
        #[test]
        fn masking_never_panics_and_numbers_never_stay(text in "\\PC*", number: u64) {
            let _ = masked(&text);
            let one = masked(&format!("failed after {number} tries"));
            prop_assert_eq!(one, "failed after <n> tries");
        }
    }
}
