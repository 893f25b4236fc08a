//! The answer for a terminal: the verdict first, fixed labels, twelve lines at most.

use std::fmt::Write as _;

use super::Answer;
use super::lines::{cut, headline, lines, printable};

/// Renders the answer.
#[must_use]
pub fn render(answer: &Answer) -> String {
    let (sure, why) = headline(answer);
    let mut text = format!("{sure}: {why}\n");
    for line in lines(answer) {
        for (index, row) in line.rows.iter().enumerate() {
            let label = if index == 0 { line.label } else { "" };
            let _ = writeln!(text, "{label:8}{row}");
        }
    }
    text
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
