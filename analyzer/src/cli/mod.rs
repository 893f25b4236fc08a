//! The command line: one file per command, one type for how it ends.

mod exit;
mod origin;
mod progress;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::source::SourceError;
pub use exit::Exit;

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
}

/// Runs the command line.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
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
fn unreachable(error: &SourceError) -> Failure {
    let hint = match error {
        SourceError::Missing(_) => {
            "--source is the folder or s3://BUCKET[/PREFIX] above logs/, the same as the proxy's --logs"
        }
        SourceError::Denied(_) => {
            "check the credentials (AWS_PROFILE, `aws sts get-caller-identity`), the region, and the right to s3:ListBucket"
        }
        SourceError::Unreachable(_) => {
            "check AWS_REGION, AWS_ENDPOINT_URL, credentials (AWS_PROFILE) and the network"
        }
        SourceError::Elsewhere { region, .. } => &format!("set AWS_REGION={region}"),
    };
    Failure { error: error.to_string(), hint: Some(hint.to_owned()), exit: Exit::Unreachable }
}

/// Says something to the person: stderr, since stdout is for data.
fn say(line: &str) {
    #[expect(clippy::print_stderr, reason = "the command line's one way to talk to a person")]
    {
        eprintln!("{line}");
    }
}
