//! Keeps rooms within the limits that their owners set, and the log within its days: in the background, in small steps, one sweep at a
//! time. Never when a message is written.

use crate::clock::{self, Micros, pause_after};
use crate::error::Result;
use crate::ids::RoomId;
use crate::state::App;
use crate::store::RoomLimits;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::sleep;
use utoipa::ToSchema;

/// After the start: whoever has just lowered a limit by mistake can raise it again.
const FIRST: Duration = Duration::from_secs(30);
const PERIOD: Duration = Duration::from_secs(60);
/// Rooms that are looked up at once.
const ROOMS: u32 = 1000;
const DAY: Micros = 24 * 3_600_000_000;

/// Lets one sweep go at a time, and remembers between them where rooms begin: before that, everything is pinned.
#[derive(Debug, Default)]
pub struct Sweeps(Mutex<HashMap<i64, Mark>>);

/// Of a room, as it was when the log had come to `head`.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// No message before this number can go.
    oldest: i64,
    head: i64,
}

/// What a sweep deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Swept {
    /// Rooms that have a limit.
    rooms_checked: usize,
    pub total_pruned: u64,
    /// Each of these rooms.
    details: Vec<SweptRoom>,
}

/// What a sweep deleted in one room.
#[derive(Debug, Serialize, ToSchema)]
pub struct SweptRoom {
    room_id: RoomId,
    /// Because there were too many.
    pruned_by_count: u64,
    /// Because they were too old.
    pruned_by_age: u64,
    total: u64,
}

/// Goes on until the host ends.
pub async fn run(app: App) {
    let mut stopping = app.stopping.clone();
    tokio::select! {
        _ = stopping.wait_for(|stop| *stop) => {}
        () = sweep_for_ever(&app) => {}
    }
}

async fn sweep_for_ever(app: &App) {
    sleep(FIRST).await;
    loop {
        if let Err(error) = sweep(app).await {
            tracing::warn!("some rooms are beyond their limits for now: {error}");
        }
        if let Err(error) = trim_log(app).await {
            tracing::warn!("the log is longer than it should be for now: {error}");
        }
        sleep(PERIOD).await;
    }
}

/// One at a time; who comes second waits.
pub async fn sweep(app: &App) -> Result<Swept> {
    let mut marks = app.sweeps.0.lock().await;
    let (mut kept, mut details, mut after) = (HashMap::new(), Vec::new(), 0);
    loop {
        let rooms = app.store.read(move |read| read.limited_rooms(after, ROOMS)).await?;
        let Some(last) = rooms.last() else { break };
        after = last.key;
        for room in rooms {
            let (swept, mark) = sweep_room(app, room, marks.get(&room.key).copied()).await?;
            kept.insert(room.key, mark);
            details.push(swept);
        }
    }
    *marks = kept;
    let total_pruned = details.iter().map(|room| room.total).sum();
    if total_pruned > 0 {
        tracing::info!(
            messages = total_pruned,
            rooms = details.len(),
            "messages beyond their rooms' limits were deleted"
        );
    }
    Ok(Swept { rooms_checked: details.len(), total_pruned, details })
}

async fn sweep_room(app: &App, room: RoomLimits, mark: Option<Mark>) -> Result<(SweptRoom, Mark)> {
    let now = clock::now();
    let (head, found) = app
        .store
        .read(move |read| {
            let head = read.head()?;
            let from = match mark {
                Some(mark) if !read.unpinned_since(room.key, mark.head)? => mark.oldest,
                _ => 0,
            };
            Ok((head, read.oldest_unpinned(room, from, now)?))
        })
        .await?;
    let mut swept = SweptRoom { room_id: room.id, pruned_by_count: 0, pruned_by_age: 0, total: 0 };
    let Some((mut oldest, is_beyond)) = found else { return Ok((swept, Mark { oldest: head + 1, head })) };
    let mut next = is_beyond.then_some(oldest);
    while let Some(from) = next {
        let begun = Instant::now();
        let pruned = app.store.write_patiently(move |tx| tx.prune(room, from, now)).await?;
        swept.pruned_by_count += pruned.by_count;
        swept.pruned_by_age += pruned.by_age;
        (oldest, next) = (from, pruned.next);
        pause_after(begun).await;
    }
    swept.total = swept.pruned_by_count + swept.pruned_by_age;
    Ok((swept, Mark { oldest, head }))
}

/// Removes events older than `[store] log_days`; 0 keeps all.
async fn trim_log(app: &App) -> Result<()> {
    let days = Micros::from(app.config().store.log_days);
    if days == 0 {
        return Ok(());
    }
    let now = clock::now();
    app.store.write_patiently(move |tx| tx.mark_log(now)).await?;
    let mut more = true;
    while more {
        let begun = Instant::now();
        more = app.store.write_patiently(move |tx| tx.trim_log(now - days * DAY)).await?;
        pause_after(begun).await;
    }
    Ok(())
}
