//! AWS as these tests need it: moto, a server of its protocols, in a child process on loopback; and
//! a stub that gives one answer for ever.
//!
//! `scripts/check.sh` installs moto and names its Python in `CODEX_PROXY_TEST_PYTHON`; without it
//! the tests that need moto say loudly that they are skipped.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) const REGION: &str = "eu-central-1";

/// Serves until its stdin ends, which it does with the test, however that ends.
const SERVE: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

/// DynamoDB and Secrets Manager.
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
        said.read_line(&mut port).expect("moto says its port");
        let port: u16 = port.trim().parse().expect("this Python has moto[server]");
        Some(Self { child, url: format!("http://127.0.0.1:{port}") })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        dynamodb(&self.url)
    }

    pub(crate) fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        secrets(&self.url)
    }

    /// Makes a table of tokens.
    pub(crate) async fn table(&self, name: &str) {
        let attribute = AttributeDefinition::builder().attribute_name("token");
        let attribute = attribute.attribute_type(ScalarAttributeType::S).build();
        let key = KeySchemaElement::builder().attribute_name("token").key_type(KeyType::Hash);
        let made = self
            .dynamodb()
            .create_table()
            .table_name(name)
            .attribute_definitions(attribute.expect("whole"))
            .key_schema(key.build().expect("whole"))
            .billing_mode(BillingMode::PayPerRequest);
        made.send().await.expect("a table");
    }

    /// Puts a row as an older proxy would have; a value is a text, `true`, `false` or a number.
    pub(crate) async fn row(&self, table: &str, attributes: &[(&str, &str)]) {
        let mut put = self.dynamodb().put_item().table_name(table);
        for (name, value) in attributes {
            let value = match *value {
                "true" | "false" => AttributeValue::Bool(*value == "true"),
                number if number.len() == 1 => AttributeValue::N(number.to_owned()),
                text => AttributeValue::S(text.to_owned()),
            };
            put = put.item(*name, value);
        }
        put.send().await.expect("a row");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of whatever is at this address.
pub(crate) fn dynamodb(url: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// A client of whatever is at this address.
pub(crate) fn secrets(url: &str) -> aws_sdk_secretsmanager::Client {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

/// Leads a command to whatever is at this address.
pub(crate) fn lead(command: &mut Command, url: &str) {
    command.env("AWS_ENDPOINT_URL", url).env("AWS_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
}

/// Starts a server that gives this answer to everything, while the runtime lives; returns its
/// address.
pub(crate) async fn stub(status: u16, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = move |request: Request<Incoming>| async move {
                let _ = request.into_body().collect().await;
                let answer = Response::builder().status(status);
                let answer = answer.header("content-type", "application/x-amz-json-1.0");
                Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(body))).expect("whole"))
            };
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    format!("http://{address}")
}
