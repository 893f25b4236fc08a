//! AWS as these tests need it: moto, a server of its protocols, in a child process on loopback; and
//! answers by a script, for what moto does not do: refuse rights, and ask to slow down.
//!
//! `scripts/check.sh` installs moto and names its Python in `CODEX_PROXY_TEST_PYTHON`; without it
//! the tests that need moto say loudly that they are skipped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;

pub(crate) const REGION: &str = "eu-central-1";

/// Serves until its stdin ends, which it does with the test, however that ends. The role is what
/// Lambda wants of a function.
const SERVE: &str = "
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
iam = boto3.client('iam', endpoint_url=f'http://127.0.0.1:{port}', region_name='eu-central-1',
    aws_access_key_id='test', aws_secret_access_key='test')
iam.create_role(RoleName='proxy', AssumeRolePolicyDocument='{}')
print(port, flush=True)
sys.stdin.read()
";

/// CloudWatch, its logs, Lambda, S3, DynamoDB and Secrets Manager.
pub(crate) struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    /// Starts it on a port that the system picks; `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("CODEX_PROXY_TEST_PYTHON") else {
            // nextest shows this although the test passes; see `.config/nextest.toml`.
            #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
            {
                eprintln!(
                    "SKIPPED: CODEX_PROXY_TEST_PYTHON names no Python with moto; run scripts/check.sh"
                );
            }
            return None;
        };
        let mut command = Command::new(python);
        let command = command.args(["-c", SERVE]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("Python runs");
        let mut port = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        // It may greet on the same pipe.
        let port: u16 = loop {
            port.clear();
            let read = said.read_line(&mut port).expect("moto says its port");
            assert!(read > 0, "this Python has moto[server]");
            if let Ok(port) = port.trim().parse() {
                break port;
            }
        };
        Some(Self { child, url: format!("http://127.0.0.1:{port}") })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn config(&self) -> SdkConfig {
        config(&self.url)
    }

    /// Puts figures into `AWS/Lambda`, which AWS itself would not allow.
    pub(crate) async fn metrics(&self, function: &str, at: Timestamp, figures: &[(&str, f64)]) {
        use aws_sdk_cloudwatch::primitives::DateTime;
        use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
        let dimension = Dimension::builder().name("FunctionName").value(function).build();
        let datum = |&(name, value): &(&str, f64)| {
            let datum = MetricDatum::builder().metric_name(name).dimensions(dimension.clone());
            datum.timestamp(DateTime::from_secs(at.as_second())).value(value).build()
        };
        let client = aws_sdk_cloudwatch::Client::new(&self.config());
        let put = client.put_metric_data().namespace("AWS/Lambda");
        let put = put.set_metric_data(Some(figures.iter().map(datum).collect()));
        put.send().await.expect("figures");
    }

    /// Writes lines into a log stream of a group, which is made if need be. Each needs a stream of its
    /// own, or later times.
    pub(crate) async fn lines(&self, group: &str, stream: &str, lines: &[(Timestamp, String)]) {
        let client = aws_sdk_cloudwatchlogs::Client::new(&self.config());
        let _ = client.create_log_group().log_group_name(group).send().await;
        let made = client.create_log_stream().log_group_name(group).log_stream_name(stream);
        made.send().await.expect("a stream");
        let event = |(at, text): &(Timestamp, String)| {
            let event = InputLogEvent::builder().timestamp(at.as_millisecond()).message(text);
            event.build().expect("whole")
        };
        let put = client.put_log_events().log_group_name(group).log_stream_name(stream);
        let put = put.set_log_events(Some(lines.iter().map(event).collect()));
        put.send().await.expect("lines");
    }

    /// Makes a function with this environment.
    pub(crate) async fn function(&self, name: &str, environment: &[(&str, &str)]) {
        use aws_sdk_lambda::primitives::Blob;
        use aws_sdk_lambda::types::{Environment, FunctionCode, Runtime};
        let mut variables = Environment::builder();
        for (name, value) in environment {
            variables = variables.variables(*name, *value);
        }
        let client = aws_sdk_lambda::Client::new(&self.config());
        let create = client
            .create_function()
            .function_name(name)
            .runtime(Runtime::from("provided.al2023"))
            .role("arn:aws:iam::123456789012:role/proxy")
            .handler("bootstrap")
            .timeout(900)
            .code(FunctionCode::builder().zip_file(Blob::new(EMPTY_ZIP)).build())
            .environment(variables.build());
        create.send().await.expect("a function");
        let slots = client.put_function_concurrency().function_name(name);
        slots.reserved_concurrent_executions(25).send().await.expect("slots");
    }
}

/// A zip archive without a file.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How to reach whatever is at this address.
pub(crate) fn config(url: &str) -> SdkConfig {
    config_with(url, "test", "test")
}

/// How to reach what checks who asks.
pub(crate) fn config_with(url: &str, access_key: &str, secret_key: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key, secret_key, None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// Leads a command to whatever is at this address.
pub(crate) fn lead(command: &mut Command, url: &str) {
    command.env("AWS_ENDPOINT_URL", url).env("AWS_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
}

/// What a request asks for, in one word: the operation, or method and path.
fn operation(head: &str, body: &str) -> String {
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    if let Some(target) = header("x-amz-target:") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    action.map_or_else(|| head.lines().next().unwrap_or_default().to_owned(), str::to_owned)
}

/// An answer: status and body.
pub(crate) type Scripted = (u16, String);

/// Answers each request as a function of its operation and of how often that was asked before says,
/// until the process ends. Returns its address, and the operations in the order in which they came.
pub(crate) fn script(
    answer: impl Fn(&str, usize) -> Scripted + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
            std::thread::spawn(move || answer_one(stream, &seen, &*answer));
        }
    });
    (format!("http://{address}"), asked)
}

fn answer_one(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str, usize) -> Scripted,
) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let operation = operation(&head, &String::from_utf8_lossy(&body));
    let before = {
        let mut seen = seen.lock().expect("no panic");
        let before = seen.iter().filter(|known| **known == operation).count();
        seen.push(operation.clone());
        before
    };
    let (status, body) = answer(&operation, before);
    let kind = if body.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
    let length = body.len();
    // One answer a connection: nothing is kept open.
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}
