//! What an answer of `analyzer origin` says when all is well: to people, in Markdown, and of turns.

use serde_json::json;

use crate::common::{Folder, analyzer, object, run, server_error};
use crate::origin::{server_errors, with_window};

#[test]
fn text_for_people_ends_alike() {
    let folder = Folder::of(&server_errors(3));
    let source = folder.path().to_str().expect("text");
    let asked = |arguments: &[&str]| {
        let arguments =
            [&["origin", "temporary errors", "--source", source][..], arguments].concat();
        run(analyzer(&with_window(&arguments)), "")
    };
    let answer = asked(&[]).ends(0);
    assert!(answer.stdout.starts_with("openai, certain"), "{answer:?}");
    assert!(answer.stdout.lines().count() <= 12 && answer.stderr.is_empty(), "{answer:?}");
    let listed = asked(&["--list"]).ends(0);
    assert!(listed.stdout.contains("req_0000000000000002"), "{listed:?}");
}

/// Two developers, of whom one tried a turn three times and got an answer in the end.
fn turns() -> Folder {
    let mut objects = Vec::new();
    for (number, developer, turn, failed) in [
        (1, "dev-17", "a", true),
        (2, "dev-17", "a", true),
        (3, "dev-17", "a", false),
        (4, "dev-04", "b", true),
    ] {
        let mut record = server_error(number, &format!("2026-11-22T02:00:{number:02}.000Z"));
        record.developer = Some(developer.to_owned());
        record.client.session_id = Some(format!("session of {developer}"));
        record.client.turn_id = Some(turn.to_owned());
        if !failed {
            record.error = None;
            record.status = 200;
            "data: [DONE]\n\n".clone_into(&mut record.response_body);
        }
        objects.push(object(&record));
    }
    Folder::of(&objects)
}

#[test]
fn turns_are_counted_and_not_their_tries() {
    let folder = turns();
    let json = folder.ask(&with_window(&["temporary errors"])).ends(0).json();
    assert_eq!((&json["turns"], &json["tries"]), (&json!(2), &json!(3)));
    assert_eq!(json["turns_recovered"], 0, "no success was read");
    let hers = folder.ask(&with_window(&["temporary errors", "--developer", "dev-17"])).ends(0);
    let hers = hers.json();
    assert_eq!((&hers["turns"], &hers["tries"]), (&json!(1), &json!(2)));
    assert_eq!(hers["turns_recovered"], 1);
}

#[test]
fn an_id_leads_to_one_exchange_and_hurts_nobody_else() {
    let folder = turns();
    let id = format!("cpx_01a200ea080c7b3e9f1c2d4a{:08x}", 4);
    let text = format!("unexpected status 500 Internal Server Error: x, request id: {id}");
    let json = folder.ask(&with_window(&[&text])).ends(0).json();
    assert_eq!((&json["developers"], &json["turns"]), (&json!(["dev-04"]), &json!(1)));
    assert_eq!(json["ids"], json!([{"id": id, "found": true}]));
    let missing = text.replace("00000004", "00000009");
    let json = folder.ask(&with_window(&[&missing])).json();
    assert_eq!(json["ids"][0]["found"], false);
    assert_ne!(json["verdict"]["confidence"], "certain");
    let proof = json["verdict"]["proof"].to_string();
    assert!(proof.contains("stands in none of the"), "{proof}");
}

#[test]
fn markdown_says_what_the_text_says() {
    let folder = turns();
    let source = folder.path().to_str().expect("text").to_owned();
    let asked = |more: &[&str]| {
        let arguments = [&["origin", "temporary errors", "--source", &source][..], more].concat();
        run(analyzer(&with_window(&arguments)), "").ends(0).stdout
    };
    let page = asked(&["-o", "markdown"]);
    assert!(page.starts_with("**openai, certain**: OpenAI answered HTTP 500"), "{page}");
    assert!(page.contains("- **hurt**: 2 developers, 2 turns (3 tries), gpt-5.5\n"), "{page}");
    let table = asked(&["-o", "markdown", "--list"]);
    assert!(
        table.contains("| 500 | openai | server\\_error |")
            || table.contains("| 500 | openai | server_error |"),
        "{table}"
    );
}

#[test]
fn a_developer_of_whom_no_log_is_seems_not_to_reach_this_proxy() {
    let mut objects = server_errors(0);
    for number in 0..250 {
        let mut record = server_error(
            number,
            &format!("2026-11-22T02:{:02}:{:02}.000Z", number / 60 + 10, number % 60),
        );
        (record.status, record.error) = (200, None);
        let (name, token) = if number % 2 == 0 { ("anna", "a") } else { ("dev-16", "b") };
        record.developer = Some(name.to_owned());
        record.token_id = Some(token.repeat(16));
        objects.push(object(&record));
    }
    let folder = Folder::of(&objects);
    let ask = |more: &[&str]| {
        let asked = [&["high demand, which may cause temporary errors"], more].concat();
        folder.ask(&with_window(&asked)).json()["verdict"].clone()
    };
    let absent = ask(&["--developer", "zoe", "--all"]);
    assert_eq!(absent["origin"], "client", "{absent}");
    assert!(
        absent["why"]
            .as_str()
            .is_some_and(|why| why.contains("zoe's Codex does not seem to reach"))
    );
    assert_eq!(ask(&["--developer", "dev-17", "--all"])["origin"], "client", "another number");
    let by_tokens = ask(&["--developer", "zoe"]);
    assert_eq!(by_tokens["origin"], "client", "a log of each token tells: {by_tokens}");
    let unread = ask(&["--developer", "zoe", "--max", "1"]);
    assert_eq!(unread["origin"], "unknown", "a token is anybody's: {unread}");
    let here = ask(&["--developer", "anna", "--session", "nope"]);
    assert_eq!(here["origin"], "unknown", "{here}");
    assert!(here.to_string().contains("anna's last exchange here"), "{here}");
}

#[test]
fn whoever_is_not_here_now_was_last_here_before() {
    let mut objects = Vec::new();
    for (number, name, token, at, status) in [
        (1, "anna", "a", "2026-11-22T02:20:00.000Z", 200),
        (2, "zoe", "c", "2026-11-20T18:04:00.000Z", 200),
        (3, "zoe", "c", "2026-11-19T18:04:00.000Z", 503),
        (4, "anna", "a", "2026-11-21T18:04:00.000Z", 200),
    ] {
        let mut record = server_error(number, at);
        record.developer = Some(name.to_owned());
        record.token_id = Some(token.repeat(16));
        if status == 200 {
            (record.status, record.error) = (200, None);
        }
        objects.push(object(&record));
    }
    let folder = Folder::of(&objects);
    let asked = ["high demand, which may cause temporary errors", "--developer", "zoe"];
    let verdict = folder.ask(&with_window(&asked)).json()["verdict"].clone();
    assert_eq!(verdict["origin"], "client", "{verdict}");
    let proof = verdict["proof"].to_string();
    assert!(proof.contains("zoe's last exchange here: 20 Nov 18:04:00 UTC, 200"), "{proof}");
}

#[test]
fn a_stream_that_broke_within_the_window_counts_though_it_began_before_it() {
    // Each is a stream that was cut.
    let stream = |number, at: &str, seconds: f64| {
        let mut record = server_error(number, at);
        record.status = 200;
        record.duration_ms = seconds * 1e3;
        record.ending = schemas::origin::Ending::Deadline;
        if let Some(error) = &mut record.error {
            error.origin = schemas::origin::Origin::Aws;
            "deadline".clone_into(&mut error.code);
            error.message.clear();
        }
        "data: {}\n\n".clone_into(&mut record.response_body);
        object(&record)
    };
    let since = ["--since", "2026-11-22T02:10:00Z", "--until", "2026-11-22T02:40:00Z"];
    let text = "stream disconnected before completion: stream closed before response.completed";
    let count = |objects: &[_]| {
        let json = Folder::of(objects).ask(&[&[text][..], &since].concat()).json();
        (json["counts"]["aws"].as_u64().unwrap_or(0), json["scanned"]["listed"].as_u64())
    };
    let across = stream(1, "2026-11-22T01:56:00.000Z", 895.0);
    let within = stream(2, "2026-11-22T02:15:00.000Z", 895.0);
    let before = stream(3, "2026-11-22T01:56:30.000Z", 60.0);
    assert_eq!(count(&[across.clone(), within.clone(), before.clone()]), (2, Some(1)));
    assert_eq!(count(&[before]), (0, Some(0)));
}
