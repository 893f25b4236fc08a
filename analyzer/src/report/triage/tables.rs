//! The tables of the page, laid out once for every form.

use jiff::tz::TimeZone;

use super::{moment, stretch};
use crate::number::grouped;
use crate::report::{duration, printable};
use crate::triage::change::How;
use crate::triage::page::Page;
use crate::triage::usage::Used;

/// Failures by their words that are listed.
const PATTERNS: usize = 30;
/// Exchanges that run still that are listed.
const HANGING: usize = 20;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Words, from the left.
    Words,
    /// Numbers, to the right.
    Numbers,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    /// What it is.
    pub(super) title: &'static str,
    /// Names of its columns, and how they are set.
    pub(super) head: Vec<(&'static str, Set)>,
    /// Cells, printable.
    pub(super) rows: Vec<Vec<String>>,
    /// What has to be said of it.
    pub(super) note: Option<String>,
}

/// Lays out every table that has a row.
pub(super) fn tables(page: &Page, zone: &TimeZone) -> Vec<Table> {
    let mut tables = vec![
        failures(page, zone),
        patterns(page, zone),
        changes(page, zone),
        latencies(page),
        usage(page),
        hanging(page, zone),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

fn head(columns: &[(&'static str, Set)]) -> Vec<(&'static str, Set)> {
    columns.to_vec()
}

fn failures(page: &Page, zone: &TimeZone) -> Table {
    use Set::{Numbers, Words};
    let rows = page.failures.iter().map(|row| {
        vec![
            row.origin.to_string(),
            row.status.map_or("-".to_owned(), |status| status.to_string()),
            printable(&row.code),
            grouped(row.exchanges),
            grouped(row.before),
            grouped(row.developers),
            row.turns.map_or("-".to_owned(), grouped),
            stretch(page, zone, row.first_seen, row.last_seen),
        ]
    });
    Table {
        title: "Errors by origin and code",
        head: head(&[
            ("origin", Words),
            ("status", Numbers),
            ("code", Words),
            ("exchanges", Numbers),
            ("before", Numbers),
            ("developers", Numbers),
            ("turns", Numbers),
            ("seen", Words),
        ]),
        rows: rows.collect(),
        note: Some(format!(
            "before: in the baseline, {} to {} UTC",
            page.baseline.since.strftime("%d %b %H:%M"),
            page.baseline.until.strftime("%d %b %H:%M")
        )),
    }
}

fn patterns(page: &Page, zone: &TimeZone) -> Table {
    use Set::{Numbers, Words};
    let rows = page.patterns.iter().take(PATTERNS).map(|row| {
        vec![
            row.fingerprint.clone(),
            if row.new { "new" } else { "known" }.to_owned(),
            row.trend.as_str().to_owned(),
            grouped(row.exchanges),
            grouped(row.developers),
            moment(page, zone, row.first_seen),
            moment(page, zone, row.last_seen),
            format!("{} {}", row.origin, printable(&row.code)),
            printable(row.words.as_deref().unwrap_or("-")),
            row.samples.first().map_or("-".to_owned(), |id| printable(id)),
        ]
    });
    let more = page.patterns.len().saturating_sub(PATTERNS) as u64;
    Table {
        title: "Fingerprints",
        head: head(&[
            ("fingerprint", Words),
            ("", Words),
            ("trend", Words),
            ("exchanges", Numbers),
            ("developers", Numbers),
            ("first", Words),
            ("last", Words),
            ("origin and code", Words),
            ("words", Words),
            ("sample", Words),
        ]),
        rows: rows.collect(),
        note: (more > 0).then(|| format!("{} more: -o json", grouped(more))),
    }
}

fn changes(page: &Page, zone: &TimeZone) -> Table {
    use Set::{Numbers, Words};
    let rows = page.changes.iter().map(|row| {
        let how = match row.how {
            How::New => "new",
            How::Gone => "gone",
            How::More => "more",
            How::Less => "less",
        };
        vec![
            row.dimension.as_str().to_owned(),
            printable(&row.value),
            how.to_owned(),
            grouped(row.exchanges),
            percent(row.share),
            grouped(row.before),
            percent(row.share_before),
            row.first.map_or("-".to_owned(), |at| moment(page, zone, at)),
        ]
    });
    Table {
        title: "What changed",
        head: head(&[
            ("dimension", Words),
            ("value", Words),
            ("", Words),
            ("exchanges", Numbers),
            ("share", Numbers),
            ("before", Numbers),
            ("share before", Numbers),
            ("first", Words),
        ]),
        rows: rows.collect(),
        note: None,
    }
}

/// Writes a share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn latencies(page: &Page) -> Table {
    use Set::{Numbers, Words};
    let rows = page.latencies.iter().map(|row| {
        let stage = match &row.model {
            Some(model) => format!("{}, {}", row.stage.as_str(), printable(model)),
            None => row.stage.as_str().to_owned(),
        };
        let mut cells = vec![stage];
        for half in [row.window, row.baseline] {
            let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), duration);
            cells.extend([
                ms(half.map(|it| it.p50_ms)),
                ms(half.map(|it| it.p90_ms)),
                ms(half.map(|it| it.p99_ms)),
            ]);
        }
        cells
    });
    Table {
        title: "Latency",
        head: head(&[
            ("stage", Words),
            ("p50", Numbers),
            ("p90", Numbers),
            ("p99", Numbers),
            ("p50 before", Numbers),
            ("p90 before", Numbers),
            ("p99 before", Numbers),
        ]),
        rows: rows.collect(),
        note: Some("of exchanges that succeeded".to_owned()),
    }
}

fn usage(page: &Page) -> Table {
    use Set::{Numbers, Words};
    let has_cost = page.usage.total.cost_usd.is_some();
    let row = |used: &Used, who: &str| {
        let name = |name: &Option<String>| printable(name.as_deref().unwrap_or(who));
        let mut cells = vec![
            name(&used.developer),
            name(&used.model),
            grouped(used.exchanges),
            grouped(used.input_tokens),
            grouped(used.cached_input_tokens),
            grouped(used.output_tokens),
            grouped(used.reasoning_tokens),
        ];
        if has_cost {
            cells.push(used.cost_usd.map_or("-".to_owned(), |cost| format!("{cost:.2}")));
        }
        cells
    };
    let mut rows: Vec<_> = page.usage.rows.iter().map(|used| row(used, "others")).collect();
    if rows.len() > 1 {
        rows.push(row(&page.usage.total, "all"));
    }
    let mut columns = head(&[
        ("developer", Words),
        ("model", Words),
        ("exchanges", Numbers),
        ("input tokens", Numbers),
        ("cached", Numbers),
        ("output tokens", Numbers),
        ("reasoning", Numbers),
    ]);
    if has_cost {
        columns.push(("US$", Numbers));
    }
    let mut notes = Vec::new();
    if page.usage.estimated {
        notes.push("estimated from the exchanges that were read".to_owned());
    }
    if !page.usage.unpriced.is_empty() {
        let models: Vec<_> = page.usage.unpriced.iter().map(|model| printable(model)).collect();
        notes.push(format!("no price of {}", models.join(", ")));
    }
    Table {
        title: "Tokens by developer and model",
        head: columns,
        rows,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

fn hanging(page: &Page, zone: &TimeZone) -> Table {
    use Set::{Numbers, Words};
    let all = page.hanging.as_deref().unwrap_or_default();
    let rows = all.iter().take(HANGING).map(|row| {
        let seconds = row.seconds as f64 * 1e3;
        vec![printable(&row.exchange_id), moment(page, zone, row.started_at), duration(seconds)]
    });
    let more = all.len().saturating_sub(HANGING) as u64;
    Table {
        title: "Running now, oldest first",
        head: head(&[("exchange", Words), ("since", Words), ("for", Numbers)]),
        rows: rows.collect(),
        note: (more > 0).then(|| format!("{} more: -o json", grouped(more))),
    }
}
