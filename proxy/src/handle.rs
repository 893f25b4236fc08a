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
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::poll_fn;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use serde_json::json;
use tokio::time::Instant;

use crate::admit;
use crate::answer;
use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::log::{Log, Unwritten};
use crate::openai_key::{KeySource, KeyUnavailable, OpenAiKey};
use crate::outcome::End;
use crate::relay::{Relay, Reply};
use crate::settings::Settings;
use crate::spool::{Connection, Segment};
use crate::token::TokenStore;
use crate::upload::{RequestBody, Upload, UploadError};
use crate::upstream::{self, Answer, Failure, Upstream};

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
    /// Name of a setting that is missing or wrong, without which nothing can be forwarded.
    pub wrong_setting: Option<&'static str>,
}

/// How a request arrived.
#[derive(Clone, Default)]
pub struct Arrival {
    /// Address that it came from.
    pub ip: Option<IpAddr>,
    /// Where the exchange is spooled; `None` without a spool.
    pub connection: Option<Connection>,
    /// Lambda's name for the invocation; `None` outside Lambda.
    pub lambda_request_id: Option<String>,
    /// When the answer has to be over, so that there is time left for its record; `None` outside
    /// Lambda.
    pub deadline: Option<Instant>,
    /// When its record has to be stored or spilled; `None` outside Lambda.
    pub record_deadline: Option<Instant>,
    /// A part of the request could not be read.
    pub is_malformed: bool,
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
        if reason.needs_operator() { Self::for_operator() } else { Self::from(ErrorCode::Internal) }
    }
}

impl Refusal {
    /// The proxy is set up wrong.
    fn for_operator() -> Self {
        let detail = Some("proxy_configuration_error");
        let retry_after_s = Some(OPERATOR_TIME_S);
        Self { detail, retry_after_s, ..Self::from(ErrorCode::Internal) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, status: code.entry().status, detail: None, retry_after_s: None }
    }
}

impl Proxy {
    /// Answers one request. Never fails: a panic on the way becomes `internal error`.
    ///
    /// The exchange begins with the call and not with the first poll of what is returned: a client
    /// that is gone by then had sent its request, and leaves a record.
    pub fn handle(
        self: Arc<Self>,
        request: Request<RequestBody>,
        arrival: Arrival,
    ) -> impl Future<Output = Response<Reply>> + Send {
        let exchange = (!is_health_check(&request, &arrival)).then(|| {
            let started_at = self.clock.now();
            let id = self.clock.exchange_id(started_at);
            let (head, body) = request.into_parts();
            let keys = self.openai_key.known();
            (Exchange::begin(&self.log, id, started_at, &head, &arrival, keys), id, head, body)
        });
        async move {
            let Some((exchange, id, head, body)) = exchange else { return self.healthy() };
            let answer = AssertUnwindSafe(self.answer(exchange, id, head, body, arrival));
            answer.catch_unwind().await.unwrap_or_else(|_| {
                let internal = Refusal::from(ErrorCode::Internal);
                respond(&internal, id).0
            })
        }
    }

    /// Says that this server serves. Exchanges do not depend on the log, but whoever asks may want to
    /// know how many records wait for it.
    fn healthy(&self) -> Response<Reply> {
        let Unwritten { lost, waiting } = self.log.unwritten();
        let version = &self.settings.identity.version;
        let body = json!({"status": "ok", "version": version, "lost": lost, "waiting": waiting});
        let mut answer = Response::new(Reply::Own(Full::new(format!("{body}\n").into())));
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        answer.headers_mut().insert(answer::ORIGIN, HeaderValue::from_static("proxy"));
        answer
    }

    async fn answer(
        &self,
        mut exchange: Exchange,
        id: ExchangeId,
        head: Parts,
        body: RequestBody,
        arrival: Arrival,
    ) -> Response<Reply> {
        let (upload, watch) = Upload::new(body, &head.headers, &self.settings.limits);
        watch.hold(self.log.memory());
        exchange.facts().upload = watch.clone();

        let admitted = async {
            let target = self.admit(&head, &arrival, &mut exchange).await?;
            Ok::<_, Refusal>((target, self.key(&mut exchange).await?))
        };
        let admitted = noted(arrival.connection.as_ref(), admitted);
        let (target, key) = match within(arrival.deadline, admitted).await {
            Some(Ok(admitted)) => admitted,
            None => {
                // The token store or the vault was still silent when Lambda's time was up.
                exchange.facts().end = End::Deadline;
                return refuse(exchange, &Refusal::from(ErrorCode::Internal), id);
            }
            Some(Err(refusal)) => {
                drop(upload);
                watch.over().await;
                return refuse(exchange, &refusal, id);
            }
        };
        exchange.admitted();
        let begun = Instant::now();
        let sent = self.upstream.send(&head, &target, &key, upload, &watch);
        match within(arrival.deadline, sent).await {
            None => {
                // OpenAI was still silent when Lambda's time was up.
                let (code, detail) = (ErrorCode::UpstreamFailed, Some("http_response_timeout"));
                exchange.facts().end = End::Deadline;
                refuse(exchange, &Refusal { status: 504, detail, ..Refusal::from(code) }, id)
            }
            Some(Ok(response)) => {
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.openai_key.refused(&key);
                }
                self.relay(exchange, response, id, begun.elapsed(), arrival.deadline)
            }
            Some(Err(failure)) => {
                // An upload that broke off is the cause, whatever the connection to OpenAI says.
                let failure = watch.failure().map_or(failure, Failure::Upload);
                watch.over().await;
                match failure {
                    Failure::Network { detail, status } => {
                        let (code, detail) = (ErrorCode::UpstreamFailed, Some(detail));
                        refuse(exchange, &Refusal { status, detail, ..Refusal::from(code) }, id)
                    }
                    Failure::Exhausted => {
                        complain("upstream_not_opened", "too many open files (see ulimit -n)");
                        refuse(exchange, &Refusal::from(ErrorCode::Internal), id)
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
    async fn admit(
        &self,
        head: &Parts,
        arrival: &Arrival,
        exchange: &mut Exchange,
    ) -> Result<String, Refusal> {
        let begun = Instant::now();
        if self.wrong_setting.is_some() {
            return Err(Refusal::for_operator());
        }
        if arrival.is_malformed {
            return Err(ErrorCode::MalformedRequest.into());
        }
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
                    complain("token_lookup_failed", &failed.to_string());
                }
                Err(code.into())
            }
        }
    }

    /// Gets the real key, which only an admitted request does, and notes what its record must mask.
    async fn key(&self, exchange: &mut Exchange) -> Result<OpenAiKey, Refusal> {
        let key = self.openai_key.current().await?;
        exchange.mask(&key.key);
        Ok(key)
    }

    /// Passes OpenAI's answer on: its status, its headers but the hop-by-hop ones, its body.
    fn relay(
        &self,
        mut exchange: Exchange,
        response: Response<Answer>,
        id: ExchangeId,
        waited: Duration,
        deadline: Option<Instant>,
    ) -> Response<Reply> {
        let (mut head, body) = response.into_parts();
        upstream::strip_hop_by_hop(&mut head.headers);
        // The version is one connection's business, too.
        head.version = Version::HTTP_11;
        exchange.answered(self.upstream.host(), head.status.as_u16(), &head.headers, waited);
        answer::mark_forwarded(&mut head.headers, id);
        let relay = Relay::new(body, exchange, self.settings.timeouts.idle, deadline);
        // `head` keeps hyper's extensions: reason phrase and spelling of the header names.
        Response::from_parts(head, Reply::Relayed(relay))
    }
}

/// Writes what was noted of an exchange before it waits for anything, but not if it need not wait.
async fn noted<T>(connection: Option<&Connection>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let polled = work.as_mut().poll(cx);
        if let (true, Some(connection)) = (polled.is_pending(), connection) {
            connection.note(Segment::commit);
        }
        polled
    })
    .await
}

/// Tells a load balancer's question from an exchange. In Lambda there is no load balancer, and every
/// invocation leaves a record.
fn is_health_check(request: &Request<RequestBody>, arrival: &Arrival) -> bool {
    arrival.lambda_request_id.is_none()
        && request.uri().path() == "/healthz"
        && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Waits for something, but not beyond the deadline; `None` when that came first.
async fn within<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
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

/// Says on stderr, as one line of JSON, what an operator has to see to.
fn complain(event: &str, error: &str) {
    let line = serde_json::json!({"level": "error", "event": event, "error": error});
    #[expect(clippy::print_stderr, reason = "the client is told no more than the catalogue says")]
    {
        eprintln!("{line}");
    }
}
