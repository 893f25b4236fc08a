//! `analyzer permissions`: the smallest IAM policy for a command.

use clap::Args;

use super::named::Named;
use super::{Exit, Failure, print, say};
use crate::aws::deployment::Deployment;
use crate::aws::permission::Asking;
use crate::aws::policy::{self, Places};

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer permissions origin --source s3://my-bucket/codex
  analyzer permissions > policy.json      # for all commands together
  aws iam put-user-policy --user-name on-call --policy-name analyzer \\
    --policy-document \"$(analyzer permissions validate)\"

What the deployment's configuration does not tell stands as a word in capitals: put the name there.
See `analyzer --help` for exit codes.")]
pub(super) struct PermissionsArguments {
    /// The command that is meant; all of them by default
    #[arg(value_enum, value_name = "COMMAND")]
    command: Option<Asking>,
    #[command(flatten)]
    named: Named,
    /// Where the logs are: `s3://BUCKET[/PREFIX]` [default: the deployment's]
    #[arg(long, env = "ANALYZER_SOURCE", value_name = "PLACE")]
    source: Option<String>,
    /// Print JSON, which the policy is anyway
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: PermissionsArguments) -> Result<Exit, Failure> {
    let PermissionsArguments { command, named, source, json: _ } = arguments;
    let deployment = Deployment::resolve(named.names(source)).await;
    let commands = command.as_ref().map_or(&Asking::ALL[..], std::slice::from_ref);
    let places = Places::of(&deployment);
    let policy = policy::policy(commands, &places);
    let json = serde_json::to_string_pretty(&policy).unwrap_or_default();
    print(&(json + "\n"));
    let mut said = Vec::new();
    for need in commands.iter().flat_map(|command| command.needs()) {
        if !said.contains(&need.action) {
            say(&format!("  {:36} {}", need.action.name(), need.why));
            said.push(need.action);
        }
    }
    for unseen in &deployment.unseen {
        say(&crate::report::printable(&format!("note: {unseen}")));
    }
    let open = policy.open();
    if !open.is_empty() {
        say(&format!("note: put names in the place of {}", open.join(", ")));
    }
    Ok(Exit::Answered)
}
