//! A response body with a script: pieces, a gap between them, and an ending.
//!
//! The pieces come in ready made; each goes out as one frame and in one write. The ending decides
//! whether the body finishes, breaks the connection, or leaves the client waiting.

use std::{
    collections::VecDeque,
    io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Sleep;

/// What follows the last piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The body ends as HTTP wants it.
    Finish,
    /// The connection is dropped, so that the client sees a body without its end.
    Break,
    /// Nothing more comes, and the connection stays open.
    Silence,
}

/// One response body.
pub(crate) struct Body {
    pieces: VecDeque<Bytes>,
    ending: Ending,
    gap: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
    flush: bool,
    open: Option<OpenStream>,
}

impl Body {
    pub(crate) fn new(pieces: impl IntoIterator<Item = Bytes>, ending: Ending) -> Self {
        let pieces: VecDeque<_> = pieces.into_iter().collect();
        let flush = pieces.is_empty();
        Self { pieces, ending, gap: None, pause: None, flush, open: None }
    }

    /// Waits this long between two pieces.
    pub(crate) fn with_gap(mut self, gap: Duration) -> Self {
        self.gap = Some(gap);
        self
    }

    /// Counts this body as open until it is dropped.
    pub(crate) fn counted(mut self, open: OpenStream) -> Self {
        self.open = Some(open);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        // hyper writes what it holds only when the body has nothing ready, and forgets it when the
        // body fails: so it gets a turn after each piece.
        if mem::take(&mut this.flush) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        if let Some(piece) = this.pieces.pop_front() {
            this.flush = true;
            if !this.pieces.is_empty() {
                this.pause = this.gap.map(|gap| Box::pin(tokio::time::sleep(gap)));
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match this.ending {
            Ending::Finish => {
                drop(this.open.take());
                Poll::Ready(None)
            }
            Ending::Break => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            Ending::Silence => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.ending == Ending::Finish
    }
}

/// One place in the count of open bodies, given back when it is dropped.
pub(crate) struct OpenStream(Arc<AtomicUsize>);

impl OpenStream {
    pub(crate) fn enter(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
