//! What operators do with jobs: run them again, flush them, delete them, put them before others. A lane keeps its order, and none of its
//! jobs runs beside another.

use super::jobs::State;
use super::{JobFilter, JobRow, Tx, sql_error, webhook_deliveries};
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::JobId;
use plugin_api::types::Priority;
use rusqlite::{Row, params};
use std::collections::BTreeSet;

/// What is done with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobDeed {
    /// Failed and flushed ones run again from their first attempt, under their old ids; waiting ones at once.
    Retry,
    /// Waiting ones are kept for the record, but not run.
    Flush,
    /// With all that is recorded of it.
    Delete,
    Prioritize(Priority),
}

impl JobDeed {
    /// Why it cannot be done with a job of this kind now.
    fn refusal(self, job: &JobRow) -> Option<&'static str> {
        let state = State::from_name(&job.state)?;
        match (self, state) {
            (Self::Retry, State::Processing) => Some("is running; wait for its outcome"),
            (Self::Retry, State::Completed) => Some("has been completed; running it again would repeat its effect"),
            (Self::Flush, state) if state != State::Pending => Some("does not wait; only pending jobs can be flushed"),
            (Self::Delete, State::Processing) => Some("is running; wait for its outcome, then delete it"),
            (Self::Prioritize(_), State::Completed) => Some("has been completed; it waits for nothing"),
            (Self::Prioritize(_), _) if job.kind == "inbox" => Some("is a poller's, which takes them in their order"),
            _ => None,
        }
    }
}

impl Tx<'_> {
    /// Does it, or says why it cannot be done.
    pub fn change_job(&mut self, id: JobId, deed: JobDeed) -> Result<()> {
        let job = self.read().job(id)?.ok_or_else(|| unknown(id))?;
        match deed.refusal(&job) {
            Some(why) => Err(Error::Conflict(format!("job {id} {why}"))),
            None => self.change(&job, deed),
        }
    }

    /// The same for those of many that still fit and with which it can be done; the others are left alone. Answers how many there were.
    pub fn change_jobs(&mut self, keys: &[i64], filter: &JobFilter, deed: JobDeed) -> Result<usize> {
        let mut changed = 0;
        for key in keys {
            let job = self.read().job_if(*key, filter)?.filter(|job| deed.refusal(job).is_none());
            if let Some(job) = job {
                self.change(&job, deed)?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    fn change(&mut self, job: &JobRow, deed: JobDeed) -> Result<()> {
        match deed {
            JobDeed::Retry => self.run_soon(job),
            JobDeed::Flush => self.flush_job(job),
            JobDeed::Delete => self.delete_job(job),
            JobDeed::Prioritize(priority) => self.prioritize(job, priority),
        }
    }

    fn run_soon(&mut self, job: &JobRow) -> Result<()> {
        // Behind what its lane does now, and not while the lane is paused.
        let held = "select exists (select 1 from queue where instance = ?1 and lane = ?2 and key <> ?3
                                   and state in ('pending', 'processing')) and ?2 <> 'inbox'
                        or exists (select 1 from queue_pauses where instance = ?1 and lane = ?2)";
        let held = self.read().number(held, params![job.instance, job.lane, job.key])? == 1;
        let waiting = job.state == State::Pending.name();
        let sql = "update queue set state = 'pending', runnable = case when ?3 then runnable else ?2 end,
                          attempts = case when ?3 then attempts else 0 end, rescues = case when ?3 then rescues else 0 end,
                          started_at = case when ?3 then started_at end, next_at = ?4, finished_at = null, max_attempts = ?5 where key = ?1";
        let (max_attempts, _) = self.limits_of(&job.instance);
        self.execute(sql, params![job.key, !held, waiting, clock::now(), max_attempts])?;
        self.moved(job, Some(State::Pending));
        self.effects.woken.push(job.instance.clone());
        Ok(())
    }

    fn flush_job(&mut self, job: &JobRow) -> Result<()> {
        let was_head = self.is_head(job.key)?;
        let sql = "update queue set state = 'flushed', runnable = 0, finished_at = ?2 where key = ?1";
        self.execute(sql, params![job.key, clock::now()])?;
        self.moved(job, Some(State::Flushed));
        if was_head { self.advance(&job.instance, &job.lane) } else { Ok(()) }
    }

    /// Keeps what waits for the record instead of running it: jobs that a statement finds, by number, state, instance and lane. Answers how
    /// many there were.
    pub(super) fn flush_found(
        &mut self,
        select: &str,
        parameters: impl rusqlite::Params,
        why: Option<&str>,
    ) -> Result<usize> {
        let mut statement = self.prepare(select)?;
        let row = |row: &Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
        };
        let rows = statement.query_map(parameters, row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let (found, now) = (rows.len(), clock::now());
        let mut lanes = BTreeSet::new();
        for (key, state, instance, lane) in rows {
            let sql = "update queue set state = 'flushed', runnable = 0, lease_until = null, finished_at = ?2,
                              last_error = coalesce(?3, last_error) where key = ?1";
            self.execute(sql, params![key, now, why])?;
            if let Some(state) = State::from_name(&state) {
                self.count(&instance, state.name(), -1);
                self.count(&instance, State::Flushed.name(), 1);
            }
            lanes.insert((instance, lane));
        }
        lanes.iter().try_for_each(|(instance, lane)| self.appoint(instance, lane))?;
        Ok(found)
    }

    fn delete_job(&mut self, job: &JobRow) -> Result<()> {
        let was_head = self.is_head(job.key)?;
        self.remove_job(job.key, job.id, &job.kind)?;
        self.moved(job, None);
        if was_head { self.advance(&job.instance, &job.lane) } else { Ok(()) }
    }

    fn prioritize(&mut self, job: &JobRow, priority: Priority) -> Result<()> {
        self.execute("update queue set priority = ?2 where key = ?1", params![job.key, priority.rank()])?;
        self.effects.woken.push(job.instance.clone());
        Ok(())
    }

    /// The row with its attempts, and the tries of a delivery, which nobody could repeat any more. The counts are the caller's.
    pub(super) fn remove_job(&self, key: i64, id: JobId, kind: &str) -> Result<()> {
        if kind == webhook_deliveries::KIND {
            self.execute("delete from webhook_deliveries where job = ?1", [id.bytes()])?;
        }
        self.execute("delete from queue where key = ?1", [key]).map(drop)
    }

    /// Only its head's end moves a lane on: with another job gone, the lane may be busy.
    fn is_head(&self, key: i64) -> Result<bool> {
        Ok(self.read().number("select runnable from queue where key = ?1", [key])? == 1)
    }

    fn moved(&mut self, job: &JobRow, to: Option<State>) {
        if let Some(from) = State::from_name(&job.state) {
            self.count(&job.instance, from.name(), -1);
        }
        if let Some(to) = to {
            self.count(&job.instance, to.name(), 1);
        }
    }
}

fn unknown(id: JobId) -> Error {
    Error::NotFound(format!("no job has the id {id}"))
}
