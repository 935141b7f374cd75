//! Jobs as rows: how they are put into the queue, what a worker is handed, and how operators list them. Claiming and settling are in
//! `queue.rs`.

use super::messages::Posted;
use super::{Read, Tx, sql_error, webhook_deliveries};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::ids::{ConversationId, JobId, RoomId, UserId};
use plugin_api::types::{Delivery, InReplyTo, Job, Message, Mode, Turn, User, Work};
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
}

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub key: i64,
    pub number: i64,
    pub instance: String,
    pub timeout: Duration,
    pub job: Job,
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
        Self { key: claim.key, number: claim.number, instance: instance.into(), timeout: claim.timeout, job }
    }
}

/// A job as operators see it.
#[derive(Debug, Clone)]
pub struct JobRow {
    pub key: i64,
    pub id: JobId,
    pub kind: String,
    pub state: String,
    pub instance: String,
    pub lane: String,
    pub attempts: u32,
    pub rescues: u32,
    pub uncertain: bool,
    pub max_attempts: u32,
    pub next_at: Micros,
    pub last_error: Option<String>,
    pub created_at: Micros,
    pub started_at: Option<Micros>,
    pub finished_at: Option<Micros>,
    pub cause: Option<i64>,
    pub payload: String,
}

/// One try, as recorded.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    pub started_at: Micros,
    pub ended_at: Micros,
    pub outcome: String,
    pub error: Option<String>,
    pub status: Option<u16>,
}

/// Which jobs; all fields together.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub state: Option<State>,
    pub instance: Option<String>,
    pub kind: Option<String>,
}

const COLUMNS: &str =
    "select key, id, kind, state, instance, lane, attempts, rescues, uncertain, max_attempts, next_at, last_error,
            created_at, started_at, finished_at, cause, payload from queue";

/// Rows that one call may look at for a rare filter, before it answers a short page.
const VISITS: usize = 20_000;

impl Tx<'_> {
    /// Inserts a job behind those of its lane. If the lane is empty and the instance has a free slot, it is born processing: the caller
    /// hands the claim on.
    pub(super) fn insert_job(&mut self, job: &NewJob<'_>) -> Result<(JobId, Option<Claim>)> {
        let NewJob { kind, instance, lane, cause, payload, after } = *job;
        let now = clock::now();
        let busy = "select exists (select 1 from queue where instance = ?1 and lane = ?2 and state in ('pending', 'processing'))";
        let runnable = self.read().number(busy, params![instance, lane])? == 0;
        let starts = runnable && after <= 0 && self.take_slot(instance);
        let id = JobId::new();
        let (max_attempts, timeout) = self.limits_of(instance);
        let state = if starts { State::Processing } else { State::Pending };
        let lease = starts.then(|| lease_until(now, timeout));
        self.execute(
            "insert into queue (id, cause, kind, instance, lane, state, runnable, max_attempts, next_at, lease_until, claim, payload,
                                created_at, started_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
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
                starts.then_some(now)
            ],
        )?;
        self.count(instance, state.name(), 1);
        if runnable && !starts {
            self.effects.woken.push(instance.into());
        }
        let key = self.connection.last_insert_rowid();
        let claim = Claim { key, number: 1, id, attempt: 1, rescues: 0, uncertain: false, timeout };
        Ok((id, starts.then_some(claim)))
    }

    /// Attempts and time that a job of this instance gets.
    pub(super) fn limits_of(&self, instance: &str) -> (u32, Duration) {
        let slots = self.shared.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let timeout = slots.policy(instance).map_or(Duration::from_secs(60), |policy| policy.job_timeout);
        (slots.max_attempts(instance), timeout)
    }

    /// A plugin's own task.
    pub fn enqueue_task(&mut self, instance: &str, lane: &str, payload: &Value, after: Duration) -> Result<JobId> {
        let payload = payload.to_string();
        let after = clock::micros(after);
        let job = NewJob { kind: "task", instance, lane, cause: None, payload: &payload, after };
        let (id, claim) = self.insert_job(&job)?;
        if let Some(claim) = claim {
            self.hand(instance, claim, "task", None, &payload)?;
        }
        Ok(id)
    }

    /// A row that could not be read, kept as a dead letter that can be tried again.
    pub fn keep_malformed(&mut self, instance: &str, external_id: &str, raw: &str, why: &str) -> Result<bool> {
        if !self.first_time(instance, external_id)? {
            return Ok(false);
        }
        let (id, now) = (JobId::new(), clock::now());
        self.execute(
            "insert into queue (id, kind, instance, lane, state, runnable, attempts, max_attempts, next_at, payload, last_error,
                                created_at, finished_at)
             values (?1, 'ingest', ?2, ?3, 'failed', 0, 1, 1, ?4, ?5, ?6, ?4, ?4)",
            params![id.bytes(), instance, format!("ingest:{id}"), now, raw, why],
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
        let job = NewJob { kind: "deliver", instance: &instance, lane: &lane, cause, payload: "{}", after: 0 };
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

impl Read<'_> {
    /// What a job is about, with today's content of its message; None if that is gone.
    fn work(&self, kind: &str, cause: Option<i64>, payload: &str) -> Result<Option<Work>> {
        let json = || serde_json::from_str::<Value>(payload).unwrap_or_default();
        match (kind, cause) {
            ("agent_turn", Some(cause)) => self.turn(cause, &json()),
            ("deliver", Some(cause)) => self.delivery(cause),
            (webhook_deliveries::KIND, _) => {
                Ok(self.webhook_work(payload)?.map(|webhook| Work::Webhook(Box::new(webhook))))
            }
            ("ingest", _) => Ok(Some(Work::Ingest { raw: payload.into() })),
            _ => Ok(Some(Work::Task { payload: json() })),
        }
    }

    fn turn(&self, cause: i64, payload: &Value) -> Result<Option<Work>> {
        let sql = "select m.json, c.id, r.id, u.id, p.username, p.display_name, p.platform, p.platform_user_id
                   from messages m join conversations c on c.room = m.room join rooms r on r.key = m.room and r.type <> 'deleted'
                   join platform_profiles p on p.key = m.profile join users u on u.key = p.user where m.seq = ?1";
        let row = |row: &Row<'_>| {
            Ok(Turn {
                mode: if payload["mode"] == "echo" { Mode::Echo } else { Mode::Live },
                message: message(&row.get::<_, String>(0)?),
                conversation_id: ConversationId::from_bytes(row.get(1)?).to_string(),
                room_id: RoomId::from_bytes(row.get(2)?).to_string(),
                user: User {
                    id: UserId::from_bytes(row.get(3)?).to_string(),
                    username: row.get(4)?,
                    display_name: row.get(5)?,
                    platform: row.get(6)?,
                    platform_user_id: row.get(7)?,
                },
            })
        };
        let mut statement = self.prepare(sql)?;
        let turn = statement.query_row([cause], row).optional().map_err(sql_error)?;
        Ok(turn.map(|turn| Work::AgentTurn(Box::new(turn))))
    }

    fn delivery(&self, cause: i64) -> Result<Option<Work>> {
        let sql = "select m.json, c.id, c.external_id, r.id, q.json
                   from messages m join conversations c on c.room = m.room join rooms r on r.key = m.room and r.type <> 'deleted'
                   left join messages q on q.seq = m.reply_to and q.profile is not null where m.seq = ?1";
        let row = |row: &Row<'_>| {
            let asked: Option<String> = row.get(4)?;
            Ok(Delivery {
                message: message(&row.get::<_, String>(0)?),
                conversation_id: ConversationId::from_bytes(row.get(1)?).to_string(),
                external_id: row.get(2)?,
                room_id: RoomId::from_bytes(row.get(3)?).to_string(),
                in_reply_to: asked.map(|asked| in_reply_to(&asked)),
            })
        };
        let mut statement = self.prepare(sql)?;
        let delivery = statement.query_row([cause], row).optional().map_err(sql_error)?;
        Ok(delivery.map(|delivery| Work::Deliver(Box::new(delivery))))
    }

    /// Newest first, before the job numbered `before`; with the number to go on from if there may be more.
    pub fn jobs(&self, filter: &JobFilter, before: Option<i64>, limit: usize) -> Result<(Vec<JobRow>, Option<i64>)> {
        // Completed jobs are most of them, so these are found by going through all; the others have an index of their own, which
        // SQLite uses only if its condition is repeated.
        let indexed = filter.state.filter(|state| *state != State::Completed);
        let narrowed = if indexed.is_some() { "state = ?2 and state <> 'completed' and" } else { "?2 is null and" };
        let sql = format!("{COLUMNS} where {narrowed} key < ?1 order by key desc");
        let mut statement = self.prepare(&sql)?;
        let parameters = params![before.unwrap_or(i64::MAX), indexed.map(State::name)];
        let mut rows = statement.query(parameters).map_err(sql_error)?;
        let (mut jobs, mut visited, mut last) = (Vec::new(), 0, None);
        while let Some(row) = rows.next().map_err(sql_error)? {
            if jobs.len() == limit || visited == VISITS {
                return Ok((jobs, last));
            }
            let job = job_row(row).map_err(sql_error)?;
            (visited, last) = (visited + 1, Some(job.key));
            if filter.matches(&job) {
                jobs.push(job);
            }
        }
        Ok((jobs, None))
    }

    pub fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        let sql = format!("{COLUMNS} where id = ?1");
        let mut statement = self.prepare(&sql)?;
        statement.query_row([id.bytes()], job_row).optional().map_err(sql_error)
    }

    /// A job's tries, oldest first.
    pub fn attempts(&self, job: i64) -> Result<Vec<AttemptRow>> {
        let sql =
            "select started_at, ended_at, outcome, error, status from queue_attempts where job = ?1 order by number";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            let (started_at, ended_at) = (row.get(0)?, row.get(1)?);
            Ok(AttemptRow { started_at, ended_at, outcome: row.get(2)?, error: row.get(3)?, status: row.get(4)? })
        };
        let rows = statement.query_map([job], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// How many jobs each instance has in each state.
    pub fn job_counts(&self) -> Result<Vec<(String, String, i64)>> {
        let sql = "select instance, state, count from queue_counts where state <> 'probe'";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// When the oldest job that waits in this state was made.
    pub fn oldest_job(&self, state: State) -> Result<Option<Micros>> {
        let sql = "select created_at from queue where state = ?1 and state <> 'completed' order by key limit 1";
        let mut statement = self.prepare(sql)?;
        statement.query_row([state.name()], |row| row.get(0)).optional().map_err(sql_error)
    }
}

impl JobFilter {
    pub(super) fn matches(&self, job: &JobRow) -> bool {
        self.state.is_none_or(|state| state.name() == job.state)
            && self.instance.as_ref().is_none_or(|instance| *instance == job.instance)
            && self.kind.as_ref().is_none_or(|kind| *kind == job.kind)
    }
}

fn message(json: &str) -> Message {
    serde_json::from_str(json).unwrap_or_default()
}

fn in_reply_to(asked: &str) -> InReplyTo {
    let metadata = message(asked).metadata;
    InReplyTo { external_id: metadata["external_id"].as_str().unwrap_or_default().into(), metadata }
}

fn job_row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        key: row.get(0)?,
        id: JobId::from_bytes(row.get(1)?),
        kind: row.get(2)?,
        state: row.get(3)?,
        instance: row.get(4)?,
        lane: row.get(5)?,
        attempts: row.get(6)?,
        rescues: row.get(7)?,
        uncertain: row.get(8)?,
        max_attempts: row.get(9)?,
        next_at: row.get(10)?,
        last_error: row.get(11)?,
        created_at: row.get(12)?,
        started_at: row.get(13)?,
        finished_at: row.get(14)?,
        cause: row.get(15)?,
        payload: row.get(16)?,
    })
}
