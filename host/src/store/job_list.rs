//! Jobs as operators see them: found by filters in bounded walks, one by one with their attempts, and counted.

use super::jobs::State;
use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::JobId;
use plugin_api::types::Priority;
use rusqlite::types::ValueRef;
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
    pub priority: Priority,
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
    pub lane: Option<String>,
    /// Made before this time.
    pub before: Option<Micros>,
    /// Made at this time or later.
    pub since: Option<Micros>,
    /// A part of the last error, in small letters: theirs do not count.
    pub error: Option<String>,
}

/// Which way a walk goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    NewestFirst,
    OldestFirst,
}

const COLUMNS: &str =
    "select key, id, kind, state, instance, lane, attempts, rescues, uncertain, max_attempts, next_at, last_error,
            created_at, started_at, finished_at, cause, payload, priority from queue";

/// Rows that one call may look at for a rare filter, before it answers a short page.
const VISITS: usize = if cfg!(test) { 2_000 } else { 20_000 };
/// Jobs are made in the order of their times, unless the clock was set back: so far is looked beyond the place where a time should be.
const CLOCK_SLACK: Micros = 10 * 60 * 1_000_000;

impl Read<'_> {
    /// Newest first, before the job numbered `before`; with the number to go on from if there may be more.
    pub fn jobs(&self, filter: &JobFilter, before: Option<i64>, limit: usize) -> Result<(Vec<JobRow>, Option<i64>)> {
        self.walk_jobs(filter, Way::NewestFirst, before, limit, job_row)
    }

    /// The numbers of jobs, oldest first, after the one numbered `after`; with the number to go on from if there may be more.
    pub fn job_keys(&self, filter: &JobFilter, after: Option<i64>, limit: usize) -> Result<(Vec<i64>, Option<i64>)> {
        self.walk_jobs(filter, Way::OldestFirst, after, limit, |row| row.get(0))
    }

    fn walk_jobs<T>(
        &self,
        filter: &JobFilter,
        way: Way,
        from: Option<i64>,
        limit: usize,
        take: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<(Vec<T>, Option<i64>)> {
        let (above, below) = self.numbers_between(filter, way, from)?;
        let indexed = filter.state.filter(|state| *state != State::Completed);
        let mut statement = self.prepare(&walking(indexed.is_some(), way))?;
        let mut rows = statement.query(params![below, indexed.map(State::name), above]).map_err(sql_error)?;
        let (mut found, mut visited, mut last) = (Vec::new(), 0, None);
        while let Some(row) = rows.next().map_err(sql_error)? {
            if found.len() == limit || visited == VISITS {
                return Ok((found, last));
            }
            (visited, last) = (visited + 1, Some(row.get(0).map_err(sql_error)?));
            if filter.fits(row).map_err(sql_error)? {
                found.push(take(row).map_err(sql_error)?);
            }
        }
        Ok((found, None))
    }

    /// Between which numbers jobs of the filter's age lie, both excluded.
    fn numbers_between(&self, filter: &JobFilter, way: Way, from: Option<i64>) -> Result<(i64, i64)> {
        let (mut above, mut below) = match way {
            Way::NewestFirst => (0, from.unwrap_or(i64::MAX)),
            Way::OldestFirst => (from.unwrap_or(0), i64::MAX),
        };
        if let Some(before) = filter.before {
            below = below.min(self.first_job_since(before.saturating_add(CLOCK_SLACK))?);
        }
        if let Some(since) = filter.since {
            above = above.max(self.first_job_since(since.saturating_sub(CLOCK_SLACK))? - 1);
        }
        Ok((above, below))
    }

    /// The number from which on jobs were made at that time or later, found by halving.
    fn first_job_since(&self, at: Micros) -> Result<i64> {
        let (mut low, mut high) = (0, self.newest_job()? + 1);
        let mut statement = self.prepare("select key, created_at from queue where key >= ?1 order by key limit 1")?;
        while low < high {
            let middle = low + (high - low) / 2;
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Micros>(1)?));
            match statement.query_row([middle], row).optional().map_err(sql_error)? {
                Some((key, made)) if made < at => low = key + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The number of the newest job; 0 if there is none.
    pub fn newest_job(&self) -> Result<i64> {
        self.number("select coalesce(max(key), 0) from queue", [])
    }

    pub fn job(&self, id: JobId) -> Result<Option<JobRow>> {
        let sql = format!("{COLUMNS} where id = ?1");
        let mut statement = self.prepare(&sql)?;
        statement.query_row([id.bytes()], job_row).optional().map_err(sql_error)
    }

    pub fn lane_of(&self, key: i64) -> Result<Option<String>> {
        let mut statement = self.prepare("select lane from queue where key = ?1")?;
        statement.query_row([key], |row| row.get(0)).optional().map_err(sql_error)
    }

    /// The job with this number, if it still fits.
    pub(super) fn job_if(&self, key: i64, filter: &JobFilter) -> Result<Option<JobRow>> {
        let sql = format!("{COLUMNS} where key = ?1");
        let mut statement = self.prepare(&sql)?;
        let row = |row: &Row<'_>| if filter.fits(row)? { job_row(row).map(Some) } else { Ok(None) };
        Ok(statement.query_row([key], row).optional().map_err(sql_error)?.flatten())
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

/// Completed jobs are most of them, so these are found by going through all; the others have an index of their own, which SQLite uses only
/// if its condition is repeated.
fn walking(indexed: bool, way: Way) -> String {
    let narrowed = if indexed { "state = ?2 and state <> 'completed' and" } else { "?2 is null and" };
    let order = if way == Way::NewestFirst { "order by key desc" } else { "order by key" };
    format!("{COLUMNS} where {narrowed} key < ?1 and key > ?3 {order}")
}

impl JobFilter {
    /// Looks at no more of a row than it must: those that do not fit are many, and payloads are long.
    fn fits(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let is = |column: usize, wanted: Option<&str>| -> rusqlite::Result<bool> {
            let Some(wanted) = wanted else { return Ok(true) };
            Ok(matches!(row.get_ref(column)?, ValueRef::Text(text) if text == wanted.as_bytes()))
        };
        Ok(is(3, self.state.map(State::name))?
            && is(4, self.instance.as_deref())?
            && is(2, self.kind.as_deref())?
            && is(5, self.lane.as_deref())?
            && (self.before.is_none() && self.since.is_none() || self.is_of_age(row.get(12)?))
            && match &self.error {
                Some(part) => row.get::<_, Option<String>>(11)?.is_some_and(|text| text.to_lowercase().contains(part)),
                None => true,
            })
    }

    fn is_of_age(&self, made: Micros) -> bool {
        self.before.is_none_or(|before| made < before) && self.since.is_none_or(|since| made >= since)
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
        priority: Priority::of_rank(row.get(17)?),
    })
}
