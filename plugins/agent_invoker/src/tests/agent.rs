//! A scripted agent: each request plays the next script, and is kept for the test to look at.

use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// Goes on when the test opens the gate.
    Gate,
    Pause(Duration),
    /// Waits until the other side goes away.
    Hang,
    /// The same bytes for ever.
    Flood(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Request line and headers, in small letters.
    pub head: String,
    pub body: Value,
    pub raw: Vec<u8>,
}

pub(super) struct Agent {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    requests: Mutex<Vec<Request>>,
    gate: Semaphore,
    /// Connections that the other side ended while the agent hung.
    left: Semaphore,
}

impl Agent {
    pub(super) async fn playing(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            scripts: Mutex::new(scripts.into_iter().collect()),
            requests: Mutex::default(),
            gate: Semaphore::new(0),
            left: Semaphore::new(0),
        });
        let address = listener.local_addr().unwrap();
        let served = shared.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, served.clone()));
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(super) async fn wait_for_requests(&self, number: usize) {
        for _ in 0..1000 {
            if self.requests().len() >= number {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("fewer than {number} requests came: {:?}", self.requests());
    }

    pub(super) fn open_gate(&self) {
        self.shared.gate.add_permits(1);
    }

    /// Resolves when the other side has ended a connection on which the agent hung.
    pub(super) async fn was_left(&self) {
        let left = tokio::time::timeout(Duration::from_secs(10), self.shared.left.acquire());
        left.await.expect("the connection is still open").unwrap().forget();
    }
}

impl Request {
    /// Method and path.
    pub(super) fn what(&self) -> &str {
        self.head.split(" HTTP/").next().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

async fn serve(mut connection: TcpStream, shared: Arc<Shared>) {
    let Some(request) = read(&mut connection).await else { return };
    shared.requests.lock().unwrap().push(request);
    let script = shared.scripts.lock().unwrap().pop_front().expect("a request too many");
    for step in script {
        match step {
            Step::Send(bytes) => connection.write_all(&bytes).await.unwrap(),
            Step::Gate => shared.gate.acquire().await.unwrap().forget(),
            Step::Pause(pause) => tokio::time::sleep(pause).await,
            Step::Hang => {
                let _ = connection.read(&mut [0]).await;
                shared.left.add_permits(1);
            }
            Step::Flood(bytes) => while connection.write_all(&bytes).await.is_ok() {},
        }
    }
}

async fn read(connection: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        // The values that tests look at are in small letters or unique in any.
        let head = String::from_utf8_lossy(&bytes[..at]).replace("\r\n", "\n");
        let head: Vec<_> = head.lines().map(|line| line.split_once(": ").map_or(line.into(), lower_name)).collect();
        let mut request = Request { head: head.join("\n"), body: Value::Null, raw: bytes[at + 4..].to_vec() };
        let length: usize = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if request.raw.len() >= length {
            request.body = serde_json::from_slice(&request.raw).unwrap_or_default();
            return Some(request);
        }
    }
}

fn lower_name((name, value): (&str, &str)) -> String {
    format!("{}: {value}", name.to_lowercase())
}

/// A whole answer.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
    vec![Step::Send(text.into())]
}

pub(super) fn json(body: &Value) -> Vec<Step> {
    answer(200, "content-type: application/json\r\n", &body.to_string())
}

/// The beginning of a streamed answer.
pub(super) fn stream_head() -> Step {
    Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

pub(super) fn chunk(data: &str) -> Step {
    Step::Send(format!("{:x}\r\n{data}\r\n", data.len()).into())
}

pub(super) fn event(data: &Value) -> Step {
    chunk(&format!("data: {data}\n\n"))
}

/// `[DONE]` and the end of the body.
pub(super) fn done() -> Step {
    Step::Send(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n".to_vec())
}

/// The end of the body, in good order, without `[DONE]`.
pub(super) fn end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}
