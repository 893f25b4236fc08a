//! From what a developer pastes to what it proves.
//!
//! In comes a terminal line, a piece of one, several wrapped ones or JSON; out goes the row of the
//! symptom catalogue, who wrote the words, and what the logs are to be searched for. Decoration
//! goes first: colours, prefixes of the TUI, curly apostrophes, line breaks.

use std::sync::LazyLock;

use regex::Regex;
use schemas::body::{BodyError, Shape};
use schemas::catalogue::{CATALOGUE, ErrorCode};
use schemas::origin::Origin;
use schemas::symptom::{self, Condition, Symptom};

/// Shorter pieces of a known text stand for too many of them.
const SHORTEST_PIECE: usize = 6;

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
    /// The text is a whole line with a status, which would show an id if there had been one.
    pub would_show_id: bool,
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
    ansi: Regex,
    ids: Regex,
    prefix: Regex,
    /// Where the words of a server end within a line of Codex.
    tail: Regex,
    rows: Vec<(Regex, &'static Symptom, String)>,
}

impl Rules {
    fn new() -> Self {
        let regex = |pattern: &str| Regex::new(pattern).expect("tested with the catalogue");
        Self {
            ansi: regex("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\))"),
            ids: regex(
                r"(cpx_[0-9a-f]{32}|\breq_[0-9A-Za-z]{8,})|(?:request id|cf-ray): ([0-9A-Za-z_-]{6,})",
            ),
            prefix: regex(
                r"^(?:error: |warning: |reconnecting\.{3} \d+/\d+ \(|error running remote compact task: )+",
            ),
            tail: regex(r",? (?:url|cf-ray|request id|auth error): .*$"),
            rows: symptom::catalogue()
                .map(|symptom| (regex(symptom.pattern), symptom, fold(symptom.text)))
                .collect(),
        }
    }

    fn recognise(&self, text: &str) -> Recognised {
        let text = self.ansi.replace_all(text, "");
        let text = unwrap_json(text.trim());
        let folded = fold(&text.words);
        let folded = self.prefix.replace(&folded, "").into_owned();
        let ids = self
            .ids
            .captures_iter(&text.words)
            .filter_map(|found| found.get(1).or(found.get(2)).map(|id| id.as_str().to_owned()));
        let mut ids: Vec<String> = ids.collect();
        ids.dedup();

        let row = self.rows.iter().find(|(pattern, _, _)| pattern.is_match(&folded));
        let row = row.or_else(|| self.piece_of(&folded));
        let captures = row.and_then(|(pattern, _, _)| pattern.captures(&folded));
        let group = |name| captures.as_ref().and_then(|c| c.name(name)).map(|found| found.as_str());
        let message = group("message").map(|said| self.tail.replace(said, "").trim().to_owned());

        let has_message = message.is_some();
        let said = message.unwrap_or_else(|| folded.clone());
        let ours = text.ours.or_else(|| our_message(&said));
        let symptom = row.map(|(_, symptom, _)| *symptom);
        let author = match (ours, symptom) {
            (Some(_), _) => Some(Origin::Proxy),
            (None, Some(symptom)) => Some(symptom.author),
            (None, None) => text.is_error_body.then_some(Origin::Openai),
        };
        let mut wanted = symptom.map_or_else(Wanted::default, |symptom| {
            wanted(symptom, group("status"), group("code"), has_message)
        });
        if ours.is_none() && text.is_error_body {
            // Codex prints the body of a 400 as it is, and of nothing else.
            wanted = Wanted { statuses: vec![400], words_required: true, ..Wanted::default() };
        }
        // The client's word for an empty body is in no log.
        wanted.words = if said == "unknown error" { String::new() } else { said };
        wanted.words_required &= !wanted.words.is_empty();
        let has_status = !wanted.statuses.is_empty() && group("status").is_some();
        let would_show_id = has_status && ids.is_empty();
        Recognised { folded, symptom, ours, author, wanted, ids, would_show_id }
    }

    /// Finds the shortest known text that holds a piece: the most general one.
    fn piece_of(&self, folded: &str) -> Option<&(Regex, &'static Symptom, String)> {
        let long_enough = folded.len() >= SHORTEST_PIECE && our_message(folded).is_none();
        let holds = self.rows.iter().filter(|(_, _, text)| long_enough && text.contains(folded));
        holds.min_by_key(|(_, _, text)| text.len())
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
        Condition::StatusInText => {
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
        Condition::Words | Condition::NoAnswer | Condition::NothingSent => {}
    }
    wanted
}

/// A text out of the JSON that it may stand in.
struct Unwrapped {
    words: String,
    ours: Option<ErrorCode>,
    /// It is the body of an error, as a server sent it.
    is_error_body: bool,
}

/// Takes the words out of an event of `codex exec --json`, or out of an error body.
fn unwrap_json(text: &str) -> Unwrapped {
    let plain = || Unwrapped { words: text.to_owned(), ours: None, is_error_body: false };
    if Shape::of(text.as_bytes()) != Shape::Json {
        return plain();
    }
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return plain() };
    let event = value["type"].as_str().is_some_and(|kind| kind == "error" || kind == "turn.failed");
    let error = schemas::body::read(text.as_bytes()).error;
    let error = error.or_else(|| BodyError::from_value(&value).filter(|_| event));
    match error {
        Some(error) if event => unwrap_json(&error.message),
        // Lambda's own bodies are known as they stand.
        Some(error) if value.get("error").is_some() => Unwrapped {
            ours: error.code.as_deref().and_then(ErrorCode::from_name),
            words: error.message,
            is_error_body: true,
        },
        _ => plain(),
    }
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
