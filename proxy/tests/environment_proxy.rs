//! The environment's proxy: used where that is asked for, by tunnel, and not noticed where it is not.

use std::process::Command;

use benches::tunnel::{ConnectProxy, Mood};
use benches::upstream::FakeOpenAi;

use crate::common::child::{Server, codex_proxy, run};
use crate::common::client::Answer;
use crate::common::function::Deployed;
use crate::common::logs::Logs;
use crate::common::site::one_token;
use crate::common::wire::RawUpstream;
use crate::common::{KEY, RESPONSES, turn};

const PASSWORD: &str = "canary-password";
/// `me:canary-password`, as it is sent.
const CREDENTIALS: &str = "bWU6Y2FuYXJ5LXBhc3N3b3Jk";
/// Nobody listens there.
const NOWHERE: &str = "http://me:canary-password@127.0.0.1:1";

fn url(proxy: &ConnectProxy) -> String {
    format!("http://me:{PASSWORD}@{}", proxy.address())
}

/// Two turns through a server with this environment, and what it said until its end. The password is
/// in nothing that it left.
async fn turns(upstream: &str, change: impl FnOnce(&mut Command)) -> ([Answer; 2], String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tokens, token) = one_token(folder.path());
    let root = folder.path().join("root");
    let logs = root.to_str().expect("a path of text");
    let server = Server::start(upstream, &tokens, logs, change).await;
    let turn = || server.ask("POST", RESPONSES, &token).json(&turn(true)).send();
    let answers = [turn().await, turn().await];
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(0), "{said}");
    let logs = Logs::read(&root);
    assert_eq!(logs.0.len(), 2, "one exchange, one record");
    let left = logs.0.iter().map(|logged| String::from_utf8_lossy(&logged.json).into_owned());
    for text in left.chain([said.clone()]) {
        assert!(!text.contains(PASSWORD) && !text.contains(CREDENTIALS), "{text}");
    }
    (answers, said)
}

fn assert_good(answers: &[Answer; 2]) {
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("event: response.completed"));
    }
}

#[tokio::test]
async fn where_it_is_asked_for_requests_pass_through_a_tunnel_and_the_proxy_sees_no_key() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let host = fake.url().strip_prefix("http://").expect("a scheme").to_owned();
    let asking: [fn(&mut Command); 3] = [
        |command| {
            command.arg("--environment-proxy");
        },
        |command| {
            command.env("CODEX_PROXY_ENVIRONMENT_PROXY", "1");
        },
        |command| {
            command.env("CODEX_PROXY_ENVIRONMENT_PROXY", "true");
        },
    ];
    for (variable, ask) in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"].into_iter().zip(asking) {
        let proxy = ConnectProxy::start(Mood::Willing).await.expect("a free loopback port");
        let (answers, said) = turns(&fake.url(), |command| {
            ask(command);
            command.env(variable, url(&proxy)).env("NO_PROXY", "example.com");
        })
        .await;
        assert_good(&answers);
        let through = format!("reaches it through http://{} ({variable})", proxy.address());
        assert!(said.contains(&through), "{said}");
        let asked = proxy.asked();
        assert_eq!(asked.len(), 1, "one tunnel, used twice");
        let expected = format!(
            "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: Basic {CREDENTIALS}\r\n\r\n"
        );
        assert_eq!(asked[0], expected, "and nothing else");
    }
    for seen in fake.requests() {
        assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
        assert!(!seen.headers.contains_key("proxy-authorization"));
    }
}

#[tokio::test]
async fn what_passes_through_a_tunnel_to_an_https_upstream_is_tls() {
    let openai = RawUpstream::start().await;
    let proxy = ConnectProxy::start(Mood::Willing).await.expect("a free loopback port");
    let upstream = openai.url().replace("http://", "https://");
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(openai.accept().await.read_some().await);
        }
        seen
    });
    let (answers, _) = turns(&upstream, |command| {
        command.arg("--environment-proxy").env("HTTPS_PROXY", url(&proxy));
        command.env("HTTP_PROXY", NOWHERE);
    })
    .await;
    assert_eq!(answers[0].status, 502);
    for hello in seen.await.expect("no panic") {
        assert_eq!(hello[..2], [22, 3], "a handshake of TLS");
        assert!(!String::from_utf8_lossy(&hello).contains(KEY));
    }
    assert_eq!(proxy.asked().len(), 2);
}

#[tokio::test]
async fn a_proxy_that_is_reached_over_tls_gets_no_password_in_the_clear() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let proxy = RawUpstream::start().await;
    let place = proxy.url().replace("http://", &format!("https://me:{PASSWORD}@"));
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(proxy.accept().await.read_some().await);
        }
        seen
    });
    let (answers, _) = turns(&fake.url(), |command| {
        command.arg("--environment-proxy").env("HTTP_PROXY", place);
    })
    .await;
    assert_eq!(answers[0].status, 502);
    for hello in seen.await.expect("no panic") {
        assert_eq!(hello[..2], [22, 3], "a handshake of TLS");
    }
    assert!(fake.requests().is_empty(), "nobody goes around the proxy");
}

#[tokio::test]
async fn where_it_is_not_asked_for_the_environment_changes_nothing() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let named = |command: &mut Command| {
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            command.env(name, NOWHERE).env(name.to_lowercase(), NOWHERE);
        }
    };
    let (answers, said) = turns(&fake.url(), named).await;
    assert_good(&answers);
    assert!(!said.contains("reaches it"), "{said}");
    let excepted = |command: &mut Command| {
        named(command);
        command.arg("--environment-proxy").env("no_proxy", "127.0.0.1");
    };
    let (answers, said) = turns(&fake.url(), excepted).await;
    assert_good(&answers);
    assert!(said.contains("reaches it directly: the environment names no proxy for it"), "{said}");
}

#[tokio::test]
async fn a_proxy_that_digs_no_tunnel_is_named_in_our_own_answer() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    for (mood, status, detail) in [
        (Mood::Says("HTTP/1.1 407 Who?\r\n\r\n"), 502, "proxy_configuration_error"),
        (Mood::Says("HTTP/1.1 502 No\r\n\r\n"), 502, "destination_unavailable"),
        (Mood::Says("HTTP/1.1 403 No\r\n\r\n"), 502, "destination_unavailable"),
        (Mood::Says("SSH-2.0\r\n\r\n"), 502, "destination_unavailable"),
        (Mood::Says(""), 502, "connection_terminated"),
        (Mood::Silent, 504, "connection_timeout"),
    ] {
        let proxy = ConnectProxy::start(mood).await.expect("a free loopback port");
        let (answers, _) = turns(&fake.url(), |command| {
            command.args(["--environment-proxy", "--connect-timeout", "1"]);
            command.env("HTTP_PROXY", url(&proxy));
        })
        .await;
        for answer in answers {
            assert_refused(&answer, status, detail);
        }
        assert_eq!(proxy.asked().len(), 2, "{mood:?}");
    }
    let (answers, _) = turns(&fake.url(), |command| {
        command.arg("--environment-proxy").env("HTTP_PROXY", NOWHERE);
    })
    .await;
    assert_refused(&answers[0], 502, "connection_refused");
    assert!(fake.requests().is_empty(), "nobody goes around the proxy");
}

fn assert_refused(answer: &Answer, status: u16, detail: &str) {
    let expected = format!("codex-proxy; error={detail}");
    assert_eq!((answer.status, answer.header("proxy-status")), (status, Some(expected.as_str())));
    assert_eq!(answer.json()["error"]["message"], "upstream request failed");
}

#[test]
fn a_variable_that_names_no_usable_proxy_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = codex_proxy(&["serve", "--listen", "127.0.0.1:0", "--environment-proxy"]);
    command.current_dir(folder.path()).env("HOME", folder.path()).env("OPENAI_API_KEY", KEY);
    command.env("HTTPS_PROXY", "socks5://me:canary-password@127.0.0.1:1080");
    let output = run(command, "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: HTTPS_PROXY names no proxy; expected http(s)://"), "{said}");
    assert!(said.contains("hint: mend the variable, or leave out --environment-proxy"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[tokio::test]
async fn on_lambda_the_same_variables_lead_through_a_tunnel_or_are_named_as_wrong() {
    let proxy = ConnectProxy::start(Mood::Willing).await.expect("a free loopback port");
    let told = |value: String| {
        move |function: benches::lambda::Function| {
            function.env("CODEX_PROXY_ENVIRONMENT_PROXY", "true").env("HTTP_PROXY", value)
        }
    };
    let function = Deployed::start(told(url(&proxy))).await;
    assert_eq!(function.turn(RESPONSES, "good", true).send().await.status, 200);
    let left = function.left().await;
    assert_eq!(left.only().outcome(), "openai - complete");
    assert!(!left.stderr.contains(PASSWORD), "{}", left.stderr);
    assert_eq!(proxy.asked().len(), 1);

    let function =
        Deployed::start(told(format!("socks5://me:{PASSWORD}@{}", proxy.address()))).await;
    assert_eq!(function.turn(RESPONSES, "good", true).send().await.status, 503);
    let left = function.left().await;
    let outcome = "proxy proxy proxy_internal proxy_configuration_error complete";
    assert_eq!(left.only().outcome(), outcome);
    let named = "CODEX_PROXY_ENVIRONMENT_PROXY: HTTP_PROXY names no proxy";
    assert!(left.stderr.contains(named), "{}", left.stderr);
    assert!(!left.stderr.contains(PASSWORD), "{}", left.stderr);
}
