//! Server-sent events, read as they pass: terminal event, error and usage of a stream.
//!
//! In come chunks of any size; nothing is held but the line at hand, and of events that cannot
//! matter not even that. Of the Responses API the `event:` line tells whether an event matters;
//! where there is none (Chat Completions, some gateways) the data is searched for the few words
//! that can, and only then parsed.

use std::sync::LazyLock;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::limited;
use super::json::{parse, reason, usage};
use super::{BodyError, Terminal};
use crate::record::Usage;

/// An event longer than this is known by its name alone. The last event of a stream repeats the whole
/// answer; images are the longest, at a few MiB.
const EVENT_LIMIT: usize = 8 << 20;

/// Buffers above this are given back after use: a stream lasts for minutes.
const KEPT: usize = 1 << 16;

/// Reads a stream of server-sent events in chunks.
#[derive(Default)]
pub struct EventReader {
    /// The line at hand, as far as it has arrived.
    line: Vec<u8>,
    /// The line at hand went over the limit.
    oversize: bool,
    /// Value of the `event:` line of the event at hand.
    name: Vec<u8>,
    /// `data:` lines of the event at hand, joined.
    data: Vec<u8>,
    terminal: Option<Terminal>,
    usage: Option<Usage>,
}

impl EventReader {
    /// Takes the next chunk of the stream.
    pub fn push(&mut self, mut chunk: &[u8]) {
        while let Some(end) = memchr(b'\n', chunk) {
            let (rest_of_line, after) = (&chunk[..end], &chunk[end + 1..]);
            if self.line.is_empty() && !self.oversize {
                self.take_line(rest_of_line);
            } else {
                self.extend_line(rest_of_line);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
                if line.capacity() < KEPT {
                    self.line = line;
                    self.line.clear();
                }
                self.oversize = false;
            }
            chunk = after;
        }
        self.extend_line(chunk);
    }

    /// Returns how the stream has ended so far; `None` when no event has said so.
    #[must_use]
    pub fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// Ends the stream. An event that was not closed by an empty line is taken as well.
    #[must_use]
    pub fn finish(mut self) -> (Option<Terminal>, Option<Usage>) {
        let line = std::mem::take(&mut self.line);
        self.take_line(&line);
        self.dispatch();
        (self.terminal, self.usage)
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > EVENT_LIMIT {
            self.oversize = true;
            self.line.truncate("data:".len());
            self.line.shrink_to_fit();
        } else if !self.oversize {
            self.line.extend_from_slice(bytes);
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.dispatch();
        } else if let Some(value) = field(line, b"event:") {
            self.name.clear();
            self.name.extend_from_slice(value);
        } else if let Some(value) = field(line, b"data:")
            && self.matters(value)
        {
            if self.data.len() + value.len() > EVENT_LIMIT {
                // What is half an event is none; its name is known.
                self.data = Vec::new();
                return;
            }
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
        }
    }

    /// Decides whether an event can end the stream, fail it or tell its usage.
    fn matters(&self, data: &[u8]) -> bool {
        match self.name.as_slice() {
            b"" => !self.data.is_empty() || can_matter(data),
            b"error"
            | b"response.completed"
            | b"response.done"
            | b"response.failed"
            | b"response.incomplete" => true,
            name if name.starts_with(b"response.") => false,
            _ => !self.data.is_empty() || can_matter(data),
        }
    }

    fn dispatch(&mut self) {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        self.take_event(&name, &data);
        // Both buffers go back, emptied, so that a stream of small events allocates once.
        self.name = name;
        self.name.clear();
        if data.capacity() < KEPT {
            self.data = data;
            self.data.clear();
        }
    }

    fn take_event(&mut self, name: &[u8], data: &[u8]) {
        if data.trim_ascii() == b"[DONE]" {
            self.end(Terminal::Completed);
            return;
        }
        // A list would be taken for the fields in their order.
        let is_object = data.trim_ascii_start().starts_with(b"{");
        let event = is_object.then(|| serde_json::from_slice::<Event<'_>>(data).ok());
        let event = event.flatten().unwrap_or_default();
        let kind = event.kind.and_then(parse);
        let kind = kind.as_ref().and_then(serde_json::Value::as_str);
        let name = kind.map_or(name, str::as_bytes);
        let response = event.response.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let response: Response<'_> = response.unwrap_or_default();
        if let Some(usage) = response.usage.or(event.usage).and_then(usage) {
            self.usage = Some(usage);
        }
        match name {
            b"response.completed" | b"response.done" => self.end(Terminal::Completed),
            b"response.failed" => self.end(Terminal::Failed(read_error(response.error))),
            b"response.incomplete" => {
                self.end(Terminal::Incomplete(reason(response.incomplete_details)));
            }
            b"error" => {
                let nested = event.error.and_then(parse);
                let error = nested.as_ref().and_then(BodyError::from_value);
                let error = error.unwrap_or_else(|| event.flat_error());
                self.end(Terminal::ErrorEvent(error));
            }
            _ => {
                let error = event.error.and_then(parse);
                if let Some(error) = error.as_ref().and_then(BodyError::from_value) {
                    self.end(Terminal::ErrorEvent(error));
                } else if event.choices.is_some_and(finished) {
                    self.end(Terminal::Completed);
                }
            }
        }
    }

    /// The first `response.completed` or `response.incomplete` decides; of failures the last. An
    /// `error` event gives way to whatever follows, since Codex passes over it.
    fn end(&mut self, terminal: Terminal) {
        let is_failure = matches!(terminal, Terminal::Failed(_) | Terminal::ErrorEvent(_));
        let gives_way = match self.terminal {
            None | Some(Terminal::ErrorEvent(_)) => true,
            Some(Terminal::Failed(_)) => is_failure,
            Some(Terminal::Completed | Terminal::Incomplete(_)) => false,
        };
        if gives_way {
            self.terminal = Some(terminal);
        }
    }
}

/// The fields of an event's data that can matter.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
}

impl Event<'_> {
    /// Reads `{"type":"error","code":…,"message":…}`, where nothing is nested.
    fn flat_error(&self) -> BodyError {
        let text = |raw: Option<&RawValue>| {
            raw.and_then(parse).and_then(|value| value.as_str().map(str::to_owned))
        };
        let message = text(self.message).map(|m| limited(&m)).unwrap_or_default();
        BodyError { code: text(self.code), kind: None, message }
    }
}

/// The fields of an event's `response` object that can matter.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

fn read_error(raw: Option<&RawValue>) -> BodyError {
    raw.and_then(parse).as_ref().and_then(BodyError::from_value).unwrap_or_default()
}

/// Tells whether a Chat Completions chunk carries a finish reason.
fn finished(choices: &RawValue) -> bool {
    let choices = parse(choices);
    let choices = choices.as_ref().and_then(serde_json::Value::as_array);
    choices.is_some_and(|all| all.iter().any(|choice| choice["finish_reason"].is_string()))
}

/// Returns the value of a line's field, without the one space that may follow the colon.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(name).map(|value| value.strip_prefix(b" ").unwrap_or(value))
}

/// Searches data without a telling `event:` line for the words that can matter.
fn can_matter(data: &[u8]) -> bool {
    static WORDS: LazyLock<[memmem::Finder<'static>; 6]> = LazyLock::new(|| {
        [
            "\"error\"",
            "\"usage\"",
            "finish_reason",
            "\"response.completed\"",
            "\"response.failed\"",
            "\"response.incomplete\"",
        ]
        .map(memmem::Finder::new)
    });
    data.starts_with(b"[DONE]") || WORDS.iter().any(|word| word.find(data).is_some())
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
