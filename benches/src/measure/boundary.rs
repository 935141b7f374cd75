//! The boundary to the plugins: a message of 500 bytes to the echo agent and its answer back, through the real loader, in this process.

use super::Bench;
use crate::load::Times;
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Plan, Result};
use arcuate::plugins::{HostApi, Manager, Observer};
use async_trait::async_trait;
use plugin_api::raw::Op;
use plugin_api::types::{Message, Turn, User};
use plugin_api::{Job, Limits, Mode, Outcome, Work};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const INSTANCE: &str = "assistant";
const CONTENT: usize = 500;
const AT_ONCE: usize = 8;
const DEADLINE: Duration = Duration::from_secs(10);

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut p50, mut p99, mut rate) = (Series::default(), Series::default(), Series::default());
    let folder = bench.folder()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let manager = started(folder.path()).await?;
        for _ in 0..bench.plan.runs {
            let times = one_at_a_time(&manager, &bench.plan).await?;
            p50.add(times.at(0.5));
            p99.add(times.at(0.99));
            rate.add(at_once(&manager, &bench.plan).await?);
        }
        manager.stop(Duration::from_secs(5)).await;
        Result::Ok(())
    })?;
    Ok(vec![
        Row::new("plugin boundary, 500 bytes there and back")
            .figure("p50", &p50, Unit::Nanoseconds)
            .figure("p99", &p99, Unit::Nanoseconds)
            .wanted("p50 ≤ 30 µs", p50.median() <= 30_000.0),
        Row::new(format!("the same with {AT_ONCE} at once"))
            .figure("", &rate, Unit::PerSecond)
            .wanted("≥ 100k/s", rate.median() >= 100_000.0),
    ])
}

/// The agent of the defaults, without a host around it.
async fn started(folder: &Path) -> Result<Arc<Manager>> {
    let program = std::env::current_exe()?;
    let beside = program.parent().ok_or("this program lies nowhere")?;
    let text = format!("[plugins]\ndirectory = {beside:?}\n");
    let loaded = arcuate::config::from_text(&folder.join("config.toml"), &text, [("", ""); 0]);
    let loaded = loaded.map_err(|mistakes| format!("the config is wrong: {mistakes:?}"))?;
    let manager = Manager::new(&loaded.config.plugins, &folder.join("plugins"));
    manager.start(Arc::new(Nobody), Arc::new(Nobody)).await;
    Ok(manager)
}

async fn one_at_a_time(manager: &Arc<Manager>, plan: &Plan) -> Result<Times> {
    let (manager, times, time) = (manager.clone(), Times::new()?, plan.load);
    let recorded = times.clone();
    let task = tokio::spawn(async move {
        let (job, begun) = (job(), Instant::now());
        while begun.elapsed() < time {
            let sent = Instant::now();
            asked(&manager, &job).await?;
            recorded.record(sent.elapsed());
        }
        Result::Ok(())
    });
    task.await??;
    Ok(times)
}

async fn at_once(manager: &Arc<Manager>, plan: &Plan) -> Result<f64> {
    let (count, begun, time) = (Arc::new(AtomicUsize::new(0)), Instant::now(), plan.load);
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (manager, count) = (manager.clone(), count.clone());
        tasks.spawn(async move {
            let job = job();
            while begun.elapsed() < time {
                asked(&manager, &job).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Result::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

async fn asked(manager: &Manager, job: &Job) -> Result<()> {
    match manager.handle(INSTANCE, job, DEADLINE).await? {
        Outcome::Done { reply: Some(reply), .. } if reply.content.len() >= CONTENT => Ok(()),
        other => Err(format!("the echo agent answered {other:?}").into()),
    }
}

fn job() -> Job {
    let message =
        Message { content: "m".repeat(CONTENT), sender: "Ada".into(), metadata: json!({}), ..Message::default() };
    let user =
        User { username: "ada".into(), platform: "bridge".into(), platform_user_id: "1".into(), ..User::default() };
    let turn =
        Turn { mode: Mode::Live, conversation_id: "1".into(), room_id: "1".into(), user, message, causes: Vec::new() };
    Job {
        id: "1".into(),
        attempt: 1,
        rescues: 0,
        uncertain: false,
        timeout_ms: 10_000,
        work: Work::AgentTurn(Box::new(turn)),
    }
}

/// In place of the rest of the host.
struct Nobody;

#[async_trait]
impl HostApi for Nobody {
    async fn call(&self, _: &str, op: Op, _: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
        Err(format!("{op:?} is not for this measurement"))
    }
}

#[async_trait]
impl Observer for Nobody {
    fn running(&self, _: &str, _: &Limits) {}
    async fn left(&self, _: &str) {}
    fn paused(&self, _: &str, _: Duration, _: &str) {}
}
