//! The queue's workers: they take what the store hands over, give it to the plugin, and write how it ended. What waits for a time or a
//! slot is claimed when its bell rings; nothing polls.

mod drain;
pub mod retention;
mod settle;
mod turns;

use crate::bridge::ingest;
use crate::clock;
use crate::config::Live;
use crate::error::Result;
use crate::ids::JobId;
use crate::metrics::Attempts;
use crate::plugins::{HandleError, Manager, Observer};
use crate::store::slots::{Policy, Retries};
use crate::store::{Actor, Claimed, Handed, Store, Word};
use async_trait::async_trait;
use plugin_api::Limits;
use plugin_api::types::{Outcome, Work};
use settle::settle;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tracing::Instrument;
use turns::{Cancellation, Turns};

/// Looks again after this long even if no bell rang: a net below the wake-ups, not the way work is found.
const NET: Duration = Duration::from_secs(30);
/// Jobs claimed by one write; the rest follows with the next.
const CLAIMS: usize = 64;

/// See the module's text.
pub struct Queue {
    store: Store,
    manager: OnceLock<Weak<Manager>>,
    live: OnceLock<Arc<Live>>,
    /// Instances that have a task handing out their jobs.
    watched: Mutex<HashSet<String>>,
    turns: Turns,
    /// Outcomes that wait for the disk.
    unwritten: AtomicUsize,
    /// Rung when a job has ended, for whoever waits for the last one.
    ended: Notify,
    /// How attempts ended so far, for the metrics.
    pub attempts: Attempts,
}

impl Queue {
    /// Returns what the last host left running to the queue.
    pub async fn new(store: Store, retries: Retries) -> Result<Arc<Self>> {
        store.with_slots(|slots| slots.retries = retries);
        let rescued = store.write_patiently(|tx| tx.rescue_all()).await?;
        if rescued > 0 {
            tracing::info!(queue.rescued = rescued, "jobs that ran when the last host ended are waiting again");
        }
        let turns = Turns::new(store.bus().clone());
        Ok(Arc::new(Self {
            store,
            manager: OnceLock::new(),
            live: OnceLock::new(),
            watched: Mutex::default(),
            turns,
            unwritten: AtomicUsize::new(0),
            ended: Notify::new(),
            attempts: Attempts::default(),
        }))
    }

    /// From now on waits between attempts go by these.
    pub fn set_retries(&self, retries: Retries) {
        self.store.with_slots(|slots| slots.retries = retries);
    }

    /// Starts to work through `manager`.
    pub fn start(self: &Arc<Self>, manager: &Arc<Manager>, live: &Arc<Live>, mut handed: Handed) {
        let _ = self.manager.set(Arc::downgrade(manager));
        let _ = self.live.set(live.clone());
        let queue = self.clone();
        tokio::spawn(async move { queue.turns.keep_typing().await });
        let queue = self.clone();
        tokio::spawn(async move {
            while let Some(word) = handed.word().await {
                match word {
                    Word::Begin(claimed) => queue.begin(*claimed),
                    Word::End(turn) => queue.turns.cancel(&turn.job.to_string(), turn.claim),
                }
            }
        });
    }

    fn begin(self: &Arc<Self>, claimed: Claimed) {
        let span = tracing::info_span!("job", job.id = claimed.job.id, plugin.name = claimed.instance);
        // Before its worker is scheduled, so that an end that follows finds it.
        let cancelled = self.turns.open(&claimed);
        let queue = self.clone();
        let work = async move {
            queue.clone().work(claimed, cancelled).await;
            queue.ended.notify_waiters();
        };
        tokio::spawn(work.instrument(span));
    }

    async fn work(self: Arc<Self>, claimed: Claimed, cancelled: Cancellation) {
        let begun = std::time::Instant::now();
        let Some(manager) = self.manager.get().and_then(Weak::upgrade) else { return };
        let open = self.turns.until_dropped(&claimed);
        let handled = match self.read_again(&claimed).await {
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Ok(Outcome::retry(format!("the store could not be read: {error}"))),
            Ok(None) => tokio::select! {
                handled = manager.handle(&claimed.instance, &claimed.job, claimed.timeout) => handled,
                // Its end is written already; with the future goes the plugin's work.
                () = cancelled.told() => return self.count(&claimed, &Outcome::discard(""), begun.elapsed()),
            },
        };
        drop(open);
        let outcome = match outcome_of(handled, claimed.timeout) {
            Ok(outcome) => outcome,
            Err(begun) => return self.give_back(&claimed, begun).await,
        };
        self.count(&claimed, &outcome, begun.elapsed());
        settle(&self.store, &claimed, outcome, &self.unwritten).await;
    }

    /// What the host itself refused when it came is read again by the host; None: the job is the plugin's.
    async fn read_again(&self, claimed: &Claimed) -> Result<Option<Outcome>> {
        let (Work::Ingest { raw }, Some(live)) = (&claimed.job.work, self.live.get()) else { return Ok(None) };
        let key = claimed.key;
        let lane = self.store.read(move |read| read.lane_of(key)).await?;
        if !lane.is_some_and(|lane| ingest::is_hosts(&lane)) {
            return Ok(None);
        }
        Ok(Some(ingest::again(&self.store, &live.now(), &claimed.instance, raw).await))
    }

    /// The instance left: the job waits for the next one. Often `left` has taken it back already.
    async fn give_back(&self, claimed: &Claimed, begun: bool) {
        let (key, number) = (claimed.key, claimed.number);
        let given = self
            .store
            .write_patiently(move |tx| if begun { tx.take_back(key, number) } else { tx.release(key, number) })
            .await;
        if let Err(error) = given {
            tracing::warn!("a job keeps its claim until the lease ends: {error}");
        }
    }

    /// Shows a piece of an answer to the room. After the job's outcome nothing is shown any more: the whole answer is there.
    pub fn stream(&self, instance: &str, job_id: &str, delta: &str) {
        self.turns.stream(instance, job_id, delta);
    }

    /// Messages of a room that the instance is just answering: they are no history yet.
    pub fn causes(&self, instance: &str, room_id: &str) -> Vec<i64> {
        self.turns.causes(instance, room_id)
    }

    /// Ends a turn that runs, by an operator's word.
    pub async fn cancel(&self, job: JobId, actor: &Actor) -> Result<()> {
        let actor = actor.clone();
        let instance = self.store.write_patiently(move |tx| tx.cancel_turn(job, &actor)).await?;
        tracing::info!(job.id = %job, plugin.name = instance, "the turn was cancelled by an operator");
        Ok(())
    }

    fn count(&self, claimed: &Claimed, outcome: &Outcome, time: Duration) {
        let name = match outcome {
            Outcome::Done { .. } => "done",
            Outcome::Retry { .. } => "retry",
            Outcome::Discard { .. } => "discard",
            Outcome::Snooze { .. } => "snooze",
        };
        self.attempts.ended(&claimed.instance, name);
        if matches!(claimed.job.work, Work::AgentTurn(_)) {
            self.attempts.turn(&claimed.instance, time);
        }
    }

    /// Hands out what waited for a time, a slot, or the instance itself; takes back what outlived its lease.
    async fn watch(self: Arc<Self>, instance: String) {
        let bell = self.store.bus().queue(&instance);
        loop {
            let wait = match self.look(&instance).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(
                        plugin.name = instance,
                        "the queue could not be read, next try in a second: {error}"
                    );
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Claims what is due; answers how long nothing will be.
    async fn look(&self, instance: &str) -> Result<Duration> {
        loop {
            let name = instance.to_owned();
            let (due, lease) = self.store.read(move |read| read.queue_times(&name)).await?;
            let now = clock::now();
            let name = instance.to_owned();
            let expired = lease.is_some_and(|end| end < now);
            if expired && self.unwritten.load(Ordering::Relaxed) > 0 {
                // The disk was away: what has ended meanwhile is written first, and not done again.
                return Ok(Duration::from_secs(1));
            }
            if expired {
                let rescued = self.store.write_patiently(move |tx| tx.rescue(&name, Some(clock::now()))).await?;
                tracing::warn!(
                    plugin.name = instance,
                    queue.rescued = rescued,
                    "jobs outlived their lease and wait again"
                );
                continue;
            }
            let (free, paused) = self.store.with_slots(|slots| (slots.free(instance), slots.paused_until(instance)));
            if free > 0 && due.is_some_and(|at| at <= now) {
                self.store.write_patiently(move |tx| tx.claim_due(&name, CLAIMS)).await?;
                continue;
            }
            // What is due already is claimed by the settlement that frees a slot; what is not yet due has only this timer.
            let next = if free > 0 { due } else { paused.or(due.filter(|at| *at > now)) };
            let times = [next, lease].into_iter().flatten();
            return Ok(times.map(clock::until).min().unwrap_or(NET).clamp(Duration::from_millis(1), NET));
        }
    }
}

/// Err: the instance was gone; whether it had begun.
fn outcome_of(handled: Result<Outcome, HandleError>, timeout: Duration) -> Result<Outcome, bool> {
    let failed = |why: String| Ok(Outcome::retry(why).uncertain());
    match handled {
        Ok(outcome) => Ok(outcome),
        Err(HandleError::NotRunning) => Err(false),
        Err(HandleError::Cancelled) => Err(true),
        Err(HandleError::Panicked(text)) => failed(format!("the plugin {text}")),
        Err(HandleError::TimedOut) => failed(format!("no outcome within {} s", timeout.as_secs_f64())),
        Err(HandleError::Broken(text)) => failed(format!("the plugin's outcome cannot be read: {text}")),
    }
}

/// The manager tells when instances come and go.
pub struct Watcher(pub Arc<Queue>);

#[async_trait]
impl Observer for Watcher {
    fn running(&self, instance: &str, limits: &Limits) {
        let Self(queue) = self;
        let policy = Policy {
            concurrency: limits.concurrency.max(1) as usize,
            job_timeout: Duration::from_millis(limits.job_timeout_ms.max(1)),
            max_attempts: limits.max_attempts,
            schedule: limits.schedule.as_ref().map(|waits| waits.iter().copied().map(Duration::from_millis).collect()),
        };
        queue.store.with_slots(|slots| slots.open(instance, policy));
        let new = queue.watched.lock().unwrap_or_else(PoisonError::into_inner).insert(instance.into());
        if new {
            tokio::spawn(queue.clone().watch(instance.into()));
        }
        queue.store.bus().wake_queue(instance);
    }

    fn leaving(&self, instance: &str) {
        let Self(queue) = self;
        queue.store.with_slots(|slots| slots.close(instance));
    }

    async fn left(&self, instance: &str) {
        let Self(queue) = self;
        queue.store.with_slots(|slots| slots.close(instance));
        let name = instance.to_owned();
        match queue.store.write_patiently(move |tx| tx.rescue(&name, None)).await {
            Ok(0) => {}
            Ok(rescued) => {
                tracing::info!(plugin.name = instance, queue.rescued = rescued, "its running jobs wait again")
            }
            Err(error) => tracing::warn!(
                plugin.name = instance,
                "its running jobs keep their claims until the leases end: {error}"
            ),
        }
    }

    fn paused(&self, instance: &str, wait: Duration, why: &str) {
        let Self(queue) = self;
        let until = if wait.is_zero() { 0 } else { clock::now().saturating_add(clock::micros(wait)) };
        queue.store.with_slots(|slots| slots.pause(instance, until));
        if !wait.is_zero() {
            tracing::info!(plugin.name = instance, "takes no jobs for {wait:?}: {why}");
        }
        queue.store.bus().wake_queue(instance);
    }
}

#[cfg(test)]
mod tests;
