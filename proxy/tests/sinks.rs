//! Both sinks keep one contract: a record is written to its key, once, or its loss is told.

use std::fs;
use std::sync::Arc;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use benches::s3::{ACCESS_KEY, Failure, MemoryS3, Operation, SECRET_KEY};
use benches::upstream::FakeOpenAi;
use bytes::Bytes;
use proxy::encode::LogObject;
use proxy::log::Unwritten;
use proxy::sink::{FolderSink, LogSink, S3Sink};
use schemas::journal::Fate;

use crate::common::child::Server;
use crate::common::logs::Logged;
use crate::common::site::{BUCKET, environment, one_token};
use crate::common::wire::RawUpstream;
use crate::common::{RESPONSES, Setup, turn, until};

async fn memory_s3() -> (MemoryS3, Arc<dyn LogSink>) {
    let server = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(server.url())
        .force_path_style(true)
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let client = aws_sdk_s3::Client::from_conf(config.build());
    (server, Arc::new(S3Sink::new(client, BUCKET, "/codex/")))
}

/// What any sink does, seen through whoever can list it.
async fn keeps_the_contract(sink: Arc<dyn LogSink>, list: impl Fn() -> Vec<(String, Bytes)>) {
    let object = LogObject { key: "logs/a/b/c.json.zst".to_owned(), bytes: Bytes::from("first") };
    for _ in 0..2 {
        sink.put(&object).await.expect("it is written");
    }
    let other = LogObject { key: "logs/a/b/d.json.zst".to_owned(), bytes: Bytes::from("second") };
    sink.put(&other).await.expect("it is written");
    let expected = [(object.key, object.bytes), (other.key, other.bytes)];
    assert_eq!(list(), expected, "whole, to its key, and once");
}

#[tokio::test]
async fn a_folder_keeps_the_contract_of_a_sink() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sink = FolderSink::open(folder.path()).expect("a folder that can be written");
    let root = folder.path().to_owned();
    keeps_the_contract(Arc::new(sink), move || {
        let files = fs::read_dir(root.join("logs/a/b")).expect("it was made");
        let names = files.map(|file| file.expect("an entry").file_name().into_string());
        let mut names: Vec<_> = names.map(|name| name.expect("text")).collect();
        names.sort();
        let read = |name: String| {
            let key = format!("logs/a/b/{name}");
            let bytes = fs::read(root.join(&key)).expect("it can be read");
            (key, Bytes::from(bytes))
        };
        names.into_iter().map(read).collect()
    })
    .await;
}

#[tokio::test]
async fn a_bucket_keeps_the_contract_of_a_sink() {
    let (server, sink) = memory_s3().await;
    keeps_the_contract(sink, || {
        let below = |(key, bytes): (String, Bytes)| {
            (key.strip_prefix("codex/").expect("below the prefix").to_owned(), bytes)
        };
        server.objects().into_iter().map(below).collect()
    })
    .await;
}

#[tokio::test]
async fn a_put_that_fails_is_tried_again_with_the_same_key_and_bytes() {
    for (failure, times) in [
        (Failure::SlowDown, 1),
        (Failure::Internal, 2),
        (Failure::AccessDenied, 2),
        (Failure::Reset, 1),
    ] {
        let (server, sink) = memory_s3().await;
        server.fail_next(Operation::Put, failure, times);
        let proxy = Setup::new().sink(sink).start().await;
        let answer = proxy.turn(RESPONSES, "good", true).send().await;
        let (unwritten, _folder) = proxy.stop().await;
        assert_eq!((answer.status, unwritten), (200, Unwritten::default()), "{failure:?}");
        let objects = server.objects();
        assert_eq!(objects.len(), 1, "{failure:?}");
        let (key, bytes) = &objects[0];
        let logged = Logged::parse(key.strip_prefix("codex/").expect("a prefix"), bytes.to_vec());
        let id = answer.header("x-codex-proxy-exchange-id");
        assert_eq!(Some(logged.record.exchange_id.as_str()), id);
        assert_eq!(server.counts().put, times + 1, "{failure:?}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_written_is_counted_and_the_answer_stands() {
    let (server, sink) = memory_s3().await;
    server.fail_next(Operation::Put, Failure::AccessDenied, 3);
    let proxy = Setup::new().sink(sink).start().await;
    let answer = proxy.turn(RESPONSES, "good", true).send().await;
    assert!(answer.is_whole && answer.text().contains("event: response.completed"));
    let (unwritten, _folder) = proxy.stop().await;
    assert_eq!(unwritten, Unwritten { lost: 1, waiting: 0 });
    assert!(server.objects().is_empty());
}

#[tokio::test]
async fn the_server_writes_to_the_bucket_that_its_environment_leads_to() {
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    for (scheme, count) in [("s3", 1), ("S3", 2)] {
        let (code, said) = exchange_to(&bucket, scheme, |_| ()).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("logs to s3://{BUCKET}/codex/")), "{said}");
        assert_eq!(bucket.objects().len(), count);
    }
    for (key, bytes) in bucket.objects() {
        Logged::parse(key.strip_prefix("codex/").expect("a prefix"), bytes.to_vec());
    }
}

#[tokio::test]
async fn a_connection_to_the_bucket_that_nobody_uses_is_closed_after_seconds() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let s3 = RawUpstream::start().await;
    let server = Server::start(&fake.url(), &tokens, "s3://bucket", |command| {
        command.env("AWS_ENDPOINT_URL", s3.url()).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    })
    .await;
    let answer = server.ask("POST", RESPONSES, &token).json(&turn(true)).send().await;
    assert_eq!(answer.status, 200);
    let mut connection = s3.accept().await;
    connection.read_request().await;
    connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let told = server.ends();
    until(|| told().len() == 1).await;
    assert_eq!(told()[0].record, Fate::Stored, "the connection was good");
    assert_eq!(connection.read_to_end().await, "");
    assert_eq!(server.stop().await.0, Some(0));
}

#[tokio::test]
async fn a_server_whose_record_has_to_wait_says_where_and_exits_with_3() {
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    let refuse = |bucket: &MemoryS3| bucket.fail_next(Operation::Put, Failure::AccessDenied, 9);
    let (code, said) = exchange_to(&bucket, "s3", refuse).await;
    assert_eq!(code, Some(3), "{said}");
    let line = said.lines().find(|line| line.starts_with('{')).expect("one structured line");
    let line: serde_json::Value = serde_json::from_str(line).expect("the line is JSON");
    assert_eq!(line["event"], "log_write_failed");
    let error = line["error"].as_str().expect("a text");
    assert!(error.contains(&format!("s3://{BUCKET}/codex/logs/")), "{error}");
    assert!(error.contains("AccessDenied"), "{error}");
    assert!(said.contains("1 records could not be written"), "{said}");
    assert!(said.contains("they wait in "), "{said}");
    assert!(said.ends_with("hint: the next start brings them"), "{said}");
}

/// One exchange through a child process that logs to `bucket`.
async fn exchange_to(
    bucket: &MemoryS3,
    scheme: &str,
    spoil: impl Fn(&MemoryS3),
) -> (Option<i32>, String) {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let logs = format!("{scheme}://{BUCKET}/codex");
    let server = Server::start(&fake.url(), &tokens, &logs, |c| environment(c, bucket)).await;
    spoil(bucket);
    let answer = server.ask("POST", RESPONSES, &token).json(&turn(true)).send().await;
    assert!(answer.is_whole && answer.text().contains("event: response.completed"));
    server.stop().await
}

#[tokio::test]
async fn a_folder_that_becomes_a_file_is_told_the_same_way() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let root = folder.path().join("root");
    let logs = root.to_str().expect("a path of text");
    let server = Server::start(&fake.url(), &tokens, logs, |_| ()).await;
    fs::remove_dir_all(root.join("logs")).expect("it can be removed");
    fs::write(root.join("logs"), "in the way").expect("it can be written");
    let answer = server.ask("POST", RESPONSES, &token).json(&turn(true)).send().await;
    assert_eq!(answer.status, 200);
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("log_write_failed"), "{said}");
}
