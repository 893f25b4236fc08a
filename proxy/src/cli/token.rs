//! `codex-proxy token`: makes, lists, checks, disables and enables tokens.
//!
//! A new token is printed once, alone on stdout. A token is read from stdin or a prompt, never from
//! the command line, where other users and shell histories see it.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::{Failure, default_token_file, say};
use crate::clock::{Clock as _, SystemClock};
use crate::token::{TokenFile, TokenHash, TokenRow, checksum_holds, generate};

#[derive(Args)]
#[command(after_help = "\
Examples:
  codex-proxy token add dev-01 | pbcopy    # the token, once; only its hash is kept
  codex-proxy token list
  codex-proxy token check < token.txt      # whose is it, may it pass?
  codex-proxy token disable dev-01         # all of dev-01's tokens
  codex-proxy token disable 3fa9c1d2       # one token, by the id that logs show")]
pub(super) struct TokenArguments {
    /// Token file [default: tokens.json in the user's configuration folder]
    #[arg(long, value_name = "FILE", env = "CODEX_PROXY_TOKENS", global = true)]
    tokens: Option<PathBuf>,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token for a developer and print it, once
    Add {
        /// The developer
        name: String,
    },
    /// List owners, ids and states; tokens themselves are not kept
    List,
    /// Read a token from stdin or a prompt, and say whose it is and whether it may pass
    Check {
        /// Expect it to be this developer's
        name: Option<String>,
    },
    /// Refuse a developer's tokens from the next request on
    Disable {
        /// The developer, or a token id of at least 8 hex digits
        name: String,
    },
    /// Let a developer's tokens pass again
    Enable {
        /// The developer, or a token id of at least 8 hex digits
        name: String,
    },
}

pub(super) fn run(arguments: TokenArguments) -> Result<ExitCode, Failure> {
    let file = TokenFile::new(&arguments.tokens.unwrap_or_else(default_token_file));
    match arguments.command {
        TokenCommand::Add { name } => add(&file, &name),
        TokenCommand::List => list(&file),
        TokenCommand::Check { name } => check(&file, name.as_deref()),
        TokenCommand::Disable { name } => switch(&file, &name, false),
        TokenCommand::Enable { name } => switch(&file, &name, true),
    }
}

fn add(file: &TokenFile, name: &str) -> Result<ExitCode, Failure> {
    let plain = !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control);
    if !plain || name.trim() != name {
        let error = anyhow!("`{}` is not a name", crate::client::harmless(name));
        return Err(Failure::usage(
            error,
            "1 to 64 characters, no space around, no control characters",
        ));
    }
    let token = generate().context("no randomness").map_err(Failure::outside)?;
    let row = TokenRow {
        token: TokenHash::of(token.expose()).to_string(),
        developer: name.to_owned(),
        enabled: true,
        created_at: format!("{:.0}", SystemClock.now()),
    };
    let others = file.change(|rows| {
        rows.push(row);
        rows.iter().filter(|row| row.developer == name && row.enabled).count() - 1
    });
    let others = others.map_err(Failure::outside)?;
    print(&format!("{}\n", token.expose()))?;
    say(&format!(
        "token of {name}: shown this once, only its hash is kept in {}",
        file.path().display()
    ));
    if others > 0 {
        say(&format!(
            "{name} has {others} older enabled tokens too; `codex-proxy token list` shows them"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(file: &TokenFile) -> Result<ExitCode, Failure> {
    let rows = file.rows().map_err(Failure::outside)?;
    if rows.is_empty() {
        say("no tokens yet; make one: codex-proxy token add NAME");
        return Ok(ExitCode::SUCCESS);
    }
    let width = rows.iter().map(|row| row.developer.chars().count()).max().unwrap_or(0).max(9);
    let mut table = format!("{:width$}  {:16}  {:8}  created\n", "developer", "token id", "state");
    for row in &rows {
        let id = TokenHash::parse(&row.token).map_or("broken".to_owned(), |hash| hash.token_id());
        let state = if row.enabled { "enabled" } else { "disabled" };
        let TokenRow { developer, created_at, .. } = row;
        let _ = writeln!(table, "{developer:width$}  {id:16}  {state:8}  {created_at}");
    }
    print(&table)?;
    Ok(ExitCode::SUCCESS)
}

fn check(file: &TokenFile, expected: Option<&str>) -> Result<ExitCode, Failure> {
    let token = read_token().context("cannot read the token").map_err(Failure::outside)?;
    let bare = token.trim();
    if bare.len() != token.len() {
        say("note: there is white space or a line end around it; Codex would send no token at all");
    }
    let unquoted = bare.trim_matches(['"', '\'']);
    if unquoted.len() != bare.len() {
        say("note: there are quotes around it, which Codex would send too; checked without them");
    }
    if unquoted.is_empty() {
        return Err(Failure::usage(
            anyhow!("no token was given"),
            "codex-proxy token check < token.txt",
        ));
    }
    if checksum_holds(unquoted) == Some(false) {
        print("not a token: it begins like one, but its checksum is wrong (a typo, or cut off)\n")?;
        return Ok(ExitCode::FAILURE);
    }
    let hash = TokenHash::of(unquoted);
    let rows = file.rows().map_err(Failure::outside)?;
    let mine: Vec<_> = rows.iter().filter(|row| row.token == hash.to_string()).collect();
    let Some(row) = mine.first() else {
        print(&format!("unknown token, id {}\n", hash.token_id()))?;
        return Ok(ExitCode::FAILURE);
    };
    let enabled = mine.iter().all(|row| row.enabled);
    let state = if enabled { "enabled" } else { "disabled" };
    print(&format!("token of {}, id {}, {state}\n", row.developer, hash.token_id()))?;
    let as_expected = expected.is_none_or(|name| name == row.developer);
    Ok(if enabled && as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn switch(file: &TokenFile, name: &str, enabled: bool) -> Result<ExitCode, Failure> {
    let changed = file.change(|rows| {
        let is_meant = |row: &&mut TokenRow| row.developer == name || has_id(row, name);
        let meant = rows.iter_mut().filter(is_meant);
        meant.map(|row| row.enabled = enabled).count()
    });
    let changed = changed.map_err(Failure::outside)?;
    if changed == 0 {
        let error = anyhow!("no developer and no token id `{}`", crate::client::harmless(name));
        let hint = Some("codex-proxy token list shows both".to_owned());
        return Err(Failure { error, hint, code: 1 });
    }
    let state = if enabled { "enabled" } else { "disabled" };
    say(&format!("{changed} tokens {state}; a running server obeys with its next request"));
    Ok(ExitCode::SUCCESS)
}

fn has_id(row: &TokenRow, id: &str) -> bool {
    id.len() >= 8
        && TokenHash::parse(&row.token).is_some_and(|hash| hash.token_id().starts_with(id))
}

fn read_token() -> io::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password("token (not shown): ");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    // The one line end that a pipe adds is not part of the token.
    let end = line.strip_suffix('\n').map_or(line.len(), str::len);
    line.truncate(end);
    Ok(line)
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")
        .map_err(Failure::outside)
}
