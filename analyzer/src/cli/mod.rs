//! The command line: one file per command, one type for how it ends.

mod exit;
mod named;
mod place;
mod origin;
mod triage;
mod progress;
mod show;
mod tail;
mod capacity;
mod validate;
mod recover;
mod compact;
#[cfg(feature = "sql")]
mod sql;
mod permissions;
mod schema;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::{SignedDuration, Zoned};

pub use exit::Exit;

use crate::aws::cloudwatch::Unseen;
use crate::aws::permission::Action;
use crate::text::secret::masked;
use crate::window::{Window, parse_moment};

/// How far the proxy's clock, or Lambda's, may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Tells whose error it was: OpenAI's, the proxy's, AWS's, the network's or the client's.
#[derive(Parser)]
#[command(name = "analyzer", version, max_term_width = 100, after_help = exit::TABLE)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whose error a pasted text is, with the evidence
    Origin(Box<origin::OriginArguments>),
    /// Put an incident on one page: what happened, since when, whom it hurts, whose fault, what to do
    Triage(Box<triage::TriageArguments>),
    /// Show one exchange, whole
    Show(show::ShowArguments),
    /// Show new exchanges as they land, a line each
    Tail(tail::TailArguments),
    /// Say whether there are slots enough, and which command changes it
    Capacity(capacity::CapacityArguments),
    /// Check a deployment: what must be there, and what breaks in practice
    Validate(validate::ValidateArguments),
    /// Put records that S3 had refused in their place in the logs
    Recover(recover::RecoverArguments),
    /// Turn the logs of closed hours into one Parquet file each: logs/ to parquet/
    Compact(compact::CompactArguments),
    /// Ask in SQL: raw logs and compacted hours as one table, `exchanges`
    #[cfg(feature = "sql")]
    Sql(sql::SqlArguments),
    /// Print the contracts: JSON Schemas, the tables for Athena, the columns
    Schema(schema::SchemaArguments),
    /// Print the smallest IAM policy for a command
    Permissions(permissions::PermissionsArguments),
}

/// Runs the command line.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A flag that is none may be a piece of what was pasted.
            let said = error.to_string();
            match masked(&said) {
                Cow::Owned(masked) if error.use_stderr() => say(masked.trim_end()),
                _ => _ = error.print(),
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: cannot start: {error}"));
            return Exit::Unreachable.into();
        }
    };
    let done = runtime.block_on(async {
        match arguments.command {
            Command::Origin(arguments) => origin::run(*arguments).await,
            Command::Triage(arguments) => Box::pin(triage::run(*arguments)).await,
            Command::Show(arguments) => show::run(arguments).await,
            Command::Tail(arguments) => tail::run(arguments).await,
            Command::Capacity(arguments) => capacity::run(arguments).await,
            Command::Validate(arguments) => validate::run(arguments).await,
            Command::Recover(arguments) => recover::run(arguments).await,
            Command::Compact(arguments) => compact::run(arguments).await,
            #[cfg(feature = "sql")]
            Command::Sql(arguments) => Box::pin(sql::run(arguments)).await,
            Command::Schema(arguments) => schema::run(&arguments),
            Command::Permissions(arguments) => permissions::run(arguments).await,
        }
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say(&format!("error: {}", failure.error));
            if let Some(hint) = failure.hint {
                say(&format!("\nhint: {hint}"));
            }
            failure.exit.into()
        }
    }
}

/// Why a command gave no answer.
struct Failure {
    error: String,
    hint: Option<String>,
    exit: Exit,
}

/// Says why a source of logs cannot be used, and what to do about it.
/// Says something to the person: stderr, since stdout is for data.
fn say(line: &str) {
    #[expect(clippy::print_stderr, reason = "the command line's one way to talk to a person")]
    {
        eprintln!("{}", masked(line));
    }
}

/// Hands data out: stdout. A closed pipe (`| head`) is the reader's choice.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Reads the clock, in the zone of whoever asks.
fn current_time() -> Zoned {
    #[expect(clippy::disallowed_methods, reason = "commands run now, whatever they decide later")]
    let now = jiff::Timestamp::now();
    now.to_zoned(jiff::tz::TimeZone::system())
}

/// Reads `--since` and `--until`.
fn window(since: &str, until: Option<&str>, now: &Zoned) -> Result<Window, Failure> {
    let wrong = |error: String| Failure { error, hint: None, exit: Exit::Usage };
    let moment = |flag: &str, text: &str| {
        parse_moment(text, now).map_err(|error| wrong(format!("{flag}: {error}")))
    };
    let since = moment("--since", since)?;
    let until = match until {
        Some(until) => moment("--until", until)?,
        None => now.timestamp() + SKEW,
    };
    if since >= until {
        return Err(wrong(format!("--since {since} is not before --until {until}")));
    }
    Ok(Window { since, until })
}

/// Names what could not be seen, and how to be let see it.
fn say_unseen(unseen: &[Unseen], command: &str) {
    for unseen in unseen {
        say(&crate::report::printable(&format!("unseen  {unseen} ({})", unseen.trouble)));
    }
    let denied = |unseen: &Unseen| matches!(unseen.trouble, crate::aws::Trouble::Denied(_));
    if unseen.iter().any(denied) {
        say(&format!(
            "hint: `analyzer permissions {command}` prints the smallest policy that would do"
        ));
    }
    if let Some(hint) = unseen.iter().find_map(|unseen| unseen.trouble.hint()) {
        say(&format!("hint: {hint}"));
    }
}

/// Says how a command ends that could not see everything: `needed` is what it cannot do without.
fn end_of_unseen(unseen: &[Unseen], needed: Action) -> Option<Exit> {
    if unseen.is_empty() {
        return None;
    }
    let is_blind =
        unseen.iter().any(|unseen| unseen.action == needed && unseen.trouble.is_everywhere());
    Some(if is_blind { Exit::Unreachable } else { Exit::Partial })
}
