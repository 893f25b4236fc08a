//! What was seen of an exchange: plain values, from which its record is made.

use std::time::Duration;

use jiff::Timestamp;
use schemas::catalogue::ErrorCode;
use schemas::key::ExchangeId;
use schemas::record::{Client, Upstream};

use crate::admit::Presented;
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
    /// The real keys that its record must not hold: those known when it began, and the one used.
    pub openai_keys: Vec<Secret>,
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
}

impl Facts {
    /// Notes that the proxy answered by itself, with this body.
    pub fn refused(
        &mut self,
        code: ErrorCode,
        status: u16,
        detail: Option<&'static str>,
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
        self.end = End::Clean;
    }
}
