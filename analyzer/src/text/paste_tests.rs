use super::*;

const BODY: &str = "{\n  \"error\": {\n    \"message\": \"Unsupported value\",\n    \"code\": \"invalid_value\"\n  }\n}";

fn last(text: &str) -> String {
    read(text).pieces.pop().expect("a piece").words
}

#[test]
fn every_error_of_a_run_is_a_piece_and_what_the_shell_said_later_another() {
    let run = format!(
        "codex v0.169.0\nuser\nhi\nERROR: Reconnecting... 1/5\nERROR: {BODY}\nERROR: {BODY}\ntokens used\n3"
    );
    let pieces = read(&run).pieces;
    assert_eq!(pieces.len(), 5);
    let found = body_in(&pieces[3].words).expect("a body");
    assert_eq!((found.error.message.as_str(), found.begins), ("Unsupported value", true));
    let tui = "■ first\n\n  ■ We’re currently experiencing\n    high demand";
    assert!(last(tui).starts_with("We’re"));
}

#[test]
fn the_events_of_json_output_are_pieces() {
    let events = [
        r#"{"type":"thread.started","thread_id":"x"}"#.to_owned(),
        r#"{"type":"error","message":"Reconnecting... 1/5 (some fault)"}"#.to_owned(),
        serde_json::json!({"type": "turn.failed", "error": {"message": BODY}}).to_string(),
    ];
    assert_eq!(last(&events.join("\n")), BODY);
    assert_eq!(last(&events[1]), "some fault");
    assert_eq!(last("Reconnecting... 2/5 (a (b) c)"), "a (b) c");
    let logged = r#"{"level":"error","time":1,"a":{"b":"c"},"msg":"stream error: some fault; retrying 1/5 in 200ms…","k":"v"}"#;
    let pieces = read(logged).pieces;
    assert!(pieces.iter().any(|piece| piece.words == "some fault"), "{pieces:?}");
}

#[test]
fn quoting_frames_and_marks_are_taken_off() {
    for text in [
        "> some fault",
        "&gt; some fault",
        "```\nsome fault\n```",
        "`some fault`",
        "│ some fault                │",
        "| some fault |",
        "■ some fault",
        "⚠ some fault",
        "⚠️ stream error: some fault; retrying 1/5 in 200ms…",
        "[2025-09-30T12:00:00] ERROR: some fault",
        "• Reconnecting... 2/5 (4s • esc to interrupt)\n  └ some fault",
    ] {
        assert!(last(text).ends_with("some fault"), "{text}: {:?}", read(text));
    }
}

#[test]
fn the_session_of_a_paste_is_read_wherever_it_stands() {
    let id = "01a20399-4e95-7000-8000-000000000000";
    for text in [
        format!("workdir: x\nsession id: {id}\nERROR: high demand"),
        format!("{{\"type\":\"thread.started\",\"thread_id\":\"{id}\"}}"),
        format!("To continue this session, run codex resume {id}"),
        format!("rollout-2026-11-22T02-41-07-{id}.jsonl"),
        format!("conversation id: {id}"),
    ] {
        assert_eq!(read(&text).session.as_deref(), Some(id), "{text}");
    }
    assert_eq!(read("high demand").session, None);
}

#[test]
fn escaped_bodies_and_dictionaries_are_bodies() {
    for text in [
        r#"unexpected status 404 Not Found: {\"error\":{\"message\":\"some fault\",\"type\":\"t\"}}"#,
        r"Error code: 429 - {'error': {'message': 'some fault', 'type': 't', 'code': None}}",
        "x {\"error\":{\"message\":\"some\n fault\",\"type\":\"t\"}}",
    ] {
        let found = body_in(&last(text)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found.error.message.replace(' ', ""), "somefault");
        assert!(!found.begins);
    }
}
