//! The POST of a response: taken in piece by piece, and sent on towards the client.
//!
//! A streamed response opens with a prelude and eight NUL bytes. A client that is gone changes
//! nothing: the rest is read all the same. An empty body does what it does on AWS: nothing happens any
//! more, until the time-out.

use std::{future::pending, io, mem, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::mpsc::Sender;

use super::{
    environment::Environment,
    invocation::{Call, Outcome, Part},
    order::{Moment, Order},
    runtime_api::{Answer, accepted, answer, header, unknown_invocation},
};

const DELIMITER: [u8; 8] = [0; 8];
const HTTP_RESPONSE: &str = "application/vnd.awslambda.http-integration-response";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// What stands in for the prelude of a response that has none.
const NO_PRELUDE: &[u8] =
    br#"{"statusCode":200,"headers":{"content-type":"application/octet-stream"}}"#;

/// Takes in a response; an error breaks the connection.
pub(super) async fn take_in(
    environment: &Environment,
    request_id: &str,
    request: Request<Incoming>,
) -> io::Result<Answer> {
    let Some(call) = environment.call(request_id) else { return Ok(unknown_invocation()) };
    let Some(client) = call.take_parts() else { return Ok(unknown_invocation()) };
    if let Some(Order::RefuseResponse(status)) = call.order {
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        return Ok(answer(status, &json!({"errorType": "RequestEntityTooLarge"})));
    }

    let kind = header(request.headers(), "content-type");
    let prelude =
        if kind == HTTP_RESPONSE { Prelude::Growing(BytesMut::new()) } else { Prelude::Missing };
    let mut course =
        Course { environment, call: Arc::clone(&call), client, prelude, taken: 0, sent: 0 };
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        match frame.map_err(io::Error::other)?.into_data() {
            Ok(data) => course.take(data).await?,
            Err(frame) => {
                // How a function says half way that it failed; the client's body breaks off.
                let error = frame.trailers_ref().map(|trailers| header(trailers, ERROR_TYPE));
                if let Some(error) = error.filter(|error| !error.is_empty()) {
                    call.reply(Outcome::Failed(error.to_owned()));
                    return Ok(accepted());
                }
            }
        }
    }
    if matches!(course.prelude, Prelude::Growing(_)) {
        // Not a response: the client gets a 502.
        return Ok(accepted());
    }
    if course.sent == 0 {
        return pending().await;
    }
    call.note(|invocation, now| invocation.body_end = Some(now));
    call.reply(Outcome::Answered);
    // A client that is gone misses nothing.
    let _ = course.client.send(Part::End).await;
    Ok(accepted())
}

enum Prelude {
    /// As much of it as has come.
    Growing(BytesMut),
    /// There will be none.
    Missing,
    /// It was sent on.
    Sent,
}

/// How far a response has come.
struct Course<'a> {
    environment: &'a Environment,
    call: Arc<Call>,
    client: Sender<Part>,
    prelude: Prelude,
    taken: usize,
    sent: usize,
}

impl Course<'_> {
    async fn take(&mut self, mut data: Bytes) -> io::Result<()> {
        let mut is_over = false;
        if let Some(Order::BreakResponse { after_bytes }) = self.call.order {
            is_over = self.taken + data.len() >= after_bytes;
            data.truncate(after_bytes - self.taken);
        }
        self.taken += data.len();
        let rest = match mem::replace(&mut self.prelude, Prelude::Sent) {
            Prelude::Sent => data,
            Prelude::Missing => {
                self.open(Bytes::from_static(NO_PRELUDE)).await?;
                data
            }
            Prelude::Growing(mut prelude) => {
                prelude.extend_from_slice(&data);
                let end = prelude.windows(DELIMITER.len()).position(|bytes| bytes == DELIMITER);
                if let Some(end) = end {
                    let rest = prelude.split_off(end + DELIMITER.len()).freeze();
                    prelude.truncate(end);
                    self.open(prelude.freeze()).await?;
                    rest
                } else {
                    self.prelude = Prelude::Growing(prelude);
                    Bytes::new()
                }
            }
        };
        if !rest.is_empty() {
            self.pass(rest).await?;
        }
        if is_over { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    async fn open(&mut self, prelude: Bytes) -> io::Result<()> {
        self.call.note(|invocation, now| invocation.prelude = Some(now));
        let _ = self.client.send(Part::Prelude(prelude)).await;
        match self.call.order {
            Some(Order::Kill(Moment::Prelude | Moment::BodyBytes(0))) => self.kill(),
            _ => Ok(()),
        }
    }

    async fn pass(&mut self, mut data: Bytes) -> io::Result<()> {
        self.call.note(|invocation, _| invocation.produced_bytes += data.len());
        let mut is_last = false;
        if let Some(Order::Kill(Moment::BodyBytes(limit))) = self.call.order {
            is_last = self.sent + data.len() >= limit;
            data.truncate(limit - self.sent);
        }
        self.sent += data.len();
        let _ = self.client.send(Part::Body(data)).await;
        if is_last { self.kill() } else { Ok(()) }
    }

    fn kill(&self) -> io::Result<()> {
        self.environment.end(Outcome::Killed);
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}
