//! Records of version 1: successes of every shape, and the failures of [`rows`](super::rows).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use schemas::key::ExchangeId;
use schemas::origin::{AnsweredBy, Ending, Origin};
use schemas::record::{
    Client, Encoding, LogRecord, LoggedError, ProxyIdentity, SCHEMA_VERSION, Upstream, Usage,
};

use super::rows::{self, Body, Row};
use super::truth::Failure;
use super::{Bodies, answer, prose};
use crate::upstream::SplitMix;

/// A record, and what is true of it.
pub(super) struct Draft {
    pub(super) record: LogRecord,
    pub(super) failure: Option<Failure>,
    /// What its error says, or the answer of a success.
    pub(super) words: String,
}

/// Makes a success.
pub(super) fn success(random: &mut SplitMix, at: Timestamp, bodies: Bodies) -> Draft {
    let size = prose::size(random, bodies);
    let pieces = prose::pieces(random, size);
    let mut record = blank(random, at);
    match random.below(20) {
        0 => set_json(&mut record, &answer::object(&pieces, "completed").to_string()),
        1 => set_json(&mut record, &answer::chat(&pieces).to_string()),
        2 => record.response_body = answer::chat_stream(&pieces),
        3 => {
            // One byte that is not UTF-8, and all of it is base64.
            let mut body = answer::stream(&pieces, answer::Last::Completed, None, "").into_bytes();
            body.extend_from_slice(b": \xff\n\n");
            record.response_encoding = Encoding::Base64;
            record.response_body = STANDARD.encode(body);
        }
        _ => record.response_body = answer::stream(&pieces, answer::Last::Completed, None, ""),
    }
    record.response_bytes = record.response_body.len() as u64;
    Draft { record, failure: None, words: pieces.concat() }
}

/// Makes a failure: the rows in turn.
pub(super) fn failure(random: &mut SplitMix, at: Timestamp, number: usize) -> Draft {
    of_row(random, at, &rows::row(number % rows::COUNT))
}

/// Makes a failure of one kind.
pub(super) fn of_row(random: &mut SplitMix, at: Timestamp, row: &Row) -> Draft {
    let mut record = blank(random, at);
    let mut pieces = prose::pieces(random, 600);
    pieces.push(prose::quote(random));
    let code = Some(row.code);
    match row.body {
        Body::Error => {
            set_json(&mut record, &answer::error(code, row.kind, row.message).to_string());
        }
        Body::Plain => row.message.clone_into(&mut record.response_body),
        Body::Stream(last) => {
            record.response_body = answer::stream(&pieces, last, code, row.message);
        }
        Body::Incomplete => {
            set_json(&mut record, &answer::object(&pieces, "incomplete").to_string());
        }
        Body::Empty => record.response_body.clear(),
    }
    let is_ours = row.kind == Some("proxy_error");
    if is_ours || row.status == 499 {
        record.origin = AnsweredBy::Proxy;
        record.upstream = None;
    } else if let Some(upstream) = &mut record.upstream {
        upstream.status = row.status;
        if row.origin == Origin::OpenaiEdge {
            upstream.request_id = None;
        }
    }
    record.status = row.status;
    record.ending = row.ending;
    record.error = Some(LoggedError {
        origin: row.origin,
        code: row.code.to_owned(),
        kind: row.kind.filter(|kind| !kind.is_empty()).map(str::to_owned),
        message: row.message.to_owned(),
        detail: row.detail.map(str::to_owned),
    });
    record.usage = None;
    record.response_bytes = record.response_body.len() as u64;
    let failure = Failure {
        origin: row.origin,
        code: row.code.to_owned(),
        status: Some(row.status),
        endless: row.is_endless(),
    };
    Draft { record, failure: Some(failure), words: row.message.to_owned() }
}

fn set_json(record: &mut LogRecord, body: &str) {
    record.stream = Some(false);
    record.response_content_type = Some("application/json".to_owned());
    body.clone_into(&mut record.response_body);
}

/// Makes an id as a UUIDv7 is made.
pub(super) fn exchange_id(random: &mut SplitMix, at: Timestamp) -> ExchangeId {
    let ms = u128::try_from(at.as_millisecond()).unwrap_or_default();
    let noise = u128::from(random.draw()) << 64 | u128::from(random.draw());
    let noise = noise & 0x0fff_3fff_ffff_ffff_ffff;
    ExchangeId(ms << 80 | 0x7000_8000_0000_0000_0000 | noise)
}

pub(super) fn blank(random: &mut SplitMix, at: Timestamp) -> LogRecord {
    let developer = random.below(24);
    let model = ["gpt-5.5", "gpt-5.5", "gpt-5.5-codex", "gpt-5.5-mini"][random.below(4)];
    LogRecord {
        schema_version: SCHEMA_VERSION,
        exchange_id: exchange_id(random, at).to_string(),
        lambda_request_id: None,
        proxy: ProxyIdentity { version: "0.1.0".to_owned(), region: None, function: None },
        started_at: at,
        origin: AnsweredBy::Openai,
        error: None,
        ending: Ending::Complete,
        status: 200,
        upstream: Some(Upstream {
            host: "api.openai.com:443".to_owned(),
            status: 200,
            request_id: Some(format!("req_{:016x}", random.draw())),
            processing_ms: Some(812.0),
            cf_ray: Some("8f1e2d3c4b5a6978-FRA".to_owned()),
            ratelimit: BTreeMap::from([("remaining-tokens".to_owned(), "1999000".to_owned())]),
        }),
        method: "POST".to_owned(),
        path: "/v1/responses".to_owned(),
        received_path: "/v1/responses".to_owned(),
        token_id: Some(format!(
            "{:016x}",
            (developer as u64 + 1).wrapping_mul(0x1234_5678_9abc_def1)
        )),
        developer: Some(format!("dev-{developer:02}")),
        client: Client {
            ip: Some("192.0.2.7".to_owned()),
            user_agent: Some("codex_cli_rs/0.169.0".to_owned()),
            originator: Some("codex_cli_rs".to_owned()),
            version: Some("0.169.0".to_owned()),
            session_id: Some(format!("session-{developer}")),
            turn_id: Some(format!("turn-{:08x}", random.draw() >> 32)),
        },
        model: Some(model.to_owned()),
        stream: Some(true),
        duration_ms: 2_345.678,
        ttfb_ms: Some(812.5),
        auth_ms: 0.2,
        upstream_ttfb_ms: Some(811.9),
        request_bytes: 20_480,
        response_bytes: 0,
        usage: Some(Usage { total_tokens: Some(56), ..Usage::default() }),
        response_content_type: Some("text/event-stream".to_owned()),
        response_encoding: Encoding::Utf8,
        redacted: false,
        response_truncated: false,
        padded: false,
        request_body: None,
        response_body: String::new(),
    }
}
