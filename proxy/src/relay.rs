//! The response body on its way to the client: every chunk goes on as it came, and is noted.
//!
//! A body that breaks at OpenAI breaks at the client too, so that it can tell a cut from an end. A
//! client that leaves drops this body, and with it the [`Exchange`]: that is how its leaving is
//! seen.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Instant, Sleep};

use crate::exchange::Exchange;
use crate::outcome::End;
use crate::upstream::Answer;

/// Why a relayed body breaks off.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// OpenAI's connection broke.
    #[error("the upstream connection broke")]
    Upstream(#[source] hyper::Error),
    /// OpenAI sent nothing for too long.
    #[error("the upstream sent nothing for {0:?}")]
    Silent(Duration),
    /// The time that Lambda gives is up.
    #[error("the time limit of the Lambda function is near")]
    Deadline,
}

/// A relayed body.
pub struct Relay {
    body: Answer,
    exchange: Option<Exchange>,
    idle: Duration,
    /// When the last chunk came. The timer is not moved at every chunk, only looked at when it
    /// fires: a stream has hundreds of chunks a second and one time-out in a lifetime.
    last_chunk: Instant,
    /// When the answer has to be over, whatever still comes.
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Relay {
    /// Relays `body`, and ends `exchange` with it.
    #[must_use]
    pub fn new(
        body: Answer,
        exchange: Exchange,
        idle: Duration,
        deadline: Option<Instant>,
    ) -> Self {
        let last_chunk = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(next(last_chunk + idle, deadline)));
        Self { body, exchange: Some(exchange), idle, last_chunk, deadline, timer }
    }

    /// Ends the exchange, the first time it is called.
    pub fn end(&mut self, end: End) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.facts().end = end;
        }
    }

    /// Waits until the stream has been silent for too long, or has to be over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<(End, RelayError)> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if self.is_over(now) {
                return Poll::Ready((End::Deadline, RelayError::Deadline));
            }
            let silence = self.last_chunk + self.idle;
            if now >= silence {
                return Poll::Ready((End::Silent, RelayError::Silent(self.idle)));
            }
            self.timer.as_mut().reset(next(silence, self.deadline));
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }
}

fn next(silence: Instant, deadline: Option<Instant>) -> Instant {
    deadline.map_or(silence, |deadline| silence.min(deadline))
}

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.last_chunk = Instant::now();
                if self.is_over(self.last_chunk) {
                    // What the client does not get any more is not in its record either.
                    self.end(End::Deadline);
                    return Poll::Ready(Some(Err(RelayError::Deadline)));
                }
                if let (Some(data), Some(exchange)) = (frame.data_ref(), &mut self.exchange) {
                    exchange.chunk(data);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.end(End::Abrupt);
                Poll::Ready(Some(Err(RelayError::Upstream(error))))
            }
            Poll::Ready(None) => {
                self.end(End::Clean);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let (end, error) = ready!(self.poll_time(cx));
                self.end(end);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A body of known length is not asked for more once its last byte has passed.
        let end = if self.body.is_end_stream() { End::Clean } else { End::ClientLeft };
        self.end(end);
    }
}

/// The body of any answer: one of ours, or one that is relayed.
pub enum Reply {
    /// Ours, whole.
    Own(Full<Bytes>),
    /// OpenAI's, as it comes.
    Relayed(Relay),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Relayed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Relayed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Relayed(body) => body.size_hint(),
        }
    }
}
