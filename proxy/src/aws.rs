//! AWS, set up once: configuration, HTTP, time-outs, and what its refusals mean.
//!
//! Credentials, region and endpoint come from where the AWS CLI takes them, and are read once per
//! process. Whoever talks to AWS takes the configuration from here, and turns what the SDK says
//! into a [`Trouble`], which tells what passes by itself from what somebody has to mend.

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;
use tokio::sync::OnceCell;

/// How long an unused connection to AWS is kept: S3 closes them after some seconds, and a request that
/// finds its connection closed costs another try.
const POOL_IDLE: Duration = Duration::from_secs(4);

static CONFIG: OnceCell<SdkConfig> = OnceCell::const_new();

/// Returns the process's AWS configuration. Loads it the first time; the clones share one
/// connection pool and one set of credentials.
pub async fn config() -> &'static SdkConfig {
    let load = || async {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().pool_idle_timeout(POOL_IDLE);
        let http = http.tls_provider(ring).build_https();
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest());
        config.http_client(http).load().await
    };
    CONFIG.get_or_init(load).await
}

/// How long one operation may take. Without it the SDK would wait for ever for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one attempt.
    pub attempt: Duration,
    /// For all attempts together.
    pub in_all: Duration,
}

impl Patience {
    /// Returns the SDK's words for it.
    #[must_use]
    pub fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.in_all)
            .build()
    }

    /// Returns retries that fit into it: the SDK's own first pause may be a second long.
    #[must_use]
    pub fn retries(self) -> RetryConfig {
        RetryConfig::standard().with_initial_backoff(Duration::from_millis(100))
    }
}

/// Why AWS did not do what it was asked.
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
    /// Not reached, too slow, throttled or broken: another try may succeed.
    #[error("{0}")]
    Passing(String),
}

impl Trouble {
    /// Reads what the SDK says.
    #[must_use]
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let said = explain(error);
        let SdkError::ServiceError(refusal) = error else {
            // The SDK has a type for it that none of its clients hands out.
            let of_credentials = matches!(error, SdkError::DispatchFailure(_));
            return if of_credentials && said.contains("credential") {
                Self::Credentials(said)
            } else {
                Self::Passing(said)
            };
        };
        let code = error.code().unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
        if has(&["ExpiredToken", "UnrecognizedClient", "InvalidClientTokenId", "Signature"]) {
            Self::Credentials(said)
        } else if has(&["AccessDenied", "NotAuthorized"]) {
            Self::Denied(said)
        } else if has(&["ResourceNotFound", "NoSuchBucket"]) {
            Self::Missing(said)
        } else if has(&["Throttl", "Throughput", "LimitExceeded", "TooManyRequests"])
            || refusal.raw().status().is_server_error()
        {
            Self::Passing(said)
        } else {
            Self::Refused(said)
        }
    }

    /// Tells whether only an operator can help.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        !matches!(self, Self::Passing(_))
    }

    /// Returns what to do about it, where that is the same for every service.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoRegion => "set AWS_REGION, or a region in the profile: aws configure",
            Self::Credentials(_) => {
                "sign in as for the AWS CLI (aws sso login, aws configure), or set AWS_PROFILE; \
                 `aws sts get-caller-identity` shows who you are"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Says in one line why a call failed: the service's code and message, or the chain of causes.
/// Never the `Debug` of an answer, which holds what the answer holds.
#[must_use]
pub fn explain<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or("no message"));
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
