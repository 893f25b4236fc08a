//! Reads candidate logs, many at a time, and keeps of each only what the question needs.
//!
//! A log that cannot be read is a value, not an error: it is named, counted, and makes the answer
//! partial. Unpacking and searching happen on as many cores as there are, and downloads wait for
//! room. What is kept grows with the failures that are read, by the words of their errors, and not
//! with the bodies of successes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use schemas::key::LogKey;
use schemas::view::RecordView;
use tokio::sync::Semaphore;

use crate::classify::{Exchange, classify};
use crate::decode::{RECORD_LIMIT, decode};
use crate::list::Entry;
use crate::needle::Prefilter;
use crate::source::{LogSource, SourceError};

/// KiB of objects, as stored, that are held at a time: room for the largest that is read at all,
/// and for thousands of the usual 10 KB.
const ROOM_KIB: u32 = 192 << 10;

/// A log that could not be read.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Its key.
    pub key: String,
    /// Why, in one line.
    pub why: String,
    /// We may not read it, and so presumably no other.
    pub denied: bool,
}

/// What reading gave.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Exchanges of the logs that could matter, newest first.
    pub exchanges: Vec<Exchange>,
    /// Logs that were read, also those that could not matter.
    pub read: u64,
    /// Bytes of them, as stored.
    pub bytes: u64,
    /// Logs that could not be read.
    pub unread: Vec<Unread>,
    /// Keys that tell another outcome than the record in them; the record is believed.
    pub mismatched: Vec<String>,
}

/// One log, read.
enum Outcome {
    Matters(Box<Exchange>, Option<String>),
    Skipped,
    Unread(Unread),
}

/// Reads logs. `words` are the folded words that a success may quote; `step` is called after each
/// log, for progress.
pub async fn read(
    source: Arc<dyn LogSource>,
    candidates: Vec<Entry>,
    prefilter: Prefilter,
    words: &str,
    mut step: impl FnMut(u64),
) -> Reading {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let shared = Arc::new(Shared {
        prefilter,
        words: words.to_owned(),
        processors: Semaphore::new(cores),
        room: Semaphore::new(ROOM_KIB as usize),
        denied: AtomicBool::new(false),
    });
    let parallel = source.concurrency();
    let tasks = stream::iter(candidates.into_iter().map(|entry| {
        let (source, shared) = (Arc::clone(&source), Arc::clone(&shared));
        async move {
            let (key, bytes) = (entry.key.clone(), entry.bytes);
            // A task of its own, so that all cores take part.
            let task = tokio::spawn(async move { read_one(&*source, entry, shared).await });
            let lost = |error: tokio::task::JoinError| {
                Outcome::Unread(Unread {
                    key,
                    why: format!("reading failed: {error}"),
                    denied: false,
                })
            };
            (bytes, task.await.unwrap_or_else(lost))
        }
    }));
    let mut reading = Reading::default();
    let mut tasks = tasks.buffer_unordered(parallel);
    while let Some((bytes, outcome)) = tasks.next().await {
        step(bytes);
        if let Outcome::Unread(unread) = outcome {
            reading.unread.push(unread);
            continue;
        }
        reading.read += 1;
        reading.bytes += bytes;
        if let Outcome::Matters(exchange, mismatch) = outcome {
            reading.exchanges.push(*exchange);
            reading.mismatched.extend(mismatch);
        }
    }
    let newest = |a: &Exchange, b: &Exchange| {
        b.started_at.cmp(&a.started_at).then_with(|| b.key.cmp(&a.key))
    };
    reading.exchanges.sort_by(newest);
    reading.unread.sort_by(|a, b| a.key.cmp(&b.key));
    reading
}

struct Shared {
    prefilter: Prefilter,
    words: String,
    processors: Semaphore,
    room: Semaphore,
    denied: AtomicBool,
}

async fn read_one(source: &dyn LogSource, entry: Entry, shared: Arc<Shared>) -> Outcome {
    let unread = |key: &str, why: String, denied| {
        Outcome::Unread(Unread { key: key.to_owned(), why, denied })
    };
    if shared.denied.load(Ordering::Relaxed) {
        return unread(&entry.key, "not tried: reading was denied".to_owned(), true);
    }
    if entry.bytes > RECORD_LIMIT {
        let limit = RECORD_LIMIT >> 20;
        return unread(
            &entry.key,
            format!("{} bytes; no log is over {limit} MiB", entry.bytes),
            false,
        );
    }
    let kib = u32::try_from(entry.bytes >> 10).unwrap_or(ROOM_KIB).saturating_add(1);
    let Ok(_room) = shared.room.acquire_many(kib.min(ROOM_KIB)).await else {
        return unread(&entry.key, "shutting down".to_owned(), false);
    };
    let bytes = match source.get(&entry.key).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let denied = matches!(error, SourceError::Denied(_));
            shared.denied.fetch_or(denied, Ordering::Relaxed);
            return unread(&entry.key, error.to_string(), denied);
        }
    };
    let Ok(_permit) = shared.processors.acquire().await else {
        return unread(&entry.key, "shutting down".to_owned(), false);
    };
    let work = {
        let shared = Arc::clone(&shared);
        move || understand(&bytes, &entry, &shared.prefilter, &shared.words)
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| unread("", format!("reading failed: {error}"), false))
}

/// Unpacks, searches and classifies one log.
fn understand(bytes: &[u8], entry: &Entry, prefilter: &Prefilter, words: &str) -> Outcome {
    let unread =
        |why: String| Outcome::Unread(Unread { key: entry.key.clone(), why, denied: false });
    let json = match decode(bytes, RECORD_LIMIT) {
        Ok(json) => json,
        Err(error) => return unread(error.to_string()),
    };
    let is_error = entry.told.is_some_and(|told| told.error_origin.is_some());
    // What the key calls an error is parsed anyhow; raw bytes can only exclude the rest, and what
    // is no JSON must be told from what merely does not matter.
    if !is_error && !prefilter.may_match(&json) && looks_whole(&json) {
        return Outcome::Skipped;
    }
    match RecordView::parse(&json) {
        Ok(view) => {
            let mut exchange = classify(&view, &entry.key, entry.time);
            if exchange.error.is_none() {
                // Of a success it only matters whether it quotes the words: its body is not kept.
                let quotes = !words.is_empty() && exchange.searched.contains(words);
                exchange.searched = if quotes { words.to_owned() } else { String::new() };
            }
            let mismatch = entry.told.and_then(|told| mismatch(&told, &exchange));
            Outcome::Matters(Box::new(exchange), mismatch)
        }
        Err(error) => unread(format!("not a log record: {error}")),
    }
}

/// Tells a JSON object from garbage by its ends, without parsing it.
fn looks_whole(json: &[u8]) -> bool {
    let json = json.trim_ascii();
    json.first() == Some(&b'{') && json.last() == Some(&b'}')
}

/// Names a key that tells another outcome than its record.
fn mismatch(told: &LogKey, exchange: &Exchange) -> Option<String> {
    let ms = |time: Timestamp| time.as_millisecond();
    let agrees = exchange.status.is_none_or(|status| status == told.status)
        && exchange.error.as_ref().map(|error| error.origin) == told.error_origin
        && ms(exchange.started_at) == ms(told.started_at)
        && exchange.exchange_id == told.exchange_id.to_string();
    (!agrees).then(|| exchange.key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_success_only_its_quoting_is_kept() {
        let entry =
            Entry { key: "k".to_owned(), bytes: 1, told: None, time: Timestamp::UNIX_EPOCH };
        let body = "x".repeat(100_000) + " temporary errors";
        let json = serde_json::json!({"origin": "openai", "error": null, "response_body": body});
        for (words, kept) in [("temporary errors", "temporary errors"), ("other", ""), ("", "")] {
            let everything = Prefilter::everything();
            let read = understand(json.to_string().as_bytes(), &entry, &everything, words);
            let Outcome::Matters(exchange, _) = read else { panic!("a record") };
            assert_eq!(exchange.searched, kept);
        }
    }
}
