//! Logs in a folder or a bucket, and the built binary that is asked about them.

pub(crate) mod aws;
pub(crate) mod fading;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use analyzer::logs::source::S3Source;
use aws_config::SdkConfig;
use benches::corpus::Object;
use benches::s3::{ACCESS_KEY, MemoryS3, SECRET_KEY};
use schemas::record::LogRecord;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "logs-of-a-team";

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Peak of its memory, as far as it was seen.
    pub(crate) peak_bytes: u64,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the command ended like this.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// The command with nothing of the environment of whoever runs the tests.
pub(crate) fn analyzer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_analyzer"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    // Where instrumented builds write their counters.
    for name in ["LLVM_PROFILE_FILE", "SYSTEMROOT"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.env("TZ", "UTC").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs a command to its end; no command may panic, whatever it meets.
#[track_caller]
pub(crate) fn run(mut command: Command, input: &str) -> Answer {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let watch = watch(child.id());
    let output = child.wait_with_output().expect("the command ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what it says is text");
    let answer = Answer {
        code: output.status.code().expect("no signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        peak_bytes: watch.join().expect("no panic"),
    };
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    answer
}

/// Watches the high-water mark of a process's memory until it is gone; 0 where there is no `/proc`.
fn watch(process: u32) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let status = PathBuf::from(format!("/proc/{process}/status"));
        let mut peak = 0;
        while let Some(now) = fs::read_to_string(&status).ok().as_deref().and_then(high_water) {
            peak = now;
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    })
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// Kills a command that hangs, so that a test fails instead.
#[track_caller]
pub(crate) fn run_within(limit: Duration, mut command: Command) -> Answer {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = command.spawn().expect("the binary runs");
    let mut waited = Duration::ZERO;
    while child.try_wait().expect("a child").is_none() {
        if waited >= limit {
            let _ = child.kill();
            panic!("still running after {limit:?}");
        }
        waited += Duration::from_millis(20);
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("the command has ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what it says is text");
    let answer = Answer {
        code: output.status.code().expect("no signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        peak_bytes: 0,
    };
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    answer
}

/// A folder of logs.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn of(objects: &[Object]) -> Self {
        let folder = Self::new();
        for object in objects {
            folder.put_at(&object.key, &object.bytes, object.modified.into());
        }
        folder
    }

    pub(crate) fn put_object(&self, object: &Object) {
        self.put_at(&object.key, &object.bytes, object.modified.into());
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path().join(key);
        fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn put_at(&self, key: &str, bytes: &[u8], modified: SystemTime) {
        self.put(key, bytes);
        let file = File::options().write(true).open(self.path().join(key)).expect("just written");
        file.set_modified(modified).expect("a time");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = analyzer(&["origin", "--json"]);
        command.arg("--source").arg(self.path()).args(arguments);
        command
    }

    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> Answer {
        run(self.command(arguments), "")
    }
}

/// A bucket of logs on an S3 server of its own.
pub(crate) struct Bucket(pub(crate) MemoryS3);

impl Bucket {
    pub(crate) async fn new() -> Self {
        Self(MemoryS3::start(BUCKET).await.expect("a loopback port is free"))
    }

    pub(crate) async fn of(objects: &[Object]) -> Self {
        let bucket = Self::new().await;
        for object in objects {
            bucket.put(object);
        }
        bucket
    }

    /// The bucket as a source.
    pub(crate) async fn source(&self) -> S3Source {
        S3Source::with(config(&self.0), BUCKET, "codex").await.expect("a bucket")
    }

    pub(crate) fn put(&self, object: &Object) {
        self.0.insert(
            &format!("codex/{}", object.key),
            object.bytes.clone(),
            object.modified.into(),
        );
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_for(&format!("s3://{BUCKET}/codex"), arguments)
    }

    pub(crate) fn command_for(&self, source: &str, arguments: &[&str]) -> Command {
        // There is nothing of AWS here but S3.
        let origin = ["origin", "--json", "--no-cloudwatch", "--source", source];
        self.reach(analyzer(&[&origin, arguments].concat()))
    }

    /// Any command over the logs in this bucket.
    pub(crate) fn analyzer(&self, arguments: &[&str]) -> Command {
        let source = format!("s3://{BUCKET}/codex");
        self.reach(analyzer(&[arguments, &["--source", &source]].concat()))
    }

    fn reach(&self, mut command: Command) -> Command {
        command.env("AWS_ENDPOINT_URL", self.0.url()).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command
    }

    #[track_caller]
    pub(crate) fn ask(&self, arguments: &[&str]) -> Answer {
        run(self.command(arguments), "")
    }
}

/// A record as the proxy writes it: an HTTP 500 of OpenAI's at this moment. `number` tells one from
/// another.
pub(crate) fn server_error(number: u32, started_at: &str) -> LogRecord {
    let message = "The server had an error while processing your request. Sorry about that!";
    let json = serde_json::json!({
        "schema_version": 1, "exchange_id": format!("cpx_01a200ea080c7b3e9f1c2d4a{number:08x}"),
        "lambda_request_id": null, "proxy": {"version": "0.1.0", "region": null, "function": null},
        "started_at": started_at, "origin": "openai",
        "error": {"origin": "openai", "code": "server_error", "type": "server_error", "message": message, "detail": null},
        "ending": "complete", "status": 500,
        "upstream": {"host": "api.openai.com:443", "status": 500, "request_id": format!("req_{number:016x}"), "processing_ms": 12.0, "cf_ray": null, "ratelimit": {}},
        "method": "POST", "path": "/v1/responses", "received_path": "/v1/responses",
        "token_id": "3fa9c1d2e4b5a697", "developer": "dev-17",
        "client": {"ip": null, "user_agent": null, "originator": null, "version": null, "session_id": "session-17", "turn_id": format!("turn-{number}")},
        "model": "gpt-5.5", "stream": true, "duration_ms": 12.5, "ttfb_ms": 12.0, "auth_ms": 0.1, "upstream_ttfb_ms": 11.9,
        "request_bytes": 100, "response_bytes": 100, "usage": null, "response_content_type": "application/json",
        "response_encoding": "utf8", "redacted": false, "response_truncated": false, "request_body": null,
        "response_body": serde_json::json!({"error": {"message": message, "type": "server_error", "param": null, "code": "server_error"}}).to_string(),
    });
    serde_json::from_value(json).expect("a record")
}

/// The object of a record, under its key.
pub(crate) fn object(record: &LogRecord) -> Object {
    benches::corpus::object(record)
}

/// Settings that lead to a server.
pub(crate) fn config(server: &MemoryS3) -> SdkConfig {
    aws::config_with(&server.url(), ACCESS_KEY, SECRET_KEY)
}
