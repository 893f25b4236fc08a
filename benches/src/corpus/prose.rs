//! What models say: sentences, of which some quote errors.
//!
//! No two neighbouring words make up an error text by chance, so that an answer quotes one only
//! where it was meant to.

use super::Bodies;
use crate::upstream::SplitMix;

/// Near misses, other alphabets, and everything that JSON has to escape.
const WORDS: [&str; 40] = [
    "the",
    "request",
    "mistakes",
    "were",
    "temporary",
    "files,",
    "a",
    "stream",
    "that",
    "closed",
    "rate",
    "of",
    "change",
    "token",
    "parser",
    "failed:",
    "größer",
    "naïve",
    "we\u{2019}re",
    "\"error\":",
    "null",
    "{\"ok\":true}",
    "C:\\tmp\\x",
    "if err != nil {",
    "}",
    "<b>bold</b>",
    "a\tb",
    "line\nbreak",
    "日本語",
    "🦀",
    "response",
    "completed.",
    "status 500",
    "HTTP/1.1",
    "downstream",
    "is",
    "invalid,",
    "authorization:",
    "look-up",
    "disabled.",
];

/// What an answer quotes, with `{}` for the error text.
const QUOTES: [&str; 5] = [
    "Your terminal says: {}. Let us look at it.",
    "{\"error\":{\"message\":\"{}\",\"type\":\"proxy_error\",\"param\":null}}",
    "event: error\ndata: {\"type\":\"error\",\"message\":\"{}\"}\n\n",
    "return Err(anyhow!(\"{}\"));",
    "The {} is printed by the client",
];

/// Error texts that answers quote.
const QUOTED: [&str; 8] = [
    "missing or invalid Authorization header",
    "invalid or disabled token",
    "token lookup failed",
    "upstream request failed",
    "internal error",
    "We're currently experiencing high demand, which may cause temporary errors.",
    "Rate limit reached for gpt-5.5 in organization org-x",
    "stream closed before response.completed",
];

/// The pieces of an answer of about `bytes`; some quote an error.
pub(super) fn pieces(random: &mut SplitMix, bytes: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut length = 0;
    while length < bytes {
        let words = 3 + random.below(8);
        let mut piece = String::new();
        for _ in 0..words {
            piece.push_str(WORDS[random.below(WORDS.len())]);
            piece.push(' ');
        }
        // A stream says everything twice, and an event costs something itself.
        length += 2 * piece.len() + 110;
        pieces.push(piece);
    }
    if random.below(6) == 0 {
        let at = random.below(pieces.len() + 1);
        pieces.insert(at, quote(random));
    }
    pieces
}

/// One sentence that quotes an error.
pub(super) fn quote(random: &mut SplitMix) -> String {
    let quoted = QUOTED[random.below(QUOTED.len())];
    QUOTES[random.below(QUOTES.len())].replace("{}", quoted)
}

/// The size of an answer.
pub(super) fn size(random: &mut SplitMix, bodies: Bodies) -> usize {
    /// Size at each tenth, and at 99 and 100 of a hundred.
    const QUANTILES: [(usize, usize); 7] = [
        (0, 3_000),
        (100, 8_000),
        (300, 18_000),
        (500, 30_000),
        (800, 70_000),
        (990, 300_000),
        (1_000, 600_000),
    ];
    if bodies == Bodies::Small {
        return 300 + random.below(1_800);
    }
    let rank = random.below(1_000);
    let above = QUANTILES.iter().position(|(at, _)| *at > rank).unwrap_or(QUANTILES.len() - 1);
    let ((from, low), (to, high)) = (QUANTILES[above - 1], QUANTILES[above]);
    low + (high - low) * (rank - from) / (to - from)
}
