//! A tiny Lambda function for the emulator's tests: does what the query of the request tells it.
//!
//! The query is a list of steps, `NAME=VALUE` or `NAME`, joined by `&`; see [`step`]. Three variables
//! tell it what to do besides: with `TINY_EXTENSION` it registers an internal extension, with
//! `TINY_TICK` it writes `tick` to stdout all the time, with `TINY_EXIT` it ends at once.

use std::{
    convert::Infallible,
    env,
    error::Error,
    io::{self, Write as _},
    mem,
    pin::Pin,
    process::ExitCode,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full, combinators::BoxBody};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, Sender, channel},
};

type Failure = Box<dyn Error + Send + Sync>;
type Sent = BoxBody<Bytes, Infallible>;

const EXTENSION: &str = "/2020-01-01/extension";
const RUNTIME: &str = "/2018-06-01/runtime/invocation";

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if env::var_os("TINY_EXIT").is_some() {
        return Ok(ExitCode::from(3));
    }
    if env::var_os("TINY_TICK").is_some() {
        thread::spawn(tick);
    }
    tokio::spawn(refuse_to_end(signal(SignalKind::terminate())?));
    let mut api = Api::connect().await?;
    let mut extension = None;
    if env::var_os("TINY_EXTENSION").is_some() {
        extension = register().await?;
    }
    loop {
        let next = api.ask(Request::get(format!("{RUNTIME}/next")), Empty::new().boxed()).await?;
        let id = header(next.headers(), "lambda-runtime-aws-request-id");
        let event = next.into_body().collect().await?.to_bytes();
        let Some(gate) = run(&mut api, &id, &event).await? else { return Ok(ExitCode::from(7)) };
        if let Some(extension) = &extension {
            extension.send(gate).await?;
        }
    }
}

/// Carries out one event; returns the gate that holds the extension, or `None` to end the process.
async fn run(api: &mut Api, id: &str, event: &[u8]) -> Result<Option<Gate>, Failure> {
    let event: Value = serde_json::from_slice(event)?;
    let query = event["rawQueryString"].as_str().unwrap_or_default().to_owned();
    let (pieces, body) = channel(1);
    let respond = async {
        if query.starts_with("error") {
            let error = Full::from(r#"{"errorMessage":"told to fail"}"#).boxed();
            api.ask(Request::post(format!("{RUNTIME}/{id}/error")), error).await
        } else {
            let request = Request::post(format!("{RUNTIME}/{id}/response"))
                .header("lambda-runtime-function-response-mode", "streaming")
                .header("content-type", "application/vnd.awslambda.http-integration-response");
            api.ask(request, Pieces(body).boxed()).await
        }
    };
    let steps = async {
        let mut answer = Answer { pieces, prelude: Some(json!({"headers": {}})), hold: None };
        for text in query.split('&') {
            if !step(&mut answer, text, &event).await? {
                // Dropped, it would end the body well in the last moment.
                mem::forget(answer);
                return Ok(None);
            }
        }
        answer.open().await;
        Ok::<_, Failure>(Some(answer.hold))
    };
    tokio::pin!(respond, steps);
    // Told to end, it does not wait for the Runtime API.
    tokio::select! {
        answered = &mut respond => {
            answered?;
            steps.await
        }
        told = &mut steps => {
            let told = told?;
            if told.is_some() {
                respond.await?;
            }
            Ok(told)
        }
    }
}

/// The port of a gate, if there is one to wait at.
type Gate = Option<u16>;

struct Answer {
    pieces: Sender<Bytes>,
    /// What is not sent yet.
    prelude: Option<Value>,
    hold: Gate,
}

impl Answer {
    async fn open(&mut self) {
        if let Some(prelude) = self.prelude.take() {
            self.send(format!("{prelude}\0\0\0\0\0\0\0\0")).await;
        }
    }

    async fn send(&mut self, text: impl Into<Bytes>) {
        // A response that was refused shows where it is posted.
        let _ = self.pieces.send(text.into()).await;
    }
}

/// Carries out one step; returns whether to go on.
async fn step(answer: &mut Answer, text: &str, event: &Value) -> Result<bool, Failure> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    match name {
        // Before the prelude:
        "status" => set(answer, |prelude| prelude["statusCode"] = json!(value.parse::<u16>().ok())),
        "header" => {
            let (name, value) = value.split_once(':').unwrap_or_default();
            set(answer, |prelude| prelude["headers"][name] = value.into());
        }
        "cookie" => set(answer, |prelude| prelude["cookies"] = json!([value])),
        // The answer:
        "prelude" => answer.open().await,
        "chunk" => {
            answer.open().await;
            answer.send(value.to_owned()).await;
        }
        "echo" => {
            answer.open().await;
            answer.send(event.to_string()).await;
        }
        // Otherwise:
        "gate" => gate(value.parse()?).await?,
        "hold" => answer.hold = Some(value.parse()?),
        "say" => writeln!(io::stdout(), "{value}")?,
        "env" => {
            answer.open().await;
            answer.send(env::var(value).unwrap_or_default()).await;
        }
        "exit" => return Ok(false),
        _ => {}
    }
    Ok(true)
}

fn set(answer: &mut Answer, change: impl FnOnce(&mut Value)) {
    if let Some(prelude) = &mut answer.prelude {
        change(prelude);
    }
}

/// Waits until whoever listens on this port hangs up.
async fn gate(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    // Reset or closed, it is open.
    let _ = stream.read(&mut [0]).await;
    Ok(())
}

/// Registers an extension, which is told of each invocation when to ask for the next event.
async fn register() -> Result<Option<Sender<Gate>>, Failure> {
    let mut api = Api::connect().await?;
    let request =
        Request::post(format!("{EXTENSION}/register")).header("lambda-extension-name", "tiny");
    let answer = api.ask(request, Full::from(r#"{"events":["INVOKE"]}"#).boxed()).await?;
    writeln!(io::stdout(), "register {}", answer.status().as_u16())?;
    let id = header(answer.headers(), "lambda-extension-identifier");
    answer.into_body().collect().await?;
    if id.is_empty() {
        return Ok(None);
    }
    let (sender, mut gates) = channel(1);
    tokio::spawn(async move {
        loop {
            let request = Request::get(format!("{EXTENSION}/event/next"))
                .header("lambda-extension-identifier", &id);
            let event = api.ask(request, Empty::new().boxed()).await?;
            let event = event.into_body().collect().await?.to_bytes();
            writeln!(io::stdout(), "extension {}", String::from_utf8_lossy(&event))?;
            if let Some(Some(port)) = gates.recv().await {
                gate(port).await?;
            }
        }
        #[expect(unreachable_code, reason = "names the type of the error")]
        Ok::<_, Failure>(())
    });
    Ok(Some(sender))
}

/// Says that it was asked to end, and stays.
async fn refuse_to_end(mut requests: Signal) -> io::Result<()> {
    while requests.recv().await.is_some() {
        writeln!(io::stdout(), "asked to end")?;
    }
    Ok(())
}

fn tick() {
    while writeln!(io::stdout(), "tick").is_ok() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A connection to the Runtime API.
struct Api(SendRequest<Sent>);

impl Api {
    async fn connect() -> Result<Self, Failure> {
        let stream = TcpStream::connect(env::var("AWS_LAMBDA_RUNTIME_API")?).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn ask(
        &mut self,
        request: http::request::Builder,
        body: Sent,
    ) -> Result<Response<Incoming>, Failure> {
        self.0.ready().await?;
        let answer = self.0.send_request(request.header("host", "api").body(body)?).await?;
        if answer.status().is_server_error() {
            return Err(answer.status().to_string().into());
        }
        Ok(answer)
    }
}

/// A body that is still being made.
struct Pieces(Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
