//! The agent's desk: whose memory block lies on it. One block at a time is attached, those who need the same one may sit together, and
//! whoever needs another waits in line. What is on the desk is written down before it is put there, so that after a crash the next turn
//! takes it off before it puts on another's: nobody's memory is shown to somebody else.

use super::people::store_failed;
use super::server::Server;
use crate::failure::Failure;
use plugin_api::Host;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as Turnstile, OwnedMutexGuard};
use tokio::time::{Instant, timeout, timeout_at};

/// Where it is written what lies on the desk.
const KEY: &str = "letta.attached";
/// How long an answer waits for the block to be off the desk; the next turn waits longer.
const FAREWELL: Duration = Duration::from_secs(3);
/// Waits between attempts to take a block off.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Desks by server and agent: several instances may ask one agent.
static PLACES: LazyLock<Mutex<HashMap<String, Weak<Place>>>> = LazyLock::new(Mutex::default);

/// One agent's desk, whoever asks there.
#[derive(Default)]
struct Place {
    /// The line, and who sat down last.
    line: Turnstile<Weak<Seat>>,
    occupied: Arc<Turnstile<()>>,
}

pub(crate) struct Desk {
    host: Host,
    server: Arc<Server>,
    place: Arc<Place>,
}

#[derive(Serialize, Deserialize)]
struct Attached {
    server: String,
    block: String,
}

/// The block is on the desk, or about to be. With the last who sit there it is taken off, also when they are cut off in the middle.
struct Seat {
    desk: Arc<Desk>,
    block: String,
    job_id: String,
    permit: Option<OwnedMutexGuard<()>>,
}

/// One turn at the desk.
pub(crate) struct Sitting(Arc<Seat>);

impl Desk {
    pub(crate) fn new(host: Host, server: Arc<Server>) -> Self {
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| place.strong_count() > 0);
        let name = server.name();
        let place = places.get(&name).and_then(Weak::upgrade).unwrap_or_default();
        places.insert(name, Arc::downgrade(&place));
        Self { host, server, place }
    }

    /// Waits in line, no longer than `patience`, and attaches the block.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        block: &str,
        job_id: &str,
        patience: Duration,
    ) -> Result<Sitting, Failure> {
        let until = Instant::now() + patience;
        let busy = |_| Failure::Busy { why: "the agent is in other people's turns; this one waits".into() };
        let mut last = timeout_at(until, self.place.line.lock()).await.map_err(busy)?;
        if let Some(seat) = last.upgrade().filter(|seat| seat.block == block) {
            return Ok(Sitting(seat));
        }
        let permit = timeout_at(until, self.place.occupied.clone().lock_owned()).await.map_err(busy)?;
        self.clear(block, job_id).await?;
        let attached = Attached { server: self.server.name(), block: block.into() };
        self.host.put(KEY, &attached).await.map_err(|error| store_failed(&error))?;
        let seat = Seat { desk: self.clone(), block: block.into(), job_id: job_id.into(), permit: Some(permit) };
        let sitting = Sitting(Arc::new(seat));
        if let Err(failure) = self.server.attach(block, job_id).await {
            sitting.leave().await;
            return Err(failure);
        }
        *last = Arc::downgrade(&sitting.0);
        Ok(sitting)
    }

    /// Takes off what an attempt that was cut off has left there, unless somebody sits there now.
    pub(crate) async fn tidy(&self, job_id: &str) {
        let Ok(_line) = self.place.line.try_lock() else { return };
        let Ok(_permit) = self.place.occupied.try_lock() else { return };
        if self.clear("", job_id).await.is_ok() {
            let _ = self.host.delete(KEY).await;
        }
    }

    /// Waits a moment for what is being taken off.
    pub(crate) async fn is_free(&self) {
        let _ = timeout(FAREWELL, self.place.occupied.lock()).await;
    }

    /// Takes off what a crash, or a server that was away, has left there.
    async fn clear(&self, block: &str, job_id: &str) -> Result<(), Failure> {
        let left: Option<Attached> = self.host.get(KEY).await.map_err(|error| store_failed(&error))?;
        match left {
            Some(left) if left.server == self.server.name() && left.block != block => {
                self.server.detach(&left.block, job_id).await
            }
            _ => Ok(()),
        }
    }

    async fn detach(&self, block: &str, job_id: &str) {
        let mut waits = AGAIN.iter();
        loop {
            let Err(failure) = self.server.detach(block, job_id).await else { break };
            let Some(wait) = waits.next() else {
                let kind = failure.kind();
                tracing::warn!(failure.kind = kind, http.status = failure.status(), "a memory block is still attached");
                return;
            };
            tokio::time::sleep(*wait).await;
        }
        // What stays written is taken off once more, which does no harm.
        let _ = self.host.delete(KEY).await;
    }
}

impl Sitting {
    /// Takes the block off if nobody else sits here.
    pub(crate) async fn leave(self) {
        let Some(mut seat) = Arc::into_inner(self.0) else { return };
        if let Some(leaving) = seat.leave() {
            // The block is taken off all the same, and the next turn waits for it.
            let _ = timeout(FAREWELL, leaving).await;
        }
    }
}

impl Seat {
    /// A task of its own, which nobody can cut off.
    fn leave(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        let permit = self.permit.take()?;
        let (desk, block, job_id) =
            (self.desk.clone(), std::mem::take(&mut self.block), std::mem::take(&mut self.job_id));
        // Without a runtime the instance is gone already; what lies there is written down.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            desk.detach(&block, &job_id).await;
            drop(permit);
        }))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.leave());
    }
}
