//! One sentence, several culprits: the logs tell them apart.

use benches::corpus::Object;
use schemas::origin::{Ending, Origin};
use schemas::record::{LogRecord, LoggedError};

use crate::common::{Folder, object, server_error};

const SENTENCE: &str =
    "stream disconnected before completion: stream closed before response.completed";
const WINDOW: [&str; 4] = ["--since", "2026-11-22T01:00:00Z", "--until", "2026-11-22T03:00:00Z"];

/// Who ended a stream.
#[derive(Clone, Copy)]
enum Culprit {
    ErrorEvent,
    UpstreamCut,
    Client,
    Deadline,
}

const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"half an\"}\n\n";

fn record(number: u32, culprit: Culprit) -> LogRecord {
    let (origin, code, message, detail, ending, tail) = match culprit {
        Culprit::ErrorEvent => (
            Origin::Openai,
            "server_error",
            "The model is overloaded.",
            Some("error"),
            Ending::Complete,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"The model is overloaded.\"}\n\n",
        ),
        Culprit::UpstreamCut => (
            Origin::Openai,
            "upstream_cut",
            "OpenAI's answer ended before it was complete",
            Some("http_response_incomplete"),
            Ending::UpstreamCut,
            "",
        ),
        Culprit::Client => (
            Origin::Client,
            "client_closed",
            "the client closed the connection before the answer was complete",
            None,
            Ending::ClientClosed,
            "",
        ),
        Culprit::Deadline => (
            Origin::Aws,
            "deadline",
            "Lambda's time limit ended the answer before it was complete",
            None,
            Ending::Deadline,
            "",
        ),
    };
    let error = LoggedError {
        origin,
        code: code.to_owned(),
        kind: None,
        message: message.to_owned(),
        detail: detail.map(str::to_owned),
    };
    LogRecord {
        status: 200,
        error: Some(error),
        ending,
        response_body: format!("{DELTA}{tail}"),
        ..server_error(number, &format!("2026-11-22T02:00:{number:02}.000Z"))
    }
}

fn folder(culprits: &[Culprit]) -> Folder {
    let objects: Vec<Object> =
        (0..).zip(culprits).map(|(number, culprit)| object(&record(number, *culprit))).collect();
    Folder::of(&objects)
}

fn ask(culprits: &[Culprit]) -> serde_json::Value {
    let arguments = [&[SENTENCE], &WINDOW[..]].concat();
    let answer = folder(culprits).ask(&arguments);
    assert!(answer.code < 2, "{answer:?}");
    answer.json()
}

#[test]
fn each_culprit_alone_is_named_with_certainty_but_for_somebodys_hanging_up() {
    for (culprit, origin, code, confidence) in [
        (Culprit::ErrorEvent, "openai", "server_error", "certain"),
        (Culprit::UpstreamCut, "openai", "upstream_cut", "certain"),
        // Whoever hangs up sees no error, so without a name it may be another developer.
        (Culprit::Client, "client", "client_closed", "likely"),
        (Culprit::Deadline, "aws", "deadline", "certain"),
    ] {
        let json = ask(&[culprit; 3]);
        assert_eq!(json["author"], "client", "{code}: Codex wrote these words");
        assert_eq!(json["verdict"]["origin"], origin, "{code}");
        assert_eq!(json["verdict"]["confidence"], confidence, "{code}");
        assert_eq!(json["matches"][0]["code"], code);
        assert_eq!(json["counts"], serde_json::json!({origin: 3}), "{code}");
    }
}

#[test]
fn a_mixture_is_no_certainty_and_names_the_others() {
    let json = ask(&[Culprit::Client, Culprit::Deadline, Culprit::Deadline, Culprit::Deadline]);
    assert_eq!(json["verdict"]["origin"], "aws");
    assert_eq!(json["verdict"]["confidence"], "likely");
    assert!(json["verdict"]["other"].as_str().is_some_and(|other| other.contains("client 1")));
    assert_eq!(json["counts"], serde_json::json!({"aws": 3, "client": 1}));
}

#[test]
fn as_many_of_one_as_of_the_other_is_an_open_question() {
    let culprits = [Culprit::Client, Culprit::UpstreamCut];
    let json = ask(&culprits);
    assert_eq!(json["verdict"]["origin"], "unknown");
    // A session or an id leads to the one exchange.
    let id = record(0, Culprit::Client).exchange_id;
    let json = folder(&culprits)
        .ask(&[&[&format!("{SENTENCE}, request id: {id}")[..]], &WINDOW[..]].concat());
    let json = json.ends(0).json();
    assert_eq!(json["verdict"]["origin"], "client");
    assert_eq!(json["verdict"]["confidence"], "certain");
}

/// An exchange of dev-17's at this minute, with this token; refused or answered.
fn with_token(number: u32, token_id: &str, refused: bool) -> Object {
    let mut record = server_error(number, &format!("2026-11-22T02:{number:02}:00.000Z"));
    record.token_id = Some(token_id.to_owned());
    record.status = if refused { 401 } else { 200 };
    record.error = refused.then(|| LoggedError {
        origin: Origin::Proxy,
        code: "proxy_invalid_token".to_owned(),
        kind: Some("proxy_error".to_owned()),
        message: "invalid or disabled token".to_owned(),
        detail: None,
    });
    object(&record)
}

#[test]
fn a_refused_token_is_told_from_the_new_one_of_the_same_developer() {
    let (old, new) = ("3fa9c1d2e4b5a697", "b71e047700112233");
    let folder = Folder::of(&[
        with_token(1, old, false),
        with_token(10, old, true),
        with_token(11, old, true),
        with_token(12, new, false),
    ]);
    let text = "unexpected status 401 Unauthorized: invalid or disabled token";
    let ask = |more: &[&str]| {
        let arguments = [&[text], more, &WINDOW[..]].concat();
        folder.ask(&arguments).ends(0).json()["verdict"].clone()
    };
    // Keys tell that it was accepted before; whose other tokens are, only a log tells.
    let verdict = ask(&[]);
    assert_eq!((&verdict["origin"], &verdict["confidence"]), (&"proxy".into(), &"certain".into()));
    let proof = verdict["proof"].to_string();
    assert!(
        proof.contains("2 refusals read since 22 Nov 02:10 UTC, all token 3fa9c1d2"),
        "{proof}"
    );
    assert!(proof.contains("it was accepted once, last 22 Nov 02:01 UTC"), "{proof}");
    assert!(proof.contains("no use of another token of dev-17's"), "{proof}");
    let proof = ask(&["--developer", "dev-17"])["proof"].to_string();
    assert!(proof.contains("dev-17's other token b71e0477: accepted once"), "{proof}");
}

/// A record of that kind, which ended at a moment after so many seconds.
fn ended(number: u32, culprit: Culprit, at: &str, seconds: f64) -> LogRecord {
    LogRecord {
        duration_ms: seconds * 1e3,
        started_at: server_error(number, at).started_at,
        ..record(number, culprit)
    }
}

#[test]
fn the_text_s_own_moment_chooses_among_the_culprits() {
    let objects = [
        object(&ended(1, Culprit::Deadline, "2026-11-22T02:14:05.000Z", 895.0)),
        object(&ended(2, Culprit::UpstreamCut, "2026-11-22T01:20:00.000Z", 41.0)),
        object(&ended(3, Culprit::UpstreamCut, "2026-11-22T01:22:00.000Z", 41.0)),
        object(&ended(4, Culprit::UpstreamCut, "2026-11-22T01:24:00.000Z", 41.0)),
    ];
    let folder = Folder::of(&objects);
    let ask = |text: &str| {
        let json = folder.ask(&[&[text][..], &WINDOW].concat()).json();
        let verdict = &json["verdict"];
        let word = |name: &str| verdict[name].as_str().unwrap_or("-").to_owned();
        (word("origin"), word("confidence"), json["counts"].clone())
    };
    let timed = format!("2026-11-22T02:29:01.220Z ERROR codex_core: {SENTENCE}");
    let (origin, confidence, counts) = ask(&timed);
    assert_eq!((&*origin, &*confidence), ("aws", "certain"), "{counts}");
    assert_eq!(counts["aws"], 1, "what failed at other times is not meant: {counts}");
    let (origin, ..) = ask(SENTENCE);
    assert_eq!(origin, "openai", "without a time the most count");
    let other = format!("2026-11-22T02:50:00.000Z ERROR codex_core: {SENTENCE}");
    let (_, confidence, counts) = ask(&other);
    assert_ne!(confidence, "certain", "none is of that time: {counts}");
}
