//! The page for chats and tickets.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::tables::{Set, tables};
use super::text::{acts, ours, whole};
use super::{lead, sentence, stretch};
use crate::number::count;
use crate::report::lines::printable;
use crate::report::markdown::escaped;
use crate::triage::page::Page;
use crate::triage::story::Part;
use crate::window::Window;

/// Renders the page.
#[must_use]
pub fn render(page: &Page, zone: &TimeZone) -> String {
    let sentence = |text: &str| escaped(&sentence(page, zone, text));
    let mut text = format!("**{}**: {}\n\n", lead(page), sentence(&page.what));
    let mut line = |label: &str, words: &str| {
        let _ = writeln!(text, "- **{label}**: {words}");
    };
    line("do", &sentence(&page.step));
    line("acts", &acts(page));
    if !page.incidents.is_empty() {
        line("why", &sentence(&page.reason));
    }
    line("say", &format!("\"{}\"", sentence(&page.say)));
    if let Some(ours) = ours(page) {
        line("ours", &sentence(&ours));
    }
    line("whole", &sentence(&whole(page)));
    let window = Window { since: page.window.since, until: page.window.until };
    let exchanges = count(page.total.exchanges, "exchange");
    line("looked", &format!("{}, {exchanges}", window.describe(zone)));
    if !page.incidents.is_empty() {
        text += "\n### Incidents\n\n";
        for (index, story) in page.incidents.iter().enumerate() {
            let state = if story.ongoing { "ongoing" } else { "over" };
            let _ = writeln!(
                text,
                "{}. **{}**, {}, {state}: {}",
                index + 1,
                stretch(page, zone, story.since, story.until),
                story.severity.as_str(),
                sentence(&story.what)
            );
            let rows = story.parts.iter().map(|part| ("", part));
            for (so, part) in rows.chain(story.consequences.iter().map(|part| ("so: ", part))) {
                let _ = writeln!(text, "   - {so}{}", part_line(page, zone, part));
            }
            if let Some(cause) = &story.cause {
                let _ = writeln!(text, "   - cause: {}", sentence(cause));
            }
            let _ = writeln!(text, "   - do: {}", sentence(&story.step));
        }
    }
    for table in tables(page, zone) {
        let _ = writeln!(text, "\n### {}\n", table.title);
        let names: Vec<_> = table.head.iter().map(|(name, _)| *name).collect();
        let sets: Vec<_> = table
            .head
            .iter()
            .map(|(_, set)| if *set == Set::Numbers { "---:" } else { "---" })
            .collect();
        let _ = writeln!(text, "| {} |\n|{}|", names.join(" | "), sets.join("|"));
        for row in &table.rows {
            let cells: Vec<_> = row.iter().map(|cell| escaped(cell).replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        if let Some(note) = &table.note {
            let _ = writeln!(text, "\n{}", escaped(note));
        }
    }
    text
}

fn part_line(page: &Page, zone: &TimeZone, part: &Part) -> String {
    escaped(&format!(
        "{} {} {}: {} ({})",
        part.origin,
        stretch(page, zone, part.since, part.until),
        printable(&part.label),
        printable(&part.hurt),
        printable(&part.reason)
    ))
}
