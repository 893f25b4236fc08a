//! The local server: accepts connections, runs the request path on them, shuts down gracefully.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::handle::{Arrival, Proxy};
use crate::log::Unwritten;
use crate::spool::{Connection, Spooled};
use crate::upload::RequestBody;
use crate::workers::Workers;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);
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
    let connections = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).preserve_header_case(true);
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
        let (runtime, watcher) = (place.runtime().clone(), connections.watcher());
        let (proxy, http) = (Arc::clone(&proxy), http.clone());
        let connection = async move {
            let _place = place;
            if let Ok(stream) = TcpStream::from_std(stream) {
                let connection = converse(&proxy, &http, stream, peer.ip());
                // A broken connection is an ending like any other; its record tells.
                drop(watcher.watch(connection).await);
            }
        };
        tasks.spawn_on(connection, &runtime);
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    let grace = proxy.settings.timeouts.grace;
    let mut cut = pin!(cut);
    let mut is_hurried = false;
    tokio::select! {
        () = connections.shutdown() => {}
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

/// Answers what comes over a client's connection.
fn converse(
    proxy: &Arc<Proxy>,
    http: &http1::Builder,
    stream: TcpStream,
    ip: IpAddr,
) -> impl GracefulConnection {
    let spooled = proxy.log.spool().map(Connection::new);
    let stream = Spooled::new(stream, spooled.clone(), proxy.settings.timeouts.send);
    let proxy = Arc::clone(proxy);
    let service = service_fn(move |request: Request<Incoming>| {
        let proxy = Arc::clone(&proxy);
        let arrival = Arrival { ip: Some(ip), connection: spooled.clone(), ..Arrival::default() };
        let answer = proxy.handle(request.map(RequestBody::Incoming), arrival);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http.serve_connection(TokioIo::new(stream), service)
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
