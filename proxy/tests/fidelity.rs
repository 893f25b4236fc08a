//! Unchanged: what OpenAI sends reaches the client, what the client sends reaches OpenAI, as it is
//! and when it is sent.

use std::collections::HashMap;

use benches::upstream::{BYTES_HEADER, SEED_HEADER, random_body};
use futures::stream::{self, StreamExt as _};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::common::client::Ask;
use crate::common::logs::Logged;
use crate::common::wire::{RawUpstream, Wire};
use crate::common::{KEY, RESPONSES, Setup};

/// `CODEX_PROXY_STREAMS` is their number; above 200 they are smaller, to fit into memory.
#[tokio::test]
async fn streams_of_noise_arrive_byte_for_byte() {
    let count = std::env::var("CODEX_PROXY_STREAMS").map_or(200, |n| n.parse().expect("a number"));
    let longest = if count > 200 { 20_001 } else { 190_001 };
    let proxy = Setup::new().start().await;
    let exchanges = stream::iter(0..count).map(|seed| {
        let bytes = usize::try_from(seed * 7_919 % longest).expect("a small number");
        let ask = proxy.turn(RESPONSES, "random", true).named(&format!("seed {seed}"));
        let ask = ask.header(SEED_HEADER, &seed.to_string());
        let ask = ask.header(BYTES_HEADER, &bytes.to_string());
        async move {
            let answer = ask.send().await;
            let digest: [u8; 32] = Sha256::digest(random_body(seed, bytes)).into();
            assert_eq!(answer.digest(), digest, "seed {seed}");
            assert!(answer.is_whole, "seed {seed}");
            (format!("seed {seed}"), digest)
        }
    });
    let sent: HashMap<_, _> = exchanges.buffer_unordered(8).collect().await;
    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), sent.len(), "each left one record");
    for logged in &logs.0 {
        let name = logged.record.client.session_id.as_deref().expect("a name");
        let digest: [u8; 32] = Sha256::digest(&logged.record.response_body).into();
        assert_eq!(sent[name], digest, "{name} in the log");
        assert_eq!(logged.outcome(), "openai - complete", "{name}");
    }
}

#[tokio::test]
async fn every_header_of_a_429_arrives() {
    let proxy = Setup::new().start().await;
    let answer = proxy.turn(RESPONSES, "http-429", true).send().await;
    let direct = asked_directly(&proxy.fake.url()).await;
    assert!(direct.contains_key("retry-after") && direct.contains_key("x-ratelimit-reset-tokens"));
    for name in direct.keys() {
        assert!(answer.headers.contains_key(name), "{name}");
    }
    // These differ from one answer to the next, whoever asks.
    let varies = ["x-request-id", "cf-ray", "openai-processing-ms", "date"];
    for (name, value) in direct.iter().filter(|(name, _)| !varies.contains(&name.as_str())) {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    let ours = ["x-codex-proxy-origin", "x-codex-proxy-exchange-id"];
    assert_eq!(answer.headers.len(), direct.len() + ours.len(), "{:?}", answer.headers);
    let logs = proxy.finish().await;
    let upstream = logs.only().record.upstream.as_ref().expect("OpenAI answered");
    assert_eq!(upstream.request_id.as_deref(), answer.header("x-request-id"));
    assert_eq!(upstream.cf_ray.as_deref(), answer.header("cf-ray"));
    assert_eq!(upstream.ratelimit["reset-tokens"], "1.2s");
    assert_eq!(upstream.ratelimit.len(), 6);
}

/// Asks the fake itself, without the proxy.
async fn asked_directly(url: &str) -> HeaderMap {
    let address = url.strip_prefix("http://").expect("plain").parse().expect("an address");
    let ask = Ask::new(address, "POST", RESPONSES);
    ask.json(&crate::common::turn(true)).fault("http-429").send().await.headers
}

#[tokio::test]
async fn a_head_passes_line_by_line_with_nothing_added_but_the_marks() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    wire.send(head(&proxy.token, "GET /v1/models", "")).await;
    let mut forwarded = openai.accept().await;
    forwarded.read_until("\r\n\r\n").await;
    let theirs = "HTTP/1.1 299 Quite Fine\r\nX-Request-ID: req_1\r\nset-cookie: a=1\r\n\
                  Set-Cookie: b=2\r\nX-Odd: \u{e4}  b\r\nProxy-Connection: close\r\n\
                  Connection: X-Private\r\nX-Private: 1\r\nDate: then\r\nContent-Length: 2\r\n\r\nok";
    forwarded.send(theirs).await;
    let answer = wire.read_until("\r\n\r\nok").await;
    let mut lines: Vec<_> = answer.split("\r\n").collect();
    assert_eq!(lines.remove(0), "HTTP/1.1 299 Quite Fine");
    lines.retain(|line| !line.starts_with("x-codex-proxy-exchange-id: cpx_"));
    lines.sort_unstable();
    let mut expected = vec![
        "X-Request-ID: req_1",
        "set-cookie: a=1",
        "Set-Cookie: b=2",
        "X-Odd: \u{e4}  b",
        "Date: then",
        "Content-Length: 2",
        "x-codex-proxy-origin: openai",
        "",
        "ok",
    ];
    expected.sort_unstable();
    // Of a name that comes twice hyper keeps one spelling.
    let one_spelling = |lines: Vec<&str>| lines.join("\n").replace("Set-Cookie", "set-cookie");
    assert_eq!(one_spelling(lines), one_spelling(expected));
    drop((wire, forwarded));
    assert_eq!(proxy.finish().await.only().outcome(), "openai - complete");
}

#[tokio::test]
async fn exactly_the_documented_headers_change_on_the_way_up() {
    let proxy = Setup::new().start().await;
    let kept = [
        ("content-type", "application/json"),
        ("user-agent", "codex_exec/0.169.0 (Debian 12.0.0; x86_64)"),
        ("originator", "codex_exec"),
        ("session-id", "s-1"),
        ("openai-beta", "responses=experimental"),
        ("x-codex-turn-metadata", r#"{"turn_id":"t-1"}"#),
        ("accept", "text/event-stream"),
        ("openai-organization", "org-ours"),
        ("cookie", "a=1; b=2"),
    ];
    let replaced =
        [("accept-encoding", "zstd, gzip"), ("authorization", ""), ("host", "codex.example")];
    let dropped = [
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("proxy-connection", "keep-alive"),
        ("x-forwarded-for", "10.0.0.7"),
        ("x-forwarded-proto", "https"),
        ("x-amzn-trace-id", "Root=1"),
        ("x-codex-proxy-origin", "proxy"),
    ];
    let mut ask = proxy.ask("POST", "/v1/responses?a=%20b&c=%2e%2E/..;d#").body("{}");
    for (name, value) in kept.iter().chain(&replaced).chain(&dropped) {
        if *name != "authorization" {
            ask = ask.header(name, value);
        }
    }
    ask.send().await;
    let seen = proxy.fake.requests().pop().expect("it was forwarded");
    assert_eq!(seen.path_and_query, "/v1/responses?a=%20b&c=%2e%2E/..;d");
    let mut headers = seen.headers;
    for (name, value) in kept {
        assert_eq!(headers.remove(name).expect(name), value);
    }
    let host = proxy.fake.url().replace("http://", "");
    for (name, value) in [
        ("authorization", format!("Bearer {KEY}")),
        ("accept-encoding", "identity".to_owned()),
        ("host", host),
        ("content-length", "2".to_owned()),
    ] {
        assert_eq!(headers.remove(name).expect(name), value.as_str());
    }
    assert!(headers.is_empty(), "nothing else: {headers:?}");
}

#[tokio::test]
async fn a_path_is_put_right_and_its_encoding_left_alone() {
    let proxy = Setup::new().start().await;
    for (received, forwarded) in [
        ("/responses", "/v1/responses"),
        ("//v1/x", "/v1/x"),
        ("/v1/v1/x", "/v1/x"),
        ("/v10/x", "/v1/v10/x"),
        ("/v1/a%2Fb%C3%a4'(~)/?q=%41&=%%3", "/v1/a%2Fb%C3%a4'(~)/?q=%41&=%%3"),
    ] {
        proxy.ask("GET", received).send().await;
        let seen = proxy.fake.requests().pop().expect("it was forwarded");
        assert_eq!(seen.path_and_query, forwarded, "{received}");
    }
}

#[tokio::test]
async fn an_upload_arrives_unchanged_compressed_or_in_chunks() {
    let proxy = Setup::new().start().await;
    let json = format!(r#"{{"model":"gpt-5.5","stream":false,"input":"{}"}}"#, "x".repeat(300_000));
    let zstd = zstd::encode_all(json.as_bytes(), 3).expect("compressible");
    let ask = proxy.ask("POST", RESPONSES).header("content-encoding", "zstd").named("zstd");
    ask.body(zstd.clone()).send().await;
    let seen = proxy.fake.requests().pop().expect("it was forwarded");
    assert!(seen.body == zstd, "not one byte differs");
    assert_eq!(seen.headers["content-encoding"], "zstd");

    let mut wire = Wire::connect(proxy.address).await;
    wire.send(head(&proxy.token, "POST /v1/responses", "transfer-encoding: chunked\r\n")).await;
    for piece in json.as_bytes().chunks(7_001) {
        wire.send(format!("{:x};note=1\r\n", piece.len())).await;
        wire.send(piece).await;
        wire.send("\r\n").await;
    }
    wire.send("0\r\n\r\n").await;
    wire.read_until("\"status\": \"completed\"").await;
    let seen = proxy.fake.requests().pop().expect("it was forwarded");
    assert!(seen.body == json.as_bytes(), "not one byte differs");
    drop(wire);

    let logs = proxy.finish().await;
    assert_eq!(logs.0.len(), 2);
    assert_eq!(logs.0[0].record.request_bytes, zstd.len() as u64);
    assert_eq!(logs.0[1].record.request_bytes, json.len() as u64);
    assert!(logs.0.iter().all(|logged| logged.record.model.as_deref() == Some("gpt-5.5")));
    assert!(logs.0.iter().all(|logged| logged.record.stream == Some(false)));
}

#[tokio::test]
async fn every_piece_is_passed_on_before_the_next_one_is_sent() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    wire.send(head(&proxy.token, "POST /v1/responses", "transfer-encoding: chunked\r\n")).await;
    let mut forwarded = openai.accept().await;
    assert!(forwarded.read_until("\r\n\r\n").await.contains(KEY));
    for number in 0..20 {
        wire.send(format!("8\r\nup{number:06}\r\n")).await;
        forwarded.read_until(&format!("up{number:06}")).await;
    }
    wire.send("0\r\n\r\n").await;
    forwarded.read_until("0\r\n\r\n").await;

    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    forwarded.send(head).await;
    let answer = wire.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "the head alone: {answer}");
    for number in 0..20 {
        forwarded.send(format!("10\r\ndata: {number:08}\n\n\r\n")).await;
        let piece = wire.read_until(&format!("data: {number:08}\n\n")).await;
        assert_eq!(piece, format!("10\r\ndata: {number:08}\n\n\r\n"), "as it came");
    }
    let last = "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n";
    forwarded.send(format!("{:x}\r\n{last}\r\n0\r\n\r\n", last.len())).await;
    assert!(wire.read_until("0\r\n\r\n").await.ends_with("\r\n0\r\n\r\n"), "a clean end");
    drop((wire, forwarded));
    assert_eq!(proxy.finish().await.only().outcome(), "openai - complete");
}

#[tokio::test]
async fn an_abrupt_cut_reaches_the_client_as_one() {
    let proxy = Setup::new().start().await;
    for (fault, ends_well) in [("good", true), ("cut-clean", true), ("cut-abrupt", false)] {
        let mut wire = Wire::connect(proxy.address).await;
        let headers =
            format!("connection: close\r\nx-fake-fault: {fault}\r\ncontent-length: 15\r\n")
                .replace("x-fake-fault: good\r\n", "");
        wire.send(head(&proxy.token, "POST /v1/responses", &headers)).await;
        wire.send(r#"{"stream":true}"#).await;
        let answer = wire.read_to_end().await;
        assert!(answer.contains("response.output_text.delta"), "{fault}");
        assert_eq!(answer.ends_with("\r\n0\r\n\r\n"), ends_well, "{fault}");
    }
}

#[tokio::test]
async fn a_long_body_of_known_length_passes_whole_and_is_complete() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let body = random_body(7, 6 << 20);
    let answer = async {
        let mut forwarded = openai.accept().await;
        forwarded.read_until("\r\n\r\n").await;
        forwarded.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())).await;
        forwarded.send(&body).await;
        forwarded
    };
    let (answer, _) = tokio::join!(proxy.ask("GET", "/v1/files/1/content").send(), answer);
    assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()));
    assert!(answer.is_whole && answer.body == body);
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "openai - complete");
    assert_eq!(logs.only().record.response_bytes, body.len() as u64);
}

#[tokio::test]
async fn an_upstream_of_http_1_0_is_understood() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let answer = async {
        let mut forwarded = openai.accept().await;
        forwarded.read_until("\r\n\r\n").await;
        forwarded.send("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nto the end").await;
    };
    let (answer, ()) = tokio::join!(proxy.ask("GET", "/v1/x").send(), answer);
    assert!(answer.is_whole);
    assert_eq!(answer.text(), "to the end");
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    let size = 8 << 20;
    wire.send(head(&proxy.token, "POST /v1/responses", &format!("content-length: {size}\r\n")))
        .await;
    let mut forwarded = openai.accept().await;
    forwarded.read_until("\r\n\r\n").await;
    forwarded.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").await;
    // It reads no more, and closes: what the client still sends has nowhere to go.
    let answer = wire.read_until("\r\n\r\n{}").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    drop(forwarded);
    wire.send(vec![b' '; size]).await;
    drop(wire);
    let logs = proxy.finish().await;
    assert_eq!(logs.only().outcome(), "openai openai http_401 - complete");
}

#[tokio::test]
async fn head_and_get_pass_on_one_connection() {
    let proxy = Setup::new().start().await;
    let mut wire = Wire::connect(proxy.address).await;
    wire.send(head(&proxy.token, "HEAD /v1/models", "")).await;
    let answer = wire.read_until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    wire.send(head(&proxy.token, "GET /v1/models", "")).await;
    let answer = wire.read_until("gpt-5.5-mini").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    drop(wire);
    let logs = proxy.finish().await;
    let outcomes: Vec<_> = logs.0.iter().map(Logged::outcome).collect();
    assert_eq!(outcomes, ["openai - complete", "openai - complete"]);
    assert_eq!(logs.0[0].record.response_bytes, 0);
}

fn head(token: &str, line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}\r\n")
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_cut_the_answer() {
    let openai = RawUpstream::start().await;
    let proxy = Setup::new().upstream(openai.url()).start().await;
    let mut wire = Wire::connect(proxy.address).await;
    wire.send(head(&proxy.token, "GET /v1/models", "connection: close\r\n")).await;
    let mut forwarded = openai.accept().await;
    forwarded.read_until("\r\n\r\n").await;
    let framed = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                  c\r\nall of these\r\n0\r\n\r\n";
    forwarded.send(framed).await;
    let answer = wire.read_to_end().await;
    assert!(answer.contains("all of these") && !answer.contains("ength: 4"), "{answer}");
    assert_eq!(proxy.finish().await.only().record.response_body, "all of these");
}
