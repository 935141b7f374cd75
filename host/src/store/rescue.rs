//! Jobs whose worker is gone: they wait again, marked uncertain, and the late worker's settlement meets an old claim number.

use super::jobs::State;
use super::queue::{Held, Settled};
use super::{Tx, sql_error, turns};
use crate::clock::{self, Micros};
use crate::error::Result;
use rusqlite::{Row, params};

/// A job that came back this often without an outcome takes the host down, or never ends: it has failed.
const RESCUES: u32 = 20;

impl Tx<'_> {
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
            "update queue set state = ?2, runnable = (?3 and not exists (select 1 from queue_pauses p
                        where p.instance = queue.instance and p.lane = queue.lane)),
                    claim = claim + 1, rescues = ?4, uncertain = 1, lease_until = null,
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
            "update queue set state = 'pending', claim = claim + 1, lease_until = null, runnable = not exists (
                 select 1 from queue_pauses p where p.instance = queue.instance and p.lane = queue.lane) where key = ?1",
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
}
