//! `analyzer capacity`: were there slots enough, and which command changes it.

use std::fmt::Write as _;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::json;

use super::named::Named;
use super::progress::Waiting;
use super::{Exit, Failure, current_time, end_of_unseen, print, say_unseen, window};
use crate::aws::aside::account;
use crate::aws::capacity::{Capacity, State, capacity};
use crate::aws::cloudwatch::{Observed, Scope, observe};
use crate::aws::deployment::Deployment;
use crate::aws::permission::Action;
use crate::number::{count, grouped};

/// Figures that capacity is read off.
const FIGURES: usize = 4;

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer capacity
  analyzer capacity --since 02:00 --stack codex-proxy-blue
  analyzer capacity --since 7d --json | jq .capacity.needed

needed is the most slots in use at a time; where requests were refused, requests a second in the
busiest refused minute times the mean time that an exchange holds its slot.
Ends with 5 when requests were refused. See `analyzer --help` for exit codes.")]
pub(super) struct CapacityArguments {
    #[command(flatten)]
    named: Named,
    /// From when: 30m, 2h, 3d, 02:10, 2026-11-22 or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Until when; now by default
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: CapacityArguments) -> Result<Exit, Failure> {
    let now = current_time();
    let window = window(&arguments.since, arguments.until.as_deref(), &now)?;
    let waiting = Waiting::on(|| "asking AWS".to_owned());
    let deployment = Deployment::resolve(arguments.named.names(None)).await;
    let (mut observed, account) = futures::join!(
        observe(&deployment, &window, Scope::Metrics, now.timestamp()),
        account(&deployment),
    );
    drop(waiting);
    let account = account.map_err(|unseen| observed.unseen.push(unseen)).ok();
    // The logs and names of other places are no matter here.
    observed.unseen.retain(|unseen| unseen.action != Action::GetFunctionConfiguration);
    let capacity = capacity(&observed, account);
    if arguments.json {
        print(&json(&observed, &capacity));
    } else {
        print(&text(&observed, &capacity, now.time_zone()));
    }
    say_unseen(&observed.unseen, "capacity");
    Ok(match (capacity.state, end_of_unseen(&observed.unseen, Action::GetMetricData)) {
        (State::Short, _) => Exit::Unhealthy,
        (_, Some(exit)) => exit,
        (State::Unknown, None) => Exit::Unknown,
        (State::Enough | State::Tight, None) => Exit::Answered,
    })
}

fn json(observed: &Observed, capacity: &Capacity) -> String {
    let value = json!({
        "function": observed.function,
        "region": observed.region,
        "window": {"since": observed.window.since, "until": observed.window.until.min(observed.asked_at)},
        "capacity": capacity,
        "command": capacity.command(),
        "unseen": observed.unseen,
    });
    format!("{value:#}\n")
}

/// The command that asks AWS for a larger account.
fn quota(capacity: &Capacity) -> String {
    // A quota is raised in hundreds; what must stay unreserved comes on top.
    let wanted =
        capacity.needed.unwrap_or(100).saturating_mul(2).max(900).div_ceil(100) * 100 + 100;
    format!(
        "aws service-quotas request-service-quota-increase --service-code lambda \
         --quota-code L-B99A9384 --desired-value {wanted}"
    )
}

/// What to look at where a figure is missing.
fn checks(observed: &Observed, capacity: &Capacity) -> Vec<String> {
    if !observed.saw_metrics() {
        return Vec::new();
    }
    let naming = &observed.naming;
    let mut checks = Vec::new();
    if capacity.url_requests.is_some_and(|requests| requests > 0) && capacity.invocations.is_none()
    {
        checks.push(format!(
            "analyzer validate{naming}: requests came, and none is known to have run"
        ));
    }
    checks.push(format!(
        "in 5 minutes again, for CloudWatch is late; or further back: analyzer capacity{naming} --since 24h"
    ));
    if capacity.missing().len() == FIGURES {
        checks.push("the name and the region: --stack or --function, AWS_REGION".to_owned());
    }
    checks
}

fn text(observed: &Observed, capacity: &Capacity, zone: &TimeZone) -> String {
    let number = |number: Option<u64>| number.map_or("no data point".to_owned(), grouped);
    let hour = |time: jiff::Timestamp| time.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let function = &observed.function;
    let mut text = match capacity.state {
        State::Short => format!(
            "short: Lambda refused {} to {function} for want of a slot.\nacts    us\n",
            capacity.throttles.map_or("requests".to_owned(), |all| count(all, "request"))
        ),
        State::Tight => {
            format!("tight: nobody was refused, but {function} nearly ran out of slots.\n")
        }
        State::Enough if capacity.room.is_some() => {
            format!("enough: nobody was refused, {function} has slots to spare.\n")
        }
        State::Enough => {
            format!("enough: nobody was refused; how many slots {function} has was not seen.\n")
        }
        State::Unknown if !observed.saw_metrics() => {
            format!("unknown: the metrics of {function} could not be read.\n")
        }
        State::Unknown if capacity.missing().len() == FIGURES => format!(
            "unknown: CloudWatch has no data point for {function}; either nothing ran, or it has another name.\n"
        ),
        State::Unknown => format!(
            "unknown: CloudWatch has no data point of {} for {function}.\n",
            capacity.missing().join(", ")
        ),
    };
    let mut line = |label: &str, said: String| {
        let _ = writeln!(text, "{label:8}{said}");
    };
    let reserved = match (capacity.reserved, capacity.shared) {
        (Some(slots), _) => format!("{slots} reserved"),
        (None, true) => "none reserved, the account's are shared".to_owned(),
        (None, false) => "reserved: not seen".to_owned(),
    };
    let needed = capacity.needed.map_or("not known".to_owned(), |needed| needed.to_string());
    let used = if observed.saw_metrics() { number(capacity.used) } else { "not seen".to_owned() };
    line("slots", format!("{reserved}; used at most: {used}; needed: {needed}"));
    if let Some(formula) = capacity.formula {
        line(
            "formula",
            format!(
                "{:.2} requests a second in the busiest refused minute ({}) x {:.0} s each",
                formula.per_second,
                hour(formula.at),
                formula.mean_s
            ),
        );
    }
    if let (Some((since, until)), Some(counts)) = (capacity.refused_between, capacity.meanwhile) {
        line(
            "proof",
            format!(
                "CloudWatch {}-{}: {}, {} ran, concurrency {}",
                hour(since),
                hour(until),
                counts.throttles.map_or("throttles".to_owned(), |all| count(all, "throttle")),
                number(counts.invocations),
                number(counts.concurrent_max)
            ),
        );
        let ended = "each ended a turn at once (Codex does not retry a 429)";
        line("hurt", format!("{ended}; throttled requests carry no name"));
    } else if observed.saw_metrics() {
        let requests = number(capacity.url_requests);
        let throttles = number(capacity.throttles);
        let ran = number(capacity.invocations);
        line("proof", format!("URL requests: {requests}; ran: {ran}; throttles: {throttles}"));
    }
    if let Some(account) = capacity.account {
        line(
            "account",
            format!(
                "{} slots, {} free to reserve",
                grouped(account.slots.into()),
                grouped(account.free.into())
            ),
        );
    }
    match (capacity.step(), capacity.state) {
        (Some(step), _) => line("do", step),
        (None, State::Unknown) => {
            for (index, step) in checks(observed, capacity).iter().enumerate() {
                line(if index == 0 { "check" } else { "" }, step.clone());
            }
        }
        (None, _) if capacity.account_too_small => {}
        (None, _) => line("do", "nothing".to_owned()),
    }
    if capacity.account_too_small {
        line("", format!("the account has too few slots; ask for more: {}", quota(capacity)));
    }
    let until = observed.window.until.min(observed.asked_at);
    let looked = crate::window::Window { since: observed.window.since, until };
    let region = observed.region.as_deref().unwrap_or("no region");
    line("looked", format!("{}, {region}", looked.describe(zone)));
    text
}
