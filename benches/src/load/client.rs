//! The load itself: connections that are kept open, and two ways to keep them busy.
//!
//! A [`closed_loop`] asks again as soon as it was answered, and so finds the most that a server can
//! do. An [`open_loop`] begins exchanges at fixed times, whether the ones before are over or not,
//! and so sees what a user would feel. An answer that is not whole ends the run.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::question::Question;

/// No answer here takes longer, unless something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections of an open loop: exchanges that may be under way at the same time.
const OPEN_LOOP_CONNECTIONS: usize = 32;

/// When a closed loop ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many exchanges.
    Count(u64),
}

/// What a closed loop did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) exchanges: u64,
    pub(crate) elapsed: Duration,
}

/// Keeps `at_once` connections busy.
pub(crate) async fn closed_loop(
    address: SocketAddr,
    question: &Question,
    at_once: usize,
    until: Until,
) -> io::Result<Load> {
    let mut connections = Vec::new();
    for _ in 0..at_once {
        connections.push(Connection::open(address).await?);
    }
    let begun = Instant::now();
    let asked = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for mut connection in connections {
        let (question, asked) = (question.clone(), Arc::clone(&asked));
        workers.spawn(async move {
            let mut done = 0;
            while match until {
                Until::Elapsed(time) => begun.elapsed() < time,
                Until::Count(count) => asked.fetch_add(1, Ordering::Relaxed) < count,
            } {
                connection.ask(&question).await?;
                done += 1;
            }
            io::Result::Ok(done)
        });
    }
    let mut exchanges = 0;
    while let Some(done) = workers.join_next().await {
        exchanges += done.map_err(io::Error::other)??;
    }
    Ok(Load { exchanges, elapsed: begun.elapsed() })
}

/// Begins `rate` exchanges a second, and returns the times to the first byte of their bodies.
pub(crate) async fn open_loop(
    address: SocketAddr,
    question: &Question,
    rate: u32,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let (give_back, mut idle) = mpsc::channel(OPEN_LOOP_CONNECTIONS);
    for _ in 0..OPEN_LOOP_CONNECTIONS {
        let connection = Connection::open(address).await?;
        give_back.send(connection).await.map_err(io::Error::other)?;
    }
    let mut exchanges = JoinSet::new();
    let begun = Instant::now();
    let mut due = Duration::ZERO;
    while due < time {
        sleep_until(begun + due).await;
        // Waiting for a free connection counts, as it would for a user.
        let asked = Instant::now();
        let mut connection = idle.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        let (question, give_back) = (question.clone(), give_back.clone());
        exchanges.spawn(async move {
            let first_byte = connection.ask(&question).await? - asked;
            let _ = give_back.send(connection).await;
            io::Result::Ok(first_byte)
        });
        due += Duration::from_secs(1) / rate;
    }
    let mut first_bytes = Vec::new();
    while let Some(done) = exchanges.join_next().await {
        first_bytes.push(done.map_err(io::Error::other)??);
    }
    Ok(first_bytes)
}

/// One connection, used for one exchange after another.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(sender))
    }

    /// Asks, reads the whole answer, and returns when the first byte of its body came.
    async fn ask(&mut self, question: &Question) -> io::Result<Instant> {
        let answer = timeout(PATIENCE, self.ask_patiently(question)).await;
        answer.map_err(|_| io::Error::other("no whole answer in time"))?
    }

    async fn ask_patiently(&mut self, question: &Question) -> io::Result<Instant> {
        self.0.ready().await.map_err(io::Error::other)?;
        let response = self.0.send_request(question.request()).await.map_err(io::Error::other)?;
        if response.status() != StatusCode::OK {
            return Err(io::Error::other(format!("HTTP {} instead of 200", response.status())));
        }
        let mut body = response.into_body();
        let mut first_byte = None;
        let mut last = Bytes::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(io::Error::other)?;
            first_byte.get_or_insert_with(Instant::now);
            // Where a piece ends says nothing: the last one may be a line end only.
            let piece = frame.into_data().unwrap_or_default();
            if !piece.trim_ascii_end().is_empty() {
                last = piece;
            }
        }
        // Both an object and a stream of events end in braces and line ends.
        let is_whole = last.trim_ascii_end().ends_with(b"}");
        first_byte.filter(|_| is_whole).ok_or_else(|| io::Error::other("the answer is not whole"))
    }
}
