//! `analyzer recover`: spilled records out of the lines, into the logs.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::named::Named;
use super::place::{hint_at_parent, parent_of_logs};
use super::progress::Waiting;
use super::{Exit, Failure, current_time, end_of_unseen, print, say, say_unseen, window};
use crate::aws::cloudwatch::{Limits, LinesProgress, Scope, Unseen, observe_within};
use crate::aws::deployment::Deployment;
use crate::aws::permission::Action;
use crate::aws::recover::{self, Recovered};
use crate::logs::source;
use crate::report::printable;
use schemas::spill::Spilled;

/// Keys that are named.
const NAMED: usize = 20;

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer recover --dry-run
  analyzer recover --since 7d --stack codex-proxy-blue
  analyzer recover --from proxy-stdout.log --source ./codex-proxy-logs
  aws logs tail /aws/lambda/codex-proxy --since 1d | \\
    analyzer recover --from - --source s3://my-bucket/codex

A record is put only where nothing is yet, so it can be run again and again. Ends with 4 when a
record is broken, could not be put, or stands there with other bytes.
See `analyzer --help` for exit codes.")]
pub(super) struct RecoverArguments {
    #[command(flatten)]
    named: Named,
    /// Where the records go: the folder or `s3://BUCKET[/PREFIX]` above logs/ [default: the
    /// deployment's]
    #[arg(long, env = "ANALYZER_SOURCE", value_name = "PLACE")]
    source: Option<String>,
    /// Read this file in place of the log group: saved or exported lines; - is stdin
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
    /// From when the lines are read: 30m, 2h, 3d, 02:10, 2026-11-22 or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "24h", conflicts_with = "from")]
    since: String,
    /// Until when; now by default
    #[arg(long, value_name = "TIME", conflicts_with = "from")]
    until: Option<String>,
    /// Say what would be put, and put nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found, and where.
struct Found {
    place: String,
    spilled: Vec<Spilled>,
    broken: Vec<String>,
    unseen: Vec<Unseen>,
    /// From when on the lines were read, where that is later than was asked for.
    unread_before: Option<Timestamp>,
}

pub(super) async fn run(arguments: RecoverArguments) -> Result<Exit, Failure> {
    let source = arguments.source.clone().filter(|place| !place.is_empty());
    let needs_aws = arguments.from.is_none() || source.is_none();
    let deployment = match (needs_aws, &source) {
        (false, Some(place)) if !place.starts_with("s3://") => None,
        _ => Some(Deployment::resolve(arguments.named.clone().names(source.clone())).await),
    };
    let place = source.or_else(|| deployment.as_ref().and_then(|it| it.source.clone()));
    let Some(place) = place else {
        if let Some(deployment) = &deployment {
            say_unseen(&deployment.unseen, "recover");
        }
        return Err(Failure {
            error: "nothing says where the logs are".to_owned(),
            hint: Some("name them: --source s3://BUCKET[/PREFIX] or a folder".to_owned()),
            exit: Exit::Unreachable,
        });
    };
    let found = match (&arguments.from, &deployment) {
        (Some(file), _) => of_file(file)?,
        (None, Some(deployment)) => of_lines(&arguments, deployment).await?,
        (None, None) => return Err(unreadable("the log group", "no deployment is named")),
    };
    // A folder asks nothing of AWS.
    let nowhere = aws_config::SdkConfig::builder().build();
    let aws = deployment.as_ref().map_or(&nowhere, Deployment::config);
    let configuration = deployment.as_ref().and_then(|it| it.configuration.as_ref());
    let kms_key = configuration.and_then(|configuration| configuration.kms_key.as_deref());
    let destination = recover::open(&place, aws, kms_key);
    if parent_of_logs(&place).is_some()
        && let Ok(source) = source::open(&place).await
    {
        hint_at_parent(&place, &*source).await;
    }
    let Found { place: from, spilled, broken, unseen, unread_before } = found;
    let is_all = unread_before.is_none();
    let (all, done) = (spilled.len(), Arc::new(AtomicU64::new(0)));
    let seen = Arc::clone(&done);
    let waiting = Waiting::on(move || {
        format!("putting records in their place: {} of {all}", seen.load(Ordering::Relaxed))
    });
    let recovered =
        recover::recover(spilled, broken, &*destination, arguments.dry_run, &done).await;
    drop(waiting);
    let is_blind = end_of_unseen(&unseen, Action::FilterLogEvents);
    if arguments.json {
        print(&json(&arguments, &from, &place, is_all, &recovered, &unseen));
    } else {
        print(&text(&from, &place, arguments.dry_run, &recovered));
    }
    if let Some(before) = unread_before {
        say(&format!(
            "warning: lines before {before} were not read; run it again with --until {before}"
        ));
    }
    name(&recovered);
    say_unseen(&unseen, "recover");
    Ok(match is_blind {
        Some(exit) => exit,
        None if recovered.is_whole() && is_all => Exit::Answered,
        None => Exit::Partial,
    })
}

fn of_file(file: &str) -> Result<Found, Failure> {
    let lines = match file {
        "-" => recover::read_exported(io::stdin().lock()),
        file => File::open(file).and_then(recover::read_exported),
    };
    let lines = lines.map_err(|error| unreadable(file, &error.to_string()))?;
    let (spilled, broken) = recover::assemble(lines);
    let place = if file == "-" { "stdin" } else { file }.to_owned();
    Ok(Found { place, spilled, broken, unseen: Vec::new(), unread_before: None })
}

async fn of_lines(arguments: &RecoverArguments, deployment: &Deployment) -> Result<Found, Failure> {
    let now = current_time();
    let window = window(&arguments.since, arguments.until.as_deref(), &now)?;
    let scope = Scope::MetricsAndLines;
    let progress = Arc::new(LinesProgress::default());
    let (group, seen) = (deployment.log_group.clone(), Arc::clone(&progress));
    let waiting = Waiting::on(move || format!("reading lines of {group}: {seen}"));
    let observed =
        observe_within(deployment, &window, scope, now.timestamp(), Limits::WORK, &progress).await;
    drop(waiting);
    let unread_before = observed.lines_since.filter(|since| *since > window.since);
    let mut unseen = observed.unseen;
    unseen.retain(|unseen| unseen.action == Action::FilterLogEvents);
    Ok(Found {
        place: deployment.log_group.clone(),
        spilled: observed.spilled,
        broken: observed.broken_spills,
        unread_before,
        unseen,
    })
}

fn unreadable(place: &str, why: &str) -> Failure {
    Failure { error: format!("cannot read `{place}`: {why}"), hint: None, exit: Exit::Unreachable }
}

fn text(from: &str, place: &str, is_dry: bool, recovered: &Recovered) -> String {
    let Recovered { found, put, already, other_bytes, broken, no_log, failed } = recovered;
    let verb = if is_dry { "would be put" } else { "put" };
    let mut text = format!(
        "{found} spilled records in {from}: {} {verb} into {place}, {already} were there already",
        put.len()
    );
    let wrong = [
        (other_bytes.len(), "stand there with other bytes"),
        (broken.len(), "are broken"),
        (no_log.len(), "name no log"),
        (failed.len(), "could not be put"),
    ];
    for (count, what) in wrong.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    printable(&text) + "\n"
}

/// Names on stderr what is not in its place.
fn name(recovered: &Recovered) {
    let key = |key: &String| key.clone();
    let all = [
        (
            "stands there with other bytes",
            recovered.other_bytes.iter().map(key).collect::<Vec<_>>(),
        ),
        ("is broken: a part is missing or damaged", recovered.broken.iter().map(key).collect()),
        ("names no log, and is not put anywhere", recovered.no_log.iter().map(key).collect()),
    ];
    for (what, keys) in all {
        for key in keys.iter().take(NAMED) {
            say(&printable(&format!("  {key} {what}")));
        }
    }
    for failed in recovered.failed.iter().take(NAMED) {
        say(&printable(&format!("  {}: {}", failed.key, failed.why)));
    }
    if recovered.failed.iter().any(|failed| failed.why.contains(" denied")) {
        say("hint: `analyzer permissions recover` prints the smallest policy that would do");
    }
    if !recovered.broken.is_empty() {
        say("hint: a part may stand before --since, or the log group's retention has taken it");
    }
}

fn json(
    arguments: &RecoverArguments,
    from: &str,
    place: &str,
    is_all: bool,
    recovered: &Recovered,
    unseen: &[Unseen],
) -> String {
    let value = json!({
        "from": from,
        "into": place,
        "dry_run": arguments.dry_run,
        "all_lines_read": is_all && unseen.is_empty(),
        "recovered": recovered,
        "unseen": unseen,
    });
    format!("{value:#}\n")
}
