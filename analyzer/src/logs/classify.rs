//! Is this record a failure, and whose? Version 1 says so itself; of an old one the body tells.
//!
//! The rule for old records: one of the proxy's five messages as the *whole* message of an error
//! body is the proxy's; any other error text is OpenAI's; no error shape is a success. A success
//! that merely quotes an error is none.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::body::{self, BodyError, Shape, Terminal, TerminalEvent};
use schemas::catalogue::ErrorCode;
use schemas::origin::{AnsweredBy, Ending, Origin};
use schemas::record::{LoggedError, Usage};
use schemas::view::{ErrorField, RecordView, Timing};

use crate::logs::needle::may_hide;
use crate::logs::words::Words;
use crate::text::fold::{fold, unescaped};

/// Bytes of an error body that are searched for words.
const SEARCHED_BYTES: usize = 64 << 10;

/// What a log tells about its exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Key of the object.
    pub key: String,
    /// Identity; made from the key where the record has none.
    pub exchange_id: String,
    /// When the request arrived.
    pub started_at: Timestamp,
    /// Status sent to the client, where it is known.
    pub status: Option<u16>,
    /// What failed; `None` for a success.
    pub error: Option<LoggedError>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// How its stream ended by its own account, where that was looked at.
    pub terminal: Option<TerminalEvent>,
    /// First 8 hex digits of the token's hash.
    pub token8: Option<String>,
    /// Owner of the token.
    pub developer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Version of the client.
    pub client_version: Option<String>,
    /// Session of the client.
    pub session_id: Option<String>,
    /// Turn of the client.
    pub turn_id: Option<String>,
    /// OpenAI's request id.
    pub upstream_request_id: Option<String>,
    /// Cloudflare's id.
    pub cf_ray: Option<String>,
    /// What OpenAI says of its limits; only of a failure.
    pub ratelimit: BTreeMap<String, String>,
    /// Lambda's id of the invocation.
    pub lambda_request_id: Option<String>,
    /// How long it took.
    pub timing: Timing,
    /// Tokens that it used.
    pub usage: Option<Usage>,
    /// Path as forwarded.
    pub path: Option<String>,
    /// Version of the proxy.
    pub proxy_version: Option<String>,
    /// AWS region of the proxy.
    pub proxy_region: Option<String>,
    /// Whether the proxy ran as a Lambda function; `None` where the record does not say.
    pub on_lambda: Option<bool>,
    /// Folded text in which the words of a question are looked for: of a failure its error, of a
    /// success its body.
    pub searched: String,
}

impl Exchange {
    /// Returns when it ended; where that is not known, when it began.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        let lasted = self.timing.duration_ms.unwrap_or(0.0) / 1e3;
        let lasted = SignedDuration::try_from_secs_f64(lasted).unwrap_or_default();
        self.started_at.checked_add(lasted).unwrap_or(self.started_at)
    }

    /// Tells whether an id is one of this exchange's: ours, OpenAI's, its edge's, or Lambda's.
    #[must_use]
    pub fn has_id(&self, id: &str) -> bool {
        let others = [&self.upstream_request_id, &self.cf_ray, &self.lambda_request_id];
        self.exchange_id == id || others.into_iter().flatten().any(|other| other == id)
    }

    /// Tells whether an id is this exchange's, or that of its session or turn, which others have too.
    #[must_use]
    pub fn is_named_by(&self, id: &str) -> bool {
        let shared = [&self.session_id, &self.turn_id];
        self.has_id(id) || shared.into_iter().flatten().any(|other| other.eq_ignore_ascii_case(id))
    }
}

/// What is looked for in the body of a success.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quoted<'a> {
    /// Nothing yet: all of it is kept.
    Anything,
    /// These words: whether it quotes them is kept, and no more.
    Words(&'a str, Option<&'a Words>),
}

/// Classifies a record. `key` and `listed_at` stand in for what an old one does not say.
#[must_use]
pub fn classify(view: &RecordView<'_>, key: &str, listed_at: Timestamp) -> Exchange {
    classify_for(view, key, listed_at, Quoted::Anything)
}

/// Classifies a record for a question.
pub(crate) fn classify_for(
    view: &RecordView<'_>,
    key: &str,
    listed_at: Timestamp,
    quoted: Quoted<'_>,
) -> Exchange {
    let (error, terminal, searched) = judged(view, quoted);
    Exchange {
        key: key.to_owned(),
        exchange_id: view.exchange_id.clone().unwrap_or_else(|| identity_of(key)),
        started_at: view.started_at.unwrap_or(listed_at),
        status: view.status,
        ratelimit: error.as_ref().map(|_| view.ratelimit.clone()).unwrap_or_default(),
        error,
        ending: view.ending,
        terminal,
        token8: view.token_id.as_ref().and_then(|id| id.get(..8)).map(str::to_owned),
        developer: view.developer.clone(),
        model: view.model.clone(),
        client_version: view.client_version.clone(),
        session_id: view.session_id.clone(),
        turn_id: view.turn_id.clone(),
        upstream_request_id: view.upstream_request_id.clone(),
        cf_ray: view.cf_ray.clone(),
        lambda_request_id: view.lambda_request_id.clone(),
        timing: view.timing,
        usage: view.usage,
        path: view.path.clone(),
        proxy_version: view.proxy_version.clone(),
        proxy_region: view.proxy_region.clone(),
        on_lambda: view.on_lambda,
        searched,
    }
}

/// Identity of a record that has none: `old_` and the SHA-256 of its key.
pub(crate) fn identity_of(key: &str) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(key.as_bytes());
    hash.iter().fold("old_".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// A failure, and what its body says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: LoggedError,
    /// How its stream ended by its own account.
    pub(crate) terminal: Option<TerminalEvent>,
    /// The beginning of an answer that is an error as a whole.
    pub(crate) body: Option<String>,
}

impl Failure {
    /// Returns the folded text in which the words of a question are looked for.
    pub(crate) fn searched(&self) -> String {
        let LoggedError { code, message, .. } = &self.error;
        match &self.body {
            Some(body) => fold(&format!("{code} {message} {body}")),
            None => fold(&format!("{code} {message}")),
        }
    }
}

/// Tells whether a record says by itself that it is of a success: its body need not even be decoded.
pub(crate) fn says_success(view: &RecordView<'_>) -> bool {
    view.error == ErrorField::Null
        && view.origin.is_some()
        && view.status.is_none_or(|status| status < 400)
}

fn judged(
    view: &RecordView<'_>,
    quoted: Quoted<'_>,
) -> (Option<LoggedError>, Option<TerminalEvent>, String) {
    if says_success(view) && matches!(quoted, Quoted::Words("", _)) {
        return (None, None, String::new());
    }
    let body = view.body();
    match failure_of(view, &body) {
        Some(failure) => {
            let searched = failure.searched();
            (Some(failure.error), failure.terminal, searched)
        }
        None => (None, None, searched_of_success(&body, quoted)),
    }
}

/// Tells what failed, if anything did.
pub(crate) fn failure_of(view: &RecordView<'_>, body: &[u8]) -> Option<Failure> {
    let error = match (&view.error, view.origin) {
        (ErrorField::Error(error), _) => Some(error.clone()),
        (ErrorField::Null, Some(_)) if view.status.is_none_or(|status| status < 400) => None,
        // An error status without an error object: the answer's author is known, its words are not.
        (ErrorField::Null, Some(by)) => {
            let origin = match by {
                AnsweredBy::Openai => Origin::Openai,
                AnsweredBy::Proxy => Origin::Proxy,
            };
            let said = body::read_failure(body);
            Some(logged(origin, said, view.status))
        }
        _ => of_old_record(view, body),
    }?;
    let streamed = Shape::of(body) == Shape::Events;
    let terminal = if streamed { body::read(body).terminal } else { None };
    // An error body is an error as a whole. Of an answer that began well only its error is: what
    // the model said in it before may quote anything.
    let is_page = matches!(Shape::of(body), Shape::Html | Shape::Text);
    let began_well = streamed || view.status.map_or(!is_page, |status| status < 400);
    let beginning = &body[..body.len().min(SEARCHED_BYTES)];
    Some(Failure {
        error,
        terminal: terminal.map(|terminal| terminal.event()),
        body: (!began_well).then(|| {
            let mut body = String::from_utf8_lossy(beginning).into_owned();
            body.truncate(body.floor_char_boundary(SEARCHED_BYTES));
            body
        }),
    })
}

fn searched_of_success(body: &[u8], quoted: Quoted<'_>) -> String {
    let folded = || fold(&unescaped(&String::from_utf8_lossy(body), ' '));
    match quoted {
        Quoted::Anything => folded(),
        Quoted::Words(words, search) => {
            let says = match search {
                _ if words.is_empty() => false,
                Some(search) => search.are_said_in(body, may_hide(body)),
                None => folded().contains(words),
            };
            if says { words.to_owned() } else { String::new() }
        }
    }
}

fn of_old_record(view: &RecordView<'_>, body: &[u8]) -> Option<LoggedError> {
    let failed = view.status.is_some_and(|status| status >= 400);
    let succeeded = view.status.is_some_and(|status| status < 400);
    let facts = body::read(body);
    let error = facts.error.or(facts.message.filter(|_| !succeeded));
    let said = match (facts.terminal, error) {
        (Some(Terminal::Failed(error) | Terminal::ErrorEvent(error)), _) | (_, Some(error)) => {
            Some(error)
        }
        (Some(Terminal::Completed | Terminal::Incomplete(_)) | None, None) => {
            let text = matches!(Shape::of(body), Shape::Html | Shape::Text) && !succeeded;
            (failed || text).then(|| body::read_failure(body))
        }
    }?;
    let ours = ErrorCode::from_message(said.message.trim());
    Some(match (ours, view.origin) {
        (Some(code), _) => LoggedError {
            origin: Origin::Proxy,
            code: code.entry().name.to_owned(),
            kind: said.kind,
            message: said.message.trim().to_owned(),
            detail: None,
        },
        (None, Some(AnsweredBy::Proxy)) => logged(Origin::Proxy, said, view.status),
        (None, _) => logged(Origin::Openai, said, view.status),
    })
}

fn logged(origin: Origin, said: BodyError, status: Option<u16>) -> LoggedError {
    let unsaid = || status.map_or("error".to_owned(), |status| format!("http_{status}"));
    LoggedError {
        origin,
        code: said.code_or_kind().map_or_else(unsaid, str::to_owned),
        kind: said.kind,
        message: said.message,
        detail: None,
    }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
