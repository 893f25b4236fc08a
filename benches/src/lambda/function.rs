//! What is run, and within which limits: the settings of a function.

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::Lambda;

/// The name of every function here.
pub const NAME: &str = "codex-proxy";
/// The region that the function runs in.
pub const REGION: &str = "eu-central-1";
/// The name of the function, in full.
pub const ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:codex-proxy";
pub(super) const MEMORY_MB: u32 = 512;

/// What happens to an extension that registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// It takes part, from then on.
    Allowed,
    /// It gets a 403.
    Refused,
    /// It gets no answer, ever.
    Unanswered,
}

/// A function that is being described; [`start`](Self::start) starts it.
#[derive(Clone, Debug)]
pub struct Function {
    pub(super) bootstrap: PathBuf,
    variables: Vec<(OsString, OsString)>,
    pub(super) timeout: Duration,
    pub(super) init_timeout: Duration,
    pub(super) concurrency: usize,
    pub(super) register: Register,
}

impl Function {
    /// Describes a function that runs this executable, with 30 s for an invocation and room for 10 at a
    /// time.
    #[must_use]
    pub fn new(bootstrap: impl AsRef<Path>) -> Self {
        Self {
            bootstrap: bootstrap.as_ref().to_owned(),
            variables: Vec::new(),
            timeout: Duration::from_secs(30),
            // 10 s on AWS; a busy machine with a debug build gets more.
            init_timeout: Duration::from_secs(30),
            concurrency: 10,
            register: Register::Allowed,
        }
    }

    /// Sets an environment variable; nothing else is handed on from the environment of the tests.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets how long an invocation may take, extensions included.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets how long an environment may take to become ready for its first invocation.
    #[must_use]
    pub fn init_timeout(self, init_timeout: Duration) -> Self {
        Self { init_timeout, ..self }
    }

    /// Sets how many environments may be busy at a time.
    #[must_use]
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency, ..self }
    }

    /// Sets what happens to extensions that register.
    #[must_use]
    pub fn extensions(self, register: Register) -> Self {
        Self { register, ..self }
    }

    /// Opens the Function URL; the first environment is started by the first invocation.
    pub async fn start(self) -> io::Result<Lambda> {
        Lambda::start(self).await
    }

    /// Returns the command that starts environment `index`, which finds its Runtime API at `api`.
    pub(super) fn command(&self, index: usize, api: SocketAddr) -> Command {
        let mut command = Command::new(&self.bootstrap);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", NAME)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEMORY_MB.to_string())
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{NAME}"))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("2026/01/01/[$LATEST]{index:032x}"))
            .env("AWS_REGION", REGION)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}
