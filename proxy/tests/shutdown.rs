//! The end of the server: what is in flight is let finish, and everything is written.

use std::time::Duration;

use benches::upstream::FakeOpenAi;

use crate::common::child::Server;
use crate::common::logs::Logs;
use crate::common::site::one_token;
use crate::common::wire::Wire;
use crate::common::{RESPONSES, Setup, turn};

#[tokio::test]
async fn a_stream_in_flight_completes_after_sigterm_and_its_record_is_written() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let root = folder.path().join("root");
    let logs = root.to_str().expect("a path of text");
    let server = Server::start(&fake.url(), &tokens, logs, |_| ()).await;
    let ask = server.ask("POST", RESPONSES, &token).json(&turn(true));
    let mut answer = ask.fault("slow-stream").delay_ms(30).open().await;
    answer.read_until("response.created").await;
    server.terminate();
    let answer = answer.collect().await;
    assert!(answer.is_whole && answer.text().contains("event: response.completed"));
    let (code, said) = server.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("codex-proxy stopped; all logs are written"), "{said}");
    assert_eq!(Logs::read(&root).only().outcome(), "openai - complete");
}

#[tokio::test]
async fn a_connection_without_an_exchange_does_not_hold_up_the_end() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let root = folder.path().join("root");
    let logs = root.to_str().expect("a path of text");
    let server = Server::start(&fake.url(), &tokens, logs, |_| ()).await;
    let _silent = Wire::connect(server.address).await;
    let mut new = Wire::connect(server.address).await;
    new.send("POST /v1/resp").await;
    let mut kept = Wire::connect(server.address).await;
    kept.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    kept.read_until("\"waiting\"").await;
    kept.send("POST /v1/resp").await;
    let ask = server.ask("POST", RESPONSES, &token).json(&turn(true));
    let mut answer = ask.fault("slow-stream").delay_ms(100).open().await;
    answer.read_until("response.created").await;
    server.terminate();
    let ended = async {
        for wire in [&mut new, &mut kept] {
            assert_eq!(wire.read_to_end().await, "", "nobody asked anything");
        }
        let answer = answer.collect().await;
        assert!(answer.is_whole && answer.text().contains("event: response.completed"));
        server.ended().await
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    let (code, said) = ended.expect("well before the 30 s that a head may take");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(Logs::read(&root).only().outcome(), "openai - complete");
}

#[tokio::test]
async fn a_second_signal_cuts_what_is_in_flight_at_once() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let root = folder.path().join("root");
    let logs = root.to_str().expect("a path of text");
    let server = Server::start(&fake.url(), &tokens, logs, |_| ()).await;
    let ask = server.ask("POST", RESPONSES, &token).json(&turn(true));
    let mut answer = ask.fault("idle").open().await;
    answer.read_until("response.created").await;
    server.terminate();
    // The first signal has arrived once nobody listens any more.
    crate::common::until(|| std::net::TcpStream::connect(server.address).is_err()).await;
    server.terminate();
    let ended = tokio::time::timeout(Duration::from_secs(10), server.ended()).await;
    let (code, said) = ended.expect("well before the grace of 30 s is over");
    assert_eq!(code, Some(0), "{said}");
    assert!(!answer.collect().await.is_whole);
    let outcome = Logs::read(&root).only().outcome();
    assert_eq!(outcome, "openai proxy interrupted - interrupted");
}

#[tokio::test]
async fn a_stream_that_outlasts_the_grace_is_cut_and_recorded_as_cut_by_the_proxy() {
    let grace = Duration::from_millis(50);
    let proxy = Setup::new().timeouts(|timeouts| timeouts.grace = grace).start().await;
    let mut answer = proxy.turn(RESPONSES, "idle", true).open().await;
    answer.read_until("response.created").await;
    let complete = proxy.turn(RESPONSES, "completed-open", true).named("complete");
    let mut complete = complete.open().await;
    complete.read_until("event: response.completed").await;
    let waiting = proxy.turn(RESPONSES, "slow-first-byte", true).delay_ms(60_000);
    let waiting = tokio::spawn(waiting.named("waiting").send());
    crate::common::until(|| proxy.fake.requests().len() == 3).await;
    let logs = proxy.finish().await;
    assert!(!answer.collect().await.is_whole, "the client sees the cut");
    assert!(waiting.await.is_err(), "and that no answer came");
    assert_eq!(logs.0.len(), 3);
    assert_eq!(logs.0[0].outcome(), "openai proxy interrupted - interrupted");
    assert_eq!(logs.named("complete").outcome(), "openai - complete");
    assert_eq!(logs.named("waiting").outcome(), "proxy proxy interrupted - interrupted");
}
