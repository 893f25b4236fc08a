//! The answer as labelled lines: what text and Markdown have in common.
//!
//! The verdict stands first, labels are fixed, empty ones are dropped, and what says the least goes
//! when there are more lines than a screen should show.

use jiff::Timestamp;
use schemas::origin::{Acts, Origin};

use super::Answer;
use crate::aws::Trouble;
use crate::aws::cloudwatch::grouped;
use crate::logs::classify::Exchange;
use crate::verdict::evidence::Evidence;
use crate::verdict::turn::Turns;
use crate::verdict::{About, Confidence};
use crate::window::ago;

/// Lines of an answer, at most.
pub(super) const MOST_LINES: usize = 12;

/// Columns that a line is wrapped at, once; what is longer is cut.
const WIDTH: usize = 110;

/// What could not be seen that is named, each on a line.
const UNSEEN: usize = 4;

/// One line below the verdict.
#[derive(Debug)]
pub(super) struct Line {
    /// What it is about; empty where it goes on with the line above.
    pub(super) label: &'static str,
    /// What it says.
    pub(super) text: String,
    /// Lines of the highest number go first when there are too many.
    rank: u8,
    /// It is the rest of the sentence above.
    is_rest: bool,
}

/// Writes the verdict: its origin, how sure it is, and why.
pub(super) fn headline(answer: &Answer) -> (String, String) {
    let verdict = &answer.verdict;
    let origin = verdict.origin.map_or("unknown", Origin::as_str);
    let sure = match verdict.confidence {
        Confidence::Certain => format!("{origin}, certain"),
        Confidence::Likely => format!("{origin}, likely"),
        Confidence::Unknown => origin.to_owned(),
    };
    (sure, printable(&verdict.why))
}

/// Writes the lines below the verdict.
pub(super) fn lines(answer: &Answer) -> Vec<Line> {
    let verdict = &answer.verdict;
    let mut lines = Vec::new();
    let mut line = |label, text: &str, rank| {
        let (first, rest) = wrapped(text);
        if !first.is_empty() {
            lines.push(Line { label, text: first, rank, is_rest: false });
        }
        lines.extend(rest.map(|text| Line { label: "", text, rank: rank.max(3), is_rest: true }));
    };
    line("acts", &verdict.acts.map_or(String::new(), |acts| who(answer, acts)), 0);
    line("text", &author(answer), 3);
    for (index, proof) in verdict.proof.iter().take(2).enumerate() {
        line(if index == 0 { "proof" } else { "" }, proof, if index == 0 { 0 } else { 2 });
    }
    line("cause", verdict.cause.as_deref().unwrap_or_default(), 1);
    line("other", verdict.other.as_deref().unwrap_or_default(), 1);
    if let Some(evidence) = &answer.evidence {
        match verdict.about {
            About::Matches => {
                line("hurt", &hurt(evidence), 0);
                line("now", &now(answer, evidence), 0);
            }
            About::Named => line("hurt", &hurt_one(evidence.named.first()), 0),
            About::Nothing => {}
        }
    }
    let is_settled = verdict.confidence == Confidence::Certain && !answer.is_partial;
    let unseen = answer.observed.iter().filter(|_| !is_settled);
    let unseen: Vec<_> = unseen.flat_map(|observed| &observed.unseen).take(UNSEEN).collect();
    for (index, unseen) in unseen.iter().enumerate() {
        line(if index == 0 { "unseen" } else { "" }, &unseen.to_string(), 1);
    }
    if let Some(blocked) = &answer.blocked {
        line("unseen", &format!("the logs: {blocked}"), 0);
    }
    let unread = answer.evidence.iter().flat_map(|evidence| &evidence.unread);
    let denied_logs = unread.filter(|unread| unread.denied).count() as u64;
    if denied_logs > 0 {
        let logs = count(denied_logs, "log");
        line("unseen", &format!("s3:GetObject denied: {logs} known by their keys alone"), 1);
    }
    let denied = unseen.iter().any(|unseen| matches!(unseen.trouble, Trouble::Denied(_)));
    if denied || answer.blocked.is_some() || denied_logs > 0 {
        line("fix", "analyzer permissions origin   prints the smallest policy that would", 1);
    }
    let doing = if verdict.origin.is_some() && verdict.say.is_some() { "do" } else { "check" };
    for (index, step) in verdict.next_steps.iter().take(2).enumerate() {
        line(if index == 0 { doing } else { "" }, step, if index == 0 { 0 } else { 4 });
    }
    let say = verdict.say.as_deref().map(|say| format!("\"{say}\""));
    line("say", say.as_deref().unwrap_or_default(), 0);
    line("looked", &looked(answer), 0);
    while lines.len() >= MOST_LINES {
        let least = (0..lines.len()).rev().max_by_key(|&index| lines[index].rank);
        let Some(least) = least else { break };
        let removed = lines.remove(least);
        // What was wrapped is cut after all.
        if removed.is_rest
            && let Some(above) = least.checked_sub(1)
        {
            lines[above].text.push_str(" ...");
        }
    }
    lines
}

fn who(answer: &Answer, acts: Acts) -> String {
    let named = answer.evidence.as_ref().and_then(|evidence| evidence.named.first());
    match acts {
        Acts::Developer => match (answer.verdict.about, answer.evidence.as_ref()) {
            (About::Matches, Some(evidence))
                if evidence.developers.len() == 1 && evidence.nameless_tokens() == 0 =>
            {
                format!("developer ({})", evidence.developers.first().map_or("", String::as_str))
            }
            (About::Named, _) if named.is_some_and(|exchange| exchange.developer.is_some()) => {
                let name = named.and_then(|exchange| exchange.developer.as_deref());
                format!("developer ({})", name.unwrap_or_default())
            }
            _ => words_of(acts).to_owned(),
        },
        _ => words_of(acts).to_owned(),
    }
}

/// Says who has to do something.
pub(super) fn words_of(acts: Acts) -> &'static str {
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
    let explained =
        |explains: &str| answer.verdict.why.trim_end_matches('.') == explains.trim_end_matches('.');
    match (answer.symptom(), answer.recognised.author) {
        (Some(_), _) if said_by_server(answer) > 0 => {
            format!(
                "Codex CLI's wording, and {} answers here say it themselves",
                said_by_server(answer)
            )
        }
        (Some(symptom), _) if !explained(symptom.explains) => symptom.explains.to_owned(),
        (_, Some(Origin::Client)) => "the client's wording".to_owned(),
        (_, Some(author)) => format!("written by {author}"),
        (_, None) => String::new(),
    }
}

/// Counts the matches in which a server said what is otherwise the client's wording.
fn said_by_server(answer: &Answer) -> usize {
    let wanted = &answer.recognised.wanted;
    let is_clients = answer.recognised.author == Some(Origin::Client);
    // What the client quotes is a server's anyway.
    if !is_clients || wanted.words_required {
        return 0;
    }
    let matches = answer.evidence.iter().flat_map(|evidence| &evidence.matches);
    matches.filter(|exchange| wanted.is_said_in(&exchange.searched)).count()
}

/// `12 developers, at least 14 turns (402 tries; 3 got an answer on a later one), gpt-5.5`
fn hurt(evidence: &Evidence) -> String {
    if evidence.total() == 0 {
        return String::new();
    }
    let mut parts = Vec::new();
    let some_unread = evidence.by_key_only > 0 || evidence.left_out > 0 || evidence.is_partial();
    let unread = if some_unread { "at least " } else { "" };
    let tokens = evidence.tokens.len() as u64;
    match (evidence.developers.len() as u64, evidence.nameless_tokens()) {
        (0, 0) => {}
        (0, _) => parts.push(count(tokens, "token")),
        (1, 0) => parts.extend(evidence.developers.iter().cloned()),
        (developers, 0) => parts.push(format!("{unread}{}", count(developers, "developer"))),
        (named, _) => {
            parts.push(format!("{} ({named} of them known by name)", count(tokens, "token")));
        }
    }
    if evidence.turns.hurt > 0 {
        parts.push(format!(
            "{unread}{}{}",
            count(evidence.turns.hurt, "turn"),
            tries(evidence.turns)
        ));
    }
    let models: Vec<_> = evidence.models.iter().take(3).map(|model| printable(model)).collect();
    let more = evidence.models.len().saturating_sub(models.len());
    if !models.is_empty() {
        let more = if more > 0 { format!(" and {more} more models") } else { String::new() };
        parts.push(format!("{}{more}", models.join(", ")));
    }
    parts.join(", ")
}

fn tries(turns: Turns) -> String {
    let tries = (turns.tries > turns.hurt).then(|| count(turns.tries, "try"));
    let recovered = match turns.recovered {
        0 => None,
        1 => Some("1 got an answer on a later try".to_owned()),
        many => Some(format!("{many} got an answer on a later try")),
    };
    let said: Vec<_> = tries.into_iter().chain(recovered).collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) }
}

fn hurt_one(exchange: Option<&Exchange>) -> String {
    let Some(exchange) = exchange.filter(|exchange| exchange.error.is_some()) else {
        return String::new();
    };
    let parts = [exchange.developer.clone(), Some("1 try".to_owned()), exchange.model.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
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
        if answer.blocked.is_some() {
            let at = if answer.observed.is_some() { "the text and CloudWatch" } else { "the text" };
            return format!("at {at} only, {:.1} s", answer.seconds);
        }
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

/// Writes a count and its noun: `1 turn`, `2 turns`, `2 successes`, `2 tries`.
fn count(number: u64, noun: &str) -> String {
    let noun = match noun {
        _ if number == 1 => noun.to_owned(),
        noun if noun.ends_with('s') => format!("{noun}es"),
        noun if noun.ends_with("ry") => format!("{}ies", noun.trim_end_matches('y')),
        noun => format!("{noun}s"),
    };
    format!("{} {noun}", grouped(number))
}

/// Makes a text from a log harmless for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Wraps a sentence once, and cuts what is longer than two lines: words out of a log can be long.
fn wrapped(text: &str) -> (String, Option<String>) {
    let text = printable(text);
    let Some((end, _)) = text.char_indices().nth(WIDTH) else { return (text, None) };
    // A word longer than a line is broken.
    let at = text[..end].rfind(' ').filter(|at| *at > WIDTH / 2).unwrap_or(end);
    let (first, rest) = text.split_at(at);
    (first.to_owned(), Some(cut(rest.trim_start())))
}

pub(super) fn cut(line: &str) -> String {
    let line = printable(line);
    if line.chars().count() <= WIDTH {
        return line;
    }
    let kept: String = line.chars().take(WIDTH - 3).collect();
    format!("{}...", kept.trim_end())
}
