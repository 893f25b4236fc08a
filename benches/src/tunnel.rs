//! A proxy as a company has one: it digs tunnels, counts them, and may refuse to.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What it does when it is asked for a tunnel.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// Digs it.
    Willing,
    /// Answers this, and hangs up.
    Says(&'static str),
    /// Answers nothing.
    Silent,
}

/// A proxy on loopback, which stops when it is dropped.
pub struct ConnectProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accept_loop: JoinHandle<()>,
}

impl ConnectProxy {
    /// Starts it on a port of the system's choice.
    ///
    /// # Errors
    ///
    /// When there is no loopback port to be had.
    pub async fn start(mood: Mood) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&asked);
        let accept_loop = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let heads = Arc::clone(&heads);
                // What fails here, the client sees by itself.
                clients.spawn(async move { serve(client, mood, &heads).await.ok() });
            }
        });
        Ok(Self { address, asked, accept_loop })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the head of every request for a tunnel.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.accept_loop.abort();
    }
}

async fn serve(mut client: TcpStream, mood: Mood, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(' '));
    let to = to.map(|(to, _)| to.to_owned());
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    match (mood, to) {
        (Mood::Willing, Some(to)) => {
            let mut server = TcpStream::connect(to).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut server).await?;
            Ok(())
        }
        (Mood::Willing, None) => client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        (Mood::Says(answer), _) => client.write_all(answer.as_bytes()).await,
        (Mood::Silent, _) => std::future::pending().await,
    }
}
