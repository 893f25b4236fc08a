//! The body of OpenAI's answer: everything that came at once goes on at once.
//!
//! A stream of 200 events is read in some 4 pieces. hyper cuts them into HTTP chunks again, and one
//! write each was two thirds of what a stream cost. Here the chunks that are there already are
//! joined; none is ever waited for, and bytes and their order stay.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Link;
use super::pool::Pool;

/// Bytes that are joined at most, give or take a chunk.
const JOINED: usize = 64 << 10;

type Next = Option<Result<Frame<Bytes>, hyper::Error>>;

/// The body of OpenAI's answer, with the connection that it comes over.
pub struct Answer {
    body: Incoming,
    /// `None` once the body is over.
    link: Option<Box<Link>>,
    pool: Arc<Pool>,
    /// What came behind bytes that were joined: an error, or trailers.
    behind: Option<Box<Next>>,
    is_over: bool,
    /// What was passed on before an error had its chance to leave.
    is_flushed: bool,
}

impl Answer {
    pub(super) fn new(body: Incoming, link: Box<Link>, pool: Arc<Pool>) -> Self {
        let is_over = body.is_end_stream();
        Self { body, link: Some(link), pool, behind: None, is_over, is_flushed: false }
    }

    /// Takes the next piece that is there.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending()
            && let Some(link) = &mut self.link
        {
            link.drive(cx);
            polled = Pin::new(&mut self.body).poll_frame(cx);
        }
        self.is_over |= matches!(polled, Poll::Ready(None)) || self.body.is_end_stream();
        polled
    }
}

impl Answer {
    /// Hands out what came behind the bytes. hyper drops what it has not written when a body breaks,
    /// and it writes when a body has nothing more for now: so an error comes one turn later.
    fn end(&mut self, behind: Next, cx: &mut Context<'_>) -> Poll<Next> {
        if matches!(behind, Some(Err(_))) && !std::mem::replace(&mut self.is_flushed, true) {
            self.behind = Some(Box::new(behind));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(behind)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(behind) = self.behind.take() {
            return self.end(*behind, cx);
        }
        let mut first = None;
        let mut joined = BytesMut::new();
        let mut behind = None;
        while joined.len() < JOINED && !(first.is_some() && self.is_over) {
            match self.next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => match (frame.into_data(), &first) {
                    (Ok(data), None) => first = Some(data),
                    (Ok(data), Some(first)) => {
                        if joined.is_empty() {
                            joined.extend_from_slice(first);
                        }
                        joined.extend_from_slice(&data);
                    }
                    (Err(trailers), _) => {
                        behind = Some(Some(Ok(trailers)));
                        break;
                    }
                },
                Poll::Ready(end) => {
                    behind = Some(end);
                    break;
                }
            }
        }
        match (first, behind) {
            (None, None) => Poll::Pending,
            (None, Some(behind)) => self.end(behind, cx),
            (Some(first), behind) => {
                // That nothing more comes is told by `is_end_stream`.
                self.behind = behind.filter(Option::is_some).map(Box::new);
                let data = if joined.is_empty() { first } else { joined.freeze() };
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.behind.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // One that is left in the middle is closed: OpenAI sees that nobody listens any more.
        if let Some(link) = self.link.take().filter(|_| self.is_over) {
            link.give_back(&self.pool);
        }
    }
}
