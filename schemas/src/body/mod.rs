//! What a response body says: the error it carries, how its stream ended, what it used.
//!
//! In come bytes, as they arrive ([`sse::EventReader`]) or whole ([`read`]); out come facts. The
//! proxy reads live answers with it, the analyzer old logs: there is one idea of what an error is.
//! The structure decides, never a search for words: models talk about errors all day.

pub mod error;
pub mod json;
pub mod sse;

use crate::record::Usage;
pub use error::BodyError;
pub use sse::EventReader;

/// Which kind of content a body is, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing, or white space only.
    Empty,
    /// A JSON object or array.
    Json,
    /// Server-sent events.
    Events,
    /// A page for people.
    Html,
    /// Anything else.
    Text,
}

impl Shape {
    /// Tells the shape from the first bytes of a body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
        let starts = |word: &[u8]| {
            body.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        match body.first() {
            None => Self::Empty,
            Some(b'{' | b'[') => Self::Json,
            Some(b'<') if starts(b"<!doctype") || starts(b"<html") || starts(b"<head") => {
                Self::Html
            }
            Some(b':') => Self::Events,
            Some(_) if starts(b"event:") || starts(b"data:") => Self::Events,
            Some(_) => Self::Text,
        }
    }
}

/// How an answer ended by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// `response.completed`, `[DONE]`, or a finish reason.
    Completed,
    /// `response.failed`.
    Failed(BodyError),
    /// `response.incomplete`, with its reason.
    Incomplete(String),
    /// An `error` event, with nothing after it that says otherwise.
    ErrorEvent(BodyError),
}

/// The kind of a [`Terminal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalEvent {
    /// It was completed.
    Completed,
    /// It ended early, and says why.
    Incomplete,
    /// It failed, and says so at its end.
    Failed,
    /// An `error` event, with nothing after it that says otherwise.
    Error,
}

impl TerminalEvent {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Completed, Self::Incomplete, Self::Failed, Self::Error];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

impl Terminal {
    /// Returns its kind.
    #[must_use]
    pub fn event(&self) -> TerminalEvent {
        match self {
            Self::Completed => TerminalEvent::Completed,
            Self::Incomplete(_) => TerminalEvent::Incomplete,
            Self::Failed(_) => TerminalEvent::Failed,
            Self::ErrorEvent(_) => TerminalEvent::Error,
        }
    }
}

/// What a whole body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How a stream, or a Responses object, ended; `None` when it does not say.
    pub terminal: Option<Terminal>,
    /// The error that a JSON body carries outside a stream.
    pub error: Option<BodyError>,
    /// A bare `message` where nothing says that the object is an answer: an error, unless the status
    /// says otherwise.
    pub message: Option<BodyError>,
    /// Tokens used.
    pub usage: Option<Usage>,
}

/// Reads a whole body of any shape.
#[must_use]
pub fn read(body: &[u8]) -> Facts {
    match Shape::of(body) {
        Shape::Events => {
            let mut reader = EventReader::default();
            reader.push(body);
            let (terminal, usage) = reader.finish();
            Facts { terminal, usage, ..Facts::default() }
        }
        Shape::Json => json::read(body),
        Shape::Empty | Shape::Html | Shape::Text => Facts::default(),
    }
}

/// Reads the body of an answer that is known to be an error, whatever its shape.
#[must_use]
pub fn read_failure(body: &[u8]) -> BodyError {
    let from_json = (Shape::of(body) == Shape::Json).then(|| {
        let facts = json::read(body);
        facts.error.or(facts.message)
    });
    // A compressed or binary body has no words to show.
    let text = || {
        let quoted = serde_json::from_slice::<String>(body).ok();
        let text = quoted.as_deref().or_else(|| std::str::from_utf8(body).ok());
        text.map(BodyError::from_text).unwrap_or_default()
    };
    from_json.flatten().unwrap_or_else(text)
}
