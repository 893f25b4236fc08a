//! The life of a request.
//!
//! ```text
//! head arrives ─ begin exchange ─ route ─ bearer ─ check ─ key ─ send ─ headers ─ relay ─ last byte
//!                     │             │       │        │      │      │               │         │
//!                     │           400 404   401   401 503  503  502 504      cut, silent,    │
//!                     │           413 426                                    client gone     │
//!                     └──────────── dropping the exchange, wherever, is its record ──────────┘
//! ```
//!
//! The local server and Lambda take this same path.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use tokio::time::Instant;

use crate::admit::{self, Presented};
use crate::answer;
use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::log::Log;
use crate::openai_key::{KeySource, KeyUnavailable, OpenAiKey};
use crate::outcome::End;
use crate::relay::{Relay, Reply};
use crate::settings::Settings;
use crate::token::{TokenHash, TokenStore};
use crate::upload::{Upload, UploadError};
use crate::upstream::{self, Failure, Upstream};

/// Everything that the request path works with.
pub struct Proxy {
    /// What it was told.
    pub settings: Arc<Settings>,
    /// OpenAI.
    pub upstream: Upstream,
    /// The real key.
    pub openai_key: Arc<dyn KeySource>,
    /// Whose token it is.
    pub tokens: Arc<dyn TokenStore>,
    /// Time and identity.
    pub clock: Arc<dyn Clock>,
    /// Where exchanges go when they end.
    pub log: Arc<Log>,
}

/// Why the proxy answers by itself.
struct Refusal {
    code: ErrorCode,
    status: u16,
    detail: Option<&'static str>,
    /// Seconds to wait before another try, where the catalogue's own would be too short.
    retry_after_s: Option<u32>,
}

/// What a client should wait where only an operator can help.
const OPERATOR_TIME_S: u32 = 30;

impl From<KeyUnavailable> for Refusal {
    fn from(reason: KeyUnavailable) -> Self {
        let internal = Self::from(ErrorCode::Internal);
        if reason.needs_operator() {
            let detail = Some("proxy_configuration_error");
            Self { detail, retry_after_s: Some(OPERATOR_TIME_S), ..internal }
        } else {
            internal
        }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, status: code.entry().status, detail: None, retry_after_s: None }
    }
}

impl Proxy {
    /// Answers one request. Never fails: a panic on the way becomes `internal error`.
    pub async fn handle(&self, request: Request<Incoming>, ip: Option<IpAddr>) -> Response<Reply> {
        let started_at = self.clock.now();
        let id = self.clock.exchange_id(started_at);
        let answer = AssertUnwindSafe(self.answer(request, ip, id, started_at)).catch_unwind();
        answer.await.unwrap_or_else(|_| {
            let internal = Refusal::from(ErrorCode::Internal);
            respond(&internal, id).0
        })
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        ip: Option<IpAddr>,
        id: ExchangeId,
        started_at: jiff::Timestamp,
    ) -> Response<Reply> {
        let (head, body) = request.into_parts();
        let mut exchange = Exchange::begin(&self.log, id, started_at, &head, ip);
        let (upload, watch) = Upload::new(body, &head.headers, &self.settings.limits);
        exchange.facts().upload = watch.clone();
        exchange.facts().openai_keys = self.openai_key.known();

        let admitted = match self.admit(&head, &mut exchange).await {
            Ok(target) => self.key(&mut exchange).await.map(|key| (target, key)),
            Err(code) => Err(Refusal::from(code)),
        };
        let (target, key) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                drop(upload);
                watch.over().await;
                return refuse(exchange, &refusal, id);
            }
        };
        let begun = Instant::now();
        match self.upstream.send(&head, &target, &key, upload).await {
            Ok(response) => {
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.openai_key.refused(&key);
                }
                self.relay(exchange, response, id, begun.elapsed())
            }
            Err(failure) => {
                // An upload that broke off is the cause, whatever the connection to OpenAI says.
                let failure = watch.failure().map_or(failure, Failure::Upload);
                watch.over().await;
                match failure {
                    Failure::Network { detail, status } => {
                        let (code, detail) = (ErrorCode::UpstreamFailed, Some(detail));
                        refuse(exchange, &Refusal { status, detail, ..Refusal::from(code) }, id)
                    }
                    Failure::Upload(UploadError::TooLarge) => {
                        refuse(exchange, &Refusal::from(ErrorCode::RequestTooLarge), id)
                    }
                    Failure::Upload(UploadError::Malformed) => {
                        refuse(exchange, &Refusal::from(ErrorCode::MalformedRequest), id)
                    }
                    Failure::Upload(UploadError::ClientLeft) => {
                        // Nobody is there to read this; the exchange's end is the client's leaving.
                        exchange.facts().end = End::ClientLeft;
                        respond(&Refusal::from(ErrorCode::MalformedRequest), id).0
                    }
                }
            }
        }
    }

    /// Decides whether and where the request may go on, and notes what was learned about it.
    async fn admit(&self, head: &Parts, exchange: &mut Exchange) -> Result<String, ErrorCode> {
        let begun = Instant::now();
        let token = admit::bearer(&head.headers);
        exchange.facts().presented = token.map(|token| {
            let hash = TokenHash::of(token.expose());
            Presented { token, hash, developer: None }
        });
        let target = admit::route(head, &self.settings.limits)?;
        let facts = exchange.facts();
        facts.target.clone_from(&target);
        let presented = facts.presented.as_mut().ok_or(ErrorCode::MissingAuthorization)?;
        let checked = admit::check(presented, &*self.tokens).await;
        facts.auth = begun.elapsed();
        match checked {
            Ok(()) => Ok(target),
            Err((code, failed)) => {
                if let Some(failed) = failed {
                    complain(&failed.to_string());
                }
                Err(code)
            }
        }
    }

    /// Gets the real key, which only an admitted request does, and notes what its record must mask.
    async fn key(&self, exchange: &mut Exchange) -> Result<OpenAiKey, Refusal> {
        let key = self.openai_key.current().await?;
        let to_mask = &mut exchange.facts().openai_keys;
        if !to_mask.contains(&key.key) {
            to_mask.push(key.key.clone());
        }
        Ok(key)
    }

    /// Passes OpenAI's answer on: its status, its headers but the hop-by-hop ones, its body.
    fn relay(
        &self,
        mut exchange: Exchange,
        response: Response<Incoming>,
        id: ExchangeId,
        waited: Duration,
    ) -> Response<Reply> {
        let (mut head, body) = response.into_parts();
        upstream::strip_hop_by_hop(&mut head.headers);
        exchange.answered(self.upstream.host(), head.status.as_u16(), &head.headers, waited);
        answer::mark_forwarded(&mut head.headers, id);
        let relay = Relay::new(body, exchange, self.settings.timeouts.idle);
        // `head` keeps hyper's extensions: reason phrase and spelling of the header names.
        Response::from_parts(head, Reply::Relayed(relay))
    }
}

fn respond(refusal: &Refusal, id: ExchangeId) -> (Response<Reply>, Bytes) {
    let (mut answer, body) = answer::refuse(refusal.code, refusal.status, refusal.detail, id);
    if let Some(seconds) = refusal.retry_after_s {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    (answer.map(|()| Reply::Own(Full::new(body.clone()))), body)
}

fn refuse(exchange: Exchange, refusal: &Refusal, id: ExchangeId) -> Response<Reply> {
    let (answer, body) = respond(refusal, id);
    exchange.refused(refusal.code, refusal.status, refusal.detail, &body);
    answer
}

/// Says on stderr, as one line of JSON, why a token could not be looked up.
fn complain(error: &str) {
    let line =
        serde_json::json!({"level": "error", "event": "token_lookup_failed", "error": error});
    #[expect(clippy::print_stderr, reason = "the client is told no more than the catalogue says")]
    {
        eprintln!("{line}");
    }
}
