//! What an operator holds back: an instance's jobs, or one of its lanes. Paused jobs wait unclaimed and count no attempt; what runs ends. A
//! paused lane has no head, so that no claim ever looks for one.

use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use rusqlite::{Connection, Row, params};

/// Pauses at once.
const MOST: i64 = 1000;

/// Something that is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRow {
    pub instance: String,
    /// Empty: the instance as a whole.
    pub lane: String,
    pub paused_at: Micros,
    pub paused_by: String,
    pub reason: String,
}

impl Tx<'_> {
    /// Holds back a lane, or with an empty one the instance. False: it was held already, and has this reason from now on.
    pub fn pause(&mut self, instance: &str, lane: &str, by: &str, reason: &str) -> Result<bool> {
        let sql = "update queue_pauses set reason = ?3 where instance = ?1 and lane = ?2";
        if self.execute(sql, params![instance, lane, reason])? > 0 {
            return Ok(false);
        }
        if self.read().number("select count(*) from (select 1 from queue_pauses limit ?1)", [MOST])? == MOST {
            return Err(Error::Conflict(format!(
                "there are {MOST} pauses, which is the most; resume some, or pause whole plugins"
            )));
        }
        self.execute(
            "insert into queue_pauses (instance, lane, paused_at, paused_by, reason) values (?1, ?2, ?3, ?4, ?5)",
            params![instance, lane, clock::now(), by, reason],
        )?;
        let sql =
            "update queue set runnable = 0 where instance = ?1 and lane = ?2 and state = 'pending' and runnable = 1
                   and state in ('pending', 'processing')";
        self.execute(sql, params![instance, lane])?;
        Ok(true)
    }

    /// Lets a lane go on, or without one all that is held of the instance. Answers how many pauses ended.
    pub fn resume(&mut self, instance: &str, lane: Option<&str>) -> Result<usize> {
        let pauses = self.read().pauses()?.into_iter();
        let ended = pauses.filter(|row| row.instance == instance && lane.is_none_or(|lane| lane == row.lane));
        let lanes: Vec<String> = ended.map(|row| row.lane).collect();
        for lane in &lanes {
            self.execute("delete from queue_pauses where instance = ?1 and lane = ?2", params![instance, lane])?;
            self.appoint(instance, lane)?;
        }
        if !lanes.is_empty() {
            self.effects.woken.push(instance.into());
        }
        Ok(lanes.len())
    }
}

/// Holds back every instance that has work, in a store that nobody has open as one. Answers which; those that are held already keep
/// their reason.
pub(super) fn pause_all_that_have_work(connection: &Connection, by: &str, reason: &str) -> Result<Vec<String>> {
    // Once per restore: not among the statements that are kept and whose plans are looked at.
    let sql = "select distinct instance from queue where state in ('pending', 'processing') order by instance";
    let mut statement = connection.prepare(sql).map_err(sql_error)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(sql_error)?;
    let instances: Vec<String> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
    for instance in &instances {
        let sql = "insert or ignore into queue_pauses (instance, lane, paused_at, paused_by, reason)
                   values (?1, '', ?2, ?3, ?4)";
        connection.execute(sql, params![instance, clock::now(), by, reason]).map_err(sql_error)?;
        let sql = "update queue set runnable = 0
                   where instance = ?1 and lane = '' and state = 'pending' and runnable = 1";
        connection.execute(sql, [instance]).map_err(sql_error)?;
    }
    Ok(instances)
}

impl Read<'_> {
    /// By instance and lane.
    pub fn pauses(&self) -> Result<Vec<PauseRow>> {
        let sql =
            "select instance, lane, paused_at, paused_by, reason from queue_pauses order by instance, lane limit ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            let (instance, lane) = (row.get(0)?, row.get(1)?);
            Ok(PauseRow { instance, lane, paused_at: row.get(2)?, paused_by: row.get(3)?, reason: row.get(4)? })
        };
        let rows = statement.query_map([MOST], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// Whether the instance as a whole is held.
    pub(super) fn is_paused(&self, instance: &str) -> Result<bool> {
        Ok(self.number("select exists (select 1 from queue_pauses where instance = ?1 and lane = '')", [instance])?
            == 1)
    }
}
