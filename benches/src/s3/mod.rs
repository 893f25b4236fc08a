//! An S3 server over a map in memory, on a loopback port.
//!
//! Requests are parsed and their signatures checked by the crate `s3s`; `operations` answers them
//! from the `store`, unless a `failure` was ordered. [`MemoryS3`] is the view of a test on all
//! of it: fill it, look into it, count what was asked of it, make it fail.

mod failure;
mod store;
mod condition;
mod multipart;
mod operations;

use std::{
    io::{self, ErrorKind::ConnectionReset},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request};
use hyper::{body::Incoming, service::service_fn};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio::sync::oneshot;

use crate::server::Server;
use store::{Object, Store};

pub use failure::{Counts, Failure, Moment, Operation};

/// The access key id that the server knows.
pub const ACCESS_KEY: &str = "AKIAMEMORYS3EXAMPLE0";
/// The secret that belongs to [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "memory-s3-secret-for-tests-only-00000000";

/// A running S3 server; dropping it closes the port, all connections, and forgets the objects.
///
/// Addresses are path-style (`URL/BUCKET/KEY`), any region will do.
pub struct MemoryS3 {
    server: Server,
    bucket: String,
    state: Arc<Mutex<State>>,
}

/// All that the server knows.
#[derive(Default)]
struct State {
    store: Store,
    counts: Counts,
    orders: failure::Orders,
    uploads: multipart::Uploads,
    /// Where everything is to stop: how many requests from now on, on which side, and who is told.
    halt: Option<(usize, Moment, oneshot::Sender<()>)>,
    /// How long every answer waits.
    latency: Duration,
    /// Keys that were stored a second time with other bytes.
    overwritten: Vec<String>,
}

impl MemoryS3 {
    /// Starts on a free loopback port, with one empty bucket.
    pub async fn start(bucket: &str) -> io::Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        lock(&state).store.create(bucket);
        let mut builder = S3ServiceBuilder::new(operations::Operations(Arc::clone(&state)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (service, orders) = (builder.build(), Arc::clone(&state));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let service = service.clone();
            let (failure, latency, halt) = {
                let mut state = lock(&orders);
                let operation = operation(&request);
                let halt = operation.and_then(|_| state.halts());
                (operation.and_then(|one| state.orders.take(one)), state.latency, halt)
            };
            if failure == Some(Failure::Reset)
                && let Some(operation) = operation(&request)
            {
                lock(&orders).counts.add(operation);
            }
            failure.map(|failure| request.extensions_mut().insert(failure));
            async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                if let Some((moment, told)) = halt {
                    if moment == Moment::After {
                        let _ = service.call(request.map(s3s::Body::from)).await;
                    }
                    let _ = told.send(());
                    // Dropped with the connection, when whoever waits is killed.
                    return std::future::pending().await;
                }
                match failure {
                    // An error drops the connection.
                    Some(Failure::Reset) => Err(ConnectionReset.into()),
                    Some(Failure::StoredReset) => {
                        let _ = service.call(request.map(s3s::Body::from)).await;
                        Err(ConnectionReset.into())
                    }
                    _ => service.call(request.map(s3s::Body::from)).await.map_err(io::Error::other),
                }
            }
        });
        let server = Server::start(address, service).await?;
        Ok(Self { server, bucket: bucket.to_owned(), state })
    }

    /// Returns `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Puts an object straight into the bucket: no request, no count.
    pub fn insert(&self, key: &str, body: Vec<u8>, last_modified: SystemTime) {
        let object = Object::new(body.into(), last_modified);
        lock(&self.state).store.create(&self.bucket).insert(key.to_owned(), object);
    }

    /// Returns all objects of the bucket, in the order of their keys.
    #[must_use]
    pub fn objects(&self) -> Vec<(String, Bytes)> {
        let mut state = lock(&self.state);
        let objects = state.store.create(&self.bucket).iter();
        objects.map(|(key, object)| (key.clone(), object.body.clone())).collect()
    }

    /// Returns how many requests of each kind were answered so far, ordered failures included.
    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.state).counts
    }

    /// Returns the keys that were stored again with other bytes.
    #[must_use]
    pub fn overwritten(&self) -> Vec<String> {
        lock(&self.state).overwritten.clone()
    }

    /// Takes back all orders to fail, or to halt.
    pub fn recover(&self) {
        let mut state = lock(&self.state);
        state.orders.clear();
        state.halt = None;
    }

    /// Returns how many requests have failed by order.
    #[must_use]
    pub fn failures(&self) -> usize {
        lock(&self.state).orders.carried_out
    }

    /// Halts at a request, counted from 1 from now on: it is carried out or not, and never answered.
    /// What comes back is told when that happens, so that a test can kill its client at that very
    /// boundary.
    #[must_use]
    pub fn halt_at(&self, request: usize, moment: Moment) -> oneshot::Receiver<()> {
        let (told, tell) = oneshot::channel();
        lock(&self.state).halt = Some((request, moment, told));
        tell
    }

    /// Removes an object, as a lifecycle rule does.
    pub fn remove(&self, key: &str) {
        lock(&self.state).store.create(&self.bucket).remove(key);
    }

    /// Returns the keys of multipart uploads that are neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self) -> Vec<String> {
        lock(&self.state).uploads.keys()
    }

    /// Makes every answer wait this long.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.state).latency = latency;
    }

    /// Makes so many of a thousand requests of this kind fail, at random by this seed, until it is
    /// taken back.
    ///
    /// # Panics
    ///
    /// When the failure is one that this operation cannot have.
    pub fn fail_often(
        &self,
        operation: Operation,
        failure: Failure,
        of_thousand: usize,
        seed: u64,
    ) {
        lock(&self.state).orders.add_chance(operation, failure, of_thousand, seed);
    }

    /// Makes the next `times` requests of this kind fail; orders are carried out one after another.
    ///
    /// # Panics
    ///
    /// When the failure is one that this operation cannot have.
    pub fn fail_next(&self, operation: Operation, failure: Failure, times: usize) {
        lock(&self.state).orders.add(operation, failure, times);
    }
}

/// Tells what kind of request this is, before it is parsed as a whole.
fn operation<B>(request: &Request<B>) -> Option<Operation> {
    let query = request.uri().query().unwrap_or_default();
    let has = |wanted: &str| query.split('&').any(|pair| pair.trim_end_matches('=') == wanted);
    let has_name =
        |wanted: &str| query.split('&').any(|pair| pair.split('=').next() == Some(wanted));
    Some(match *request.method() {
        Method::GET if has("list-type=2") => Operation::List,
        Method::GET if has("location") => return None,
        Method::GET => Operation::Get,
        Method::HEAD => Operation::Head,
        Method::PUT if has_name("partNumber") => Operation::UploadPart,
        Method::PUT => Operation::Put,
        Method::POST if has("uploads") => Operation::CreateUpload,
        Method::POST if has_name("uploadId") => Operation::CompleteUpload,
        Method::DELETE if has_name("uploadId") => Operation::AbortUpload,
        _ => return None,
    })
}

impl State {
    /// Counts down to the request at which everything halts; returns what that one is to do.
    fn halts(&mut self) -> Option<(Moment, oneshot::Sender<()>)> {
        let (left, _, _) = self.halt.as_mut()?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.halt.take().map(|(_, moment, told)| (moment, told))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
