//! What passed over a connection: whether it had served before, and whether a byte of an answer came.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures::future::{BoxFuture, FutureExt as _, poll_fn};
use http::{Extensions, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, capture_connection};
use hyper_util::client::legacy::{Client, Error};
use tower_service::Service;

use super::Connector;
use crate::upload::Upload;

/// Most of an answer that takes the detour: its head, mostly.
const FIRST_PIECE: usize = 8_192;

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

/// Sends a request over the pool; a failure comes with what its connection had seen.
pub(super) async fn send(
    client: &Client<Connector, Upload>,
    mut request: Request<Upload>,
) -> Result<Response<Incoming>, (Error, Traffic)> {
    let captured = capture_connection(&mut request);
    let mut response = pin!(client.request(request));
    let mut given: Option<(Seen, bool)> = None;
    let answer = poll_fn(|cx| {
        let polled = response.as_mut().poll(cx);
        if given.is_none() {
            // Looked at right after the connection was chosen: the answer is a round trip away.
            given = captured.connection_metadata().as_ref().and_then(|connected| {
                let mut extensions = Extensions::new();
                connected.get_extras(&mut extensions);
                let seen = extensions.remove::<Seen>()?;
                let is_reused = seen.served.swap(true, Ordering::Relaxed);
                seen.answer_came.store(false, Ordering::Relaxed);
                Some((seen, is_reused))
            });
        }
        polled
    });
    answer.await.map_err(|error| {
        let traffic = match given {
            Some((seen, true)) if seen.answer_came.load(Ordering::Relaxed) => Traffic::Some,
            Some((_, true)) => Traffic::NoneOnReused,
            _ => Traffic::Fresh,
        };
        (error, traffic)
    })
}

/// What was seen on one connection, shared with whoever uses it.
#[derive(Clone, Default)]
struct Seen(Arc<Flags>);

#[derive(Default)]
struct Flags {
    /// It was chosen for a request before.
    served: AtomicBool,
    /// A byte of the answer to its newest request came.
    answer_came: AtomicBool,
}

impl std::ops::Deref for Seen {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.0
    }
}

/// A connector whose connections are watched.
#[derive(Clone)]
pub(super) struct Connections<C>(C);

impl<C> Connections<C> {
    pub(super) fn new(connector: C) -> Self {
        Self(connector)
    }
}

impl<C> Service<Uri> for Connections<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = Watched<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Response, C::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        async move { Ok(Watched { io: connecting.await?, seen: Seen::default() }) }.boxed()
    }
}

/// A connection that notes when an answer begins.
pub(super) struct Watched<T> {
    io: T,
    seen: Seen,
}

impl<T: Connection> Connection for Watched<T> {
    fn connected(&self) -> Connected {
        self.io.connected().extra(self.seen.clone())
    }
}

impl<T: Read + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen.answer_came.load(Ordering::Relaxed) {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        // The cursor does not tell how much was read into it, and the end of a connection reads as
        // nothing: so the first piece of an answer takes a detour through a buffer of ours.
        let mut first = [0; FIRST_PIECE];
        let room = buffer.remaining().min(FIRST_PIECE);
        let mut first = ReadBuf::new(&mut first[..room]);
        ready!(Pin::new(&mut self.io).poll_read(cx, first.unfilled()))?;
        buffer.put_slice(first.filled());
        self.seen.answer_came.store(!first.filled().is_empty(), Ordering::Relaxed);
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
