//! Load in a closed loop: so many connections, each with one request under way at all times.

use crate::Result;
use crate::client::{self, Connection};
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a load gave, or several one after another.
#[derive(Debug)]
pub struct Sample {
    answers: usize,
    time: Duration,
    pub times: Times,
}

impl Sample {
    pub fn empty() -> Result<Self> {
        Ok(Self { answers: 0, time: Duration::ZERO, times: Times::new()? })
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.time.as_secs_f64()
    }
}

/// Times in nanoseconds, shared by those who record them.
#[derive(Debug, Clone)]
pub struct Times(Arc<Mutex<Histogram<u64>>>);

impl Times {
    pub fn new() -> Result<Self> {
        // Up to a minute, to a thousandth.
        Ok(Self(Arc::new(Mutex::new(Histogram::new_with_bounds(1, 60_000_000_000, 3)?))))
    }

    pub fn record(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(nanoseconds);
    }

    /// In nanoseconds; `quantile` 0.99 is p99.
    pub fn at(&self, quantile: f64) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).value_at_quantile(quantile) as f64
    }
}

/// How a load goes.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub address: SocketAddr,
    pub connections: usize,
    pub warm_up: Duration,
    pub time: Duration,
}

/// Adds what the load gives to `sample`; `request` makes the n-th request of all.
pub fn closed_loop(
    sample: &mut Sample,
    shape: Shape,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Result<()> {
    client::runtime()?.block_on(async {
        let begin = Instant::now() + shape.warm_up;
        let end = begin + shape.time;
        let (times, request) = (sample.times.clone(), Arc::new(request));
        let (next, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..shape.connections {
            let (times, request, next, counted) = (times.clone(), request.clone(), next.clone(), counted.clone());
            tasks.spawn(async move {
                let mut connection = Connection::open(shape.address).await?;
                loop {
                    let request = request(next.fetch_add(1, Ordering::Relaxed));
                    let sent = Instant::now();
                    connection.ask(&request).await?.success()?;
                    let now = Instant::now();
                    if now >= end {
                        return Result::Ok(());
                    }
                    if now >= begin {
                        times.record(now - sent);
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        sample.answers += counted.load(Ordering::Relaxed);
        sample.time += shape.time;
        Ok(())
    })
}

/// Sends the first `count` requests over so many connections, and returns when each has its answer.
pub async fn send_all(
    address: SocketAddr,
    connections: usize,
    count: usize,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Result<()> {
    let (request, next) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (request, next) = (request.clone(), next.clone());
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Result::Ok(());
                }
                connection.ask(&request(number)).await?.success()?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
