//! From the facts of an exchange to its log record. Total: whatever was seen, there is a record.

use std::borrow::Cow;
use std::mem;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::body::Shape;
use schemas::origin::Ending;
use schemas::record::{Client, Encoding, LogRecord, LoggedError, SCHEMA_VERSION, Upstream};

use crate::facts::Facts;
use crate::outcome::{self, Answered, Seen};
use crate::redact::Redactor;
use crate::settings::{LogBody, Settings};

/// Paths whose successful streams say themselves when they are complete.
const OWE_TERMINAL: [&str; 3] = ["/v1/responses", "/v1/chat/completions", "/v1/completions"];

/// Bytes of a path that are kept.
const PATH_LIMIT: usize = 2_048;

/// Makes the record of an exchange. The bodies are taken out of the facts first, and read; should that
/// panic, all else is still in them.
#[must_use]
pub fn assemble(facts: &mut Facts, settings: &Settings) -> LogRecord {
    let limit = settings.limits.request_copy_bytes;
    let asked = facts.upload.asked(facts.request_encoding.as_deref(), limit);
    let request_bytes = facts.upload.bytes();
    let response_bytes = facts.response.bytes();
    let response_truncated = facts.response.is_truncated();
    let was_redacted = facts.redacted;
    let (stored, mut said) = mem::take(&mut facts.response).finish();
    if matches!(facts.answered, Answered::Openai { status, .. } if status >= 400) {
        said.error = Some(schemas::body::read_failure(&stored));
    }
    let path = facts.target.split('?').next().unwrap_or_default();
    let succeeds = facts.method == "POST" && facts.status < 300;
    let answers = succeeds && OWE_TERMINAL.contains(&path.trim_end_matches('/'));
    if facts.status < 400 && !(answers || (succeeds && path.starts_with("/v1/responses/"))) {
        // A file, a job or a stored response may carry an error that is not this exchange's.
        (said.terminal, said.error) = (None, None);
    }
    let outcome = outcome::classify(&Seen {
        answered: facts.answered.clone(),
        end: facts.end,
        shape: Shape::of(&stored),
        terminal: said.terminal.as_ref(),
        body_error: said.error.as_ref(),
        owes_terminal: answers
            && owes_terminal(&stored, response_truncated, asked.stream, said.usage.is_some()),
    });

    let token = facts.presented.as_ref();
    let secrets = token.map(|presented| &presented.token).into_iter().chain(&facts.secrets);
    let mut redactor = Redactor::new(secrets.cloned());
    // Lambda cannot end a streamed body in which nothing was sent.
    let padded = facts.lambda_request_id.is_some() && response_bytes == 0;
    let was_cut = response_truncated || outcome.ending != Ending::Complete;
    let keep = match settings.log_body {
        LogBody::Full => true,
        LogBody::Errors => outcome.error.is_some(),
        LogBody::None => false,
    };
    let body = if keep { redactor.body(stored, was_cut) } else { Vec::new() };
    let (response_encoding, response_body) = as_text(body, response_truncated);
    let request_body = (keep && settings.log_request_body)
        .then(|| String::from_utf8(redactor.body(facts.upload.copy(), true)).ok())
        .flatten();
    let path = limited(&redactor.clean(path));
    let received_path = limited(&redactor.clean(&facts.received_path));
    let mut record = LogRecord {
        schema_version: SCHEMA_VERSION,
        exchange_id: facts.id.to_string(),
        lambda_request_id: facts.lambda_request_id.take(),
        proxy: settings.identity.clone(),
        started_at: facts.started_at,
        origin: outcome.origin,
        error: outcome.error.map(|error| redact_error(error, &mut redactor)),
        ending: outcome.ending,
        status: facts.status,
        upstream: facts
            .upstream
            .take()
            .map(|upstream| redact_upstream(Cow::Owned(upstream), &mut redactor).into_owned()),
        method: redactor.text(mem::take(&mut facts.method)),
        path,
        received_path,
        token_id: token.map(|presented| presented.hash.token_id()),
        developer: token.and_then(|presented| presented.developer.clone()),
        client: redact_client(Cow::Owned(mem::take(&mut facts.client)), &mut redactor).into_owned(),
        model: redactor.option(asked.model),
        stream: asked.stream,
        duration_ms: milliseconds(facts.duration),
        ttfb_ms: facts.ttfb.map(milliseconds),
        auth_ms: milliseconds(facts.auth),
        upstream_ttfb_ms: facts.upstream_ttfb.map(milliseconds),
        request_bytes,
        response_bytes,
        usage: said.usage,
        response_content_type: redactor.option(facts.content_type.take()),
        response_encoding,
        redacted: false,
        response_truncated,
        padded,
        request_body,
        response_body,
    };
    record.redacted = was_redacted || redactor.found();
    record
}

/// Tells whether a successful answer has to say itself that it is complete: what streams by a
/// terminal event, what does not by being a whole object, which one is that could be read.
fn owes_terminal(stored: &[u8], truncated: bool, stream: Option<bool>, was_read: bool) -> bool {
    let is_whole = || was_read || serde_json::from_slice::<serde::de::IgnoredAny>(stored).is_ok();
    match Shape::of(stored) {
        Shape::Events | Shape::Empty => true,
        Shape::Json => stream == Some(true) || (!truncated && !is_whole()),
        Shape::Html | Shape::Text => stream == Some(true),
    }
}

fn redact_error(error: LoggedError, redactor: &mut Redactor) -> LoggedError {
    LoggedError {
        code: redactor.text(error.code),
        kind: redactor.option(error.kind),
        message: redactor.text(error.message),
        ..error
    }
}

/// Masks secrets in what OpenAI said; nearly always there is none, and nothing is copied.
pub(crate) fn redact_upstream<'a>(
    upstream: Cow<'a, Upstream>,
    redactor: &mut Redactor,
) -> Cow<'a, Upstream> {
    let Upstream { request_id, cf_ray, ratelimit, .. } = &*upstream;
    let ids = [request_id, cf_ray].into_iter().flatten();
    let limits = ratelimit.iter().flat_map(|(name, value)| [name, value]);
    if !ids.chain(limits).any(|text| redactor.may_be_in(text)) {
        return upstream;
    }
    let upstream = upstream.into_owned();
    let ratelimit = upstream.ratelimit.into_iter();
    Cow::Owned(Upstream {
        request_id: redactor.option(upstream.request_id),
        cf_ray: redactor.option(upstream.cf_ray),
        ratelimit: ratelimit
            .map(|(name, value)| (redactor.text(name), redactor.text(value)))
            .collect(),
        ..upstream
    })
}

/// The same for what the client said.
pub(crate) fn redact_client<'a>(
    client: Cow<'a, Client>,
    redactor: &mut Redactor,
) -> Cow<'a, Client> {
    let Client { ip: _, user_agent, originator, version, session_id, turn_id } = &*client;
    let texts = [user_agent, originator, version, session_id, turn_id];
    if !texts.into_iter().flatten().any(|text| redactor.may_be_in(text)) {
        return client;
    }
    let client = client.into_owned();
    Cow::Owned(Client {
        ip: client.ip,
        user_agent: redactor.option(client.user_agent),
        originator: redactor.option(client.originator),
        version: redactor.option(client.version),
        session_id: redactor.option(client.session_id),
        turn_id: redactor.option(client.turn_id),
    })
}

/// Writes a body as text if it is text, else as base64. A character that the body cap cut in two
/// is left out, since the record says that the body was cut.
fn as_text(body: Vec<u8>, truncated: bool) -> (Encoding, String) {
    match String::from_utf8(body) {
        Ok(text) => (Encoding::Utf8, text),
        Err(error) => {
            let valid = error.utf8_error();
            let only_the_end = valid.error_len().is_none() && truncated;
            let mut body = error.into_bytes();
            if only_the_end {
                body.truncate(valid.valid_up_to());
                return as_text(body, false);
            }
            (Encoding::Base64, STANDARD.encode(body))
        }
    }
}

fn limited(text: &str) -> String {
    let mut end = text.len().min(PATH_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Milliseconds with three digits: a microsecond is as fine as these clocks are.
fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_where_it_can_be_and_base64_where_not() {
        assert_eq!(as_text("é".into(), false), (Encoding::Utf8, "é".to_owned()));
        assert_eq!(as_text(b"a\xff".to_vec(), false), (Encoding::Base64, "Yf8=".to_owned()));
        assert_eq!(as_text(b"a\xc3".to_vec(), true), (Encoding::Utf8, "a".to_owned()));
        assert_eq!(as_text(b"a\xff\xc3".to_vec(), true).0, Encoding::Base64);
    }
}
