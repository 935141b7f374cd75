//! Deliveries to the endpoints of a busy room: how many a second reach eight healthy ones, by themselves and beside one that takes each
//! request and never answers.

use super::Bench;
use crate::client::{self, Connection, post};
use crate::load::send_all;
use crate::process::{self, Server};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, stores};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ENDPOINTS: usize = 8;
const WRITERS: usize = 8;
const LONGEST: Duration = Duration::from_secs(60);

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut healthy, mut beside) = (Series::default(), Series::default());
    for _ in 0..bench.plan.slow_runs {
        healthy.add(deliveries_per_second(bench, false)?);
        beside.add(deliveries_per_second(bench, true)?);
    }
    let share = beside.over(&healthy);
    Ok(vec![
        Row::new(format!("webhook deliveries to {ENDPOINTS} endpoints, {WRITERS} writers"))
            .figure("", &healthy, Unit::PerSecond)
            .wanted("≥ 1,000/s", healthy.median() >= 1000.0),
        Row::new("the same beside an endpoint that never answers")
            .figure("", &beside, Unit::PerSecond)
            .beside(&share, "those without it", &healthy, Unit::PerSecond)
            .wanted("≥ 1,000/s", beside.median() >= 1000.0),
    ])
}

fn deliveries_per_second(bench: &Bench, with_a_dead_one: bool) -> Result<f64> {
    let folder = bench.folder()?;
    let host = process::host(folder.path(), "")?;
    let rate = client::runtime()?.block_on(async {
        let (path, key) = room(&host).await?;
        let received = Arc::new(AtomicUsize::new(0));
        for _ in 0..ENDPOINTS {
            register(&host, &path, &key, receiver(Some(received.clone())).await?).await?;
        }
        if with_a_dead_one {
            register(&host, &path, &key, receiver(None).await?).await?;
        }
        let (messages, begun, texts) = (bench.plan.hooked, Instant::now(), bench.texts.clone());
        send_all(host.address, WRITERS, messages, move |number| {
            let message = json!({ "sender": stores::sender(number), "content": texts.get(number) });
            post(&format!("{path}/messages"), &message.to_string())
        })
        .await?;
        while received.load(Ordering::Relaxed) < messages * ENDPOINTS {
            if begun.elapsed() > LONGEST {
                return Err("the deliveries do not end".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Result::Ok((messages * ENDPOINTS) as f64 / begun.elapsed().as_secs_f64())
    })?;
    // Not in good order: that would wait for the endpoint that never answers.
    drop(host);
    Ok(rate)
}

/// A new room's path and its key.
async fn room(host: &Server) -> Result<(String, String)> {
    let mut connection = Connection::open(host.address).await?;
    let made = connection.ask(&post("/api/v1/rooms", "{\"name\":\"busy\"}")).await?.success()?;
    let made: Value = serde_json::from_slice(made)?;
    let text = |field: &str| made[field].as_str().map(str::to_owned).ok_or("a room without its id and key");
    Ok((format!("/api/v1/rooms/{}", text("id")?), text("admin_key")?))
}

async fn register(host: &Server, path: &str, key: &str, receiver: SocketAddr) -> Result<()> {
    let body = json!({ "url": format!("http://{receiver}/"), "events": "message", "secret": "of the benches" });
    let request = client::post_with_key(&format!("{path}/webhooks"), key, &body.to_string());
    Connection::open(host.address).await?.ask(&request).await?.success()?;
    Ok(())
}

/// Answers each request, and counts them; without a count it takes them and answers none.
async fn receiver(received: Option<Arc<AtomicUsize>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(receive(socket, received.clone()));
        }
    });
    Ok(address)
}

async fn receive(mut socket: TcpStream, received: Option<Arc<AtomicUsize>>) {
    let mut bytes = Vec::new();
    while let Some(end) = request(&mut socket, &mut bytes).await {
        bytes.drain(..end);
        let Some(received) = &received else { continue };
        if socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
        received.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where the next request ends, once it is there.
async fn request(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse::<usize>();
            let end = head + 4 + length.ok()?;
            if bytes.len() >= end {
                return Some(end);
            }
        }
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
