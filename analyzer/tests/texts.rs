//! Texts as they stand in terminals, chats and logs, and what they must be taken for.
//!
//! `texts/codex-runs.json` holds what real Codex CLIs of four ages printed for scripted answers;
//! `texts/known.json` holds texts written down from documentation, issues and source. Here the text
//! is all there is, so nothing is certain that a server had a part in.

use analyzer::question::{Filters, Question};
use analyzer::text::recognise::recognise;
use analyzer::verdict::judge::judge;
use analyzer::verdict::{Confidence, Verdict};
use analyzer::window::Window;
use jiff::Timestamp;
use proptest::prelude::*;
use schemas::origin::Origin;
use schemas::symptom::catalogue;
use serde::Deserialize;

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "text")]
    words: String,
    /// Whose failure it is; `unknown` where the text cannot tell.
    origin: String,
    /// Who wrote the words, where that is asked for.
    author: Option<String>,
    /// What it is, for whoever reads a failure of the test.
    case: String,
}

const KNOWN: &str = include_str!("texts/known.json");
const RUNS: &str = include_str!("texts/codex-runs.json");

fn texts() -> Vec<Text> {
    let read = |json| serde_json::from_str::<Vec<Text>>(json).expect("texts");
    [read(KNOWN), read(RUNS)].into_iter().flatten().collect()
}

fn verdict(text: &str) -> Verdict {
    let now = Timestamp::from_second(1_763_779_267).expect("in range");
    let question = Question {
        recognised: recognise(text),
        window: Window { since: now, until: now },
        filters: Filters::default(),
        all: false,
        max: None,
        now,
    };
    judge(&question, None)
}

fn name(origin: Option<Origin>) -> &'static str {
    origin.map_or("unknown", Origin::as_str)
}

#[test]
fn every_text_is_taken_for_what_it_is() {
    let mut wrong = Vec::new();
    for known in texts() {
        let verdict = verdict(&known.words);
        let recognised = recognise(&known.words);
        let author = known.author.as_deref().is_none_or(|said| said == name(recognised.author));
        if name(verdict.origin) != known.origin || !author {
            let row = recognised.symptom.map_or("-", |symptom| symptom.id);
            let found = (name(verdict.origin), name(recognised.author), row);
            wrong
                .push(format!("{} {:?}: {found:?}, not {}", known.case, known.words, known.origin));
        }
        let is_local = verdict.origin == Some(Origin::Client);
        assert!(verdict.confidence != Confidence::Certain || is_local, "{}", known.words);
        assert!(!verdict.next_steps.is_empty(), "{}", known.words);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_text_of_the_catalogue_finds_its_own_row() {
    let mut wrong = Vec::new();
    for row in catalogue() {
        for text in row.texts {
            let found = recognise(&filled(text)).symptom.map_or("-", |symptom| symptom.id);
            if found != row.id {
                wrong.push(format!("{}: {text:?} finds {found}", row.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_stands_below_an_error_is_no_part_of_it() {
    let run = "ERROR: Incomplete response returned, reason: max_output_tokens\ntokens used\n32\n";
    assert_eq!(recognise(run).wanted.codes, ["max_output_tokens"]);
}

/// Puts something plain into the places of a text that vary.
fn filled(text: &str) -> String {
    [
        ("{status}", "503"),
        ("{url}", "https://x.lambda-url.eu-central-1.on.aws/v1/responses"),
        ("{id}", "req_0123456789abcdef0123456789abcdef"),
        ("{ray}", "8f0012345678abcd-FRA"),
        ("{message}", "some words of a server"),
        ("{n}", "1000"),
        ("{time}", "2026-11-22T02:41:07Z"),
        ("{model}", "gpt-5.5"),
        ("{host}", "proxy.example"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (place, with)| text.replace(place, with))
}

/// Breaks a text into lines of a width, in the middle of words, as a terminal does.
fn wrapped(text: &str, columns: usize, with: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let lines: Vec<String> = characters.chunks(columns).map(|line| line.iter().collect()).collect();
    lines.join(with)
}

#[test]
fn at_any_width_a_text_is_the_same() {
    let mut wrong = Vec::new();
    for known in texts().iter().filter(|known| !known.words.contains('\n')) {
        let expected = recognise(&known.words).symptom.map(|symptom| symptom.id);
        for columns in [19, 33, 58, 80] {
            for with in ["\n", "\n  ", " │\n│ "] {
                let text = wrapped(&known.words, columns, with);
                let found = recognise(&text).symptom.map(|symptom| symptom.id);
                if found != expected {
                    wrong.push(format!("{columns} {text:?}: {found:?}, not {expected:?}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

#[test]
fn decoration_changes_nothing() {
    let mut wrong = Vec::new();
    for known in texts().iter().filter(|known| !known.words.contains('\n')) {
        let plain = &known.words;
        let expected = verdict(plain).origin;
        for text in [
            format!("\u{1b}[31m{plain}\u{1b}[0m"),
            format!("> {plain}"),
            format!("`{plain}`"),
            format!("```\n{plain}\n```"),
            format!("{plain}\n\n"),
            plain.replace('\'', "\u{2019}"),
            serde_json::json!({"type": "error", "message": plain}).to_string(),
            serde_json::json!({"ts": 1, "level": "error", "k": "v", "x": 2, "msg": plain})
                .to_string(),
        ] {
            let found = verdict(&text).origin;
            if found != expected {
                wrong.push(format!("{text:?}: {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

#[test]
fn a_paste_of_a_megabyte_is_read_as_any_other() {
    let talk = "thinking about why stream closed before response.completed would be printed\n";
    let run =
        format!("{}ERROR: Selected model is at capacity.\n", talk.repeat((1 << 20) / talk.len()));
    assert_eq!(recognise(&run).symptom.map(|symptom| symptom.id), Some("codex_capacity"));
    let line = "x".repeat(1 << 20);
    assert!(recognise(&line).symptom.is_none());
    let braces = "{\"a\":".repeat(1 << 17);
    assert!(recognise(&braces).symptom.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_at_all_makes_it_panic(text in "\\PC{0,200}", bytes: Vec<u8>) {
        let _ = verdict(&text);
        let _ = verdict(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_known_texts_do_not_make_it_panic(
        one in 0..1000_usize, cut in 0..400_usize, with in "[\\\\\"'{}<>\n\u{1b}│■ ]{0,6}"
    ) {
        let all = texts();
        let text = &all[one % all.len()].words;
        let cut = text.floor_char_boundary(cut.min(text.len()));
        let _ = verdict(&format!("{}{with}{}", &text[..cut], &text[cut..]));
        let _ = verdict(&text[cut..]);
    }
}
