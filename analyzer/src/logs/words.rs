//! Words of a text, and the search for them in bytes whose escapes are still in them.
//!
//! In come folded words; out goes whether bytes may hold them, never wrongly "no", or do hold them.
//! The words fall into runs of characters that JSON writes in one way. Of the run that is least
//! like English its three rarest bytes are looked for in both cases, sixteen bytes at a time; what
//! is found is held against its neighbours. Most bodies are passed at the speed of memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::logs::literal::Literals;
use crate::text::fold::{fold, unescaped};

/// Bytes before and behind a hit that are looked at: a gap between two words is shorter, mostly.
const NEAR: usize = 256;
/// Characters of `\u2019`, which may stand in a gap in a row.
const ESCAPE: usize = 5;
/// Hits in vain, after which another run is looked for.
const VAIN: usize = 100;
/// Pieces to choose from.
const PIECES: usize = 8;
/// How often letters stand in English text, in tenths of a percent, from a to z.
const OFTEN: [u16; 26] = [
    82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2,
    20, 1,
];

/// Words to look for.
#[derive(Debug)]
pub(crate) struct Words {
    folded: String,
    /// The runs, in their order.
    runs: Vec<Vec<u8>>,
    /// No gap between two of them holds more letters in a row.
    gap_run: usize,
    /// What can be looked for, the rarest first, and how often it was found in vain.
    rare: Vec<(Rare, AtomicUsize)>,
    literals: Vec<Literals>,
}

/// A piece of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rare {
    run: usize,
    /// Where in the run it begins.
    offset: usize,
    length: usize,
}

impl Words {
    /// Prepares the search for folded words; `None` where they hold nothing that raw bytes show.
    pub(crate) fn new(folded: &str) -> Option<Self> {
        let runs: Vec<Vec<u8>> = safe_runs(folded).map(|run| run.as_bytes().to_vec()).collect();
        // Any three bytes of any run; what is shorter only where there is nothing else.
        let pieces_of = |(run, bytes): (usize, &Vec<u8>)| {
            let length = bytes.len().min(3);
            let pieces = bytes.windows(length).enumerate();
            let rated = pieces.map(|(offset, piece)| (rate(piece), Rare { run, offset, length }));
            rated.collect::<Vec<_>>()
        };
        let mut rated: Vec<_> = runs.iter().enumerate().flat_map(pieces_of).collect();
        rated.sort_by_key(|(rate, rare)| (std::cmp::Reverse(rare.length), *rate));
        let longest = rated.first()?.1.length;
        rated.retain(|(_, rare)| rare.length == longest);
        rated.truncate(PIECES);
        let rare: Vec<_> = rated.into_iter().map(|(_, rare)| (rare, AtomicUsize::new(0))).collect();
        let odd = folded.split(|c: char| !"ki".contains(c)).map(str::len).max().unwrap_or(0);
        let gap_run = ESCAPE + odd;
        let mut words =
            Self { folded: folded.to_owned(), runs, gap_run, rare, literals: Vec::new() };
        words.literals =
            (0..words.rare.len()).map(|index| Literals::new(&words.spellings(index))).collect();
        Some(words)
    }

    /// Returns which piece is best looked for: the rarest, unless it turned out to be common.
    pub(crate) fn best(&self) -> usize {
        let vain = |index: &usize| self.rare[*index].1.load(Ordering::Relaxed) / VAIN;
        (0..self.rare.len()).min_by_key(vain).unwrap_or(0)
    }

    /// Returns how many pieces there are to choose from.
    pub(crate) fn pieces(&self) -> usize {
        self.rare.len()
    }

    /// Returns the spellings of a piece.
    pub(crate) fn spellings(&self, index: usize) -> Vec<Vec<u8>> {
        let Rare { run, offset, length } = self.rare[index].0;
        cases(&self.runs[run][offset..offset + length])
    }

    /// Tells whether the words may stand where a piece of them was found.
    pub(crate) fn may_be_at(&self, bytes: &[u8], index: usize, found: usize) -> bool {
        let (rare, vain) = &self.rare[index];
        let start = found.checked_sub(rare.offset);
        let fits = start.is_some_and(|start| self.fits(bytes, rare.run, start));
        if !fits {
            vain.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Tells whether raw bytes may hold the words. Never wrongly `false`, but where letters are
    /// escaped or packed.
    #[cfg(test)]
    pub(crate) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.hits(bytes).next().is_some()
    }

    /// Tells whether a body, of which the escapes of the record are gone but not its own, says the
    /// words. `may_hide` tells whether it escapes letters.
    pub(crate) fn are_said_in(&self, body: &[u8], may_hide: bool) -> bool {
        if !may_hide && self.hits(body).next().is_none() {
            return false;
        }
        let body = &*String::from_utf8_lossy(body);
        // Almost always the surroundings of a hit decide, and the rest need not be folded.
        let near = |at: usize| {
            let start = (at.saturating_sub(NEAR)..=at).find(|&at| body.is_char_boundary(at));
            let start = start.unwrap_or(0);
            let end = (at + NEAR + 2 * self.folded.len()).min(body.len());
            let end = (end..=body.len()).find(|&at| body.is_char_boundary(at));
            let piece = &body[start..end.unwrap_or(body.len())];
            let found = fold(&unescaped(piece, ' ')).find(&self.folded);
            // At the very edge it may be half an escape that looks like a letter.
            found.is_some_and(|found| start == 0 || found > ESCAPE)
        };
        self.hits(body.as_bytes()).any(near) || fold(&unescaped(body, ' ')).contains(&self.folded)
    }

    /// Finds where the rarest run stands with what may be its neighbours.
    fn hits<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let index = self.best();
        let found = self.literals[index].find_iter(bytes).map(|(_, at)| at);
        found.filter(move |&at| self.may_be_at(bytes, index, at))
    }

    /// Tells whether a run stands here, and its neighbours before and behind it.
    fn fits(&self, bytes: &[u8], index: usize, start: usize) -> bool {
        let run = &self.runs[index];
        let end = start + run.len();
        if !bytes.get(start..end).is_some_and(|found| found.eq_ignore_ascii_case(run)) {
            return false;
        }
        let behind = self.runs.get(index + 1).is_none_or(|next| {
            let near = &bytes[end..bytes.len().min(end + NEAR + next.len())];
            !starts_run(near.first())
                && self.near_holds(near.iter().copied(), &next.iter().copied())
        });
        behind
            && index.checked_sub(1).is_none_or(|index| {
                let before = &self.runs[index];
                let near = &bytes[start.saturating_sub(NEAR + before.len())..start];
                let (near_back, before) =
                    (near.iter().rev().copied(), before.iter().rev().copied());
                // The last letter of an escape may stand right before it.
                self.near_holds(near_back, &before)
            })
    }

    /// Tells whether bytes behind a gap begin with `run`, or may all be gap.
    fn near_holds(
        &self,
        mut bytes: impl Iterator<Item = u8> + Clone,
        run: &(impl Iterator<Item = u8> + Clone),
    ) -> bool {
        let mut in_row = 0;
        for _ in 0..=NEAR {
            // There is a gap, so the run does not stand at once.
            let Some(byte) = bytes.next() else { return false };
            let is_letter = byte.is_ascii_alphanumeric() || is_safe(char::from(byte));
            in_row = if is_letter { in_row + 1 } else { 0 };
            let mut here = bytes.clone();
            let mut expected = run.clone();
            if expected.all(|e| here.next().is_some_and(|byte| byte.to_ascii_lowercase() == e)) {
                return true;
            }
            // A word, and not the one that was looked for.
            if in_row > self.gap_run {
                return false;
            }
        }
        true
    }
}

/// Tells whether the run goes on with this byte, where there should be a gap. The two letters that
/// other alphabets fold into end a run without a gap.
fn starts_run(byte: Option<&u8>) -> bool {
    byte.is_some_and(|&byte| is_safe(char::from(byte)))
}

/// Tells whether JSON writes a character in one way, unless it escapes letters, and nothing else
/// folds into it: the Kelvin sign becomes a k, and a dotted capital I an i.
fn is_safe(c: char) -> bool {
    (c.is_ascii_alphanumeric() && !"kKiI".contains(c)) || "_.,:-".contains(c)
}

/// Returns the runs of safe characters.
pub(crate) fn safe_runs(words: &str) -> impl Iterator<Item = &str> {
    words.split(|c: char| !is_safe(c)).filter(|run| !run.is_empty())
}

/// The likelihood of a piece in text, for comparison.
fn rate(piece: &[u8]) -> u64 {
    let often = |byte: &u8| match byte {
        b'a'..=b'z' => OFTEN[usize::from(byte - b'a')],
        // Digits and punctuation are all over JSON.
        b',' | b':' | b'_' | b'0'..=b'9' => 60,
        _ => 10,
    };
    piece.iter().map(|byte| u64::from(often(byte))).product()
}

/// All spellings of a few bytes in upper and lower case.
fn cases(piece: &[u8]) -> Vec<Vec<u8>> {
    piece.iter().fold(vec![Vec::new()], |begun, byte| {
        let mut spelled = vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
        spelled.dedup();
        let spell = |begun: &Vec<u8>| {
            spelled.iter().map(|byte| [begun.as_slice(), &[*byte]].concat()).collect::<Vec<_>>()
        };
        begun.iter().flat_map(spell).collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_safe_runs_stand_for_the_words() {
        let runs = |words| safe_runs(words).collect::<Vec<_>>();
        assert_eq!(runs("temporary errors"), ["temporary", "errors"]);
        assert_eq!(runs("we're currently busy"), ["we", "re", "currently", "busy"]);
        assert_eq!(runs("{\"error\": \"x\"}"), ["error", ":", "x"]);
        assert_eq!(runs("high token"), ["h", "gh", "to", "en"]);
        assert_eq!(runs("\"\u{2019}\""), [""; 0]);
    }

    #[test]
    fn neighbours_decide_and_gaps_may_be_long() {
        let words = Words::new("temporary errors").expect("safe");
        let far = format!("temporary{}errors", "\\n \\u00a0".repeat(500));
        for text in
            ["Temporary  ERRORS", "xtemporary\\n\\t errorsx", "temporary\u{2028}errors", &far]
        {
            assert!(words.may_be_in(text.as_bytes()), "{text}");
        }
        for text in [
            "temporary",
            "errors",
            "errors temporary",
            "temporaryerrors",
            "temporary and inexplicable errors",
        ] {
            assert!(!words.may_be_in(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_other_alphabets_fold_into_is_found() {
        let words = Words::new("look-up key hit").expect("safe");
        for text in
            ["Look-Up \u{212a}ey hit", "loo\u{212a}-up key h\u{130}t", "loo\\u212a-up key hit"]
        {
            assert!(words.may_be_in(text.as_bytes()), "{text}");
        }
    }

    /// How a text says the words: in any case, with anything that folds into a space.
    fn spelled(words: &str, choices: &[u8]) -> String {
        let mut choices = choices.iter().cycle();
        let mut choose = |n: u8| choices.next().map_or(0, |choice| choice % n);
        let gaps =
            [" ", "\n", "  \t ", "\u{a0}", "\u{2502} ", "\r\n  \u{2022} ", "\\n", "\\u2028\\t"];
        let mut spelled = String::new();
        for character in words.chars() {
            match character {
                ' ' => spelled.push_str(gaps[usize::from(choose(8))]),
                '\'' if choose(2) == 0 => spelled.push('\u{2019}'),
                '"' => spelled.push_str(["\"", "\\\"", "\u{201c}"][usize::from(choose(3))]),
                c if choose(3) == 0 => spelled.extend(c.to_uppercase()),
                c => spelled.push(c),
            }
        }
        spelled
    }

    proptest! {
        #[test]
        fn what_says_the_words_is_never_passed(
            words in "[a-zA-Z0-9'\".:é-]{1,9}( [a-zA-Z0-9'\".,_-]{1,9}){0,4}",
            before in "\\PC{0,40}", after in "\\PC{0,300}", choices: Vec<u8>, twice: bool,
        ) {
            let folded = fold(&words);
            let body = format!("{before}{}{after}", spelled(&folded, &choices));
            let said = fold(&unescaped(&body, ' ')).contains(&folded);
            let Some(search) = Words::new(&folded) else { return Ok(()) };
            let may_hide = crate::logs::needle::may_hide(body.as_bytes());
            prop_assert_eq!(search.are_said_in(body.as_bytes(), may_hide), said, "{} in {}", folded, body);
            // As JSON, and as JSON in JSON.
            let once = serde_json::json!({"delta": body}).to_string();
            let json = if twice { serde_json::json!(once).to_string() } else { once };
            prop_assert!(!said || search.may_be_in(json.as_bytes()), "{} in {}", folded, json);
        }
    }
}
