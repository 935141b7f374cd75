//! Removes the rows of deleted rooms, a little at a time, so that posts in other rooms never wait for it. What a crash left behind is found
//! at the next start.

use crate::error::Result;
use crate::state::App;
use crate::store::Purged;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two tries while the store cannot be written.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest pause after a write.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Goes on until the host ends.
pub async fn run(app: App) {
    let mut stopping = app.stopping.clone();
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = purge_for_ever(&app) => {}
    }
}

async fn purge_for_ever(app: &App) {
    loop {
        match purge_all(app).await {
            Ok(()) => app.room_deleted.notified().await,
            Err(error) => {
                tracing::warn!("a deleted room keeps some of its rows for now: {error}");
                sleep(PATIENCE).await;
            }
        }
    }
}

async fn purge_all(app: &App) -> Result<()> {
    while let Some(room) = app.store.read(|read| read.deleted_room()).await? {
        loop {
            let begun = Instant::now();
            let Purged { done, hashes } = app.store.write_patiently(move |tx| tx.purge_room(room)).await?;
            if !hashes.is_empty() {
                app.store.unlink_unreferenced(hashes).await;
            }
            if done {
                break;
            }
            pause(begun).await;
        }
    }
    Ok(())
}

/// As long as the write took, so that others have at least half of the writer's time.
pub async fn pause(begun: Instant) {
    sleep(begun.elapsed().min(LONGEST_PAUSE)).await;
}
