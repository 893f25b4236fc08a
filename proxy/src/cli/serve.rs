//! `codex-proxy serve`: from flags and environment to a running server.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use schemas::record::ProxyIdentity;
use tokio::net::TcpListener;

use super::logs::Logs;
use super::{Failure, say, token_place};
use crate::clock::SystemClock;
use crate::handle::Proxy;
use crate::journal::Journal;
use crate::log::{Log, Unwritten, WritePolicy};
use crate::openai_key::{
    FixedKey, KeySource, OpenAiKey, RotatingKey, SecretsManager, looks_like_a_key,
};
use crate::serve;
use crate::settings::{Limits, LogBody, Settings, Timeouts, UpstreamUrl};
use crate::stdout::{GATHER, Lines};
use crate::token::TokenStore;
use crate::upstream::{EnvironmentProxy, Upstream};

/// What a time-out may be: nothing takes no time, and nobody waits for longer than a day.
fn seconds() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..=86_400)
}

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
    /// Folder for what is not yet logged, on a local disk [default: `spool` in the log folder, or
    /// the user's state folder for S3]
    #[arg(long, value_name = "DIR", env = "CODEX_PROXY_SPOOL")]
    spool: Option<PathBuf>,
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
    /// Reach OpenAI through the proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`
    /// name
    #[arg(
        long,
        env = "CODEX_PROXY_ENVIRONMENT_PROXY",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    environment_proxy: bool,
    /// KMS key that S3 encrypts the logs with, in place of the bucket's own
    #[arg(long, value_name = "ARN", env = "LOG_KMS_KEY_ARN")]
    log_kms_key_arn: Option<String>,
    /// Which response bodies go into the log
    #[arg(long, value_enum, default_value_t, env = "LOG_BODY")]
    log_body: LogBody,
    /// Put request bodies (up to 8 MiB) into the log too, where response bodies go into it
    #[arg(long, env = "LOG_REQUEST_BODY", value_parser = clap::builder::FalseyValueParser::new())]
    log_request_body: bool,
    /// Write a line of JSON to stdout when an exchange starts and when it is over, with its metrics
    /// in CloudWatch's embedded metric format
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", env = "CODEX_PROXY_JOURNAL")]
    journal: JournalWhen,
    /// Seconds to wait for a connection to OpenAI
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = seconds())]
    connect_timeout: u64,
    /// Seconds to wait for OpenAI's response headers
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds())]
    first_byte_timeout: u64,
    /// Seconds that a stream may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 330, value_parser = seconds())]
    idle_timeout: u64,
}

/// When the journal is written.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum JournalWhen {
    /// Unless stdout is a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn journal(when: JournalWhen) -> Result<Option<Lines>, Failure> {
    let is_on = match when {
        JournalWhen::Auto => !io::stdout().is_terminal(),
        JournalWhen::Always => true,
        JournalWhen::Never => false,
    };
    is_on.then(|| Lines::stdout(GATHER)).transpose().map_err(Failure::outside)
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

/// Finds the environment's proxy, if it was asked for.
fn environment_proxy(
    is_asked_for: bool,
    url: &UpstreamUrl,
) -> Result<Option<EnvironmentProxy>, Failure> {
    if !is_asked_for {
        return Ok(None);
    }
    // What is no text is no proxy, and is said so.
    let read = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    EnvironmentProxy::find(url, read).map_err(|error| {
        let hint =
            "mend the variable, or leave out --environment-proxy (CODEX_PROXY_ENVIRONMENT_PROXY)";
        Failure::usage(anyhow!(error), hint)
    })
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
    if looks_like_a_key(secret) {
        return Err(Failure::usage(
            anyhow!("--openai-key-secret (OPENAI_API_KEY_SECRET) holds a key, not a secret's name"),
            "the key itself goes into OPENAI_API_KEY; take this one out of the shell's history",
        ));
    }
    let key = RotatingKey::new(SecretsManager::open(secret.trim()).await, Arc::new(SystemClock));
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
    let logs = Logs::parse(&arguments.logs, arguments.log_kms_key_arn)?;
    let environment_proxy = environment_proxy(arguments.environment_proxy, &settings.upstream)?;
    let openai_key = openai_key(&arguments.openai_key_secret).await?;
    let sink = logs.sink().await?;
    let place = sink.place();
    let (tokens, about_tokens) = tokens(arguments.tokens).await?;
    let (url, timeouts) = (&settings.upstream, settings.timeouts);
    let upstream = Upstream::through(environment_proxy.as_ref(), url, timeouts)
        .context("cannot prepare TLS")
        .map_err(Failure::outside)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))
        .map_err(Failure::outside)?;
    let address = listener.local_addr().map_err(Failure::outside)?;

    let settings = Arc::new(settings);
    let lines = journal(arguments.journal)?;
    let (keep, orphans) = logs.spool(arguments.spool, &settings);
    let log = Log::open(
        sink,
        Arc::clone(&settings),
        WritePolicy::SERVER,
        keep,
        lines.clone().map(Journal::on).unwrap_or_default(),
    );
    let spool = log.spool().map(|spool| spool.folder().display().to_string());
    let replayed = log.replay(orphans).await;
    let left = log.unwritten().waiting;
    let clock = Arc::new(SystemClock);
    let wrong_setting = None;
    let proxy =
        Arc::new(Proxy { settings, upstream, openai_key, tokens, clock, log, wrong_setting });
    // Heard from the first poll on: whoever reads that it listens may stop it at once.
    let mut stop = Box::pin(asked_to_stop());
    let is_stopped = futures::poll!(stop.as_mut()).is_ready();
    let stop = async move {
        if !is_stopped {
            stop.await;
        }
    };
    say(&format!("codex-proxy {} listening on http://{address}", env!("CARGO_PKG_VERSION")));
    say(&format!("  forwards to {}, logs to {place}", arguments.upstream));
    match environment_proxy {
        Some(proxy) => say(&format!("  reaches it through {proxy}")),
        None if arguments.environment_proxy => {
            say("  reaches it directly: the environment names no proxy for it");
        }
        None => {}
    }
    say(&format!("  {about_tokens}"));
    if replayed > 0 {
        say(&format!("  replayed {replayed} exchanges of a proxy that died"));
    }
    if left > 0 {
        say(&format!("  {left} exchanges of a proxy that died wait until {place} takes them"));
    }
    let unwritten = serve::serve(listener, proxy, stop, asked_to_stop()).await;
    let unwritten = unwritten.map_err(Failure::outside)?;
    if let Some(lines) = lines
        && !lines.flush().await
    {
        say("the last lines of the journal could not be written: nobody reads stdout");
    }
    match unwritten {
        Unwritten { lost: 0, waiting: 0 } => {
            say("codex-proxy stopped; all logs are written");
            Ok(ExitCode::SUCCESS)
        }
        Unwritten { lost: 0, waiting } => {
            let spool = spool.unwrap_or_default();
            let error =
                anyhow!("{waiting} records could not be written to {place}; they wait in {spool}");
            let hint = Some("the next start brings them".to_owned());
            Err(Failure { error, hint, code: 3 })
        }
        Unwritten { lost, waiting } => Err(Failure::outside(anyhow!(
            "{} records could not be written to {place}, and {lost} of them are lost",
            lost + waiting
        ))),
    }
}

async fn asked_to_stop() {
    if serve::asked_to_stop().await.is_err() {
        std::future::pending::<()>().await;
    }
}
