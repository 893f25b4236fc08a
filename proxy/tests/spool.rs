//! The death of the server: whatever a client got is in a record after the next start, once.

use std::fs;
use std::path::Path;
use std::time::Duration;

use benches::s3::{Failure, MemoryS3, Operation};
use schemas::journal::Fate;

use crate::common::child::Server;
use crate::common::client::Opened;
use crate::common::logs::Logs;
use crate::common::site::{BUCKET, Site, files, logged_in, spooled};
use crate::common::wire::RawUpstream;
use crate::common::{CHAT, KEY, RESPONSES, turn, until, within};

#[tokio::test]
async fn a_killed_server_leaves_a_record_of_everything_that_its_clients_got() {
    let site = Site::new().await;
    // Name, path, fault, streamed, how far the client reads, the outcome.
    let cases = [
        ("slow", RESPONSES, "slow-stream", true, "delta", "interrupted"),
        ("chat", CHAT, "slow-stream", true, "content", "interrupted"),
        ("idle", RESPONSES, "idle", true, "delta", "interrupted"),
        ("headers", RESPONSES, "idle-after-headers", true, "", "interrupted"),
        ("open", RESPONSES, "completed-open", true, "event: response.completed", "complete"),
        ("failed", RESPONSES, "failed-open", true, "event: response.failed", "complete"),
        ("whole", RESPONSES, "good", false, "usage", "complete"),
        ("limit", RESPONSES, "http-429", false, "rate_limit_exceeded", "complete"),
    ];
    for moment in 0..6_u64 {
        let server = site.start(|_| ()).await;
        let mut open: Vec<(String, Opened, String)> = Vec::new();
        for (name, target, fault, stream, end, _) in cases {
            let name = format!("{name} {moment}");
            let ask = server.ask("POST", target, &site.token).json(&turn(stream));
            let mut answer = ask.fault(fault).delay_ms(20).named(&name).open().await;
            let got = if end.is_empty() { String::new() } else { answer.read_until(end).await };
            open.push((name, answer, got));
        }
        let refused = server.ask("POST", RESPONSES, "unknown").named(&format!("refused {moment}"));
        assert_eq!(refused.send().await.status, 401);
        tokio::time::sleep(Duration::from_millis(7 * moment)).await;
        server.kill();
        let (logs, said) = site.replay().await;
        assert!(said.contains("exchanges of a proxy that died"), "{said}");
        for ((name, answer, mut got), case) in open.into_iter().zip(cases) {
            let rest = answer.collect().await;
            got.push_str(rest.text());
            let logged = logs.named(&name);
            let record = &logged.record;
            assert!(record.response_body.starts_with(&got), "{name}: {}", record.response_body);
            assert_eq!(record.response_bytes, record.response_body.len() as u64, "{name}");
            let is_interrupted = logged.outcome() == "openai proxy interrupted - interrupted";
            // A slow one may have come to its end.
            let is_whole = got.contains("response.completed") || got.contains("[DONE]");
            assert_eq!(
                is_interrupted,
                case.5 == "interrupted" && !is_whole,
                "{}",
                logged.outcome()
            );
            assert_eq!(record.developer.as_deref(), Some("dev-01"), "{name}");
            assert_eq!((record.model.as_deref(), record.stream), (Some("gpt-5.5"), Some(case.3)));
            assert!(record.upstream.is_some() && record.ttfb_ms.is_some(), "{name}");
            crate::outcomes::check_key(logged);
        }
        let refused = logs.named(&format!("refused {moment}"));
        assert_eq!(refused.outcome(), "proxy proxy proxy_invalid_token - complete");
        assert!(refused.record.response_body.contains("proxy_invalid_token"));
        assert_eq!(logs.0.len() as u64, (moment + 1) * 9, "each exactly once");
    }
}

#[tokio::test]
async fn an_exchange_without_an_answer_is_interrupted_by_the_proxy() {
    let site = Site::new().await;
    let server = site.start(|_| ()).await;
    let ask = server.ask("POST", RESPONSES, &site.token).json(&turn(true)).named("waiting");
    let waiting = tokio::spawn(ask.fault("slow-first-byte").delay_ms(60_000).send());
    until(|| spooled(&site.spool()).contains("dev-01")).await;
    server.kill();
    assert!(waiting.await.is_err(), "no answer came");
    let (logs, said) = site.replay().await;
    assert!(said.contains("replayed 1 exchanges of a proxy that died"), "{said}");
    assert_eq!(logs.only().outcome(), "proxy proxy interrupted - interrupted");
    assert_eq!(logs.only().record.path, RESPONSES);
    assert_eq!(site.replay().await.0.0.len(), 1, "and never again");
}

#[tokio::test]
async fn no_secret_is_ever_in_the_spool() {
    let site = Site::new().await;
    let openai = RawUpstream::start().await;
    let root = site.root();
    let logs = root.to_str().expect("a path of text");
    let server = Server::start(&openai.url(), &site.tokens, logs, |_| ()).await;
    let token = site.token.clone();
    let target = format!("/v1/responses?key={token}");
    let ask = server.ask("POST", &target, &token).json(&turn(true));
    let ask = ask.header("user-agent", &format!("x/{KEY}"));
    let asked = tokio::spawn(ask.open());
    let mut upstream = openai.accept().await;
    upstream.read_until("Hello").await;
    upstream
        .send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        .await;
    let mut answer = within(asked).await.expect("an answer");
    let (half_key, half_token) = (KEY.len() / 2, token.len() / 2);
    let mut expected = String::new();
    for piece in [
        format!("data: {KEY} and {token}\n\n"),
        format!("data: {}", &KEY[..half_key]),
        format!("{}\n\ndata: {}", &KEY[half_key..], &token[..half_token]),
        format!("{}\n\ndata: {}", &token[half_token..], &KEY[..12]),
    ] {
        upstream.send(&piece).await;
        expected.push_str(&piece);
        let mut got = String::new();
        while got.len() < piece.len() {
            got.push_str(&String::from_utf8_lossy(&answer.piece().await));
        }
        let spooled = spooled(&site.spool());
        assert!(spooled.contains("data: "), "the answer is there");
        for part in [&KEY[..8], &KEY[half_key..], &token[..8], &token[half_token..]] {
            assert!(!spooled.contains(part), "{part} in {spooled}");
        }
    }
    server.kill();
    let (logs, _) = site.replay().await;
    let record = &logs.only().record;
    let masked = expected.replace(KEY, "[redacted]").replace(&token, "[redacted]");
    assert_eq!(record.response_body, masked.replace(&KEY[..12], "[redacted]"));
    assert_eq!(record.response_bytes, expected.len() as u64);
    assert!(record.redacted && !record.response_truncated);
    assert_eq!(record.received_path, "/v1/responses?key=[redacted]");
}

#[tokio::test]
async fn log_body_is_obeyed_in_the_spool_and_the_outcome_is_known_all_the_same() {
    for log_body in ["none", "errors"] {
        let site = Site::new().await;
        let server = site
            .start(|command| {
                command.env("LOG_BODY", log_body);
            })
            .await;
        let ask = |name: &str| server.ask("POST", RESPONSES, &site.token).named(name);
        ask("good").json(&turn(true)).send().await;
        ask("whole").json(&turn(false)).send().await;
        until(|| !spooled(&site.spool()).contains("output_text")).await;
        let mut open = ask("open").json(&turn(true)).fault("completed-open").open().await;
        open.read_until("event: response.completed").await;
        let mut failed = ask("failed").json(&turn(true)).fault("failed-open").open().await;
        failed.read_until("event: response.failed").await;
        let mut idle = ask("idle").json(&turn(true)).fault("idle").open().await;
        idle.read_until("delta").await;
        assert_eq!(spooled(&site.spool()).contains("output_text"), log_body == "errors");
        server.kill();
        let again = site
            .start(|command| {
                command.env("LOG_BODY", log_body);
            })
            .await;
        assert_eq!(again.stop().await.0, Some(0));
        let logs = Logs::read(&site.root());
        assert_eq!(logs.0.len(), 5, "{log_body}");
        for name in ["good", "whole", "open"] {
            assert_eq!(logs.named(name).outcome(), "openai - complete", "{log_body} {name}");
            assert_eq!(logs.named(name).record.response_body, "", "{log_body} {name}");
        }
        let failed = logs.named("failed");
        assert_eq!(failed.outcome(), "openai openai server_error response.failed complete");
        assert_eq!(logs.named("idle").outcome(), "openai proxy interrupted - interrupted");
        assert!(logs.named("idle").record.response_bytes > 0);
        for name in ["failed", "idle"] {
            let has_body = !logs.named(name).record.response_body.is_empty();
            assert_eq!(has_body, log_body == "errors", "{log_body} {name}");
        }
    }
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_a_put_leaves_one_object_with_the_same_key_and_bytes() {
    let site = Site::new().await;
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    let server = site.start_on(&bucket).await;
    for failure in [Failure::StoredUnanswered, Failure::StoredUntold] {
        bucket.fail_next(Operation::Put, failure, 1);
    }
    let ask = || server.ask("POST", RESPONSES, &site.token).json(&turn(true));
    ask().named("unanswered").send().await;
    until(|| bucket.counts().put == 1).await;
    ask().named("untold").send().await;
    until(|| bucket.objects().len() == 2).await;
    server.kill();
    let (code, said) = site.start_on(&bucket).await.stop().await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(logged_in(&bucket).len(), 2);
    assert_eq!(bucket.overwritten(), [""; 0], "every try stores the same bytes");
    assert!(bucket.counts().put >= 3, "the unanswered one was tried again");
}

#[tokio::test]
async fn a_bucket_that_is_down_until_the_server_was_killed_gets_everything_from_the_next() {
    let site = Site::new().await;
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    bucket.fail_next(Operation::Put, Failure::AccessDenied, usize::MAX);
    let server = site.start_on(&bucket).await;
    for name in 0..20 {
        let ask = server.ask("POST", RESPONSES, &site.token).json(&turn(true));
        assert_eq!(ask.named(&name.to_string()).send().await.status, 200);
    }
    until(|| bucket.counts().put >= 3).await;
    server.kill();
    let second = site.start_on(&bucket).await;
    let (code, said) = second.stop().await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("20 records could not be written"), "{said}");
    assert!(said.contains("20 exchanges of a proxy that died wait"), "{said}");
    assert_eq!(said.matches("log_write_failed").count(), 1, "once, not for each: {said}");
    bucket.recover();
    let (code, said) = site.start_on(&bucket).await.stop().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("replayed 20 exchanges of a proxy that died"), "{said}");
    assert_eq!(logged_in(&bucket).len(), 20);
}

#[tokio::test]
async fn the_end_of_every_exchange_is_told_at_the_latest_when_a_later_server_stores_its_record() {
    let site = Site::new().await;
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    let server = site.start_on(&bucket).await;
    let ask = |name: &str| {
        server.ask("POST", RESPONSES, &site.token).json(&turn(true)).named(name).send()
    };
    // One dies with its record made and nothing said, two after it was said that they wait.
    bucket.fail_next(Operation::Put, Failure::StoredUnanswered, 1);
    ask("silent").await;
    until(|| bucket.counts().put == 1).await;
    bucket.fail_next(Operation::Put, Failure::AccessDenied, usize::MAX);
    ask("first").await;
    ask("second").await;
    let told = server.ends();
    until(|| told().len() == 2).await;
    assert!(told().iter().all(|ended| ended.record == Fate::Waiting));
    server.kill();

    let second = site.start_on(&bucket).await;
    let told = second.ends();
    assert_eq!(second.stop().await.0, Some(3));
    assert_eq!(told(), [], "nothing new: they still wait");
    bucket.recover();
    let third = site.start_on(&bucket).await;
    let told = third.ends();
    let (code, said) = third.stop().await;
    assert_eq!(code, Some(0), "{said}");
    let mut stored: Vec<_> = told().into_iter().map(|e| (e.exchange_id, e.record)).collect();
    let logged = logged_in(&bucket).into_iter();
    let mut expected: Vec<_> = logged.map(|it| (it.record.exchange_id, Fate::Stored)).collect();
    stored.sort_by(|one, other| one.0.cmp(&other.0));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(stored, expected);
    assert_eq!(stored.len(), 3);
}

#[tokio::test]
async fn a_bucket_that_comes_back_gets_everything_without_a_restart() {
    let site = Site::new().await;
    let bucket = MemoryS3::start(BUCKET).await.expect("a free loopback port");
    bucket.fail_next(Operation::Put, Failure::AccessDenied, usize::MAX);
    let server = site.start_on(&bucket).await;
    for name in 0..20 {
        let ask = server.ask("POST", RESPONSES, &site.token).json(&turn(true));
        ask.named(&name.to_string()).send().await;
    }
    until(|| server.said().contains("log_write_failed")).await;
    bucket.recover();
    until(|| bucket.objects().len() == 20).await;
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("log_write_recovered"), "{said}");
}

#[tokio::test]
async fn two_servers_on_one_spool_leave_each_others_exchanges_alone() {
    let site = Site::new().await;
    let (one, other) = (site.start(|_| ()).await, site.start(|_| ()).await);
    let ask = |server: &Server, name: &str| {
        let ask = server.ask("POST", RESPONSES, &site.token).json(&turn(true));
        ask.fault("slow-stream").delay_ms(40).named(name)
    };
    let mut lives = ask(&one, "lives").open().await;
    lives.read_until("delta").await;
    let mut dies = ask(&other, "dies").open().await;
    dies.read_until("delta").await;
    other.kill();
    let (code, said) = site.start(|_| ()).await.stop().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("replayed 1 exchanges"), "only that of the dead one: {said}");
    assert!(lives.collect().await.is_whole);
    assert_eq!(one.stop().await.0, Some(0));
    let logs = Logs::read(&site.root());
    assert_eq!(logs.0.len(), 2);
    assert_eq!(logs.named("lives").outcome(), "openai - complete");
    assert_eq!(logs.named("dies").outcome(), "openai proxy interrupted - interrupted");
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_said_once_and_the_answers_stand() {
    let site = Site::new().await;
    fs::create_dir_all(site.root()).expect("it can be made");
    fs::write(site.spool(), "in the way").expect("it can be written");
    let never = site.start(|_| ()).await;
    let asked = async |server: &Server| {
        for _ in 0..3 {
            let ask = server.ask("POST", RESPONSES, &site.token).json(&turn(true));
            let answer = ask.send().await;
            assert!(answer.is_whole && answer.text().contains("event: response.completed"));
        }
    };
    asked(&never).await;
    let (code, said) = never.stop().await;
    assert_eq!((code, said.matches("spool_failed").count()), (Some(0), 1), "{said}");
    assert_eq!(Logs::read(&site.root()).0.len(), 3);

    fs::remove_file(site.spool()).expect("it can be removed");
    let no_longer = site.start(|_| ()).await;
    fs::remove_dir_all(site.spool()).expect("it can be removed");
    fs::write(site.spool(), "in the way").expect("it can be written");
    asked(&no_longer).await;
    let (code, said) = no_longer.stop().await;
    assert_eq!((code, said.matches("spool_failed").count()), (Some(0), 1), "{said}");
    assert_eq!(Logs::read(&site.root()).0.len(), 6);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_user_may_look_into_the_spool() {
    use std::os::unix::fs::PermissionsExt as _;

    let site = Site::new().await;
    let server = site.start(|_| ()).await;
    server.ask("POST", RESPONSES, &site.token).json(&turn(true)).send().await;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&site.spool()), 0o700);
    for file in files(&site.spool()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().expect("a folder")), 0o700);
    }
    assert_eq!(server.stop().await.0, Some(0));
}
