//! Connections to S3: HTTP/1.1, kept alive, each driven by whoever waits for its answer.
//!
//! No task stands behind a connection, and no pool decides which request goes where: a request takes
//! a connection that rests in its own runtime, or opens one. Measured beside the SDK's client and
//! `object_store` in `benches/reading`. S3 is reached through the proxy that `HTTPS_PROXY` names,
//! as the AWS CLI does it.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::poll_fn;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::runtime::{Handle, Id};
use tower_service::Service;

/// A server that does not answer a connection in this time is tried again.
const CONNECT: Duration = Duration::from_secs(5);
/// Nothing came for this long: the request is tried again. S3 answers within 200 ms, nearly always.
const SILENCE: Duration = Duration::from_secs(15);

type Body = Empty<Bytes>;
type Io = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;

/// One answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// There is no connection to be had.
    #[error("cannot connect: {}", root_cause(&**.0))]
    Connect(Box<dyn StdError + Send + Sync>),
    /// Connecting, answering or going on took too long.
    #[error("no answer for {} s", .0.as_secs())]
    Silent(Duration),
    /// A connection that had served before was closed before it answered: nothing is wrong yet.
    #[error("the connection was closed")]
    Stale,
    /// The connection broke, or the body is shorter than was said.
    #[error("the connection broke: {}", root_cause(.0))]
    Broken(hyper::Error),
    /// The body is longer than any log.
    #[error("the answer is over {} MiB", .0 >> 20)]
    TooLong(u64),
}

/// The connections to one host.
pub(super) struct Connections {
    to: Uri,
    way: Way,
    /// Those at rest, by the runtime whose driver tells what happens to them.
    resting: Mutex<HashMap<Id, Vec<Link>>>,
}

/// How a connection is made.
enum Way {
    Straight(HttpsConnector<HttpConnector>),
    /// Through a tunnel that a proxy digs.
    Through(HttpsConnector<Tunnel<HttpConnector>>),
}

struct Link {
    sender: http1::SendRequest<Body>,
    /// `None` once it is over.
    connection: Option<Box<http1::Connection<Io, Body>>>,
    is_used: bool,
}

impl Connections {
    /// Prepares for connections to the host of `to`.
    ///
    /// # Errors
    ///
    /// When the machine has no certificates to trust, and TLS is asked for.
    pub(super) fn new(to: Uri) -> std::io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = if to.scheme_str() == Some("https") {
            builder.with_provider_and_native_roots(provider)?.https_only()
        } else {
            let empty = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(std::io::Error::other)?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.with_tls_config(empty).https_or_http()
        };
        let builder = builder.enable_http1();
        let way = match Matcher::from_env().intercept(&to) {
            None => Way::Straight(builder.wrap_connector(tcp)),
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                Way::Through(builder.wrap_connector(tunnel))
            }
        };
        Ok(Self { to, way, resting: Mutex::default() })
    }

    /// Sends a request and reads the answer to its end, at most `limit` bytes of it.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
        limit: u64,
    ) -> Result<Answer, NoAnswer> {
        let home = Handle::current().id();
        let mut link = match self.resting(home) {
            Some(link) => link,
            None => self.open().await?,
        };
        let (sender, connection) = (&mut link.sender, &mut link.connection);
        let is_used = link.is_used;
        let answering = async {
            let sent = timed(sender.send_request(request)).await?;
            let response = sent.map_err(|error| {
                let is_stale = error.is_canceled() || is_used;
                if is_stale { NoAnswer::Stale } else { NoAnswer::Broken(error) }
            })?;
            let (head, body) = response.into_parts();
            let body = whole(body, length(&head.headers), limit).await?;
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        let answer = driven(connection, answering).await?;
        if link.connection.is_some() {
            link.is_used = true;
            self.lock().entry(home).or_default().push(link);
        }
        Ok(answer)
    }

    /// Takes a connection that rests and is still open.
    fn resting(&self, home: Id) -> Option<Link> {
        let mut all = self.lock();
        if !all.contains_key(&home) {
            // Connections of a runtime that is gone are closed; nobody else would notice.
            all.retain(|_, links| links.iter().any(|link| !link.sender.is_closed()));
            return None;
        }
        let links = all.get_mut(&home)?;
        std::iter::from_fn(|| links.pop()).find(|link| !link.sender.is_closed())
    }

    async fn open(&self) -> Result<Link, NoAnswer> {
        let connecting = match &self.way {
            Way::Straight(connector) => connector.clone().call(self.to.clone()),
            Way::Through(connector) => connector.clone().call(self.to.clone()),
        };
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let io = connected.map_err(|_| NoAnswer::Silent(CONNECT))?.map_err(NoAnswer::Connect)?;
        let made = http1::Builder::new().handshake(io).await;
        let (sender, connection) = made.map_err(NoAnswer::Broken)?;
        Ok(Link { sender, connection: Some(Box::new(connection)), is_used: false })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Vec<Link>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `work`, and what its connection has to do for it.
async fn driven<T>(
    connection: &mut Option<Box<http1::Connection<Io, Body>>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        let Some(open) = connection else { return Poll::Pending };
        // How it ended, the work learns by itself.
        if Pin::new(open.as_mut()).poll(context).is_ready() {
            *connection = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

async fn timed<T>(work: impl Future<Output = T>) -> Result<T, NoAnswer> {
    tokio::time::timeout(SILENCE, work).await.map_err(|_| NoAnswer::Silent(SILENCE))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Collects a body; one that came in one piece is not copied.
async fn whole(mut body: Incoming, length: Option<u64>, limit: u64) -> Result<Bytes, NoAnswer> {
    if length.is_some_and(|length| length > limit) {
        return Err(NoAnswer::TooLong(limit));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = timed(body.frame()).await? {
        let Ok(piece) = frame.map_err(NoAnswer::Broken)?.into_data() else { continue };
        if first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            all.reserve(length.max(first.len() + piece.len()));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
        if all.len() as u64 > limit {
            return Err(NoAnswer::TooLong(limit));
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Returns the first line of the innermost error: HTTP clients wrap what happened many times.
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_end_matches(" Attempted:").trim_end_matches('.').to_owned()
}
