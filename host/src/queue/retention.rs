//! How long ended jobs are kept: `[queue] keep_completed_days` and `keep_dead_days`, looked at once at the start and every hour. They go in
//! small writes with pauses between them, so that nobody waits for a million rows. What was counted of a minute goes soon after it.

use crate::clock::{self, pause_after};
use crate::config::{self, Live};
use crate::error::Result;
use crate::store::{State, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

const PERIOD: Duration = Duration::from_secs(3600);
/// While the store cannot be written, and between two looks at what is counted by the minute.
const PATIENCE: Duration = Duration::from_secs(60);

/// Goes on until the host ends.
pub async fn run(store: Store, live: Arc<Live>, mut stopping: watch::Receiver<bool>) {
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = sweep_for_ever(&store, &live) => {}
        () = sweep_windows_for_ever(&store) => {}
    }
}

async fn sweep_for_ever(store: &Store, live: &Live) {
    loop {
        let wait = match sweep(store, &live.now().queue, usize::MAX).await {
            Ok(_) => PERIOD,
            Err(error) => {
                tracing::warn!("jobs are kept longer than they should be for now: {error}");
                PATIENCE
            }
        };
        sleep(wait).await;
    }
}

async fn sweep_windows_for_ever(store: &Store) {
    loop {
        if let Err(error) = sweep_windows(store).await {
            tracing::warn!("counts of turns are kept longer than they should be for now: {error}");
        }
        sleep(PATIENCE).await;
    }
}

async fn sweep_windows(store: &Store) -> Result<()> {
    // A host that nobody talks to writes nothing.
    let mut more = store.read(|read| read.has_old_windows()).await?;
    while more {
        let begun = Instant::now();
        more = store.write_patiently(|tx| tx.sweep_windows()).await?;
        pause_after(begun).await;
    }
    Ok(())
}

/// How many jobs went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub completed: usize,
    pub failed: usize,
    pub flushed: usize,
    /// There are more that could go.
    pub more: bool,
}

impl Removed {
    pub fn all(&self) -> usize {
        self.completed + self.failed + self.flushed
    }
}

/// Removes what is beyond its days; 0 days keep it for ever. Ends soon after `most` jobs.
pub async fn sweep(store: &Store, queue: &config::Queue, most: usize) -> Result<Removed> {
    let mut removed = Removed::default();
    for (state, keep) in
        [(State::Completed, queue.keep_completed), (State::Failed, queue.keep_dead), (State::Flushed, queue.keep_dead)]
    {
        let left = most.saturating_sub(removed.all());
        let (count, more) = remove(store, state, keep, left).await?;
        match state {
            State::Completed => removed.completed = count,
            State::Failed => removed.failed = count,
            _ => removed.flushed = count,
        }
        removed.more |= more;
    }
    if removed.all() > 0 {
        tracing::info!(
            queue.completed = removed.completed,
            queue.failed = removed.failed,
            queue.flushed = removed.flushed,
            "jobs that ended long ago were removed"
        );
    }
    Ok(removed)
}

/// How many went, and whether there may be more.
async fn remove(store: &Store, state: State, keep: Duration, most: usize) -> Result<(usize, bool)> {
    let (mut all, mut more) = (0, !keep.is_zero());
    let before = clock::now().saturating_sub(clock::micros(keep));
    while more && all < most {
        let begun = Instant::now();
        let (removed, goes_on) = store.write_patiently(move |tx| tx.remove_ended(state, before)).await?;
        (all, more) = (all + removed, goes_on);
        pause_after(begun).await;
    }
    Ok((all, more))
}
