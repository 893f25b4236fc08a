//! The command line: `codex-proxy serve` and `codex-proxy token`.

mod serve;
mod logs;
mod token;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};

use crate::token::{RegisterError, TokenPlace};

/// Forwards Codex to OpenAI under one key, and leaves one log per exchange.
#[derive(Parser)]
#[command(name = "codex-proxy", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy on this machine
    Serve(serve::ServeArguments),
    /// Make, list, check, disable and enable the developers' tokens
    Token(token::TokenArguments),
}

/// Runs the command line. Exit codes: 0 done, 1 no such token or a token that may not pass, 2 usage
/// or settings, 3 the token store, the log folder or the address cannot be used, or records are not
/// written yet.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match arguments.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Token(arguments) => token::run(arguments),
    };
    result.unwrap_or_else(|failure| {
        say(&format!("error: {:#}", failure.error));
        if let Some(hint) = failure.hint {
            say(&format!("\nhint: {hint}"));
        }
        ExitCode::from(failure.code)
    })
}

/// Why a command failed, for a person.
struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A flag or setting that cannot be used.
    fn usage(error: impl Into<anyhow::Error>, hint: &str) -> Self {
        Self { error: error.into(), hint: Some(hint.to_owned()), code: 2 }
    }

    /// Something outside that cannot be used.
    fn outside(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), hint: None, code: 3 }
    }

    /// The store of tokens cannot be used.
    fn store(error: RegisterError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::outside(error) }
    }
}

/// Says something to the person: stderr, since stdout is for data.
fn say(line: &str) {
    #[expect(clippy::print_stderr, reason = "the command line's one way to talk to a person")]
    {
        eprintln!("{line}");
    }
}

/// Reads `--tokens`.
fn token_place(told: Option<OsString>) -> Result<TokenPlace, Failure> {
    let told = told.unwrap_or_else(|| default_token_file().into());
    TokenPlace::parse(told)
        .map_err(|error| Failure::usage(anyhow!(error), "--tokens FILE or dynamodb://TABLE"))
}

/// Returns where tokens are kept unless told otherwise: beside other settings of the user.
fn default_token_file() -> PathBuf {
    let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(PathBuf::from(home()?).join(".config")));
    config.unwrap_or_default().join("codex-proxy").join("tokens.json")
}

/// Returns where the user's programs keep what they would not like to lose.
fn state_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(home()?).join(".local").join("state")));
    state.unwrap_or_default()
}
