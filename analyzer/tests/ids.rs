//! Ids in a text, whichever they are, lead straight to what has them.

use benches::corpus::Object;
use schemas::record::LogRecord;
use serde_json::json;

use crate::common::{Answer, Bucket, Folder, analyzer, object, run, server_error};
use crate::origin::with_window;

const SESSION: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";
const TURN: &str = "0199a213-81c0-7800-8aa1-bbab2a035a54";

/// A failure under an id as the proxy makes it: the first 48 bits are the time.
fn failure(number: u32, time: &str) -> LogRecord {
    let mut record = server_error(number, time);
    record.exchange_id = its_id(number, time);
    record
}

fn its_id(number: u32, time: &str) -> String {
    let ms = time.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    format!("cpx_{ms:012x}7b3e9f1c2d4a{number:08x}")
}

fn second(number: u32) -> String {
    format!("2026-11-22T02:00:{number:02}.000Z")
}

/// Twelve failures, of which five are of one session, and two of these of one turn.
fn session() -> Vec<Object> {
    let of_one = |number: u32| {
        let mut record = failure(number, &second(number));
        if number < 5 {
            record.client.session_id = Some(SESSION.to_owned());
            record.client.turn_id = Some(if number < 2 { TURN } else { "another" }.to_owned());
        }
        object(&record)
    };
    (0..12).map(of_one).collect()
}

#[test]
fn a_session_or_a_turn_by_itself_means_its_failures() {
    let folder = Folder::of(&session());
    for (text, failures) in [
        (format!("session id: {SESSION}"), 5),
        (format!("To continue this session, run codex resume {SESSION}"), 5),
        (SESSION.to_owned(), 5),
        (format!("turn_id={TURN}"), 2),
        (TURN.to_owned(), 2),
    ] {
        let json = folder.ask(&with_window(&[&text])).ends(0).json();
        assert_eq!(json["verdict"]["origin"], "openai", "{text}: {json:#}");
        assert_eq!(json["verdict"]["confidence"], "certain", "{text}");
        assert_eq!(json["counts"], json!({"openai": failures}), "{text}: {json:#}");
    }
    let nobody = SESSION.replace("0199", "ffff");
    let json = folder.ask(&with_window(&[&format!("session id: {nobody}")])).ends(1).json();
    assert_eq!(json["verdict"]["origin"], "unknown");
    assert!(json["verdict"]["proof"].to_string().contains(&nobody), "{json:#}");
}

#[test]
fn a_session_beside_words_still_narrows_and_does_not_replace_them() {
    let folder = Folder::of(&session());
    let text = format!("session id: {SESSION}\nERROR: invalid or disabled token");
    let json = folder.ask(&with_window(&[&text])).json();
    assert_eq!(json["verdict"]["origin"], "proxy", "{json:#}");
    assert_eq!(json["counts"], json!({}));
}

#[test]
fn an_exchange_of_any_time_is_found_and_nothing_else_is_read() {
    // The window is an hour of another day.
    let ask = |bucket: &Bucket, text: &str| {
        let since = ["--since", "2026-11-24T01:00:00Z", "--until", "2026-11-24T02:00:00Z"];
        bucket.command(&[&[text][..], &since].concat())
    };
    let run = |command: std::process::Command| -> Answer { run(command, "") };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bucket = runtime.block_on(Bucket::of(&session()));
    let id = its_id(3, &second(3));
    for text in [
        format!("request id: {id}"),
        id.clone(),
        format!(
            "unexpected status 500 Internal Server Error: The server had an error, request id: {id}"
        ),
    ] {
        let before = bucket.0.counts().get;
        let json = run(ask(&bucket, &text)).ends(0).json();
        assert_eq!(json["verdict"]["origin"], "openai", "{text}: {json:#}");
        assert_eq!(json["verdict"]["confidence"], "certain", "{text}");
        assert_eq!(json["ids"], json!([{"id": id, "found": true}]));
        assert_eq!(bucket.0.counts().get - before, 1, "one log: {text}");
        let proof = json["verdict"]["proof"][0].as_str().unwrap_or_default().to_owned();
        assert!(proof.contains("22 Nov 2026 02:00:03 UTC"), "{proof}");
        assert!(json["window"]["since"].as_str().is_some_and(|at| at.starts_with("2026-11-22T01")));
    }
    let nowhere = its_id(77, &second(3));
    let json = run(ask(&bucket, &format!("request id: {nowhere}"))).ends(1).json();
    assert_eq!(json["ids"][0]["found"], false);
    assert!(json["window"]["since"].as_str().is_some_and(|at| at.starts_with("2026-11-24")));
}

#[test]
fn an_exchange_under_a_key_that_tells_nothing_is_found_by_its_hour() {
    let folder = Folder::of(&session());
    let hidden = failure(40, &second(40));
    let object = object(&hidden);
    folder.put("logs/2026/11/22/02/renamed.json.zst", &object.bytes);
    let since = ["--since", "2026-11-24T01:00:00Z", "--until", "2026-11-24T02:00:00Z"];
    let text = format!("request id: {}", hidden.exchange_id);
    let json = folder.ask(&[&[text.as_str()][..], &since].concat()).ends(0).json();
    assert_eq!(json["ids"][0]["found"], true, "{json:#}");
    assert_eq!(json["scanned"]["read"], 1, "{json:#}");
}

#[test]
fn show_sends_a_session_to_a_command_that_works() {
    let folder = Folder::of(&session());
    let source = folder.path().to_str().expect("text").to_owned();
    let since = ["--since", "2026-11-22T01:00:00Z"];
    let show = [&["show", SESSION, "--source", &source][..], &since].concat();
    let answer = run(analyzer(&show), "").ends(1);
    let hint = format!("analyzer origin \"session id: {SESSION}\" --source '{source}'");
    assert!(answer.stderr.contains(&hint), "{answer:?}");
    // What it says, said.
    let text = format!("session id: {SESSION}");
    let origin = [&["origin", &text, "--source", &source][..], &since].concat();
    assert!(run(analyzer(&origin), "").ends(0).stdout.starts_with("openai"));
}
