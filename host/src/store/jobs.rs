//! Jobs as rows: how they are put into the queue and handed to a worker. Claiming and settling are in
//! `queue.rs`.

use super::messages::Posted;
use super::{Tx, sql_error, turns, webhook_deliveries};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::ids::{ConversationId, JobId};
use plugin_api::types::{Job, Priority, Work};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;
use std::time::Duration;

/// A job's state, as the store and the command line spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Pending,
    Processing,
    Completed,
    Failed,
    Flushed,
}

impl State {
    pub const ALL: [Self; 5] = [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Flushed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Flushed => "flushed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A job to be inserted.
pub(super) struct NewJob<'a> {
    pub kind: &'static str,
    pub instance: &'a str,
    pub lane: &'a str,
    pub cause: Option<i64>,
    pub payload: &'a str,
    /// Not before this long from now.
    pub after: Micros,
    pub priority: Priority,
}

/// A worker's right to settle a job.
#[derive(Debug, Clone)]
pub struct Claim {
    pub key: i64,
    pub number: i64,
    pub id: JobId,
    pub attempt: u32,
    pub rescues: u32,
    pub uncertain: bool,
    pub timeout: Duration,
    /// Nobody was given it before, or not since an operator tried it again.
    pub is_first: bool,
}

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub key: i64,
    pub number: i64,
    pub instance: String,
    pub timeout: Duration,
    pub job: Job,
    /// Of a turn.
    pub seat: Option<Seat>,
}

/// Where a turn is taken.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Number of the room inside the store.
    pub room: i64,
    /// The name that its answer is said under.
    pub speaker: String,
}

impl Claimed {
    pub(super) fn new(instance: &str, claim: Claim, work: Work) -> Self {
        let job = Job {
            id: claim.id.to_string(),
            attempt: claim.attempt,
            rescues: claim.rescues,
            uncertain: claim.uncertain,
            timeout_ms: claim.timeout.as_millis() as u64,
            work,
        };
        Self {
            key: claim.key,
            number: claim.number,
            instance: instance.into(),
            timeout: claim.timeout,
            job,
            seat: None,
        }
    }
}

impl Tx<'_> {
    /// Inserts a job behind those of its lane. If the lane is empty and the instance has a free slot, it is born processing: the caller
    /// hands the claim on.
    pub(super) fn insert_job(&mut self, job: &NewJob<'_>) -> Result<(JobId, Option<Claim>)> {
        let NewJob { kind, instance, lane, cause, payload, after, priority } = *job;
        let now = clock::now();
        let (runnable, paused) = self.place_in(instance, lane)?;
        let starts = runnable && !paused && after <= 0 && self.take_slot(instance);
        let id = JobId::new();
        let (max_attempts, timeout) = self.limits_of(instance);
        let state = if starts { State::Processing } else { State::Pending };
        let lease = starts.then(|| lease_until(now, timeout));
        self.execute(
            "insert into queue (id, cause, kind, instance, lane, state, runnable, max_attempts, next_at, lease_until, claim, payload,
                                created_at, started_at, priority)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                id.bytes(),
                cause,
                kind,
                instance,
                lane,
                state.name(),
                runnable,
                max_attempts,
                now.saturating_add(after.max(0)),
                lease,
                i64::from(starts),
                payload,
                now,
                starts.then_some(now),
                priority.rank()
            ],
        )?;
        self.count(instance, state.name(), 1);
        if runnable && !starts {
            self.effects.woken.push(instance.into());
        }
        let key = self.connection.last_insert_rowid();
        let claim = Claim { key, number: 1, id, attempt: 1, rescues: 0, uncertain: false, timeout, is_first: true };
        Ok((id, starts.then_some(claim)))
    }

    /// Whether a job would be its lane's head, which may not be while the lane is paused; and whether the instance is paused.
    fn place_in(&self, instance: &str, lane: &str) -> Result<(bool, bool)> {
        let sql = "select not exists (select 1 from queue where instance = ?1 and lane = ?2 and state in ('pending', 'processing'))
                          and not exists (select 1 from queue_pauses where instance = ?1 and lane = ?2),
                          exists (select 1 from queue_pauses where instance = ?1 and lane = '')";
        let mut statement = self.prepare(sql)?;
        statement.query_row(params![instance, lane], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql_error)
    }

    /// Attempts and time that a job of this instance gets.
    pub(super) fn limits_of(&self, instance: &str) -> (u32, Duration) {
        let slots = self.shared.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let timeout = slots.policy(instance).map_or(Duration::from_secs(60), |policy| policy.job_timeout);
        (slots.max_attempts(instance), timeout)
    }

    /// A plugin's own task.
    pub fn enqueue_task(
        &mut self,
        instance: &str,
        lane: &str,
        payload: &Value,
        after: Duration,
        priority: Priority,
    ) -> Result<JobId> {
        let payload = payload.to_string();
        let after = clock::micros(after);
        let job = NewJob { kind: "task", instance, lane, cause: None, payload: &payload, after, priority };
        let (id, claim) = self.insert_job(&job)?;
        if let Some(claim) = claim {
            self.hand(instance, claim, "task", None, &payload)?;
        }
        Ok(id)
    }

    /// A row that could not be read, kept as a dead letter that can be tried again. `lane` says who reads it then.
    pub fn keep_malformed(
        &mut self,
        instance: &str,
        external_id: &str,
        lane: &str,
        raw: &str,
        why: &str,
    ) -> Result<bool> {
        if !self.first_time(instance, external_id)? {
            return Ok(false);
        }
        let (id, now) = (JobId::new(), clock::now());
        self.execute(
            "insert into queue (id, kind, instance, lane, state, runnable, attempts, max_attempts, next_at, payload, last_error,
                                created_at, finished_at)
             values (?1, 'ingest', ?2, ?3, 'failed', 0, 1, 1, ?4, ?5, ?6, ?4, ?4)",
            params![id.bytes(), instance, format!("{lane}:{id}"), now, raw, why],
        )?;
        self.count(instance, State::Failed.name(), 1);
        Ok(true)
    }

    /// What was said in a bridged room goes to its platform. A visitor of the native API fetches it: that needs no job.
    pub(super) fn deliver(&mut self, room: i64, posted: &Posted) -> Result<()> {
        let sql = "select id, instance, key from conversations where room = ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            Ok((ConversationId::from_bytes(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        };
        let found = statement.query_row([room], row).optional().map_err(sql_error)?;
        let Some((conversation, instance, key)) = found else { return Ok(()) };
        self.execute("update conversations set response_count = response_count + 1 where room = ?1", [room])?;
        if instance == "bridge" {
            self.execute("insert into bridge_responses (seq, conversation) values (?1, ?2)", [posted.seq, key])?;
            return Ok(());
        }
        let (lane, cause) = (conversation.to_string(), Some(posted.seq));
        let job = NewJob {
            kind: "deliver",
            instance: &instance,
            lane: &lane,
            cause,
            payload: "{}",
            after: 0,
            priority: Priority::Normal,
        };
        if let (_, Some(claim)) = self.insert_job(&job)? {
            self.hand(&instance, claim, "deliver", cause, "{}")?;
        }
        Ok(())
    }

    /// Gives a claimed job to a worker after the commit. False: what it is about is gone, and so the job has failed.
    pub(super) fn hand(
        &mut self,
        instance: &str,
        claim: Claim,
        kind: &str,
        cause: Option<i64>,
        payload: &str,
    ) -> Result<bool> {
        if kind == turns::KIND {
            return self.hand_turn(instance, claim, cause, payload);
        }
        if let Some(work) = self.read().work(kind, cause, payload)? {
            self.effects.handed.push(Claimed::new(instance, claim, work));
            return Ok(true);
        }
        if kind == webhook_deliveries::KIND {
            self.flush_claimed(&claim, payload)?;
            return Ok(false);
        }
        self.give_up(&claim, State::Failed, "the message was deleted before it was its turn")?;
        Ok(false)
    }
}

pub(super) fn lease_until(now: Micros, timeout: Duration) -> Micros {
    now.saturating_add(clock::micros(timeout * 2))
}
