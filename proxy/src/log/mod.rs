//! The log behind the request path: takes finished exchanges and brings each to the sink, once.
//!
//! Nothing here can delay or change an answer. Encoding and writing happen on threads of their own
//! (`desk`); a shutdown waits for all of them. A record that the sink refuses stays in the spool and
//! is tried again, by this process or the next; without a spool it goes to the [`Refuge`], and is lost
//! only if there is none. Lost records are counted and named.

mod policy;
mod keep;
mod desk;
mod waiting;
mod again;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use schemas::journal::{Ended, Fate};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::encode::{Encoded, LogObject, encode_facts};
use crate::facts::Facts;
use crate::journal::Journal;
use crate::memory::{Held, Memory};
use crate::record;
use crate::settings::{Limits, Settings};
use crate::sink::{LogSink, SinkError};
use crate::spool::{Segment, Spool};
use desk::Desk;
use waiting::Waiting;

pub use keep::{Keep, Refuge, Unwritten};
pub use policy::WritePolicy;

/// Records that are on their way to the sink at the same time.
const PUTS: usize = 128;

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
    desk: Desk<Finished>,
    puts: Arc<Semaphore>,
    waiting: Waiting,
    lost: AtomicU64,
    cut: AtomicBool,
}

/// A finished exchange on the desk.
struct Finished {
    facts: Box<Facts>,
    segment: Option<Segment>,
    /// A shutdown waits for it.
    token: TaskTrackerToken,
}

/// A record that is made and has to be stored.
struct Made {
    object: LogObject,
    ended: Ended,
    segment: Option<Segment>,
    /// When it has to be stored or spilled; `None` outside Lambda.
    by: Option<Instant>,
    /// Of the budget of all bodies.
    held: Held,
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
        let log = Arc::new(Self {
            sink,
            policy,
            keep,
            journal,
            memory: Memory::new(settings.limits.held_bytes),
            settings,
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            desk: Desk::new(),
            puts: Arc::new(Semaphore::new(PUTS)),
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
    pub fn submit(self: &Arc<Self>, mut facts: Box<Facts>, mut segment: Option<Segment>) {
        if let Some(segment) = segment.take_if(|_| self.desk.is_full()) {
            return self.leave(&mut facts, segment);
        }
        if self.desk.add(Finished { facts, segment, token: self.tasks.token() }) {
            let log = Arc::clone(self);
            drop(self.runtime.spawn_blocking(move || log.work()));
        } else if let Ok(here) = Handle::try_current()
            && let Some(finished) = self.desk.help()
        {
            // After what this thread is about to send.
            let log = Arc::clone(self);
            drop(here.spawn(async move { log.work_on(finished) }));
        }
    }

    /// The same, once this is over.
    pub fn submit_after(
        self: &Arc<Self>,
        over: impl Future<Output = ()> + Send + 'static,
        facts: Box<Facts>,
        segment: Option<Segment>,
    ) {
        let log = Arc::clone(self);
        let later = async move {
            over.await;
            log.submit(facts, segment);
        };
        drop(self.tasks.spawn_on(later, &self.runtime));
    }

    /// Leaves an exchange in the spool as it is, to be brought when there is time.
    fn leave(&self, facts: &mut Facts, segment: Segment) {
        self.waiting.add(segment.park());
        let assemble = || record::assemble(facts, &self.settings);
        if let Ok(record) = catch_unwind(AssertUnwindSafe(assemble)) {
            self.journal.ended(Ended::of(&record, Fate::Waiting));
        }
    }

    /// What a hand does: it makes and stores record after record.
    fn work(self: &Arc<Self>) {
        std::thread::sleep(self.policy.gather);
        while let Some(finished) = self.desk.next() {
            let id = finished.facts.id;
            // One record's bug must not cost the hand that would make the others.
            if catch_unwind(AssertUnwindSafe(|| self.work_on(finished))).is_err() {
                self.lose(&format!("{id}: a panic in the log"));
            }
        }
    }

    fn work_on(self: &Arc<Self>, Finished { facts, segment, token }: Finished) {
        let id = facts.id;
        let made = catch_unwind(AssertUnwindSafe(|| self.make(facts, segment)));
        let made = made.unwrap_or_else(|_| {
            self.lose(&format!("{id}: a panic in the log"));
            None
        });
        let Some(made) = made else { return };
        match self.sink.put_now(&made.object) {
            Some(Ok(())) => self.stored(made),
            // Trying again takes time, and a sink at the other end of a network its own.
            tried => self.bring_later(made, tried.and_then(Result::err), token),
        }
    }

    /// Stores a record in a task, if not too many are at it. Each takes a connection and keeps a file
    /// of the spool open: what is too much waits in the spool, closed.
    fn bring_later(
        self: &Arc<Self>,
        mut made: Made,
        refused: Option<SinkError>,
        token: TaskTrackerToken,
    ) {
        let permit = Arc::clone(&self.puts).try_acquire_owned().ok();
        if permit.is_none()
            && let Some(segment) = made.segment.take()
        {
            self.waiting.add(segment.park());
            return self.journal.ended(made.ended.with(Fate::Waiting));
        }
        let log = Arc::clone(self);
        let rest = async move {
            log.bring(made, refused).await;
            drop((permit, token));
        };
        drop(self.runtime.spawn(rest));
    }

    /// Makes the record of an exchange; `None` where it has found its place by that.
    fn make(&self, facts: Box<Facts>, segment: Option<Segment>) -> Option<Made> {
        let (id, by) = (facts.id, facts.record_deadline);
        let (Encoded { object, ended }, segment) = match self.encode(facts, segment) {
            Ok(encoded) => encoded,
            // A segment stays as it is: whoever mends the proxy still finds the exchange in it.
            Err(error) => {
                self.lose(&format!("{id}: {error}"));
                return None;
            }
        };
        let mut held = Held::of(&self.memory);
        let has_room = held.grow(object.bytes.len());
        match segment {
            // The bytes are on the disk: memory is for those that the sink takes now.
            Some(segment) if self.waiting.is_down() || !has_room => {
                self.waiting.add(segment.park());
                self.journal.ended(ended.with(Fate::Waiting));
                None
            }
            segment => Some(Made { object, ended, segment, by, held }),
        }
    }

    fn stored(&self, made: Made) {
        self.waiting.taken();
        if let Some(segment) = made.segment {
            segment.done();
        }
        self.journal.ended(made.ended.with(Fate::Stored));
    }

    /// Stores a record, which the sink may have refused once.
    async fn bring(&self, made: Made, refused: Option<SinkError>) {
        let error = match self.write(&made.object, made.by, refused).await {
            Ok(()) => return self.stored(made),
            Err(error) => error,
        };
        let Made { object, ended, segment, held, by: _ } = made;
        let fate = match segment {
            Some(segment) => {
                self.refused(&error);
                self.waiting.add(segment.park());
                Fate::Waiting
            }
            None => self.flee(object, &error).await,
        };
        drop(held);
        self.journal.ended(ended.with(fate));
    }

    /// Makes key and bytes, and writes them into the segment: nothing else is stored from here on.
    fn encode(
        &self,
        mut facts: Box<Facts>,
        segment: Option<Segment>,
    ) -> io::Result<(Encoded, Option<Segment>)> {
        let settings = &self.settings;
        if facts.response.lacks_memory()
            && let Some(spooled) = segment.as_ref().and_then(|s| s.recall(settings))
        {
            facts.response = spooled.response;
            facts.redacted |= spooled.redacted;
        }
        let encoded = encode_facts(&mut facts, settings)?;
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
    }

    /// Tries as often and as long as the policy says, and not beyond the time that the record has; a
    /// refusal that was had already counts.
    async fn write(
        &self,
        object: &LogObject,
        by: Option<Instant>,
        mut refused: Option<SinkError>,
    ) -> Result<(), SinkError> {
        let deadline = Instant::now() + self.policy.total_time;
        let deadline = by.map_or(deadline, |by| by.min(deadline));
        let mut pause = self.policy.pause;
        for _ in 1..self.policy.tries {
            let result = match refused.take() {
                Some(error) => Err(error),
                None => self.attempt(object, deadline).await,
            };
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
