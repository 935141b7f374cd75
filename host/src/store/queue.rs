//! Claiming and settling. A lane's oldest living job is its head, marked `runnable`; the
//! settlement moves the mark on, so that a claim never looks for it.

use super::jobs::{Claim, State, lease_until};
use super::{Read, Tx, sql_error, turns, webhook_deliveries};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::ids::JobId;
use plugin_api::types::{Outcome, Priority};
use rusqlite::{OptionalExtension, Row, params};
use std::sync::PoisonError;
use std::time::Duration;

/// Tries of one job that are kept.
const ATTEMPTS_KEPT: i64 = 100;
/// Characters of an error that are kept.
const ERROR_LENGTH: usize = 2000;

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
    pub kind: String,
    pub attempts: u32,
    pub started_at: Option<Micros>,
    pub claim: i64,
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
            "update queue set state = ?2, runnable = (?3 and not exists (select 1 from queue_pauses p
                        where p.instance = queue.instance and p.lane = queue.lane)),
                    attempts = ?4, next_at = coalesce(?5, next_at), lease_until = null,
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

    pub(super) fn record_attempt(
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

    /// Gives a lane a head if it has none. For whoever does not know whether its head has gone: a job tried again is older than the one
    /// that runs, and does not pass it.
    pub(super) fn appoint(&mut self, instance: &str, lane: &str) -> Result<()> {
        let sql = "select exists (select 1 from queue where instance = ?1 and lane = ?2
                                  and state in ('pending', 'processing') and runnable = 1)";
        match self.read().number(sql, params![instance, lane])? {
            0 => self.advance(instance, lane),
            _ => Ok(()),
        }
    }

    /// Marks the lane's next job as its head, unless the lane is paused. Its last head has just gone.
    pub(super) fn advance(&mut self, instance: &str, lane: &str) -> Result<()> {
        let sql = "update queue set runnable = 1 where state = 'pending' and runnable = 0 and key = (
                       select key from queue where instance = ?1 and lane = ?2 and state in ('pending', 'processing')
                       order by key limit 1)
                   and not exists (select 1 from queue_pauses where instance = ?1 and lane = ?2)";
        if self.execute(sql, params![instance, lane])? > 0 {
            self.effects.woken.push(instance.into());
        }
        Ok(())
    }

    /// Claims due heads, the urgent and then the oldest first, as long as the instance has slots; answers how many were handed over.
    pub fn claim_due(&mut self, instance: &str, most: usize) -> Result<usize> {
        let mut handed = 0;
        if self.read().is_paused(instance)? {
            return Ok(handed);
        }
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
        let sql =
            "select key, id, claim, attempts, rescues, uncertain, kind, cause, payload, started_at is null from queue
                   where instance = ?1 and priority = ?3 and state = 'pending' and runnable = 1 and next_at <= ?2
                   order by next_at, key limit 1";
        // What the plugin says today counts, also for jobs from before it ran.
        let (max_attempts, timeout) = self.limits_of(instance);
        let row = |row: &Row<'_>| {
            let claim = Claim {
                key: row.get(0)?,
                id: JobId::from_bytes(row.get(1)?),
                number: row.get::<_, i64>(2)? + 1,
                attempt: row.get::<_, u32>(3)? + 1,
                rescues: row.get(4)?,
                uncertain: row.get(5)?,
                timeout,
                is_first: row.get(9)?,
            };
            Ok((claim, row.get(6)?, row.get(7)?, row.get(8)?))
        };
        let mut statement = self.prepare(sql)?;
        let mut found = None;
        for priority in Priority::ALL {
            let parameters = params![instance, now, priority.rank()];
            found = statement.query_row(parameters, row).optional().map_err(sql_error)?;
            if found.is_some() {
                break;
            }
        }
        if let Some((claim, ..)) = &found {
            self.execute(
                "update queue set state = 'processing', claim = ?2, lease_until = ?3, started_at = ?4, max_attempts = ?5
                 where key = ?1",
                params![claim.key, claim.number, lease_until(now, timeout), now, max_attempts],
            )?;
            self.count(instance, State::Pending.name(), -1);
            self.count(instance, State::Processing.name(), 1);
        }
        Ok(found)
    }
}

impl Read<'_> {
    /// When the instance's next waiting head is due, never while the instance is paused; and when its next lease ends.
    pub fn queue_times(&self, instance: &str) -> Result<(Option<Micros>, Option<Micros>)> {
        let first = |sql: &str| {
            let mut statement = self.prepare(sql)?;
            statement.query_row([instance], |row| row.get::<_, Option<Micros>>(0)).optional().map_err(sql_error)
        };
        // A probe of the index for each priority.
        let due = first(
            "select min(at) from (
                 select min(next_at) as at from queue where instance = ?1 and priority = 1 and state = 'pending' and runnable = 1
                 union all
                 select min(next_at) from queue where instance = ?1 and priority = 0 and state = 'pending' and runnable = 1
                 union all
                 select min(next_at) from queue where instance = ?1 and priority = -1 and state = 'pending' and runnable = 1
             ) where not exists (select 1 from queue_pauses where instance = ?1 and lane = '')",
        )?;
        let lease = first(
            "select lease_until from queue where instance = ?1 and state = 'processing' and lease_until is not null
             order by lease_until limit 1",
        )?;
        Ok((due.flatten(), lease.flatten()))
    }
}

fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
