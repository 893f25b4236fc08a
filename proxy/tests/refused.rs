//! A sink that does not take a record: how long it is tried, and where the record goes instead.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use benches::s3::{Failure, MemoryS3, Operation};
use benches::upstream::FakeOpenAi;
use futures::future::BoxFuture;
use proxy::encode::LogObject;
use proxy::log::{Refuge, Unwritten, WritePolicy};
use proxy::sink::{LogSink, SinkError};

use crate::common::child::Server;
use crate::common::logs::Logged;
use crate::common::site::{BUCKET, environment, one_token};
use crate::common::{KEY, RESPONSES, Setup, turn, until};

/// A sink that never answers.
#[derive(Default)]
struct SilentSink {
    asked: AtomicUsize,
}

impl LogSink for SilentSink {
    fn put<'a>(&'a self, _: &'a LogObject) -> BoxFuture<'a, Result<(), SinkError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

/// Keeps records in memory, or cannot.
struct MemoryRefuge {
    kept: Mutex<Vec<LogObject>>,
    is_full: bool,
}

impl Refuge for MemoryRefuge {
    fn keep(&self, object: &LogObject) -> io::Result<()> {
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.kept.lock().expect("no panic").push(object.clone());
        Ok(())
    }
}

const HASTY: WritePolicy = WritePolicy {
    gather: Duration::ZERO,
    tries: 3,
    pause: Duration::from_millis(10),
    attempt_time: Duration::from_millis(100),
    total_time: Duration::from_millis(250),
};

#[tokio::test]
async fn a_sink_that_never_answers_is_given_up_in_the_time_of_the_policy() {
    let sink = Arc::new(SilentSink::default());
    let proxy = Setup::new().sink(Arc::clone(&sink) as _).policy(HASTY).start().await;
    proxy.turn(RESPONSES, "good", true).send().await;
    let begun = Instant::now();
    let (unwritten, _folder) = proxy.stop().await;
    assert_eq!(unwritten, Unwritten { lost: 1, waiting: 0 });
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!((2..=3).contains(&sink.asked.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn without_a_spool_a_refused_record_goes_to_the_refuge_and_is_lost_only_without_one() {
    for is_full in [false, true] {
        let refuge = Arc::new(MemoryRefuge { kept: Mutex::default(), is_full });
        let sink = Arc::new(SilentSink::default());
        let setup = Setup::new().sink(sink).policy(HASTY).refuge(Arc::clone(&refuge) as _);
        let proxy = setup.start().await;
        let answer = proxy.turn(RESPONSES, "good", true).send().await;
        let (unwritten, _folder) = proxy.stop().await;
        assert_eq!(unwritten, Unwritten { lost: u64::from(is_full), waiting: 0 });
        let kept = refuge.kept.lock().expect("no panic");
        assert_eq!(kept.len(), usize::from(!is_full));
        for object in &*kept {
            let record = Logged::parse(&object.key, object.bytes.to_vec()).record;
            let id = answer.header("x-codex-proxy-exchange-id");
            assert_eq!(Some(record.exchange_id.as_str()), id);
        }
    }
}

#[tokio::test]
async fn with_a_spool_a_refused_record_waits_in_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sink = Arc::new(SilentSink::default());
    let proxy = Setup::new().sink(sink).policy(HASTY).spool(folder.path()).start().await;
    proxy.turn(RESPONSES, "good", true).send().await;
    let (unwritten, _folder) = proxy.stop().await;
    assert_eq!(unwritten, Unwritten { lost: 0, waiting: 1 });
}

#[tokio::test]
async fn over_the_budget_of_memory_a_body_is_cut_or_read_back_from_the_spool() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for spool in [false, true] {
        let setup = Setup::new().limits(|limits| limits.held_bytes = 1_000);
        let setup = if spool { setup.spool(folder.path()) } else { setup };
        let proxy = setup.start().await;
        let ask = proxy.turn(RESPONSES, "echo-authorization", true).named("echo");
        let answer = ask.send().await;
        assert!(answer.is_whole && answer.body.len() > 1_000);
        let token = proxy.token.clone();
        let logs = proxy.finish().await;
        let record = &logs.only().record;
        assert_eq!(logs.only().outcome(), "openai - complete", "its events were read to the end");
        assert_eq!(record.response_bytes, answer.body.len() as u64);
        assert_eq!(record.response_truncated, !spool);
        let masked = answer.text().replace(KEY, "[redacted]").replace(&token, "[redacted]");
        assert!(masked.starts_with(&record.response_body));
        assert_eq!(record.response_body.len() == masked.len(), spool);
    }
}

#[tokio::test]
async fn a_person_in_a_hurry_does_not_wait_for_a_silent_bucket() {
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    bucket.fail_next(Operation::Put, Failure::StoredUnanswered, 99);
    let logs = format!("s3://{BUCKET}/codex");
    let server = Server::start(&fake.url(), &tokens, &logs, |c| environment(c, &bucket)).await;
    server.ask("POST", RESPONSES, &token).json(&turn(true)).send().await;
    until(|| bucket.counts().put == 1).await;
    server.terminate();
    until(|| std::net::TcpStream::connect(server.address).is_err()).await;
    server.terminate();
    let (code, said) = server.ended().await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("1 records could not be written"), "{said}");
    bucket.recover();
    let server = Server::start(&fake.url(), &tokens, &logs, |c| environment(c, &bucket)).await;
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("replayed 1 exchanges"), "{said}");
    assert_eq!(bucket.objects().len(), 1);
}
