//! A queue of a million jobs, most of them completed: what an operator's list and filters cost, a claim, a retry by filter, and what goes
//! after its days.

use super::Bench;
use crate::process::store_in;
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, stores};
use arcuate::clock;
use arcuate::store::slots::Policy;
use arcuate::store::{JobDeed, JobFilter, State, Store};
use plugin_api::Priority;
use rusqlite::Connection;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const INSTANCE: &str = "worker";
/// Of so many jobs one has failed.
const FAILED: usize = 100;
const PAGE: usize = 50;
/// Jobs of one step of a retry.
const STEP: usize = 250;
const ASKED: usize = 50;

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.folder()?;
    let path = store_in(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Opened once, so that its tables are there.
        stores::open(&path, false)?.0.close().await;
        fill(&path, bench.plan.stored)?;
        let (store, _handed) = stores::open(&path, true)?;
        let policy =
            Policy { concurrency: 1_000_000, job_timeout: Duration::from_secs(60), max_attempts: None, schedule: None };
        store.with_slots(|slots| slots.open(INSTANCE, policy));
        let stored = bench.stored();
        let mut rows = Vec::new();
        for (what, filter, most) in lists() {
            let took = listed(&store, &filter).await?;
            rows.push(
                Row::new(format!("queue of {stored} jobs: {what}"))
                    .figure("", &took, Unit::Nanoseconds)
                    .wanted(&format!("≤ {most} ms"), took.median() <= f64::from(most) * 1e6),
            );
        }
        let claims = claimed(&store).await?;
        rows.push(
            Row::new(format!("queue of {stored} jobs: a job put in and claimed, durable"))
                .figure("", &claims, Unit::Nanoseconds)
                .wanted("≤ 5 ms", claims.median() <= 5e6),
        );
        rows.push(Row::new(format!("queue of {stored} jobs: retry of all failed ones, by filter")).figure(
            "",
            &retried(&store).await?,
            Unit::PerSecond,
        ));
        rows.push(Row::new(format!("queue of {stored} jobs: removal of what is too old")).figure(
            "",
            &removed(&store).await?,
            Unit::PerSecond,
        ));
        store.close().await;
        Ok(rows)
    })
}

/// The work, its filter, and the milliseconds that it may take.
fn lists() -> [(&'static str, JobFilter, u32); 4] {
    let failed = JobFilter { state: Some(State::Failed), ..JobFilter::default() };
    [
        ("the newest page", JobFilter::default(), 2),
        ("a page of failed ones", failed.clone(), 5),
        (
            "a page of failed ones with a part of their error",
            JobFilter { error: Some("timed out".into()), ..failed },
            10,
        ),
        (
            "a page of one instance that has none",
            JobFilter { instance: Some("nobody".into()), ..JobFilter::default() },
            50,
        ),
    ]
}

/// Straight into the tables: through the library it would take minutes.
fn fill(path: &Path, jobs: usize) -> Result<()> {
    let connection = Connection::open(path)?;
    let now = clock::now();
    let sql = format!(
        "pragma synchronous = off; begin;
         with recursive n (n) as (select 1 union all select n + 1 from n where n < {jobs})
         insert into queue (id, kind, instance, lane, state, runnable, max_attempts, next_at, payload, last_error, created_at,
                            started_at, finished_at, attempts)
         select randomblob(16), 'task', '{INSTANCE}', 'lane ' || (n % 1000), case when n % {FAILED} = 0 then 'failed' else 'completed' end, 0,
                10, n, '{{\"number\":' || n || '}}', case when n % {FAILED} = 0 then 'the other side timed out' end, {now} - {jobs} + n,
                {now}, {now} - {jobs} + n, 1 from n;
         insert into queue_attempts (job, number, started_at, ended_at, outcome) select key, 1, 1, 2, 'done' from queue;
         insert into queue_counts (instance, state, count) select instance, state, count(*) from queue group by 1, 2;
         commit;"
    );
    connection.execute_batch(&sql)?;
    Ok(())
}

async fn listed(store: &Store, filter: &JobFilter) -> Result<Series> {
    let mut took = Series::default();
    for _ in 0..ASKED {
        let (begun, filter) = (Instant::now(), filter.clone());
        store.read(move |read| read.jobs(&filter, None, PAGE)).await?;
        took.add(begun.elapsed().as_nanos() as f64);
    }
    Ok(took)
}

async fn claimed(store: &Store) -> Result<Series> {
    let mut took = Series::default();
    for number in 0..ASKED {
        let begun = Instant::now();
        let put = move |tx: &mut arcuate::store::Tx<'_>| {
            let lane = format!("new {number}");
            tx.enqueue_task(INSTANCE, &lane, &Value::Null, Duration::from_millis(1), Priority::Normal)
        };
        store.write(put).await?;
        while store.write(|tx| tx.claim_due(INSTANCE, 1)).await? == 0 {}
        took.add(begun.elapsed().as_nanos() as f64);
    }
    Ok(took)
}

async fn retried(store: &Store) -> Result<Series> {
    let filter = JobFilter { state: Some(State::Failed), error: Some("timed out".into()), ..JobFilter::default() };
    let (begun, mut after, mut affected) = (Instant::now(), None, 0);
    loop {
        let walked = filter.clone();
        let (keys, next) = store.read(move |read| read.job_keys(&walked, after, STEP)).await?;
        let fitting = filter.clone();
        affected += store.write(move |tx| tx.change_jobs(&keys, &fitting, JobDeed::Retry)).await?;
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    Ok([affected as f64 / begun.elapsed().as_secs_f64()].into_iter().collect())
}

async fn removed(store: &Store) -> Result<Series> {
    let before = clock::now();
    let (begun, mut affected) = (Instant::now(), 0);
    // A while is enough for a rate.
    while begun.elapsed() < Duration::from_secs(3) {
        let (removed, goes_on) = store.write(move |tx| tx.remove_ended(State::Completed, before)).await?;
        affected += removed;
        if !goes_on {
            break;
        }
    }
    Ok([affected as f64 / begun.elapsed().as_secs_f64()].into_iter().collect())
}
