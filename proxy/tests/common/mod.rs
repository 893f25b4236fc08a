//! The harness of these tests: a proxy in this process, a fake OpenAI behind it, a client before it.
//!
//! [`Setup`] says what is unusual, [`Running`] is asked over real HTTP, and [`Running::finish`]
//! stops it as a signal would and hands out every record that it left. [`child`] does the same with
//! the built binary.

pub(crate) mod aws;
pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod function;
pub(crate) mod logs;
pub(crate) mod site;
pub(crate) mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use benches::upstream::FakeOpenAi;
use proxy::clock::SystemClock;
use proxy::handle::Proxy;
use proxy::journal::Journal;
use proxy::log::{Keep, Log, Refuge, Unwritten, WritePolicy};
use proxy::openai_key::{FixedKey, KeySource, OpenAiKey};
use proxy::serve;
use proxy::settings::{Limits, LogBody, Settings, Timeouts, UpstreamUrl};
use proxy::sink::{FolderSink, LogSink};
use proxy::spool::Spool;
use proxy::token::{
    StoredAs, TokenFile, TokenHash, TokenRegister as _, TokenRow, TokenStore, generate,
};
use proxy::upstream::Upstream;
use schemas::record::ProxyIdentity;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use client::Ask;
use logs::Logs;

/// The real key, which only OpenAI may see.
pub(crate) const KEY: &str = "sk-canary-4f9d1c7a2b6e8053d1";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const CHAT: &str = "/v1/chat/completions";
/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What is unusual about a proxy.
pub(crate) struct Setup {
    upstream: Option<String>,
    timeouts: Timeouts,
    limits: Limits,
    log_body: LogBody,
    log_request_body: bool,
    openai_key: Option<Arc<dyn KeySource>>,
    tokens: Option<Arc<dyn TokenStore>>,
    sink: Option<Arc<dyn LogSink>>,
    policy: WritePolicy,
    spool: Option<PathBuf>,
    refuge: Option<Arc<dyn Refuge>>,
}

impl Setup {
    /// Nothing is: the defaults of `codex-proxy serve`.
    pub(crate) fn new() -> Self {
        Self {
            upstream: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            log_body: LogBody::Full,
            log_request_body: false,
            openai_key: None,
            tokens: None,
            sink: None,
            policy: WritePolicy::SERVER,
            spool: None,
            refuge: None,
        }
    }

    /// Forwards to this address in place of the fake.
    pub(crate) fn upstream(self, url: impl Into<String>) -> Self {
        Self { upstream: Some(url.into()), ..self }
    }

    pub(crate) fn timeouts(mut self, change: impl FnOnce(&mut Timeouts)) -> Self {
        change(&mut self.timeouts);
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) fn log_body(self, log_body: LogBody) -> Self {
        Self { log_body, ..self }
    }

    pub(crate) fn log_request_body(self) -> Self {
        Self { log_request_body: true, ..self }
    }

    pub(crate) fn openai_key(self, source: impl KeySource + 'static) -> Self {
        Self { openai_key: Some(Arc::new(source)), ..self }
    }

    pub(crate) fn tokens(self, tokens: impl TokenStore + 'static) -> Self {
        Self { tokens: Some(Arc::new(tokens)), ..self }
    }

    pub(crate) fn sink(self, sink: Arc<dyn LogSink>) -> Self {
        Self { sink: Some(sink), ..self }
    }

    pub(crate) fn policy(self, policy: WritePolicy) -> Self {
        Self { policy, ..self }
    }

    pub(crate) fn spool(self, folder: &Path) -> Self {
        Self { spool: Some(folder.to_owned()), ..self }
    }

    pub(crate) fn refuge(self, refuge: Arc<dyn Refuge>) -> Self {
        Self { refuge: Some(refuge), ..self }
    }

    /// Starts fake and proxy on free loopback ports.
    pub(crate) async fn start(self) -> Running {
        let fake = FakeOpenAi::start().await.expect("a free loopback port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = TokenFile::new(&folder.path().join("tokens.json"));
        let token = add_token(&file, "dev-01", true).await;
        let disabled = add_token(&file, "dev-02", false).await;

        let url = self.upstream.unwrap_or_else(|| fake.url());
        let settings = Arc::new(Settings {
            upstream: UpstreamUrl::parse(&url).expect("a good URL"),
            timeouts: self.timeouts,
            limits: self.limits,
            log_body: self.log_body,
            log_request_body: self.log_request_body,
            identity: ProxyIdentity { version: "0.0.0".to_owned(), ..ProxyIdentity::default() },
        });
        let upstream = Upstream::new(&settings.upstream, settings.timeouts);
        let fixed = || Arc::new(FixedKey(OpenAiKey::parse(KEY).expect("a good key"))) as _;
        let sink =
            self.sink.unwrap_or_else(|| Arc::new(FolderSink::open(folder.path()).expect("a sink")));
        let keep = match &self.spool {
            Some(path) => Keep::Spool(Spool::open(path, self.log_body).expect("a spool").0),
            None => self.refuge.map_or(Keep::Nowhere, Keep::Refuge),
        };
        let proxy = Arc::new(Proxy {
            log: Log::open(sink, Arc::clone(&settings), self.policy, keep, Journal::default()),
            settings,
            upstream: upstream.expect("this machine has root certificates"),
            openai_key: self.openai_key.unwrap_or_else(fixed),
            tokens: self.tokens.unwrap_or_else(|| Arc::new(file)),
            clock: Arc::new(SystemClock),
            wrong_setting: None,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let cut = std::future::pending();
        let server = tokio::spawn(serve::serve(listener, proxy, stopped, cut));
        Running { fake, address, token, disabled, folder, stop, server }
    }
}

/// A running proxy.
pub(crate) struct Running {
    pub(crate) fake: FakeOpenAi,
    pub(crate) address: SocketAddr,
    /// A token of dev-01 that may pass.
    pub(crate) token: String,
    /// A token of dev-02 that may not.
    pub(crate) disabled: String,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<Unwritten>>,
}

impl Running {
    /// The folder that holds tokens and logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A request with a good token.
    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.address, method, target).token(&self.token)
    }

    /// A turn, streamed or not, that meets `fault` at OpenAI.
    pub(crate) fn turn(&self, target: &str, fault: &str, stream: bool) -> Ask {
        self.ask("POST", target).json(&turn(stream)).fault(fault)
    }

    /// Stops it as a signal would, and returns every record that it left, and none is lost.
    pub(crate) async fn finish(self) -> Logs {
        let (unwritten, folder) = self.stop().await;
        assert_eq!(unwritten, Unwritten::default(), "no record is lost");
        Logs::read(folder.path())
    }

    /// Stops it as a signal would, and returns which records it did not write, and its folder.
    pub(crate) async fn stop(self) -> (Unwritten, TempDir) {
        self.stop.send(()).expect("the server runs until it is stopped");
        let ended = within(self.server).await.expect("the server does not panic");
        (ended.expect("threads to serve with"), self.folder)
    }
}

/// A request body for either API.
pub(crate) fn turn(stream: bool) -> Value {
    let usage = json!({"include_usage": true});
    json!({"model": "gpt-5.5", "input": "Hello", "stream": stream, "stream_options": usage})
}

/// Waits, but not for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn add_token(file: &TokenFile, developer: &str, enabled: bool) -> String {
    let token = generate().expect("randomness");
    let row = TokenRow {
        stored: StoredAs::Hash(TokenHash::of(token.expose())),
        developer: Some(developer.to_owned()),
        enabled,
        created_at: Some("2026-11-22T00:00:00Z".to_owned()),
    };
    file.add(row).await.expect("the token file can be written");
    token.expose().to_owned()
}
