//! The scheduled compaction: the same binary as a Lambda function, invoked by a schedule of `EventBridge`.
//!
//! In comes an event that says which hours; out goes what came of them, as JSON and as a line in
//! CloudWatch Logs. Hours are done one after another, the youngest first, until the time that Lambda gives
//! is nearly over. What is left then is an error, so that Lambda, the schedule, or its alarm brings it up
//! again; and since a finished hour is only looked at, the next run goes on where this one stopped.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::compact::plan::{last_closed, plan};
use crate::compact::run::Compactor;
use crate::compact::{CompactError, Compacted, Done, Options, publish};
use crate::hour::Hour;
use crate::hour::write::Bodies;
use crate::logs::source::{self, LogSource};
use crate::window::Window;

/// What is left of the time for the answer, and for ending what is under way.
const RESERVE: Duration = Duration::from_secs(10);
/// Closed hours that the hourly run looks at: the last one, and two more, should a run have failed.
const HOURLY: SignedDuration = SignedDuration::from_hours(3);
/// How far back the daily run looks for late logs: as long as logs are kept, if nobody says otherwise.
const DAILY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Tells whether this process is a Lambda function.
#[must_use]
pub fn is_here() -> bool {
    env::var_os("AWS_LAMBDA_RUNTIME_API").is_some()
}

/// What an event asks for: `{"run": "hourly"}`, `{"run": "daily"}`, `{"date": "2026-11-22"}`, or one
/// hour of it, `{"date": "2026-11-22", "hour": 2}`. Anything else that a schedule sends is the hourly run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Asked {
    run: Option<Run>,
    date: Option<String>,
    hour: Option<i8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Run {
    Hourly,
    Daily,
}

/// What came of a run.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Hours whose file was written.
    written: Vec<String>,
    /// Hours in which nothing was new.
    unchanged: usize,
    /// Rows that were added.
    added: u64,
    /// Objects that became no row, because they are no logs.
    quarantined: Vec<String>,
    /// Logs of exchanges that have a row from another log.
    duplicates: usize,
    /// Logs that were deleted before they could be read.
    gone: Vec<String>,
    /// Logs that became rows, and whose records say something else than their keys.
    mismatched: usize,
    /// Hours that were not compacted, and why.
    failed: Vec<String>,
    /// Hours for which there was no time left.
    left: Vec<String>,
}

/// Serves the function until Lambda ends it.
#[must_use]
pub fn run() -> std::process::ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(lambda_runtime::run(service_fn(handle))),
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            log(&serde_json::json!({"error": error.to_string()}));
            std::process::ExitCode::FAILURE
        }
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let left = Duration::from_millis(event.context.deadline).checked_sub(now_since_epoch());
    let until = Instant::now() + left.unwrap_or_default().saturating_sub(RESERVE);
    let done = compact(&event.payload, until).await;
    let value = match &done {
        Ok(report) => serde_json::to_value(report)?,
        Err(error) => serde_json::json!({"error": error}),
    };
    log(&value);
    let report = done?;
    if !report.failed.is_empty() || !report.left.is_empty() {
        let (failed, left) = (report.failed.join("; "), report.left.join(", "));
        return Err(format!("failed: [{failed}]; no time left for: [{left}]").into());
    }
    Ok(value)
}

/// Carries out a run, up to a moment.
async fn compact(event: &Value, until: Instant) -> Result<Report, String> {
    let hours = hours(&asked(event)?, now())?;
    let place = env::var("ANALYZER_SOURCE").unwrap_or_default();
    if place.is_empty() {
        return Err("ANALYZER_SOURCE is not set: s3://BUCKET[/PREFIX]".to_owned());
    }
    let bodies = match env::var("ANALYZER_BODIES") {
        Err(_) => None,
        Ok(name) => Some(
            Bodies::parse(&name)
                .ok_or_else(|| format!("ANALYZER_BODIES is `{name}`: full, errors or none"))?,
        ),
    };
    let opened = source::open(&place).await.map_err(|error| error.to_string())?;
    let source: Arc<dyn LogSource> = opened.into();
    let publisher = publish::open(&place).await.map_err(|error| error.to_string())?;
    // What somebody asked for by hand is not taken back by the schedule.
    let options = Options { bodies, only_new: true, dry_run: false };
    let mut compactor = Compactor::new(source, publisher, options, Some(until));
    let listed = timeout_at(until + RESERVE / 2, compactor.with_logs(&hours)).await;
    let listed = listed.map_err(|_| "there was no time to list the hours".to_owned())?;
    let mut report = Report::default();
    // The youngest first: one that takes too long holds up what had its turn already.
    for hour in listed.map_err(|error| error.to_string())?.into_iter().rev() {
        match timeout_at(until, Box::pin(compactor.compact(hour))).await {
            Ok(came) => report.take(hour, came),
            Err(_) => report.left.push(hour.to_string()),
        }
    }
    Ok(report)
}

impl Report {
    fn take(&mut self, hour: Hour, came: Result<Compacted, CompactError>) {
        match came {
            Ok(compacted) => {
                match compacted.done {
                    Done::Published | Done::Updated => self.written.push(hour.to_string()),
                    Done::Empty | Done::Unchanged | Done::Planned => self.unchanged += 1,
                }
                self.added += compacted.added;
                self.quarantined.extend(compacted.quarantined.into_iter().map(|bad| bad.key));
                self.duplicates += compacted.duplicates.len();
                self.gone.extend(compacted.gone);
                self.mismatched += compacted.mismatched.len();
            }
            Err(CompactError::OutOfTime(_)) => self.left.push(hour.to_string()),
            Err(error) => self.failed.push(format!("{hour}: {error}")),
        }
    }
}

/// Reads what an event asks for.
fn asked(event: &Value) -> Result<Asked, String> {
    if !event.is_object() {
        return Ok(Asked::default());
    }
    Deserialize::deserialize(event)
        .map_err(|error| format!("the event says something else than run, date and hour: {error}"))
}

/// Returns the hours that are asked for, oldest first.
fn hours(asked: &Asked, now: Timestamp) -> Result<Vec<Hour>, String> {
    let of_day = |date: &str, hour: i8| {
        let known = Hour::parse(date, hour).filter(|hour| hour.start() <= now);
        known.ok_or_else(|| format!("`{date}`, hour {hour}, is no hour that has begun"))
    };
    let back = match (&asked.date, asked.hour, asked.run) {
        (Some(date), Some(hour), _) => return Ok(vec![of_day(date, hour)?]),
        (Some(date), None, _) => {
            let since = of_day(date, 0)?.start();
            let window = Window { since, until: since + SignedDuration::from_hours(24) };
            return Ok(plan(&window, now).hours);
        }
        (None, Some(_), _) => return Err("`hour` without `date`".to_owned()),
        (None, None, Some(Run::Daily)) => DAILY,
        (None, None, Some(Run::Hourly) | None) => HOURLY,
    };
    let until = last_closed(now).next().start();
    let since = until.checked_sub(back).unwrap_or(until);
    Ok(plan(&Window { since, until }, now).hours)
}

/// Leaves a line in CloudWatch Logs.
fn log(value: &Value) {
    #[expect(clippy::print_stdout, reason = "stdout of a function goes to CloudWatch Logs")]
    {
        println!("{}", serde_json::json!({"event": "compacted", "report": value}));
    }
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a schedule means the time that it is")]
    Timestamp::now()
}

fn now_since_epoch() -> Duration {
    Duration::from_millis(u64::try_from(now().as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hours_of(event: &Value) -> Result<Vec<String>, String> {
        let now = "2026-11-22T05:10:00Z".parse().expect("a time");
        let hours = hours(&asked(event)?, now)?;
        Ok(hours.iter().map(Hour::to_string).collect())
    }

    #[test]
    fn a_schedule_asks_for_closed_hours_only() {
        let hourly = vec!["2026-11-22T01", "2026-11-22T02", "2026-11-22T03"];
        for event in [
            json!({"run": "hourly"}),
            json!({}),
            json!(null),
            json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
        ] {
            assert_eq!(hours_of(&event).expect("an event"), hourly, "{event}");
        }
        assert_eq!(hours_of(&json!({"run": "daily"})).expect("an event").len(), 30 * 24);
        let day = hours_of(&json!({"date": "2026-11-22"})).expect("an event");
        assert_eq!(day, ["2026-11-22T00", "2026-11-22T01", "2026-11-22T02", "2026-11-22T03"]);
        let one = hours_of(&json!({"date": "2026-11-20", "hour": 7})).expect("an event");
        assert_eq!(one, ["2026-11-20T07"]);
    }

    #[test]
    fn what_is_no_hour_is_refused() {
        for event in [
            json!({"run": "weekly"}),
            json!({"hour": 3}),
            json!({"date": "2026-11-23"}),
            json!({"date": "2026-11-22", "hour": 24}),
            json!({"date": 20_261_122}),
        ] {
            hours_of(&event).expect_err(&event.to_string());
        }
    }
}
