//! From what a developer pastes to what it proves.
//!
//! In comes a terminal line or a piece of one; out goes the row of the symptom catalogue, who wrote
//! the words, and what the logs are to be searched for. Decoration is gone by then (`paste`); curly
//! apostrophes, letter case and line breaks are folded here.

use std::sync::LazyLock;

use regex::Regex;
use schemas::catalogue::{CATALOGUE, ErrorCode};
use schemas::origin::Origin;
use schemas::symptom::{self, Condition, Symptom};

use crate::paste::last_error;

/// Shorter pieces of a known text stand for too many of them.
const SHORTEST_PIECE: usize = 10;

/// Fewer words than this, which nobody is known to print, many errors say by chance.
const FEWEST_WORDS: usize = 4;

/// What was recognised in a text.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The text, folded.
    pub folded: String,
    /// The row of the catalogue.
    pub symptom: Option<&'static Symptom>,
    /// The proxy's own error that the text carries.
    pub ours: Option<ErrorCode>,
    /// Who wrote the words; `None` where nothing tells.
    pub author: Option<Origin>,
    /// What to search the logs for.
    pub wanted: Wanted,
    /// Ids that the text carries, as they stand in it.
    pub ids: Vec<String>,
    /// Session that a whole run of Codex names.
    pub session: Option<String>,
    /// The text is a whole line with a status, which would show an id if there had been one.
    pub would_show_id: bool,
}

impl Recognised {
    /// Tells whether the text is only a word or two that many errors say.
    pub(crate) fn is_vague(&self) -> bool {
        let is_known = self.symptom.is_some() || self.ours.is_some();
        !is_known && self.folded.split(' ').count() < FEWEST_WORDS
    }
}

/// What to search the logs for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One of these statuses.
    pub statuses: Vec<u16>,
    /// One of these error codes.
    pub codes: Vec<String>,
    /// A stream that ended like this.
    pub ending: Option<StreamEnding>,
    /// Folded words of an error text; empty for none.
    pub words: String,
    /// The words must be there too; otherwise they are another way to match.
    pub words_required: bool,
    /// Only an answer without any words of its own will do.
    pub without_words: bool,
}

/// How a stream ended, as Codex sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnding {
    /// Without a terminal event.
    NoTerminalEvent,
    /// In the middle of the body.
    BodyCut,
    /// In silence.
    Silence,
    /// In any way but a good one.
    Broken,
}

/// Folds a text for comparison: lower case, straight apostrophes, single spaces, no decoration.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space = false;
    for character in text.chars() {
        let character = match character {
            '\u{2018}' | '\u{2019}' | '\u{02bc}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            c if c.is_whitespace() || c.is_control() => ' ',
            // Frames and bullets of the terminal user interface.
            '\u{2500}'..='\u{25ff}' | '\u{2022}' => ' ',
            c => c,
        };
        if character == ' ' {
            space = !folded.is_empty();
        } else {
            if space {
                folded.push(' ');
                space = false;
            }
            folded.extend(character.to_lowercase());
        }
    }
    folded
}

/// Recognises a text.
#[must_use]
pub fn recognise(text: &str) -> Recognised {
    static RULES: LazyLock<Rules> = LazyLock::new(Rules::new);
    RULES.recognise(text)
}

struct Rules {
    ids: Regex,
    /// Where the words of a server end within a line of Codex.
    tail: Regex,
    rows: Vec<Row>,
}

struct Row {
    pattern: Regex,
    symptom: &'static Symptom,
    /// The row's text, folded, without the status that many rows begin with.
    text: String,
}

impl Rules {
    fn new() -> Self {
        let regex = |pattern: &str| Regex::new(pattern).expect("tested with the catalogue");
        let status = regex(r"^unexpected status \d{3}[^:]*: ");
        let row = |symptom: &'static Symptom| Row {
            pattern: regex(symptom.pattern),
            symptom,
            text: status.replace(&fold(symptom.text), "").into_owned(),
        };
        Self {
            ids: regex(
                r"(cpx_[0-9a-f]{32}|\breq_[0-9A-Za-z]{8,})|(?:request id|cf-ray): ([0-9A-Za-z_-]{6,})",
            ),
            tail: regex(r",? (?:url|cf-ray|request id|auth error): .*$"),
            rows: symptom::catalogue().map(row).collect(),
        }
    }

    fn recognise(&self, text: &str) -> Recognised {
        let pasted = last_error(text);
        let folded = fold(&pasted.words);
        let ids = self
            .ids
            .captures_iter(&pasted.words)
            .filter_map(|found| found.get(1).or(found.get(2)).map(|id| id.as_str().to_owned()));
        let mut ids: Vec<String> = ids.collect();
        ids.dedup();

        let row = self.rows.iter().find(|row| row.pattern.is_match(&folded));
        let row = row.or_else(|| self.piece_of(&folded));
        let symptom = row.map(|row| row.symptom);
        let captures = row.and_then(|row| row.pattern.captures(&folded));
        let group = |name| captures.as_ref().and_then(|c| c.name(name)).map(|found| found.as_str());
        let message = group("message").map(|said| self.tail.replace(said, "").trim().to_owned());
        let message = message.filter(|message| !message.is_empty());

        let has_message = message.is_some();
        let said = message.unwrap_or_else(|| folded.clone());
        // An id that is not ours stands on an answer that is not ours.
        let foreign_id = ids.iter().any(|id| id.starts_with("req_"));
        let ours = pasted.ours.or_else(|| our_message(&said)).filter(|_| !foreign_id);
        let author = match (ours, symptom) {
            (Some(_), _) => Some(Origin::Proxy),
            (None, Some(symptom)) => Some(symptom.author),
            (None, None) => (pasted.is_error_body || foreign_id).then_some(Origin::Openai),
        };
        let mut wanted = symptom.map_or_else(Wanted::default, |symptom| {
            wanted(symptom, group("status"), group("code"), has_message)
        });
        if ours.is_none() && pasted.is_error_body {
            // Codex prints the body of a 400 as it is, and of nothing else.
            wanted = Wanted { statuses: vec![400], words_required: true, ..Wanted::default() };
        }
        if symptom.is_some_and(|symptom| symptom.proves == Condition::StatusAlone) {
            // Its digits may stand in any text.
        } else if has_message && said == "unknown error" {
            // The client's word for an empty body: in no log, and of no answer that had words.
            wanted.without_words = true;
        } else {
            wanted.words = said;
        }
        wanted.words_required &= !wanted.words.is_empty();
        // Only a whole line shows that there was no id: these two always show one that there was.
        let is_whole = folded.contains(", url: ")
            || (symptom.is_some_and(|s| s.id == "codex_retry_limit") && group("status").is_some());
        let would_show_id = is_whole && !wanted.statuses.is_empty() && ids.is_empty();
        let session = pasted.session;
        Recognised { folded, symptom, ours, author, wanted, ids, session, would_show_id }
    }

    /// Finds the known text that a piece belongs to: of several only where they prove the same.
    fn piece_of(&self, folded: &str) -> Option<&Row> {
        let tells =
            folded.len() >= SHORTEST_PIECE && folded.contains(' ') && our_message(folded).is_none();
        let is_sentence =
            |row: &&Row| row.symptom.author != Origin::Aws && row.text.contains(folded);
        let mut holds = self.rows.iter().filter(|row| tells && is_sentence(row));
        let first = holds.next()?;
        let same = |row: &Row| {
            row.symptom.proves == first.symptom.proves && row.symptom.alone == first.symptom.alone
        };
        holds.all(same).then_some(first)
    }
}

/// Finds the proxy's error whose whole message this is.
fn our_message(folded: &str) -> Option<ErrorCode> {
    let entry =
        CATALOGUE.iter().find(|entry| fold(entry.message) == folded || entry.name == folded);
    entry.map(|entry| entry.code)
}

fn wanted(
    symptom: &Symptom,
    status: Option<&str>,
    code: Option<&str>,
    has_message: bool,
) -> Wanted {
    let mut wanted = Wanted::default();
    match symptom.proves {
        Condition::Status(statuses) => wanted.statuses = statuses.to_vec(),
        Condition::StatusInText | Condition::StatusAlone => {
            wanted.statuses = status.and_then(|s| s.parse().ok()).into_iter().collect();
            wanted.words_required = has_message;
            if wanted.statuses.is_empty() && symptom.id == "codex_retry_limit" {
                wanted.statuses.push(429);
            }
        }
        Condition::Code(codes) => wanted.codes = codes.iter().map(|&c| c.to_owned()).collect(),
        Condition::CodeInText => wanted.codes = code.map(str::to_owned).into_iter().collect(),
        Condition::NoTerminalEvent => wanted.ending = Some(StreamEnding::NoTerminalEvent),
        Condition::BodyCut => wanted.ending = Some(StreamEnding::BodyCut),
        Condition::Silence => wanted.ending = Some(StreamEnding::Silence),
        Condition::StreamBroken => wanted.ending = Some(StreamEnding::Broken),
        Condition::Words | Condition::NoAnswer | Condition::NothingSent => {}
    }
    wanted
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
