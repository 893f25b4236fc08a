//! What was seen of an exchange: plain values, from which its record is made.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use schemas::record::{Client, Upstream};
use tokio::time::Instant;

use crate::admit::Presented;
use crate::asked::Asked;
use crate::outcome::{Answered, End};
use crate::response::ResponseLog;
use crate::secret::Secret;
use crate::upload::UploadWatch;

/// What was seen of an exchange.
#[derive(Debug)]
pub struct Facts {
    /// Its identity.
    pub id: ExchangeId,
    /// When the request arrived.
    pub started_at: Timestamp,
    /// Lambda's name for the invocation; `None` outside Lambda.
    pub lambda_request_id: Option<String>,
    /// When the record has to be stored or spilled; `None` outside Lambda.
    pub record_deadline: Option<Instant>,
    /// HTTP method.
    pub method: String,
    /// Request target as it arrived.
    pub received_path: String,
    /// Path and query as forwarded; as received while that is not known.
    pub target: String,
    /// What the client says about itself.
    pub client: Client,
    /// `content-encoding` of the request.
    pub request_encoding: Option<String>,
    /// The token, if one was presented.
    pub presented: Option<Presented>,
    /// What its record must not hold beside the token: the real keys known when it began, the one used,
    /// and whatever stands in `Authorization` without being the token.
    pub secrets: Vec<Secret>,
    /// The request body.
    pub upload: UploadWatch,
    /// Time spent on checking the token.
    pub auth: Duration,
    /// Who answered.
    pub answered: Answered,
    /// Status sent to the client.
    pub status: u16,
    /// Arrival to response headers.
    pub ttfb: Option<Duration>,
    /// Forwarding to OpenAI's response headers.
    pub upstream_ttfb: Option<Duration>,
    /// What OpenAI answered.
    pub upstream: Option<Upstream>,
    /// `content-type` of the answer.
    pub content_type: Option<String>,
    /// The response body.
    pub response: ResponseLog,
    /// How the transport ended.
    pub end: End,
    /// Arrival to the end.
    pub duration: Duration,
    /// A secret was masked before these facts were written down.
    pub redacted: bool,
}

impl Facts {
    /// Notes that the proxy answered by itself, with this body.
    pub fn refused(
        &mut self,
        code: ErrorCode,
        status: u16,
        detail: Option<Cow<'static, str>>,
        body: &[u8],
        elapsed: Duration,
    ) {
        self.answered = Answered::Proxy { code, detail };
        self.status = status;
        self.ttfb = Some(elapsed);
        self.content_type = Some("application/json".to_owned());
        if self.method != "HEAD" {
            self.response.push(body);
        }
        if self.end != End::Deadline {
            self.end = End::Clean;
        }
    }

    /// Returns all that can be told when a record cannot be made of everything: no bodies, and an
    /// ending that is the proxy's fault.
    #[must_use]
    pub fn outline(&self) -> Self {
        Self {
            id: self.id,
            started_at: self.started_at,
            lambda_request_id: self.lambda_request_id.clone(),
            record_deadline: self.record_deadline,
            method: self.method.clone(),
            target: self.target.clone(),
            received_path: self.received_path.clone(),
            client: self.client.clone(),
            request_encoding: None,
            presented: self.presented.clone(),
            secrets: self.secrets.clone(),
            upload: UploadWatch::recalled(self.upload.bytes(), Asked::default()),
            auth: self.auth,
            answered: self.answered.clone(),
            status: self.status,
            ttfb: self.ttfb,
            upstream_ttfb: self.upstream_ttfb,
            upstream: self.upstream.clone(),
            content_type: self.content_type.clone(),
            response: ResponseLog::default(),
            end: End::ProxyDied,
            duration: self.duration,
            redacted: self.redacted,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use http::Request;

    use super::*;

    /// An exchange that has just begun.
    pub(crate) fn facts_of(request: &Request<()>) -> Facts {
        Facts {
            id: ExchangeId(7),
            started_at: Timestamp::UNIX_EPOCH,
            lambda_request_id: None,
            record_deadline: None,
            method: request.method().to_string(),
            target: request.uri().to_string(),
            received_path: request.uri().to_string(),
            client: Client::default(),
            request_encoding: None,
            presented: None,
            secrets: Vec::new(),
            upload: UploadWatch::default(),
            auth: Duration::ZERO,
            answered: Answered::Nobody,
            status: crate::outcome::CLIENT_LEFT,
            ttfb: None,
            upstream_ttfb: None,
            upstream: None,
            content_type: None,
            response: ResponseLog::new(1 << 20),
            end: End::ClientLeft,
            duration: Duration::ZERO,
            redacted: false,
        }
    }
}
