//! One connection to OpenAI, driven by whoever waits for its answer, and the pool of those at rest.
//!
//! hyper wants a connection to be polled by a task. Here that is the task of the client's own
//! connection: an exchange lives in one task, and no piece of an answer wakes a second one. It also
//! lets everything go on at once that was read at once (see `answer`), which a task of its own could
//! not: it hands over one piece at a time. Measured: docs of `answer`.

use std::error::Error as StdError;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures::future::poll_fn;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use tokio::runtime::{Handle, Id};
use tower_service::Service;

use super::pool::Pool;
use super::way::Way;
use crate::upload::Upload;

/// Most of an answer that takes the detour: its head, mostly.
const FIRST_PIECE: usize = 8_192;

type Io = Watched<<HttpsConnector<Way> as Service<Uri>>::Response>;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// There is no connection to be had.
    #[error("cannot connect")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// It broke.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// What passed over the connection that a failed request went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// It was made for this request, or there was none.
    Fresh,
    /// It had served before, and not one byte came in answer to this request.
    NoneOnReused,
    /// It had served before, and something came.
    Some,
}

/// A connection to OpenAI.
pub(super) struct Link {
    sender: http1::SendRequest<Upload>,
    /// `None` once it is over.
    connection: Option<http1::Connection<Io, Upload>>,
    /// A byte of the answer to its newest request came.
    answer_came: Arc<AtomicBool>,
    is_reused: bool,
    /// Whose driver tells what happens to it.
    home: Id,
}

impl Link {
    /// Connects, and prepares for HTTP/1.1. Name, connection, tunnel and TLS together may take this long.
    pub(super) async fn open(
        mut connector: HttpsConnector<Way>,
        to: Uri,
        time: Duration,
    ) -> Result<Box<Self>, SendError> {
        let connecting = tokio::time::timeout(time, connector.call(to));
        let timed_out = |_| SendError::Connect(io::Error::from(io::ErrorKind::TimedOut).into());
        let io = connecting.await.map_err(timed_out)?.map_err(SendError::Connect)?;
        let answer_came = Arc::<AtomicBool>::default();
        let io = Watched { io, answer_came: Arc::clone(&answer_came) };
        let mut http = http1::Builder::new();
        let made = http.preserve_header_case(true).handshake(io).await;
        let (sender, connection) = made.map_err(SendError::Broken)?;
        let home = Handle::current().id();
        let connection = Some(connection);
        Ok(Box::new(Self { sender, connection, answer_came, is_reused: false, home }))
    }

    /// Returns the runtime that it belongs to.
    pub(super) fn home(&self) -> Id {
        self.home
    }

    /// Sends a request and waits for the response headers. A connection that had closed before it
    /// took the request hands it back.
    pub(super) async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, (SendError, Traffic, Option<Request<Upload>>)> {
        self.answer_came.store(false, Ordering::Relaxed);
        let mut response = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = response.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            drive(&mut self.connection, cx);
            response.as_mut().poll(cx)
        });
        answer.await.map_err(|mut error| {
            let traffic = match (self.is_reused, self.answer_came.load(Ordering::Relaxed)) {
                (false, _) => Traffic::Fresh,
                (true, false) => Traffic::NoneOnReused,
                (true, true) => Traffic::Some,
            };
            let unsent = error.take_message();
            (SendError::Broken(error.into_error()), traffic, unsent)
        })
    }

    /// Lets the connection do what it can.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Returns whether it can take a request, as far as that can be told without asking OpenAI.
    pub(super) fn is_idle(&mut self) -> bool {
        // Whoever takes it next polls it with a waker of its own.
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Gives the connection back after a whole answer: at once, or when the rest of the request,
    /// which OpenAI did not wait for, is out.
    pub(super) fn give_back(mut self: Box<Self>, pool: &Arc<Pool>) {
        self.is_reused = true;
        if self.is_idle() {
            return pool.put(self);
        }
        let (Some(_), Ok(runtime)) = (&self.connection, Handle::try_current()) else {
            return;
        };
        let pool = Arc::clone(pool);
        runtime.spawn(async move {
            let rested = poll_fn(|cx| {
                drive(&mut self.connection, cx);
                if self.connection.is_some() {
                    self.sender.poll_ready(cx)
                } else {
                    Poll::Ready(Ok(()))
                }
            });
            if rested.await.is_ok() && self.connection.is_some() {
                pool.put(self);
            }
        });
    }
}

/// What the connection has to say about its end, whoever waits for an answer is told by itself.
fn drive(connection: &mut Option<http1::Connection<Io, Upload>>, cx: &mut Context<'_>) {
    if let Some(open) = connection
        && Pin::new(open).poll(cx).is_ready()
    {
        *connection = None;
    }
}

/// A connection that notes when an answer begins.
struct Watched<T> {
    io: T,
    answer_came: Arc<AtomicBool>,
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answer_came.load(Ordering::Relaxed) {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        // The cursor does not tell how much was read into it, and the end of a connection reads as
        // nothing: so the first piece of an answer takes a detour through a buffer of ours.
        let mut first = [0; FIRST_PIECE];
        let room = buffer.remaining().min(FIRST_PIECE);
        let mut first = ReadBuf::new(&mut first[..room]);
        ready!(Pin::new(&mut self.io).poll_read(cx, first.unfilled()))?;
        buffer.put_slice(first.filled());
        self.answer_came.store(!first.filled().is_empty(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
