//! Claiming, settling, rescuing, and what operators do with jobs. A lane's oldest living job is its head, marked `runnable`; the
//! settlement moves the mark on, so that a claim never looks for it.

use super::jobs::{Claim, State, lease_until};
use super::{JobFilter, Read, Tx, sql_error, turns, webhook_deliveries};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::JobId;
use plugin_api::types::Outcome;
use rusqlite::{OptionalExtension, Row, params};
use std::sync::PoisonError;
use std::time::Duration;

/// A job that came back this often without an outcome takes the host down, or never ends: it has failed.
const RESCUES: u32 = 20;
/// Tries of one job that are kept.
const ATTEMPTS_KEPT: i64 = 100;
/// Characters of an error that are kept.
const ERROR_LENGTH: usize = 2000;
/// Rows that one transaction of an operator's deed changes.
const STEP: usize = 500;

/// What a settlement found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Written,
    /// The claim is old: somebody else has the job, or it has ended.
    Stale,
}

/// A job under its worker's claim.
pub(super) struct Held {
    pub key: i64,
    pub instance: String,
    pub lane: String,
    kind: String,
    attempts: u32,
    pub started_at: Option<Micros>,
    claim: i64,
}

/// A due job that was just claimed: kind, cause and payload beside the claim.
type Found = (Claim, String, Option<i64>, String);

/// How an attempt ends, as it is written.
pub(super) struct End<'a> {
    pub state: State,
    pub outcome: &'static str,
    pub error: Option<&'a str>,
    pub status: Option<u16>,
    pub attempts: u32,
    pub next_at: Option<Micros>,
    pub uncertain: bool,
}

impl<'a> End<'a> {
    /// Nobody wants it any more.
    pub fn given_up(state: State, why: &'a str, attempts: u32) -> Self {
        let (outcome, error) = ("discard", Some(why));
        Self { state, outcome, error, status: None, attempts, next_at: None, uncertain: false }
    }
}

impl Tx<'_> {
    /// Writes how an attempt ended, with its reply, its event, the delivery that follows, and the next job that may start.
    pub fn settle(&mut self, key: i64, claim: i64, outcome: &Outcome) -> Result<Settled> {
        let Some(held) = self.held(key, claim)? else { return Ok(Settled::Stale) };
        let attempts = held.attempts + u32::from(!matches!(outcome, Outcome::Snooze { .. }));
        let mut end = self.end_of(&held, attempts, outcome);
        if held.kind == turns::KIND {
            end = self.end_turn(&held, outcome, end)?;
        }
        if held.kind == webhook_deliveries::KIND {
            self.record_delivery(&held, attempts, outcome)?;
        }
        self.finish(&held, &end)?;
        self.claim_due(&held.instance, 1)?;
        Ok(Settled::Written)
    }

    pub(super) fn held(&self, key: i64, claim: i64) -> Result<Option<Held>> {
        let sql = "select instance, lane, kind, attempts, started_at, claim from queue
                   where key = ?1 and claim = ?2 and state = 'processing'";
        let row = |row: &Row<'_>| {
            Ok(Held {
                key,
                instance: row.get(0)?,
                lane: row.get(1)?,
                kind: row.get(2)?,
                attempts: row.get(3)?,
                started_at: row.get(4)?,
                claim: row.get(5)?,
            })
        };
        let mut statement = self.prepare(sql)?;
        statement.query_row([key, claim], row).optional().map_err(sql_error)
    }

    fn end_of<'a>(&self, held: &Held, attempts: u32, outcome: &'a Outcome) -> End<'a> {
        let ended = |state, outcome, error, status| End {
            state,
            outcome,
            error,
            status,
            attempts,
            next_at: None,
            uncertain: false,
        };
        match outcome {
            Outcome::Done { .. } => ended(State::Completed, "done", None, None),
            Outcome::Discard { why, status } => ended(State::Failed, "discard", Some(why), *status),
            Outcome::Snooze { after_ms, why } => {
                let next_at = Some(clock::now().saturating_add(clock::micros(Duration::from_millis(*after_ms))));
                End { next_at, ..ended(State::Pending, "snooze", Some(why), None) }
            }
            Outcome::Retry { why, after_ms, uncertain, status } => {
                let (wait, max_attempts) = self.wait_after(&held.instance, attempts);
                if attempts >= max_attempts {
                    // Kept, so that an operator's retry looks before it repeats.
                    return End { uncertain: *uncertain, ..ended(State::Failed, "retry", Some(why), *status) };
                }
                let wait = after_ms.map_or(wait, Duration::from_millis);
                let next_at = Some(clock::now().saturating_add(clock::micros(wait)));
                End { next_at, uncertain: *uncertain, ..ended(State::Pending, "retry", Some(why), *status) }
            }
        }
    }

    /// With ±20 % jitter, so that what failed together does not come back together.
    fn wait_after(&self, instance: &str, attempt: u32) -> (Duration, u32) {
        let slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = slots.wait_after(instance, attempt).mul_f64(rand::random_range(0.8..1.2));
        (wait, slots.max_attempts(instance))
    }

    pub(super) fn finish(&mut self, held: &Held, end: &End<'_>) -> Result<()> {
        let now = clock::now();
        let error = end.error.map(|error| cut(error, ERROR_LENGTH));
        let finished_at = end.next_at.is_none().then_some(now);
        self.execute(
            "update queue set state = ?2, runnable = ?3, attempts = ?4, next_at = coalesce(?5, next_at), lease_until = null,
                    uncertain = max(uncertain, ?6), last_error = coalesce(?7, last_error), finished_at = ?8 where key = ?1",
            params![
                held.key,
                end.state.name(),
                end.next_at.is_some(),
                end.attempts,
                end.next_at,
                end.uncertain,
                error,
                finished_at
            ],
        )?;
        self.record_attempt(held, end.outcome, error, end.status, now)?;
        self.leave_processing(&held.instance, end.state);
        if finished_at.is_some() {
            self.advance(&held.instance, &held.lane)?;
        } else {
            self.effects.woken.push(held.instance.clone());
        }
        Ok(())
    }

    fn record_attempt(
        &self,
        held: &Held,
        outcome: &str,
        error: Option<&str>,
        status: Option<u16>,
        now: Micros,
    ) -> Result<()> {
        self.execute(
            "insert into queue_attempts (job, number, started_at, ended_at, outcome, error, status)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![held.key, held.claim, held.started_at.unwrap_or(now), now, outcome, error, status],
        )?;
        if held.claim > ATTEMPTS_KEPT {
            let sql = "delete from queue_attempts where job = ?1 and number <= ?2";
            self.execute(sql, params![held.key, held.claim - ATTEMPTS_KEPT])?;
        }
        Ok(())
    }

    pub(super) fn leave_processing(&mut self, instance: &str, state: State) {
        self.count(instance, State::Processing.name(), -1);
        self.count(instance, state.name(), 1);
        self.free_slots(instance, 1);
    }

    /// Ends a job whose cause is gone, or that nobody wants any more; it was claimed in this very transaction.
    pub(super) fn give_up(&mut self, claim: &Claim, state: State, why: &str) -> Result<()> {
        let Some(held) = self.held(claim.key, claim.number)? else { return Ok(()) };
        self.finish(&held, &End::given_up(state, why, held.attempts))
    }

    /// Marks the lane's next job as its head.
    pub(super) fn advance(&mut self, instance: &str, lane: &str) -> Result<()> {
        let sql = "update queue set runnable = 1 where state = 'pending' and runnable = 0 and key = (
                       select key from queue where instance = ?1 and lane = ?2 and state in ('pending', 'processing')
                       order by key limit 1)";
        if self.execute(sql, params![instance, lane])? > 0 {
            self.effects.woken.push(instance.into());
        }
        Ok(())
    }

    /// Claims due heads, oldest first, as long as the instance has slots; answers how many were handed over.
    pub fn claim_due(&mut self, instance: &str, most: usize) -> Result<usize> {
        let mut handed = 0;
        // Those whose cause is gone count too: a long row of them must not make the transaction long.
        for _ in 0..most {
            if !self.take_slot(instance) {
                break;
            }
            let Some((claim, kind, cause, payload)) = self.claim_one(instance)? else {
                self.free_slots(instance, 1);
                break;
            };
            if self.put_off_turn(instance, &claim, &kind, &payload)? {
                continue;
            }
            if self.hand(instance, claim, &kind, cause, &payload)? {
                handed += 1;
            } else {
                // Its slot is free again, and somebody else may be waiting for it.
                self.effects.woken.push(instance.into());
            }
        }
        Ok(handed)
    }

    fn claim_one(&mut self, instance: &str) -> Result<Option<Found>> {
        let now = clock::now();
        let sql = "select key, id, claim, attempts, rescues, uncertain, kind, cause, payload from queue
                   where instance = ?1 and state = 'pending' and runnable = 1 and next_at <= ?2 order by next_at, key limit 1";
        let (_, timeout) = self.limits_of(instance);
        let row = |row: &Row<'_>| {
            let claim = Claim {
                key: row.get(0)?,
                id: JobId::from_bytes(row.get(1)?),
                number: row.get::<_, i64>(2)? + 1,
                attempt: row.get::<_, u32>(3)? + 1,
                rescues: row.get(4)?,
                uncertain: row.get(5)?,
                timeout,
            };
            Ok((claim, row.get(6)?, row.get(7)?, row.get(8)?))
        };
        let mut statement = self.prepare(sql)?;
        let found = statement.query_row(params![instance, now], row).optional().map_err(sql_error)?;
        if let Some((claim, ..)) = &found {
            self.execute(
                "update queue set state = 'processing', claim = ?2, lease_until = ?3, started_at = ?4 where key = ?1",
                params![claim.key, claim.number, lease_until(now, timeout), now],
            )?;
            self.count(instance, State::Pending.name(), -1);
            self.count(instance, State::Processing.name(), 1);
        }
        Ok(found)
    }

    /// Returns processing jobs to pending: all of an instance that is gone, or those whose lease ended before `expired`. Their workers'
    /// settlements meet an old claim number. Answers how many.
    pub fn rescue(&mut self, instance: &str, expired: Option<Micros>) -> Result<usize> {
        let sql = "select key, claim, rescues, lane, kind, attempts, started_at from queue
                   where state = 'processing' and instance = ?1 and lease_until < ?2 limit 10000";
        let row = |row: &Row<'_>| {
            let held = Held {
                key: row.get(0)?,
                instance: instance.into(),
                claim: row.get(1)?,
                lane: row.get(3)?,
                kind: row.get(4)?,
                attempts: row.get(5)?,
                started_at: row.get(6)?,
            };
            Ok((held, row.get::<_, u32>(2)?))
        };
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![instance, expired.unwrap_or(i64::MAX)], row).map_err(sql_error)?;
        let rows: Vec<(Held, u32)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (held, rescues) in &rows {
            self.rescue_one(held, rescues + 1)?;
        }
        Ok(rows.len())
    }

    fn rescue_one(&mut self, held: &Held, rescues: u32) -> Result<()> {
        let now = clock::now();
        let lost = rescues > RESCUES;
        let why = if lost {
            format!("given up after {RESCUES} claims that ended without an outcome")
        } else {
            "its claim ended without an outcome".into()
        };
        let state = if lost { State::Failed } else { State::Pending };
        self.execute(
            "update queue set state = ?2, runnable = ?3, claim = claim + 1, rescues = ?4, uncertain = 1, lease_until = null,
                    last_error = ?5, finished_at = ?6 where key = ?1",
            params![held.key, state.name(), !lost, rescues, why, lost.then_some(now)],
        )?;
        self.record_attempt(held, "rescued", Some(&why), None, now)?;
        self.leave_processing(&held.instance, state);
        if lost {
            if held.kind == turns::KIND {
                self.apologise(held)?;
            }
            self.advance(&held.instance, &held.lane)?;
        }
        self.effects.woken.push(held.instance.clone());
        Ok(())
    }

    /// Takes back one job whose worker was cut off in the middle: no attempt, but uncertain.
    pub fn take_back(&mut self, key: i64, claim: i64) -> Result<Settled> {
        let Some(held) = self.held(key, claim)? else { return Ok(Settled::Stale) };
        let rescues = self.read().number("select rescues from queue where key = ?1", [key])?;
        self.rescue_one(&held, u32::try_from(rescues).unwrap_or(u32::MAX).saturating_add(1))?;
        Ok(Settled::Written)
    }

    /// Gives a job back that was never begun: no attempt, no rescue.
    pub fn release(&mut self, key: i64, claim: i64) -> Result<Settled> {
        let Some(held) = self.held(key, claim)? else { return Ok(Settled::Stale) };
        self.execute(
            "update queue set state = 'pending', claim = claim + 1, lease_until = null where key = ?1",
            [key],
        )?;
        self.leave_processing(&held.instance, State::Pending);
        self.effects.woken.push(held.instance);
        Ok(Settled::Written)
    }

    /// Instances that had processing jobs when the last host ended. Leases of the inbox belong to its poller and stay.
    pub fn rescue_all(&mut self) -> Result<usize> {
        let sql = "select distinct instance from queue where state = 'processing' and instance <> 'inbox'";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(sql_error)?;
        let instances: Vec<String> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let mut rescued = 0;
        for instance in instances {
            // In steps, but all of them: nothing else runs yet.
            loop {
                match self.rescue(&instance, None)? {
                    0 => break,
                    some => rescued += some,
                }
            }
        }
        Ok(rescued)
    }

    /// Runs a failed or flushed job again from its first attempt, under its old id; a waiting one at once.
    pub fn retry_job(&mut self, id: JobId) -> Result<()> {
        let job = self.read().job(id)?.ok_or_else(|| unknown(id))?;
        let refused = |why: &str| Err(Error::Conflict(format!("job {id} {why}")));
        match State::from_name(&job.state) {
            Some(State::Failed | State::Flushed | State::Pending) => {
                let busy = "select exists (select 1 from queue where instance = ?1 and lane = ?2 and key <> ?3
                                           and state in ('pending', 'processing'))";
                let busy = self.read().number(busy, params![job.instance, job.lane, job.key])? == 1;
                let waiting = job.state == State::Pending.name();
                let sql = "update queue set state = 'pending', runnable = case when ?3 then runnable else ?2 end,
                                  attempts = case when ?3 then attempts else 0 end, rescues = case when ?3 then rescues else 0 end,
                                  next_at = ?4, finished_at = null, max_attempts = ?5 where key = ?1";
                let (max_attempts, _) = self.limits_of(&job.instance);
                let busy = busy && job.lane != "inbox";
                self.execute(sql, params![job.key, !busy, waiting, clock::now(), max_attempts])?;
                self.moved(&job.instance, &job.state, Some(State::Pending));
                self.effects.woken.push(job.instance);
                Ok(())
            }
            Some(State::Processing) => refused("is running; wait for its outcome"),
            _ => refused("has been completed; running it again would repeat its effect"),
        }
    }

    /// The same for those of many that still fit; what has moved on meanwhile is left alone. Answers how many there were.
    pub fn retry_jobs(&mut self, ids: &[JobId], filter: &JobFilter) -> Result<usize> {
        let mut retried = 0;
        for id in ids {
            if self.read().job(*id)?.is_some_and(|job| filter.matches(&job)) {
                self.retry_job(*id)?;
                retried += 1;
            }
        }
        Ok(retried)
    }

    /// Pending jobs older than the one numbered `before` are kept for the record, but not run. Answers how many of one step, and where
    /// the next step goes on.
    pub fn flush_jobs(&mut self, filter: &JobFilter, before: Option<i64>) -> Result<(usize, Option<i64>)> {
        let filter = JobFilter { state: Some(State::Pending), ..filter.clone() };
        let (jobs, next) = self.read().jobs(&filter, before, STEP)?;
        for job in &jobs {
            let was_head = self.is_head(job.key)?;
            let sql = "update queue set state = 'flushed', runnable = 0, finished_at = ?2 where key = ?1";
            self.execute(sql, params![job.key, clock::now()])?;
            self.moved(&job.instance, &job.state, Some(State::Flushed));
            if was_head {
                self.advance(&job.instance, &job.lane)?;
            }
        }
        Ok((jobs.len(), next))
    }

    /// Removes a job and its record. One that runs is refused.
    pub fn delete_job(&mut self, id: JobId) -> Result<()> {
        let job = self.read().job(id)?.ok_or_else(|| unknown(id))?;
        if job.state == State::Processing.name() {
            return Err(Error::Conflict(format!("job {id} is running; wait for its outcome, then delete it")));
        }
        let was_head = self.is_head(job.key)?;
        self.execute("delete from queue where key = ?1", [job.key])?;
        self.moved(&job.instance, &job.state, None);
        if was_head { self.advance(&job.instance, &job.lane) } else { Ok(()) }
    }

    /// Only its head's end moves a lane on: with another job gone, the lane may be busy.
    fn is_head(&self, key: i64) -> Result<bool> {
        Ok(self.read().number("select runnable from queue where key = ?1", [key])? == 1)
    }

    fn moved(&mut self, instance: &str, from: &str, to: Option<State>) {
        if let Some(from) = State::from_name(from) {
            self.count(instance, from.name(), -1);
        }
        if let Some(to) = to {
            self.count(instance, to.name(), 1);
        }
    }
}

impl Read<'_> {
    /// When the instance's next waiting head is due, and when its next lease ends.
    pub fn queue_times(&self, instance: &str) -> Result<(Option<Micros>, Option<Micros>)> {
        let first = |sql: &str| {
            let mut statement = self.prepare(sql)?;
            statement.query_row([instance], |row| row.get(0)).optional().map_err(sql_error)
        };
        let due = first(
            "select next_at from queue where instance = ?1 and state = 'pending' and runnable = 1 order by next_at limit 1",
        )?;
        let lease = first(
            "select lease_until from queue where instance = ?1 and state = 'processing' and lease_until is not null
             order by lease_until limit 1",
        )?;
        Ok((due, lease))
    }
}

fn unknown(id: JobId) -> Error {
    Error::NotFound(format!("no job has the id {id}"))
}

fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
