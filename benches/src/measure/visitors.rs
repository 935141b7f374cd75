//! Visitors of the native bridge API and their answers: how long one waits at a steady pace, and how many turns there are at most.

use super::Bench;
use crate::client::{self, Connection, get, get_with_key, post};
use crate::load::{Times, send_all};
use crate::process::{self, API_KEY, Server, store_in};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, stores};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Between two visitors at the steady pace.
const INTERVAL: Duration = Duration::from_millis(10);
const SESSIONS: usize = 256;
/// They come round again after so many; each may wait as long as that lasts without delaying others.
const VISITORS: usize = 16;
/// Without it those who wait would keep the machine busy, and wait longer.
const BETWEEN_LOOKS: Duration = Duration::from_micros(300);
/// Connections that post at saturation.
const CLIENTS: usize = 64;
const LONGEST: Duration = Duration::from_secs(60);

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut p50, mut p99, mut turns) = (Series::default(), Series::default(), Series::default());
    for _ in 0..bench.plan.runs {
        let folder = bench.folder()?;
        let host = process::host(folder.path(), "")?;
        let times = steady(host.address, bench.plan.visits)?;
        p50.add(times.at(0.5));
        p99.add(times.at(0.99));
        host.stop()?;
        let folder = bench.folder()?;
        let host = process::host(folder.path(), "")?;
        let posted = bench.plan.asked;
        turns.add(turns_per_second(&host, SESSIONS, posted)?);
        host.stop()?;
        let answered = stores::number(&store_in(folder.path()), "select count(*) from bridge_responses")?;
        if answered != posted as i64 {
            return Err(format!("{answered} answers to {posted} messages").into());
        }
    }
    Ok(vec![
        Row::new("visitor → answer readable, native bridge API, 100/s")
            .figure("p50", &p50, Unit::Nanoseconds)
            .figure("p99", &p99, Unit::Nanoseconds)
            .wanted("p50 ≤ 5 ms", p50.median() <= 5e6)
            .wanted("p99 ≤ 25 ms", p99.median() <= 25e6),
        Row::new(format!("durable turns at saturation, {SESSIONS} sessions"))
            .figure("", &turns, Unit::PerSecond)
            .wanted("≥ 3,000/s", turns.median() >= 3000.0),
    ])
}

/// Posts so many messages as fast as it goes, and waits until nothing is left in the queue.
pub(super) fn turns_per_second(host: &Server, sessions: usize, posted: usize) -> Result<f64> {
    client::runtime()?.block_on(async {
        let begun = Instant::now();
        send_all(host.address, CLIENTS, posted, move |number| visit(number % sessions)).await?;
        let mut connection = Connection::open(host.address).await?;
        while waiting(&mut connection).await? > 0 {
            if begun.elapsed() > LONGEST {
                return Err("the turns do not end".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(posted as f64 / begun.elapsed().as_secs_f64())
    })
}

/// Jobs that have not ended.
async fn waiting(connection: &mut Connection) -> Result<i64> {
    let body: Value = serde_json::from_slice(connection.ask(&get_with_key("/ready", API_KEY)).await?.success()?)?;
    let count = |state: &str| body["queue"][state].as_i64().ok_or("/ready does not say what waits");
    if body["queue"]["failed"].as_i64() != Some(0) {
        return Err(format!("turns failed: {body}").into());
    }
    Ok(count("pending")? + count("processing")?)
}

fn visit(session: usize) -> Vec<u8> {
    post(
        "/api/v1/?action=messages",
        &format!("{{\"session_id\":\"session-{session}\",\"message\":\"What do you have in stock?\"}}"),
    )
}

/// One visitor each 10 ms, whatever became of those before. In threads, because the runtime's timers have steps of a millisecond.
fn steady(address: SocketAddr, time: Duration) -> Result<Times> {
    let times = Times::new()?;
    let begun = Instant::now() + INTERVAL;
    let count = (time.as_secs_f64() / INTERVAL.as_secs_f64()) as usize;
    std::thread::scope(|scope| {
        let take_turns = |first: usize| {
            let times = times.clone();
            scope.spawn(move || {
                let runtime = client::runtime()?;
                let mut connection = runtime.block_on(Connection::open(address))?;
                for number in (first..count).step_by(VISITORS) {
                    let due = begun + INTERVAL * number as u32;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    answered(&runtime, &mut connection, number % SESSIONS)?;
                    times.record(due.elapsed());
                }
                Result::Ok(())
            })
        };
        let visitors: Vec<_> = (0..VISITORS).map(take_turns).collect();
        visitors.into_iter().try_for_each(|visitor| visitor.join().map_err(|_| "a visitor panicked")?)
    })?;
    Ok(times)
}

/// Posts, and asks until the answer is there.
fn answered(runtime: &Runtime, connection: &mut Connection, session: usize) -> Result<()> {
    let posted: Value = serde_json::from_slice(runtime.block_on(connection.ask(&visit(session)))?.success()?)?;
    let message = posted["data"]["message_id"].as_i64().ok_or("an answer without its message_id")?;
    let request = get(&format!("/api/v1/?action=responses&session_id=session-{session}&after={message}"));
    let asking = Instant::now();
    while asking.elapsed() < LONGEST {
        let body = runtime.block_on(connection.ask(&request))?.success()?;
        if body.windows(11).any(|bytes| bytes == b"\"response\":") {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Err("a visitor got no answer".into())
}
