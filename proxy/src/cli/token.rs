//! `codex-proxy token`: makes, lists, checks, disables and enables tokens, in a file or a table.
//!
//! A new token is printed once, alone on stdout. A token is read from stdin or a prompt, never from
//! the command line, where other users and shell histories see it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::{Failure, say, token_place};
use crate::client::harmless;
use crate::clock::{Clock as _, SystemClock};
use crate::secret::Secret;
use crate::token::{StoredAs, TokenHash, TokenRegister, TokenRow, fault, generate};

#[derive(Args)]
#[command(after_help = "\
Examples:
  codex-proxy token add dev-01 | pbcopy    # the token, once; only its hash is kept
  codex-proxy token list
  codex-proxy token check < token.txt      # whose is it, may it pass?
  codex-proxy token disable dev-01         # all of dev-01's tokens
  codex-proxy token disable 3fa9c1d2       # one token, by the id that logs show
  codex-proxy token --tokens dynamodb://codex-proxy-tokens list

A server that reads a file obeys a change with its next request; one that reads DynamoDB within 30
seconds. AWS credentials, region and endpoint come from where the AWS CLI takes them.")]
pub(super) struct TokenArguments {
    /// Where tokens are kept: a file, or `dynamodb://TABLE` [default: tokens.json in the user's
    /// configuration folder]
    #[arg(long, value_name = "FILE|dynamodb://TABLE", env = "CODEX_PROXY_TOKENS", global = true)]
    tokens: Option<OsString>,
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
    /// Refuse a developer's tokens
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
    let place = token_place(arguments.tokens)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::outside)?.block_on(async {
        let register = place.register().await.map_err(Failure::store)?;
        let register = &*register;
        match arguments.command {
            TokenCommand::Add { name } => add(register, &name).await,
            TokenCommand::List => list(register).await,
            TokenCommand::Check { name } => check(register, name.as_deref()).await,
            TokenCommand::Disable { name } => switch(register, &name, false).await,
            TokenCommand::Enable { name } => switch(register, &name, true).await,
        }
    })
}

async fn add(register: &dyn TokenRegister, name: &str) -> Result<ExitCode, Failure> {
    let plain = !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control);
    if !plain || name.trim() != name {
        let error = anyhow!("`{}` is not a name", harmless(name));
        return Err(Failure::usage(
            error,
            "1 to 64 characters, no space around, no control characters",
        ));
    }
    let token = generate().context("no randomness").map_err(Failure::outside)?;
    let row = TokenRow {
        stored: StoredAs::Hash(TokenHash::of(token.expose())),
        developer: Some(name.to_owned()),
        enabled: true,
        created_at: Some(format!("{:.0}", SystemClock.now())),
    };
    register.add(row).await.map_err(Failure::store)?;
    print(&format!("{}\n", token.expose()))?;
    let place = register.place();
    say(&format!("token of {name}: shown this once, only its hash is kept in {place}"));
    // Whoever may add rows need not have the right to read them all.
    let rows = register.rows().await.unwrap_or_default();
    let is_theirs = |row: &&TokenRow| row.enabled && row.developer.as_deref() == Some(name);
    let others = rows.iter().filter(is_theirs).count().saturating_sub(1);
    if others > 0 {
        say(&format!(
            "{name} has {others} older enabled tokens too; `codex-proxy token list` shows them"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(register: &dyn TokenRegister) -> Result<ExitCode, Failure> {
    let mut rows = register.rows().await.map_err(Failure::store)?;
    if rows.is_empty() {
        say("no tokens yet; make one: codex-proxy token add NAME");
        return Ok(ExitCode::SUCCESS);
    }
    rows.sort_by_cached_key(|row| (row.developer.clone(), row.created_at.clone(), row.token_id()));
    print(&table(&rows))?;
    let plain = rows.iter().filter(|row| matches!(row.stored, StoredAs::Plain(_))).count();
    if plain > 0 {
        say(&format!(
            "{plain} tokens are stored in plaintext: whoever reads the table can use them\n\nhint: \
             codex-proxy token add NAME, hand it over, then codex-proxy token disable TOKEN_ID"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows rows by the ids of their tokens: the key of an old row is the token itself.
fn table(rows: &[TokenRow]) -> String {
    let names = rows.iter().map(|row| row.developer.as_deref().map_or("-".to_owned(), harmless));
    let names: Vec<_> = names.collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(9);
    let mut table = format!("{:width$}  {:16}  {:8}  created\n", "developer", "token id", "state");
    for (row, name) in rows.iter().zip(names) {
        let id = row.token_id().unwrap_or_else(|| "broken".to_owned());
        let state = if row.enabled { "enabled" } else { "disabled" };
        let created = row.created_at.as_deref().map_or("-".to_owned(), harmless);
        let note = if matches!(row.stored, StoredAs::Plain(_)) { "  plaintext" } else { "" };
        let _ = writeln!(table, "{name:width$}  {id:16}  {state:8}  {created}{note}");
    }
    table
}

async fn check(register: &dyn TokenRegister, expected: Option<&str>) -> Result<ExitCode, Failure> {
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
    if let Some(fault) = fault(unquoted) {
        print(&format!("not a token: {fault}\n"))?;
        return Ok(ExitCode::FAILURE);
    }
    let hash = TokenHash::of(unquoted);
    let id = hash.token_id();
    let owner = register.look_up(&Secret::new(unquoted), hash).await;
    let Some(owner) = owner.map_err(Failure::outside)? else {
        print(&format!("unknown token, id {id}\n"))?;
        return Ok(ExitCode::FAILURE);
    };
    let state = if owner.enabled { "enabled" } else { "disabled" };
    let developer = owner.developer.as_deref();
    print(&format!("token of {}, id {id}, {state}\n", developer.unwrap_or("nobody named")))?;
    let as_expected = expected.is_none_or(|name| developer == Some(name));
    Ok(if owner.enabled && as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn switch(
    register: &dyn TokenRegister,
    name: &str,
    enabled: bool,
) -> Result<ExitCode, Failure> {
    let is_meant = |row: &TokenRow| {
        let has_id = || row.token_id().is_some_and(|id| id.starts_with(name));
        row.developer.as_deref() == Some(name) || (name.len() >= 8 && has_id())
    };
    let changed = register.set_enabled(&is_meant, enabled).await.map_err(Failure::store)?;
    if changed == 0 {
        let error = anyhow!("no developer and no token id `{}`", harmless(name));
        let hint = Some("codex-proxy token list shows both".to_owned());
        return Err(Failure { error, hint, code: 1 });
    }
    let state = if enabled { "enabled" } else { "disabled" };
    let when = register.takes_effect();
    say(&format!("{changed} tokens {state}; a running server obeys {when}"));
    Ok(ExitCode::SUCCESS)
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
