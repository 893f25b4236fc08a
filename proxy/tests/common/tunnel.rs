//! A proxy as a company has one: it digs tunnels, counts them, and may refuse to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What it does when it is asked for a tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// Digs it.
    Willing,
    /// Answers this, and hangs up.
    Says(&'static str),
    /// Answers nothing.
    Silent,
}

/// A proxy on loopback.
pub(crate) struct ConnectProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, mood, Arc::clone(&heads)));
            }
        });
        Self { address, asked }
    }

    /// The head of every request for a tunnel.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut client: TcpStream, mood: Mood, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).expect("a head is text");
    let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(' '));
    let to = to.map(|(to, _)| to.to_owned());
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    match mood {
        Mood::Willing => {
            let to = to.expect("nobody asks for anything else");
            let mut server = TcpStream::connect(to).await.expect("somebody listens");
            let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Mood::Says(answer) => {
            let _ = client.write_all(answer.as_bytes()).await;
        }
        Mood::Silent => std::future::pending().await,
    }
}
