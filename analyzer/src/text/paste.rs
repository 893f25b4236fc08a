//! From what was pasted to the errors in it: colours, marks, quoting and escapes off.
//!
//! People paste a line, a wrapped line, a whole run of `codex exec` with its tries, the events of
//! `codex exec --json`, a line of some log, or a chat message with more than one program's errors.
//! In comes the paste; out come its pieces in their order, each with one error at most. Which of
//! them is the one that the developer is left with is decided by what they say (`recognise`).

use std::sync::LazyLock;

use regex::Regex;
use schemas::body::{self, BodyError};
use schemas::catalogue::ErrorCode;
use serde_json::Value;

use crate::text::fold::unescaped;
use crate::text::ids::{Moment, moment};
use crate::text::python;

/// Pieces that are looked at, from the end: an error is not buried deeper than this.
const LAST_PIECES: usize = 400;

/// Bytes in which a body is looked for; Codex prints 1,000 of one at most, other programs more.
const BODY_BYTES: usize = 64 << 10;

/// Objects that a piece is searched for.
const OBJECTS: usize = 8;

/// Characters that a terminal may leave free at the end of a line that it breaks.
const BREAK: usize = 3;

/// How deep a text may be escaped: JSON in JSON in JSON.
const ESCAPED: usize = 3;

/// What marks the beginning of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// Nothing does.
    None,
    /// `ERROR:` and its like, which every program prints.
    Word,
    /// A sign of Codex's terminal user interface, or a failed event of its JSON output.
    Sign,
}

/// A part of a paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its words, lines kept.
    pub(crate) words: String,
    /// How it begins.
    pub(crate) mark: Mark,
    /// When it was printed, if it says so.
    pub(crate) at: Option<Moment>,
}

impl Piece {
    pub(crate) fn new(mark: Mark, words: String) -> Self {
        Self { words, mark, at: None }
    }
}

/// What was pasted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paste {
    /// Its pieces, in their order.
    pub(crate) pieces: Vec<Piece>,
    /// Session that it names.
    pub(crate) session: Option<String>,
    /// The words of an old Codex, which shows no id of an answer.
    pub(crate) by_old_client: bool,
}

/// A moment at the beginning of a line of some log.
const TIME: &str = r"(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.,Z+:-]*\]?\s*)?";

struct Marks {
    ansi: Regex,
    session: Regex,
    /// Where an error begins.
    word: Regex,
    sign: Regex,
    /// Where a run of Codex ends, and a shell goes on.
    end: Regex,
    /// How a chat, a mail or a frame begins and ends a line.
    quote: Regex,
    frame: Regex,
    /// What Codex says of itself while it waits.
    waiting: Regex,
    old: Regex,
    /// What may stand before the words of an error.
    prefix: Regex,
    /// The words of a try that is not the last one.
    wrapper: Regex,
    retrying: Regex,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("tested");
    Marks {
        ansi: regex("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[()][A-Z0-9])"),
        session: regex(
            r#"(?i)(?:\b(?:session|thread|conversation)(?:[ _-]?id)?["']?\s*[:=]\s*["']?|\bresume\s+|\brollout-[0-9T:-]{19}-)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"#,
        ),
        word: regex(&format!(
            r"^\s*{TIME}(?:(?i:fatal|error)(?:\[[A-Z0-9]+\])?: |ERROR\s|stream error: |(?i:npm err!)\s|warning: |WARN\s)"
        )),
        sign: regex(r"^\s*(?:[■✖✗✘❌⚠🚫🛑]|•\s+(?i:error|re-?connecting)|└\s)"),
        end: regex(
            r"^(?:tokens used\b|To continue this session|Token usage: |\S{0,40}[$#%❯➜»] \S)",
        ),
        quote: regex(r"^\s*(?:(?:>|&gt;)\s?)+|^\s*```[a-z]*\s*$"),
        frame: regex(r"^\s*[│┃║]\s?|^\s*\|(?P<cell>.*)\|\s*$"),
        waiting: regex(r"\((?:\d+[hms]\s*)+[•·][^)]*interrupt\)"),
        old: regex(
            r"stream error: |; retrying \d+/\d+ in |\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\] ERROR: ",
        ),
        prefix: regex(&format!(
            r"^(?:{TIME}(?i:error|warning|stream error|fatal|error running (?:remote|local) compact task): |[■✖✗✘❌⚠\u{{fe0f}}•└🚫🛑]+\s*|{TIME}(?:ERROR|WARN)\s+)+"
        )),
        wrapper: regex(r"(?is)^re-?connecting(?:\.{3}|…)\s*\d+/\d+\s+\((.*?)\)?$"),
        retrying: regex(r"(?s);\s*retrying\s+\d+/\d+\s+in\s+[\d.]+m?s.{0,4}$"),
    }
});

/// Reads a paste.
pub(crate) fn read(text: &str) -> Paste {
    let text = MARKS.ansi.replace_all(text, "");
    let sessions = MARKS.session.captures_iter(&text);
    let session = sessions.last().map(|found| found[1].to_ascii_lowercase());
    let by_old_client = MARKS.old.is_match(&text);
    let mut pieces = split(&text);
    let surplus = pieces.len().saturating_sub(LAST_PIECES);
    pieces.drain(..surplus);
    Paste { pieces, session, by_old_client }
}

/// Splits a text where an error begins, and where a shell goes on.
fn split(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut begin = |mark, words: String| pieces.push(Piece::new(mark, words));
    let mut open: Option<Piece> = None;
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let mut before_is_full = false;
    for raw in text.lines() {
        // A line as long as any goes on below: what stands there begins nothing.
        let goes_on = std::mem::replace(
            &mut before_is_full,
            raw.chars().count() + BREAK >= longest && longest > BREAK,
        );
        if let Some((mark, words)) = event(raw) {
            if let Some(piece) = open.take() {
                begin(piece.mark, piece.words);
            }
            for words in words {
                begin(mark, words);
            }
            continue;
        }
        let line = unquoted(raw);
        let mark = if MARKS.sign.is_match(&line) {
            Some(Mark::Sign)
        } else if MARKS.word.is_match(&line) {
            Some(Mark::Word)
        } else {
            MARKS.end.is_match(&line).then_some(Mark::None)
        };
        // The reason of a try stands on a line of its own, below it.
        let is_plain = line.trim_start().starts_with(|c: char| c.is_ascii_lowercase());
        let is_broken = goes_on && is_plain && mark == Some(Mark::Word);
        let belongs = (line.trim_start().starts_with('└') || is_broken) && open.is_some();
        match (&mut open, mark.filter(|_| !belongs)) {
            (Some(piece), None) => {
                piece.words.push('\n');
                piece.words.push_str(&line);
            }
            (open, mark) => {
                let next = Piece::new(mark.unwrap_or(Mark::None), line);
                if let Some(piece) = open.replace(next) {
                    begin(piece.mark, piece.words);
                }
            }
        }
    }
    if let Some(piece) = open {
        begin(piece.mark, piece.words);
    }
    pieces.into_iter().map(cleaned).filter(|piece| !piece.words.is_empty()).collect()
}

/// Reads a line of JSON: a failed event of `codex exec --json`, or a line of some log. `None` for
/// anything else, also for the body of an error, which is read as it stands.
fn event(line: &str) -> Option<(Mark, Vec<String>)> {
    let line = line.trim();
    if !line.starts_with('{') || !line.ends_with('}') {
        return None;
    }
    let event: Value = serde_json::from_str(line).ok()?;
    let message = match event["type"].as_str() {
        Some("error") => event["message"].as_str(),
        Some("turn.failed") => event["error"]["message"].as_str(),
        _ => None,
    };
    if let Some(message) = message {
        return Some((Mark::Sign, vec![message.to_owned()]));
    }
    let facts = body::read(line.as_bytes());
    let only_message = event.as_object().is_some_and(|fields| fields.len() <= 4);
    if facts.error.is_some() || only_message {
        return None;
    }
    let mut words = Vec::new();
    strings(&event, &mut words);
    Some((Mark::None, words.into_iter().map(str::to_owned).collect()))
}

/// Gathers every text in a value, in its order.
fn strings<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes off what a chat or a frame puts around a line.
fn unquoted(line: &str) -> String {
    let line = MARKS.quote.replace(line.trim_end(), "");
    let line = match MARKS.frame.captures(&line) {
        Some(cell) if cell.name("cell").is_some() => cell["cell"].to_owned(),
        Some(frame) => line[frame[0].len()..].to_owned(),
        None => line.into_owned(),
    };
    line.trim_end_matches(['│', '┃', '║']).trim_end().to_owned()
}

/// Takes escapes, marks and wrappers off a piece.
fn cleaned(piece: Piece) -> Piece {
    let mut words = piece.words;
    for _ in 0..ESCAPED {
        if !["\\\"", "\\n", "\\u20", "\\t"].iter().any(|escape| words.contains(escape)) {
            break;
        }
        words = unescaped(&words, '\n').into_owned();
    }
    let at = moment(&words);
    let words = MARKS.waiting.replace_all(&words, "");
    Piece { words: unwrapped(words.trim()).to_owned(), mark: piece.mark, at }
}

fn unwrapped(text: &str) -> &str {
    let mut text = text.trim().trim_matches('`').trim();
    text = MARKS.prefix.find(text).map_or(text, |prefix| text[prefix.end()..].trim());
    text = MARKS.retrying.find(text).map_or(text, |tail| text[..tail.start()].trim());
    match MARKS.wrapper.captures(text).and_then(|captures| captures.get(1)) {
        Some(inner) => unwrapped(inner.as_str()),
        None => text,
    }
}

/// The body of an error within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// What it says.
    pub(crate) error: BodyError,
    /// Nothing stands before it.
    pub(crate) begins: bool,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    /// It has what no error of the proxy's ever had: another type, or other fields beside.
    pub(crate) is_alien: bool,
}

impl Body {
    /// Tells whether it is an error of the proxy's kind, whatever its words are.
    pub(crate) fn is_of_our_kind(&self) -> bool {
        let is_ours = |code: &str| code == "proxy_error" || code.starts_with("proxy_");
        self.error.code_or_kind().is_some_and(is_ours)
            || self.error.kind.as_deref().is_some_and(is_ours)
    }

    /// Tells whether it names what went wrong as OpenAI does, and the proxy does not.
    pub(crate) fn is_of_openais_kind(&self) -> bool {
        self.error.code_or_kind().is_some() && !self.is_of_our_kind()
    }
}

/// Finds the body of an error in a text, as JSON or as Python prints it, also one that a terminal
/// broke into lines.
pub(crate) fn body_in(words: &str) -> Option<Body> {
    let end = words.len().min(BODY_BYTES);
    let words = words.get(..end).or_else(|| words.get(..words.floor_char_boundary(end)))?;
    let places = words.match_indices('{').map(|(at, _)| at).take(OBJECTS);
    for at in places {
        let text = &words[at..];
        let value = first_value(text)
            .or_else(|| text.contains('\n').then(|| first_value(&joined(text, "")))?)
            .or_else(|| text.contains('\n').then(|| first_value(&joined(text, " ")))?)
            .or_else(|| python::dictionary(text))
            .or_else(|| text.contains('\n').then(|| python::dictionary(&joined(text, "")))?);
        let Some(value) = value else { continue };
        let inner = value.get("message").filter(|_| value.get("type").is_some());
        let error = body::read(value.to_string().as_bytes()).error;
        // Python shows the inside of `error` where a stream failed.
        let error = error.or_else(|| inner.and_then(|_| BodyError::from_value(&value)));
        if let Some(error) = error {
            let is_alien = is_alien(&value, &error);
            return Some(Body { error, begins: at == 0, at, is_alien });
        }
    }
    None
}

/// Fields beside the message that errors of the proxy, or what shows them, have.
const KNOWN: [&str; 9] =
    ["error", "message", "type", "code", "param", "status", "detail", "statusCode", "request_id"];

/// Tells whether an error cannot be the proxy's, whatever its words are.
fn is_alien(value: &Value, error: &BodyError) -> bool {
    if error.code.as_deref().and_then(ErrorCode::from_name).is_some() {
        return false;
    }
    let others = |value: &Value| {
        value
            .as_object()
            .is_some_and(|fields| fields.keys().any(|key| !KNOWN.contains(&key.as_str())))
    };
    let number = |value: &Value| value.get("code").is_some_and(Value::is_number);
    let inner = value.get("error").unwrap_or(&Value::Null);
    let is_other_type = error.kind.as_deref().is_some_and(|kind| kind != "proxy_error");
    others(value) || others(inner) || number(inner) || is_other_type
}

fn first_value(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()
}

/// Joins the lines of a text, without what indents them.
pub(crate) fn joined(text: &str, with: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.join(with)
}

#[cfg(test)]
#[path = "paste_tests.rs"]
mod tests;
