//! Turns that run: where the pieces of their answers go, that an agent is typing, and their end by an operator's word. Kept in memory
//! alone; what is to last is in the job.

use crate::live::bus::Bus;
use crate::store::{Claimed, Seat};
use plugin_api::types::Work;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A room's readers are told again after this long that somebody still types; they forget it after some more.
const TYPING: Duration = Duration::from_secs(3);

/// See the module's text.
pub(super) struct Turns {
    bus: Arc<Bus>,
    /// By their job's id. At most as many as there are slots.
    running: Mutex<HashMap<String, Running>>,
    begun: Notify,
}

struct Running {
    instance: String,
    claim: i64,
    room_id: String,
    seat: Seat,
    /// Numbers of the messages that it answers.
    causes: Vec<i64>,
    cancel: oneshot::Sender<()>,
}

/// A turn that a worker has.
pub(super) struct Open<'a> {
    turns: &'a Turns,
    claimed: &'a Claimed,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.turns.close(self.claimed);
    }
}

/// Becomes ready when the turn is cancelled; never for other jobs.
pub(super) struct Cancellation(Option<oneshot::Receiver<()>>);

impl Cancellation {
    pub(super) async fn told(self) {
        if let Some(receiver) = self.0
            && receiver.await.is_ok()
        {
            return;
        }
        // The sender also goes where another worker has the job: that one is to be cancelled.
        std::future::pending().await
    }
}

impl Turns {
    pub(super) fn new(bus: Arc<Bus>) -> Self {
        Self { bus, running: Mutex::default(), begun: Notify::new() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn begins, if the job is one: its room sees that the agent types.
    pub(super) fn open(&self, claimed: &Claimed) -> Cancellation {
        let (Work::AgentTurn(turn), Some(seat)) = (&claimed.job.work, &claimed.seat) else { return Cancellation(None) };
        let (cancel, cancelled) = oneshot::channel();
        let causes = if turn.causes.is_empty() { vec![turn.message.seq] } else { turn.causes.clone() };
        let running = Running {
            instance: claimed.instance.clone(),
            claim: claimed.number,
            room_id: turn.room_id.clone(),
            seat: seat.clone(),
            causes,
            cancel,
        };
        running.types(&self.bus);
        self.running().insert(claimed.job.id.clone(), running);
        self.begun.notify_one();
        Cancellation(Some(cancelled))
    }

    /// Closes the turn with the guard, however its worker ends.
    pub(super) fn until_dropped<'a>(&'a self, claimed: &'a Claimed) -> Open<'a> {
        Open { turns: self, claimed }
    }

    /// Nothing of it is shown from here on. A worker that lost its claim closes nothing: another one has the job.
    fn close(&self, claimed: &Claimed) {
        let mut running = self.running();
        if running.get(&claimed.job.id).is_some_and(|turn| turn.claim == claimed.number) {
            running.remove(&claimed.job.id);
        }
    }

    pub(super) fn cancel(&self, job_id: &str, claim: i64) {
        let mut running = self.running();
        if running.get(job_id).is_some_and(|turn| turn.claim == claim)
            && let Some(turn) = running.remove(job_id)
        {
            // Its worker may have ended in this moment.
            let _ = turn.cancel.send(());
        }
    }

    pub(super) fn stream(&self, instance: &str, job_id: &str, delta: &str) {
        let running = self.running();
        if let Some(turn) = running.get(job_id).filter(|turn| turn.instance == instance) {
            let json = json!({ "job_id": job_id, "delta": delta }).to_string();
            self.bus.publish_ephemeral(turn.seat.room, "stream", &json);
        }
    }

    /// Messages of this room that the instance is just answering.
    pub(super) fn causes(&self, instance: &str, room_id: &str) -> Vec<i64> {
        let running = self.running();
        let here = running.values().filter(|turn| turn.instance == instance && turn.room_id == room_id);
        here.flat_map(|turn| turn.causes.iter().copied()).collect()
    }

    /// One clock for all turns; it stands still while there are none.
    pub(super) async fn keep_typing(&self) {
        loop {
            if self.running().is_empty() {
                self.begun.notified().await;
            }
            tokio::time::sleep(TYPING).await;
            // Told under the lock, so that nothing is told of a turn that has just ended.
            self.running().values().for_each(|turn| turn.types(&self.bus));
        }
    }
}

impl Running {
    fn types(&self, bus: &Bus) {
        let event = json!({ "sender": self.seat.speaker, "room_id": self.room_id }).to_string();
        bus.publish_ephemeral(self.seat.room, "typing", &event);
    }
}
