//! The local server: accepts connections, runs the request path on them, shuts down gracefully.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::handle::{Arrival, Proxy};
use crate::log::Unwritten;
use crate::spool::{Connection, Spooled};
use crate::upload::RequestBody;
use crate::workers::Workers;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The longest head of a request, about; also what is read of a body at a time.
const HEAD_BYTES: usize = 128 << 10;
/// Pause after a failed `accept`: mostly too many open files, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is left for the log once a person has asked twice.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// Serves until `stop` is done, then lets what is in flight finish, cuts off what takes too long or
/// lasts until `cut` is done, and flushes the log. Returns which records are not where they belong.
///
/// # Errors
///
/// When the threads that serve cannot be started.
pub async fn serve(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    stop: impl Future<Output = ()>,
    cut: impl Future<Output = ()>,
) -> io::Result<Unwritten> {
    // Dropping the one end tells all connections to come to theirs.
    let (serving, stopping) = watch::channel(());
    let mut tasks = JoinSet::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).preserve_header_case(true);
    http.max_buf_size(HEAD_BYTES);
    let workers = Workers::start()?;
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Events go out one by one: nothing may wait for a fuller packet.
        let _ = stream.set_nodelay(true);
        let (Some(place), Ok(stream)) = (workers.place(), stream.into_std()) else { continue };
        let (runtime, stopping) = (place.runtime().clone(), stopping.clone());
        let (proxy, http) = (Arc::clone(&proxy), http.clone());
        let connection = async move {
            let _place = place;
            if let Ok(stream) = TcpStream::from_std(stream) {
                converse(&proxy, &http, stream, peer.ip(), stopping).await;
            }
        };
        tasks.spawn_on(connection, &runtime);
        while tasks.try_join_next().is_some() {}
    }
    drop((listener, serving));
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    let grace = proxy.settings.timeouts.grace;
    let mut cut = pin!(cut);
    let mut is_hurried = false;
    tokio::select! {
        () = all_ended => {}
        // Dropping a connection ends its exchange, which would take that for the client's leaving.
        () = tokio::time::sleep(grace) => proxy.log.cut(),
        () = &mut cut => {
            proxy.log.cut();
            is_hurried = true;
        }
    }
    tasks.shutdown().await;
    let hurry = async {
        if !is_hurried {
            cut.await;
        }
        tokio::time::sleep(LAST_WRITES).await;
    };
    Ok(tokio::select! {
        unwritten = proxy.log.flush() => unwritten,
        // The spool has it all; the next start brings it.
        () = hurry, if proxy.log.spool().is_some() => proxy.log.unwritten(),
    })
}

/// Answers what comes over a client's connection, until it ends or the server stops. Then an exchange
/// in flight is let finish; a client of which no whole head has come has asked nothing, and is left.
async fn converse(
    proxy: &Arc<Proxy>,
    http: &http1::Builder,
    stream: TcpStream,
    ip: IpAddr,
    mut stopping: watch::Receiver<()>,
) {
    let spooled = proxy.log.spool().map(Connection::new);
    let stream = Spooled::new(stream, spooled.clone(), proxy.settings.timeouts.send);
    let has_asked = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let proxy = Arc::clone(proxy);
        let arrival = Arrival { ip: Some(ip), connection: spooled.clone(), ..Arrival::default() };
        let answer = proxy.handle(request.map(RequestBody::Incoming), arrival);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    // A broken connection is an ending like any other; its record tells.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = stopping.changed() => {}
    }
    // What hyper takes for the start of a first head would keep it for as long as a head may take.
    if has_asked.load(Ordering::Relaxed) {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Waits for SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the signal handlers cannot be installed.
pub async fn asked_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            interrupt = tokio::signal::ctrl_c() => interrupt,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
