//! The page of triage in its forms: text for a terminal, Markdown for chats and tickets, JSON for programs, and
//! one HTML file for whoever has to act on it.
//!
//! All come from one [`Page`]. Its tables are laid out once, in [`tables`]; each form writes them its way.

mod tables;
mod spark;
mod text;
mod markdown;
mod chart;
mod style;
mod html;

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

pub use html::render as page_to_html;
pub use markdown::render as page_to_markdown;
pub use text::{Paint, render as page_to_text, render_tables as page_tables};

use super::clock::local;
use super::lines::printable;
use crate::text::secret::masked;
use crate::triage::page::{Page, State};
use crate::verdict::Confidence;

/// Writes the page as JSON; what looks like a credential in one of its texts is masked.
#[must_use]
pub fn page_to_json(page: &Page) -> String {
    let mut json = serde_json::to_value(page).unwrap_or_default();
    mask(&mut json);
    format!("{json:#}\n")
}

/// Masks the texts one by one: a name like `input_tokens` beside its number is no credential.
fn mask(json: &mut Value) {
    match json {
        Value::String(text) => {
            if let Cow::Owned(masked) = masked(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(members) => members.values_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the JSON Schema of the page.
#[must_use]
pub fn page_schema() -> String {
    let schema = schemars::schema_for!(Page);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// Writes a sentence of ours, in the times of whoever reads it.
fn sentence(page: &Page, zone: &TimeZone, text: &str) -> String {
    local(&printable(text), zone, page.window.until)
}

/// Returns what stands before the first sentence: how things are, or whose it is and how sure that is.
fn lead(page: &Page) -> String {
    match (page.state, page.origin, page.confidence) {
        (State::Ongoing, Some(origin), Confidence::Certain) => format!("{origin}, certain"),
        (State::Ongoing, Some(origin), _) => format!("{origin}, likely"),
        (state, _, _) => state.as_str().to_owned(),
    }
}

/// Writes a time of day, with its day where that is not the last one's.
fn moment(page: &Page, zone: &TimeZone, at: Timestamp) -> String {
    let is_recent = page.window.until.duration_since(at).as_hours() < 24;
    let format = if is_recent { "%H:%M" } else { "%d %b %H:%M" };
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

/// Writes a stretch of time: `14:02-14:31`.
fn stretch(page: &Page, zone: &TimeZone, since: Timestamp, until: Timestamp) -> String {
    let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let begin = moment(page, zone, since);
    if date(since) == date(until) {
        return format!("{begin}-{}", until.to_zoned(zone.clone()).strftime("%H:%M"));
    }
    format!("{begin}-{}", moment(page, zone, until))
}
