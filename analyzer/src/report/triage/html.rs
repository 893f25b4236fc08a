//! The page as one HTML file: no script, no request to anywhere, what to do first.
//!
//! Everything that a log could have brought in goes through [`escaped`]; beyond that a policy in the page's head
//! forbids scripts, images and requests altogether.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::chart::{failures, legend, slots, wait};
use super::style::STYLE;
use super::tables::{Set, Table, tables};
use super::text::{acts, ours, whole};
use super::{lead, moment, sentence, stretch};
use crate::number::{count, grouped};
use crate::report::printable;
use crate::text::secret::masked;
use crate::triage::page::Page;
use crate::triage::story::{Part, Story};
use crate::window::Window;

/// A cell with more characters is wrapped.
const LONG: usize = 40;

/// Renders the page.
#[must_use]
pub fn render(page: &Page, zone: &TimeZone) -> String {
    let words = |text: &str| escaped(&sentence(page, zone, text));
    let state = page.state.as_str();
    let window = Window { since: page.window.since, until: page.window.until }.describe(zone);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}: {} - codex-proxy triage</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&lead(page)),
        words(&page.what)
    );
    let _ = write!(
        html,
        "<header>\n<p><span class=\"state {state}\">{}</span> \
         <span class=\"quiet-text\">{}, {}</span></p>\n<h1>{}</h1>\n</header>\n",
        escaped(&lead(page)),
        escaped(&window),
        count(page.total.exchanges, "exchange"),
        words(&page.what)
    );
    let _ = write!(
        html,
        "<section class=\"do {state}\" aria-label=\"What to do\">\n\
         <p><strong>Do: {}</strong></p>\n<p>Who acts: {}.</p>\n",
        words(&page.step),
        escaped(&acts(page))
    );
    if !page.incidents.is_empty() {
        let _ = writeln!(html, "<p>Why: {}.</p>", words(&page.reason));
    }
    let _ = write!(html, "<p>Say:</p><blockquote>{}</blockquote>\n</section>\n", words(&page.say));
    html += &incidents(page, zone);
    html += "<section aria-label=\"Timeline\">\n<h2>Timeline</h2>\n";
    html += &failures(page, zone);
    html += &legend(page);
    html += &slots(page, zone).unwrap_or_default();
    html += &wait(page, zone).unwrap_or_default();
    html += &timeline(page, zone);
    html += "</section>\n";
    html += "<section aria-label=\"Whether it is us, and whether the data is whole\">\n<h2>Ours, and whole</h2>\n";
    if let Some(ours) = ours(page) {
        let _ = writeln!(html, "<p>Our proxy: {}.</p>", words(&ours));
    }
    let _ = writeln!(html, "<p>The data: {}.</p>", words(&whole(page)));
    html += &list("Not read", &page.whole.unread);
    html += &list("Not seen", &page.whole.unseen);
    html += &list("Keys that differ from their records", &page.whole.mismatched);
    html += &list("Names that are not those of logs", &page.whole.unrecognised);
    html += "</section>\n";
    for table in tables(page, zone) {
        html += &write_table(&table);
    }
    let asked = page.asked_at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let _ = write!(
        html,
        "</main>\n<footer>analyzer triage {}, asked {}; usual is what was usual from {} to {} UTC. One exchange, \
         whole: <code>analyzer show ID</code></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        escaped(&asked),
        page.baseline.since.strftime("%d %b %H:%M"),
        page.baseline.until.strftime("%d %b %H:%M")
    );
    html
}

/// Makes text that a log could have brought in stay text, in an element and in an attribute; what looks like a
/// credential is masked.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in masked(&printable(text)).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn incidents(page: &Page, zone: &TimeZone) -> String {
    if page.incidents.is_empty() {
        return String::new();
    }
    let mut html =
        "<section aria-label=\"Incidents\">\n<h2>What happened</h2>\n<ol class=\"incidents\">\n"
            .to_owned();
    for story in &page.incidents {
        html += &incident(page, zone, story);
    }
    html + "</ol>\n</section>\n"
}

fn incident(page: &Page, zone: &TimeZone, story: &Story) -> String {
    let words = |text: &str| escaped(&sentence(page, zone, text));
    let state = if story.ongoing { "ongoing" } else { "over" };
    let mut html = format!(
        "<li><strong>{}</strong>, {}, {state}: {}\n<ul>\n",
        stretch(page, zone, story.since, story.until),
        story.severity.as_str(),
        words(&story.what)
    );
    let parts = story.parts.iter().map(|part| ("", part));
    for (so, part) in parts.chain(story.consequences.iter().map(|part| ("So: ", part))) {
        html += &write_part(page, zone, so, part);
    }
    if let Some(cause) = &story.cause {
        let _ = writeln!(html, "<li>Cause: {}</li>", words(cause));
    }
    let _ = write!(html, "<li>Do: {}</li>\n</ul></li>\n", words(&story.step));
    html
}

fn write_part(page: &Page, zone: &TimeZone, so: &str, part: &Part) -> String {
    let mut html = format!(
        "<li>{so}{} {}: {}; {}. <span class=\"quiet-text\">{}</span>",
        part.origin,
        stretch(page, zone, part.since, part.until),
        escaped(&part.label),
        escaped(&part.hurt),
        escaped(&part.reason)
    );
    if part.blast.names.len() > 1 {
        let _ = write!(html, "<br>Hurt: {}", escaped(&part.blast.names.join(", ")));
        let more = part.blast.developers.saturating_sub(part.blast.names.len() as u64);
        if more > 0 {
            let _ = write!(html, " and {} more", grouped(more));
        }
    }
    if let Some(sample) = part.samples.first() {
        let _ = write!(html, "<br>Newest: <code>analyzer show {}</code>", escaped(sample));
    }
    html + "</li>\n"
}

/// The charts' figures, for whoever reads rather than sees.
fn timeline(page: &Page, zone: &TimeZone) -> String {
    use Set::{Numbers, Words};
    let steps =
        page.timeline.steps.iter().filter(|step| {
            !step.failed.is_empty() || step.throttles.is_some_and(|count| count > 0)
        });
    let rows: Vec<_> = steps
        .map(|step| {
            let failed: Vec<_> =
                step.failed.iter().map(|(origin, count)| format!("{origin} {count}")).collect();
            let number = |number: Option<u64>| number.map_or("-".to_owned(), grouped);
            vec![
                moment(page, zone, step.at),
                grouped(step.exchanges),
                failed.join(", "),
                number(step.throttles),
                number(step.concurrent_max),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let table = Table {
        title: "",
        head: vec![
            ("from", Words),
            ("exchanges", Numbers),
            ("failed", Words),
            ("throttles", Numbers),
            ("slots", Numbers),
        ],
        rows,
        note: None,
    };
    format!(
        "<details><summary>The steps with failures, as a table</summary>\n{}</details>\n",
        cells(&table)
    )
}

fn list(title: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut html = format!("<details open><summary>{title}</summary><ul>");
    for item in items {
        let _ = write!(html, "<li>{}</li>", escaped(item));
    }
    html + "</ul></details>\n"
}

fn write_table(table: &Table) -> String {
    format!(
        "<section aria-label=\"{title}\">\n<h2>{title}</h2>\n{}</section>\n",
        cells(table),
        title = escaped(table.title)
    )
}

fn cells(table: &Table) -> String {
    let class = |set: Set| if set == Set::Numbers { " class=\"number\"" } else { "" };
    // What is wider than the window can be scrolled by keyboard, too.
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n",
        escaped(if table.title.is_empty() { "Timeline" } else { table.title })
    );
    if let Some(note) = &table.note {
        let _ = writeln!(html, "<caption>{}</caption>", escaped(note));
    }
    html += "<thead><tr>";
    for (name, set) in &table.head {
        let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(*set), escaped(name));
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        html += "<tr>";
        for (cell, (_, set)) in row.iter().zip(&table.head) {
            let class = if cell.chars().count() > LONG { " class=\"long\"" } else { class(*set) };
            let _ = write!(html, "<td{class}>{}</td>", escaped(cell));
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_a_log_says_stays_text() {
        assert_eq!(
            escaped("<script>alert('x')</script> & \"y\"\u{1b}"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;\u{fffd}"
        );
        assert!(!escaped("sk-proj-abcdefghijklmnop1234").contains("abcdefghijkl"));
    }
}
