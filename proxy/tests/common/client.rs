//! An ordinary client: asks as Codex would, one connection a request.

use std::net::SocketAddr;

use benches::upstream::{DELAY_HEADER, FAULT_HEADER};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use super::within;

/// A request that is being put together.
pub(crate) struct Ask {
    address: SocketAddr,
    request: Request<Full<Bytes>>,
}

impl Ask {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        let request = Request::builder().method(method).uri(target);
        let request = request.header("host", "codex.proxy.example").body(Full::default());
        Self { address, request: request.expect("a request that can be sent") }
    }

    /// Sets a header, in place of one of that name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().expect("a header value");
        self.request.headers_mut().insert(name, value);
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.request.headers_mut().remove("authorization");
        self
    }

    /// Chooses what goes wrong at OpenAI; with `good`, nothing.
    pub(crate) fn fault(self, name: &str) -> Self {
        if name == "good" { self } else { self.header(FAULT_HEADER, name) }
    }

    /// Sets the pace of the faults that wait.
    pub(crate) fn delay_ms(self, ms: u64) -> Self {
        self.header(DELAY_HEADER, &ms.to_string())
    }

    /// Gives the request a name, by which its record is found: also where no answer came.
    pub(crate) fn named(self, name: &str) -> Self {
        self.header("session-id", name)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn open(self) -> Opened {
        within(async {
            let stream = TcpStream::connect(self.address).await.expect("the proxy listens");
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .expect("a connection");
            tokio::spawn(connection);
            Opened(sender.send_request(self.request).await.expect("an answer"))
        })
        .await
    }

    /// Sends the request and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        self.open().await.collect().await
    }
}

/// An answer of which the head has come.
pub(crate) struct Opened(pub(crate) Response<Incoming>);

impl Opened {
    /// Waits for the next piece of the body.
    pub(crate) async fn piece(&mut self) -> Bytes {
        let frame = within(self.0.body_mut().frame()).await.expect("the body goes on");
        frame.expect("the connection holds").into_data().expect("no trailers")
    }

    /// Reads until `end` has come, and no further.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.contains(end) {
            text.push_str(&String::from_utf8_lossy(&self.piece().await));
        }
        text
    }

    /// Reads to the end, or to where the body breaks off.
    pub(crate) async fn collect(self) -> Answer {
        let (head, mut incoming) = self.0.into_parts();
        let mut body = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = within(incoming.frame()).await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().expect("no trailers")),
                Err(_) => is_whole = false,
            }
        }
        Answer { status: head.status.as_u16(), headers: head.headers, body, is_whole }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body ended as HTTP wants it, and did not break off.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header is text"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }
}
