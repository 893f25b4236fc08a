//! The request body on its way to OpenAI: forwarded as it arrives, while a copy is kept aside.
//!
//! The copy (8 MiB at most) is read for what it asks (`asked`) when the exchange is over.
//!
//! What nobody wants of a body (its request was refused, or OpenAI was not there) is read all the
//! same, within bounds: a connection that is closed on unread bytes is reset, and the client would
//! lose our answer.
//!
//! The copy also serves the one replay that a dead pooled connection may need
//! ([`UploadWatch::whole`], [`Upload::again`]).

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::asked::Asked;
use crate::memory::{Held, Memory};
use crate::settings::Limits;

/// How much of an unwanted body is read, and for how long. A client that sends more, or more
/// slowly, has to take the reset.
const DRAIN: (u64, Duration) = (16 << 20, Duration::from_secs(2));

/// Why a request body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The client went away.
    #[error("the client's request body broke off")]
    ClientLeft,
    /// The client sent broken HTTP.
    #[error("the client's request body is broken HTTP")]
    Malformed,
    /// The body went over the limit.
    #[error("the client's request body is over the limit")]
    TooLarge,
}

/// The body of a request, as it reaches the proxy.
pub enum RequestBody {
    /// From a client's connection, piece by piece.
    Incoming(Incoming),
    /// Whole, from a Lambda event.
    Whole(Full<Bytes>),
}

impl RequestBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self {
            Self::Incoming(body) => Pin::new(body).poll_frame(cx).map_err(|error| explain(&error)),
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Incoming(body) => body.is_end_stream(),
            Self::Whole(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Incoming(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
        }
    }
}

/// What has passed so far.
#[derive(Debug, Default)]
struct Passed {
    bytes: u64,
    copy: Vec<u8>,
    copy_is_whole: bool,
    held: Held,
    /// What the copy asks for, once it was read.
    asked: Option<Asked>,
    failure: Option<UploadError>,
    /// Whoever forwards it has asked for more than the client has sent.
    waits_for_client: bool,
    /// Nothing more will be read.
    is_over: bool,
}

/// A look at an upload from outside: how much passed, and what it asked for.
#[derive(Clone, Debug, Default)]
pub struct UploadWatch(Arc<(Mutex<Passed>, Notify)>);

impl UploadWatch {
    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.passed().is_over = true;
        self.0.1.notify_waiters();
    }

    /// Waits until nothing more will be read of the body; not longer than an unwanted one is read.
    pub async fn over(&self) {
        let over = async {
            loop {
                let ended = self.0.1.notified();
                if self.passed().is_over {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(DRAIN.1, over).await;
    }

    /// Makes the watch of an upload that was seen by a process that died.
    #[must_use]
    pub fn recalled(bytes: u64, asked: Asked) -> Self {
        let watch = Self::default();
        *watch.passed() = Passed { bytes, asked: Some(asked), is_over: true, ..Passed::default() };
        watch
    }

    /// Keeps the copy within a budget that others draw on too.
    pub fn hold(&self, memory: &Arc<Memory>) {
        self.passed().held = Held::of(memory);
    }

    /// Returns how many bytes have passed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.passed().bytes
    }

    /// Returns why the upload broke off, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<UploadError> {
        self.passed().failure
    }

    /// Returns whether it is the client that keeps everybody waiting.
    #[must_use]
    pub fn waits_for_client(&self) -> bool {
        let passed = self.passed();
        passed.waits_for_client && !passed.is_over
    }

    /// Returns the copy; only the beginning of a body over its limit.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        self.passed().copy.clone()
    }

    /// Returns the whole body, if all of it came and the copy holds it.
    #[must_use]
    pub fn whole(&self) -> Option<Bytes> {
        let passed = self.passed();
        let is_whole = passed.copy_is_whole && passed.failure.is_none();
        is_whole.then(|| Bytes::copy_from_slice(&passed.copy))
    }

    /// Reads `model` and `stream` from the copy; `encoding` is the request's `content-encoding`.
    #[must_use]
    pub fn asked(&self, encoding: Option<&str>, limit: usize) -> Asked {
        let passed = self.passed();
        if let Some(asked) = &passed.asked {
            return asked.clone();
        }
        if !passed.copy_is_whole {
            return Asked::default();
        }
        Asked::read(&passed.copy, encoding, limit)
    }

    /// The same for whoever cannot wait: a copy over `limit` is not read, and what is read is read
    /// once.
    #[must_use]
    pub fn asked_if_small(&self, encoding: Option<&str>, limit: usize) -> Asked {
        if self.passed().copy.len() > limit {
            return Asked::default();
        }
        let asked = self.asked(encoding, 4 * limit);
        if asked != Asked::default() {
            self.passed().asked = Some(asked.clone());
        }
        asked
    }
}

/// A request body, watched. When it is dropped before its end, the rest is read in the background.
pub struct Upload(Option<Source>);

enum Source {
    Watched(Watched),
    Again(Full<Bytes>),
}

impl Upload {
    /// Wraps the body of a request with these headers.
    #[must_use]
    pub fn new(body: RequestBody, headers: &HeaderMap, limits: &Limits) -> (Self, UploadWatch) {
        let watch = UploadWatch::default();
        if body.is_end_stream() {
            watch.passed().copy_is_whole = true;
            watch.end();
        }
        let watched = Watched {
            body,
            watch: watch.clone(),
            limit: limits.request_bytes,
            copy_limit: limits.request_copy_bytes,
            waits_for_us: headers.contains_key(header::EXPECT),
        };
        (Self(Some(Source::Watched(watched))), watch)
    }

    /// Sends a body that has passed already once more. It is not counted again.
    #[must_use]
    pub fn again(body: Bytes) -> Self {
        Self(Some(Source::Again(Full::new(body))))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(Source::Watched(watched)) => watched.poll(cx),
            Some(Source::Again(body)) => {
                Pin::new(body).poll_frame(cx).map_err(|never| match never {})
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            None => true,
            Some(Source::Watched(watched)) => watched.body.is_end_stream(),
            Some(Source::Again(body)) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::default(),
            Some(Source::Watched(watched)) => watched.body.size_hint(),
            Some(Source::Again(body)) => body.size_hint(),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(Source::Watched(watched)) = self.0.take() else { return };
        // A client that waits for our word (`Expect: 100-continue`) has not sent anything yet.
        let is_over = watched.waits_for_us || watched.watch.passed().is_over;
        match Handle::try_current() {
            Ok(runtime) if !is_over => drop(runtime.spawn(watched.drain())),
            _ => watched.watch.end(),
        }
    }
}

struct Watched {
    body: RequestBody,
    watch: UploadWatch,
    limit: u64,
    copy_limit: usize,
    /// The client sends its body when it is first asked for, not before.
    waits_for_us: bool,
}

impl Watched {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.waits_for_us = false;
        let polled = self.body.poll(cx);
        let mut passed = self.watch.passed();
        passed.waits_for_client = polled.is_pending();
        let Poll::Ready(frame) = polled else { return Poll::Pending };
        let result = match frame {
            None => None,
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(frame)) => {
                let data = frame.data_ref().map_or(&[][..], |data| data);
                passed.bytes += data.len() as u64;
                if passed.copy.len() + data.len() <= self.copy_limit {
                    if passed.held.grow(data.len()) {
                        passed.copy.extend_from_slice(data);
                    } else {
                        self.copy_limit = 0;
                        passed.copy = Vec::new();
                        passed.held = Held::default();
                    }
                }
                let is_over = passed.bytes > self.limit;
                Some(if is_over { Err(UploadError::TooLarge) } else { Ok(frame) })
            }
        };
        let broke = result.as_ref().and_then(|result| result.as_ref().err().copied());
        passed.failure = passed.failure.or(broke);
        let broken = broke.is_some_and(|error| error != UploadError::TooLarge);
        let ended = result.is_none() || self.body.is_end_stream();
        passed.copy_is_whole = ended && !broken && passed.copy.len() as u64 == passed.bytes;
        drop(passed);
        if ended || broken {
            self.watch.end();
        }
        Poll::Ready(result)
    }

    /// Reads and drops the rest, within bounds.
    async fn drain(mut self) {
        let (bytes, time) = DRAIN;
        let most = self.watch.bytes() + bytes;
        let read = async {
            while let Some(Ok(_) | Err(UploadError::TooLarge)) = poll_fn(|cx| self.poll(cx)).await {
                if self.watch.bytes() > most {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(time, read).await;
        self.watch.end();
    }
}

/// Tells a client that went away from one that sends broken chunks.
fn explain(error: &hyper::Error) -> UploadError {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => UploadError::Malformed,
        _ => UploadError::ClientLeft,
    }
}
