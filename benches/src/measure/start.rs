//! The start of a host with a filled store, and the memory that it has once it is idle.

use super::Bench;
use crate::process::{self, store_in};
use crate::report::Row;
use crate::series::{Series, Unit};
use crate::{Result, stores};
use std::time::{Duration, Instant};

/// What a host does after its start is over by then.
const SETTLED: Duration = Duration::from_millis(1500);

pub fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (mut open, mut ready, mut memory) = (Series::default(), Series::default(), Series::default());
    let filled = bench.filled()?;
    for _ in 0..bench.plan.runs {
        open.add(opened(bench)?.as_nanos() as f64);
        let host = process::host(&filled.folder, "")?;
        ready.add(host.ready_after.as_nanos() as f64);
        std::thread::sleep(SETTLED);
        memory.add(host.memory()?);
        host.stop()?;
    }
    let stored = bench.stored();
    Ok(vec![
        Row::new(format!("open the store, {stored} stored"))
            .figure("", &open, Unit::Nanoseconds)
            .wanted("≤ 50 ms", open.median() <= 50e6),
        Row::new(format!("start of the host with the default plugins → ready, {stored} stored"))
            .figure("", &ready, Unit::Nanoseconds)
            .wanted("≤ 300 ms", ready.median() <= 300e6),
        Row::new("its resident memory, idle")
            .figure("", &memory, Unit::Bytes)
            .wanted("≤ 30 MB", memory.median() <= 30e6),
    ])
}

fn opened(bench: &Bench) -> Result<Duration> {
    let path = store_in(&bench.filled()?.folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let begun = Instant::now();
    let (store, _handed) = stores::open(&path, true)?;
    let took = begun.elapsed();
    runtime.block_on(store.close());
    Ok(took)
}
