//! A socket without a client's politeness: what is sent is what the test says, what is answered is read to the byte.

use crate::wait::soon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to a server on this machine.
#[derive(Debug)]
pub struct Raw {
    socket: TcpStream,
    held: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub body: String,
}

impl Raw {
    pub async fn connect(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
        Self { socket, held: Vec::new() }
    }

    /// False where the other side takes no more.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon("sending", self.socket.write_all(bytes.as_ref())).await.is_ok()
    }

    /// Says that nothing more comes.
    pub async fn end(&mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// The next answer; None where the connection ends without one.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        let head = loop {
            if let Some(at) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(self.held.drain(..at + 4).collect()).expect("a head is ASCII");
            }
            if !self.read().await {
                return None;
            }
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let lower = head.to_ascii_lowercase();
        let length = lower.split_once("\r\ncontent-length:").and_then(|(_, rest)| rest.lines().next());
        let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
        let bodiless = matches!(status, 100..200 | 204 | 304);
        while !bodiless && self.held.len() < length && self.read().await {}
        let length = if bodiless { 0 } else { length.min(self.held.len()) };
        let body = String::from_utf8(self.held.drain(..length).collect()).expect("a body of text");
        Some(RawAnswer { status, head, body })
    }

    /// Whether the other side closed, with nothing left to read.
    pub async fn is_closed(&mut self) -> bool {
        self.held.is_empty() && !self.read().await
    }

    async fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        match soon("an answer", self.socket.read(&mut piece)).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.held.extend_from_slice(&piece[..read]);
                true
            }
        }
    }
}

/// One request on a connection of its own.
pub async fn asked(port: u16, request: impl AsRef<[u8]>) -> Option<RawAnswer> {
    let mut raw = Raw::connect(port).await;
    raw.send(request).await;
    raw.answer().await
}
