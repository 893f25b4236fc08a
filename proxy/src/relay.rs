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
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::exchange::Exchange;
use crate::outcome::End;

/// Why a relayed body breaks off.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// OpenAI's connection broke.
    #[error("the upstream connection broke")]
    Upstream(#[source] hyper::Error),
    /// OpenAI sent nothing for too long.
    #[error("the upstream sent nothing for {0:?}")]
    Silent(Duration),
}

/// A relayed body.
pub struct Relay {
    body: Incoming,
    exchange: Option<Exchange>,
    idle: Duration,
    /// When the last chunk came. The timer is not moved at every chunk, only looked at when it
    /// fires: a stream has hundreds of chunks a second and one time-out in a lifetime.
    last_chunk: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Relay {
    /// Relays `body`, and ends `exchange` with it.
    #[must_use]
    pub fn new(body: Incoming, exchange: Exchange, idle: Duration) -> Self {
        let last_chunk = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(last_chunk + idle));
        Self { body, exchange: Some(exchange), idle, last_chunk, timer }
    }

    /// Ends the exchange, the first time it is called.
    fn end(&mut self, end: End) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.facts().end = end;
        }
    }

    /// Waits until the stream has been silent for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let deadline = self.last_chunk + self.idle;
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
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
                ready!(self.poll_silence(cx));
                self.end(End::Silent);
                Poll::Ready(Some(Err(RelayError::Silent(self.idle))))
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
