//! The accept loop that both servers share.
//!
//! A loopback address and a hyper service come in; HTTP/1.1 connections are served until the
//! [`Server`] is dropped. Header names go out in title case (`Cf-Ray`), so that whoever reads them
//! has to ignore their case, as HTTP demands.

use std::{error::Error, io, net::SocketAddr};

use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

/// A running accept loop; dropping it closes the port and all connections.
pub(crate) struct Server {
    address: SocketAddr,
    accept_loop: JoinHandle<()>,
}

impl Server {
    /// Listens on `address` (port 0: any free one) and serves from then on.
    ///
    /// Refuses an address that other machines can reach: these servers check next to nothing.
    pub(crate) async fn start<S, B>(address: SocketAddr, service: S) -> io::Result<Self>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        S::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if !address.ip().is_loopback() {
            let message = format!("{address} is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, accept_loop: tokio::spawn(accept(listener, service)) })
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    #[cfg(feature = "lambda")]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept_loop.abort();
    }
}

async fn accept<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // The set owns the connections: they end with the loop.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: connections must get a turn to end.
            tokio::task::yield_now().await;
            continue;
        };
        // Without it a small event waits for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        connections.spawn(async move {
            // An error here is a fault doing its work, or a client that left.
            let _ = http1::Builder::new()
                .title_case_headers(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
