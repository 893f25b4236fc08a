//! Second chances: what a dead process left, and what the sink refused, is brought again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schemas::journal::Fate;
use tokio::time::Instant;

use super::Log;
use crate::sink::SinkError;
use crate::spool::{Brought, Parked};

/// Pauses between two passes over what waits: the first, and the longest while nothing gets better.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];
/// How long a start waits for what the last process left; the rest is brought while it serves.
const START_TIME: Duration = Duration::from_secs(10);

impl Log {
    /// Brings what a dead process left, as far as that goes quickly; the rest waits like anything
    /// that the sink refuses. Returns how many exchanges were brought.
    pub async fn replay(self: &Arc<Self>, orphans: Vec<Parked>) -> u64 {
        let replayed = Arc::new(AtomicU64::new(0));
        let log = Arc::clone(self);
        let count = Arc::clone(&replayed);
        for parked in orphans {
            self.waiting.add(parked);
        }
        // A task of its own: it goes on where this stops waiting.
        let pass = self.runtime.spawn(async move { log.pass(&count).await });
        let _ = tokio::time::timeout(START_TIME, pass).await;
        replayed.load(Ordering::Relaxed)
    }

    /// Tries what waits again, for as long as the process runs.
    pub(super) async fn bring_what_waits(self: Arc<Self>) {
        let [shortest, longest] = PAUSES;
        let mut pause = shortest;
        loop {
            self.waiting.some().await;
            tokio::time::sleep(pause).await;
            let brought = self.pass(&AtomicU64::new(0)).await;
            pause = if brought > 0 { shortest } else { longest.min(pause * 2) };
        }
    }

    /// Tries everything that waits once; counts what was brought.
    pub(super) async fn pass(&self, count: &AtomicU64) -> usize {
        self.waiting.pass(|parked| self.bring_again(parked, count)).await
    }

    /// Returns whether nothing of this segment has to wait any more.
    async fn bring_again(&self, parked: Parked, count: &AtomicU64) -> bool {
        let settings = Arc::clone(&self.settings);
        let read = self.runtime.spawn_blocking(move || parked.object(&settings)).await;
        let Brought { object, ended, is_new } =
            match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(Some(brought)) => brought,
                Ok(None) => return true,
                Err(error) => {
                    // Says nothing about the sink: one file cannot be read, or one record not be made.
                    if let Some(spool) = self.spool() {
                        spool.complain(&error);
                    }
                    return false;
                }
            };
        let deadline = Instant::now() + self.policy.attempt_time;
        let put = self.attempt(&object, deadline).await;
        if let Some(ended) = ended {
            match put {
                Ok(()) => self.journal.ended(ended.with(Fate::Stored)),
                // Once: with the next try it is not new, unless the disk is full.
                Err(_) if is_new => self.journal.ended(ended.with(Fate::Waiting)),
                Err(_) => {}
            }
        }
        match put {
            Ok(()) => {
                count.fetch_add(1, Ordering::Relaxed);
                self.waiting.taken();
                true
            }
            Err(error) => {
                self.refused(&error);
                false
            }
        }
    }

    pub(super) fn refused(&self, error: &SinkError) {
        if let Some(spool) = self.spool() {
            self.waiting.refused(error, spool.folder());
        }
    }
}
