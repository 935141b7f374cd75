//! An idle queue: how long a job that was just committed takes to reach its worker. In this process, because the moment of a commit is
//! not seen from outside.

use super::Bench;
use crate::load::Times;
use crate::process::store_in;
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, stores};
use arcuate::store::Store;
use arcuate::store::slots::Policy;
use plugin_api::Priority;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const INSTANCE: &str = "worker";
/// Between two jobs: long enough for everything to fall asleep.
const PAUSE: Duration = Duration::from_millis(3);

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut p50, mut p99) = (Series::default(), Series::default());
    for _ in 0..bench.plan.runs {
        let folder = bench.folder()?;
        let times = handovers(&store_in(folder.path()), bench.plan.handovers)?;
        p50.add(times.at(0.5));
        p99.add(times.at(0.99));
    }
    let row = Row::new("idle queue: job committed → worker has it")
        .figure("p50", &p50, Unit::Nanoseconds)
        .figure("p99", &p99, Unit::Nanoseconds)
        .wanted("p50 ≤ 150 µs", p50.median() <= 150_000.0)
        .wanted("p99 ≤ 2 ms", p99.median() <= 2e6);
    Ok(vec![row])
}

fn handovers(path: &Path, count: usize) -> Result<Times> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Without an fsync: the time begins before the commit, which is to cost next to nothing.
        let (store, mut handed) = stores::open(path, false)?;
        let policy =
            Policy { concurrency: 4, job_timeout: Duration::from_secs(60), max_attempts: None, schedule: None };
        store.with_slots(|slots| slots.open(INSTANCE, policy));
        // As the queue does it: one task takes what is handed over, and each job becomes a task.
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(claimed) = handed.next().await {
                let arrived = arrived.clone();
                tokio::spawn(async move { arrived.send((Instant::now(), claimed.key, claimed.number)) });
            }
        });
        let times = Times::new()?;
        for number in 0..count {
            let inserted = insert(&store, number).await?;
            let (at, key, claim) = arrivals.recv().await.ok_or("nothing was handed over")?;
            times.record(at - inserted);
            store.write(move |tx| tx.settle(key, claim, &plugin_api::Outcome::done())).await?;
            tokio::time::sleep(PAUSE).await;
        }
        store.close().await;
        Ok(times)
    })
}

/// Commits a job; answers when its rows were written, just before the commit.
async fn insert(store: &Store, number: usize) -> Result<Instant> {
    let inserted = Arc::new(Mutex::new(Instant::now()));
    let place = inserted.clone();
    let write = move |tx: &mut arcuate::store::Tx<'_>| {
        tx.enqueue_task(INSTANCE, &format!("lane {number}"), &Value::Null, Duration::ZERO, Priority::Normal)?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    };
    store.write(write).await?;
    Ok(*inserted.lock().unwrap_or_else(PoisonError::into_inner))
}
