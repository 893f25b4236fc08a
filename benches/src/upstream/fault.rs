//! What a fault is, in data.
//!
//! Each row of [`FAULTS`] names one; `Act` says what the server then does, and
//! [`answer`](super::answer) does it.

use super::catalogue::FAULTS;
use crate::body::Ending;

/// One fault that a request can choose.
#[derive(Debug)]
pub struct Fault {
    /// The name, as in the header `x-fake-fault: NAME` or the model `fault-NAME`.
    pub name: &'static str,
    /// What happens, in one line.
    pub description: &'static str,
    pub(crate) act: Act,
}

impl Fault {
    /// Returns the fault of this name, or `None` when the table has no such row.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.name == name)
    }
}

/// What the server does instead of answering well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// OpenAI refuses, with an error object.
    Refuse(Refusal),
    /// OpenAI answers this status with nothing in the body.
    Empty { status: u16 },
    /// The edge in front of OpenAI answers: none of OpenAI's own headers.
    Edge { status: u16, page: &'static str },
    /// The answer begins well and takes this turn.
    Turn { last: Last, ending: Ending },
    /// The headers, then nothing.
    HeadersOnly,
    /// The good answer, begun late.
    SlowFirstByte { default_ms: u64 },
    /// The good answer, slowly.
    SlowStream { default_ms: u64 },
    /// The connection is closed before a byte of the response.
    Reset,
    /// Half of a JSON body that promised its whole length.
    HalfJson,
    /// The good answer with this text.
    Say { text: &'static str },
    /// The good answer with this sentence over and over, with a gap between events if one is asked for.
    Repeat { sentence: &'static str, times: usize },
    /// The good answer with the received credentials in its text.
    EchoAuthorization,
    /// A seeded event stream of noise.
    Random,
}

/// The contents of an error object. `{model}` in the message stands for the requested model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: &'static str,
    pub(crate) limit: Limit,
}

/// What the rate-limit headers of a refusal say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// There is room.
    Room,
    /// No tokens are left, and `retry-after` says when to come again.
    Spent { retry_after_seconds: u64 },
}

/// How the story of an answer ends, before the connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// The whole answer.
    Completed,
    /// Half of the text, then a failure. `{request_id}` in the message stands for this answer's.
    Failed { code: &'static str, message: &'static str },
    /// The whole text as far as it goes, cut short for this reason.
    Incomplete { reason: &'static str },
    /// Half of the text, then an `error` event.
    Error(ErrorShape),
    /// Half of the text, then no word.
    Nothing,
}

/// The two shapes of an `error` event that are seen in the wild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorShape {
    Flat,
    Nested,
}
