//! Jobs that ended long ago go, the oldest first and a few at a time, with their attempts and a delivery's tries.

use super::jobs::State;
use super::{Tx, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::JobId;
use rusqlite::{Row, params};

/// Jobs that one write removes: each has rows in several indexes.
const STEP: usize = 200;

impl Tx<'_> {
    /// Removes some of those in a state that ended before a time. False: nothing is left to do.
    pub fn remove_ended(&mut self, state: State, before: Micros) -> Result<(usize, bool)> {
        let sql = "select key, id, kind, instance from queue where state = ?1 and finished_at < ?2 and finished_at is not null
                   order by finished_at limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            Ok((
                row.get::<_, i64>(0)?,
                JobId::from_bytes(row.get(1)?),
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        };
        let rows = statement.query_map(params![state.name(), before, STEP as i64], row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (key, id, kind, instance) in &rows {
            self.remove_job(*key, *id, kind)?;
            self.count(instance, state.name(), -1);
        }
        Ok((rows.len(), rows.len() == STEP))
    }
}
