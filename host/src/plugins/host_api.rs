//! What plugins may ask: each operation's arguments checked, the store or the bridge called, the answer as JSON.

use super::HostApi;
use crate::bridge::ingest;
use crate::bridge::routes::{Audience, audience};
use crate::config::Live;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::store::{Store, Tx, UserRow};
use async_trait::async_trait;
use plugin_api::raw::Op;
use plugin_api::types::{Batch, Event, Identity, Ingested, Message, Task, User, ops};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Rows that one call may ask for.
const ROWS: u32 = 500;
/// Bytes of one delta; a stream of text has no larger pieces.
const DELTA_BYTES: usize = 64 * 1024;

/// See the module's text.
pub struct Api {
    pub store: Store,
    pub live: Arc<Live>,
    pub queue: Arc<Queue>,
    pub metrics: Arc<Metrics>,
}

#[async_trait]
impl HostApi for Api {
    async fn call(&self, instance: &str, op: Op, arguments: Vec<u8>) -> Result<Vec<u8>, String> {
        self.answer(instance, op, &arguments).await.map_err(|error| error.public_text())
    }
}

impl Api {
    async fn answer(&self, instance: &str, op: Op, arguments: &[u8]) -> Result<Vec<u8>> {
        match op {
            Op::Ingest => write(&self.ingest(instance, read(arguments)?).await?),
            Op::Stream => write(&self.stream(instance, &read(arguments)?)?),
            Op::History => write(&self.history(instance, read(arguments)?).await?),
            Op::EventsAfter => write(&self.events(read(arguments)?).await?),
            Op::Enqueue => write(&self.enqueue(instance, read(arguments)?).await?),
            Op::KvGet | Op::KvPut | Op::KvDelete => self.kv(instance, op, read(arguments)?).await,
            Op::Identity => write(&self.identity(read(arguments)?).await?),
        }
    }

    async fn ingest(&self, instance: &str, batch: Batch) -> Result<Vec<Ingested>> {
        let results = ingest::ingest(&self.store, self.live.now(), instance, batch).await?;
        let new = results.iter().filter(|result| matches!(result, Ingested::New { .. })).count();
        self.metrics.ingested(instance, new);
        Ok(results)
    }

    fn stream(&self, instance: &str, stream: &ops::Stream) -> Result<()> {
        if stream.delta.len() > DELTA_BYTES {
            return Err(Error::Invalid(format!("a delta has at most {DELTA_BYTES} bytes")));
        }
        self.queue.stream(instance, &stream.job_id, &stream.delta);
        Ok(())
    }

    /// Without what the instance is just answering, which is the question and not what came before; and without the words of those whom
    /// the route keeps from it.
    async fn history(&self, instance: &str, history: ops::History) -> Result<Vec<Box<RawValue>>> {
        let room = history.room_id.parse().map_err(|_| Error::NotFound("Room not found".into()))?;
        let causes = self.queue.causes(instance, &history.room_id);
        let config = self.live.now();
        let limit = history.limit.clamp(1, ROWS);
        let found = self.store.read(move |read| {
            let audience = read.origin(room)?.and_then(|origin| audience(&config, &origin));
            let most = if audience.is_some() { ROWS } else { limit.saturating_add(causes.len() as u32) };
            let mut rows = read.history(read.room_key(room)?, history.before, most)?;
            rows.retain(|json| is_history(json, &causes, audience.as_ref()));
            Ok(rows)
        });
        let mut rows = found.await?;
        rows.drain(..rows.len().saturating_sub(limit as usize));
        rows.into_iter().map(raw).collect()
    }

    async fn events(&self, asked: ops::EventsAfter) -> Result<Vec<Event>> {
        let limit = if asked.filter.limit == 0 { 100 } else { asked.filter.limit.min(ROWS) };
        let room = asked.filter.room_id.map(|room| room.parse().map_err(|_| Error::NotFound("Room not found".into())));
        let room = room.transpose()?;
        let rows = self.store.read(move |read| match room {
            Some(room) => read.room_events(read.room_key(room)?, asked.seq, limit),
            None => read.all_events(asked.seq, limit),
        });
        let shown = |row: crate::store::EventRow| {
            Ok(Event {
                seq: row.seq,
                room_id: row.room_id.map(|id| id.to_string()).unwrap_or_default(),
                event: row.kind.name().into(),
                data: serde_json::from_str(&row.json).map_err(|error| Error::Internal(format!("event: {error}")))?,
            })
        };
        rows.await?.into_iter().map(shown).collect()
    }

    async fn enqueue(&self, instance: &str, task: Task) -> Result<String> {
        if task.lane.is_empty() || task.lane.len() > 255 {
            return Err(Error::Invalid("a task's lane has 1 to 255 bytes".into()));
        }
        if task.payload.to_string().len() > 256 * 1024 {
            return Err(Error::Invalid("a task's payload has at most 256 KiB".into()));
        }
        let instance = instance.to_owned();
        // A plugin's lanes and its conversations' lanes must not meet.
        let (lane, after) = (format!("task:{}", task.lane), Duration::from_millis(task.after_ms));
        let put = move |tx: &mut Tx<'_>| tx.enqueue_task(&instance, &lane, &task.payload, after, task.priority);
        let id = self.store.write_patiently(put).await?;
        Ok(id.to_string())
    }

    async fn kv(&self, instance: &str, op: Op, kv: ops::Kv) -> Result<Vec<u8>> {
        ingest::check_kv(&kv.key, &kv.value)?;
        let instance = instance.to_owned();
        if op == Op::KvGet {
            let value = self.store.read(move |read| read.kv_get(&instance, &kv.key)).await?;
            return Ok(value.unwrap_or_else(|| "null".into()).into_bytes());
        }
        let value = (op == Op::KvPut && !kv.value.is_null()).then(|| kv.value.to_string());
        self.store.write_patiently(move |tx| tx.kv_put(&instance, &kv.key, value.as_deref())).await?;
        write(&())
    }

    async fn identity(&self, asked: ops::Identity) -> Result<Option<Identity>> {
        let found = self.store.read(move |read| read.user_of(&asked.platform, &asked.platform_user_id)).await?;
        Ok(found.map(identity))
    }
}

fn is_history(json: &str, causes: &[i64], audience: Option<&Audience>) -> bool {
    if causes.is_empty() && audience.is_none() {
        return true;
    }
    let message: Message = serde_json::from_str(json).unwrap_or_default();
    !causes.contains(&message.seq) && audience.is_none_or(|audience| audience.includes(&message))
}

fn identity(user: UserRow) -> Identity {
    let id = user.id.to_string();
    let profiles = user.profiles.into_iter().map(|profile| User {
        id: id.clone(),
        username: profile.username,
        display_name: profile.display_name,
        platform: profile.platform,
        platform_user_id: profile.platform_user_id,
    });
    Identity { profiles: profiles.collect(), name: user.name, id: id.clone() }
}

fn read<T: DeserializeOwned>(arguments: &[u8]) -> Result<T> {
    serde_json::from_slice(arguments).map_err(|error| Error::Invalid(format!("the operation's arguments: {error}")))
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(format!("the operation's answer: {error}")))
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|error| Error::Internal(format!("message: {error}")))
}
