//! OpenAI's side: the request as it leaves here, and what went wrong when nothing came back.
//!
//! HTTP/1.1 over pooled connections. Exactly these headers change: authorization, host,
//! accept-encoding (identity: Codex cannot read a compressed stream), hop-by-hop headers,
//! `x-forwarded-*`, `x-amzn-*` and our own marks. No redirect is followed, and no proxy is taken
//! from the environment, so the key goes to the configured host only.
//!
//! A pooled connection may be dead without anybody knowing: OpenAI's edge closed it, or Lambda froze
//! this process for an hour. A request that fails on a connection that had served before, and of
//! whose answer no byte came, is sent once more, on a new connection.

mod connection;

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::connection::{Connections, Traffic};
use crate::openai_key::OpenAiKey;
use crate::settings::{Timeouts, UpstreamUrl};
use crate::upload::{Upload, UploadError, UploadWatch};

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
}

type Connector = Connections<HttpsConnector<HttpConnector>>;

/// A pool of connections to OpenAI.
pub struct Upstream {
    client: Client<Connector, Upload>,
    /// Connections that are used once: for what failed on a pooled one.
    unpooled: Client<Connector, Upload>,
    url: UpstreamUrl,
    first_byte: Duration,
}

impl Upstream {
    /// Makes the pool; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When the machine has no usable root certificates and the upstream is `https`.
    pub fn new(url: &UpstreamUrl, timeouts: Timeouts) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeouts.connect));
        let provider = rustls::crypto::ring::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let tls = if url.scheme == http::uri::Scheme::HTTPS {
            tls.with_native_roots()?
        } else {
            tls.with_root_certificates(rustls::RootCertStore::empty())
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connector = Connections::new(connector);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).http1_preserve_header_case(true);
        let unpooled = builder.clone().pool_max_idle_per_host(0).build(connector.clone());
        let client = builder.pool_idle_timeout(timeouts.pool_idle).build(connector);
        Ok(Self { client, unpooled, url: url.clone(), first_byte: timeouts.first_byte })
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
    ) -> Result<Response<Incoming>, Failure> {
        let answer = async {
            let request = self.request(head, target, key, upload)?;
            let failure = match connection::send(&self.client, request).await {
                Ok(response) => return Ok(response),
                Err((error, Traffic::NoneOnReused)) => explain(&error),
                Err((error, Traffic::Fresh | Traffic::Some)) => return Err(explain(&error)),
            };
            // What is still under way of the request's body belongs to the replay too.
            watch.over().await;
            let Some(body) = watch.whole() else { return Err(failure) };
            let request = self.request(head, target, key, Upload::again(body))?;
            self.unpooled.request(request).await.map_err(|error| explain(&error))
        };
        let timed_out = Failure::Network { detail: "http_response_timeout", status: 504 };
        tokio::time::timeout(self.first_byte, answer).await.unwrap_or(Err(timed_out))
    }

    fn request(
        &self,
        head: &Parts,
        target: &str,
        key: &OpenAiKey,
        upload: Upload,
    ) -> Result<Request<Upload>, Failure> {
        let uri = Uri::builder()
            .scheme(self.url.scheme.clone())
            .authority(self.url.authority.clone())
            .path_and_query(format!("{}{target}", self.url.prefix))
            .build()
            .map_err(|_| Failure::Network { detail: "http_request_error", status: 502 })?;
        let mut request = Request::new(upload);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers(&head.headers, key);
        Ok(request)
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
    headers.remove(header::HOST);
    headers.insert(header::AUTHORIZATION, key.authorization.clone());
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// Removes what speaks about one connection only, also what `Connection` names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
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
fn explain(error: &hyper_util::client::legacy::Error) -> Failure {
    let network = |detail| Failure::Network { detail, status: 502 };
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(upload) = cause.downcast_ref::<UploadError>() {
            return Failure::Upload(*upload);
        }
        // hyper-util has no type for it, only this word.
        if cause.to_string() == "dns error" {
            return network("dns_error");
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return network(explain_tls(tls));
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
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
            if error.is_parse() {
                return network("http_protocol_error");
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
