//! `codex-proxy serve`: from flags and environment to a running server.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use schemas::record::ProxyIdentity;
use tokio::net::TcpListener;

use super::{Failure, say, token_place};
use crate::clock::SystemClock;
use crate::handle::Proxy;
use crate::log::Log;
use crate::openai_key::{FixedKey, KeySource, OpenAiKey, RotatingKey, SecretsManager};
use crate::serve;
use crate::settings::{Limits, LogBody, Settings, Timeouts, UpstreamUrl};
use crate::sink::{FolderSink, LogSink, S3Sink};
use crate::token::TokenStore;
use crate::upstream::Upstream;

#[derive(Args)]
#[command(after_help = "\
Examples:
  codex-proxy token add dev-01            # prints the developer's token, once
  OPENAI_API_KEY=sk-... codex-proxy serve
  codex-proxy serve --listen 0.0.0.0:8787 --logs s3://my-bucket/codex \\
    --tokens dynamodb://codex-proxy-tokens --openai-key-secret codex-proxy/openai-key

The real key is read from OPENAI_API_KEY or from Secrets Manager, never from a flag. A secret is
the key alone, or a JSON object with a field OPENAI_API_KEY; a rotated one is picked up within 5
minutes, or at once when OpenAI refuses the old one. What DynamoDB says about a token is believed
for 30 seconds. AWS credentials, region and endpoint come from where the AWS CLI takes them.")]
pub(super) struct ServeArguments {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8787", env = "CODEX_PROXY_LISTEN")]
    listen: SocketAddr,
    /// Where the logs go: a folder, or `s3://BUCKET[/PREFIX]`
    #[arg(long, default_value = "./codex-proxy-logs", env = "CODEX_PROXY_LOGS")]
    logs: String,
    /// Where tokens are kept: a file, or `dynamodb://TABLE` [default: tokens.json in the user's
    /// configuration folder]
    #[arg(long, value_name = "FILE|dynamodb://TABLE", env = "CODEX_PROXY_TOKENS")]
    tokens: Option<OsString>,
    /// Secret of AWS Secrets Manager that holds the real key, in place of `OPENAI_API_KEY`
    #[arg(
        long,
        value_name = "NAME|ARN",
        env = "OPENAI_API_KEY_SECRET",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    openai_key_secret: String,
    /// Where requests go: http(s)://HOST[:PORT][/PREFIX]
    #[arg(long, default_value = "https://api.openai.com", env = "CODEX_PROXY_UPSTREAM")]
    upstream: String,
    /// Which response bodies go into the log
    #[arg(long, value_enum, default_value_t, env = "LOG_BODY")]
    log_body: LogBody,
    /// Put request bodies (up to 8 MiB) into the log too, where response bodies go into it
    #[arg(long, env = "LOG_REQUEST_BODY", value_parser = clap::builder::FalseyValueParser::new())]
    log_request_body: bool,
    /// Seconds to wait for a connection to OpenAI
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    connect_timeout: u64,
    /// Seconds to wait for OpenAI's response headers
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    first_byte_timeout: u64,
    /// Seconds that a stream may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 330)]
    idle_timeout: u64,
}

pub(super) fn run(arguments: ServeArguments) -> Result<ExitCode, Failure> {
    let settings = settings(&arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(Failure::outside)?.block_on(serve(arguments, settings))
}

fn settings(arguments: &ServeArguments) -> Result<Settings, Failure> {
    let upstream = UpstreamUrl::parse(&arguments.upstream)
        .map_err(|error| Failure::usage(anyhow!(error), "see `codex-proxy serve --help`"))?;
    let timeouts = Timeouts {
        connect: Duration::from_secs(arguments.connect_timeout),
        first_byte: Duration::from_secs(arguments.first_byte_timeout),
        idle: Duration::from_secs(arguments.idle_timeout),
        ..Timeouts::default()
    };
    let identity = ProxyIdentity {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region: std::env::var("AWS_REGION").ok(),
        function: None,
    };
    let limits = Limits::default();
    let (log_body, log_request_body) = (arguments.log_body, arguments.log_request_body);
    Ok(Settings { upstream, timeouts, limits, log_body, log_request_body, identity })
}

/// Finds the real key. Gets one from Secrets Manager now, because without it nobody is served.
async fn openai_key(secret: &str) -> Result<Arc<dyn KeySource>, Failure> {
    if secret.is_empty() {
        let key = std::env::var("OPENAI_API_KEY").unwrap_or_default();
        let key = OpenAiKey::parse(&key).map_err(|error| {
            Failure::usage(
                anyhow!("{error} (environment variable OPENAI_API_KEY)"),
                "the proxy needs the real OpenAI key: OPENAI_API_KEY=sk-... codex-proxy serve",
            )
        })?;
        return Ok(Arc::new(FixedKey(key)));
    }
    if secret.starts_with("sk-") {
        return Err(Failure::usage(
            anyhow!("--openai-key-secret (OPENAI_API_KEY_SECRET) holds a key, not a secret's name"),
            "the key itself goes into OPENAI_API_KEY; take this one out of the shell's history",
        ));
    }
    let key = RotatingKey::new(SecretsManager::open(secret).await, Arc::new(SystemClock));
    match key.current().await {
        Ok(_) => Ok(Arc::new(key)),
        Err(error) => Err(Failure { hint: error.hint(), ..Failure::outside(error) }),
    }
}

/// Opens the store of tokens, and says what is in it.
async fn tokens(told: Option<OsString>) -> Result<(Arc<dyn TokenStore>, String), Failure> {
    let place = token_place(told)?;
    let register = place.register().await.map_err(Failure::store)?;
    let enabled = register.ready().await.map_err(Failure::store)?;
    let (place_name, when) = (register.place(), register.takes_effect());
    let mut said = match enabled {
        Some(enabled) => format!("{enabled} enabled tokens in {place_name}"),
        None => format!("tokens in {place_name}; a change counts {when}"),
    };
    if enabled == Some(0) {
        said.push_str("\n  nobody can pass yet; make a token: codex-proxy token add NAME");
    }
    Ok((place.for_server(register), said))
}

async fn serve(arguments: ServeArguments, settings: Settings) -> Result<ExitCode, Failure> {
    let openai_key = openai_key(&arguments.openai_key_secret).await?;
    let sink = sink(&arguments.logs).await?;
    let place = sink.place();
    let (tokens, about_tokens) = tokens(arguments.tokens).await?;
    let upstream = Upstream::new(&settings.upstream, settings.timeouts)
        .context("cannot prepare TLS")
        .map_err(Failure::outside)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))
        .map_err(Failure::outside)?;
    let address = listener.local_addr().map_err(Failure::outside)?;

    let settings = Arc::new(settings);
    let log = Log::new(sink, Arc::clone(&settings));
    let clock = Arc::new(SystemClock);
    let proxy = Arc::new(Proxy { settings, upstream, openai_key, tokens, clock, log });
    say(&format!("codex-proxy {} listening on http://{address}", env!("CARGO_PKG_VERSION")));
    say(&format!("  forwards to {}, logs to {place}", arguments.upstream));
    say(&format!("  {about_tokens}"));
    let stop = async {
        if serve::asked_to_stop().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let lost = serve::serve(listener, proxy, stop).await;
    if lost > 0 {
        return Err(Failure::outside(anyhow!("{lost} records could not be written to {place}")));
    }
    say("codex-proxy stopped; all logs are written");
    Ok(ExitCode::SUCCESS)
}

async fn sink(place: &str) -> Result<Arc<dyn LogSink>, Failure> {
    if let Some(bucket) = place.strip_prefix("s3://") {
        let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
        if bucket.is_empty() {
            let error = anyhow!("`{place}` names no bucket");
            return Err(Failure::usage(error, "--logs s3://BUCKET[/PREFIX]"));
        }
        return Ok(Arc::new(S3Sink::open(bucket, prefix).await));
    }
    let folder = FolderSink::open(Path::new(place))
        .with_context(|| format!("cannot write logs to folder `{place}`"))
        .map_err(Failure::outside)?;
    Ok(Arc::new(folder))
}
