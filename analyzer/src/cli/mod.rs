//! The command line: one file per command, one type for how it ends.

mod exit;
mod place;
mod origin;
mod show;
mod tail;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Show one exchange, whole
    Show(show::ShowArguments),
    /// Show new exchanges as they land, a line each
    Tail(tail::TailArguments),
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
            Command::Show(arguments) => show::run(arguments).await,
            Command::Tail(arguments) => tail::run(arguments).await,
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

/// Reads the clock, in the zone of whoever asks.
fn current_time() -> jiff::Zoned {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    let now = jiff::Timestamp::now();
    now.to_zoned(jiff::tz::TimeZone::system())
}

/// Says something to the person: stderr, since stdout is for data.
fn say(line: &str) {
    #[expect(clippy::print_stderr, reason = "the command line's one way to talk to a person")]
    {
        eprintln!("{line}");
    }
}
