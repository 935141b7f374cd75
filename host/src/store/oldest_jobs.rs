//! How long jobs have been there, for those who watch.

use super::{Read, State, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::params;
use std::collections::{HashMap, HashSet};

/// Rows that are looked at for each state: this is asked at every scrape.
const VISITS: u32 = 2_000;

/// When the oldest job was made, by instance and state.
pub type OldestJobs = HashMap<(String, State), Micros>;

impl Read<'_> {
    /// The oldest jobs that wait, run or are dead, of those instances that `counts` says have some. An instance whose oldest job comes
    /// after very many of others is left out.
    pub fn oldest_jobs(&self, counts: &[(String, String, i64)]) -> Result<OldestJobs> {
        let mut found = OldestJobs::new();
        for state in [State::Pending, State::Processing, State::Failed] {
            let has_some = |(_, name, count): &&(String, String, i64)| name == state.name() && *count > 0;
            let mut left: HashSet<&str> = counts.iter().filter(has_some).map(|(name, ..)| name.as_str()).collect();
            let sql = "select instance, created_at from queue where state = ?1 and state <> 'completed' order by key limit ?2";
            let mut statement = self.prepare(sql)?;
            let mut rows = statement.query(params![state.name(), VISITS]).map_err(sql_error)?;
            while !left.is_empty()
                && let Some(row) = rows.next().map_err(sql_error)?
            {
                let instance: String = row.get(0).map_err(sql_error)?;
                if left.remove(instance.as_str()) {
                    found.insert((instance, state), row.get(1).map_err(sql_error)?);
                }
            }
        }
        Ok(found)
    }
}
