//! `analyzer show`: one exchange, whole.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use jiff::SignedDuration;
use schemas::key::{ExchangeId, LOGS};
use schemas::view::RecordView;

use super::place::{Place, unreachable};
use super::progress::Waiting;
use super::{Exit, Failure, current_time, say};
use crate::logs::classify::classify;
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::find::find;
use crate::logs::list::{self, Entry};
use crate::logs::needle::Prefilter;
use crate::logs::read::{Aim, Reader};
use crate::logs::source::{LogSource, Part};
use crate::report;
use crate::text::ids::is_session;
use crate::window::{Window, parse_moment};

/// What is waited for before anything is read.
const LISTING: &str = "listing logs";

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer show cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e --source s3://my-bucket/codex
  analyzer show req_4f8a1b2c3d4e5f60 --since 3d
  analyzer show cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e --body | less

An exchange id tells its hour, so one listing finds it. Any other id is looked for in the logs of
the window, failures first, newest first.")]
pub(super) struct ShowArguments {
    /// An exchange id (cpx_...), OpenAI's request id (req_...), a cf-ray, or a key below logs/
    id: String,
    #[command(flatten)]
    place: Place,
    /// How far back to look for an id that is no exchange id: 2h, 3d, 02:10, 2026-11-22 or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Only the response body, byte for byte
    #[arg(long, conflicts_with = "json")]
    body: bool,
    /// The record as it is stored
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: ShowArguments) -> Result<Exit, Failure> {
    let now = current_time();
    let id = arguments.id.trim();
    let since = parse_moment(&arguments.since, &now).map_err(|error| Failure {
        error: format!("--since: {error}"),
        hint: None,
        exit: Exit::Usage,
    })?;
    let source = arguments.place.open().await?;
    let found = if id.starts_with(LOGS) {
        Found { entry: Some(entry_of(id)), unread: 0 }
    } else if let Some(exchange) = ExchangeId::parse(id) {
        by_exchange_id(&source, exchange).await?
    } else {
        let window = Window { since, until: now.timestamp() + SignedDuration::from_mins(15) };
        by_scan(&source, id, &window).await?
    };
    let Some(entry) = found.entry else {
        say(&format!("no exchange with id `{id}` at {}", source.place()));
        if found.unread > 0 {
            say(&format!(
                "warning: {} logs could not be read; it may be one of them",
                found.unread
            ));
            return Ok(Exit::Partial);
        }
        if !id.starts_with("cpx_") {
            say(&format!("\nhint: {}", elsewhere(id, &arguments.place)));
        }
        return Ok(Exit::Unknown);
    };
    let bytes = source.get(&entry.key, Part::Whole).await.map_err(|error| unreachable(&error))?;
    let broken = |why: String| Failure {
        error: format!("cannot read `{}`: {why}", entry.key),
        hint: None,
        exit: Exit::Partial,
    };
    let mut decoder = Decoder::default();
    let json = decoder.decode(&bytes, RECORD_LIMIT).map_err(|error| broken(error.to_string()))?;
    let view = RecordView::parse(json).map_err(|error| broken(error.to_string()))?;
    let out = if arguments.body {
        view.body().into_owned()
    } else if arguments.json {
        let mut stored = json.to_vec();
        stored.push(b'\n');
        stored
    } else {
        let exchange = classify(&view, &entry.key, entry.time);
        let page = report::render_page(json, &exchange, now.time_zone());
        page.map_err(|error| broken(error.to_string()))?.into_bytes()
    };
    // A closed pipe (`| head`) is the reader's choice.
    let _ = io::stdout().write_all(&out);
    Ok(Exit::Answered)
}

/// Says where else to look for an id.
fn elsewhere(id: &str, place: &Place) -> String {
    let wider = "a wider window, as --since 7d";
    if !is_session(id) {
        return wider.to_owned();
    }
    let source = place.source().map(|source| format!(" --source '{source}'")).unwrap_or_default();
    format!("{wider}; if it is a session: analyzer origin \"session id: {id}\"{source}")
}

/// What a search found.
struct Found {
    entry: Option<Entry>,
    /// Logs that could not be read, and may be the one.
    unread: usize,
}

fn entry_of(key: &str) -> Entry {
    let told = schemas::key::LogKey::parse(key);
    let time = told.map_or(jiff::Timestamp::UNIX_EPOCH, |told| told.started_at);
    Entry { key: key.to_owned(), bytes: 0, told, time }
}

/// The id begins with its time, and its time names the hour.
async fn by_exchange_id(source: &Arc<dyn LogSource>, id: ExchangeId) -> Result<Found, Failure> {
    let listing = Waiting::on(|| LISTING.to_owned());
    let found = find(&**source, id).await.map_err(|error| unreachable(&error))?;
    drop(listing);
    if let Some(entry) = found.named.into_iter().next() {
        return Ok(Found { entry: Some(entry), unread: 0 });
    }
    read_for(source, &id.to_string(), found.untold).await
}

/// Failures first, since ids of those are what people have; newest first.
async fn by_scan(source: &Arc<dyn LogSource>, id: &str, window: &Window) -> Result<Found, Failure> {
    let listing = Waiting::on(|| LISTING.to_owned());
    let logs = list::list(&**source, window).await.map_err(|error| unreachable(&error))?;
    drop(listing);
    let is_success = |entry: &Entry| entry.told.is_some_and(|told| told.error_origin.is_none());
    let (successes, failures): (Vec<_>, Vec<_>) = logs.entries.into_iter().partition(is_success);
    let mut unread = 0;
    for group in [failures, successes] {
        let found = read_for(source, id, group).await?;
        unread += found.unread;
        if found.entry.is_some() {
            return Ok(Found { unread, ..found });
        }
    }
    Ok(Found { entry: None, unread })
}

/// Reads logs until one has the id.
async fn read_for(
    source: &Arc<dyn LogSource>,
    id: &str,
    candidates: Vec<Entry>,
) -> Result<Found, Failure> {
    let wanted = id.to_owned();
    let aim = Aim {
        prefilter: Prefilter::new("", &[]).or_literal(id),
        words: String::new(),
        until: Some(Box::new(move |exchange| exchange.has_id(&wanted))),
    };
    let reader = Reader::start(Arc::clone(source), aim);
    let (all, progress) = (candidates.len(), reader.progress());
    let _waiting = Waiting::on(move || {
        format!("looking into logs: {} of {all}", progress.logs.load(Ordering::Relaxed))
    });
    reader.push(candidates);
    let reading = reader.finish().await;
    let found = reading.exchanges.iter().find(|exchange| exchange.has_id(id));
    let entry = found.map(|found| entry_of(&found.key));
    Ok(Found { entry, unread: reading.unread.len() })
}
