//! The command line: tokens, and a server that cannot start.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use benches::upstream::FakeOpenAi;

use crate::common::child::{Server, codex_proxy, run};
use crate::common::site::one_token;
use crate::common::{KEY, RESPONSES, turn};

/// `codex-proxy token …` on the token file of a folder.
fn token(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = codex_proxy(&["token"]);
    command.args(arguments).arg("--tokens").arg(folder.join("tokens.json"));
    said(&run(command, input))
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_new_token_stands_alone_on_stdout_and_only_its_hash_in_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, stdout, stderr) = token(folder.path(), &["add", "dev-01"], "");
    assert_eq!(code, Some(0));
    let new = stdout.strip_suffix('\n').expect("one line");
    assert!(
        new.starts_with("cpt_") && new[4..].bytes().all(|b| b.is_ascii_alphanumeric()),
        "{new}"
    );
    assert_eq!(new.len(), 40);
    assert!(stderr.starts_with("token of dev-01: shown this once, "), "{stderr}");
    assert!(!stderr.contains(new));
    let file = fs::read_to_string(folder.path().join("tokens.json")).expect("a file");
    assert!(!file.contains(new) && file.contains("\"sha256:") && file.contains("\"dev-01\""));

    let (_, other, stderr) = token(folder.path(), &["add", "dev-01"], "");
    assert_ne!(other.trim_end(), new);
    assert!(stderr.contains("dev-01 has 1 older enabled tokens too"), "{stderr}");
}

#[test]
fn a_token_is_listed_checked_disabled_and_enabled() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (_, _, stderr) = token(folder, &["list"], "");
    assert_eq!(stderr, "no tokens yet; make one: codex-proxy token add NAME\n");
    let (_, new, _) = token(folder, &["add", "dev-01"], "");
    let (_, list, _) = token(folder, &["list"], "");
    let (head, row) = list.split_once('\n').expect("a head and a row");
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["developer", "token", "id", "state", "created"]
    );
    let row: Vec<_> = row.split_whitespace().collect();
    let id = row[1];
    assert_eq!((row[0], id.len(), row[2], row.len()), ("dev-01", 16, "enabled", 4));

    let check = || token(folder, &["check"], &new);
    let answer = |state| format!("token of dev-01, id {id}, {state}\n");
    assert_eq!(check(), (Some(0), answer("enabled"), String::new()));
    assert_eq!(token(folder, &["check", "dev-02"], &new).0, Some(1), "not the one that was meant");
    for name in ["dev-01", &id[..8]] {
        let (code, _, stderr) = token(folder, &["disable", name], "");
        assert_eq!(code, Some(0));
        assert_eq!(stderr, "1 tokens disabled; a running server obeys with its next request\n");
        assert_eq!(check(), (Some(1), answer("disabled"), String::new()));
        assert_eq!(token(folder, &["enable", name], "").0, Some(0));
        assert_eq!(check(), (Some(0), answer("enabled"), String::new()));
    }
    let (code, _, stderr) = token(folder, &["disable", "dev-77"], "");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no developer and no token id `dev-77`"), "{stderr}");
}

#[test]
fn a_token_that_was_pasted_badly_is_diagnosed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (_, new, _) = token(folder, &["add", "dev-01"], "");
    let new = new.trim_end();
    for (input, code, out, note) in [
        (format!("{new}\r\n"), 0, "enabled", "white space or a line end around it"),
        (format!(" {new}\n"), 0, "enabled", "white space or a line end around it"),
        (format!("\"{new}\"\n"), 0, "enabled", "quotes around it"),
        (format!("'{new}'\n"), 0, "enabled", "quotes around it"),
        (new[..39].to_owned(), 1, "its checksum is wrong", ""),
        (new.replace("cpt_", "cpt_x"), 1, "its checksum is wrong", ""),
        ("some-stranger\n".to_owned(), 1, "unknown token, id ", ""),
        (String::new(), 2, "", "no token was given"),
    ] {
        let (got, stdout, stderr) = token(folder, &["check"], &input);
        assert_eq!(got, Some(code), "{input:?}");
        assert!(stdout.contains(out), "{input:?}: {stdout}");
        assert!(stderr.contains(note), "{input:?}: {stderr}");
        assert!(!stdout.contains(new) && !stderr.contains(new), "{input:?} is not repeated");
    }
}

#[test]
fn a_name_that_is_none_is_refused_and_a_broken_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["", " dev", "dev\u{7}", &"x".repeat(65)] {
        let (code, stdout, _) = token(folder.path(), &["add", name], "");
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{name:?}");
    }
    let file = folder.path().join("tokens.json");
    fs::write(&file, "not json").expect("writable");
    let (code, stdout, stderr) = token(folder.path(), &["add", "dev-01"], "");
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("is not what `codex-proxy token` writes"), "{stderr}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "not json");
    // Somebody wrote tokens into the file in place of their hashes: they are not repeated.
    fs::write(&file, r#"{"tokens":["cpt_canary_in_the_wrong_place"]}"#).expect("writable");
    let (code, stdout, stderr) = token(folder.path(), &["list"], "");
    assert_eq!(code, Some(3));
    assert!(!format!("{stdout}{stderr}").contains("canary"), "{stderr}");
}

#[tokio::test]
async fn a_running_server_refuses_a_disabled_token_with_its_next_request() {
    let fake = FakeOpenAi::start().await.expect("a free loopback port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, mine) = one_token(folder.path());
    let logs = folder.path().join("root");
    let logs = logs.to_str().expect("a path of text");
    let server = Server::start(&fake.url(), &file, logs, |_| ()).await;
    for (command, status) in [("", 200), ("disable", 401), ("enable", 200)] {
        if !command.is_empty() {
            assert_eq!(token(folder.path(), &[command, "dev-01"], "").0, Some(0));
        }
        let answer = server.ask("POST", RESPONSES, &mine).json(&turn(true)).send().await;
        assert_eq!(answer.status, status, "{command}");
    }
    let (code, said) = server.stop().await;
    assert_eq!(code, Some(0));
    assert!(!said.contains(KEY) && !said.contains(&mine), "no secret on stderr");
}

/// `codex-proxy serve …` that ends by itself: exit code and stderr.
fn serve(arguments: &[&str], key: Option<&str>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = codex_proxy(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(arguments).current_dir(folder.path()).env("HOME", folder.path());
    command.envs(key.map(|key| ("OPENAI_API_KEY", key)));
    let (code, stdout, stderr) = said(&run(command, ""));
    assert_eq!(stdout, "");
    (code, stderr)
}

#[test]
fn a_server_without_a_usable_key_or_upstream_says_what_to_set() {
    for key in [None, Some(""), Some(" \n")] {
        let (code, stderr) = serve(&[], key);
        assert_eq!(code, Some(2));
        assert_eq!(
            stderr,
            "error: the OpenAI key is empty (environment variable OPENAI_API_KEY)\n\nhint: the proxy \
             needs the real OpenAI key: OPENAI_API_KEY=sk-... codex-proxy serve\n"
        );
    }
    let (code, stderr) = serve(&[], Some("sk-canary key"));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("a space") && !stderr.contains("canary"), "{stderr}");
    for upstream in ["api.openai.com", "ftp://x", "https://user@x", "https://x/?q", ""] {
        let (code, stderr) = serve(&["--upstream", upstream], Some(KEY));
        assert_eq!(code, Some(2), "{stderr}");
        // What stands before an `@` may be a password, and a query anything.
        let shown = if upstream.contains('@') { "[redacted]" } else { upstream };
        let shown = shown.trim_end_matches("?q");
        assert!(stderr.contains(&format!("upstream `{shown}`")), "{stderr}");
        assert!(stderr.contains("expected http(s)://HOST[:PORT][/PREFIX]"), "{stderr}");
    }
    assert_eq!(serve(&["--logs", "s3://"], Some(KEY)).0, Some(2));
    assert_eq!(serve(&["--no-such-flag"], Some(KEY)).0, Some(2));
}

const KMS_KEY: &str =
    "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[test]
fn a_setting_that_makes_no_sense_is_refused_with_its_value_its_limit_and_the_next_step() {
    let buckets = "3 to 63 lowercase letters, digits, `.` and `-`";
    let arn = "arn:aws:kms:REGION:ACCOUNT:key/ID";
    for (arguments, value, limit, next) in [
        (&["--idle-timeout", "0"][..], "'0' for '--idle-timeout", "1..=86400", "--help"),
        (&["--connect-timeout", "0"], "'0' for '--connect-timeout", "1..=86400", "--help"),
        (&["--first-byte-timeout", "0"], "'0' for '--first-byte-timeout", "1..=86400", "--help"),
        (&["--idle-timeout", "99999999999"], "'99999999999'", "1..=86400", "--help"),
        (&["--logs", ""], "`` is empty", "expected DIR or s3://BUCKET[/PREFIX]", "--logs"),
        (&["--logs", " "], "` ` is empty", "expected DIR or s3://BUCKET[/PREFIX]", "--logs"),
        (&["--logs", "gs://bucket"], "`gs://bucket`", "expected DIR or s3://", "--logs"),
        (&["--logs", "s3://"], "`s3://` names no bucket", "expected DIR or s3://", "--logs"),
        (&["--logs", "s3:///prefix"], "`s3:///prefix` names no bucket", "s3://", "--logs"),
        (&["--logs", "s3://ab"], "`s3://ab`", buckets, "--logs"),
        (&["--logs", "s3://My-Bucket/x"], "`s3://My-Bucket/x`", buckets, "--logs"),
        (&["--logs", "s3://my_bucket"], "`s3://my_bucket`", buckets, "--logs"),
        (&["--logs", "s3://-bucket"], "`s3://-bucket`", buckets, "--logs"),
        (&["--spool", ""], "'--spool <DIR>'", "a value is required", "--help"),
        (&["--tokens", ""], "token store `` is empty", "FILE or dynamodb://TABLE", "--tokens"),
        (&["--log-kms-key-arn", "my-key", "--logs", "s3://bucket"], "`my-key`", arn, "LOG_KMS"),
        (&["--log-kms-key-arn", KMS_KEY, "--logs", "logs"], "`logs`", "bucket", "LOG_KMS"),
    ] {
        let (code, stderr) = serve(arguments, Some(KEY));
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        for part in [value, limit, next] {
            assert!(stderr.contains(part), "{arguments:?}: `{part}` is not in: {stderr}");
        }
    }
}

#[test]
fn a_server_that_cannot_use_its_place_says_which() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = codex_proxy(&["serve", "--listen", &address, "--tokens", "none.json"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    command.current_dir(folder.path()).env("OPENAI_API_KEY", KEY);
    let (code, _, stderr) = said(&run(command, ""));
    assert_eq!(code, Some(3));
    assert!(stderr.starts_with(&format!("error: cannot listen on {address}: ")), "{stderr}");

    let file = folder.path().join("a-file");
    fs::write(&file, "in the way").expect("writable");
    let below = file.join("logs");
    let below = below.to_str().expect("a path of text");
    let (code, stderr) = serve(&["--logs", below], Some(KEY));
    assert_eq!(code, Some(3));
    assert!(
        stderr.starts_with(&format!("error: cannot write logs to folder `{below}`: ")),
        "{stderr}"
    );

    let (code, stderr) = serve(&["--tokens", file.to_str().expect("text")], Some(KEY));
    assert_eq!(code, Some(3));
    assert!(stderr.contains("is not what `codex-proxy token` writes"), "{stderr}");
}
