//! Settings from Lambda's environment variables.
//!
//! A setting that is missing or wrong does not end the process: Lambda would start it over and over,
//! and answer in its own words. Its name goes into the log, and every request is answered
//! `internal error`, with a record like any other.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum as _;
use clap::builder::TypedValueParser as _;
use futures::future::{BoxFuture, ready};
use schemas::record::ProxyIdentity;

use super::say;
use crate::clock::SystemClock;
use crate::encode::LogObject;
use crate::handle::Proxy;
use crate::journal::Journal;
use crate::log::{Keep, Log, WritePolicy};
use crate::openai_key::{
    FixedKey, KeySource, OpenAiKey, RotatingKey, SecretsManager, looks_like_a_key,
};
use crate::settings::{Limits, LogBody, Settings, Timeouts, UpstreamUrl};
use crate::sink::{LogPlace, LogSink, S3Sink, SinkError, check_kms_key};
use crate::spill::Spill;
use crate::stdout::Lines;
use crate::token::{LookUpFailed, Owner, TokenHash, TokenPlace, TokenStore};
use crate::upstream::{EnvironmentProxy, Upstream};

const LOGS: &str = "CODEX_PROXY_LOGS";
const TOKENS: &str = "CODEX_PROXY_TOKENS";
const UPSTREAM: &str = "CODEX_PROXY_UPSTREAM";
const KEY: &str = "OPENAI_API_KEY";
const KEY_SECRET: &str = "OPENAI_API_KEY_SECRET";
const LOG_BODY: &str = "LOG_BODY";
const LOG_REQUEST_BODY: &str = "LOG_REQUEST_BODY";
const LOG_KMS_KEY_ARN: &str = "LOG_KMS_KEY_ARN";
const ENVIRONMENT_PROXY: &str = "CODEX_PROXY_ENVIRONMENT_PROXY";

const DEFAULT_TOKENS: &str = "dynamodb://codex-proxy-tokens";
const DEFAULT_UPSTREAM: &str = "https://api.openai.com";

/// A pooled connection does not survive a freeze of minutes, and a busy environment asks again
/// within seconds.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Reads the environment, and collects what is wrong with it.
struct Reader<F> {
    read: F,
    wrong: Vec<&'static str>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// Returns the value of a variable that is set and not empty, without the white space around it.
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.read)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// Returns whether a variable is set, and to no kind of no.
    fn says_yes(&self, name: &str) -> bool {
        let falsey = clap::builder::FalseyValueParser::new();
        self.get(name).is_some_and(|value| {
            falsey.parse_ref(&clap::Command::new(""), None, value.as_ref()).unwrap_or(false)
        })
    }

    /// Notes that a setting is missing or wrong. `why` does not repeat secrets.
    fn is_wrong(&mut self, name: &'static str, why: &str) {
        say("wrong_setting", &format!("{name}: {why}"));
        self.wrong.push(name);
    }

    /// Returns what was parsed; notes what could not be.
    fn checked<T>(&mut self, name: &'static str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|why| self.is_wrong(name, &why)).ok()
    }
}

/// Makes the proxy that the environment asks for.
pub(super) async fn proxy(read: impl Fn(&str) -> Option<String>, lines: &Lines) -> Arc<Proxy> {
    let mut reader = Reader { read, wrong: Vec::new() };
    let url = reader.get(UPSTREAM).unwrap_or_else(|| DEFAULT_UPSTREAM.to_owned());
    let url = UpstreamUrl::parse(&url);
    let url = reader.checked(UPSTREAM, url).unwrap_or_else(UpstreamUrl::nowhere);
    let timeouts = Timeouts { pool_idle: POOL_IDLE, ..Timeouts::default() };
    let proxy = if reader.says_yes(ENVIRONMENT_PROXY) {
        let found = EnvironmentProxy::find(&url, &reader.read);
        reader.checked(ENVIRONMENT_PROXY, found).flatten()
    } else {
        None
    };
    let upstream = Upstream::through(proxy.as_ref(), &url, timeouts).or_else(|error| {
        reader.is_wrong("SSL_CERT_FILE", &format!("no root certificates: {error}"));
        Upstream::new(&UpstreamUrl::nowhere(), timeouts)
    });
    let upstream = upstream.expect("without TLS there is nothing that can fail");

    let openai_key = openai_key(&mut reader).await;
    let tokens = tokens(&mut reader).await;
    let sink = sink(&mut reader).await;
    let settings = Arc::new(settings(&mut reader, url, timeouts));
    let keep = Keep::Refuge(Arc::new(Spill(lines.clone())));
    let journal = Journal::on(lines.clone());
    let log = Log::open(sink, Arc::clone(&settings), WritePolicy::LAMBDA, keep, journal);
    let wrong_setting = reader.wrong.first().copied();
    let clock = Arc::new(SystemClock);
    Arc::new(Proxy { settings, upstream, openai_key, tokens, clock, log, wrong_setting })
}

fn settings(
    reader: &mut Reader<impl Fn(&str) -> Option<String>>,
    upstream: UpstreamUrl,
    timeouts: Timeouts,
) -> Settings {
    let log_body = match reader.get(LOG_BODY) {
        None => LogBody::Full,
        // Whoever sets it wants less in the log than everything.
        Some(text) => {
            let wrong = |_| "is none of full, errors, none".to_owned();
            let parsed = LogBody::from_str(&text, true).map_err(wrong);
            reader.checked(LOG_BODY, parsed).unwrap_or(LogBody::None)
        }
    };
    let log_request_body = reader.says_yes(LOG_REQUEST_BODY);
    let identity = ProxyIdentity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region: reader.get("AWS_REGION"),
        function: reader.get("AWS_LAMBDA_FUNCTION_NAME"),
    };
    let limits = Limits::default();
    Settings { upstream, timeouts, limits, log_body, log_request_body, identity }
}

async fn openai_key(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Arc<dyn KeySource> {
    if let Some(secret) = reader.get(KEY_SECRET) {
        if !looks_like_a_key(&secret) {
            let clock = Arc::new(SystemClock);
            return Arc::new(RotatingKey::new(SecretsManager::open(&secret).await, clock));
        }
        reader.is_wrong(KEY_SECRET, "holds a key, not the name of a secret");
    } else if let Some(key) = reader.get(KEY) {
        let key = OpenAiKey::parse(&key);
        if let Some(key) = reader.checked(KEY, key) {
            return Arc::new(FixedKey(key));
        }
    } else {
        reader.is_wrong(KEY_SECRET, "is not set: the name or ARN of the secret that holds the key");
    }
    Arc::new(FixedKey(OpenAiKey::none()))
}

async fn tokens(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Arc<dyn TokenStore> {
    let place = reader.get(TOKENS).unwrap_or_else(|| DEFAULT_TOKENS.to_owned());
    let place = TokenPlace::parse(place.into());
    let Some(place) = reader.checked(TOKENS, place) else { return Arc::new(Unset) };
    match place.register().await {
        Ok(register) => place.for_server(register),
        Err(error) => {
            reader.is_wrong(TOKENS, &error.to_string());
            Arc::new(Unset)
        }
    }
}

async fn sink(reader: &mut Reader<impl Fn(&str) -> Option<String>>) -> Arc<dyn LogSink> {
    let kms_key = reader.get(LOG_KMS_KEY_ARN);
    if let Some(arn) = &kms_key {
        reader.checked(LOG_KMS_KEY_ARN, check_kms_key(arn));
    }
    let Some(place) = reader.get(LOGS) else {
        reader.is_wrong(LOGS, "is not set: s3://BUCKET[/PREFIX]");
        return Arc::new(Unset);
    };
    match reader.checked(LOGS, LogPlace::parse(&place)) {
        Some(LogPlace::Bucket { bucket, prefix }) => {
            Arc::new(S3Sink::open(&bucket, &prefix, kms_key.as_deref()).await)
        }
        Some(LogPlace::Folder(_)) => {
            reader.is_wrong(LOGS, &format!("`{place}` names no bucket: s3://BUCKET[/PREFIX]"));
            Arc::new(Unset)
        }
        None => Arc::new(Unset),
    }
}

/// Stands where a setting is missing.
struct Unset;

impl LogSink for Unset {
    fn put<'a>(&'a self, object: &'a LogObject) -> BoxFuture<'a, Result<(), SinkError>> {
        let place = object.key.clone();
        Box::pin(ready(Err(SinkError { place, reason: format!("{LOGS} is missing or wrong") })))
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

impl TokenStore for Unset {
    fn look_up<'a>(
        &'a self,
        _: &'a crate::secret::Secret,
        _: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        Box::pin(ready(Err(LookUpFailed(format!("{TOKENS} is wrong")))))
    }
}
