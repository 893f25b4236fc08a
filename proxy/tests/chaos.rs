//! Two thousand exchanges while everything fails: clients leave, OpenAI cuts, S3 refuses or stores
//! without saying so, and the server is killed again and again. Each exchange leaves one record.
//!
//! `CODEX_PROXY_CHAOS` is the number of exchanges, `CODEX_PROXY_CHAOS_SEED` repeats a run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use benches::s3::{Failure, MemoryS3, Operation};
use schemas::origin::{AnsweredBy, Ending};
use schemas::record::LogRecord;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::RESPONSES;
use crate::common::site::{BUCKET, Site, logged_in};

/// Clients at a time.
const CLIENTS: usize = 24;
/// Deaths of the server.
const KILLS: usize = 6;

/// Numbers that a seed repeats (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % sides as u64).expect("below `sides`")
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What one client saw.
struct Seen {
    name: String,
    fault: &'static str,
    /// Bytes after the head of the answer, decoded; `None` when not even the head came.
    body: Option<Vec<u8>>,
    /// The connection ended as HTTP wants it.
    is_whole: bool,
    /// It hung up by its own choice.
    left: bool,
}

const FAULTS: &[&str] = &[
    "good",
    "good",
    "good",
    "slow-stream",
    "http-429",
    "http-500",
    "edge-502",
    "failed",
    "cut-clean",
    "cut-abrupt",
    "cut-json",
    "reset",
    "echo-authorization",
    "completed-open",
    "no-token",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_leaves_one_record_whatever_dies() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let exchanges = usize::try_from(setting("CODEX_PROXY_CHAOS").unwrap_or(2_000)).expect("small");
    let seed = setting("CODEX_PROXY_CHAOS_SEED").unwrap_or_else(fresh_seed);
    tell(&format!("CODEX_PROXY_CHAOS_SEED={seed}"));

    let site = Site::new().await;
    let bucket = Arc::new(MemoryS3::start(BUCKET).await.expect("a free loopback port"));
    let mut server = site.start_on(&bucket).await;
    let address = Arc::new(Mutex::new(server.address));
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let share = exchanges / CLIENTS + usize::from(client < exchanges % CLIENTS);
            let (address, done) = (Arc::clone(&address), Arc::clone(&done));
            let token = site.token.clone();
            let mut dice = Dice(seed.wrapping_mul(31).wrapping_add(client as u64));
            tokio::spawn(async move {
                let mut views = Vec::new();
                for turn in 0..share {
                    views.push(
                        exchange(&address, &token, &mut dice, format!("{client}-{turn}")).await,
                    );
                    done.fetch_add(1, Ordering::Relaxed);
                }
                views
            })
        })
        .collect();

    let mut dice = Dice(seed);
    for kill in 0..KILLS {
        let at = exchanges * (kill + 1) / (KILLS + 1) + dice.below(20);
        let mut next = done.load(Ordering::Relaxed);
        until_patiently(|| {
            if done.load(Ordering::Relaxed) >= next {
                next += 25;
                let failure = dice.pick(&[
                    Failure::SlowDown,
                    Failure::Internal,
                    Failure::AccessDenied,
                    Failure::StoredUntold,
                    Failure::Reset,
                    Failure::StoredReset,
                ]);
                bucket.fail_next(Operation::Put, failure, 1 + dice.below(6));
            }
            done.load(Ordering::Relaxed) >= at
        })
        .await;
        bucket.fail_next(Operation::Put, Failure::StoredUnanswered, dice.below(4));
        tokio::time::sleep(Duration::from_millis(dice.below(30) as u64)).await;
        server.kill();
        bucket.recover();
        server = site.start_on(&bucket).await;
        *address.lock().expect("no panic") = server.address;
    }
    let mut views = Vec::new();
    for client in clients {
        views.extend(client.await.expect("no client panics"));
    }
    bucket.recover();
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(0), "seed {seed}: {said}");
    check(&bucket, &views, seed);
    assert_eq!(bucket.overwritten(), [""; 0], "seed {seed}");
}

fn check(bucket: &MemoryS3, views: &[Seen], seed: u64) {
    let mut records: HashMap<String, Vec<LogRecord>> = HashMap::new();
    for logged in logged_in(bucket) {
        let name = logged.record.client.session_id.clone().expect("every request has a name");
        records.entry(name).or_default().push(logged.record);
    }
    let (mut got, mut logged, mut interrupted) = (0, 0, 0);
    for view in views {
        let found = records.remove(&view.name).unwrap_or_default();
        let context = || format!("seed {seed}, {} {}: {found:?}", view.name, view.fault);
        assert!(found.len() <= 1, "at most one record: {}", context());
        let Some(body) = &view.body else {
            logged += found.len();
            continue;
        };
        got += 1;
        logged += 1;
        assert_eq!(found.len(), 1, "who got an answer left a record: {}", context());
        let record = &found[0];
        let masked = view.fault == "echo-authorization";
        let stored = record.response_body.as_bytes();
        assert!(masked || stored.starts_with(body), "all that it got: {}", context());
        let by_proxy = matches!(view.fault, "reset" | "no-token");
        let expected = if by_proxy { AnsweredBy::Proxy } else { AnsweredBy::Openai };
        assert_eq!(record.origin, expected, "{}", context());
        if record.ending == Ending::Interrupted {
            interrupted += 1;
            assert!(!view.is_whole, "{}", context());
        }
        if record.ending == Ending::ClientClosed {
            assert!(view.left, "{}", context());
        }
        if view.is_whole && matches!(view.fault, "good" | "slow-stream" | "echo-authorization") {
            assert!(record.error.is_none(), "{}", context());
        }
    }
    assert!(records.is_empty(), "no record without an exchange, seed {seed}");
    let asked = views.len();
    tell(&format!("{asked} asked, {got} answered, {logged} logged, {interrupted} interrupted"));
}

/// One exchange with whichever server lives. A request that nobody took is asked again.
async fn exchange(address: &Mutex<SocketAddr>, token: &str, dice: &mut Dice, name: String) -> Seen {
    let fault = dice.pick(FAULTS);
    let stream = dice.below(3) > 0 || fault == "completed-open";
    let leaves_after = match fault {
        // Its upstream never hangs up.
        "completed-open" => Some(dice.below(1_200)),
        _ => (dice.below(4) == 0).then(|| dice.below(6_000)),
    };
    let body = format!(r#"{{"model":"gpt-5.5","input":"Hello","stream":{stream}}}"#);
    let authorization = match fault {
        "no-token" => String::new(),
        _ => format!("authorization: Bearer {token}\r\n"),
    };
    let request = format!(
        "POST {RESPONSES} HTTP/1.1\r\nhost: x\r\n{authorization}x-fake-fault: {fault}\r\n\
         x-fake-delay-ms: 1\r\nsession-id: {name}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let request = match fault {
        "good" | "no-token" => request.replace(&format!("x-fake-fault: {fault}\r\n"), ""),
        _ => request,
    };
    let mut wire = loop {
        let now = *address.lock().expect("no panic");
        match TcpStream::connect(now).await {
            Ok(wire) => break wire,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let mut got = Vec::new();
    let mut left = false;
    if wire.write_all(request.as_bytes()).await.is_ok() {
        let mut piece = [0; 4_096];
        while let Ok(length @ 1..) = wire.read(&mut piece).await {
            got.extend_from_slice(&piece[..length]);
            if leaves_after.is_some_and(|most| got.len() > most) {
                left = true;
                break;
            }
        }
    }
    let (body, is_whole) = decode(&got);
    Seen { name, fault, body, is_whole, left }
}

/// Takes the answer apart as far as it came.
fn decode(got: &[u8]) -> (Option<Vec<u8>>, bool) {
    let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (None, false);
    };
    let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
    let mut rest = &got[end + 4..];
    if let Some((_, length)) = head.split_once("content-length: ") {
        let length = length.lines().next().and_then(|length| length.trim().parse().ok());
        return (Some(rest.to_vec()), length == Some(rest.len()));
    }
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).expect("a chunk's size is text");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size is a number");
        if size == 0 {
            return (Some(body), rest.ends_with(b"0\r\n\r\n"));
        }
        rest = &rest[line + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some(after) = rest.get(size + 2..) else { break };
        rest = after;
    }
    (Some(body), false)
}

/// Waits without a limit: how long a run takes depends on how long it is.
async fn until_patiently(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn fresh_seed() -> u64 {
    getrandom::u64().expect("randomness")
}

/// What a failed run shows.
fn tell(line: &str) {
    #[expect(
        clippy::print_stdout,
        reason = "shown of a run that fails, so that it can be repeated"
    )]
    {
        println!("{line}");
    }
}
