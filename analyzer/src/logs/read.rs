//! Reads candidate logs, many at a time, and keeps of each only what the question needs.
//!
//! A log that cannot be read is a value, not an error: it is named, counted, and makes the answer
//! partial. There is a worker for each core, a thread with a runtime of its own: it asks for many
//! logs at a time, and unpacks and searches each where it arrives, in one buffer. What is kept grows
//! with the failures that are read, by the words of their errors, and not with the bodies of successes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use crate::logs::aim::{Aim, Needs, SAMPLE};
use crate::logs::classify::Exchange;
use crate::logs::decode::RECORD_LIMIT;
use crate::logs::list::Entry;
use crate::logs::queue::{Numbered, Queue};
use crate::logs::source::{LogSource, Part, SourceError};
use crate::logs::understand::{Outcome, Understanding};

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
    /// It was there when it was listed, and is not any more.
    pub gone: bool,
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

/// How far reading has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Logs that are done.
    pub logs: AtomicU64,
    /// Bytes of them, as listed.
    pub bytes: AtomicU64,
}

/// Reads logs. They are begun in the order in which they come.
pub async fn read(source: Arc<dyn LogSource>, candidates: Vec<Entry>, aim: Aim) -> Reading {
    let reader = Reader::start(source, aim);
    reader.push(candidates);
    reader.finish().await
}

/// Reads logs while they are still being listed.
pub struct Reader {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<Share>>,
}

struct Shared {
    source: Arc<dyn LogSource>,
    aim: Aim,
    queue: Queue,
    workers: usize,
    room: Semaphore,
    denied: AtomicBool,
    /// Number of the first log that is wanted, so far.
    found: AtomicU64,
    progress: Arc<Progress>,
}

/// What one worker did.
#[derive(Default)]
struct Share {
    read: u64,
    bytes: u64,
    /// What matters, and what could not be read, by number.
    found: Vec<(u64, Found)>,
}

enum Found {
    Exchange(Box<Exchange>, Option<String>),
    Unread(Unread),
}

impl Reader {
    /// Starts the workers.
    #[must_use]
    pub fn start(source: Arc<dyn LogSource>, aim: Aim) -> Self {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Arc::new(Shared {
            source,
            aim,
            queue: Queue::default(),
            workers,
            room: Semaphore::new(ROOM_KIB as usize),
            denied: AtomicBool::new(false),
            found: AtomicU64::new(u64::MAX),
            progress: Arc::default(),
        });
        let work = |_| {
            let shared = Arc::clone(&shared);
            tokio::task::spawn_blocking(move || work(&shared))
        };
        let workers = (0..workers).map(work).collect();
        Self { shared, workers }
    }

    /// Has these logs read, after those that came before.
    pub fn push(&self, entries: impl IntoIterator<Item = Entry>) {
        self.shared.queue.push(entries);
    }

    /// Tells whether what was looked for is found, and older logs need not be listed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shared.found.load(Ordering::Relaxed) < u64::MAX
    }

    /// Returns how far reading has come.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.shared.progress)
    }

    /// Reads the rest, and returns what all of it gave.
    pub async fn finish(mut self) -> Reading {
        self.shared.queue.close();
        let found = &self.shared.found;
        let mut reading = Reading::default();
        for worker in std::mem::take(&mut self.workers) {
            let share = worker.await.unwrap_or_else(|error| {
                let why = format!("reading failed: {error}");
                let lost = Unread { key: "some logs".to_owned(), why, denied: false, gone: false };
                Share { found: vec![(0, Found::Unread(lost))], ..Share::default() }
            });
            reading.read += share.read;
            reading.bytes += share.bytes;
            for (number, one) in share.found {
                match one {
                    // What lies behind the log that was looked for may have been read, or not.
                    _ if number > found.load(Ordering::Relaxed) => {}
                    Found::Exchange(exchange, mismatch) => {
                        reading.exchanges.push(*exchange);
                        reading.mismatched.extend(mismatch);
                    }
                    Found::Unread(unread) => reading.unread.push(unread),
                }
            }
        }
        reading.sort();
        reading
    }
}

impl Reading {
    /// Takes what was read elsewhere; [`Self::sort`] puts all of it in order.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.exchanges.append(&mut other.exchanges);
        self.read += other.read;
        self.bytes += other.bytes;
        self.unread.append(&mut other.unread);
        self.mismatched.append(&mut other.mismatched);
    }

    pub(crate) fn sort(&mut self) {
        // Of two logs of one exchange the first by its key counts, as when it is compacted.
        let newest = |a: &Exchange, b: &Exchange| {
            let by_time = b.started_at.cmp(&a.started_at);
            let by_id = by_time.then_with(|| b.exchange_id.cmp(&a.exchange_id));
            by_id.then_with(|| a.key.cmp(&b.key))
        };
        self.exchanges.sort_by(newest);
        self.unread.sort_by(|a, b| a.key.cmp(&b.key));
        self.mismatched.sort();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.queue.abandon();
    }
}

/// One worker, to its end.
fn work(shared: &Shared) -> Share {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(work_on(shared)),
        Err(error) => {
            // The others, if there are any, do its work; without them each log is named.
            let left = std::iter::from_fn(|| shared.queue.pop());
            let why = format!("cannot start to read: {error}");
            let unread = |entry: Entry| Unread {
                key: entry.key,
                why: why.clone(),
                denied: false,
                gone: false,
            };
            let found = left.map(|(number, entry)| (number, Found::Unread(unread(entry))));
            Share { found: found.collect(), ..Share::default() }
        }
    }
}

async fn work_on(shared: &Shared) -> Share {
    let mut share = Share::default();
    let mut understanding = Understanding::new(&shared.aim.prefilter, &shared.aim.words);
    let mut running = FuturesUnordered::new();
    loop {
        let most = shared.source.concurrency().div_ceil(shared.workers).max(1);
        while running.len() < most
            && let Some(log) = shared.queue.pop()
        {
            if log.0 < shared.found.load(Ordering::Relaxed) {
                let part = shared.aim.part(&log);
                running.push(fetch(shared, log, part));
            }
        }
        if running.is_empty() {
            if shared.queue.is_closed() {
                return share;
            }
            shared.queue.changed().await;
            continue;
        }
        let may_begin = running.len() < most && !shared.queue.is_closed();
        let (log, part, got) = tokio::select! {
            biased;
            Some(fetched) = running.next() => fetched,
            () = shared.queue.changed(), if may_begin => continue,
        };
        let got = match got {
            Ok((bytes, _room)) => {
                understand(&mut understanding, shared.aim.needs, &bytes, &log, part)
            }
            Err(why) => Err(why),
        };
        match got {
            Ok(Outcome::Undecided) => running.push(fetch(shared, log, Part::Whole)),
            got => {
                shared.progress.logs.fetch_add(1, Ordering::Relaxed);
                shared.progress.bytes.fetch_add(log.1.bytes, Ordering::Relaxed);
                let (number, entry) = log;
                if let (Some(wanted), Ok(Outcome::Matters(exchange, _))) = (&shared.aim.until, &got)
                    && wanted(exchange)
                {
                    shared.found.fetch_min(number, Ordering::Relaxed);
                }
                share.take(number, &entry, got);
            }
        }
    }
}

impl Share {
    fn take(&mut self, number: u64, entry: &Entry, got: Got<Outcome>) {
        let unread =
            |why, denied, gone| Found::Unread(Unread { key: entry.key.clone(), why, denied, gone });
        let found = match got {
            Err(Missed { why, denied, gone }) => unread(why, denied, gone),
            Ok(Outcome::Unreadable(why)) => unread(why, false, false),
            Ok(outcome) => {
                self.read += 1;
                self.bytes += entry.bytes;
                let Outcome::Matters(exchange, mismatch) = outcome else { return };
                Found::Exchange(exchange, mismatch)
            }
        };
        self.found.push((number, found));
    }
}

/// Why a log was not had.
struct Missed {
    why: String,
    denied: bool,
    gone: bool,
}

impl From<String> for Missed {
    fn from(why: String) -> Self {
        Self { why, denied: false, gone: false }
    }
}

type Got<T> = Result<T, Missed>;

/// Downloads a log once there is room for it.
async fn fetch(
    shared: &Shared,
    log: Numbered,
    part: Part,
) -> (Numbered, Part, Got<(Bytes, SemaphorePermit<'_>)>) {
    let got = download(shared, &log.1, part).await;
    (log, part, got)
}

async fn download<'a>(
    shared: &'a Shared,
    entry: &Entry,
    part: Part,
) -> Got<(Bytes, SemaphorePermit<'a>)> {
    if shared.denied.load(Ordering::Relaxed) {
        let why = "not tried: reading was denied".to_owned();
        return Err(Missed { why, denied: true, gone: false });
    }
    if entry.bytes > RECORD_LIMIT {
        let limit = RECORD_LIMIT >> 20;
        return Err(format!("{} bytes; no log is over {limit} MiB", entry.bytes).into());
    }
    let bytes = match part {
        Part::Whole => entry.bytes,
        Part::Head(bytes) => bytes,
    };
    let kib = u32::try_from(bytes >> 10).unwrap_or(ROOM_KIB).saturating_add(1).min(ROOM_KIB);
    let Ok(room) = shared.room.acquire_many(kib).await else {
        return Err("shutting down".to_owned().into());
    };
    match shared.source.get(&entry.key, part).await {
        Ok(bytes) => Ok((bytes, room)),
        Err(error) => {
            let denied = matches!(error, SourceError::Denied(_));
            shared.denied.fetch_or(denied, Ordering::Relaxed);
            let gone = matches!(error, SourceError::Missing(_));
            Err(Missed { why: error.to_string(), denied, gone })
        }
    }
}

fn understand(
    understanding: &mut Understanding<'_>,
    needs: Needs,
    bytes: &Bytes,
    (number, entry): &Numbered,
    part: Part,
) -> Got<Outcome> {
    // One hostile log must not take the others with it.
    let understood = catch_unwind(AssertUnwindSafe(|| match (needs, part) {
        (Needs::SmallFields, Part::Whole) => understanding.of_whole(bytes, entry, true),
        (Needs::SmallFields, Part::Head(_)) => understanding.of_small_fields(bytes, entry),
        (Needs::Body, Part::Whole) => understanding.of_whole(bytes, entry, *number < SAMPLE),
        (Needs::Body, Part::Head(_)) => understanding.of_head(bytes, entry),
    }));
    understood.map_err(|_| "reading failed".to_owned().into())
}
