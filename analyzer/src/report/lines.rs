//! The answer as labelled lines: what text and Markdown have in common.
//!
//! The verdict stands first, labels are fixed, empty ones are dropped, and what says the least goes
//! when there are more lines than a screen should show.

use jiff::Timestamp;
use schemas::origin::{Acts, Origin};

use super::Answer;
use super::clock::local;
use super::unseen::{is_denied, unseen};
use crate::logs::classify::Exchange;
use crate::number::{agreeing, count, grouped};
use crate::verdict::evidence::Evidence;
use crate::verdict::turn::Turns;
use crate::verdict::{About, Confidence};
use crate::window::ago;

/// Lines of an answer, at most.
pub(super) const MOST_LINES: usize = 12;

/// Columns that a line is wrapped at.
const WIDTH: usize = 110;

/// Rows of a sentence, at most: words out of a log can be long.
const ROWS: usize = 4;

/// What could not be seen that is named, each on a line.
const UNSEEN: usize = 5;

/// Of these, how many there is room for beside all that must be said.
const DECIDING: usize = 3;

/// One line below the verdict.
#[derive(Debug)]
pub(super) struct Line {
    /// What it is about; empty where it goes on with the line above.
    pub(super) label: &'static str,
    /// What it says, wrapped.
    pub(super) rows: Vec<String>,
    /// Lines of the highest number go first when there are too many.
    rank: u8,
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
    (sure, in_local(answer, &printable(&verdict.why)))
}

/// Writes the lines below the verdict.
pub(super) fn lines(answer: &Answer) -> Vec<Line> {
    let verdict = &answer.verdict;
    let mut lines = Vec::new();
    let mut line = |label, text: &str, rank| {
        if !text.is_empty() {
            lines.push(Line { label, rows: wrapped(text), rank });
        }
    };
    line("acts", &verdict.acts.map_or(String::new(), |acts| who(answer, acts)), 0);
    line("text", &author(answer), 3);
    for (index, proof) in verdict.proof.iter().take(2).enumerate() {
        let proof = in_local(answer, proof);
        line(if index == 0 { "proof" } else { "" }, &proof, if index == 0 { 0 } else { 2 });
    }
    line("cause", &in_local(answer, verdict.cause.as_deref().unwrap_or_default()), 1);
    line("other", &in_local(answer, verdict.other.as_deref().unwrap_or_default()), 1);
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
    for (index, unseen) in unseen(answer).iter().take(UNSEEN).enumerate() {
        line(if index == 0 { "unseen" } else { "" }, unseen, if index < DECIDING { 1 } else { 3 });
    }
    if is_denied(answer) {
        line("fix", "analyzer permissions origin   prints the smallest policy that would", 0);
    }
    let doing = if verdict.origin.is_some() && verdict.say.is_some() { "do" } else { "check" };
    // A command or a sentence to paste is one line, however long.
    let mut whole = |label, text: String, rank| lines.push(Line { label, rows: vec![text], rank });
    for (index, step) in verdict.next_steps.iter().take(2).enumerate() {
        let step = printable(step);
        whole(if index == 0 { doing } else { "" }, step, if index == 0 { 0 } else { 4 });
    }
    if let Some(say) = &verdict.say {
        whole("say", format!("\"{}\"", printable(say)), 0);
    }
    whole("looked", looked(answer), 0);
    fit(&mut lines);
    lines
}

/// Leaves out what says the least until the rest fits; a line goes whole or not at all.
fn fit(lines: &mut Vec<Line>) {
    let has_room =
        |lines: &[Line]| lines.iter().map(|line| line.rows.len()).sum::<usize>() < MOST_LINES;
    while !has_room(lines) {
        // Of equals the last: what says more stands above.
        let least = (0..lines.len()).max_by_key(|&index| lines[index].rank);
        match least.filter(|&index| lines[index].rank > 0) {
            Some(least) => {
                let removed = lines.remove(least);
                // What stood below it goes on with it no more.
                if let Some(next) = lines.get_mut(least).filter(|next| next.label.is_empty()) {
                    next.label = removed.label;
                }
            }
            None => return,
        }
    }
}

/// Times in a sentence as the reader's clock shows them.
fn in_local(answer: &Answer, text: &str) -> String {
    local(text, &answer.zone, answer.looked_at().until)
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
    match (answer.symptom(), answer.author()) {
        (Some(_), _) if said_by_server(answer) > 0 => {
            let said = said_by_server(answer) as u64;
            let say = agreeing(said, "says it itself", "say it themselves");
            format!("Codex CLI's wording, and {} here {say}", count(said, "answer"))
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
    let is_clients = answer.author() == Some(Origin::Client);
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
        let more = if more > 0 {
            format!(" and {more} more {}", agreeing(more as u64, "model", "models"))
        } else {
            String::new()
        };
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
    let parts =
        [exchange.developer.clone(), Some("this exchange".to_owned()), exchange.model.clone()];
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
    let until = answer.looked_at().until;
    let gone = ago(last, until);
    if until < answer.now {
        return format!("none in the last {gone} of the window{since}; {span}");
    }
    format!("none for {gone}{since}; {span}")
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
        count(evidence.listed, "log"),
        format!("{} read", grouped(evidence.read)),
    ];
    if evidence.left_out > 0 {
        parts.push(format!("{} left out by --max", grouped(evidence.left_out)));
    }
    parts.push(format!("{} unreadable", grouped(evidence.unread.len() as u64)));
    if evidence.quoted > 0 {
        parts.push(format!(
            "{} that only {} it",
            count(evidence.quoted, "success"),
            agreeing(evidence.quoted, "quotes", "quote")
        ));
    }
    if !evidence.unrecognised.is_empty() {
        parts.push({
            let number = evidence.unrecognised.len() as u64;
            let are = agreeing(number, "is no log", "are no logs");
            format!("{} that {are}", count(number, "object"))
        });
    }
    if evidence.duplicates > 0 {
        parts.push(count(evidence.duplicates, "duplicate"));
    }
    if !evidence.mismatched.is_empty() {
        parts.push({
            let number = evidence.mismatched.len() as u64;
            format!("{} unlike {} record", count(number, "key"), agreeing(number, "its", "their"))
        });
    }
    parts.push(format!("{:.1} s", answer.seconds));
    parts.join(", ")
}

/// Makes a text from a log harmless for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Wraps a sentence between words; a word longer than a row is broken. What is longer than any sentence
/// of ours is somebody else's, and is cut.
fn wrapped(text: &str) -> Vec<String> {
    let text = printable(text);
    let mut rows = Vec::new();
    let mut left = text.as_str();
    while let Some((end, _)) = left.char_indices().nth(WIDTH) {
        if rows.len() + 1 == ROWS {
            rows.push(cut(left));
            return rows;
        }
        let is_whole = left[end..].starts_with(' ');
        let before = left[..end].rfind(' ').filter(|at| *at > WIDTH / 2 && !is_whole);
        let at = before.unwrap_or(end);
        let (row, rest) = left.split_at(at);
        rows.push(row.to_owned());
        left = rest.trim_start();
    }
    rows.push(left.to_owned());
    rows
}

pub(super) fn cut(line: &str) -> String {
    let line = printable(line);
    if line.chars().count() <= WIDTH {
        return line;
    }
    let kept: String = line.chars().take(WIDTH - 3).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_wrapped_and_only_what_no_sentence_is_gets_cut() {
        let sentence =
            "a sentence of words that goes on for longer than a row has columns, ".repeat(3);
        let rows = wrapped(sentence.trim());
        assert_eq!(rows.join(" "), sentence.trim());
        assert!(rows.len() == 2 && rows.iter().all(|row| row.chars().count() <= WIDTH), "{rows:?}");
        let word = wrapped(&"ü".repeat(WIDTH + 5));
        assert_eq!(word.iter().map(|row| row.chars().count()).collect::<Vec<_>>(), [WIDTH, 5]);
        let endless = wrapped(&"word ".repeat(500));
        assert!(endless.len() == ROWS && endless[ROWS - 1].ends_with("..."), "{endless:?}");
    }

    #[test]
    fn a_line_goes_whole_and_what_must_be_said_stays() {
        let line = |label, rows: usize, rank| Line { label, rows: vec![String::new(); rows], rank };
        let mut lines = vec![line("acts", 1, 0), line("proof", 3, 0), line("", 4, 2)];
        lines.extend([line("unseen", 2, 1), line("", 2, 1), line("looked", 1, 0)]);
        fit(&mut lines);
        let left: Vec<_> = lines.iter().map(|line| (line.label, line.rows.len())).collect();
        let all = [("acts", 1), ("proof", 3), ("unseen", 2), ("", 2), ("looked", 1)];
        assert_eq!(left, all);
    }
}
