//! Records that the sink refused and the spool keeps: counted, and tried again in turn.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use tokio::sync::Notify;

use crate::sink::SinkError;
use crate::spool::Parked;

/// Records that are tried at the same time.
const PARALLEL: usize = 8;
/// Refusals after which a pass gives up: the sink is down, and the others need not find out.
const ENOUGH: usize = 8;

/// Records in the spool, and what is known of the sink.
#[derive(Default)]
pub(super) struct Waiting {
    queue: Mutex<VecDeque<Parked>>,
    /// In the queue, or taken out of it to be tried.
    count: AtomicU64,
    more: Notify,
    /// The last that was heard of the sink is a refusal: new records join the queue at once.
    is_down: AtomicBool,
    /// One pass at a time.
    passing: tokio::sync::Mutex<()>,
}

impl Waiting {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Parked>> {
        lock(&self.queue)
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Takes a record that has to wait.
    pub(super) fn add(&self, parked: Parked) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.queue().push_back(parked);
        self.more.notify_one();
    }

    /// Notes a refusal; the first one is said.
    pub(super) fn refused(&self, error: &SinkError, folder: &Path) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            say(&serde_json::json!({
                "level": "error",
                "event": "log_write_failed",
                "error": error.to_string(),
                "waits_in": folder.display().to_string(),
            }));
        }
    }

    /// Notes that the sink has taken a record; that it does so again is said.
    pub(super) fn taken(&self) {
        if self.is_down.load(Ordering::Relaxed) && self.is_down.swap(false, Ordering::Relaxed) {
            say(&serde_json::json!({
                "level": "info",
                "event": "log_write_recovered",
                "waiting": self.count(),
            }));
        }
    }

    /// Waits until something waits.
    pub(super) async fn some(&self) {
        while self.queue().is_empty() {
            self.more.notified().await;
        }
    }

    /// Tries everything that waits once, and returns how many records are out of the way.
    pub(super) async fn pass<F>(&self, bring: impl Fn(Parked) -> F) -> usize
    where
        F: Future<Output = bool>,
    {
        let _one = self.passing.lock().await;
        let batch = std::mem::take(&mut *self.queue());
        let (brought, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let untried = Mutex::new(VecDeque::new());
        let each = async |parked: Parked| {
            if refused.load(Ordering::Relaxed) >= ENOUGH {
                lock(&untried).push_back(parked);
            } else if bring(parked.clone()).await {
                parked.remove();
                self.count.fetch_sub(1, Ordering::Relaxed);
                brought.fetch_add(1, Ordering::Relaxed);
            } else {
                refused.fetch_add(1, Ordering::Relaxed);
                self.queue().push_back(parked);
            }
        };
        futures::stream::iter(batch).for_each_concurrent(PARALLEL, each).await;
        // Who had no turn is first in the next pass: a few bad ones hold up nobody for ever.
        let mut next = untried.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut queue = self.queue();
        next.append(&mut queue);
        *queue = next;
        brought.load(Ordering::Relaxed)
    }
}

fn lock(queue: &Mutex<VecDeque<Parked>>) -> MutexGuard<'_, VecDeque<Parked>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says on stderr, as one line of JSON, how the log fares.
pub(super) fn say(line: &serde_json::Value) {
    #[expect(clippy::print_stderr, reason = "the last place where a lost log can be told")]
    {
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::facts::tests::facts_of;
    use crate::settings::LogBody;
    use crate::spool::{Connection, Spool};

    #[tokio::test]
    async fn a_pass_gives_up_early_and_who_had_no_turn_is_first_in_the_next() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (spool, _) = Spool::open(folder.path(), LogBody::Full).expect("a spool");
        let facts = facts_of(&Request::get("/").body(()).expect("a request"));
        let waiting = Waiting::default();
        for _ in 0..30 {
            let connection = Connection::new(&spool);
            connection.begin(&facts, Vec::new());
            waiting.add(connection.take().expect("a segment").park());
        }
        let is_bad = |number: u64| number < 10;
        let first = waiting.pass(async |parked| !is_bad(parked.number)).await;
        let second = waiting.pass(async |parked| !is_bad(parked.number)).await;
        assert_eq!((first + second, waiting.count()), (20, 10), "the good ones are through");
        let asked = AtomicUsize::new(0);
        let down = async |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        };
        waiting.pass(down).await;
        assert_eq!(asked.load(Ordering::Relaxed), ENOUGH);
        assert_eq!(waiting.pass(async |_| true).await, 10);
        assert_eq!(waiting.count(), 0);
    }
}
