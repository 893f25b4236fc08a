//! `analyzer validate`: is the deployment well?

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::named::Named;
use super::progress::Waiting;
use super::{Exit, Failure, current_time, print, say};
use crate::aws::deployment::Deployment;
use crate::aws::validate::{self, Check, Health, Status};
use crate::report::printable;

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer validate
  analyzer validate --stack codex-proxy-blue
  analyzer validate --json | jq '.checks[] | select(.status == \"failed\")'

The first five checks say whether all parts are there: the function and its invocations, its log
lines, tokens, today's logs, the OpenAI key (which is never read). The others are what breaks in
practice. A fresh stack is pending, not broken. Ends with 0 when healthy or pending, 5 when a check
failed, 4 when a right is missing, 3 when AWS cannot be reached.
See `analyzer --help` for exit codes.")]
pub(super) struct ValidateArguments {
    #[command(flatten)]
    named: Named,
    /// Where the logs are: `s3://BUCKET[/PREFIX]` [default: the deployment's]
    #[arg(long, env = "ANALYZER_SOURCE", value_name = "PLACE")]
    source: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: ValidateArguments) -> Result<Exit, Failure> {
    let now = current_time();
    let waiting = Waiting::on(|| "asking AWS".to_owned());
    let deployment = Deployment::resolve(arguments.named.names(arguments.source)).await;
    let facts = Box::pin(validate::gather(&deployment, now.timestamp())).await;
    drop(waiting);
    let checks = validate::check(&facts);
    let health = validate::health(&checks, facts.is_unreachable());
    if arguments.json {
        let value = json!({
            "stack": deployment.stack,
            "function": deployment.function,
            "region": deployment.region,
            "health": health,
            "checks": checks,
            "assumed": deployment.assumed,
        });
        print(&format!("{value:#}\n"));
    } else {
        print(&text(&deployment, &checks, health));
    }
    if !deployment.assumed.is_empty() {
        say(&format!(
            "note: not told by the function, so taken: {}",
            deployment.assumed.join(", ")
        ));
    }
    Ok(match health {
        Health::Healthy | Health::Pending => Exit::Answered,
        Health::Unhealthy => Exit::Unhealthy,
        Health::Partial => Exit::Partial,
        Health::Unreachable => Exit::Unreachable,
    })
}

fn text(deployment: &Deployment, checks: &[Check], health: Health) -> String {
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let all = checks.len();
    let verdict = match health {
        Health::Healthy if count(Status::Warning) > 0 => {
            format!("healthy: none of {all} checks failed")
        }
        Health::Healthy => format!("healthy: all {all} checks are well"),
        Health::Pending => {
            format!(
                "pending: nothing is broken, {} of {all} wait for a first time",
                count(Status::Pending)
            )
        }
        Health::Unhealthy => format!("unhealthy: {} of {all} checks failed", count(Status::Failed)),
        Health::Partial => {
            format!("partial: nothing failed, {} of {all} could not be seen", count(Status::Unseen))
        }
        Health::Unreachable => "unreachable: AWS could not be asked".to_owned(),
    };
    let region = deployment.region.as_deref().unwrap_or("no region");
    let warnings = match count(Status::Warning) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    // The stack names the function, unless somebody did.
    let mut text = format!("{} in {region}, {verdict}{warnings}\n", deployment.function);
    for check in checks {
        let status = match check.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Pending => "pending",
            Status::Failed => "failed",
            Status::Unseen => "unseen",
        };
        let _ = writeln!(text, "{status:9}{:15}{}", check.name, printable(&check.found));
        if let Some(hint) = &check.hint {
            let _ = writeln!(text, "{:24}{}", "", printable(hint));
        }
    }
    text
}
