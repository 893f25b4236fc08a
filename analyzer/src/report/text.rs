//! The answer for people: the verdict first, fixed labels, twelve lines at most.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemas::origin::{Acts, Origin};

use super::Answer;
use crate::evidence::Evidence;
use crate::verdict::Confidence;
use crate::window::ago;

/// Columns that a line is cut at.
const WIDTH: usize = 110;

/// Renders the answer.
#[must_use]
pub fn render(answer: &Answer) -> String {
    let verdict = &answer.verdict;
    let origin = verdict.origin.map_or("unknown", Origin::as_str);
    let mut lines = vec![match verdict.confidence {
        Confidence::Certain => printable(&format!("{origin}, certain: {}", verdict.why)),
        Confidence::Likely => printable(&format!("{origin}, likely: {}", verdict.why)),
        Confidence::Unknown => printable(&format!("{origin}: {}", verdict.why)),
    }];
    let mut line = |label: &str, text: &str| {
        if !text.is_empty() {
            lines.push(printable(&format!("{label:8}{text}")));
        }
    };
    line("acts", verdict.acts.map_or("", acts));
    line("text", &author(answer));
    for (index, proof) in verdict.proof.iter().take(2).enumerate() {
        // Words out of a log can be long; what to do is never cut.
        line(if index == 0 { "proof" } else { "" }, &cut(proof));
    }
    line("other", verdict.other.as_deref().unwrap_or_default());
    if let Some(evidence) = answer.evidence.as_ref().filter(|_| verdict.of_matches) {
        line("hurt", &hurt(evidence));
        line("now", &now(answer, evidence));
    }
    let doing = if verdict.origin.is_some() && verdict.say.is_some() { "do" } else { "check" };
    for (index, step) in verdict.next_steps.iter().take(2).enumerate() {
        line(if index == 0 { doing } else { "" }, step);
    }
    let say = verdict.say.as_deref().map(|say| format!("\"{say}\""));
    line("say", say.as_deref().unwrap_or_default());
    line("looked", &looked(answer));
    lines.join("\n") + "\n"
}

/// Renders the matches, one a line, newest first.
#[must_use]
pub fn render_list(answer: &Answer) -> String {
    let mut list = String::new();
    for exchange in answer.evidence.iter().flat_map(|evidence| &evidence.matches) {
        let Some(error) = &exchange.error else { continue };
        let or = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
        let status = exchange.status.map_or("-".to_owned(), |status| status.to_string());
        let time = exchange.started_at.to_zoned(answer.zone.clone());
        let _ = writeln!(
            list,
            "{}  {status:3}  {:11}  {:24}  {:10}  {:12}  {}  {}",
            time.strftime("%Y-%m-%d %H:%M:%S"),
            error.origin,
            printable(&error.code),
            or(&exchange.developer),
            or(&exchange.model),
            printable(exchange.upstream_request_id.as_deref().unwrap_or(&exchange.exchange_id)),
            cut(&printable(&error.message)),
        );
    }
    list
}

pub(super) fn acts(acts: Acts) -> &'static str {
    match acts {
        Acts::Us => "us",
        Acts::Developer => "the developer",
        Acts::Openai => "nobody here; OpenAI has to recover",
        Acts::Nobody => "nobody",
    }
}

fn author(answer: &Answer) -> String {
    if let Some(code) = answer.recognised.ours {
        return format!("ours, word for word: {}", code.entry().name);
    }
    match (answer.symptom(), answer.recognised.author) {
        (Some(_), _) if said_by_server(answer) > 0 => {
            format!(
                "{}, and {} answers here say it themselves",
                "Codex CLI's wording",
                said_by_server(answer)
            )
        }
        (Some(symptom), _) if answer.verdict.why != symptom.explains => symptom.explains.to_owned(),
        (_, Some(Origin::Client)) => "Codex CLI's wording".to_owned(),
        (_, Some(author)) => format!("written by {author}"),
        (_, None) => String::new(),
    }
}

/// Counts the matches in which a server said what is otherwise the client's wording.
fn said_by_server(answer: &Answer) -> usize {
    let words = &answer.recognised.wanted.words;
    let is_clients = answer.recognised.author == Some(Origin::Client);
    let matches = answer.evidence.iter().flat_map(|evidence| &evidence.matches);
    let says = |text: &str| is_clients && !words.is_empty() && text.contains(words);
    matches.filter(|exchange| says(&exchange.searched)).count()
}

fn hurt(evidence: &Evidence) -> String {
    if evidence.total() == 0 {
        return String::new();
    }
    let mut parts = Vec::new();
    let unread = if evidence.by_key_only > 0 { "at least " } else { "" };
    match (evidence.developers.len(), evidence.tokens.len()) {
        (0, 0) => {}
        (0, tokens) => parts.push(count(tokens as u64, "token")),
        (1, tokens) if tokens <= 1 => parts.extend(evidence.developers.iter().cloned()),
        (developers, _) => parts.push(format!("{unread}{}", count(developers as u64, "developer"))),
    }
    if evidence.turns > 0 {
        parts.push(format!("{unread}{}", count(evidence.turns, "turn")));
    }
    let models: Vec<_> = evidence.models.iter().take(3).map(|model| printable(model)).collect();
    let more = evidence.models.len().saturating_sub(models.len());
    if !models.is_empty() {
        let more = if more > 0 { format!(" and {more} more models") } else { String::new() };
        parts.push(format!("{}{more}", models.join(", ")));
    }
    parts.join(", ")
}

fn now(answer: &Answer, evidence: &Evidence) -> String {
    let (Some(first), Some(last)) = (evidence.first_seen, evidence.last_seen) else {
        return String::new();
    };
    let clock = |time: Timestamp| {
        let zoned = time.to_zoned(answer.zone.clone());
        let today = answer.now.to_zoned(answer.zone.clone()).date();
        let format = if zoned.date() == today { "%H:%M:%S" } else { "%d %b %H:%M:%S" };
        zoned.strftime(format).to_string()
    };
    let span = format!("first {}, last {}", clock(first), clock(last));
    let (failed, all) = evidence.recent;
    if answer.is_ongoing() {
        let share = if all > 0 {
            format!(": {}% of the exchanges of the last 5 min", (failed * 100 / all.max(failed)))
        } else {
            String::new()
        };
        return format!("ongoing{share}; {span}");
    }
    let since = match evidence.since_then {
        0 => String::new(),
        successes => format!("; {} since", count(successes, "success")),
    };
    format!("none for {}{since}; {span}", ago(last, answer.looked_at().until))
}

fn looked(answer: &Answer) -> String {
    let Some(evidence) = &answer.evidence else {
        return "at the text only; with --source DIR or s3://BUCKET the logs decide".to_owned();
    };
    let mut parts = vec![
        answer.looked_at().describe(&answer.zone),
        format!("{} logs", grouped(evidence.listed)),
        format!("{} read", grouped(evidence.read)),
    ];
    if evidence.left_out > 0 {
        parts.push(format!("{} left out by --max", grouped(evidence.left_out)));
    }
    parts.push(format!("{} unreadable", grouped(evidence.unread.len() as u64)));
    if evidence.quoted > 0 {
        parts.push(format!("{} that only quote it", count(evidence.quoted, "success")));
    }
    if !evidence.unrecognised.is_empty() {
        parts.push(format!(
            "{} objects that are no logs",
            grouped(evidence.unrecognised.len() as u64)
        ));
    }
    if evidence.duplicates > 0 {
        parts.push(format!("{} duplicates", grouped(evidence.duplicates)));
    }
    if !evidence.mismatched.is_empty() {
        parts.push(format!(
            "{} keys unlike their record",
            grouped(evidence.mismatched.len() as u64)
        ));
    }
    parts.push(format!("{:.1} s", answer.seconds));
    parts.join(", ")
}

/// Writes a count and its noun: `1 turn`, `2 turns`, `2 successes`.
fn count(number: u64, noun: &str) -> String {
    let ending = match noun {
        _ if number == 1 => "",
        noun if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", grouped(number))
}

/// Writes a number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Makes a text from a log harmless for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn cut(line: &str) -> String {
    let line = printable(line);
    if line.chars().count() <= WIDTH {
        return line;
    }
    let kept: String = line.chars().take(WIDTH - 3).collect();
    format!("{}...", kept.trim_end())
}
