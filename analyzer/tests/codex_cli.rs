//! The whole way with the real client: Codex CLI from npm, through the built proxy, to a fake
//! OpenAI with a scripted fault; what Codex prints is fed to the built analyzer, and its verdict
//! has to name the layer that really failed.
//!
//! `scripts/check.sh` installs Codex and names it in `CODEX_PROXY_TEST_CODEX`; without it these
//! tests say loudly that they are skipped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use benches::lambda::{Function, REGION};
use benches::s3::{ACCESS_KEY, MemoryS3, SECRET_KEY};
use benches::upstream::FakeOpenAi;
use serde_json::Value;

/// What a fault must be taken for.
struct Expected {
    /// Fault of the fake OpenAI, asked for by the model's name.
    fault: &'static str,
    /// A piece of what Codex prints.
    prints: &'static str,
    origin: &'static str,
    /// Code of the newest match.
    code: &'static str,
}

const fn fault(
    fault: &'static str,
    prints: &'static str,
    origin: &'static str,
    code: &'static str,
) -> Expected {
    Expected { fault, prints, origin, code }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_the_real_codex_completes_through_the_proxy() {
    let Some(codex) = codex() else { return };
    let upstream = FakeOpenAi::start().await.expect("loopback");
    let stage = Stage::new(&upstream.url());
    let output = stage.ask(&codex, "gpt-5.5").await;
    assert!(output.status.success(), "{}", text(&output));
    let logs = stage.stop();
    let keys = keys(logs.path());
    assert!(!keys.is_empty() && keys.iter().all(|key| key.contains(".200.json.zst")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_refusals_are_openais() {
    check(&[
        fault("http-401", "Incorrect API key", "openai", "invalid_api_key"),
        fault("http-429", "429 Too Many Requests", "openai", "rate_limit_exceeded"),
        fault("http-400", "Invalid value", "openai", "invalid_value"),
        fault("http-503", "at capacity", "openai", "server_is_overloaded"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_500_is_openais_though_codex_words_it() {
    check(&[fault("http-500", "high demand", "openai", "server_error")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_edge_is_the_edges() {
    check(&[fault("edge-502", "502 Bad Gateway", "openai_edge", "edge_502")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_inside_a_stream_are_openais() {
    check(&[
        fault("failed", "stream disconnected", "openai", "server_error"),
        fault("failed-rate-limit", "rate limit", "openai", "rate_limit_exceeded"),
        fault("incomplete", "max_output_tokens", "openai", "max_output_tokens"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sentence_of_codex_is_traced_to_an_error_event_and_to_a_cut() {
    let closed = "stream closed before response.completed";
    check(&[
        fault("error-event", closed, "openai", "server_error"),
        fault("cut-clean", closed, "openai", "upstream_cut"),
        fault("cut-abrupt", "error decoding response body", "openai", "upstream_cut"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_and_a_page_in_the_place_of_a_stream_are_told_from_a_cut() {
    check(&[
        fault("idle", "error decoding response body", "openai", "upstream_idle"),
        fault("html-200", "stream closed before response.completed", "openai_edge", "edge_200"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_upstream_is_the_networks() {
    let Some(codex) = codex() else { return };
    // Port 9 of loopback: nobody listens.
    let stage = Stage::new("http://127.0.0.1:9");
    let output = stage.ask(&codex, "gpt-5.5").await;
    let expected = fault("-", "upstream request failed", "network", "proxy_upstream_failed");
    judge(&expected, &output, stage.stop().path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_token_is_the_proxys_refusal() {
    let Some(codex) = codex() else { return };
    let upstream = FakeOpenAi::start().await.expect("loopback");
    let stage = Stage::new(&upstream.url());
    token_command(stage.developer.home.path(), &["disable", "dev-01"]);
    let output = stage.ask(&codex, "gpt-5.5").await;
    let expected = fault("-", "invalid or disabled token", "proxy", "proxy_invalid_token");
    judge(&expected, &output, stage.stop().path());
}

/// The same client in front of the same proxy, which is now a Lambda function: what it prints, and
/// what is found in the bucket, names the same layers.
#[tokio::test(flavor = "multi_thread")]
async fn behind_lambda_the_verdicts_are_the_same() {
    let Some(codex) = codex() else { return };
    let upstream = FakeOpenAi::start().await.expect("loopback");
    let bucket = MemoryS3::start("team-logs").await.expect("loopback");
    let home = tempfile::tempdir().expect("a folder");
    let token = token_command(home.path(), &["add", "dev-01"]);
    let access = [
        ("AWS_ENDPOINT_URL_S3", bucket.url()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ];
    let function = Function::new(proxy_binary())
        .env("CODEX_PROXY_LOGS", "s3://team-logs")
        .env("CODEX_PROXY_TOKENS", home.path().join("tokens.json").to_str().expect("text"))
        .env("CODEX_PROXY_UPSTREAM", upstream.url())
        .env("OPENAI_API_KEY", "sk-test-not-a-real-key")
        .timeout(Duration::from_secs(6));
    let function =
        access.iter().fold(function, |function, (name, value)| function.env(name, value));
    let lambda = function.start().await.expect("loopback");
    let developer = Developer { home, url: lambda.url(), token };

    let good = developer.ask(&codex, "gpt-5.5").await;
    assert!(good.status.success(), "{}", text(&good));
    let closed = "stream closed before response.completed";
    for expected in [
        fault("http-500", "high demand", "openai", "server_error"),
        fault("http-503", "at capacity", "openai", "server_is_overloaded"),
        fault("failed", "stream disconnected", "openai", "server_error"),
        fault("cut-abrupt", closed, "openai", "upstream_cut"),
        fault("idle", closed, "aws", "deadline"),
    ] {
        let output = developer.ask(&codex, &format!("fault-{}", expected.fault)).await;
        lambda.until_frozen().await;
        let begun = format!("--since={}", newest(&bucket));
        judge_with(&expected, &output, |analyzer| {
            analyzer.args(["--source", "s3://team-logs", &begun]).env("AWS_REGION", REGION);
            analyzer.envs(access.iter().map(|(name, value)| (name, value)));
        });
    }
    let invocations = lambda.invocations();
    assert_eq!(bucket.objects().len(), invocations.len(), "one invocation, one record");
}

/// When the newest exchange began: what the analyzer is asked about is this run, not those before.
fn newest(bucket: &MemoryS3) -> String {
    let (key, _) = bucket.objects().pop().expect("a record");
    let key = schemas::key::LogKey::parse(&key).expect("a key");
    key.started_at.to_string()
}

async fn check(faults: &[Expected]) {
    let Some(codex) = codex() else { return };
    let upstream = FakeOpenAi::start().await.expect("loopback");
    for expected in faults {
        let stage = Stage::new(&upstream.url());
        let output = stage.ask(&codex, &format!("fault-{}", expected.fault)).await;
        judge(expected, &output, stage.stop().path());
    }
}

/// Feeds what Codex printed last to the analyzer.
fn judge(expected: &Expected, output: &Output, logs: &Path) {
    judge_with(expected, output, |analyzer| {
        analyzer.arg("--source").arg(logs);
    });
}

fn judge_with(expected: &Expected, output: &Output, lead: impl FnOnce(&mut Command)) {
    let printed = text(output);
    assert!(!output.status.success(), "{}: Codex should have failed: {printed}", expected.fault);
    assert!(printed.contains(expected.prints), "{}: {printed}", expected.fault);
    // The last error, with whatever lines follow it: a 400 is printed as its JSON body.
    let last = printed.rfind("ERROR: ").map(|at| &printed[at..]).unwrap_or_default();
    let mut analyzer = Command::new(env!("CARGO_BIN_EXE_analyzer"));
    analyzer.args(["origin", "--json"]);
    lead(&mut analyzer);
    let answer = analyzer.arg(last).output().expect("the analyzer runs");
    let json: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
    let found = (json["verdict"]["origin"].as_str(), json["matches"][0]["code"].as_str());
    let truth = (Some(expected.origin), Some(expected.code));
    assert_eq!(found, truth, "{}: {last}\n{json:#}", expected.fault);
    assert_eq!(answer.status.code(), Some(0));
}

fn codex() -> Option<PathBuf> {
    let codex = std::env::var_os("CODEX_PROXY_TEST_CODEX").map(PathBuf::from);
    if codex.is_none() {
        // nextest shows this although the test passes; see `.config/nextest.toml`.
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("SKIPPED: CODEX_PROXY_TEST_CODEX names no Codex CLI; run scripts/check.sh");
        }
    }
    codex
}

fn text(output: &Output) -> String {
    // What Codex says to a person is on stderr; its answer, if any, on stdout.
    String::from_utf8_lossy(&[&output.stdout[..], b"\n", &output.stderr].concat()).into_owned()
}

fn keys(root: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folders = vec![root.join("logs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                keys.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    keys
}

/// A developer: Codex, set up for a proxy.
struct Developer {
    home: tempfile::TempDir,
    /// Of the proxy.
    url: String,
    token: String,
}

/// A running proxy with one developer.
struct Stage {
    proxy: Child,
    logs: tempfile::TempDir,
    developer: Developer,
}

impl Stage {
    fn new(upstream: &str) -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        let (logs, home) = (folder(), folder());
        let mut proxy = Command::new(proxy_binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--upstream", upstream])
            // Shorter than Codex's patience, so that it is the proxy that ends a silence.
            .args(["--idle-timeout", "3", "--logs"])
            .arg(logs.path())
            .env("OPENAI_API_KEY", "sk-test-not-a-real-key")
            .env("CODEX_PROXY_TOKENS", home.path().join("tokens.json"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy runs");
        let mut lines = BufReader::new(proxy.stderr.take().expect("piped")).lines();
        let line = lines.next().expect("a line").expect("text");
        let url = line.rsplit(' ').next().expect("an address").to_owned();
        // The rest is read to its end, so that the proxy never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let token = token_command(home.path(), &["add", "dev-01"]);
        Self { proxy, logs, developer: Developer { home, url, token } }
    }

    async fn ask(&self, codex: &Path, model: &str) -> Output {
        self.developer.ask(codex, model).await
    }

    /// Ends the proxy, which writes its last logs, and returns their folder.
    fn stop(mut self) -> tempfile::TempDir {
        let stopped = Command::new("kill").arg(self.proxy.id().to_string()).status();
        assert!(stopped.is_ok_and(|status| status.success()));
        assert!(self.proxy.wait().expect("it ends").success());
        self.logs
    }
}

fn token_command(home: &Path, arguments: &[&str]) -> String {
    let output = Command::new(proxy_binary())
        .arg("token")
        .args(arguments)
        .env("CODEX_PROXY_TOKENS", home.join("tokens.json"))
        .output()
        .expect("the token command runs");
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Developer {
    /// Runs one prompt, as a developer would.
    async fn ask(&self, codex: &Path, model: &str) -> Output {
        // Two tries of each kind are enough; the defaults take half a minute.
        let config = format!(
            "model_provider = \"codexproxy\"\n\
             [model_providers.codexproxy]\n\
             name = \"Codex Proxy\"\n\
             base_url = \"{}/v1\"\n\
             env_key = \"OPENAI_API_KEY\"\n\
             wire_api = \"responses\"\n\
             request_max_retries = 1\n\
             stream_max_retries = 1\n",
            self.url
        );
        std::fs::write(self.home.path().join("config.toml"), config).expect("writable");
        let mut command = Command::new(codex);
        command
            .args(["exec", "--skip-git-repo-check", "--sandbox", "read-only", "-m", model, "hi"])
            .current_dir(self.home.path())
            .env("CODEX_HOME", self.home.path())
            .env("OPENAI_API_KEY", &self.token)
            // What Codex asks of other hosts at its start stays on this machine, and fails at once.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output().expect("codex runs"));
        run.await.expect("no panic")
    }
}

/// The proxy stands beside the analyzer when the whole workspace is built.
fn proxy_binary() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_analyzer")).with_file_name("codex-proxy");
    assert!(binary.exists(), "build the whole workspace: cargo nextest run --workspace");
    binary
}
