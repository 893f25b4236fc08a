//! Ties a client's connection to the spool: nothing reaches the socket before it is in the spool.
//!
//! HTTP/1.1 carries one exchange at a time, so a connection has at most one segment. [`Spooled`]
//! stands between the HTTP library and the socket; every write of the library, whichever code path
//! it comes from, first writes what was noted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Segment, Spool};
use crate::facts::Facts;
use crate::secret::Secret;

/// One client connection; requests carry a clone of it along.
#[derive(Clone)]
pub struct Connection {
    spool: Arc<Spool>,
    current: Arc<Mutex<Option<Segment>>>,
}

impl Connection {
    /// Makes the handle of a new connection.
    #[must_use]
    pub fn new(spool: &Arc<Spool>) -> Self {
        Self { spool: Arc::clone(spool), current: Arc::default() }
    }

    fn current(&self) -> MutexGuard<'_, Option<Segment>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow an exchange, if the spool can.
    pub fn begin(&self, facts: &Facts, secrets: Vec<Secret>) {
        *self.current() = self.spool.begin(facts, secrets);
    }

    /// Notes something about the exchange, if it is followed.
    pub fn note(&self, note: impl FnOnce(&mut Segment)) {
        if let Some(segment) = &mut *self.current() {
            note(segment);
        }
    }

    /// Hands out the segment of the exchange, which is over.
    #[must_use]
    pub fn take(&self) -> Option<Segment> {
        self.current().take()
    }
}

/// A socket that lags behind the spool, and gives up on a client that takes nothing.
pub struct Spooled<S> {
    socket: S,
    connection: Option<Connection>,
    /// How long the client may take nothing of what is there for it.
    patience: Duration,
    /// Runs while the socket takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Spooled<S> {
    /// Wraps a socket; without a connection it is passed through.
    #[must_use]
    pub fn new(socket: S, connection: Option<Connection>, patience: Duration) -> Self {
        Self { socket, connection, patience, stalled: None }
    }

    /// Notes what became of a write, and waits no longer than the patience lasts.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn commit(&self) {
        if let Some(connection) = &self.connection {
            connection.note(Segment::commit);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Spooled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Spooled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.commit();
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.commit();
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
