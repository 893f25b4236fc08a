//! An answer on its way to the Runtime API: a prelude with status and headers, then the body.
//!
//! The Runtime API has no way to say that a body broke off, and the runtime would turn an error of
//! this stream into body bytes. So nothing but bytes ever leaves here: a cut ends the body cleanly,
//! with nothing added, and its record says what happened.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use lambda_runtime::{MetadataPrelude, StreamResponse};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::invocation::Invocation;
use crate::outcome::End;
use crate::relay::Reply;
use crate::upstream::strip_hop_by_hop;

/// Headers that AWS writes itself, or that break an answer of a streaming function: it undoes
/// `content-encoding` and answers 500 to a function that names a header `x-amzn-remapped-…`.
const NOT_OURS: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::DATE];

/// Lambda cannot end a streamed body in which nothing was sent.
const PADDING: &[u8] = b"\n";

/// Makes the streamed response of an answer. `drained` is waited for before the body ends, where the
/// environment would otherwise freeze before the record is written.
pub(super) fn respond(
    answer: Response<Reply>,
    method: &Method,
    deadline: Instant,
    invocation: Option<Invocation>,
    drained: Option<BoxFuture<'static, ()>>,
) -> StreamResponse<ReplyStream> {
    let (head, reply) = answer.into_parts();
    let (headers, cookies) = prelude_headers(head.headers);
    let status_code = head.status;
    // What is known to be without a body must not send one: the refusal of a HEAD request does.
    let reply = (*method != Method::HEAD).then_some(reply);
    let stream = ReplyStream::new(reply, deadline, invocation, drained);
    let metadata_prelude = MetadataPrelude { status_code, headers, cookies };
    StreamResponse { metadata_prelude, stream }
}

/// One value a name, as text; `set-cookie` apart, as the prelude wants it.
fn prelude_headers(mut headers: HeaderMap) -> (HeaderMap, Vec<String>) {
    strip_hop_by_hop(&mut headers);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let cookies = headers.get_all(header::SET_COOKIE).iter().map(text).collect();
    let mut joined = HeaderMap::new();
    for name in headers.keys() {
        let is_aws = name.as_str().starts_with("x-amzn-");
        if is_aws || *name == header::SET_COOKIE || NOT_OURS.contains(name) {
            continue;
        }
        let values = headers.get_all(name).iter().map(text).collect::<Vec<_>>();
        // The prelude is JSON: a value that is not text would become an array of numbers there.
        let value = values.join(", ").replace(|c: char| !c.is_ascii() || c.is_ascii_control(), "?");
        if let Ok(value) = HeaderValue::try_from(value) {
            joined.insert(name.clone(), value);
        }
    }
    (joined, cookies)
}

/// The body of an answer. At the deadline it is taken away, also from a Runtime API that takes no
/// bytes: a stream that nobody polls could not end itself.
pub(super) struct ReplyStream<B = Reply> {
    body: Arc<Mutex<Option<B>>>,
    is_empty: bool,
    step: Step,
    drained: Option<BoxFuture<'static, ()>>,
    at_the_deadline: JoinHandle<()>,
    /// Dropped last: what ends with it has to have ended before.
    _invocation: Option<Invocation>,
}

enum Step {
    Body,
    Padding,
    Drain,
}

/// A body that can be told how its exchange ends.
pub(super) trait Relayed: http_body::Body<Data = Bytes> + Unpin + Send + 'static {
    /// Ends its exchange.
    fn end(&mut self, end: End);

    /// Returns whether nothing of it has yet to come: its exchange is over, whoever takes it when.
    fn is_here(&self) -> bool;
}

impl Relayed for Reply {
    fn end(&mut self, end: End) {
        if let Self::Relayed(relay) = self {
            relay.end(end);
        }
    }

    fn is_here(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl<B: Relayed> ReplyStream<B> {
    fn new(
        body: Option<B>,
        deadline: Instant,
        invocation: Option<Invocation>,
        drained: Option<BoxFuture<'static, ()>>,
    ) -> Self {
        let body = Arc::new(Mutex::new(body));
        let shared = Arc::clone(&body);
        let at_the_deadline = tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            // An answer of ours may be made at the deadline, because of it: it goes out.
            if let Some(mut body) = lock(&shared).take_if(|body| !body.is_here()) {
                body.end(End::Deadline);
            }
        });
        let step = Step::Body;
        Self { body, is_empty: true, step, drained, at_the_deadline, _invocation: invocation }
    }

    /// Returns the next bytes; `None` when there are no more, for whatever reason.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut body = lock(&self.body);
        let Some(reply) = body.as_mut() else { return Poll::Ready(None) };
        let poll = AssertUnwindSafe(|| Pin::new(&mut *reply).poll_frame(cx));
        let frame = if let Ok(polled) = catch_unwind(poll) {
            ready!(polled).and_then(Result::ok)
        } else {
            reply.end(End::ProxyDied);
            None
        };
        if frame.is_none() {
            // Dropping the reply ends the exchange.
            *body = None;
        }
        Poll::Ready(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }
}

impl<B> Drop for ReplyStream<B> {
    fn drop(&mut self) {
        self.at_the_deadline.abort();
        lock(&self.body).take();
    }
}

fn lock<B>(body: &Mutex<Option<B>>) -> MutexGuard<'_, Option<B>> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Relayed> Stream for ReplyStream<B> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.step {
                Step::Body => match ready!(self.poll_data(cx)) {
                    Some(data) if data.is_empty() => {}
                    Some(data) => {
                        self.is_empty = false;
                        return Poll::Ready(Some(Ok(data)));
                    }
                    None => self.step = if self.is_empty { Step::Padding } else { Step::Drain },
                },
                Step::Padding => {
                    self.step = Step::Drain;
                    return Poll::Ready(Some(Ok(Bytes::from_static(PADDING))));
                }
                Step::Drain => {
                    if let Some(drained) = &mut self.drained {
                        ready!(drained.as_mut().poll(cx));
                        self.drained = None;
                    }
                    return Poll::Ready(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body::{Body, Frame};
    use http_body_util::Full;

    use super::*;

    /// Panics after its first chunk.
    struct Panics {
        chunks: u32,
        ended: Option<End>,
    }

    impl Body for Panics {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            assert!(self.chunks > 0, "a fault of ours");
            self.chunks -= 1;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"chunk")))))
        }
    }

    impl Relayed for Panics {
        fn end(&mut self, end: End) {
            self.ended = Some(end);
        }

        fn is_here(&self) -> bool {
            false
        }
    }

    impl Drop for Panics {
        fn drop(&mut self) {
            assert_eq!(self.ended, Some(End::ProxyDied), "its exchange is told");
        }
    }

    #[tokio::test]
    async fn a_panic_over_a_body_ends_it_cleanly_and_the_environment_lives() {
        for (chunks, expected) in [(0, "\n"), (2, "chunkchunk")] {
            let deadline = Instant::now() + std::time::Duration::from_mins(1);
            let body = Some(Panics { chunks, ended: None });
            let stream = ReplyStream::new(body, deadline, None, None);
            let pieces = stream.collect::<Vec<_>>().await.into_iter();
            let body = pieces.flat_map(|piece| piece.expect("never an error")).collect::<Vec<_>>();
            assert_eq!(String::from_utf8_lossy(&body), expected);
        }
    }

    #[tokio::test]
    async fn an_answer_of_ours_that_is_made_at_the_deadline_goes_out_whole() {
        let body = Reply::Own(Full::new(Bytes::from_static(b"upstream request failed")));
        let stream = ReplyStream::new(Some(body), Instant::now(), None, None);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let pieces = stream.collect::<Vec<_>>().await.into_iter();
        let body = pieces.flat_map(|piece| piece.expect("never an error")).collect::<Vec<_>>();
        assert_eq!(String::from_utf8_lossy(&body), "upstream request failed");
    }

    #[test]
    fn the_prelude_has_one_text_a_name_and_nothing_that_breaks_lambda() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("content-encoding", "gzip"),
            ("content-length", "3"),
            ("connection", "x-private"),
            ("x-private", "1"),
            ("x-amzn-remapped-date", "1"),
            ("via", "a"),
            ("via", "b"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.insert("x-odd", HeaderValue::from_bytes(b"a\xffb").expect("obsolete text"));
        let (joined, cookies) = prelude_headers(headers);
        let mut names = joined.keys().map(HeaderName::as_str).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "via", "x-odd"]);
        assert_eq!(
            (&joined["via"], &joined["x-odd"]),
            (&"a, b".parse().expect("text"), &"a?b".parse().expect("text"))
        );
        assert_eq!(cookies, ["a=1", "b=2"]);
    }
}
