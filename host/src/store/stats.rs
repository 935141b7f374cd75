//! The store in numbers. All of them are kept; nothing is counted here.

use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use std::collections::HashMap;

const HOUR: Micros = 3_600_000_000;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Stats {
    /// By the names of [`super::Count`].
    counts: HashMap<String, i64>,
    /// Who wrote in the last hour: of type agent, of type human, of any.
    pub active: (i64, i64, i64),
    /// Deliveries of the last 24 hours: succeeded, failed.
    pub deliveries: (i64, i64),
}

impl Stats {
    pub fn count(&self, count: super::Count) -> i64 {
        self.counts.get(count.name()).copied().unwrap_or(0).max(0)
    }
}

impl Read<'_> {
    pub fn totals(&self, now: Micros) -> Result<Stats> {
        // The condition holds for all names; the few rows are read in their own order.
        let mut statement = self.prepare("select name, value from counts where name >= ''")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql_error)?;
        let counts = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let sql = "select coalesce(sum(succeeded), 0), coalesce(sum(failed), 0) from webhook_hours where hour > ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let deliveries = statement.query_row([now / HOUR - 24], row).map_err(sql_error)?;
        Ok(Stats { counts, active: self.active_senders(now - HOUR)?, deliveries })
    }
}
