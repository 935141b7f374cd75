//! The handle through which a plugin talks to its host. Behind it is either the boundary or [`crate::testing::FakeHost`].

use crate::raw::Op;
use crate::types::{ops, *};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What stands behind a [`Host`].
pub(crate) trait Backend: Send + Sync + 'static {
    fn call(&self, op: Op, arguments: Vec<u8>) -> BoxFuture<Result<Vec<u8>>>;
    fn pause(&self, wait: Duration, why: &str);
    fn health(&self, degraded: bool, text: &str);
    fn spawn(&self, name: String, task: BoxFuture<Result<()>>);
}

/// The host, as an instance sees it. Cheap to clone.
///
/// Every write resolves after the host's commit: when `ingest` answers, the messages survive a power cut. An error means that nothing of
/// the call was written (or that the host is ending); it is safe to try again.
#[derive(Clone)]
pub struct Host {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) instance: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Host {
    /// Name of this instance in the host's config.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Version of the host.
    pub fn version(&self) -> &str {
        &self.version
    }

    async fn call<A: Serialize, R: DeserializeOwned>(&self, op: Op, arguments: &A) -> Result<R> {
        let answer = self.backend.call(op, serde_json::to_vec(arguments)?).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Stores a page of incoming messages, and `puts` with it, in one transaction. Answers one result per item, in their order.
    ///
    /// Each new message makes its sender's user and profile, its conversation's room, and the job of the agent that the host's routes
    /// name. The same `external_id` again changes nothing, whatever happened in between.
    pub async fn ingest(&self, batch: Batch) -> Result<Vec<Ingested>> {
        self.call(Op::Ingest, &batch).await
    }

    /// Shows a piece of an answer to whoever watches the room. Live only: it is not stored, and dropped once the job is settled.
    pub async fn stream(&self, job: &Job, delta: &str) -> Result<()> {
        self.call(Op::Stream, &ops::Stream { job_id: job.id.clone(), delta: delta.into() }).await
    }

    /// The conversation before the message numbered `before`, without it: oldest first, each message followed by its answers, at most
    /// `limit` (1 to 500) in all, the newest ones.
    pub async fn history(&self, room_id: &str, before: i64, limit: u32) -> Result<Vec<Message>> {
        self.call(Op::History, &ops::History { room_id: room_id.into(), before, limit }).await
    }

    /// Durable events after the one numbered `seq`, in order. Fewer than the limit: there are no more yet.
    pub async fn events_after(&self, seq: i64, filter: EventFilter) -> Result<Vec<Event>> {
        self.call(Op::EventsAfter, &ops::EventsAfter { seq, filter }).await
    }

    /// Puts a task for this very instance into the host's queue; answers its job id. It comes to `handle` as [`Work::Task`].
    pub async fn enqueue(&self, task: Task) -> Result<String> {
        self.call(Op::Enqueue, &task).await
    }

    /// A value that this instance stored, if any.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.call(Op::KvGet, &ops::Kv { key: key.into(), value: Value::Null }).await
    }

    /// Stores a small durable value (a cursor, a baseline). Keys 1 to 255 bytes, values at most 64 KiB as JSON. It outlives restarts and
    /// belongs to the instance's name.
    pub async fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<()> {
        self.call(Op::KvPut, &ops::Kv { key: key.into(), value: serde_json::to_value(value)? }).await
    }

    /// Forgets a value; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.call(Op::KvDelete, &ops::Kv { key: key.into(), value: Value::Null }).await
    }

    /// The person behind a platform's user id, with all their profiles.
    pub async fn identity(&self, platform: &str, platform_user_id: &str) -> Result<Option<Identity>> {
        let arguments = ops::Identity { platform: platform.into(), platform_user_id: platform_user_id.into() };
        self.call(Op::Identity, &arguments).await
    }

    /// Runs a supervised task: if it ends in an error or panics, the instance has failed and is restarted. It is dropped when the
    /// instance stops; watch [`Host::stopping`] to end in good order.
    pub fn spawn(&self, name: &str, task: impl Future<Output = Result<()>> + Send + 'static) {
        self.backend.spawn(name.into(), Box::pin(task));
    }

    /// Resolves when the instance is to stop.
    pub async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the instance is gone, which is the end as well.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// Sleeps, but not beyond the end: false when the instance is to stop.
    pub async fn sleep(&self, wait: Duration) -> bool {
        tokio::select! {
            () = self.stopping() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }

    /// No new jobs for a while (the other side asked for rest); zero goes on at once.
    pub fn pause(&self, wait: Duration, why: &str) {
        self.backend.pause(wait, why);
    }

    /// All is well again, with a word for `plugins show` (`last poll took 3 messages`).
    pub fn healthy(&self, text: &str) {
        self.backend.health(false, text);
    }

    /// Running, but not as it should: what is wrong and what would put it right.
    pub fn degraded(&self, text: &str) {
        self.backend.health(true, text);
    }
}

/// Turns a status of the boundary into a result.
pub(crate) fn answer(status: u32, bytes: &[u8]) -> Result<Vec<u8>> {
    match status {
        crate::raw::OK => Ok(bytes.to_vec()),
        _ => Err(Error::new(String::from_utf8_lossy(bytes))),
    }
}
