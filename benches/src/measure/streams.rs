//! Server-sent events of a busy room: how many a second reach its subscribers, how late, and whether all do; beside `fanout`. And the
//! memory that a connection costs on which nothing happens.

use super::Bench;
use crate::client::{self, Connection};
use crate::load::{Times, send_all};
use crate::process::{self, Server, store_in};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, stores};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const WRITERS: usize = 64;
const SUBSCRIBERS: [usize; 3] = [100, 500, 1000];
/// So long nothing may come before what is missing counts as lost.
const SILENCE: Duration = Duration::from_secs(2);
const IDLE: usize = 5000;

/// Over the runs, with one number of subscribers.
#[derive(Default)]
struct Figures {
    rate: Series,
    p50: Series,
    lost: Series,
}

/// What one load gave.
struct Delivered {
    rate: f64,
    p50: f64,
    lost: usize,
}

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let mut all = SUBSCRIBERS.map(|_| (Figures::default(), Figures::default()));
    for _ in 0..bench.plan.slow_runs {
        for (subscribers, (ours, base)) in SUBSCRIBERS.into_iter().zip(&mut all) {
            let folder = bench.folder()?;
            let messages = bench.plan.delivered / subscribers;
            let fanout = process::fanout(folder.path())?;
            base.add(&delivered(&fanout, "/messages", "/stream", subscribers, messages)?);
            drop(fanout);
            let room = stores::make(&store_in(folder.path()), 0, &bench.texts)?[0];
            let host = process::host(folder.path(), "")?;
            let path = format!("/api/v1/rooms/{room}");
            let (post, stream) = (format!("{path}/messages"), format!("{path}/stream"));
            ours.add(&delivered(&host, &post, &stream, subscribers, messages)?);
            host.stop()?;
        }
    }
    let mut rows: Vec<Row> =
        SUBSCRIBERS.iter().zip(&all).map(|(count, (ours, base))| row(*count, ours, base)).collect();
    rows.push(idle(bench)?);
    Ok(rows)
}

impl Figures {
    fn add(&mut self, delivered: &Delivered) {
        self.rate.add(delivered.rate);
        self.p50.add(delivered.p50);
        self.lost.add(delivered.lost as f64);
    }
}

fn row(count: usize, ours: &Figures, base: &Figures) -> Row {
    let share = ours.rate.over(&base.rate);
    let lost = |figures: &Figures| format!("{:.0} lost", figures.lost.median());
    Row::new(format!("events to {count} subscribers of a busy room, {WRITERS} writers"))
        .figure("", &ours.rate, Unit::PerSecond)
        .figure("p50", &ours.p50, Unit::Nanoseconds)
        .said(lost(ours))
        .beside(
            &share,
            &format!("`fanout` (p50 {}, {})", base.p50.shown(Unit::Nanoseconds), lost(base)),
            &base.rate,
            Unit::PerSecond,
        )
        .wanted("≥ 110 % of `fanout`", share.median() >= 1.1)
        .wanted("p50 below it", ours.p50.median() <= base.p50.median())
        .wanted("none lost", ours.lost.median() == 0.0)
}

fn delivered(server: &Server, post: &str, stream: &str, subscribers: usize, messages: usize) -> Result<Delivered> {
    client::runtime()?.block_on(async {
        let (received, times) = (Arc::new(AtomicUsize::new(0)), Times::new()?);
        let mut readers = Vec::new();
        for number in 0..subscribers {
            let socket = subscribed(server.address, stream).await?;
            // One of them looks at the clock; parsing for all would measure the client.
            let times = (number == 0).then(|| times.clone());
            readers.push(tokio::spawn(read(socket, received.clone(), times)));
        }
        let (begun, path) = (Instant::now(), post.to_owned());
        send_all(server.address, WRITERS, messages, move |_| client::post(&path, &stamped())).await?;
        let expected = messages * subscribers;
        let (mut last, mut at) = (0, Instant::now());
        while last < expected && at.elapsed() < SILENCE {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = received.load(Ordering::Relaxed);
            if now > last {
                (last, at) = (now, Instant::now());
            }
        }
        readers.iter().for_each(JoinHandle::abort);
        let rate = last as f64 / (at - begun).as_secs_f64();
        Ok(Delivered { rate, p50: times.at(0.5), lost: expected.saturating_sub(last) })
    })
}

/// A message of about 100 bytes that says when it was sent.
fn stamped() -> String {
    format!("{{\"sender\":\"bench\",\"content\":\"at={:020} {}\"}}", nanoseconds(), "x".repeat(75))
}

fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

/// A stream whose head has come.
async fn subscribed(address: SocketAddr, path: &str) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(&client::get(path)).await?;
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if socket.read_buf(&mut head).await? == 0 {
            return Err("the stream ended before it began".into());
        }
    }
    match head.get(9..12) {
        Some(b"200") => Ok(socket),
        _ => Err(format!("no stream: {}", String::from_utf8_lossy(&head)).into()),
    }
}

/// Counts messages by the name of their event, which no content holds.
async fn read(mut socket: TcpStream, received: Arc<AtomicUsize>, times: Option<Times>) {
    let mut buffer = vec![0; 64 * 1024];
    let (mut kept, name) = (0, b"message\n");
    while let Ok(count) = socket.read(&mut buffer[kept..]).await {
        if count == 0 {
            return;
        }
        let bytes = &buffer[..kept + count];
        let mut found = 0;
        let mut place = 0;
        while let Some(at) = find(&bytes[place..], name) {
            found += 1;
            place += at + name.len();
        }
        if let Some(times) = &times {
            stamps(bytes).for_each(|sent| times.record(Duration::from_nanos(nanoseconds().saturating_sub(sent))));
        }
        received.fetch_add(found, Ordering::Relaxed);
        // What may be the beginning of a name stays for the next piece.
        let rest = bytes.len() - place.max(bytes.len().saturating_sub(name.len() - 1));
        let from = bytes.len() - rest;
        buffer.copy_within(from..from + rest, 0);
        kept = rest;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let end = from + at + 1;
        if end >= what.len() && &bytes[end - what.len()..end] == what {
            return Some(end - what.len());
        }
        from = end;
    }
    None
}

fn stamps(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let places = bytes.windows(3).enumerate().filter(|(_, window)| *window == b"at=").map(|(place, _)| place + 3);
    places.filter_map(|place| std::str::from_utf8(bytes.get(place..place + 20)?).ok()?.parse().ok())
}

fn idle(bench: &Bench) -> Result<Row> {
    let folder = bench.folder()?;
    let room = stores::make(&store_in(folder.path()), 0, &bench.texts)?[0];
    let host = process::host(folder.path(), "")?;
    let each = client::runtime()?.block_on(async {
        Connection::open(host.address).await?.ask(&client::get("/api/v1/rooms")).await?.success()?;
        let before = host.memory()?;
        let mut sockets = Vec::with_capacity(IDLE);
        for _ in 0..IDLE {
            sockets.push(subscribed(host.address, &format!("/api/v1/rooms/{room}/stream")).await?);
        }
        Result::Ok((host.memory()? - before) / IDLE as f64)
    })?;
    host.stop()?;
    let each: Series = [each].into_iter().collect();
    Ok(Row::new(format!("memory of an idle event stream, {IDLE} at once"))
        .figure("", &each, Unit::Kilobytes)
        .wanted("≤ 12 KB", each.median() <= 12.0 * 1024.0))
}
