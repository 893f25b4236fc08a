//! The way to OpenAI: straight, or, where that is asked for, through the environment's proxy.
//!
//! Such a proxy is asked by CONNECT for a tunnel, for an `http` upstream too: requests, and the key with
//! them, pass inside it. With an `https` upstream all it gets to see is where OpenAI is, and its own
//! password; of an `http` one it could read along, as anybody on the way could.

use std::error::Error as StdError;
use std::fmt;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt as _};
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::settings::{UpstreamUrl, is_port};

/// The proxy that the environment names. `Debug` and [`fmt::Display`] say where it is, and no more.
#[derive(Clone, Debug)]
pub struct EnvironmentProxy {
    place: Intercept,
    variable: &'static str,
}

impl EnvironmentProxy {
    /// Finds the proxy for these requests in `HTTPS_PROXY`, or `HTTP_PROXY` for an `http` upstream,
    /// else in `ALL_PROXY`; in capitals or not. `None` where none is named, or where `NO_PROXY` has
    /// the upstream's host.
    ///
    /// # Errors
    ///
    /// A sentence that names the variable, and not its value, which may hold a password.
    pub fn find(
        url: &UpstreamUrl,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let get = |names: [&'static str; 2]| {
            let set = names.into_iter().filter_map(|name| Some((name, read(name)?)));
            set.map(|(name, value)| (name, value.trim().to_owned())).find(|(_, v)| !v.is_empty())
        };
        let own = if url.scheme == Scheme::HTTPS {
            ["HTTPS_PROXY", "https_proxy"]
        } else {
            ["HTTP_PROXY", "http_proxy"]
        };
        let Some((variable, told)) = get(own).or_else(|| get(["ALL_PROXY", "all_proxy"])) else {
            return Ok(None);
        };
        let wrong =
            || format!("{variable} names no proxy; expected http(s)://[USER:PASSWORD@]HOST[:PORT]");
        // Of an unescaped password the part behind one of these would be taken for something else.
        let rest = told.split_once("://").map_or(told.as_str(), |(_, rest)| rest);
        if rest.trim_end_matches('/').contains(['/', '?', '#']) {
            return Err(wrong());
        }
        let to = url.root();
        let place = Matcher::builder().all(&told).build().intercept(&to).ok_or_else(wrong)?;
        let scheme = place.uri().scheme();
        if !scheme.is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            || place.uri().authority().is_none_or(|authority| authority.as_str().contains('@'))
        {
            return Err(wrong());
        }
        let port =
            place.uri().authority().and_then(|authority| authority.as_str().rsplit_once(':'));
        if port.is_some_and(|(_, port)| !port.ends_with(']') && !is_port(port)) {
            return Err(wrong());
        }
        let except = get(["NO_PROXY", "no_proxy"]).map(|(_, hosts)| hosts).unwrap_or_default();
        // The matcher has no word for all addresses.
        let is_all = except.split(',').any(|host| host.trim() == "*");
        let is_excepted =
            is_all || Matcher::builder().all(told).no(except).build().intercept(&to).is_none();
        Ok((!is_excepted).then_some(Self { place, variable }))
    }

    /// Returns whether the proxy itself is reached over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.place.uri().scheme() == Some(&Scheme::HTTPS)
    }
}

impl fmt::Display for EnvironmentProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.place.uri().to_string();
        write!(f, "{} ({})", uri.trim_end_matches('/'), self.variable)
    }
}

/// Makes connections to OpenAI, without the TLS that is spoken over them.
#[derive(Clone)]
pub(super) enum Way {
    Straight(HttpConnector),
    Through(Box<Tunnel<HttpsConnector<HttpConnector>>>),
}

impl Way {
    /// Makes the way through a proxy, which is reached by `to_proxy`.
    pub(super) fn through(
        proxy: &EnvironmentProxy,
        to_proxy: HttpsConnector<HttpConnector>,
    ) -> Self {
        let tunnel = Tunnel::new(proxy.place.uri().clone(), to_proxy);
        let tunnel = match proxy.place.basic_auth() {
            Some(credentials) => tunnel.with_auth(credentials.clone()),
            None => tunnel,
        };
        Self::Through(Box::new(tunnel))
    }
}

impl Service<Uri> for Way {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::Straight(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Through(tunnel) => tunnel.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Self::Straight(tcp) => {
                let connecting = tcp.call(to);
                async { Ok(MaybeHttpsStream::Http(connecting.await?)) }.boxed()
            }
            Self::Through(tunnel) => {
                let digging = tunnel.call(to);
                async { Ok(digging.await?) }.boxed()
            }
        }
    }
}

/// Names, in the words of RFC 9209, why a proxy gave no tunnel; `None` for an error of another kind.
pub(super) fn explain(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    // hyper-util keeps the type to itself.
    Some(match error.to_string().strip_prefix("tunnel error: ")? {
        "proxy authorization required" => "proxy_configuration_error",
        "unsuccessful" => "destination_unavailable",
        "unexpected end of file" => "connection_terminated",
        "proxy response headers too long" => "http_protocol_error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(upstream: &str, environment: &[(&str, &str)]) -> Result<Option<String>, String> {
        let url = UpstreamUrl::parse(upstream).expect("a good URL");
        let read = |name: &str| {
            let found = environment.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = EnvironmentProxy::find(&url, read)?;
        Ok(found.map(|proxy| {
            assert!(!format!("{proxy} {proxy:?}").contains("canary"), "{proxy:?}");
            proxy.to_string()
        }))
    }

    #[test]
    fn the_proxy_of_the_upstreams_scheme_is_found_and_no_proxy_is_obeyed() {
        const OPENAI: &str = "https://api.openai.com";
        for (upstream, environment, expected) in [
            (OPENAI, &[][..], None),
            (OPENAI, &[("HTTPS_PROXY", " ")], None),
            (OPENAI, &[("HTTP_PROXY", "http://p:1")], None),
            (OPENAI, &[("HTTPS_PROXY", "http://p:1")], Some("http://p:1 (HTTPS_PROXY)")),
            (OPENAI, &[("https_proxy", "p:1")], Some("http://p:1 (https_proxy)")),
            (OPENAI, &[("all_proxy", "https://p/")], Some("https://p (all_proxy)")),
            (
                OPENAI,
                &[("HTTPS_PROXY", "http://me:canary%40@p:1"), ("ALL_PROXY", "q")],
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            ("http://x:9/v1", &[("http_proxy", "http://p:1")], Some("http://p:1 (http_proxy)")),
            (OPENAI, &[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "a.b, .openai.com")], None),
            (OPENAI, &[("ALL_PROXY", "http://p:1"), ("no_proxy", "*")], None),
            ("http://127.0.0.1:9", &[("ALL_PROXY", "p:1"), ("no_proxy", "127.0.0.0/8")], None),
            ("http://127.0.0.1:9", &[("ALL_PROXY", "p:1"), ("no_proxy", "a, *")], None),
        ] {
            let found = find(upstream, environment).expect("usable");
            assert_eq!(found.as_deref(), expected, "{upstream} {environment:?}");
        }
    }

    #[test]
    fn a_variable_that_names_no_usable_proxy_is_refused_and_its_value_not_repeated() {
        for value in [
            "socks5://me:canary@p:1",
            "http://",
            "ftp://me:canary@p",
            "http://me:canary with space@p:1",
            "http://me:12/canary@p:1",
            "http://me:12#canary@p:1",
            "http://me:12@canary@p:1",
            "http://me:canary@p:99999",
            "http://me:canary@p:0",
        ] {
            let error = find("https://x", &[("HTTPS_PROXY", value)]).expect_err(value);
            assert!(error.starts_with("HTTPS_PROXY names no proxy; expected http"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
