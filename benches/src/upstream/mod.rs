//! A fake `api.openai.com`: right answers, and every way in which they go wrong.
//!
//! A request comes in (`asked` reads what it wants), a fault may be chosen (`fault`, from the
//! table in `catalogue`), and `answer` makes the response in the words of the Responses API
//! (`responses`) or of Chat Completions (`chat`). Nothing waits unless a fault says so, and
//! nobody's token is checked.
//!
//! The life of a request: collect → record → choose the fault → stamp with OpenAI's headers → stream.

mod asked;
mod fault;
mod catalogue;
mod stamp;
mod answer;
mod refusal;
mod story;
mod responses;
mod chat;
mod tokens;
mod random;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize, atomic::Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, request::Parts};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};

use crate::{
    body::{Body, OpenStream},
    server::Server,
};

pub use asked::{BYTES_HEADER, DELAY_HEADER, FAULT_HEADER, SEED_HEADER};
pub use catalogue::FAULTS;
pub use fault::Fault;
#[cfg(feature = "corpus")]
pub(crate) use random::SplitMix;
pub use random::random_body;
pub use tokens::{TOKENS, Tokens};

/// A running fake of the OpenAI API; dropping it closes the port and all connections.
pub struct FakeOpenAi {
    server: Server,
    state: Arc<State>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// The request target, byte for byte.
    pub path_and_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl FakeOpenAi {
    /// Starts on a free loopback port.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts on `address`, which must be a loopback address.
    pub async fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, Memory::EveryRequest).await
    }

    /// Starts on `address` and keeps no request: for a long run under load.
    ///
    /// [`requests`](Self::requests) stays empty.
    pub async fn start_forgetful(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, Memory::Nothing).await
    }

    async fn start_with(address: SocketAddr, memory: Memory) -> io::Result<Self> {
        let state = Arc::new(State {
            memory,
            seen: Mutex::default(),
            open: Arc::default(),
            stamps: stamp::Stamps::new(),
        });
        let shared = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&shared);
            async move { serve(request, &state).await }
        });
        Ok(Self { server: Server::start(address, service).await?, state })
    }

    /// Returns `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the requests that arrived whole, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state.seen().clone()
    }

    /// Returns how many response bodies are neither finished nor dropped.
    ///
    /// It falls to 0 when a client's hang-up has reached this server.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

/// Whether requests are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    EveryRequest,
    Nothing,
}

struct State {
    memory: Memory,
    seen: Mutex<Vec<SeenRequest>>,
    open: Arc<AtomicUsize>,
    stamps: stamp::Stamps,
}

impl State {
    fn seen(&self) -> MutexGuard<'_, Vec<SeenRequest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, parts: &Parts, body: &Bytes) {
        if self.memory == Memory::EveryRequest {
            self.seen().push(SeenRequest {
                method: parts.method.clone(),
                path_and_query: parts.uri.to_string(),
                headers: parts.headers.clone(),
                body: body.clone(),
            });
        }
    }
}

async fn serve(request: Request<Incoming>, state: &State) -> io::Result<Response<Body>> {
    let (parts, incoming) = request.into_parts();
    let body = incoming.collect().await.map_err(io::Error::other)?.to_bytes();
    state.record(&parts, &body);
    let asked = asked::Asked::read(&parts, &body);
    let response = answer::answer(&asked, &state.stamps.fresh()).await?;
    Ok(response.map(|body| body.counted(OpenStream::enter(&state.open))))
}
