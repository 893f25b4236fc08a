//! The reader of server-sent events, on streams as OpenAI sends them and on hostile ones.

use proptest::prelude::*;

use super::*;
use crate::body::read;

const COMPLETED: &str = r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"an \"error\" in \"response.failed\""}

event: response.completed
data: {"type":"response.completed","response":{"id":"r","error":null,"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":2},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":8}}}

"#;

fn terminal(stream: &str) -> Option<Terminal> {
    read(stream.as_bytes()).terminal
}

fn error(code: &str, message: &str) -> BodyError {
    BodyError { code: Some(code.to_owned()), kind: None, message: message.to_owned() }
}

#[test]
fn a_completed_stream_that_talks_of_errors_is_a_success_and_tells_its_usage() {
    let facts = read(COMPLETED.as_bytes());
    assert_eq!(facts.terminal, Some(Terminal::Completed));
    let usage = facts.usage.expect("the last event has it");
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(5), Some(2)));
    assert_eq!((usage.reasoning_tokens, usage.total_tokens), (Some(1), Some(8)));
}

#[test]
fn every_way_to_end_is_told_apart() {
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"sorry\"}}}\n\n";
    assert_eq!(terminal(failed), Some(Terminal::Failed(error("server_error", "sorry"))));
    let failed_without_words = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n";
    assert_eq!(terminal(failed_without_words), Some(Terminal::Failed(BodyError::default())));
    let incomplete = "event: response.incomplete\ndata: {\"response\":{\"incomplete_details\":{\"reason\":\"max_output_tokens\"}}}\n\n";
    assert_eq!(terminal(incomplete), Some(Terminal::Incomplete("max_output_tokens".to_owned())));
    let flat = "event: error\r\ndata: {\"type\":\"error\",\"code\":\"overloaded\",\"message\":\"busy\"}\r\n\r\n";
    assert_eq!(terminal(flat), Some(Terminal::ErrorEvent(error("overloaded", "busy"))));
    let nested =
        "data: {\"type\":\"error\",\"error\":{\"code\":\"overloaded\",\"message\":\"busy\"}}\n\n";
    assert_eq!(terminal(nested), Some(Terminal::ErrorEvent(error("overloaded", "busy"))));
    assert_eq!(terminal("event: response.created\ndata: {}\n\n"), None);
}

#[test]
fn chat_completions_end_with_done_or_a_finish_reason() {
    let chunk = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":null}]}\n\n";
    assert_eq!(terminal(chunk), None);
    assert_eq!(terminal(&format!("{chunk}data: [DONE]\n\n")), Some(Terminal::Completed));
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(terminal(finish), Some(Terminal::Completed));
    let failed = "data: {\"error\":{\"code\":\"overloaded\",\"message\":\"busy\"}}\n\n";
    assert_eq!(terminal(failed), Some(Terminal::ErrorEvent(error("overloaded", "busy"))));
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n";
    assert_eq!(read(usage.as_bytes()).usage.and_then(|u| u.input_tokens), Some(7));
}

#[test]
fn completion_is_final_and_of_failures_the_last_one_counts() {
    let event = |message| {
        format!("event: error\ndata: {{\"type\":\"error\",\"message\":\"{message}\"}}\n\n")
    };
    let failed = "event: response.failed\ndata: {\"response\":{\"error\":{\"message\":\"x\"}}}\n\n";
    let (a, b) = (event("a"), event("b"));
    assert_eq!(terminal(&format!("{a}{COMPLETED}")), Some(Terminal::Completed));
    assert_eq!(terminal(&format!("{COMPLETED}{a}")), Some(Terminal::Completed));
    let words = |stream: String| match terminal(&stream) {
        Some(Terminal::Failed(error) | Terminal::ErrorEvent(error)) => error.message,
        other => format!("{other:?}"),
    };
    assert_eq!(words(format!("{a}{b}")), "b");
    assert_eq!(words(format!("{a}{failed}")), "x");
    assert_eq!(words(format!("{failed}{b}")), "b");
    assert_eq!(words(format!("{failed}{COMPLETED}")), "x");
}

#[test]
fn an_event_that_the_end_of_the_body_cuts_off_before_its_empty_line_still_counts() {
    assert_eq!(terminal(COMPLETED.trim_end()), Some(Terminal::Completed));
}

#[test]
fn a_line_over_the_limit_still_names_its_event() {
    let mut reader = EventReader::default();
    reader.push(b"event: response.completed\ndata: {\"type\":\"response.completed\",\"x\":\"");
    for _ in 0..=EVENT_LIMIT / (1 << 20) {
        reader.push(&vec![b'x'; 1 << 20]);
    }
    reader.push(b"\"}\n\n");
    assert_eq!(reader.finish().0, Some(Terminal::Completed));
}

proptest! {
    #[test]
    fn chunks_make_no_difference(cuts in proptest::collection::vec(0..COMPLETED.len(), 0..40)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let mut reader = EventReader::default();
        let mut from = 0;
        for cut in cuts {
            reader.push(&COMPLETED.as_bytes()[from..cut]);
            from = cut;
        }
        reader.push(&COMPLETED.as_bytes()[from..]);
        let whole = read(COMPLETED.as_bytes());
        prop_assert_eq!(reader.finish(), (whole.terminal, whole.usage));
    }

    #[test]
    fn reading_never_panics(body: Vec<u8>) {
        let _ = read(&body);
        let _ = read(&[b"data: ", &body[..], b"\n\n"].concat());
        let _ = read(&[b"{\"error\":", &body[..], b"}"].concat());
    }
}
