//! Compacts one hour, from its logs to the file that was read back; begins anew where another was quicker.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::gather::{Gathered, gather};
use super::merge::{Ended, Merged, Watch, merge};
use super::order::{Belief, Known, Order, hours_of, order};
use super::publish::{Publication, PublishError, Publisher};
use super::verify::{Found, read_back};
use super::{CompactError, Compacted, Done, Options};
use crate::hour::Hour;
use crate::hour::places::{Places, places};
use crate::hour::write::HourWriter;
use crate::logs::source::LogSource;

/// How often an hour is begun: each loss to a rival is that one's success, and rivals come to an end.
const ATTEMPTS: u32 = 8;
/// The longest wait before the hour is begun once more, after the first time; doubled after each.
const WAIT: Duration = Duration::from_millis(100);

/// Compacts hours, one after another.
pub struct Compactor {
    source: Arc<dyn LogSource>,
    publisher: Box<dyn Publisher>,
    options: Options,
    /// When it has to be over.
    until: Option<Instant>,
    known: Known,
    progress: Arc<Progress>,
}

/// How far an hour has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Logs of it that were read.
    pub read: AtomicU64,
    /// Logs of it that are to be read.
    pub of: AtomicU64,
}

/// What came of one attempt.
enum Attempt {
    Done(Compacted),
    /// Another compactor was quicker, or nobody knows.
    Again(String),
    /// A key was wrong.
    AskRecords,
}

impl Compactor {
    /// Makes a compactor of the logs of a source.
    #[must_use]
    pub fn new(
        source: Arc<dyn LogSource>,
        publisher: Box<dyn Publisher>,
        options: Options,
        until: Option<Instant>,
    ) -> Self {
        Self { source, publisher, options, until, known: Known::new(), progress: Arc::default() }
    }

    /// Returns how far the present hour has come.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Leaves out hours that have no logs.
    ///
    /// # Errors
    ///
    /// When the logs cannot be listed, or those whose keys tell no hour cannot be read.
    pub async fn with_logs(&mut self, hours: &[Hour]) -> Result<Vec<Hour>, CompactError> {
        let Places { hours: mut found, untimed } = places(&*self.source, Some(hours)).await?;
        found.extend(hours_of(&self.source, untimed, &mut self.known).await?);
        Ok(hours.iter().copied().filter(|hour| found.contains(hour)).collect())
    }

    /// Compacts an hour.
    ///
    /// # Errors
    ///
    /// When it was not compacted; what was published before stands.
    pub async fn compact(&mut self, hour: Hour) -> Result<Compacted, CompactError> {
        let (mut belief, mut last) = (Belief::Keys, String::new());
        let mut attempts = 1;
        loop {
            match Box::pin(self.attempt(hour, belief)).await? {
                Attempt::Done(done) => return Ok(Compacted { attempts, ..done }),
                Attempt::AskRecords if belief == Belief::Keys => belief = Belief::Records,
                Attempt::AskRecords => "a record says two things of itself".clone_into(&mut last),
                Attempt::Again(why) => last = why,
            }
            if attempts == ATTEMPTS {
                return Err(CompactError::Contended { hour, attempts, last });
            }
            if !last.is_empty() {
                tokio::time::sleep(wait(attempts)).await;
            }
            attempts += 1;
        }
    }

    async fn attempt(&mut self, hour: Hour, belief: Belief) -> Result<Attempt, CompactError> {
        self.progress.read.store(0, Ordering::Relaxed);
        self.progress.of.store(0, Ordering::Relaxed);
        let source = &self.source;
        let gathered = gather(source, hour, self.options.bodies).await?;
        let file = gathered.published.as_ref().map(|(file, _)| file);
        let (rows, size) = file.map_or((0, 0), |file| (file.rows(), file.size()));
        let mut result = Compacted {
            hour,
            done: if file.is_some() { Done::Unchanged } else { Done::Empty },
            rows,
            added: 0,
            log_bytes: 0,
            file_bytes: size,
            duplicates: gathered.duplicates.clone(),
            quarantined: Vec::new(),
            gone: Vec::new(),
            attempts: 0,
        };
        if gathered.is_done() {
            return Ok(Attempt::Done(result));
        }
        let contents = gathered.published.as_ref().map(|(_, contents)| contents);
        let logs = gathered.logs.clone();
        let ordered = order(source, hour, logs, contents, belief, &mut self.known).await?;
        result.duplicates.extend(ordered.duplicates.iter().cloned());
        result.quarantined.extend(ordered.quarantined.iter().cloned());
        result.gone.extend(ordered.gone.iter().cloned());
        if ordered.logs.is_empty() && !gathered.is_afresh {
            return Ok(Attempt::Done(result));
        }
        self.progress.of.store(ordered.logs.len() as u64, Ordering::Relaxed);
        if self.options.dry_run {
            result.done = Done::Planned;
            result.added = ordered.logs.len() as u64;
            result.log_bytes = ordered.logs.iter().map(|log| log.entry.bytes).sum();
            result.rows += if gathered.is_afresh { 0 } else { result.added };
            return Ok(Attempt::Done(result));
        }
        self.rewrite(&gathered, ordered, result).await
    }

    /// Makes the new file, and publishes it.
    async fn rewrite(
        &self,
        gathered: &Gathered,
        ordered: Order,
        mut result: Compacted,
    ) -> Result<Attempt, CompactError> {
        let hour = result.hour;
        let file = gathered.published.as_ref().map(|(file, _)| file);
        let version = file.map(|file| file.version().clone());
        let key = hour.key();
        let mut publication = self.publisher.begin(&key, version.as_ref()).await?;
        let writer = HourWriter::new(gathered.bodies)?;
        let watch = Watch { hour, logs: &self.progress.read, until: self.until };
        let (source, logs) = (&self.source, ordered.logs);
        let merged = merge(source, file, logs, writer, &mut *publication, &watch).await;
        let merged = match merged {
            Ok(merged) => merged,
            Err(ended) => {
                publication.abandon().await;
                return match ended {
                    Ended::Misplaced => Ok(Attempt::AskRecords),
                    Ended::Replaced(why) => Ok(Attempt::Again(why)),
                    Ended::Failed(error) => Err(error),
                };
            }
        };
        result.quarantined.extend(merged.quarantined.iter().cloned());
        result.gone.extend(merged.gone.iter().cloned());
        if merged.added == 0 && !gathered.is_afresh {
            // What looked new is no log.
            publication.abandon().await;
            return Ok(Attempt::Done(result));
        }
        if merged.written.rows == 0 {
            publication.abandon().await;
            return Ok(Attempt::Done(result));
        }
        result.done = if file.is_some() { Done::Updated } else { Done::Published };
        self.publish(&mut *publication, merged, result).await
    }

    /// Publishes a file, and finds out whether it is there.
    async fn publish(
        &self,
        publication: &mut dyn Publication,
        merged: Merged,
        mut result: Compacted,
    ) -> Result<Attempt, CompactError> {
        let Merged { written, added, log_bytes, .. } = merged;
        let published = publication.publish(written.rest.clone()).await;
        let why = match published {
            Ok(()) => "what was published is not there".to_owned(),
            Err(PublishError::Unsure(why)) => why,
            Err(error) => {
                publication.abandon().await;
                return Err(error.into());
            }
        };
        match read_back(&self.source, result.hour, &written).await? {
            Found::Ours(bytes) => {
                result.rows = written.rows;
                result.added = added;
                result.log_bytes = log_bytes;
                result.file_bytes = bytes;
                Ok(Attempt::Done(result))
            }
            Found::Other => {
                publication.abandon().await;
                Ok(Attempt::Again(why))
            }
            Found::Different(why) => Err(CompactError::Different { key: result.hour.key(), why }),
        }
    }
}

/// How long to wait before another attempt: at random, so that rivals do not meet again.
fn wait(attempt: u32) -> Duration {
    let bits = RandomState::new().build_hasher().finish() >> 40;
    let random = bits as f64 / f64::from(1 << 24);
    WAIT.mul_f64(f64::from(1 << attempt.min(6)) * random)
}
