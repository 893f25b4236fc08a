//! The answer for chats and tickets: the lines of the text, as a list that reads well unrendered too.

use std::fmt::Write as _;

use super::Answer;
use super::lines::{cut, headline, lines, printable};

/// Failures that a list in a ticket names.
const NAMED: usize = 20;

/// Renders the answer.
#[must_use]
pub fn render(answer: &Answer) -> String {
    let (sure, why) = headline(answer);
    let mut page = format!("**{sure}**: {}\n\n", escaped(&why));
    for line in lines(answer) {
        let text = escaped(&line.rows.join(" "));
        let _ = match line.label {
            "" => writeln!(page, "  - {text}"),
            label => writeln!(page, "- **{label}**: {text}"),
        };
    }
    page
}

/// Renders the matches as a table, newest first.
#[must_use]
pub fn render_list(answer: &Answer) -> String {
    let mut table =
        "| time (UTC) | status | origin | code | developer | model | id | words |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let matches = answer.evidence.iter().flat_map(|evidence| &evidence.matches);
    for exchange in matches.take(NAMED) {
        let Some(error) = &exchange.error else { continue };
        let cell = |text: &str| escaped(&cut(text)).replace('|', "\\|");
        let or = |text: &Option<String>| cell(text.as_deref().unwrap_or("-"));
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            exchange.started_at.strftime("%Y-%m-%d %H:%M:%S"),
            exchange.status.map_or("-".to_owned(), |status| status.to_string()),
            error.origin,
            cell(&error.code),
            or(&exchange.developer),
            or(&exchange.model),
            cell(exchange.upstream_request_id.as_deref().unwrap_or(&exchange.exchange_id)),
            cell(&error.message),
        );
    }
    table
}

/// Keeps what a log says from being taken for a tag, a link or emphasis.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '*' | '[' => safe.extend(['\\', character]),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_says_stays_text() {
        assert_eq!(escaped("<b>*x*[a](b)\u{1b}"), "&lt;b>\\*x\\*\\[a](b)\u{fffd}");
        assert_eq!(escaped("run `codex doctor`"), "run `codex doctor`");
    }
}
