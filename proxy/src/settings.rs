//! What the request path needs to know, typed and checked: the outcome of flags and environment.

use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use schemas::record::ProxyIdentity;

/// Everything that the request path is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests go.
    pub upstream: UpstreamUrl,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How much to take.
    pub limits: Limits,
    /// Which bodies go into the log.
    pub log_body: LogBody,
    /// Whether request bodies go into the log too, where response bodies do.
    pub log_request_body: bool,
    /// What the log says about this proxy.
    pub identity: ProxyIdentity,
}

/// Which response bodies go into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogBody {
    /// Every one.
    #[default]
    Full,
    /// Those of failed exchanges.
    Errors,
    /// None.
    None,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection to OpenAI.
    pub connect: Duration,
    /// For its response headers: reasoning models think for minutes before the first byte.
    pub first_byte: Duration,
    /// For its next byte: a little over Codex's own 300 s, so that Codex gives up first.
    pub idle: Duration,
    /// After which an unused connection to OpenAI is closed: before OpenAI's edge does it, which
    /// keeps them for minutes.
    pub pool_idle: Duration,
    /// For a client to take bytes that are there for it.
    pub send: Duration,
    /// For streams in flight after a shutdown was asked for.
    pub grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [connect, first_byte, idle, pool_idle, send, grace] =
            [5, 600, 330, 60, 330, 30].map(Duration::from_secs);
        Self { connect, first_byte, idle, pool_idle, send, grace }
    }
}

/// How much to take, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a request body: image-heavy Codex threads reach 21 MB.
    pub request_bytes: u64,
    /// Of a request body, kept aside to read model and stream from.
    pub request_copy_bytes: usize,
    /// Of a response body, for the log.
    pub response_log_bytes: usize,
    /// Of all bodies and objects that are held at a time.
    pub held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let [request, request_copy_bytes, response_log_bytes, held_bytes] =
            [64, 8, 16, 256].map(|mib| mib << 20);
        Self { request_bytes: request as u64, request_copy_bytes, response_log_bytes, held_bytes }
    }
}

/// Where requests go: scheme, host, and a path to put before `/v1`.
#[derive(Clone, Debug)]
pub struct UpstreamUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host, and port where it is not the usual one.
    pub authority: Authority,
    /// Path without a slash at its end; mostly empty.
    pub prefix: String,
}

impl UpstreamUrl {
    /// Returns what stands where there is no usable URL; nothing listens there.
    #[must_use]
    pub fn nowhere() -> Self {
        let authority = Authority::from_static("127.0.0.1:0");
        Self { scheme: Scheme::HTTP, authority, prefix: String::new() }
    }

    /// Returns the URL of the root of the host, with its port: a tunnel has no usual one.
    #[must_use]
    pub fn root(&self) -> Uri {
        let usual = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        let (host, port) = (self.authority.host(), self.authority.port_u16().unwrap_or(usual));
        let root = Uri::builder().scheme(self.scheme.clone()).authority(format!("{host}:{port}"));
        root.path_and_query("/").build().unwrap_or_default()
    }

    /// Parses `http(s)://HOST[:PORT][/PREFIX]`. A prefix that ends in `/v1` loses it, since every
    /// forwarded path begins with it.
    ///
    /// # Errors
    ///
    /// A sentence that names the value and what is expected.
    pub fn parse(url: &str) -> Result<Self, String> {
        // What stands before an `@` may be a password, and whatever has `sk-` in it a key.
        // So may be a query.
        let shown = url.split('?').next().unwrap_or_default();
        let shown = if url.contains('@') || url.contains("sk-") { "[redacted]" } else { shown };
        let wrong =
            |why| format!("upstream `{shown}` {why}; expected http(s)://HOST[:PORT][/PREFIX]");
        let parts = url.parse::<Uri>().map_err(|_| wrong("is not a URL"))?.into_parts();
        let scheme = parts.scheme.filter(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| wrong("has no http or https scheme"))?;
        let authority = parts.authority.ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("carries user information"));
        }
        let port = authority.as_str()[authority.host().len()..].strip_prefix(':');
        if port.is_some_and(|port| !is_port(port)) {
            return Err(wrong("has a port that is none of 1 to 65535"));
        }
        if url.contains(['#', '\\']) || url.split('/').any(|part| part == "." || part == "..") {
            return Err(wrong("has a part that is no place on a server"));
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(wrong("has a query"));
        }
        let prefix = path.as_ref().map_or("", |path| path.path()).trim_end_matches('/');
        let prefix = prefix.strip_suffix("/v1").unwrap_or(prefix).to_owned();
        Ok(Self { scheme, authority, prefix })
    }
}

/// Tells whether a text is a port that somebody can listen on.
pub(crate) fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The defaults, in front of nothing.
    pub(crate) fn settings() -> Settings {
        Settings {
            upstream: UpstreamUrl::parse("http://127.0.0.1:1").expect("a good URL"),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            log_body: LogBody::Full,
            log_request_body: false,
            identity: ProxyIdentity::default(),
        }
    }

    #[test]
    fn an_upstream_may_have_a_prefix_and_loses_its_version() {
        let prefix = |url| UpstreamUrl::parse(url).map(|upstream| upstream.prefix);
        assert_eq!(prefix("https://api.openai.com"), Ok(String::new()));
        assert_eq!(prefix("https://api.openai.com/v1/"), Ok(String::new()));
        assert_eq!(prefix("http://127.0.0.1:9/openai"), Ok("/openai".to_owned()));
        for url in ["api.openai.com", "ftp://x", "https://a@b", "https://a/?q=1", "/x", ""] {
            assert!(UpstreamUrl::parse(url).is_err(), "{url}");
        }
        for url in ["http://h:99999", "https://h:0", "http://h:", "http://h#x", "https://h/../x"] {
            assert!(UpstreamUrl::parse(url).is_err(), "{url}");
        }
        assert_eq!(prefix("http://[::1]:8080/a/"), Ok("/a".to_owned()));
        let error = UpstreamUrl::parse("https://h/?k=canary").expect_err("a query");
        assert!(!error.contains("canary"), "{error}");
    }
}
