//! The Function URL: HTTP in front, an invocation behind.
//!
//! A request that is too large never becomes an invocation. Pieces of the answer go to the client as
//! they come, one frame and one write each; an answer that does not end well breaks the connection.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Incoming};
use tokio::sync::mpsc::Receiver;

use super::{
    LARGEST_EVENT_BYTES,
    answer::{Refusal, head, signed},
    event::event,
    invocation::{Part, Stamp},
    pool::Pool,
};

pub(super) type Answer = Response<Either<Full<Bytes>, Streamed>>;

/// Answers one request.
pub(super) async fn serve(pool: &Arc<Pool>, request: Request<Incoming>) -> io::Result<Answer> {
    let (parts, incoming) = request.into_parts();
    let body = incoming.collect().await.map_err(io::Error::other)?.to_bytes();
    let stamp = Stamp::fresh();
    let event = event(&parts, &body, &stamp).to_string();
    let id = stamp.clone();
    if event.len() > LARGEST_EVENT_BYTES {
        return refuse(Refusal::TooLarge, &id);
    }
    let Ok(mut parts) = pool.invoke(event.into(), Some(stamp)) else {
        return refuse(Refusal::Throttled, &id);
    };
    let Some(Part::Prelude(prelude)) = parts.recv().await else {
        return refuse(Refusal::BadGateway, &id);
    };
    match head(&prelude) {
        Ok(head) => {
            let body = Streamed { parts, flush: true };
            signed(head, &id).body(Either::Right(body)).map_err(io::Error::other)
        }
        Err(refusal) => refuse(refusal, &id),
    }
}

fn refuse(refusal: Refusal, stamp: &Stamp) -> io::Result<Answer> {
    let (head, body) = refusal.response();
    signed(head, stamp).body(Either::Left(Full::from(body))).map_err(io::Error::other)
}

/// The body of a function's answer.
pub(super) struct Streamed {
    parts: Receiver<Part>,
    flush: bool,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        // hyper forgets what it holds when the body fails: so it gets a turn to write after each piece,
        // and after the head.
        if mem::take(&mut this.flush) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(match ready!(this.parts.poll_recv(context)) {
            Some(Part::Body(piece)) => {
                this.flush = true;
                Some(Ok(Frame::data(piece)))
            }
            Some(Part::End) => None,
            Some(Part::Prelude(_)) | None => Some(Err(io::ErrorKind::ConnectionAborted.into())),
        })
    }
}
