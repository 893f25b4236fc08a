//! What becomes of a record that the sink refuses.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use schemas::journal::Fate;

use super::Log;
use super::waiting::say;
use crate::encode::LogObject;
use crate::sink::SinkError;
use crate::spool::Spool;

/// Where a record goes that the sink refuses.
pub enum Keep {
    /// Nowhere: it is lost, which is said.
    Nowhere,
    /// It stays in the spool until the sink takes it.
    Spool(Arc<Spool>),
    /// Somewhere else, once.
    Refuge(Arc<dyn Refuge>),
}

/// Keeps a record that the sink refused, where somebody can bring it back from.
pub trait Refuge: Send + Sync {
    /// Keeps key and bytes as they are.
    ///
    /// # Errors
    ///
    /// When it cannot: the record is lost then.
    fn keep(&self, object: &LogObject) -> io::Result<()>;
}

/// How many records are not where they belong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// Nobody has them.
    pub lost: u64,
    /// They are in the spool, and the next start brings them.
    pub waiting: u64,
}

impl Log {
    /// Without a spool: the refuge, or nothing.
    pub(super) async fn flee(&self, object: LogObject, error: &SinkError) -> Fate {
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
    pub(super) fn lose(&self, error: &str) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        say(&serde_json::json!({"level": "error", "event": "log_write_failed", "error": error}));
    }
}
