//! The packet for OpenAI's support: request ids with times, statuses and processing times, and nothing of
//! what anybody asked or was answered.
//!
//! It holds no text that a log could have brought in: every word of it is ours, a code, a model's name or an
//! id, each checked for its form. What does not pass is left out and counted.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemas::origin::Origin;

use super::fact::{Dimension, Fact, Facts};
use super::page::Page;
use super::trouble::code_of;
use crate::report::duration;
use crate::text::secret::masked;

/// Exchanges that are named: a case needs examples, and how many more there are.
const LISTED: usize = 200;
/// Characters of an id, a code or a model's name.
const LONGEST: usize = 100;

/// One failure of OpenAI's.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// When we sent it.
    pub at: Timestamp,
    /// OpenAI's name for it.
    pub request_id: String,
    /// Status that it answered.
    pub status: Option<u16>,
    /// Code of the failure; `None` of a success that is slow.
    pub code: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Milliseconds of its processing, by its own account.
    pub processing_ms: Option<f64>,
    /// Milliseconds until its first byte.
    pub first_byte_ms: Option<f64>,
}

/// Failures to report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cases {
    /// Newest first.
    pub listed: Vec<Case>,
    /// How many there were.
    pub all: u64,
    /// Those without a request id, or with one that has not the form of one.
    pub without_id: u64,
}

/// Finds the failures that are OpenAI's; where none is, what was slow.
#[must_use]
pub fn cases(facts: &Facts, page: &Page) -> Cases {
    let is_theirs = |fact: &&Fact| {
        let origin = fact.failure.map(|failure| failure.origin);
        matches!(origin, Some(Origin::Openai | Origin::OpenaiEdge))
    };
    let slow = || page.incidents.iter().flat_map(|story| &story.parts);
    let is_slow = |fact: &&Fact| {
        slow().any(|part| {
            part.slow.is_some() && part.samples.iter().any(|id| **id == *fact.exchange_id)
        })
    };
    let failed: Vec<&Fact> = facts.window.facts.iter().filter(is_theirs).collect();
    let meant = if failed.is_empty() {
        facts.window.facts.iter().filter(is_slow).collect()
    } else {
        failed
    };
    let mut cases = Cases { all: meant.len() as u64, ..Cases::default() };
    for fact in meant.into_iter().rev() {
        let Some(request_id) = fact.request_id.as_deref().and_then(named) else {
            cases.without_id += 1;
            continue;
        };
        if cases.listed.len() < LISTED {
            cases.listed.push(Case {
                at: fact.at,
                request_id,
                status: fact.status,
                code: code_of(fact, facts).as_deref().and_then(named),
                model: fact.of(Dimension::Model).and_then(|model| named(facts.names.text(model))),
                processing_ms: fact.timing.processing_ms,
                first_byte_ms: fact.timing.upstream_ttfb_ms,
            });
        }
    }
    cases
}

/// Returns a name that is one: short, of letters, digits and a few signs, and no credential.
fn named(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    let is_name = !text.is_empty() && text.len() <= LONGEST && text.chars().all(is_plain);
    (is_name && matches!(masked(text), std::borrow::Cow::Borrowed(_))).then(|| text.to_owned())
}

/// Writes the packet, in Markdown.
#[must_use]
pub fn packet(cases: &Cases, page: &Page) -> String {
    let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    let mut text = format!(
        "# Failed requests, {} to {} UTC\n\n",
        page.window.since.strftime("%Y-%m-%d %H:%M"),
        page.window.until.strftime("%Y-%m-%d %H:%M")
    );
    let theirs = page.incidents.iter().filter(|it| it.origin == Origin::Openai);
    for part in theirs.flat_map(|story| &story.parts) {
        let codes = part.codes.iter().filter_map(|it| named(&it.code)).take(3).collect::<Vec<_>>();
        let _ = writeln!(
            text,
            "- {} to {} UTC: {} of {} requests{}",
            part.since.strftime("%Y-%m-%d %H:%M"),
            part.until.strftime("%H:%M"),
            part.blast.exchanges,
            part.blast.of,
            if codes.is_empty() { " slow".to_owned() } else { format!(", {}", codes.join(", ")) }
        );
    }
    let shown = cases.listed.len();
    let _ = writeln!(
        text,
        "\n{} in all{}; {shown} listed, newest first. Request ids are those of the `x-request-id` header. \
         The packet holds no prompt, no output and no key.\n",
        cases.all,
        if cases.without_id > 0 {
            format!(" ({} without a request id)", cases.without_id)
        } else {
            String::new()
        },
    );
    text += "| time (UTC) | request id | status | code | model | processing | first byte |\n";
    text += "|---|---|---|---|---|---|---|\n";
    for case in &cases.listed {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), duration);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            time(case.at),
            case.request_id,
            case.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            or(&case.code),
            or(&case.model),
            ms(case.processing_ms),
            ms(case.first_byte_ms)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn only_what_has_the_form_of_a_name_is_named() {
        for name in ["req_9f8e7d6c5b4a", "server_is_overloaded", "gpt-5.5", "org/model:1"] {
            assert_eq!(named(name).as_deref(), Some(name));
        }
        for other in [
            "",
            "please summarise my salary",
            "a|b",
            "<b>",
            "sk-proj-abcdefghijklmnop1234",
            "cpt_abcdefghijklmnop1234",
            &"a".repeat(101),
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
