//! Whether a text holds one of the proxy's own messages, and whether it is one or only speaks of it.
//!
//! In: the words of a piece, folded or squeezed. Out: the entry of the error catalogue. A text that names
//! several of the messages, or has one in a line of source code, is no answer of the proxy's.

use std::sync::LazyLock;

use regex::Regex;
use schemas::catalogue::{CATALOGUE, Entry, ErrorCode};

use crate::text::fold::{fold, squeeze};

/// A message of fewer words than this stands in many a text by chance.
const SENTENCE: usize = 3;
/// Characters of the end of a message that tell it where its beginning was cut off.
const TAIL: usize = 8;

/// A line of source code, or of a test that failed.
static SOURCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"[!=]==?\s*['"`]|['"`]\s*[!=]==?|\bassert\w*\b|\b(?:raise|throw|return)\s+\w+[ (]|\b(?:const|let|var|static|def|fn|func)\s+\w+|\bin\s+str\(|\.(?:includes|contains|startsWith|startswith|indexOf|toContain|toBe|toEqual)\(|\bexpect\("#,
    )
    .expect("tested")
});

/// Somebody explains what a quoted sentence means, or where it stands.
static TOLD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(?:runbook|documentation|docs|readme|guide|wiki|changelog|commit|test)\b[^.\n]*["'`“][^"'`”\n]+["'`”]|["'`“][^"'`”\n]+["'`”]\s+(?:means|meant|stands for|is (?:printed|returned|shown|sent|what)|comes from|would)\b"#,
    )
    .expect("tested")
});

/// The line below the head of a table.
static TABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^[\s|:-]*-{3,}[\s:-]*\|[\s|:-]*$").expect("tested"));

/// Finds the error whose whole message a folded text is.
pub(crate) fn message(folded: &str) -> Option<ErrorCode> {
    let squeezed = squeeze(folded);
    let is_it =
        |entry: &&Entry| squeeze(&fold(entry.message)) == squeezed || entry.name == squeezed;
    CATALOGUE.iter().find(is_it).map(|entry| entry.code)
}

/// Finds a message among other words, folded and squeezed, where it is long enough to be its own, and no
/// part of a longer sentence, unless that is about Codex.
pub(crate) fn among(folded: &str, squeezed: &str) -> Option<ErrorCode> {
    let holds = |entry: &&Entry| {
        let is_one = || squeezed.contains("codex") || !is_within(folded, entry);
        squeezed.contains(entry.name) || (says(squeezed, entry) && is_one())
    };
    CATALOGUE.iter().find(holds).map(|entry| entry.code)
}

/// Tells whether a message stands in the middle of a sentence wherever it stands: words go before it
/// and after it, with nothing between.
fn is_within(folded: &str, entry: &Entry) -> bool {
    let message = fold(entry.message);
    let mut places = folded.match_indices(&message).peekable();
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    places.peek().is_some()
        && places.all(|(at, _)| {
            let before = folded[..at].strip_suffix(' ').and_then(|text| text.chars().next_back());
            let behind = &folded[at + message.len()..];
            let after = behind.strip_prefix(' ').and_then(|text| text.chars().next());
            is_word(before) && is_word(after)
        })
}

/// Finds a message whose beginning was cut off: its end, and behind it the address and an id of ours.
pub(crate) fn end_of_one(squeezed: &str) -> Option<ErrorCode> {
    let (end, rest) = squeezed.split_once(",url:")?;
    let is_it = |entry: &&Entry| squeeze(&fold(entry.message)).ends_with(end);
    let entry = CATALOGUE.iter().find(is_it)?;
    (end.len() >= TAIL && rest.contains("requestid:cpx_")).then_some(entry.code)
}

/// Tells whether a text only speaks of the messages: it names several, or lists them in a table among
/// other errors, or has one in a line of source code.
pub(crate) fn only_names(words: &str, squeezed: &str) -> bool {
    let named = CATALOGUE.iter().filter(|entry| says(squeezed, entry)).count();
    let has_marks = squeezed.contains("cpx_") || squeezed.contains("proxy_error");
    let is_source = || {
        let holds = |line: &str| {
            let squeezed = squeeze(&fold(line));
            CATALOGUE.iter().any(|entry| says(&squeezed, entry))
        };
        words.lines().any(|line| SOURCE.is_match(line) && holds(line))
    };
    let is_told = || TOLD.is_match(words);
    !has_marks
        && (named > 1
            || (named == 1 && is_told())
            || (named == 1 && (TABLE.is_match(words) || is_source())))
}

fn says(squeezed: &str, entry: &Entry) -> bool {
    let is_sentence = entry.message.split(' ').count() >= SENTENCE;
    is_sentence && squeezed.contains(&squeeze(&fold(entry.message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fold::Squeezed;

    fn speaks(text: &str) -> bool {
        only_names(text, &Squeezed::of(&fold(text)).text)
    }

    #[test]
    fn who_speaks_of_the_messages_is_told_from_who_has_one() {
        for text in [
            r#"if "upstream request failed" in str(exc): raise RetryableError(exc)"#,
            "const FIXED = ['missing or invalid Authorization header', 'invalid or disabled token']",
            "AssertionError: assert 'unexpected status 502' == 'upstream request failed'",
            " text | who\n---|---\n high demand | OpenAI\n invalid or disabled token | the proxy",
            "it says `token lookup failed` or `upstream request failed`, and then?",
            "The runbook says \"upstream request failed\" means that OpenAI could not be reached.",
            "`invalid or disabled token` is returned for a token that was disabled",
        ] {
            assert!(speaks(text), "{text}");
        }
        for text in [
            "unexpected status 401 Unauthorized: invalid or disabled token, url: https://x/v1",
            "raise self._make_status_error(err.response) from None\nError code: 401 - invalid or disabled token",
            "I get \"invalid or disabled token\" since this morning",
            "{\"error\":{\"message\":\"token lookup failed\",\"type\":\"proxy_error\"}} == 1",
        ] {
            assert!(!speaks(text), "{text}");
        }
    }

    #[test]
    fn a_message_is_no_part_of_a_longer_sentence() {
        let found = |text: &str| {
            let folded = fold(text);
            among(&folded, &Squeezed::of(&folded).text)
        };
        assert_eq!(found("the upstream request failed with status 502 (kong)"), None);
        for text in [
            "unexpected status 502: upstream request failed, url: https://x/v1",
            "I get \"upstream request failed\" all the time",
            "502 upstream request failed",
            "today: upstream request failed again",
            "upstream requ est failed",
        ] {
            assert_eq!(found(text), Some(ErrorCode::UpstreamFailed), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_message_is_enough_before_an_id_of_ours() {
        let end = |text: &str| end_of_one(&Squeezed::of(&fold(text)).text);
        let cut = "isabled token, url: https://x/v1/responses, request id: cpx_01a200ea";
        assert_eq!(end(cut), Some(ErrorCode::InvalidToken));
        assert_eq!(end("token, url: https://x/v1, request id: cpx_01a2"), None);
        assert_eq!(end("isabled token, url: https://x/v1, request id: req_01a2"), None);
    }
}
