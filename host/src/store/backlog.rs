//! What waits for each plugin instance, and for how long.

use super::jobs::State;
use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use std::collections::BTreeMap;

/// The jobs of one instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backlog {
    /// How many there are in each state.
    pub counts: BTreeMap<String, i64>,
    /// When the oldest of those that wait was made.
    pub oldest: Option<Micros>,
}

impl Backlog {
    /// Jobs that are not done yet.
    pub fn depth(&self) -> i64 {
        [State::Pending, State::Processing].iter().filter_map(|state| self.counts.get(state.name())).sum()
    }
}

impl Read<'_> {
    /// By instance.
    pub fn backlogs(&self) -> Result<BTreeMap<String, Backlog>> {
        let mut backlogs: BTreeMap<String, Backlog> = BTreeMap::new();
        for (instance, state, count) in self.job_counts()? {
            backlogs.entry(instance).or_default().counts.insert(state, count);
        }
        let sql =
            "select instance, (select created_at from queue q where q.instance = queue_counts.instance and q.state = 'pending'
                                     order by q.key limit 1)
                   from queue_counts where state = 'pending' and count > 0";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let (instance, oldest) = (row.get(0).map_err(sql_error)?, row.get(1).map_err(sql_error)?);
            backlogs.entry(instance).or_default().oldest = oldest;
        }
        Ok(backlogs)
    }
}
