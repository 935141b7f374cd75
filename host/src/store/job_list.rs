//! Jobs as operators see them: listed by filters, one by one with their attempts, and counted.

use super::jobs::State;
use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::JobId;
use rusqlite::{OptionalExtension, Row, params};

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

impl Read<'_> {
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
