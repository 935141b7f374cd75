//! Removes the rows of deleted rooms, a little at a time, so that posts in other rooms never wait for it. What a crash left behind is found
//! at the next start. A room that fails is tried again later, and stands in no other's way.

use crate::clock::pause_after;
use crate::error::{Error, Result};
use crate::state::App;
use crate::store::Purged;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Between two tries while the store cannot be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// At most between two tries of a room that fails, and between two looks where nothing is known to be left.
const LONGEST: Duration = Duration::from_secs(3600);

/// Rooms that failed: how often, and when each is tried again.
#[derive(Debug, Default)]
struct Failing(BTreeMap<i64, (u32, Instant)>);

impl Failing {
    /// Answers how long the room is left alone now.
    fn add(&mut self, room: i64, failures: u32, now: Instant) -> Duration {
        let wait = PATIENCE.saturating_mul(1 << failures.min(12)).min(LONGEST);
        self.0.insert(room, (failures + 1, now + wait));
        wait
    }

    /// Until the next of them is due.
    fn wait(&self, now: Instant) -> Duration {
        self.0.values().map(|(_, at)| at.saturating_duration_since(now)).min().unwrap_or(LONGEST)
    }
}

/// Goes on until the host ends.
pub async fn run(app: App) {
    let mut stopping = app.stopping.clone();
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = purge_for_ever(&app) => {}
    }
}

async fn purge_for_ever(app: &App) {
    let mut failing = Failing::default();
    loop {
        match purge_all(app, &failing).await {
            Ok(left) => {
                failing = left;
                let _ = timeout(failing.wait(Instant::now()), app.room_deleted.notified()).await;
            }
            Err(error) => {
                tracing::warn!("a deleted room keeps some of its rows for now: {error}");
                sleep(PATIENCE).await;
            }
        }
    }
}

/// One after the other, past those that failed a moment ago. Answers which fail.
async fn purge_all(app: &App, before: &Failing) -> Result<Failing> {
    let (mut failing, mut last) = (Failing::default(), 0);
    while let Some(room) = app.store.read(move |read| read.deleted_room(last)).await? {
        last = room;
        let known = before.0.get(&room).copied();
        if let Some(known) = known.filter(|(_, at)| *at > Instant::now()) {
            failing.0.insert(room, known);
            continue;
        }
        match purge(app, room).await {
            Ok(()) => {}
            // That is the disk's trouble, and every room's.
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => {
                let wait = failing.add(room, known.map_or(0, |(failures, _)| failures), Instant::now());
                tracing::warn!(
                    room.key = room,
                    "a deleted room keeps some of its rows; the next try is in {} s: {error}",
                    wait.as_secs()
                );
            }
        }
    }
    Ok(failing)
}

async fn purge(app: &App, room: i64) -> Result<()> {
    loop {
        let begun = Instant::now();
        let Purged { done, hashes } = app.store.write_patiently(move |tx| tx.purge_room(room)).await?;
        if !hashes.is_empty() {
            app.store.unlink_unreferenced(hashes).await;
        }
        if done {
            return Ok(());
        }
        pause_after(begun).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_fails_again_and_again_is_left_alone_for_longer_and_longer() {
        let (mut failing, now) = (Failing::default(), Instant::now());
        assert_eq!(failing.wait(now), LONGEST);
        let waits: Vec<_> = (0..20).map(|failures| failing.add(7, failures, now).as_secs()).collect();
        assert!(waits.starts_with(&[1, 2, 4, 8]) && waits.ends_with(&[3600, 3600]), "{waits:?}");
        failing.add(8, 1, now);
        assert_eq!((failing.0[&7].0, failing.wait(now)), (20, 2 * PATIENCE), "the next one that is due");
    }
}
