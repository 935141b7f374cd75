//! How far back the log reaches. Where it is trimmed, everything up to the floor is gone but the events of messages that are there: these
//! are the index of the room's messages.

use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::params;

/// Events that one write looks at.
const STEP: u32 = 500;
const HOUR: Micros = 3_600_000_000;
/// The floor's name among the counts.
const FLOOR: &str = "log_floor";

impl Tx<'_> {
    /// Remembers how far the log has come in this hour.
    pub fn mark_log(&mut self, now: Micros) -> Result<()> {
        let sql = "insert into log_hours (hour, seq) values (?1, ?2) on conflict do nothing";
        self.execute(sql, [now / HOUR, self.read().head()?])?;
        Ok(())
    }

    /// Removes some of the events that are older than `before`; false: there are no more.
    pub fn trim_log(&mut self, before: Micros) -> Result<bool> {
        let (floor, end) = (self.read().log_floor()?, self.read().trimmed_until(before)?);
        let sql = "select seq, kind from events where seq > ?1 and seq <= ?2 order by seq limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let rows = statement.query_map(params![floor, end, STEP], row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let Some((last, _)) = rows.last() else { return Ok(false) };
        for (seq, _) in rows.iter().filter(|(_, kind)| *kind != super::Kind::Message as i64) {
            self.execute("delete from events where seq = ?1", [*seq])?;
        }
        let sql =
            "insert into counts (name, value) values (?1, ?2) on conflict (name) do update set value = excluded.value";
        self.execute(sql, params![FLOOR, last])?;
        self.execute("delete from log_hours where hour < (select max(hour) from log_hours where seq <= ?1)", [last])?;
        Ok(rows.len() == STEP as usize)
    }

    /// Removes a deleted message's event where the log was trimmed already.
    pub(super) fn trim_event(&mut self, seq: i64) -> Result<()> {
        let sql = "delete from events where seq = ?1 and seq <= (select value from counts where name = ?2)";
        self.execute(sql, params![seq, FLOOR])?;
        Ok(())
    }
}

impl Read<'_> {
    /// From this number on the log has every event; below it only messages that are there are left.
    pub fn oldest_event(&self) -> Result<i64> {
        Ok(self.log_floor()? + 1)
    }

    fn log_floor(&self) -> Result<i64> {
        self.number("select coalesce((select value from counts where name = ?1), 0)", [FLOOR])
    }

    /// The last event that was surely written before. The newest of all stays, for its number is the log's head.
    fn trimmed_until(&self, before: Micros) -> Result<i64> {
        let sql = "select coalesce(max(seq), 0) from log_hours where hour <= ?1";
        let marked = self.number(sql, [before / HOUR - 1])?;
        Ok(marked.max(self.seq_at(before)?).min(self.head()? - 1))
    }
}
