//! A client that costs little, so that a load on a small machine measures the server: one keep-alive connection, one request at a time,
//! of the answer only what is needed.

use crate::Result;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// One connection.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// One thread does for a load: the server needs the others.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

pub fn get_with_key(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n").into_bytes()
}

pub fn post(path: &str, json: &str) -> Vec<u8> {
    post_with(path, "", json)
}

pub fn post_with_key(path: &str, key: &str, json: &str) -> Vec<u8> {
    post_with(path, &format!("authorization: Bearer {key}\r\n"), json)
}

fn post_with(path: &str, fields: &str, json: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{fields}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let mut seen = 0;
        let body = loop {
            self.receive().await?;
            let from = std::mem::replace(&mut seen, self.received.len().saturating_sub(3));
            if let Some(at) = self.received[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break from + at + 4;
            }
        };
        let head = std::str::from_utf8(&self.received[..body])?;
        let (status, length) = (status(head)?, length(head)?);
        while self.received.len() < body + length {
            self.receive().await?;
        }
        Ok(Answer { status, body: &self.received[body..body + length] })
    }

    async fn receive(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

impl<'a> Answer<'a> {
    /// The body of a success; anything else is an error with what it says.
    pub fn success(self) -> Result<&'a [u8]> {
        match self.status {
            200..300 => Ok(self.body),
            status => Err(format!("status {status}: {}", String::from_utf8_lossy(self.body)).into()),
        }
    }
}

fn status(head: &str) -> Result<u16> {
    Ok(head.get(9..12).ok_or("an answer without a status")?.parse()?)
}

fn length(head: &str) -> Result<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let field = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(field.ok_or("an answer without a content-length")?.1.parse()?)
}
