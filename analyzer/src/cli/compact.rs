//! `analyzer compact`: logs/ → parquet/.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::place::{Place, unreachable};
use super::progress::Waiting;
use super::{Exit, Failure, current_time, print, say};
use crate::compact::plan::{Plan, last_closed, plan};
use crate::compact::publish::{self, PublishError};
use crate::compact::run::Compactor;
use crate::compact::{CompactError, Compacted, Done, Options};
use crate::hour::write::Bodies;
use crate::hour::{CLOSED_AFTER, Hour};
use crate::number::{bytes, count, grouped};
use crate::report::printable;
use crate::window::{Window, parse_moment};

/// So many names of logs are said; all of them stand in the JSON.
const NAMED: usize = 10;
/// How far back is compacted by default: late logs come within a day.
const SINCE: SignedDuration = SignedDuration::from_hours(48);

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer compact --source s3://my-bucket/codex                 the closed hours of the last two days
  analyzer compact --date 2026-11-22                             a day, of UTC
  analyzer compact --date 2026-11-22 --hour 2                    an hour, closed or not
  analyzer compact --since 30d --dry-run                         what there is to do
  analyzer compact --date 2026-11-22 --bodies errors             keep the bodies of failures only, for good

Each hour becomes one file, parquet/day=YYYY-MM-DD/hour=HH/exchanges.parquet, by one conditional write:
readers see the old file or the new one. A rerun takes in late logs, and changes nothing where there are
none. No log is deleted. Hours are compacted 20 minutes after their end. --date and --hour are UTC, and so
are the hours that are shown; --since means the time of this machine unless it says a zone.

Bodies that are left out come back only while their logs are there. What a failure says of itself stays, up
to 64 KiB, in error_body.")]
pub(super) struct CompactArguments {
    #[command(flatten)]
    place: Place,
    /// A day of UTC, as 2026-11-22
    #[arg(long, value_name = "DATE", conflicts_with = "since")]
    date: Option<Date>,
    /// One hour of it, 0 to 23; without --date, of today
    #[arg(long, value_name = "HOUR", value_parser = clap::value_parser!(i8).range(0..24), conflicts_with = "since")]
    hour: Option<i8>,
    /// The closed hours since then: 2h, 3d, 02:10, 2026-11-22 or RFC 3339; by default two days
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Which bodies are kept; by default those that the published file keeps, and all in a new one
    #[arg(long, value_enum)]
    bodies: Option<Bodies>,
    /// Say what there is to do, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// The result of `analyzer compact`, as JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CompactPage {
    /// What came of each hour, oldest first.
    hours: Vec<HourPage>,
    /// Hours of the window that are not closed yet, as `YYYY-MM-DDTHH`.
    open: Vec<String>,
    /// Rows that were added.
    added: u64,
    /// Logs that became no row, because they are none.
    quarantined: u64,
    /// Hours that were not compacted.
    failed: u64,
    /// Objects below `logs/` that are no logs by their names.
    unrecognised: Vec<String>,
}

/// What came of an hour.
#[derive(Debug, Serialize, JsonSchema)]
struct HourPage {
    /// As `YYYY-MM-DDTHH`, UTC.
    hour: String,
    /// `empty`, `unchanged`, `published`, `updated`, `planned` or `failed`.
    done: &'static str,
    /// Rows of its file.
    rows: u64,
    /// Rows that are new in it.
    added: u64,
    /// Bytes of their logs, as stored.
    log_bytes: u64,
    /// Bytes of the file.
    file_bytes: u64,
    /// Logs of exchanges that have a row from another log.
    duplicates: Vec<String>,
    /// Logs that became no row, because they are none.
    quarantined: Vec<QuarantinedPage>,
    /// Logs that were deleted before they could be read.
    gone: Vec<String>,
    /// Logs that became rows, and whose records say another id, time or outcome than their keys.
    mismatched: Vec<String>,
    /// Why it was not compacted.
    error: Option<String>,
}

/// A log that became no row.
#[derive(Debug, Serialize, JsonSchema)]
struct QuarantinedPage {
    /// Its key.
    key: String,
    /// Why.
    why: String,
}

/// Renders the JSON Schema of the result.
pub(super) fn schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<CompactPage>();
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

pub(super) async fn run(arguments: CompactArguments) -> Result<Exit, Failure> {
    let now = current_time();
    let named = arguments.place.resolve().await?;
    let source = super::place::open(&named).await?;
    let planned = hours(&arguments, &now)?;
    if let Some(first) = planned.open.first() {
        let (hours, closed) = (planned.open.len(), first.next().start() + CLOSED_AFTER);
        let hours = count(hours as u64, "hour");
        say(&format!("note: left out {hours} from {first} on: closed from {closed} on"));
    }
    let publisher = publish::open(&named).await.map_err(|error| unreachable(&error))?;
    let options = Options { bodies: arguments.bodies, only_new: false, dry_run: arguments.dry_run };
    let mut compactor = Compactor::new(Arc::clone(&source), publisher, options, None);
    let hours = {
        let _listing = Waiting::on(|| "listing hours".to_owned());
        compactor.with_logs(&planned.hours).await.map_err(|error| failure(&error))?
    };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for hour in hours {
        let progress = compactor.progress();
        let waiting = Waiting::on(move || {
            let of =
                |number: &std::sync::atomic::AtomicU64| grouped(number.load(Ordering::Relaxed));
            format!("compacting {hour}: {} of {} logs", of(&progress.read), of(&progress.of))
        });
        let compacted = Box::pin(compactor.compact(hour)).await;
        drop(waiting);
        match compacted {
            Ok(compacted) => {
                if !arguments.json && compacted.done != Done::Empty {
                    print(&format!("{}\n", line(&compacted)));
                }
                say_names(&compacted);
                done.push(compacted);
            }
            Err(error) if is_everywhere(&error) => return Err(failure(&error)),
            Err(error) => {
                say(&format!("error: {hour}: {}", printable(&error.to_string())));
                failed.push((hour, error));
            }
        }
    }
    // Where nothing at all can be read, that is no partial answer.
    let is_any = done.iter().any(|hour| hour.done != Done::Empty);
    if let [(_, error @ CompactError::Unread { first, .. }), ..] = failed.as_slice()
        && !is_any
    {
        let error = error.to_string();
        return Err(Failure { error, ..unreachable(first) });
    }
    let page = page(&done, &failed, &planned.open);
    if let [first, ..] = page.unrecognised.as_slice() {
        let objects = count(page.unrecognised.len() as u64, "object");
        let what = "below logs/ passed over: not the name of a log";
        say(&printable(&format!("note: {objects} {what}: {first}")));
    }
    if arguments.json {
        print(&(serde_json::to_string_pretty(&page).unwrap_or_default() + "\n"));
    } else {
        let failed = match failed.len() {
            0 => String::new(),
            number => format!("; {} not compacted", count(number as u64, "hour")),
        };
        print(&format!("{}{failed}\n", summary(&done, arguments.dry_run)));
    }
    let is_whole = failed.is_empty()
        && done.iter().all(|hour| hour.quarantined.is_empty() && hour.gone.is_empty());
    Ok(if is_whole { Exit::Answered } else { Exit::Partial })
}

/// Plans the hours that the flags name.
fn hours(arguments: &CompactArguments, now: &jiff::Zoned) -> Result<Plan, Failure> {
    let wrong = |error: String| Failure {
        error,
        hint: Some("see `analyzer compact --help`".to_owned()),
        exit: Exit::Usage,
    };
    let clock = now.timestamp();
    let today = || jiff::tz::TimeZone::UTC.to_datetime(clock).date();
    if let Some(number) = arguments.hour {
        let day = arguments.date.unwrap_or_else(today);
        let hour = Hour::parse(&day.to_string(), number)
            .filter(|hour| hour.start() <= clock)
            .ok_or_else(|| wrong(format!("{day}, hour {number}, has not begun")))?;
        return Ok(Plan { hours: vec![hour], open: Vec::new() });
    }
    let window = match (arguments.date, &arguments.since) {
        (Some(day), _) => {
            let first = Hour::parse(&day.to_string(), 0).map(Hour::start);
            let since = first.filter(|start| *start <= clock);
            let since = since.ok_or_else(|| wrong(format!("{day} has not begun")))?;
            Window { since, until: since + SignedDuration::from_hours(24) }
        }
        (None, Some(since)) => {
            let since =
                parse_moment(since, now).map_err(|error| wrong(format!("--since: {error}")))?;
            if since >= clock {
                return Err(wrong(format!("--since {since} lies in the future")));
            }
            Window { since, until: clock }
        }
        (None, None) => Window { since: earlier(clock), until: last_closed(clock).next().start() },
    };
    Ok(plan(&window, clock))
}

fn earlier(now: Timestamp) -> Timestamp {
    now.checked_sub(SINCE).unwrap_or(now)
}

/// Tells whether an error would meet the other hours, too.
fn is_everywhere(error: &CompactError) -> bool {
    use crate::logs::source::SourceError;
    matches!(
        error,
        CompactError::Source(SourceError::Denied(_) | SourceError::Elsewhere { .. })
            | CompactError::Publish(PublishError::Denied(_))
    )
}

fn failure(error: &CompactError) -> Failure {
    match error {
        CompactError::Source(error) => unreachable(error),
        error => Failure {
            error: error.to_string(),
            hint: Some("`analyzer permissions compact` prints the smallest policy".to_owned()),
            exit: Exit::Unreachable,
        },
    }
}

/// Says in a line what came of an hour.
fn line(of: &Compacted) -> String {
    let (rows, added) = (grouped(of.rows), grouped(of.added));
    let (from, to) = (bytes(of.log_bytes), bytes(of.file_bytes));
    let what = match of.done {
        Done::Empty | Done::Unchanged => format!("{rows} rows"),
        Done::Planned => format!("{} to read, {from}", count(of.added, "log")),
        Done::Published | Done::Updated => {
            format!("{rows} rows, {added} new from {from} of logs; {to}")
        }
    };
    let odd = [
        (of.duplicates.len(), "duplicate"),
        (of.quarantined.len(), "bad object"),
        (of.gone.len(), "missing log"),
        (of.mismatched.len(), "wrong key"),
    ];
    let odd = odd.iter().filter(|(number, _)| *number > 0);
    let odd: String =
        odd.map(|(number, of)| ", ".to_owned() + &count(*number as u64, of)).collect();
    format!("{}  {:<9}  {what}{odd}", of.hour, of.done.name())
}

/// Names the logs that became no row, or another than their keys tell.
fn say_names(of: &Compacted) {
    let bad = of.quarantined.iter().map(|bad| format!("{}: {}", bad.key, bad.why)).collect();
    let gone = of.gone.clone();
    let kinds: [(Vec<String>, &str, &str); 3] = [
        (bad, "object", "became no row and stayed in place"),
        (gone, "log", "deleted before it could be read"),
        (of.mismatched.clone(), "log", "whose record differs from its key: the record counts"),
    ];
    for (names, thing, what) in kinds.iter().filter(|(names, ..)| !names.is_empty()) {
        say(&format!("warning: {}: {} {what}", of.hour, count(names.len() as u64, thing)));
        for name in names.iter().take(NAMED) {
            say(&printable(&format!("  {name}")));
        }
    }
}

fn summary(done: &[Compacted], is_dry: bool) -> String {
    let sum = |of: fn(&Compacted) -> u64| done.iter().map(of).sum::<u64>();
    let written = done
        .iter()
        .filter(|hour| matches!(hour.done, Done::Published | Done::Updated | Done::Planned));
    let hours = count(written.clone().count() as u64, "hour");
    let (added, from) = (count(sum(|hour| hour.added), "log"), bytes(sum(|hour| hour.log_bytes)));
    if written.clone().next().is_none() {
        return format!("nothing new in {}", count(done.len() as u64, "hour"));
    }
    if is_dry {
        return format!("to do: {hours}, {added}, {from}");
    }
    let to = bytes(written.map(|hour| hour.file_bytes).sum());
    format!("compacted {hours}: {added}, {from} → {to} of Parquet")
}

fn page(done: &[Compacted], failed: &[(Hour, CompactError)], open: &[Hour]) -> CompactPage {
    let bad = |bad: &crate::compact::Quarantined| QuarantinedPage {
        key: bad.key.clone(),
        why: bad.why.clone(),
    };
    let of_done = done.iter().map(|of| HourPage {
        hour: of.hour.to_string(),
        done: of.done.name(),
        rows: of.rows,
        added: of.added,
        log_bytes: of.log_bytes,
        file_bytes: of.file_bytes,
        duplicates: of.duplicates.clone(),
        quarantined: of.quarantined.iter().map(bad).collect(),
        gone: of.gone.clone(),
        mismatched: of.mismatched.clone(),
        error: None,
    });
    let of_failed = failed.iter().map(|(hour, error)| HourPage {
        hour: hour.to_string(),
        done: "failed",
        rows: 0,
        added: 0,
        log_bytes: 0,
        file_bytes: 0,
        duplicates: Vec::new(),
        quarantined: Vec::new(),
        gone: Vec::new(),
        mismatched: Vec::new(),
        error: Some(error.to_string()),
    });
    let unrecognised: BTreeSet<_> = done.iter().flat_map(|of| &of.unrecognised).collect();
    let mut hours: Vec<_> = of_done.chain(of_failed).collect();
    hours.sort_by(|a, b| a.hour.cmp(&b.hour));
    CompactPage {
        added: hours.iter().map(|hour| hour.added).sum(),
        quarantined: hours.iter().map(|hour| hour.quarantined.len() as u64).sum(),
        failed: failed.len() as u64,
        unrecognised: unrecognised.into_iter().cloned().collect(),
        open: open.iter().map(Hour::to_string).collect(),
        hours,
    }
}
