//! The log behind the request path: takes finished exchanges and brings each to the sink, once.
//!
//! Nothing here can delay or change an answer. Encoding and writing happen in tasks of their own,
//! as many at a time as there are cores; a shutdown waits for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::encode::{LogObject, encode};
use crate::facts::Facts;
use crate::record;
use crate::settings::{Limits, Settings};
use crate::sink::{LogSink, SinkError};

/// Waits before the second and the third try of a refused write.
const RETRIES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Brings finished exchanges to the sink.
pub struct Log {
    sink: Arc<dyn LogSink>,
    settings: Arc<Settings>,
    runtime: tokio::runtime::Handle,
    tasks: TaskTracker,
    encoders: Arc<Semaphore>,
    lost: AtomicU64,
    cut: AtomicBool,
}

impl Log {
    /// Makes a log that writes to `sink`. Must be called within a Tokio runtime.
    #[must_use]
    pub fn new(sink: Arc<dyn LogSink>, settings: Arc<Settings>) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Arc::new(Self {
            sink,
            settings,
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            encoders: Arc::new(Semaphore::new(cores)),
            lost: AtomicU64::new(0),
            cut: AtomicBool::new(false),
        })
    }

    /// Returns the limits that exchanges keep to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
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

    /// Takes a finished exchange. Returns at once.
    pub fn submit(self: &Arc<Self>, facts: Box<Facts>) {
        let log = Arc::clone(self);
        let task = async move {
            let key = match log.encode(facts).await {
                Ok(object) => match log.write(&object).await {
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                },
                Err(error) => error,
            };
            log.lost.fetch_add(1, Ordering::Relaxed);
            complain(&key);
        };
        drop(self.tasks.spawn_on(task, &self.runtime));
    }

    async fn encode(&self, facts: Box<Facts>) -> Result<LogObject, String> {
        let _permit = self.encoders.acquire().await.map_err(|error| error.to_string())?;
        let settings = Arc::clone(&self.settings);
        let work = move || encode(&record::assemble(*facts, &settings));
        let done = self.runtime.spawn_blocking(work).await.map_err(|error| error.to_string())?;
        done.map_err(|error| error.to_string())
    }

    async fn write(&self, object: &LogObject) -> Result<(), SinkError> {
        for wait in RETRIES {
            if self.sink.put(object).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
        }
        self.sink.put(object).await
    }

    /// Waits until every exchange submitted so far is written or has failed for good, and returns
    /// how many failed since the start.
    pub async fn flush(&self) -> u64 {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        self.lost.load(Ordering::Relaxed)
    }
}

/// Says on stderr, as one line of JSON, that a record could not be written.
fn complain(error: &str) {
    let line = serde_json::json!({"level": "error", "event": "log_write_failed", "error": error});
    #[expect(clippy::print_stderr, reason = "the last place where a lost log can be told")]
    {
        eprintln!("{line}");
    }
}
