//! The proxy as a Lambda function: the built binary as `bootstrap`, a bucket behind it, OpenAI in
//! front of it, and a developer with a token.

use std::time::Duration;

use benches::lambda::{Function, Lambda};
use benches::s3::{ACCESS_KEY, MemoryS3, SECRET_KEY};
use benches::upstream::FakeOpenAi;
use proxy::token::TokenFile;
use schemas::journal::{Ended, Line, Started};
use schemas::spill::{self, Spilled};
use tempfile::TempDir;

use super::client::Ask;
use super::logs::{Logged, Logs};
use super::{KEY, add_token, turn, within};

pub(crate) const BUCKET: &str = "team-logs";

/// A deployed function.
pub(crate) struct Deployed {
    pub(crate) fake: FakeOpenAi,
    pub(crate) bucket: MemoryS3,
    pub(crate) lambda: Lambda,
    /// A token of dev-01 that may pass.
    pub(crate) token: String,
    _folder: TempDir,
}

/// What a function left.
pub(crate) struct Left {
    /// Records in the bucket.
    pub(crate) logs: Logs,
    /// Records on stdout.
    pub(crate) spilled: Vec<Logged>,
    pub(crate) started: Vec<Started>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) stderr: String,
}

impl Deployed {
    /// Deploys it with the settings that a good deployment has, and what `change` makes of them.
    pub(crate) async fn start(change: impl FnOnce(Function) -> Function) -> Self {
        let fake = FakeOpenAi::start().await.expect("a free loopback port");
        let url = fake.url();
        Self::before(fake, &url, change).await
    }

    /// The same, in front of another upstream than the fake.
    pub(crate) async fn before(
        fake: FakeOpenAi,
        upstream: &str,
        change: impl FnOnce(Function) -> Function,
    ) -> Self {
        let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tokens = folder.path().join("tokens.json");
        let token = add_token(&TokenFile::new(&tokens), "dev-01", true).await;
        let function = Function::new(env!("CARGO_BIN_EXE_codex-proxy"))
            .env("CODEX_PROXY_LOGS", format!("s3://{BUCKET}/team"))
            .env("CODEX_PROXY_TOKENS", tokens.to_str().expect("a path of text"))
            .env("CODEX_PROXY_UPSTREAM", upstream)
            .env("OPENAI_API_KEY", KEY)
            .env("AWS_ENDPOINT_URL_S3", bucket.url())
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        let lambda = change(function).start().await.expect("free loopback ports");
        Self { fake, bucket, lambda, token, _folder: folder }
    }

    /// A request with a good token.
    pub(crate) fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.lambda.address(), method, target).token(&self.token)
    }

    /// A turn, streamed or not, that meets `fault` at OpenAI.
    pub(crate) fn turn(&self, target: &str, fault: &str, stream: bool) -> Ask {
        self.ask("POST", target).json(&turn(stream)).fault(fault)
    }

    /// Waits until no environment works any more.
    pub(crate) async fn rest(&self) {
        within(self.lambda.until_frozen()).await;
    }

    /// Waits until what the environments said has been read from their pipes: all ends of what is
    /// stored, and then nothing new for a while.
    async fn said(&self) {
        let mut seen = 0;
        let mut quiet = 0;
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let lines = self.lambda.stdout();
            let ends = lines.iter().filter(|line| line.text.contains("exchange_ended")).count();
            quiet = if lines.len() == seen { quiet + 1 } else { 0 };
            seen = lines.len();
            if quiet >= 10 && ends >= self.bucket.objects().len() {
                return;
            }
        }
    }

    /// Waits until nothing works any more, and returns what was left. No secret is anywhere in it.
    pub(crate) async fn left(&self) -> Left {
        self.rest().await;
        self.said().await;
        let text = |lines: Vec<benches::lambda::Line>| {
            lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
        };
        let (stdout, stderr) = (text(self.lambda.stdout()), text(self.lambda.stderr()).join("\n"));
        let objects = self.bucket.objects().into_iter();
        let parse = |(key, bytes): (String, bytes::Bytes)| {
            Logged::parse(key.strip_prefix("team/").expect("below the prefix"), bytes.to_vec())
        };
        let logs = Logs(objects.map(parse).collect());
        let (whole, broken) =
            Spilled::assemble(stdout.iter().filter_map(|line| spill::parse(line)));
        assert!(broken.is_empty(), "{broken:?}");
        let spilled = whole.into_iter().map(|it| Logged::parse(&it.key, it.bytes)).collect();
        let (mut started, mut ended) = (Vec::new(), Vec::new());
        for line in &stdout {
            match serde_json::from_str(line) {
                Ok(Line::ExchangeStarted(line)) => started.push(line),
                Ok(Line::ExchangeEnded(line)) => ended.push(*line),
                Err(_) => assert!(spill::parse(line).is_some(), "nothing else on stdout: {line}"),
            }
        }
        let left = Left { logs, spilled, started, ended, stderr };
        let said = stdout.join("\n");
        for secret in [KEY, &self.token] {
            assert!(!said.contains(secret) && !left.stderr.contains(secret));
            for logged in left.logs.0.iter().chain(&left.spilled) {
                assert!(!String::from_utf8_lossy(&logged.json).contains(secret), "{}", logged.name);
            }
        }
        left
    }
}

impl Left {
    /// The record of the only exchange, which is in the bucket.
    pub(crate) fn only(&self) -> &Logged {
        assert!(self.spilled.is_empty(), "nothing was spilled");
        self.logs.only()
    }
}
