//! OpenAI's side: the request as it leaves here, and what went wrong when nothing came back.
//!
//! HTTP/1.1 over pooled connections. Exactly these headers change: authorization, host,
//! accept-encoding (identity: Codex cannot read a compressed stream), hop-by-hop headers,
//! `x-forwarded-*`, `x-amzn-*` and our own marks. No redirect is followed, and a proxy is taken from
//! the environment only where that is asked for, and gets a tunnel through it (see `way`): so the key
//! goes to the configured host only.
//!
//! A pooled connection may be dead without anybody knowing: OpenAI's edge closed it, or Lambda froze
//! this process for an hour. A request that fails on a connection that had served before, and of
//! whose answer no byte came, is sent once more, on a new connection.

mod answer;
mod connection;
mod pool;
mod way;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;

use self::connection::{Link, SendError, Traffic};
use self::pool::Pool;
use self::way::Way;
use crate::openai_key::OpenAiKey;
use crate::settings::{Timeouts, UpstreamUrl};
use crate::upload::{Upload, UploadError, UploadWatch};

pub use self::answer::Answer;
pub use self::way::EnvironmentProxy;

/// Headers that speak about one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    // For a proxy on the way to us, and no business of OpenAI's.
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What the system says when there may be no more open files, in this process or in all (EMFILE, ENFILE).
const NO_MORE_FILES: [i32; 2] = [24, 23];

/// Why no response headers came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The network, or whoever answers at that address; with the error type of RFC 9209.
    Network {
        /// Error type of RFC 9209, section 2.3.
        detail: &'static str,
        /// The status that says so: 504 for time-outs, else 502.
        status: u16,
    },
    /// The client's request body broke off first.
    Upload(UploadError),
    /// This process cannot open one more connection.
    Exhausted,
}

/// A pool of connections to OpenAI.
pub struct Upstream {
    connector: HttpsConnector<Way>,
    pool: Arc<Pool>,
    url: UpstreamUrl,
    host: HeaderValue,
    connect: Duration,
    first_byte: Duration,
}

impl Upstream {
    /// Makes the pool; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the machine has no usable root certificates and the upstream is `https`.
    pub fn new(url: &UpstreamUrl, timeouts: Timeouts) -> io::Result<Self> {
        Self::through(None, url, timeouts)
    }

    /// The same, through a proxy if there is one.
    ///
    /// # Errors
    ///
    /// When the machine has no usable root certificates and the upstream or the proxy is `https`.
    pub fn through(
        proxy: Option<&EnvironmentProxy>,
        url: &UpstreamUrl,
        timeouts: Timeouts,
    ) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeouts.connect));
        let provider = rustls::crypto::ring::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let is_https = url.scheme == http::uri::Scheme::HTTPS;
        let tls = if is_https || proxy.is_some_and(EnvironmentProxy::is_https) {
            tls.with_native_roots()?
        } else {
            tls.with_root_certificates(rustls::RootCertStore::empty())
        };
        let tls = Arc::new(tls.with_no_client_auth());
        let way = match proxy {
            None => Way::Straight(tcp),
            Some(proxy) => {
                let to_proxy = HttpsConnector::from((tcp, Arc::clone(&tls)));
                Way::through(proxy, to_proxy)
            }
        };
        let connector = HttpsConnector::from((way, tls));
        let host = HeaderValue::from_str(&host(url)).map_err(io::Error::other)?;
        let pool = Pool::new(timeouts.pool_idle);
        let Timeouts { connect, first_byte, .. } = timeouts;
        Ok(Self { connector, pool, url: url.clone(), host, connect, first_byte })
    }

    /// Returns the host that requests go to.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.authority.as_str()
    }

    /// Sends a request under the real key, and waits for the response headers. Where it goes is
    /// settled by the configured URL; the request has a say in the path and query behind it only.
    /// `watch` belongs to `upload`.
    ///
    /// # Errors
    ///
    /// When none came; [`Failure`] says why.
    pub async fn send(
        &self,
        head: &Parts,
        target: &str,
        key: &OpenAiKey,
        upload: Upload,
        watch: &UploadWatch,
    ) -> Result<Response<Answer>, Failure> {
        let answer = async {
            let request = self.request(head, target, key, upload)?;
            let failure = match self.send_pooled(request).await {
                Ok(response) => return Ok(response),
                Err((error, Traffic::NoneOnReused)) => explain(&error),
                Err((error, Traffic::Fresh | Traffic::Some)) => return Err(explain(&error)),
            };
            // What is still under way of the request's body belongs to the replay too.
            watch.over().await;
            let Some(body) = watch.whole() else { return Err(failure) };
            let request = self.request(head, target, key, Upload::again(body))?;
            // Others at rest may be as dead.
            self.send_new(request).await.map_err(|(error, _)| explain(&error))
        };
        tokio::time::timeout(self.first_byte, answer).await.unwrap_or_else(|_| {
            // Who has not got the whole request owes no answer.
            Err(if watch.waits_for_client() {
                Failure::Upload(UploadError::ClientLeft)
            } else {
                Failure::Network { detail: "http_response_timeout", status: 504 }
            })
        })
    }

    /// Sends a request over a connection at rest, or over a new one.
    async fn send_pooled(
        &self,
        mut request: Request<Upload>,
    ) -> Result<Response<Answer>, (SendError, Traffic)> {
        while let Some(mut link) = self.pool.take() {
            match link.send(request).await {
                Ok(response) => return Ok(self.answer(response, link)),
                Err((_, _, Some(unsent))) => request = unsent,
                Err((error, traffic, None)) => return Err((error, traffic)),
            }
        }
        self.send_new(request).await
    }

    async fn send_new(
        &self,
        request: Request<Upload>,
    ) -> Result<Response<Answer>, (SendError, Traffic)> {
        let link = Link::open(self.connector.clone(), self.url.root(), self.connect).await;
        let mut link = link.map_err(|error| (error, Traffic::Fresh))?;
        match link.send(request).await {
            Ok(response) => Ok(self.answer(response, link)),
            Err((error, traffic, _)) => Err((error, traffic)),
        }
    }

    fn answer(&self, response: Response<Incoming>, link: Box<Link>) -> Response<Answer> {
        response.map(|body| Answer::new(body, link, Arc::clone(&self.pool)))
    }

    fn request(
        &self,
        head: &Parts,
        target: &str,
        key: &OpenAiKey,
        upload: Upload,
    ) -> Result<Request<Upload>, Failure> {
        let uri = Uri::builder()
            .path_and_query(format!("{}{target}", self.url.prefix))
            .build()
            .map_err(|_| Failure::Network { detail: "http_request_error", status: 502 })?;
        let mut request = Request::new(upload);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers(&head.headers, key);
        request.headers_mut().insert(header::HOST, self.host.clone());
        Ok(request)
    }
}

/// The host as the header names it: with its port where that says something.
fn host(url: &UpstreamUrl) -> String {
    let usual = if url.scheme == http::uri::Scheme::HTTPS { 443 } else { 80 };
    match url.authority.port_u16() {
        Some(port) if port != usual => format!("{}:{port}", url.authority.host()),
        _ => url.authority.host().to_owned(),
    }
}

fn headers(received: &HeaderMap, key: &OpenAiKey) -> HeaderMap {
    let mut headers = received.clone();
    strip_hop_by_hop(&mut headers);
    let forwarding: Vec<_> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            let prefixes = ["x-forwarded-", "x-amzn-", "x-codex-proxy-"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in forwarding {
        headers.remove(name);
    }
    headers.insert(header::AUTHORIZATION, key.authorization.clone());
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// Removes what speaks about one connection only, also what `Connection` names; and a length that is
/// not the length, because the body comes in chunks (RFC 9112, section 6.3).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Names a failed request by what its chain of errors holds.
fn explain(error: &SendError) -> Failure {
    let network = |detail| Failure::Network { detail, status: 502 };
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(upload) = cause.downcast_ref::<UploadError>() {
            return Failure::Upload(*upload);
        }
        if let Some(detail) = way::explain(cause) {
            return network(detail);
        }
        // hyper-util has no type for it, only this word.
        if cause.to_string() == "dns error" {
            return network("dns_error");
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return network(explain_tls(tls));
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            if error.raw_os_error().is_some_and(|code| NO_MORE_FILES.contains(&code)) {
                return Failure::Exhausted;
            }
            match error.kind() {
                io::ErrorKind::TimedOut => {
                    return Failure::Network { detail: "connection_timeout", status: 504 };
                }
                io::ErrorKind::ConnectionRefused => return network("connection_refused"),
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    return network("destination_ip_unroutable");
                }
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => return network("connection_terminated"),
                _ => {}
            }
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            // hyper has no name for an answer that came before its request.
            let is_early = error.to_string().starts_with("received unexpected message");
            if error.is_parse() || is_early {
                return network("http_protocol_error");
            }
            // A request that was not taken any more: what ended the connection says why.
            let says_why = error.is_canceled()
                && error.source().is_some_and(<dyn StdError>::is::<hyper::Error>);
            if says_why {
                source = error.source();
                continue;
            }
            if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
                return network("connection_terminated");
            }
        }
        // The source of an `io::Error` is not what it wraps but the source of that.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        source = wrapped.map_or_else(|| cause.source(), |wrapped| Some(wrapped));
    }
    network("destination_unavailable")
}

fn explain_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            "tls_certificate_error"
        }
        rustls::Error::AlertReceived(_) => "tls_alert_received",
        _ => "tls_protocol_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_headers_go_also_those_that_connection_names() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("x-kept", "1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }
}
