//! A client of a Function URL, and how long these tests wait for what.

use std::{net::SocketAddr, time::Duration};

use benches::lambda::{Function, Invocation, Lambda, Outcome};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything here takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than it takes to do what a test wants done before it.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

pub(crate) fn tiny() -> Function {
    Function::new(env!("CARGO_BIN_EXE_tiny-bootstrap")).timeout(PATIENCE)
}

pub(crate) async fn start(function: Function) -> Lambda {
    function.start().await.expect("a loopback port is free")
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

pub(crate) async fn until(is_so: impl Fn() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Waits until all is quiet, and returns how the invocations went.
pub(crate) async fn settled(lambda: &Lambda) -> Vec<Invocation> {
    within(lambda.until_frozen()).await;
    lambda.invocations()
}

pub(crate) async fn outcomes(lambda: &Lambda) -> Vec<Outcome> {
    let over = settled(lambda).await.into_iter();
    over.map(|invocation| invocation.outcome.expect("it is over")).collect()
}

/// Where the function waits until a test lets it go on.
pub(crate) struct Gate(TcpListener);

impl Gate {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port"))
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// Waits until somebody has come; dropping what this returns lets them pass.
    pub(crate) async fn arrival(&self) -> TcpStream {
        within(self.0.accept()).await.expect("a connection").0
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

pub(crate) async fn open(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    within(async {
        let stream = TcpStream::connect(address).await.expect("the URL listens");
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    })
    .await
}

pub(crate) async fn piece(response: &mut Response<Incoming>) -> String {
    let frame = within(response.body_mut().frame()).await.expect("the body goes on");
    let data = frame.expect("the connection holds").into_data().expect("no trailers");
    String::from_utf8(data.to_vec()).expect("text")
}

pub(crate) async fn rest(response: Response<Incoming>) -> Answer {
    let (head, mut incoming) = response.into_parts();
    let mut answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::new(),
        is_whole: true,
    };
    while let Some(frame) = within(incoming.frame()).await {
        match frame {
            Ok(frame) => answer.body += &String::from_utf8_lossy(frame.data_ref().expect("data")),
            Err(_) => answer.is_whole = false,
        }
    }
    answer
}

pub(crate) fn get(steps: &str) -> Request<Full<Bytes>> {
    Request::get(format!("/?{steps}")).header("host", "url").body(Full::default()).expect("a URL")
}

pub(crate) async fn ask(lambda: &Lambda, steps: &str) -> Answer {
    rest(open(lambda.address(), get(steps)).await).await
}

pub(crate) fn assert_bad_gateway(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (502, "Internal Server Error"));
    assert_ne!(answer.header("x-amzn-requestid"), "");
}
