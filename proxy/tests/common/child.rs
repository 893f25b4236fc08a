//! The built binary as a child process: its arguments, its environment, its last words.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use schemas::journal::{Ended, Line};

use super::client::Ask;
use super::{KEY, until, within};

/// A command with nothing of the environment of whoever runs the tests.
pub(crate) fn codex_proxy(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-proxy"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    // Where instrumented builds write their counters.
    for name in ["LLVM_PROFILE_FILE", "SSL_CERT_FILE", "SYSTEMROOT"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

/// Runs a command that ends by itself, with `input` on its stdin.
pub(crate) fn run(mut command: Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the command ends")
}

/// `codex-proxy serve`, running.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Option<Child>,
    said: Lines,
    journal: Lines,
    listeners: Vec<JoinHandle<()>>,
}

type Lines = Arc<Mutex<Vec<String>>>;

/// Reads lines until there are no more.
fn listen(to: impl Read + Send + 'static) -> (Lines, JoinHandle<()>) {
    let lines = Lines::default();
    let heard = Arc::clone(&lines);
    let to = BufReader::new(to).lines().map_while(Result::ok);
    let listener = std::thread::spawn(move || to.for_each(|line| lock(&heard).push(line)));
    (lines, listener)
}

impl Server {
    /// Starts it on a free port, in front of `upstream`; `change` adds to its command.
    pub(crate) async fn start(
        upstream: &str,
        tokens: &Path,
        logs: &str,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command =
            codex_proxy(&["serve", "--listen", "127.0.0.1:0", "--upstream", upstream]);
        command.args(["--logs", logs, "--tokens"]).arg(tokens).env("OPENAI_API_KEY", KEY);
        // Where the spool of a bucket is.
        command.envs(tokens.parent().map(|folder| ("XDG_STATE_HOME", folder)));
        change(&mut command);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");

        let (journal, of_stdout) = listen(child.stdout.take().expect("a pipe"));
        let (said, of_stderr) = listen(child.stderr.take().expect("a pipe"));
        let listeners = vec![of_stdout, of_stderr];
        let address = || {
            let said = lock(&said);
            let mut addresses = said.iter().filter_map(|l| l.split_once("listening on http://"));
            addresses.next().map(|(_, address)| address.parse().expect("an address"))
        };
        until(|| address().is_some()).await;
        let address = address().expect("it says its address");
        Self { address, child: Some(child), said, journal, listeners }
    }

    pub(crate) fn ask(&self, method: &str, target: &str, token: &str) -> Ask {
        Ask::new(self.address, method, target).token(token)
    }

    /// What it said on stderr so far.
    pub(crate) fn said(&self) -> String {
        lock(&self.said).join("\n")
    }

    /// The ends of exchanges that its journal tells, also later.
    pub(crate) fn ends(&self) -> impl Fn() -> Vec<Ended> + use<> {
        let journal = Arc::clone(&self.journal);
        move || {
            let lines = lock(&journal);
            let lines = lines.iter().map(|line| serde_json::from_str(line).expect("a line"));
            let ends = lines.filter_map(|line| match line {
                Line::ExchangeEnded(ended) => Some(*ended),
                Line::ExchangeStarted(_) => None,
            });
            ends.collect()
        }
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.expect("there is a `kill`").success());
    }

    /// Kills it, as nothing can prepare for.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
        for listener in std::mem::take(&mut self.listeners) {
            listener.join().expect("no panic");
        }
    }

    /// Waits for its end; returns its exit code and all that it said.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let mut child = self.child.take().expect("it runs");
        let ended = within(tokio::task::spawn_blocking(move || child.wait())).await;
        let status = ended.expect("no panic").expect("the child can be waited for");
        for listener in std::mem::take(&mut self.listeners) {
            listener.join().expect("no panic");
        }
        (status.code(), self.said())
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn stop(self) -> (Option<i32>, String) {
        self.terminate();
        self.ended().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed half way leaves nothing running.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn lock(said: &Lines) -> std::sync::MutexGuard<'_, Vec<String>> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}
