//! What operators do with jobs: run them again, flush them, delete them. A lane keeps its order, and none of its jobs runs beside another.

use super::jobs::State;
use super::{JobFilter, Tx};
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::JobId;
use rusqlite::params;

/// Rows that one transaction changes.
const STEP: usize = 500;

impl Tx<'_> {
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

fn unknown(id: JobId) -> Error {
    Error::NotFound(format!("no job has the id {id}"))
}
