//! AWS Lambda on loopback: runs a real `bootstrap`, and does to it what Lambda does.
//!
//! [`Function`] says what to run and within which limits; [`Lambda`] is the running thing, with a
//! Function URL in front that streams. Each execution environment is one child process with a Runtime
//! and Extensions API of its own. It is stopped (`SIGSTOP`) whenever the runtime and all extensions
//! wait for the next event, and only then is it free for the next invocation.
//!
//! The life of a request: `url` takes it and makes an `event` of it → `pool` finds or starts an
//! `environment`, which keeps to the rules of `lifecycle` → `runtime_api` delivers the event →
//! `response` takes in what the function posts → `answer` turns it into what AWS would answer. An
//! [`Order`] makes the next invocation end badly.

mod function;
mod order;
mod invocation;
mod url;
mod event;
mod pool;
mod environment;
mod lifecycle;
mod process;
mod runtime_api;
mod response;
mod answer;
mod clock;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::service::service_fn;
use serde_json::Value;

use crate::server::Server;
use pool::Pool;

pub use function::{ARN, Function, NAME, REGION, Register};
pub use invocation::{Invocation, Outcome};
pub use lifecycle::EnvironmentView;
pub use order::{Moment, Order};
pub use pool::{Invoked, Throttled};
pub use process::Line;

/// The most bytes that the JSON of an event may have.
pub const LARGEST_EVENT_BYTES: usize = 6_291_556;

/// A running function; dropping it kills its environments and closes all ports.
pub struct Lambda {
    front: Server,
    pool: Arc<Pool>,
}

impl Lambda {
    async fn start(function: Function) -> io::Result<Self> {
        let pool = Arc::new(Pool::new(function));
        let shared = Arc::clone(&pool);
        let service = service_fn(move |request| {
            let pool = Arc::clone(&shared);
            async move { url::serve(&pool, request).await }
        });
        let front = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), service).await?;
        Ok(Self { front, pool })
    }

    /// Returns the Function URL, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// Returns the address of the Function URL.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Invokes the function with an event made by hand, and waits for all that it answers.
    pub async fn invoke(&self, event: impl Into<Bytes>) -> Result<Invoked, Throttled> {
        Ok(pool::collect(self.pool.invoke(event.into(), None)?).await)
    }

    /// Makes the next invocation end as ordered; orders are carried out one after another.
    pub fn order(&self, order: Order) {
        self.pool.order(order);
    }

    /// Kills the environment of this index, frozen or not.
    pub fn kill(&self, environment: usize) {
        if let Some(environment) = self.pool.environments().get(environment) {
            environment.end(Outcome::Killed);
        }
    }

    /// Takes a frozen environment out of service, as Lambda does in the end: with an extension, the
    /// process gets `SIGTERM` and 500 ms, without one it is just killed.
    ///
    /// Does nothing to an environment that is not frozen.
    pub fn retire(&self, environment: usize) {
        if let Some(environment) = self.pool.environments().get(environment) {
            environment.retire();
        }
    }

    /// Returns all invocations so far, in the order in which they came; refused ones are not among them.
    #[must_use]
    pub fn invocations(&self) -> Vec<Invocation> {
        self.pool.invocations()
    }

    /// Returns a `platform.report` for each invocation that is over, as CloudWatch Logs would have it.
    #[must_use]
    pub fn reports(&self) -> Vec<Value> {
        self.pool.invocations().iter().filter_map(Invocation::report).collect()
    }

    /// Returns all environments so far, in the order in which they were started.
    #[must_use]
    pub fn environments(&self) -> Vec<EnvironmentView> {
        self.pool.environments().iter().map(|environment| environment.view()).collect()
    }

    /// Returns what the environments wrote to stdout.
    #[must_use]
    pub fn stdout(&self) -> Vec<Line> {
        self.pool.stdout.lines()
    }

    /// Returns what the environments wrote to stderr.
    #[must_use]
    pub fn stderr(&self) -> Vec<Line> {
        self.pool.stderr.lines()
    }

    /// Waits until no environment works: each one is frozen or dead, and each invocation is over.
    pub async fn until_frozen(&self) {
        let is_frozen = || {
            self.environments()
                .iter()
                .all(|environment| environment.is_frozen || !environment.is_alive)
                && self.invocations().iter().all(|invocation| invocation.outcome.is_some())
        };
        while !is_frozen() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until no environment works, and then lets this much time pass over the frozen ones.
    pub async fn rest(&self, duration: Duration) {
        self.until_frozen().await;
        tokio::time::sleep(duration).await;
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        for environment in self.pool.take_environments() {
            environment.close();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
