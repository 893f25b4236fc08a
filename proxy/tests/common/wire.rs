//! HTTP by hand: a client that may stop anywhere, and an upstream that may say anything.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::within;

/// One connection; dropping it hangs up.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.expect("somebody listens"))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref())).await.expect("the other side reads");
    }

    /// Sends as long as the other side is there; returns whether it still is.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads what comes first, at most 16 KiB.
    pub(crate) async fn read_some(&mut self) -> Vec<u8> {
        let mut piece = vec![0; 16 << 10];
        let length = within(self.0.read(&mut piece)).await.expect("the connection holds");
        piece.truncate(length);
        piece
    }

    /// Reads a whole request, by its `content-length`.
    pub(crate) async fn read_request(&mut self) {
        let mut bytes = Vec::new();
        loop {
            bytes.extend(self.read_some().await);
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
            let length = length.lines().next().and_then(|length| length.parse::<usize>().ok());
            if bytes.len() >= head.len() + 4 + length.unwrap_or(0) {
                return;
            }
        }
    }

    /// Reads until `end` has come; returns all that came, or what came before the connection ended.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let mut piece = vec![0; 16 << 10];
        while !String::from_utf8_lossy(&bytes).contains(end) {
            match within(self.0.read(&mut piece)).await {
                Ok(0) | Err(_) => break,
                Ok(length) => bytes.extend_from_slice(&piece[..length]),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads all that comes until the connection ends.
    pub(crate) async fn read_to_end(&mut self) -> String {
        self.read_until("\u{0}never\u{0}").await
    }
}

/// An upstream by hand: takes one connection at a time.
pub(crate) struct RawUpstream(TcpListener);

impl RawUpstream {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("an address"))
    }

    /// Waits for the next connection.
    pub(crate) async fn accept(&self) -> Wire {
        Wire(within(self.0.accept()).await.expect("a connection").0)
    }
}
