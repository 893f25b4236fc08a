//! Both stores of tokens keep one contract; what only a table has to do: old rows, a cache, a
//! network that may fail.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use proxy::clock::SystemClock;
use proxy::secret::Secret;
use proxy::token::{
    CachedTokens, DynamoDbTokens, LookUpFailed, Owner, RegisterError, StoredAs, TokenFile,
    TokenHash, TokenRegister, TokenRow, TokenStore, generate,
};

use crate::common::aws::{Moto, dynamodb, lead, stub};
use crate::common::child::{codex_proxy, run};
use crate::common::{RESPONSES, Setup, within};

const TABLE: &str = "codex-proxy-tokens";

fn row(token: &str, developer: &str) -> TokenRow {
    TokenRow {
        stored: StoredAs::Hash(TokenHash::of(token)),
        developer: Some(developer.to_owned()),
        enabled: true,
        created_at: Some("2026-11-22T00:00:00Z".to_owned()),
    }
}

async fn look_up(store: &dyn TokenStore, token: &str) -> Result<Option<Owner>, LookUpFailed> {
    store.look_up(&Secret::new(token), TokenHash::of(token)).await
}

/// `developer enabled`, or `nobody`.
async fn owner(store: &dyn TokenStore, token: &str) -> String {
    let owner = look_up(store, token).await.expect("the store answers");
    owner.map_or("nobody".to_owned(), |o| is(&o.developer.unwrap_or_default(), o.enabled))
}

/// The same of an owner that is expected.
fn is(developer: &str, enabled: bool) -> String {
    format!("{developer} {enabled}")
}

/// What any store does.
async fn keeps_the_contract(store: &dyn TokenRegister) {
    assert!(store.rows().await.expect("readable").is_empty());
    store.ready().await.expect("usable");
    assert_eq!(owner(store, "one").await, "nobody");
    for (token, developer) in [("one", "dev-01"), ("two", "dev-01"), ("three", "dev-02")] {
        store.add(row(token, developer)).await.expect("writable");
    }
    let again = store.add(row("one", "dev-03")).await;
    assert!(matches!(again, Err(RegisterError::Exists(_))), "nothing is overwritten");
    assert_eq!(owner(store, "one").await, is("dev-01", true));

    let of = |name: &'static str| move |row: &TokenRow| row.developer.as_deref() == Some(name);
    assert_eq!(store.set_enabled(&of("dev-01"), false).await.expect("writable"), 2);
    assert_eq!(owner(store, "one").await, is("dev-01", false), "still known, for the log");
    assert_eq!(owner(store, "two").await, is("dev-01", false));
    assert_eq!(owner(store, "three").await, is("dev-02", true));
    assert_eq!(store.set_enabled(&of("dev-09"), false).await.expect("writable"), 0);
    assert_eq!(store.set_enabled(&of("dev-01"), true).await.expect("writable"), 2);
    assert_eq!(owner(store, "one").await, is("dev-01", true));

    let mut rows = store.rows().await.expect("readable");
    rows.sort_by_key(|row| (row.developer.clone(), row.token_id()));
    let mut expected =
        [row("one", "dev-01"), row("two", "dev-01"), row("three", "dev-02")].to_vec();
    expected.sort_by_key(|row| (row.developer.clone(), row.token_id()));
    assert_eq!(rows, expected);
    let hash = TokenHash::of("one").to_string();
    assert_eq!(owner(store, &hash).await, "nobody", "a stored hash opens nothing");
}

#[tokio::test]
async fn a_file_keeps_the_contract_of_a_token_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    keeps_the_contract(&TokenFile::new(&folder.path().join("tokens.json"))).await;
}

#[tokio::test]
async fn a_table_keeps_the_contract_of_a_token_store() {
    let Some(moto) = Moto::start() else { return };
    moto.table(TABLE).await;
    keeps_the_contract(&DynamoDbTokens::new(&moto.dynamodb(), TABLE)).await;
}

#[tokio::test]
async fn an_old_plaintext_row_is_honoured_and_of_two_rows_the_disabled_one_wins() {
    let Some(moto) = Moto::start() else { return };
    moto.table(TABLE).await;
    let store = DynamoDbTokens::new(&moto.dynamodb(), TABLE);
    moto.row(TABLE, &[("token", "old"), ("developer", "dev-01"), ("enabled", "true")]).await;
    moto.row(TABLE, &[("token", "off"), ("developer", "dev-02"), ("enabled", "0")]).await;
    moto.row(TABLE, &[("token", "bare"), ("team", "red-team")]).await;
    assert_eq!(owner(&store, "old").await, is("dev-01", true));
    assert_eq!(owner(&store, "off").await, is("dev-02", false));
    assert_eq!(owner(&store, "bare").await, is("", true), "no `enabled` never meant disabled");

    // Somebody rehashed the rows, and disabled one of the two.
    store.add(row("old", "dev-01-new")).await.expect("writable");
    assert_eq!(owner(&store, "old").await, is("dev-01-new", true));
    let is_old = |row: &TokenRow| row.developer.as_deref() == Some("dev-01");
    assert_eq!(store.set_enabled(&is_old, false).await.expect("writable"), 1);
    assert_eq!(owner(&store, "old").await, is("dev-01-new", false));
    store.add(row("off", "dev-02")).await.expect("writable");
    assert_eq!(owner(&store, "off").await, is("dev-02", false));

    let is_bare = |row: &TokenRow| row.developer.is_none();
    assert_eq!(store.set_enabled(&is_bare, false).await.expect("writable"), 1);
    assert_eq!(owner(&store, "bare").await, is("", false));
    let item = moto.dynamodb().get_item().table_name(TABLE);
    let key = aws_sdk_dynamodb::types::AttributeValue::S("bare".to_owned());
    let item = item.key("token", key).send().await.expect("readable").item.expect("a row");
    assert_eq!(item["team"].as_s().map(String::as_str), Ok("red-team"), "the rest is kept");
}

#[tokio::test]
async fn a_token_disabled_in_the_table_stops_within_the_ttl_and_its_owner_is_logged() {
    let Some(moto) = Moto::start() else { return };
    moto.table(TABLE).await;
    moto.row(TABLE, &[("token", "an-old-token"), ("developer", "dev-07")]).await;
    let table = Arc::new(DynamoDbTokens::new(&moto.dynamodb(), TABLE));
    let store = Arc::clone(&table) as Arc<dyn TokenStore>;
    let cached = CachedTokens::with(store, Arc::new(SystemClock), Duration::from_secs(1), 100);
    let proxy = Setup::new().tokens(cached).start().await;
    let ask = || proxy.turn(RESPONSES, "good", true).token("an-old-token");
    assert_eq!(ask().named("first").send().await.status, 200);
    table.set_enabled(&|_| true, false).await.expect("writable");
    within(async { while ask().send().await.status == 200 {} }).await;
    assert_eq!(ask().named("last").send().await.status, 401);
    let logs = proxy.finish().await;
    for name in ["first", "last"] {
        assert_eq!(logs.named(name).record.developer.as_deref(), Some("dev-07"), "{name}");
    }
    assert!(logs.0.iter().all(|logged| !logged.text().contains("an-old-token")));
}

#[tokio::test]
async fn a_table_that_does_not_say_is_a_failed_look_up_and_the_reason_names_no_token() {
    let unprocessed = r#"{"Responses":{},"UnprocessedKeys":{"codex-proxy-tokens":{"Keys":[
        {"token":{"S":"a-canary-token"}}]}}}"#;
    let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException",
        "Message":"no right to look for a-canary-token"}"#;
    for (url, reason) in [
        (stub(200, unprocessed).await, "left keys unprocessed"),
        (stub(400, denied).await, "AccessDeniedException: no right to look for [redacted]"),
        ("http://127.0.0.1:1".to_owned(), "dispatch failure"),
    ] {
        let store = DynamoDbTokens::new(&dynamodb(&url), TABLE);
        let failed = look_up(&store, "a-canary-token").await.expect_err("no answer");
        assert!(failed.0.contains(reason) && !failed.0.contains("canary"), "{failed}");

        let proxy = Setup::new()
            .tokens(CachedTokens::new(Arc::new(store), Arc::new(SystemClock)))
            .start()
            .await;
        let answer = proxy.turn(RESPONSES, "good", true).token("a-canary-token").send().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{reason}");
        assert_eq!(answer.json()["error"]["message"], "token lookup failed");
        let logs = proxy.finish().await;
        assert_eq!(logs.only().outcome(), "proxy proxy proxy_token_lookup_failed - complete");
    }
}

/// Knows everybody, and counts.
#[derive(Default)]
struct Counting(Arc<AtomicUsize>);

impl TokenStore for Counting {
    fn look_up<'a>(
        &'a self,
        _: &'a Secret,
        _: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Some(Owner { developer: None, enabled: true })) })
    }
}

#[tokio::test]
async fn what_can_be_no_token_is_refused_without_a_look_up() {
    let store = Counting::default();
    let asked = Arc::clone(&store.0);
    let proxy = Setup::new().tokens(store).start().await;
    let hash = TokenHash::of("x").to_string();
    let mine = generate().expect("randomness");
    let typo = format!("{}?", &mine.expose()[..39]);
    let long = "x".repeat(513);
    for token in [&hash, &hash.to_uppercase(), "sha256:", "SHA256:x", "two words", &typo, &long] {
        let answer = proxy.turn(RESPONSES, "good", true).token(token).send().await;
        assert_eq!(answer.status, 401, "{token}");
        assert_eq!(answer.json()["error"]["message"], "invalid or disabled token", "{token}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    for token in [mine.expose(), "an-old-token", &"x".repeat(512)] {
        let answer = proxy.turn(RESPONSES, "good", true).token(token).send().await;
        assert_eq!(answer.status, 200, "{token}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    drop(proxy.finish().await);
}

/// Exit code, stdout and stderr of `codex-proxy token … --tokens dynamodb://TABLE`.
fn token(url: &str, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = codex_proxy(&["token", "--tokens", "dynamodb://codex-proxy-tokens"]);
    lead(command.args(arguments), url);
    said(&run(command, input))
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_administers_a_table_and_never_prints_an_old_token() {
    let Some(moto) = Moto::start() else { return };
    let token = |arguments: &[&str], input: &str| token(moto.url(), arguments, input);
    let (code, _, stderr) = token(&["list"], "");
    assert_eq!(code, Some(3), "{stderr}");
    let error = "error: cannot read DynamoDB table `codex-proxy-tokens` in eu-central-1: \
                 ResourceNotFoundException: ";
    assert!(stderr.starts_with(error), "{stderr}");
    assert!(stderr.contains("\nhint: ") && stderr.contains("create-table"), "{stderr}");

    moto.table(TABLE).await;
    assert_eq!(token(&["list"], "").2, "no tokens yet; make one: codex-proxy token add NAME\n");
    let old = "canary-of-old";
    moto.row(TABLE, &[("token", old), ("developer", "dev-01"), ("enabled", "1")]).await;
    moto.row(TABLE, &[("token", "canary two"), ("enabled", "true")]).await;
    let (code, new, stderr) = token(&["add", "dev-01"], "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("kept in DynamoDB table codex-proxy-tokens (eu-central-1)"));
    assert!(stderr.contains("dev-01 has 1 older enabled tokens too"), "{stderr}");

    let (_, list, notes) = token(&["list"], "");
    let id = |token: &str| TokenHash::of(token.trim_end()).token_id();
    let lines: Vec<Vec<_>> = list.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["-", "broken", "enabled", "-"]);
    assert_eq!(lines[2], ["dev-01", &id(old), "enabled", "-", "plaintext"]);
    assert_eq!(lines[3][..3], ["dev-01", &id(&new), "enabled"]);
    assert!(notes.starts_with("1 tokens are stored in plaintext"), "{notes}");

    let check = |input: &str| token(&["check"], input);
    let answer = |token, state| format!("token of dev-01, id {}, {state}\n", id(token));
    assert_eq!(check(&new), (Some(0), answer(&new, "enabled"), String::new()));
    assert_eq!(check(old), (Some(0), answer(old, "enabled"), String::new()));
    let (code, _, stderr) = token(&["disable", "dev-01"], "");
    assert_eq!(code, Some(0));
    assert_eq!(stderr, "2 tokens disabled; a running server obeys within 30 s\n");
    assert_eq!(check(old), (Some(1), answer(old, "disabled"), String::new()));
    assert_eq!(token(&["enable", &id(&new)], "").0, Some(0));
    assert_eq!(check(&new).0, Some(0));
    assert_eq!(check(old).0, Some(1), "only the one that was named");
    assert_eq!(token(&["disable", "dev-77"], "").0, Some(1));
    let (code, stdout, _) = check(&TokenHash::of("x").to_string());
    assert!(code == Some(1) && stdout.contains("a hash, and opens nothing"), "{stdout}");
    assert!(!format!("{list}{notes}").contains("canary"), "{list}{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_used_says_what_to_set() {
    let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException",
        "Message":"User: arn:aws:iam::1:user/x is not authorized"}"#;
    let url = stub(400, denied).await;
    for (arguments, right) in [
        (&["list"][..], "dynamodb:Scan"),
        (&["add", "dev-01"], "dynamodb:PutItem"),
        (&["disable", "dev-01"], "dynamodb:Scan"),
    ] {
        let (code, stdout, stderr) = token(&url, arguments, "");
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{stderr}");
        let hint =
            format!("hint: the role or user needs `{right}` on table `codex-proxy-tokens`\n");
        assert!(stderr.contains("AccessDeniedException: ") && stderr.ends_with(&hint), "{stderr}");
    }
    let bare = |names: &[(&str, &str)]| {
        let mut command = codex_proxy(&["token", "list", "--tokens", "dynamodb://a-table"]);
        let folder = tempfile::tempdir().expect("a temporary folder");
        command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        said(&run(command_with(command, names), ""))
    };
    let (code, _, stderr) = bare(&[]);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("no AWS region is set") && stderr.contains("AWS_REGION"), "{stderr}");
    let (code, _, stderr) = bare(&[("AWS_REGION", "eu-central-1"), ("AWS_ENDPOINT_URL", &url)]);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("credential") && stderr.contains("\n\nhint: sign in as"), "{stderr}");
    assert_eq!(stderr.lines().count(), 3, "{stderr}");

    for place in ["dynamodb://", "dynamodb://a b", "s3://bucket"] {
        let output = run(codex_proxy(&["token", "list", "--tokens", place]), "");
        let (code, _, stderr) = said(&output);
        assert!(code == Some(2) && stderr.contains(place), "{stderr}");
    }
}

fn command_with(
    mut command: std::process::Command,
    names: &[(&str, &str)],
) -> std::process::Command {
    command.envs(names.iter().copied());
    command
}
