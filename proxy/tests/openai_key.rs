//! The real key: from Secrets Manager, replaced while the proxy runs, sent to one host only.

use std::sync::Arc;

use aws_sdk_secretsmanager::primitives::Blob;
use futures::future::{BoxFuture, ready};
use proxy::clock::SystemClock;
use proxy::openai_key::{
    KeySource, KeyUnavailable, KeyVault as _, OpenAiKey, RotatingKey, SecretsManager,
};
use proxy::secret::Secret;

use crate::common::aws::{Moto, lead, secrets};
use crate::common::child::{Server, codex_proxy, run};
use crate::common::client::Ask;
use crate::common::logs::Logged;
use crate::common::wire::Wire;
use crate::common::{KEY, RESPONSES, Running, Setup, turn, within};

const SECRET: &str = "codex-proxy/openai-key";
const NEW_KEY: &str = "sk-canary-the-one-after-rotation";

async fn put(moto: &Moto, name: &str, value: &str) {
    moto.secrets().create_secret().name(name).secret_string(value).send().await.expect("a secret");
}

fn rotating(moto: &Moto) -> RotatingKey {
    RotatingKey::new(SecretsManager::new(&moto.secrets(), SECRET), Arc::new(SystemClock))
}

/// The keys that OpenAI saw, in order.
fn seen(proxy: &Running) -> Vec<String> {
    let requests = proxy.fake.requests();
    let bearer = |r: &benches::upstream::SeenRequest| {
        r.headers["authorization"].to_str().expect("text").replace("Bearer ", "")
    };
    requests.iter().map(bearer).collect()
}

#[tokio::test]
async fn a_secret_is_read_in_every_form_and_a_bad_one_is_named_without_its_value() {
    let Some(moto) = Moto::start() else { return };
    put(&moto, "plain", &format!("{KEY}\n")).await;
    put(&moto, "object", &format!(r#"{{"note":"x","OPENAI_API_KEY":"{KEY}"}}"#)).await;
    put(&moto, "empty", r#"{"a":"canary","b":"canary"}"#).await;
    put(&moto, "broken", "canary with spaces").await;
    let binary = moto.secrets().create_secret().name("binary");
    binary.secret_binary(Blob::new(KEY)).send().await.expect("a secret");
    let fetch = async |name| SecretsManager::new(&moto.secrets(), name).fetch().await;
    for name in ["plain", "object", "binary"] {
        assert_eq!(fetch(name).await.expect(name).key.expose(), KEY, "{name}");
    }
    for (name, reason) in [
        ("empty", "none of the fields OPENAI_API_KEY, "),
        ("broken", "a space or a character"),
        ("missing", "in eu-central-1: ResourceNotFoundException: "),
    ] {
        let error = fetch(name).await.expect_err(name);
        let said = format!("{error} {:?}", error.hint());
        assert!(said.contains(&format!("`{name}`")) && said.contains(reason), "{said}");
        assert!(error.needs_operator() && error.hint().is_some(), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn a_refused_key_is_fetched_anew_and_its_401_passes_byte_for_byte() {
    let Some(moto) = Moto::start() else { return };
    put(&moto, SECRET, KEY).await;
    let proxy = Setup::new().openai_key(rotating(&moto)).start().await;
    assert_eq!(proxy.turn(RESPONSES, "good", true).send().await.status, 200);
    let rotated = moto.secrets().put_secret_value().secret_id(SECRET).secret_string(NEW_KEY);
    rotated.send().await.expect("rotated");
    assert_eq!(proxy.turn(RESPONSES, "good", true).send().await.status, 200);
    assert_eq!(seen(&proxy), [KEY, KEY], "nobody said that it is bad");

    let through = proxy.turn(RESPONSES, "http-401", true).send().await;
    let fake = proxy.fake.url().replace("http://", "").parse().expect("an address");
    let direct = Ask::new(fake, "POST", RESPONSES).json(&turn(true)).fault("http-401").token(KEY);
    let direct = direct.send().await;
    assert_eq!((through.status, &through.body), (direct.status, &direct.body));
    assert_eq!(through.header("x-codex-proxy-origin"), Some("openai"));
    within(async {
        while seen(&proxy).last().map(String::as_str) != Some(NEW_KEY) {
            assert_eq!(proxy.turn(RESPONSES, "good", true).send().await.status, 200);
        }
    })
    .await;
    for logged in &proxy.finish().await.0 {
        assert!(!logged.text().contains("sk-canary"), "{}", logged.name);
    }
}

#[tokio::test]
async fn without_a_key_the_answer_is_an_internal_error_and_says_when_to_come_back() {
    let Some(moto) = Moto::start() else { return };
    let dead = SecretsManager::new(&secrets("http://127.0.0.1:1"), SECRET);
    for (key, retry_after, detail) in [
        (rotating(&moto), "30", "proxy_configuration_error"),
        (RotatingKey::new(dead, Arc::new(SystemClock)), "2", "-"),
    ] {
        let proxy = Setup::new().openai_key(key).start().await;
        let answer = proxy.turn(RESPONSES, "good", true).send().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some(retry_after)));
        assert_eq!(answer.json()["error"]["message"], "internal error");
        assert_eq!(answer.json()["error"]["code"], "proxy_internal");
        let stranger = proxy.turn(RESPONSES, "good", true).token("a-stranger").send().await;
        assert_eq!(stranger.status, 401, "a stranger learns nothing about the key");
        assert!(proxy.fake.requests().is_empty());
        let logs = proxy.finish().await;
        let outcome = logs.0.iter().map(Logged::outcome).find(|o| o.contains("internal"));
        let expected = format!("proxy proxy proxy_internal {detail} complete");
        assert_eq!(outcome, Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_lives_on_a_secret_and_a_table() {
    let Some(moto) = Moto::start() else { return };
    let fake = benches::upstream::FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let logs = folder.path().to_str().expect("a path of text");
    let mut command = codex_proxy(&["serve", "--listen", "127.0.0.1:0", "--logs", logs]);
    lead(command.env("OPENAI_API_KEY_SECRET", SECRET), moto.url());
    let output = run(command, "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("cannot read secret `codex-proxy/openai-key` in eu-central-1"), "{said}");
    assert!(said.contains("hint: ") && said.contains("create-secret"), "{said}");

    put(&moto, SECRET, &format!(r#"{{"OPENAI_API_KEY":"{NEW_KEY}"}}"#)).await;
    moto.table("team-tokens").await;
    let row = [("token", "canary-of-old"), ("developer", "dev-01"), ("enabled", "true")];
    moto.row("team-tokens", &row).await;
    let table = std::path::Path::new("dynamodb://team-tokens");
    let server = Server::start(&fake.url(), table, logs, |command| {
        // The secret goes before the variable that this harness sets.
        lead(command.args(["--openai-key-secret", SECRET]), moto.url());
    })
    .await;
    let answer = server.ask("POST", RESPONSES, "canary-of-old").json(&turn(true)).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(fake.requests()[0].headers["authorization"], format!("Bearer {NEW_KEY}"));
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(0));
    assert!(said.contains("tokens in DynamoDB table team-tokens (eu-central-1)"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_key_in_the_place_of_a_secrets_name_is_refused_and_not_repeated() {
    let mut command = codex_proxy(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("OPENAI_API_KEY_SECRET", KEY);
    let output = run(command, "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("not a secret's name"), "{said}");
    assert!(!said.contains(KEY), "{said}");
    let mut help = codex_proxy(&["serve", "--help"]);
    help.env("OPENAI_API_KEY_SECRET", KEY);
    assert!(!String::from_utf8_lossy(&run(help, "").stdout).contains(KEY));
}

#[tokio::test]
async fn the_key_goes_to_the_configured_host_whatever_the_request_looks_like() {
    let elsewhere = benches::upstream::FakeOpenAi::start().await.expect("a free loopback port");
    let proxy = Setup::new().start().await;
    let host = elsewhere.url().replace("http://", "");
    let token = &proxy.token;
    let mut answers = Vec::new();
    for (target, more) in [
        ("/v1/models", format!("host: {host}\r\n")),
        (
            "/v1/models",
            format!("host: x\r\nx-forwarded-host: {host}\r\nforwarded: host={host}\r\n"),
        ),
        (
            "/v1/models?url=http://elsewhere",
            format!("host: x\r\nx-original-url: http://{host}/\r\n"),
        ),
        (&format!("http://{host}/v1/models"), format!("host: {host}\r\n")),
        (&format!("//{host}/v1/models"), "host: x\r\n".to_owned()),
        (&format!("/@{host}/v1/models"), "host: x\r\n".to_owned()),
        (&format!("/v1/..//{host}/"), "host: x\r\n".to_owned()),
    ] {
        let mut wire = Wire::connect(proxy.address).await;
        wire.send(format!(
            "GET {target} HTTP/1.1\r\n{more}authorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        ))
        .await;
        answers.push(wire.read_to_end().await[..12].to_owned());
    }
    assert!(elsewhere.requests().is_empty(), "{answers:?}");
    assert!(seen(&proxy).iter().all(|key| key == KEY));
    assert_eq!(proxy.finish().await.0.len(), 7);
}

/// A source whose key was just replaced.
struct Replaced;

impl KeySource for Replaced {
    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn current(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>> {
        Box::pin(ready(Ok(OpenAiKey::parse(NEW_KEY).expect("a good key"))))
    }

    fn refused(&self, _: &OpenAiKey) {}

    fn known(&self) -> Vec<Secret> {
        vec![Secret::new(NEW_KEY), Secret::new(KEY)]
    }
}

#[tokio::test]
async fn the_old_and_the_new_key_are_masked_also_in_what_is_refused() {
    let proxy = Setup::new().openai_key(Replaced).log_request_body().start().await;
    let target = format!("/v1/responses?old={KEY}&new={NEW_KEY}");
    let ask = |body: String| proxy.ask("POST", &target).body(body);
    ask(format!("{KEY} {NEW_KEY}")).named("passed").send().await;
    ask(format!("{KEY} {NEW_KEY}")).named("refused").token("a-stranger").send().await;
    let logs = proxy.finish().await;
    for name in ["passed", "refused"] {
        let logged = logs.named(name);
        assert!(!logged.text().contains("sk-canary"), "{name}: {}", logged.text());
        assert!(logged.record.redacted && logged.text().contains("[redacted]"), "{name}");
    }
}
