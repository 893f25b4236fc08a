//! Threads that serve connections: one for each core, each with a runtime of its own.
//!
//! A connection stays on its thread, and so does its connection to OpenAI: no byte has to wake another
//! thread, and nothing is stolen. Threads that share their tasks spent a third of a request on waking
//! each other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads; they end when this is dropped, with all that runs on them.
pub(crate) struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// Connections that it serves.
    load: Arc<AtomicUsize>,
    /// Ends the thread by being dropped.
    _alive: oneshot::Sender<()>,
}

/// The place of a connection on its thread.
pub(crate) struct Place {
    runtime: Handle,
    load: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts a thread for each core.
    pub(crate) fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (0..cores).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    /// Returns a place on the thread that serves the fewest connections.
    pub(crate) fn place(&self) -> Option<Place> {
        let idlest = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed))?;
        idlest.load.fetch_add(1, Ordering::Relaxed);
        Some(Place { runtime: idlest.runtime.clone(), load: Arc::clone(&idlest.load) })
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        let work = move || drop(runtime.block_on(ended));
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
        Ok(Self { runtime: handle, load: Arc::default(), _alive: alive })
    }
}

impl Place {
    /// Returns the runtime of the thread.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}
