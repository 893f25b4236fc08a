//! The log behind the request path: takes finished exchanges and brings each to the sink, once.
//!
//! Nothing here can delay or change an answer. Encoding and writing happen in tasks of their own,
//! encoding as many at a time as there are cores; a shutdown waits for all of them. A record that the
//! sink refuses stays in the spool and is tried again, by this process or the next; without a spool
//! it goes to the [`Refuge`], and is lost only if there is none. Lost records are counted and named.

mod policy;
mod keep;
mod waiting;
mod again;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use schemas::journal::Fate;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::encode::{Encoded, LogObject, encode_facts};
use crate::facts::Facts;
use crate::journal::Journal;
use crate::memory::{Held, Memory};
use crate::settings::{Limits, Settings};
use crate::sink::{LogSink, SinkError};
use crate::spool::{Segment, Spool};
use waiting::{Waiting, say};

pub use keep::{Keep, Refuge, Unwritten};
pub use policy::WritePolicy;

/// Brings finished exchanges to the sink.
pub struct Log {
    sink: Arc<dyn LogSink>,
    settings: Arc<Settings>,
    policy: WritePolicy,
    keep: Keep,
    journal: Journal,
    memory: Arc<Memory>,
    runtime: tokio::runtime::Handle,
    tasks: TaskTracker,
    encoders: Semaphore,
    waiting: Waiting,
    lost: AtomicU64,
    cut: AtomicBool,
}

impl Log {
    /// Makes the log of a server without a spool. Must be called within a Tokio runtime.
    #[must_use]
    pub fn new(sink: Arc<dyn LogSink>, settings: Arc<Settings>) -> Arc<Self> {
        Self::open(sink, settings, WritePolicy::SERVER, Keep::Nowhere, Journal::default())
    }

    /// Makes a log that writes to `sink`. Must be called within a Tokio runtime.
    #[must_use]
    pub fn open(
        sink: Arc<dyn LogSink>,
        settings: Arc<Settings>,
        policy: WritePolicy,
        keep: Keep,
        journal: Journal,
    ) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let log = Arc::new(Self {
            sink,
            policy,
            keep,
            journal,
            memory: Memory::new(settings.limits.held_bytes),
            settings,
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            encoders: Semaphore::new(cores),
            waiting: Waiting::default(),
            lost: AtomicU64::new(0),
            cut: AtomicBool::new(false),
        });
        if log.spool().is_some() {
            drop(log.runtime.spawn(Arc::clone(&log).bring_what_waits()));
        }
        log
    }

    /// Returns the limits that exchanges keep to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Returns the journal.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns the budget of all bodies.
    #[must_use]
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Returns the spool, if exchanges are spooled.
    #[must_use]
    pub fn spool(&self) -> Option<&Arc<Spool>> {
        match &self.keep {
            Keep::Spool(spool) => Some(spool),
            Keep::Nowhere | Keep::Refuge(_) => None,
        }
    }

    /// Notes that from here on the proxy itself cuts off what is still in flight.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Returns whether an exchange that now ends half way was cut off by the proxy.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Returns how many records are not where they belong.
    #[must_use]
    pub fn unwritten(&self) -> Unwritten {
        // What is still being written is in the spool already.
        let on_the_way = if self.spool().is_some() { self.tasks.len() as u64 } else { 0 };
        let waiting = self.waiting.count() + on_the_way;
        Unwritten { lost: self.lost.load(Ordering::Relaxed), waiting }
    }

    /// Takes a finished exchange, and the segment that has followed it. Returns at once.
    pub fn submit(self: &Arc<Self>, facts: Box<Facts>, segment: Option<Segment>) {
        let log = Arc::clone(self);
        let task = async move { log.bring(facts, segment).await };
        drop(self.tasks.spawn_on(task, &self.runtime));
    }

    async fn bring(&self, facts: Box<Facts>, segment: Option<Segment>) {
        let (id, by) = (facts.id, facts.record_deadline);
        let (Encoded { object, ended }, segment) = match self.encode(facts, segment).await {
            Ok(encoded) => encoded,
            // A segment stays as it is: whoever mends the proxy still finds the exchange in it.
            Err(error) => return self.lose(&format!("{id}: {error}")),
        };
        let mut held = Held::of(&self.memory);
        let has_room = held.grow(object.bytes.len());
        let segment = match segment {
            // The bytes are on the disk: memory is for those that the sink takes now.
            Some(segment) if self.waiting.is_down() || !has_room => {
                self.waiting.add(segment.park());
                return self.journal.ended(ended.with(Fate::Waiting));
            }
            segment => segment,
        };
        let fate = match (self.write(&object, by).await, segment) {
            (Ok(()), segment) => {
                self.waiting.taken();
                if let Some(segment) = segment {
                    segment.done();
                }
                Fate::Stored
            }
            (Err(error), Some(segment)) => {
                self.refused(&error);
                self.waiting.add(segment.park());
                Fate::Waiting
            }
            (Err(error), None) => self.flee(object, &error).await,
        };
        self.journal.ended(ended.with(fate));
    }

    /// Makes key and bytes, and writes them into the segment: nothing else is stored from here on.
    async fn encode(
        &self,
        facts: Box<Facts>,
        segment: Option<Segment>,
    ) -> io::Result<(Encoded, Option<Segment>)> {
        let _permit = self.encoders.acquire().await.map_err(io::Error::other)?;
        let settings = Arc::clone(&self.settings);
        let work = move || {
            let mut facts = facts;
            if facts.response.lacks_memory()
                && let Some(spooled) = segment.as_ref().and_then(|s| s.recall(&settings))
            {
                facts.response = spooled.response;
                facts.redacted |= spooled.redacted;
            }
            let encoded = encode_facts(*facts, &settings)?;
            let segment = segment.and_then(|mut segment| {
                let is_kept = segment.object(&encoded.object);
                if is_kept {
                    Some(segment)
                } else {
                    segment.done();
                    None
                }
            });
            Ok((encoded, segment))
        };
        self.runtime.spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Tries as often and as long as the policy says.
    async fn write(&self, object: &LogObject, by: Option<Instant>) -> Result<(), SinkError> {
        let deadline = Instant::now() + self.policy.total_time;
        let deadline = by.map_or(deadline, |by| by.min(deadline));
        let mut pause = self.policy.pause;
        for _ in 1..self.policy.tries {
            let result = self.attempt(object, deadline).await;
            if result.is_ok() || Instant::now() + pause >= deadline {
                return result;
            }
            tokio::time::sleep(pause).await;
            pause *= 5;
        }
        self.attempt(object, deadline).await
    }

    /// Tries once. What the sink does after its time is up changes nothing: it has the same bytes.
    async fn attempt(&self, object: &LogObject, deadline: Instant) -> Result<(), SinkError> {
        let until = deadline.min(Instant::now() + self.policy.attempt_time);
        let put = tokio::time::timeout_at(until, self.sink.put(object));
        put.await.unwrap_or_else(|_| {
            Err(SinkError {
                place: format!("{}/{}", self.sink.place().trim_end_matches('/'), object.key),
                reason: "no answer in time".to_owned(),
            })
        })
    }

    /// Without a spool: the refuge, or nothing.
    async fn flee(&self, object: LogObject, error: &SinkError) -> Fate {
        let Keep::Refuge(refuge) = &self.keep else {
            self.lose(&error.to_string());
            return Fate::Lost;
        };
        let refuge = Arc::clone(refuge);
        let kept = self.runtime.spawn_blocking(move || refuge.keep(&object)).await;
        match kept.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => {
                let said = error.to_string();
                say(&serde_json::json!({"level": "warn", "event": "log_refused", "error": said}));
                Fate::Spilled
            }
            Err(also) => {
                self.lose(&format!("{error}; nor can it be kept: {also}"));
                Fate::Lost
            }
        }
    }

    /// Counts a record that nobody has, and says so.
    fn lose(&self, error: &str) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        say(&serde_json::json!({"level": "error", "event": "log_write_failed", "error": error}));
    }

    /// Waits until every exchange submitted so far is written or has failed for good, tries what
    /// waits once more, and returns what is not written.
    pub async fn flush(&self) -> Unwritten {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        if self.waiting.count() > 0 {
            self.pass(&AtomicU64::new(0)).await;
        }
        self.unwritten()
    }
}
