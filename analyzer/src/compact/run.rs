//! Compacts one hour, from its logs to the file that was read back; begins anew where another was quicker.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::gather::{Gathered, gather};
use super::merge::{Ended, Merged, Watch, merge};
use super::order::{Belief, Duplicate, Order, Untimed, hours_of, order};
use super::publish::{Publication, PublishError, Publisher};
use super::verify::{Found, read_back};
use super::{CompactError, Compacted, Done, Options, Quarantined};
use crate::hour::Hour;
use crate::hour::parts::published;
use crate::hour::places::{Places, places};
use crate::hour::write::{Bodies, HourWriter, Written};
use crate::logs::source::LogSource;
use crate::window::Window;

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
    /// Logs whose keys tell no hour, by the hour that they tell themselves.
    untimed: HashMap<Hour, Vec<Untimed>>,
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
    /// Logs became no row, or are gone, in whose place others were left out.
    Without(Vec<Quarantined>, Vec<String>),
}

/// What one attempt has learned for the next.
#[derive(Default)]
struct Learned {
    /// Whether keys were wrong.
    asks_records: bool,
    quarantined: Vec<Quarantined>,
    gone: Vec<String>,
}

impl Learned {
    fn belief(&self) -> Belief {
        if self.asks_records { Belief::Records } else { Belief::Keys }
    }

    /// Keys of logs that are left out, so that another one of the same exchange is taken.
    fn spoiled(&self) -> HashSet<String> {
        let keys = self.quarantined.iter().map(|bad| &bad.key).chain(&self.gone);
        keys.cloned().collect()
    }
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
        crate::memory::keep_freed();
        let untimed = HashMap::new();
        Self { source, publisher, options, until, untimed, progress: Arc::default() }
    }

    /// Returns how far the present hour has come.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Leaves out hours in which nothing is to be done: those that have no logs, and no file whose bodies
    /// are to be others.
    ///
    /// # Errors
    ///
    /// When the logs or files cannot be listed.
    pub async fn with_logs(&mut self, hours: &[Hour]) -> Result<Vec<Hour>, CompactError> {
        let Places { hours: mut found, untimed } = places(&*self.source, Some(hours)).await?;
        self.untimed = hours_of(&self.source, untimed).await?;
        found.extend(self.untimed.keys());
        if self.options.bodies.is_some() && !self.options.only_new {
            let ever = Window { since: Timestamp::MIN, until: Timestamp::MAX };
            found.extend(published(&self.source, &ever).await?);
        }
        Ok(hours.iter().copied().filter(|hour| found.contains(hour)).collect())
    }

    /// Compacts an hour.
    ///
    /// # Errors
    ///
    /// When it was not compacted; what was published before stands.
    pub async fn compact(&mut self, hour: Hour) -> Result<Compacted, CompactError> {
        let (mut learned, mut last) = (Learned::default(), String::new());
        let mut attempts = 1;
        loop {
            match Box::pin(self.attempt(hour, &learned)).await? {
                Attempt::Done(mut done) => {
                    done.quarantined.append(&mut learned.quarantined);
                    done.gone.append(&mut learned.gone);
                    return Ok(Compacted { attempts, ..done });
                }
                // There are only so many logs to leave out.
                Attempt::Without(quarantined, gone) => {
                    learned.quarantined.extend(quarantined);
                    learned.gone.extend(gone);
                    continue;
                }
                Attempt::AskRecords if learned.asks_records => {
                    "a record says two things of itself".clone_into(&mut last);
                }
                Attempt::AskRecords => learned.asks_records = true,
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

    async fn attempt(&self, hour: Hour, learned: &Learned) -> Result<Attempt, CompactError> {
        self.progress.read.store(0, Ordering::Relaxed);
        self.progress.of.store(0, Ordering::Relaxed);
        let source = &self.source;
        let untimed = self.untimed.get(&hour).map(Vec::as_slice).unwrap_or_default();
        let spoiled = learned.spoiled();
        let mut gathered = gather(source, hour, self.options, untimed, &spoiled).await?;
        let file = gathered.published.as_ref().map(|(file, _)| file);
        let (rows, size) = file.map_or((0, 0), |file| (file.rows(), file.size()));
        let mut result = Compacted {
            hour,
            done: if file.is_some() { Done::Unchanged } else { Done::Empty },
            rows,
            added: 0,
            log_bytes: 0,
            file_bytes: size,
            duplicates: Vec::new(),
            quarantined: Vec::new(),
            gone: Vec::new(),
            mismatched: Vec::new(),
            unrecognised: std::mem::take(&mut gathered.unrecognised),
            attempts: 0,
        };
        if gathered.is_done() {
            return Ok(Attempt::Done(result));
        }
        let contents = gathered.published.as_ref().map(|(_, contents)| contents);
        let (logs, belief) = (std::mem::take(&mut gathered.logs), learned.belief());
        let ordered = order(source, hour, logs, contents, belief, &gathered.known).await?;
        result.duplicates.extend(ordered.duplicates.iter().map(|duplicate| duplicate.key.clone()));
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
        let (key, is_update) = (hour.key(), file.is_some());
        let mut publication = self.publisher.begin(&key, version.as_ref()).await?;
        let writer = HourWriter::new(hour, gathered.bodies)?;
        let watch = Watch { hour, logs: &self.progress.read, until: self.until };
        let (source, logs) = (&self.source, ordered.logs);
        let (published, is_afresh) = (gathered.published.as_ref(), gathered.is_afresh);
        let merged =
            merge(source, published, is_afresh, logs, writer, &mut *publication, &watch).await;
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
        let Merged { written, added, log_bytes, quarantined, gone, mismatched } = merged;
        let bad: HashSet<&str> =
            quarantined.iter().map(|bad| &*bad.key).chain(gone.iter().map(|key| &**key)).collect();
        let is_bad = |of: &Duplicate| of.of.as_deref().is_some_and(|key| bad.contains(key));
        if ordered.duplicates.iter().any(is_bad) {
            publication.abandon().await;
            return Ok(Attempt::Without(quarantined, gone));
        }
        result.quarantined.extend(quarantined);
        result.gone.extend(gone);
        result.mismatched = mismatched;
        let is_new = added > 0 || is_afresh;
        let Some(written) = written.filter(|written| is_new && written.rows > 0) else {
            // What looked new is no log.
            publication.abandon().await;
            return Ok(Attempt::Done(result));
        };
        result.done = if is_update { Done::Updated } else { Done::Published };
        (result.rows, result.added, result.log_bytes) = (written.rows, added, log_bytes);
        self.publish(&mut *publication, &written, gathered.bodies, result).await
    }

    /// Publishes a file, and finds out whether it is there.
    async fn publish(
        &self,
        publication: &mut dyn Publication,
        written: &Written,
        bodies: Bodies,
        mut result: Compacted,
    ) -> Result<Attempt, CompactError> {
        let unsure = match publication.publish(written.rest.clone()).await {
            Ok(()) => None,
            Err(PublishError::Unsure(why)) => Some(why),
            Err(error) => {
                publication.abandon().await;
                return Err(error.into());
            }
        };
        let found = read_back(&self.source, result.hour, written, bodies).await;
        if unsure.is_some() {
            // Whatever stands there, what may be left of this file is of no use.
            publication.abandon().await;
        }
        let why = unsure.unwrap_or_else(|| "what was published is not there".to_owned());
        match found? {
            Found::Ours(bytes) => {
                result.file_bytes = bytes;
                Ok(Attempt::Done(result))
            }
            Found::Other => Ok(Attempt::Again(why)),
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
