//! The page for a terminal: what happened first, twelve lines at most; the tables on request.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::spark::spark;
use super::tables::{Set, Table, percent, tables};
use super::{lead, moment, sentence, stretch};
use crate::number::{count, grouped};
use crate::report::lines::{MOST_LINES, cut, words_of};
use crate::report::{duration, printable};
use crate::triage::change::How;
use crate::triage::latency::Stage;
use crate::triage::page::{Page, State};
use crate::triage::story::{Part, Story};
use crate::window::Window;

/// Columns of a sparkline.
const SPARK: usize = 24;
/// Columns that the words of a failure take in a table at most.
const CELL: usize = 60;

/// A sum begins with a whole minute, which may be the window's second.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// They are: it is a terminal that wants them.
    Colours,
    /// They are not.
    Plain,
}

impl Paint {
    fn lead(self, page: &Page) -> String {
        let colour = match page.state {
            State::Quiet => AnsiColor::Green,
            State::Over => AnsiColor::Cyan,
            State::Ongoing => AnsiColor::Red,
            State::Unknown => AnsiColor::Yellow,
        };
        self.paint(colour.on_default().bold(), &lead(page))
    }

    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::Colours => format!("{style}{text}{style:#}"),
            Self::Plain => text.to_owned(),
        }
    }
}

/// Renders the page.
#[must_use]
pub fn render(page: &Page, zone: &TimeZone, paint: Paint) -> String {
    let mut text = format!("{}: {}\n", paint.lead(page), sentence(page, zone, &page.what));
    for (label, line) in lines(page, zone) {
        let label = paint.paint(Style::new().dimmed(), &format!("{label:8}"));
        let _ = writeln!(text, "{label}{line}");
    }
    text
}

/// Renders every table.
#[must_use]
pub fn render_tables(page: &Page, zone: &TimeZone) -> String {
    let mut text = String::new();
    for table in tables(page, zone) {
        text += &write_table(&table);
    }
    text
}

/// A line, and which goes first where there are too many: the highest.
struct Line {
    label: &'static str,
    text: String,
    rank: u8,
}

fn lines(page: &Page, zone: &TimeZone) -> Vec<(String, String)> {
    let sentence = |text: &str| sentence(page, zone, text);
    let line = |label, text, rank| Line { label, text, rank };
    let why = (!page.incidents.is_empty()).then(|| sentence(&page.reason));
    let after = [
        changed(page).map(|text| line("changed", text, 2)),
        trend(page, zone).map(|text| line("trend", text, 3)),
        ours(page).map(|text| line("ours", sentence(&text), 1)),
        Some(line("whole", sentence(&whole(page)), 0)),
        Some(line("do", sentence(&page.step), 0)),
        why.map(|text| line("why", text, 0)),
        Some(line("say", format!("\"{}\"", sentence(&page.say)), 0)),
    ];
    let mut after: Vec<Line> = after.into_iter().flatten().collect();
    // The verdict, who acts, and where it was looked stand around them.
    let room = MOST_LINES - 3;
    let wanted = page.incidents.iter().map(|story| 1 + effects(story).len()).sum::<usize>();
    while after.len() + wanted > room && after.iter().any(|line| line.rank > 0) {
        let least = (0..after.len()).max_by_key(|at| after[*at].rank);
        after.remove(least.unwrap_or_default());
    }
    let (rows, more) = stories(page, zone, room - after.len());
    let mut lines = vec![("acts".to_owned(), acts(page))];
    lines.extend(rows);
    lines.extend(after.into_iter().map(|line| (line.label.to_owned(), cut(&line.text))));
    let window = Window { since: page.window.since, until: page.window.until };
    let looked = format!("{}, {}", window.describe(zone), count(page.total.exchanges, "exchange"));
    let more = match more {
        0 => String::new(),
        more => format!("; {} more: --list", count(more as u64, "incident")),
    };
    lines.push(("looked".to_owned(), looked + &more));
    lines
}

/// Returns the consequences that a row is spent on.
fn effects(story: &Story) -> &[Part] {
    &story.consequences[..story.consequences.len().min(2)]
}

/// Returns who has to do something, of an incident with consequences both that and whose it is, and how grave it
/// is.
pub(super) fn acts(page: &Page) -> String {
    let acts = words_of(page.acts);
    let softens = page.state == State::Ongoing
        && page.incidents.first().is_some_and(|story| !story.consequences.is_empty());
    let acts = match page.origin {
        Some(origin) if softens && acts == "us" => {
            format!("us, to soften it; {origin} is the cause")
        }
        _ => acts.to_owned(),
    };
    match page.severity {
        Some(severity) => format!("{acts} ({})", severity.as_str()),
        None => acts,
    }
}

/// Writes a row for each incident and for each of its consequences; says how many incidents found no room.
fn stories(page: &Page, zone: &TimeZone, room: usize) -> (Vec<(String, String)>, usize) {
    let mut parts: Vec<(String, &Part)> = Vec::new();
    let mut told = 0;
    for (index, story) in page.incidents.iter().enumerate() {
        let effects = effects(story);
        if parts.len() + 1 + effects.len() > room.max(3) {
            break;
        }
        parts.extend(story.parts.first().map(|part| ((index + 1).to_string(), part)));
        parts.extend(effects.iter().map(|part| ("so".to_owned(), part)));
        told += 1;
    }
    let width = |of: fn(&Part) -> String| {
        parts.iter().map(|(_, part)| of(part).chars().count()).max().unwrap_or(0)
    };
    let origins = width(|part| part.origin.to_string());
    let labels = width(|part| printable(&part.label));
    let rows = parts.iter().map(|(label, part)| {
        let origin = part.origin.to_string();
        let what = printable(&part.label);
        let when = stretch(page, zone, part.since, part.until);
        let hurt = printable(&part.hurt);
        (label.clone(), cut(&format!("{origin:origins$}  {what:labels$}  {when}  {hurt}")))
    });
    (rows.collect(), page.incidents.len() - told)
}

/// Names what changed, the largest first.
fn changed(page: &Page) -> Option<String> {
    let said = page.changes.iter().take(3).map(|change| {
        let (dimension, value) = (change.dimension.as_str(), printable(&change.value));
        match change.how {
            How::New => {
                format!("new {dimension} {value} ({})", count(change.exchanges, "exchange"))
            }
            How::Gone => format!("{dimension} {value} is gone"),
            How::More | How::Less => format!(
                "{dimension} {value} {} of all (was {})",
                percent(change.share),
                percent(change.share_before)
            ),
        }
    });
    let said: Vec<_> = said.collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Draws failures over the window, and throttles where there were any.
fn trend(page: &Page, zone: &TimeZone) -> Option<String> {
    let steps = &page.timeline.steps;
    let failed: Vec<u64> = steps.iter().map(|step| step.failed.values().sum()).collect();
    let throttles: Vec<u64> = steps.iter().map(|step| step.throttles.unwrap_or(0)).collect();
    let minutes = page.timeline.step_minutes;
    let draw = |name: &str, values: &[u64]| {
        let (at, most) = values.iter().enumerate().max_by_key(|(_, value)| **value)?;
        let step = match minutes {
            1 => "minute".to_owned(),
            2..120 => format!("{minutes} min"),
            120..2_880 => format!("{} h", minutes / 60),
            _ => format!("{} d", minutes / 1_440),
        };
        (*most > 0).then(|| {
            format!(
                "{name} {} at most {} a {step}, {}",
                spark(values, SPARK),
                grouped(*most),
                moment(page, zone, steps[at].at)
            )
        })
    };
    let drawn = [draw("errors", &failed), draw("throttles", &throttles)];
    let drawn: Vec<_> = drawn.into_iter().flatten().collect();
    (!drawn.is_empty()).then(|| drawn.join("; "))
}

/// Says whether it can be us: deploys, and what the proxy adds to the first byte.
pub(super) fn ours(page: &Page) -> Option<String> {
    let version = page.proxy_version.as_deref()?;
    let version = printable(version);
    let within = page.deploys.iter().rev().find(|deploy| deploy.at >= page.window.since);
    let deploy = match within {
        Some(deploy) if *deploy.version != *version => format!(
            "proxy {version}; {} answered {}-{} UTC",
            printable(&deploy.version),
            deploy.at.strftime("%H:%M"),
            deploy.last.strftime("%H:%M")
        ),
        Some(deploy) => format!(
            "proxy {} since {} UTC (before: {})",
            printable(&deploy.version),
            deploy.at.strftime("%H:%M"),
            printable(&deploy.before)
        ),
        None => format!("no change: proxy {version}"),
    };
    let own = page.latencies.iter().find(|row| row.stage == Stage::Proxy)?;
    let part = match (own.window, own.baseline) {
        (Some(now), Some(before)) => format!(
            "; its own part of the first byte p50 {}, {} before",
            duration(now.p50_ms),
            duration(before.p50_ms)
        ),
        (Some(now), None) => {
            format!("; its own part of the first byte p50 {}", duration(now.p50_ms))
        }
        _ => String::new(),
    };
    Some(deploy + &part)
}

/// Says what the page rests on, and what is missing.
pub(super) fn whole(page: &Page) -> String {
    let whole = &page.whole;
    let mut said = Vec::new();
    if whole.unread_count > 0 {
        said.push(format!("{} could not be read", count(whole.unread_count, "log")));
    }
    if whole.unknown > 0 {
        said.push(format!("{} tell nothing by key and were not read", count(whole.unknown, "log")));
    }
    if whole.by_key > 0 {
        said.push(format!("{} known by key alone", count(whole.by_key, "exchange")));
    }
    if whole.spilled > 0 {
        said.push(format!("{} to put in place: analyzer recover", count(whole.spilled, "record")));
    }
    match &whole.sum {
        Some(sum) => {
            // Of a long window the lines of its last minutes are read, and the sum is about these.
            let since = whole.sum_since.filter(|since| *since > page.window.since + MINUTE);
            let since = since.map(|since| format!("since {}: ", since.strftime("%H:%M UTC")));
            said.push(since.unwrap_or_default() + sum);
        }
        None if !whole.unseen.is_empty() => said.push(whole.unseen[0].clone()),
        None => said
            .push("CloudWatch was not asked: what never reached the proxy is not here".to_owned()),
    }
    said.join("; ")
}

fn write_table(table: &Table) -> String {
    let cells: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(|cell| short(cell)).collect()).collect();
    let widths: Vec<usize> = (0..table.head.len())
        .map(|at| {
            let cells = cells.iter().map(|row| row[at].chars().count());
            cells.chain([table.head[at].0.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[&str]| {
        let mut line = String::new();
        for ((cell, width), (_, set)) in cells.iter().zip(&widths).zip(&table.head) {
            let _ = match set {
                Set::Words => write!(line, "{cell:width$}  "),
                Set::Numbers => write!(line, "{cell:>width$}  "),
            };
        }
        line.trim_end().to_owned() + "\n"
    };
    let names: Vec<&str> = table.head.iter().map(|(name, _)| *name).collect();
    let mut text = format!("\n{}\n{}", table.title, line(&names));
    for row in &cells {
        text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    if let Some(note) = &table.note {
        let _ = writeln!(text, "({note})");
    }
    text
}

fn short(cell: &str) -> String {
    if cell.chars().count() <= CELL {
        return cell.to_owned();
    }
    cell.chars().take(CELL - 3).collect::<String>() + "..."
}
