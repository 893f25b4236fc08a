//! The table of outcomes: from what was seen of an exchange to its origin, error and ending.
//!
//! Pure: facts in, names out. The origin follows from where a failure was seen (did response
//! headers arrive from OpenAI? who closed?), never from the status alone.

use std::borrow::Cow;

use schemas::body::{BodyError, Shape, Terminal};
use schemas::catalogue::ErrorCode;
use schemas::origin::{AnsweredBy, Ending, Origin};
use schemas::record::LoggedError;
use serde::{Deserialize, Serialize};

/// Status in the log of a client that left before any was sent, as nginx writes it.
pub const CLIENT_LEFT: u16 = 499;

/// How the transport of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The last byte was handed to the client's connection.
    Clean,
    /// OpenAI's connection broke in the middle.
    Abrupt,
    /// OpenAI sent nothing for too long.
    Silent,
    /// The client's connection closed.
    ClientLeft,
    /// Lambda took no more of the answer. It does not tell when a client leaves, so that this is
    /// another failure.
    LambdaClosed,
    /// The Lambda deadline came near.
    Deadline,
    /// The proxy died; seen when its spool is replayed.
    ProxyDied,
}

/// Who answered, and what.
#[derive(Clone, Debug)]
pub enum Answered {
    /// The proxy refused or failed.
    Proxy {
        /// The catalogue entry.
        code: ErrorCode,
        /// A more precise error type of RFC 9209.
        detail: Option<Cow<'static, str>>,
    },
    /// Response headers arrived from OpenAI.
    Openai {
        /// Its status.
        status: u16,
        /// It carried an `x-request-id` (or `x-oai-request-id`).
        has_request_id: bool,
        /// It carried a `cf-ray`.
        has_cf_ray: bool,
        /// A body may follow: the request was not HEAD, the status not 204 or 304.
        may_have_body: bool,
    },
    /// Nobody, yet.
    Nobody,
}

/// Everything that decides an outcome.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Who answered.
    pub answered: Answered,
    /// How the transport ended.
    pub end: End,
    /// What the response body is, as far as it came.
    pub shape: Shape,
    /// How a stream, or a Responses object, ended by its own account.
    pub terminal: Option<&'a Terminal>,
    /// The error that a whole body carries.
    pub body_error: Option<&'a BodyError>,
    /// A success has to say that it is complete: a stream of Responses or Chat Completions.
    pub owes_terminal: bool,
}

/// The name of an outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Who wrote the answer.
    pub origin: AnsweredBy,
    /// What failed.
    pub error: Option<LoggedError>,
    /// How it ended.
    pub ending: Ending,
}

/// Reads the table of outcomes.
#[must_use]
pub fn classify(seen: &Seen<'_>) -> Outcome {
    match &seen.answered {
        Answered::Proxy { .. } if seen.end == End::Deadline => {
            let (error, ending) = cut_by(End::Deadline);
            Outcome { origin: AnsweredBy::Proxy, error: Some(error), ending }
        }
        Answered::Proxy { code, detail } => Outcome {
            origin: AnsweredBy::Proxy,
            error: Some(ours(*code, detail.as_deref())),
            ending: Ending::Complete,
        },
        Answered::Nobody => {
            let (error, ending) = cut_by(seen.end);
            Outcome { origin: AnsweredBy::Proxy, error: Some(error), ending }
        }
        &Answered::Openai { status, has_request_id, has_cf_ray, may_have_body } => {
            let at_edge = has_cf_ray && !has_request_id && may_have_body;
            let page = matches!(seen.shape, Shape::Empty | Shape::Html);
            let whole = seen.end == End::Clean || seen.terminal.is_some();
            let (error, ending) = if at_edge && page && whole {
                (Some(at_the_edge(status, seen.body_error)), Ending::Complete)
            } else if status >= 400 {
                let error = openai(seen.body_error, &format!("http_{status}"), None);
                (Some(error), if whole { Ending::Complete } else { cut_by(seen.end).1 })
            } else {
                of_success(seen)
            };
            Outcome { origin: AnsweredBy::Openai, error, ending }
        }
    }
}

/// An answer that began as a success: its stream may still have failed.
fn of_success(seen: &Seen<'_>) -> (Option<LoggedError>, Ending) {
    let error = match (seen.terminal, seen.body_error) {
        (Some(Terminal::Failed(error)), _) => {
            Some(openai(Some(error), "response_failed", Some("response.failed")))
        }
        (Some(Terminal::ErrorEvent(error)), _) => Some(openai(Some(error), "error", Some("error"))),
        (Some(Terminal::Incomplete(reason)), _) => {
            let said =
                BodyError { message: format!("incomplete: {reason}"), ..BodyError::default() };
            Some(openai(Some(&said), reason, Some("response.incomplete")))
        }
        (None, _) if seen.end != End::Clean => {
            let (error, ending) = cut_by(seen.end);
            return (Some(error), ending);
        }
        (None, Some(error)) => Some(openai(Some(error), "error", None)),
        (None, None) if seen.owes_terminal => {
            let (error, ending) = cut_by(End::Abrupt);
            return (Some(error), ending);
        }
        (Some(Terminal::Completed), _) | (None, None) => None,
    };
    (error, Ending::Complete)
}

/// The failure that an unfinished transport is.
fn cut_by(end: End) -> (LoggedError, Ending) {
    let (origin, code, detail, message, ending) = match end {
        End::Clean | End::Abrupt => (
            Origin::Openai,
            "upstream_cut",
            Some("http_response_incomplete"),
            "OpenAI's answer ended before it was complete",
            Ending::UpstreamCut,
        ),
        End::Silent => (
            Origin::Openai,
            "upstream_idle",
            Some("http_response_timeout"),
            "OpenAI's answer fell silent before it was complete",
            Ending::UpstreamCut,
        ),
        End::ClientLeft => (
            Origin::Client,
            "client_closed",
            None,
            "the client closed the connection before the answer was complete",
            Ending::ClientClosed,
        ),
        End::LambdaClosed => (
            Origin::Aws,
            "lambda_closed",
            None,
            "Lambda took no more of the answer before it was complete",
            Ending::Interrupted,
        ),
        End::Deadline => (
            Origin::Aws,
            "deadline",
            None,
            "Lambda's time limit ended the answer before it was complete",
            Ending::Deadline,
        ),
        End::ProxyDied => (
            Origin::Proxy,
            "interrupted",
            None,
            "the proxy died before the answer was complete",
            Ending::Interrupted,
        ),
    };
    let error = LoggedError {
        origin,
        code: code.to_owned(),
        kind: None,
        message: message.to_owned(),
        detail: detail.map(str::to_owned),
    };
    (error, ending)
}

fn ours(code: ErrorCode, detail: Option<&str>) -> LoggedError {
    let entry = code.entry();
    LoggedError {
        origin: entry.origin,
        code: entry.name.to_owned(),
        kind: Some("proxy_error".to_owned()),
        message: entry.message.to_owned(),
        detail: detail.map(str::to_owned),
    }
}

fn openai(said: Option<&BodyError>, code_if_unsaid: &str, detail: Option<&str>) -> LoggedError {
    let code = said.and_then(BodyError::code_or_kind).unwrap_or(code_if_unsaid);
    LoggedError {
        origin: Origin::Openai,
        code: code.to_owned(),
        kind: said.and_then(|error| error.kind.clone()),
        message: said.map(|error| error.message.clone()).unwrap_or_default(),
        detail: detail.map(str::to_owned),
    }
}

fn at_the_edge(status: u16, said: Option<&BodyError>) -> LoggedError {
    LoggedError {
        origin: Origin::OpenaiEdge,
        code: format!("edge_{status}"),
        kind: None,
        message: said.map(|error| error.message.clone()).unwrap_or_default(),
        detail: None,
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
