//! One exchange, from its first header to whatever ends it.
//!
//! [`Facts`] are collected as they are seen. Dropping an [`Exchange`] hands them to the log, so that
//! every way out of the request path (answered, refused, client gone, panic) leaves exactly one
//! record, and none has to be remembered.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, header};
use jiff::Timestamp;
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use schemas::record::Upstream;
use tokio::time::Instant;

use crate::admit;
use crate::answer;
use crate::client;
use crate::facts::Facts;
use crate::handle::Arrival;
use crate::log::Log;
use crate::memory::Held;
use crate::outcome::{Answered, CLIENT_LEFT, End};
use crate::response::ResponseLog;
use crate::secret::Secret;
use crate::spool::{Connection, Segment};
use crate::upload::UploadWatch;

/// One exchange; its `Drop` is its end.
pub struct Exchange {
    facts: Option<Box<Facts>>,
    begun: Instant,
    log: Arc<Log>,
    /// The client's connection, where exchanges are spooled.
    connection: Option<Connection>,
}

impl Exchange {
    /// Begins an exchange at the arrival of its head.
    #[must_use]
    pub fn begin(
        log: &Arc<Log>,
        id: ExchangeId,
        started_at: Timestamp,
        head: &Parts,
        arrival: &Arrival,
        mut secrets: Vec<Secret>,
    ) -> Self {
        let presented = admit::presented(&head.headers);
        if presented.is_none() {
            secrets.extend(admit::credentials(&head.headers));
        }
        let received_path = head.uri.to_string();
        let facts = Facts {
            id,
            started_at,
            lambda_request_id: arrival.lambda_request_id.clone(),
            record_deadline: arrival.record_deadline,
            method: head.method.to_string(),
            target: received_path.clone(),
            received_path,
            client: client::read(&head.headers, arrival.ip),
            request_encoding: client::value(&head.headers, header::CONTENT_ENCODING.as_str()),
            presented,
            secrets,
            upload: UploadWatch::default(),
            auth: Duration::ZERO,
            answered: Answered::Nobody,
            status: CLIENT_LEFT,
            ttfb: None,
            upstream_ttfb: None,
            upstream: None,
            content_type: None,
            response: ResponseLog::new(log.limits().response_log_bytes)
                .within(Held::of(log.memory())),
            end: End::ClientLeft,
            duration: Duration::ZERO,
            redacted: false,
        };
        log.journal().started(&facts);
        let begun = Instant::now();
        let connection = arrival.connection.clone();
        if let Some(connection) = &connection {
            let token = facts.presented.as_ref().map(|presented| &presented.token);
            let secrets = token.into_iter().chain(&facts.secrets).cloned().collect();
            connection.begin(&facts, secrets);
        }
        Self { facts: Some(Box::new(facts)), begun, log: Arc::clone(log), connection }
    }

    /// Returns the facts, to read and to add to.
    ///
    /// # Panics
    ///
    /// Never: only `Drop` takes them.
    pub fn facts(&mut self) -> &mut Facts {
        self.facts.as_deref_mut().expect("only Drop takes the facts")
    }

    /// Returns how long the exchange has lasted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn note(&mut self, note: impl FnOnce(&mut Segment, &Facts)) {
        if let (Some(facts), Some(connection)) = (&self.facts, &self.connection) {
            connection.note(|segment| note(segment, facts));
        }
    }

    /// Notes a key that the record must not hold.
    pub fn mask(&mut self, key: &Secret) {
        let known = &mut self.facts().secrets;
        if !known.contains(key) {
            known.push(key.clone());
            self.note(|segment, _| segment.also_mask(key.clone()));
        }
    }

    /// Notes that the request goes on to OpenAI.
    pub fn admitted(&mut self) {
        self.note(|segment, facts| {
            segment.checked(facts);
            segment.commit();
        });
    }

    /// Notes bytes of the answer on their way to the client.
    pub fn chunk(&mut self, data: &[u8]) {
        self.facts().response.push(data);
        self.note(|segment, facts| segment.chunk(facts, data));
    }

    /// Notes that the proxy answers by itself, with this body, and that this ends the exchange.
    pub fn refused(
        mut self,
        code: ErrorCode,
        status: u16,
        detail: Option<&'static str>,
        body: &[u8],
    ) {
        let elapsed = self.elapsed();
        self.facts().refused(code, status, detail.map(Into::into), body, elapsed);
    }

    /// Notes the response headers that arrived from OpenAI.
    pub fn answered(&mut self, host: &str, status: u16, headers: &HeaderMap, waited: Duration) {
        let elapsed = self.elapsed();
        let facts = self.facts();
        let request_id = client::value(headers, "x-request-id")
            .or_else(|| client::value(headers, "x-oai-request-id"));
        let cf_ray = client::value(headers, "cf-ray");
        let no_body = facts.method == "HEAD" || matches!(status, 204 | 304);
        facts.answered = Answered::Openai {
            status,
            has_request_id: request_id.is_some(),
            has_cf_ray: cf_ray.is_some(),
            may_have_body: !no_body,
        };
        facts.status = status;
        facts.ttfb = Some(elapsed);
        facts.upstream_ttfb = Some(waited);
        facts.content_type = client::value(headers, header::CONTENT_TYPE.as_str());
        facts.response.expect(facts.content_type.as_deref());
        let ratelimit = headers.keys().filter_map(|name| {
            let short = name.as_str().strip_prefix("x-ratelimit-")?;
            Some((short.to_owned(), client::value(headers, name.as_str())?))
        });
        facts.upstream = Some(Upstream {
            host: host.to_owned(),
            status,
            request_id,
            processing_ms: client::value(headers, "openai-processing-ms")
                .and_then(|ms| ms.parse().ok())
                .filter(|ms: &f64| ms.is_finite()),
            cf_ray,
            ratelimit: ratelimit.collect(),
        });
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        self.note(|segment, facts| segment.answered(facts, length));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(mut facts) = self.facts.take() else { return };
        facts.duration = self.begun.elapsed();
        if std::thread::panicking() && matches!(facts.answered, Answered::Nobody) {
            // The answer that `handle` gives for a panic; the record must agree with it.
            let code = ErrorCode::Internal;
            let status = code.entry().status;
            let (_, body) = answer::refuse(code, status, None, facts.id);
            let elapsed = facts.duration;
            facts.refused(code, status, None, &body, elapsed);
        } else if facts.end == End::ClientLeft && (self.log.is_cut() || std::thread::panicking()) {
            facts.end = End::ProxyDied;
        } else if facts.end == End::ClientLeft && facts.lambda_request_id.is_some() {
            facts.end = End::LambdaClosed;
        }
        let mut segment = self.connection.as_ref().and_then(Connection::take);
        if let Some(segment) = &mut segment {
            segment.end(&facts);
        }
        if std::thread::panicking() {
            // What nobody wants of the request is still being read, and counts.
            let watch = facts.upload.clone();
            self.log.submit_after(async move { watch.over().await }, facts, segment);
        } else {
            self.log.submit(facts, segment);
        }
    }
}
