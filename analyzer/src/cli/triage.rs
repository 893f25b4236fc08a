//! `analyzer triage`: one incident on one page.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use jiff::{Timestamp, Zoned};

use super::place::{self, Located, Place};
use super::progress::Waiting;
use super::{Exit, Failure, current_time, print, say, window};
use crate::hour::file::ReadError;
use crate::inquire::is_nowhere;
use crate::logs::source::LogSource;
use crate::number::count;
use crate::report::{self, Paint, printable};
use crate::text::secret::masked;
use crate::triage::detect::Scope;
use crate::triage::gather::{Gathered, MOST, gather};
use crate::triage::packet::{cases, packet};
use crate::triage::page::{Page, State, page};
use crate::triage::threshold::Threshold;
use crate::triage::usage::Prices;
use crate::triage::watch::watch;
use crate::window::{Window, parse_moment};

/// Logs that could not be read that are named.
const NAMED: usize = 5;

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer triage --source s3://my-bucket/codex
  analyzer triage --since 14:00 --until 15:00 -o html > incident.html
  analyzer triage --since 2h --support-packet case.md
  analyzer triage --since 15m --fail-on 'ongoing,errors>5%,throttles>0' --json > page.json   # in cron

Prices: {\"gpt-5.5\": {\"input\": 1.25, \"cached_input\": 0.125, \"output\": 10}}

What is usual is learnt from the baseline, the time just before --since. With a source on S3, or a
--stack, CloudWatch is asked for throttles and for what died or still runs. Ends with 5 when a
--fail-on is met, with 1 when there was no exchange. See `analyzer --help` for exit codes.")]
pub(super) struct TriageArguments {
    #[command(flatten)]
    place: Place,
    /// From when: 30m, 2h, 3d, 02:10, 2026-11-22 or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Until when; now by default
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How long before --since tells what is usual
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    baseline: String,
    /// Read at most N logs of the window, failures first; keys tell of the rest
    #[arg(long, value_name = "N", default_value_t = MOST)]
    max: usize,
    /// Do not ask CloudWatch
    #[arg(long)]
    no_cloudwatch: bool,
    /// Say what it costs: US dollars per million tokens, by model, in a JSON file (an example is below)
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Write the packet for OpenAI's support: request ids, times and statuses; no prompt, no output
    #[arg(long, value_name = "FILE")]
    support_packet: Option<PathBuf>,
    /// End with 5 if one of these holds: incident, ongoing, minor, major, critical, errors>5%, openai>100,
    /// throttles>0
    #[arg(long, value_name = "CONDITION", value_delimiter = ',')]
    fail_on: Vec<Threshold>,
    /// Show the tables too
    #[arg(long)]
    list: bool,
    /// Form of the page
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Output,
    /// Short for --output json
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Markdown,
    Json,
    Html,
}

pub(super) async fn run(arguments: TriageArguments) -> Result<Exit, Failure> {
    let now = current_time();
    let scope = scope(&arguments, &now)?;
    let prices = arguments.prices.as_deref().map(prices).transpose()?;
    let Located { source, resolved } = arguments.place.locate().await;
    let source = source.ok_or_else(|| place::nowhere(resolved.as_ref()))?;
    let source = place::open(&source).await?;
    let may_ask = !arguments.no_cloudwatch && (resolved.is_some() || arguments.place.is_on_aws());
    let ask = async {
        if !may_ask {
            return None;
        }
        let deployment = match resolved {
            Some(deployment) => deployment,
            None => arguments.place.deployment().await,
        };
        Some(Box::pin(watch(&deployment, &scope.window, &scope.baseline, scope.now)).await)
    };
    let (gathered, observed) =
        futures::join!(Box::pin(look(&source, &scope, arguments.max)), Box::pin(ask));
    let mut gathered = gathered?;
    // Where nobody named a function, and none is there, the proxy is a server.
    let names_one = arguments.place.names_deployment();
    let observed = observed.filter(|observed| names_one || !is_nowhere(observed));
    if let Some(observed) = &observed {
        gathered.take_spilled(observed, &scope.window, &scope.baseline);
    }
    let page = page(&gathered, observed, &scope, prices.as_ref());
    print(&written(&page, &arguments, &now));
    if let Some(file) = &arguments.support_packet {
        write_packet(file, &gathered, &page)?;
    }
    Ok(end(&page, &arguments))
}

/// Reads the logs and the compacted hours.
async fn look(
    source: &Arc<dyn LogSource>,
    scope: &Scope,
    most: usize,
) -> Result<Gathered, Failure> {
    let waiting = |all: u64, progress: Arc<crate::logs::read::Progress>| {
        Waiting::on(move || match all {
            0 => "reading compacted hours".to_owned(),
            all => format!("reading {} of {all} logs", progress.logs.load(Ordering::Relaxed)),
        })
    };
    let gathered = gather(source, &scope.window, &scope.baseline, most, waiting).await;
    gathered.map_err(|error| match error {
        ReadError::Source(error) => place::unreachable(&error),
        error => Failure { error: error.to_string(), hint: None, exit: Exit::Unreachable },
    })
}

fn written(page: &Page, arguments: &TriageArguments, now: &Zoned) -> String {
    let zone = now.time_zone();
    let output = if arguments.json { Output::Json } else { arguments.output };
    match output {
        Output::Json => report::page_to_json(page),
        Output::Html => report::page_to_html(page, zone),
        Output::Markdown => masked(&report::page_to_markdown(page, zone)).into_owned(),
        Output::Text => {
            let colours = std::io::stdout().is_terminal() && !no_color();
            let paint = if colours { Paint::Colours } else { Paint::Plain };
            let mut text = report::page_to_text(page, zone, paint);
            if arguments.list {
                text += &report::page_tables(page, zone);
            }
            masked(&text).into_owned()
        }
    }
}

/// Tells whether somebody wants no colours, as `NO_COLOR` and `TERM` say it.
fn no_color() -> bool {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    of("NO_COLOR").is_some() || of("TERM").is_some_and(|term| term == "dumb")
}

fn scope(arguments: &TriageArguments, now: &Zoned) -> Result<Scope, Failure> {
    let window = window(&arguments.since, arguments.until.as_deref(), now)?;
    let wrong = |error: String| Failure {
        error,
        hint: Some("--baseline takes a duration: 90m, 24h, 7d".to_owned()),
        exit: Exit::Usage,
    };
    let text = &arguments.baseline;
    let begin = parse_moment(text, now).map_err(|error| wrong(format!("--baseline: {error}")))?;
    let is_duration = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let length = now.timestamp().duration_since(begin);
    if !is_duration || !length.is_positive() {
        return Err(wrong(format!("--baseline: `{text}` is no duration")));
    }
    let since = window.since.checked_sub(length).unwrap_or(Timestamp::MIN);
    let baseline = Window { since, until: window.since };
    Ok(Scope { window, baseline, now: now.timestamp() })
}

fn prices(file: &Path) -> Result<Prices, Failure> {
    let name = printable(&file.display().to_string());
    let failure = |error: String, hint: &str| Failure {
        error: format!("--prices: {error}"),
        hint: Some(hint.to_owned()),
        exit: Exit::Usage,
    };
    let json = fs::read(file).map_err(|error| {
        failure(format!("cannot read `{name}`: {error}"), "it is a JSON file of yours")
    })?;
    serde_json::from_slice(&json).map_err(|error| {
        failure(
            format!("`{name}` is no list of prices: {error}"),
            "US dollars per million tokens: {\"gpt-5.5\": {\"input\": 1.25, \"cached_input\": 0.125, \"output\": 10}}",
        )
    })
}

fn write_packet(file: &Path, gathered: &Gathered, page: &Page) -> Result<(), Failure> {
    let cases = cases(&gathered.facts, page);
    let name = printable(&file.display().to_string());
    fs::write(file, packet(&cases, page)).map_err(|error| Failure {
        error: format!("cannot write `{name}`: {error}"),
        hint: None,
        exit: Exit::Usage,
    })?;
    let said = count(cases.listed.len() as u64, "request");
    say(&format!("wrote {name}: {said} of {} for OpenAI", cases.all));
    Ok(())
}

/// Names what is wrong with the data on stderr, and says how the command ends.
fn end(page: &Page, arguments: &TriageArguments) -> Exit {
    let whole = &page.whole;
    if whole.is_partial() {
        let logs = count(whole.unread_count, "log");
        say(&format!("warning: partial answer: {logs} could not be read"));
        for line in whole.unread.iter().take(NAMED) {
            say(&printable(&format!("  {line}")));
        }
    }
    for unseen in &whole.unseen {
        say(&printable(&format!("unseen  {unseen}")));
    }
    if !whole.unseen.is_empty() {
        say("hint: `analyzer permissions triage` prints the smallest policy that would do");
    }
    let met: Vec<_> =
        arguments.fail_on.iter().filter_map(|threshold| threshold.met(page)).collect();
    if !met.is_empty() {
        for met in met {
            say(&printable(&format!("failing on {met}")));
        }
        return Exit::Unhealthy;
    }
    let lacks_aws = !whole.unseen.is_empty() && arguments.place.names_deployment();
    match page.state {
        _ if whole.is_partial() || lacks_aws => Exit::Partial,
        State::Unknown => Exit::Unknown,
        State::Quiet | State::Over | State::Ongoing => Exit::Answered,
    }
}
