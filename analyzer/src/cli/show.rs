//! `analyzer show`: one exchange, whole.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use clap::Args;
use jiff::SignedDuration;
use schemas::columns::COLUMNS;
use schemas::key::{ExchangeId, LOGS};
use schemas::view::RecordView;

use super::place::{Place, unreachable};
use super::progress::Waiting;
use super::{Exit, Failure, current_time, say};
use crate::hour::file::HourFile;
use crate::hour::parts::{moved, parts};
use crate::hour::record::{Body, to_json};
use crate::hour::row::Row;
use crate::hour::rows::find_row;
use crate::logs::aim::{Aim, Needs};
use crate::logs::classify::classify;
use crate::logs::decode::{Decoder, RECORD_LIMIT};
use crate::logs::find::find;
use crate::logs::list::Entry;
use crate::logs::needle::Prefilter;
use crate::logs::read::Reader;
use crate::logs::scan::row_of;
use crate::logs::source::{LogSource, Part, SourceError};
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
        Found { exchange: Some(Stored::Log(entry_of(id))), unread: 0 }
    } else if let Some(exchange) = ExchangeId::parse(id) {
        by_exchange_id(&source, exchange).await?
    } else {
        let window = Window { since, until: now.timestamp() + SignedDuration::from_mins(15) };
        by_scan(&source, id, &window).await?
    };
    let Some(place) = found.exchange else {
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
    let (entry, bytes) = read(&source, place).await?;
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
    exchange: Option<Stored>,
    /// Logs that could not be read, and may be the one.
    unread: usize,
}

/// Where an exchange is stored.
enum Stored {
    /// In a log.
    Log(Entry),
    /// In a compacted hour.
    Row(Box<Row>),
}

/// Reads an exchange: its log, and the JSON of its record, packed or not.
async fn read(source: &Arc<dyn LogSource>, stored: Stored) -> Result<(Entry, Bytes), Failure> {
    let row = match stored {
        Stored::Row(row) => row,
        Stored::Log(entry) => match source.get(&entry.key, Part::Whole).await {
            Ok(bytes) => return Ok((entry, bytes)),
            Err(error @ SourceError::Missing(_)) => {
                // Its hour may be compacted, and the log have expired.
                let all: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
                let rows = moved(source, std::slice::from_ref(&entry), &all).await;
                let row = rows.ok().and_then(|rows| rows.into_iter().next());
                Box::new(row.ok_or_else(|| unreachable(&error))?)
            }
            Err(error) => return Err(unreachable(&error)),
        },
    };
    let entry = entry_of(row.text("source_key").unwrap_or_default());
    Ok((entry, to_json(&row, Body::Whole).into()))
}

fn entry_of(key: &str) -> Entry {
    let told = schemas::key::LogKey::parse(key);
    let time = told.map_or(jiff::Timestamp::UNIX_EPOCH, |told| told.started_at);
    Entry { key: key.to_owned(), bytes: 0, told, time, row: None }
}

/// The id begins with its time, and its time names the hour.
async fn by_exchange_id(source: &Arc<dyn LogSource>, id: ExchangeId) -> Result<Found, Failure> {
    let listing = Waiting::on(|| LISTING.to_owned());
    let found = find(&**source, id).await.map_err(|error| unreachable(&error))?;
    drop(listing);
    if let Some(entry) = found.named.into_iter().next() {
        return Ok(Found { exchange: Some(Stored::Log(entry)), unread: 0 });
    }
    if let Some(row) = row_of(source, id).await.map_err(|error| unreachable(&error))? {
        return Ok(Found { exchange: Some(Stored::Row(Box::new(row))), unread: 0 });
    }
    read_for(source, &id.to_string(), found.untold).await
}

/// Compacted hours first, which is quick; then logs, failures first, since ids of those are what people
/// have; newest first.
async fn by_scan(source: &Arc<dyn LogSource>, id: &str, window: &Window) -> Result<Found, Failure> {
    let listing = Waiting::on(|| LISTING.to_owned());
    let parts = parts(source, window, false).await.map_err(|error| unreachable(&error.into()))?;
    let hours: Vec<_> = parts.hours.iter().map(HourFile::hour).collect();
    let row = find_row(source, &hours, id).await.map_err(|error| unreachable(&error.into()))?;
    drop(listing);
    if let Some(row) = row {
        return Ok(Found { exchange: Some(Stored::Row(Box::new(row))), unread: 0 });
    }
    let is_success = |entry: &Entry| entry.told.is_some_and(|told| told.error_origin.is_none());
    let (successes, failures): (Vec<_>, Vec<_>) = parts.logs.into_iter().partition(is_success);
    let mut unread = parts.broken.len();
    for group in [failures, successes] {
        let found = read_for(source, id, group).await?;
        unread += found.unread;
        if found.exchange.is_some() {
            return Ok(Found { unread, ..found });
        }
    }
    Ok(Found { exchange: None, unread })
}

/// Reads logs until one has the id.
async fn read_for(
    source: &Arc<dyn LogSource>,
    id: &str,
    candidates: Vec<Entry>,
) -> Result<Found, Failure> {
    let wanted = id.to_owned();
    let aim = Aim {
        needs: Needs::Body,
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
    let exchange = found.map(|found| Stored::Log(entry_of(&found.key)));
    Ok(Found { exchange, unread: reading.unread.len() })
}
