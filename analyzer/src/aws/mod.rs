//! AWS as this command reaches it: credentials, region and endpoint, from where the AWS CLI takes them;
//! and what its refusals mean.
//!
//! Loaded once; each service's client is made from it, so that all of them share one HTTP client and
//! one set of credentials.

pub mod permission;
pub mod policy;
pub mod deployment;
pub mod cloudwatch;
pub mod capacity;
pub mod recover;
pub mod validate;
pub mod aside;

use std::error::Error as StdError;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};

/// Loads credentials, region and endpoint (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL` and the
/// rest). Nothing is asked of AWS yet, so nothing can fail yet.
pub(crate) async fn load() -> SdkConfig {
    // As the AWS CLI does it, and the SDK does not by itself.
    let through = ProxyConfig::from_env();
    let http =
        aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, _| {
            let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
            let mut connector = Connector::builder();
            connector.set_connector_settings(settings.cloned());
            connector.proxy_config(through.clone()).tls_provider(ring).build()
        });
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}

/// Tells whether somebody has set up AWS here at all, by the variables or the file that its CLI reads:
/// otherwise there is nothing to ask, and nothing to wait for.
pub(crate) fn is_set_up() -> bool {
    const NAMES: [&str; 4] =
        ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"];
    NAMES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Why AWS did not say what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody said which region.
    #[error("no AWS region is set")]
    NoRegion,
    /// There are no credentials, or AWS does not accept them.
    #[error("{0}")]
    Credentials(String),
    /// The credentials are good, and lack a right.
    #[error("{0}")]
    Denied(String),
    /// What was asked for does not exist.
    #[error("{0}")]
    Missing(String),
    /// Refused for another reason that does not pass by itself.
    #[error("{0}")]
    Refused(String),
    /// Too many questions, or AWS is in trouble itself: another try may succeed.
    #[error("{0}")]
    Busy(String),
    /// Not reached, or no answer in time.
    #[error("{0}")]
    Unreachable(String),
}

impl Trouble {
    /// Reads what the SDK says.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let said = explain(error);
        if error.raw_response().is_none() {
            // The SDK has a type for each that none of its clients hands out.
            let lower = said.to_lowercase();
            let is_unset = lower.contains("region") && lower.contains("endpoint");
            return match () {
                () if is_unset || lower.contains("missing region") => Self::NoRegion,
                () if lower.contains("credential") => Self::Credentials(said),
                () => Self::Unreachable(said),
            };
        }
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let code = error.code().unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
        if has(&[
            "ExpiredToken",
            "UnrecognizedClient",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
        ]) || has(&["Signature", "RequestTimeTooSkewed"])
        {
            Self::Credentials(said)
        } else if has(&[
            "AccessDenied",
            "NotAuthorized",
            "UnauthorizedOperation",
            "AllAccessDisabled",
        ]) {
            Self::Denied(said)
        } else if has(&["NotFound", "NoSuch"]) {
            Self::Missing(said)
        } else if has(&["Throttl", "Throughput", "LimitExceeded", "TooManyRequests", "SlowDown"])
            || matches!(status, 429 | 500..)
        {
            Self::Busy(said)
        } else {
            match status {
                401 | 403 => Self::Denied(said),
                // A 404 without a code is no word of the service: there is no such service here.
                _ => Self::Refused(said),
            }
        }
    }

    /// Returns a word for what happened, to stand behind the name of a right.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoRegion => "not asked, no region is set",
            Self::Credentials(_) => "not asked, no valid credentials",
            Self::Denied(_) => "denied",
            Self::Missing(_) => "found nothing",
            Self::Refused(_) => "refused",
            Self::Busy(_) => "throttled or failing",
            Self::Unreachable(_) => "not reached",
        }
    }

    /// Returns what to do about it, where that is the same for every service.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoRegion => Some("set AWS_REGION, or a region in the profile: aws configure"),
            Self::Credentials(_) => Some(
                "sign in as for the AWS CLI (aws sso login, aws configure), or set AWS_PROFILE; \
                 `aws sts get-caller-identity` shows who you are",
            ),
            Self::Unreachable(_) => Some("check AWS_REGION, AWS_ENDPOINT_URL and the network"),
            _ => None,
        }
    }

    /// Tells whether AWS as a whole is out of reach, and not one right or one thing.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        matches!(self, Self::NoRegion | Self::Credentials(_) | Self::Unreachable(_))
    }
}

/// Says in one line why a call failed: the service's code and message, or the chain of causes. Never
/// the `Debug` of an answer, which holds what the answer holds.
fn explain<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or("no message"));
    }
    if let Some(response) = error.raw_response() {
        return format!("HTTP {}", response.status().as_u16());
    }
    let mut said = error.to_string();
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    // What was tried for credentials is a list, one a line.
    said.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// Makes a client of S3.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    // A server with an endpoint of its own rarely answers to `bucket.host`.
    let own_endpoint =
        config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(own_endpoint);
    aws_sdk_s3::Client::from_conf(s3.build())
}
