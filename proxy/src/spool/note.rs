//! The small frames: what was seen of an exchange besides its body, as JSON, without secrets.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use schemas::record::{Client, Upstream};
use serde::{Deserialize, Serialize};

use crate::admit::Presented;
use crate::answer;
use crate::asked::Asked;
use crate::facts::Facts;
use crate::outcome::{Answered, CLIENT_LEFT, End};
use crate::record;
use crate::redact::Redactor;
use crate::response::ResponseLog;
use crate::secret::Secret;
use crate::token::TokenHash;
use crate::upload::UploadWatch;

/// The request arrived.
#[derive(Serialize, Deserialize)]
pub(super) struct BeginNote<'a> {
    started_at: Timestamp,
    method: Cow<'a, str>,
    received_path: Cow<'a, str>,
    client: Cow<'a, Client>,
    request_encoding: Option<Cow<'a, str>>,
    redacted: bool,
}

/// Its token was looked at.
#[derive(Serialize, Deserialize)]
pub(super) struct CheckedNote<'a> {
    target: Cow<'a, str>,
    token: Option<String>,
    developer: Option<Cow<'a, str>>,
    auth_us: u64,
    redacted: bool,
}

/// Response headers came.
#[derive(Serialize, Deserialize)]
pub(super) struct AnsweredNote<'a> {
    status: u16,
    marks: Marks,
    upstream: Option<Cow<'a, Upstream>>,
    content_type: Option<Cow<'a, str>>,
    pub(super) content_length: Option<u64>,
    ttfb_us: Option<u64>,
    upstream_ttfb_us: Option<u64>,
    request: RequestNote,
    redacted: bool,
}

/// What tells OpenAI's own answer from its edge's.
#[derive(Serialize, Deserialize)]
struct Marks {
    has_request_id: bool,
    has_cf_ray: bool,
    may_have_body: bool,
}

/// The exchange ended.
#[derive(Serialize, Deserialize)]
pub(super) struct EndNote {
    end: End,
    duration_us: u64,
    request: RequestNote,
    refusal: Option<RefusalNote>,
}

/// What is known of the request body. Its model may be a secret pasted into the wrong place.
#[derive(Serialize, Deserialize)]
struct RequestNote {
    bytes: u64,
    model: Option<String>,
    stream: Option<bool>,
}

/// The proxy answered by itself; the body follows from this.
#[derive(Serialize, Deserialize)]
struct RefusalNote {
    code: String,
    detail: Option<String>,
    status: u16,
    ttfb_us: u64,
}

impl<'a> BeginNote<'a> {
    pub(super) fn of(facts: &'a Facts, secrets: &[Secret]) -> Self {
        let mut redactor = Redactor::new(secrets.iter().cloned());
        Self {
            started_at: facts.started_at,
            method: redactor.clean(&facts.method),
            received_path: redactor.clean(&facts.received_path),
            client: record::redact_client(Cow::Borrowed(&facts.client), &mut redactor),
            request_encoding: facts.request_encoding.as_deref().map(|text| redactor.clean(text)),
            redacted: redactor.found(),
        }
    }

    /// Begins the facts of an exchange that will be known as far as its frames go.
    pub(super) fn recall(self, id: ExchangeId, body_limit: usize) -> Facts {
        Facts {
            id,
            started_at: self.started_at,
            lambda_request_id: None,
            record_deadline: None,
            method: self.method.into_owned(),
            target: self.received_path.to_string(),
            received_path: self.received_path.into_owned(),
            client: self.client.into_owned(),
            request_encoding: self.request_encoding.map(Cow::into_owned),
            presented: None,
            secrets: Vec::new(),
            upload: UploadWatch::default(),
            auth: Duration::ZERO,
            answered: Answered::Nobody,
            status: CLIENT_LEFT,
            ttfb: None,
            upstream_ttfb: None,
            upstream: None,
            content_type: None,
            response: ResponseLog::new(body_limit),
            end: End::ProxyDied,
            duration: Duration::ZERO,
            redacted: self.redacted,
        }
    }
}

impl<'a> CheckedNote<'a> {
    pub(super) fn of(facts: &'a Facts, secrets: &[Secret]) -> Self {
        let mut redactor = Redactor::new(secrets.iter().cloned());
        let presented = facts.presented.as_ref();
        Self {
            target: redactor.clean(&facts.target),
            token: presented.map(|presented| presented.hash.to_string()),
            developer: presented
                .and_then(|presented| presented.developer.as_deref())
                .map(Cow::Borrowed),
            auth_us: microseconds(facts.auth),
            redacted: redactor.found(),
        }
    }

    pub(super) fn recall(self, facts: &mut Facts) {
        let hash = self.token.as_deref().and_then(TokenHash::parse);
        // The token itself was masked before anything was written, and is not known any more.
        facts.presented = hash.map(|hash| Presented {
            token: Secret::new(""),
            hash,
            developer: self.developer.map(Cow::into_owned),
        });
        facts.target = self.target.into_owned();
        facts.auth = Duration::from_micros(self.auth_us);
        facts.redacted |= self.redacted;
    }
}

impl<'a> AnsweredNote<'a> {
    /// `None` unless OpenAI answered.
    pub(super) fn of(
        facts: &'a Facts,
        content_length: Option<u64>,
        secrets: &[Secret],
    ) -> Option<Self> {
        let Answered::Openai { status, has_request_id, has_cf_ray, may_have_body } = facts.answered
        else {
            return None;
        };
        let mut redactor = Redactor::new(secrets.iter().cloned());
        let upstream = facts.upstream.as_ref().map(Cow::Borrowed);
        let upstream = upstream.map(|upstream| record::redact_upstream(upstream, &mut redactor));
        let content_type = facts.content_type.as_deref().map(|text| redactor.clean(text));
        let request = RequestNote::of(facts, &mut redactor);
        Some(Self {
            status,
            marks: Marks { has_request_id, has_cf_ray, may_have_body },
            upstream,
            content_type,
            content_length: content_length.filter(|_| may_have_body),
            ttfb_us: facts.ttfb.map(microseconds),
            upstream_ttfb_us: facts.upstream_ttfb.map(microseconds),
            request,
            redacted: redactor.found(),
        })
    }

    pub(super) fn recall(self, facts: &mut Facts) {
        facts.answered = Answered::Openai {
            status: self.status,
            has_request_id: self.marks.has_request_id,
            has_cf_ray: self.marks.has_cf_ray,
            may_have_body: self.marks.may_have_body,
        };
        facts.status = self.status;
        facts.upstream = self.upstream.map(Cow::into_owned);
        facts.content_type = self.content_type.map(Cow::into_owned);
        facts.response.expect(facts.content_type.as_deref());
        facts.ttfb = self.ttfb_us.map(Duration::from_micros);
        facts.upstream_ttfb = self.upstream_ttfb_us.map(Duration::from_micros);
        facts.redacted |= self.redacted;
        self.request.recall(facts);
    }
}

impl EndNote {
    pub(super) fn of(facts: &Facts, secrets: &[Secret]) -> Self {
        let mut redactor = Redactor::new(secrets.iter().cloned());
        let refusal = match &facts.answered {
            Answered::Proxy { code, detail } => Some(RefusalNote {
                code: code.entry().name.to_owned(),
                detail: detail.as_deref().map(str::to_owned),
                status: facts.status,
                ttfb_us: microseconds(facts.ttfb.unwrap_or_default()),
            }),
            Answered::Openai { .. } | Answered::Nobody => None,
        };
        Self {
            end: facts.end,
            duration_us: microseconds(facts.duration),
            request: RequestNote::of(facts, &mut redactor),
            refusal,
        }
    }

    pub(super) fn recall(self, facts: &mut Facts) {
        if let Some(refusal) = self.refusal
            && let Some(code) = ErrorCode::from_name(&refusal.code)
        {
            let (_, body) =
                answer::refuse(code, refusal.status, refusal.detail.as_deref(), facts.id);
            let ttfb = Duration::from_micros(refusal.ttfb_us);
            let detail = refusal.detail.map(Into::into);
            facts.refused(code, refusal.status, detail, &body, ttfb);
        }
        facts.end = self.end;
        facts.duration = Duration::from_micros(self.duration_us);
        self.request.recall(facts);
    }
}

/// Request copies over this are not parsed while their answer waits; their model is then known only
/// to the record, which is made when the exchange is over.
const PARSED_COPY: usize = 256 << 10;

impl RequestNote {
    fn of(facts: &Facts, redactor: &mut Redactor) -> Self {
        let asked = facts.upload.asked_if_small(facts.request_encoding.as_deref(), PARSED_COPY);
        Self {
            bytes: facts.upload.bytes(),
            model: redactor.option(asked.model),
            stream: asked.stream,
        }
    }

    fn recall(self, facts: &mut Facts) {
        let asked = Asked { model: self.model, stream: self.stream };
        facts.upload = UploadWatch::recalled(self.bytes, asked);
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
