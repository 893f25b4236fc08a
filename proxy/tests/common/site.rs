//! A place where servers come and go: what one leaves, the next one brings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use benches::s3::{ACCESS_KEY, MemoryS3, SECRET_KEY};
use benches::upstream::FakeOpenAi;
use tempfile::TempDir;

use super::child::{Server, codex_proxy, run};
use super::logs::{Logged, Logs};
pub(crate) const BUCKET: &str = "team-bucket";

/// A place where servers come and go.
pub(crate) struct Site {
    pub(crate) fake: Arc<FakeOpenAi>,
    pub(crate) token: String,
    pub(crate) tokens: PathBuf,
    folder: TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        let fake = FakeOpenAi::start_forgetful(address).await.expect("a free loopback port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (tokens, token) = one_token(folder.path());
        Self { fake: Arc::new(fake), token, tokens, folder }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.root().join("spool")
    }

    /// A server that logs to the site's folder.
    pub(crate) async fn start(&self, change: impl FnOnce(&mut Command)) -> Server {
        let root = self.root();
        let logs = root.to_str().expect("a path of text");
        Server::start(&self.fake.url(), &self.tokens, logs, change).await
    }

    /// A server that logs to a bucket.
    pub(crate) async fn start_on(&self, bucket: &MemoryS3) -> Server {
        let logs = format!("s3://{BUCKET}/codex");
        let change = |command: &mut Command| environment(command, bucket);
        Server::start(&self.fake.url(), &self.tokens, &logs, change).await
    }

    /// Starts a server again, stops it in good order, and reads everything.
    pub(crate) async fn replay(&self) -> (Logs, String) {
        let (code, said) = self.start(|_| ()).await.stop().await;
        assert_eq!(code, Some(0), "{said}");
        let left: Vec<_> = files(&self.spool()).into_iter().filter(|path| !is_lock(path)).collect();
        assert!(left.is_empty(), "a clean end leaves no segment: {left:?}");
        (Logs::read(&self.root()), said)
    }
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_none_or(|extension| extension != "segment")
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// All that the spool holds.
pub(crate) fn spooled(folder: &Path) -> String {
    let text = files(folder)
        .into_iter()
        .filter(|path| !is_lock(path))
        .map(|path| String::from_utf8_lossy(&fs::read(path).expect("it can be read")).into_owned());
    text.collect()
}

/// The records in a bucket.
pub(crate) fn logged_in(bucket: &MemoryS3) -> Vec<Logged> {
    let below = |key: &str| key.strip_prefix("codex/").expect("below the prefix").to_owned();
    let objects = bucket.objects().into_iter();
    objects.map(|(key, bytes)| Logged::parse(&below(&key), bytes.to_vec())).collect()
}

/// What leads a child process to `bucket`.
pub(crate) fn environment(command: &mut Command, bucket: &MemoryS3) {
    command
        .env("AWS_ENDPOINT_URL", bucket.url())
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
}

/// Makes a token file with the command line.
pub(crate) fn one_token(folder: &Path) -> (std::path::PathBuf, String) {
    let file = folder.join("tokens.json");
    let mut command = codex_proxy(&["token", "add", "dev-01", "--tokens"]);
    command.arg(&file);
    let output = run(command, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).expect("a token is text");
    (file, token.trim_end().to_owned())
}
