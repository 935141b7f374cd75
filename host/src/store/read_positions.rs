//! How far everybody has read in a room. A position never goes back.

use super::events::Kind;
use super::rooms::{RoomRef, Viewer};
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

/// Up to where somebody has read in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReadPosition {
    pub room_id: RoomId,
    pub sender: String,
    pub last_read_seq: i64,
    #[schema(format = "date-time")]
    pub updated_at: String,
}

/// The payload of its event.
#[derive(Serialize)]
struct Moved<'a> {
    #[serde(flatten)]
    position: &'a ReadPosition,
    seq: i64,
}

impl Tx<'_> {
    /// Answers where the reader stands now.
    pub fn mark_read(&mut self, room: RoomId, viewer: &Viewer, sender: &str, seq: i64) -> Result<ReadPosition> {
        let room = self.visible_room(room, viewer)?;
        let current = self.read().read_position(&room, sender)?;
        if let Some(current) = current.filter(|current| current.last_read_seq >= seq) {
            return Ok(current);
        }
        let now = self.stamp();
        let (sender, updated_at) = (sender.to_owned(), clock::format(now));
        let position = ReadPosition { room_id: room.id, sender, last_read_seq: seq, updated_at };
        let event = self.record(Some(room.key), Kind::ReadPositionUpdated, |seq| {
            serde_json::to_string(&Moved { position: &position, seq }).unwrap_or_default()
        })?;
        self.execute(
            "insert into read_positions (room, sender, last_read_seq, updated_at, event) values (?1, ?2, ?3, ?4, ?5)
             on conflict (room, sender) do update set last_read_seq = excluded.last_read_seq, updated_at = excluded.updated_at,
                                                      event = excluded.event",
            params![room.key, position.sender, seq, now, event],
        )?;
        Ok(position)
    }
}

impl Read<'_> {
    /// Positions in a room, newest first: those that moved before event `before`; and where the next page begins.
    pub fn read_positions(&self, room: &RoomRef, before: i64, limit: u32) -> Result<(Vec<ReadPosition>, Option<i64>)> {
        let sql = "select event, sender, last_read_seq, updated_at from read_positions
                   where room = ?1 and event < ?2 order by event desc limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, position(room.id, row)?));
        let rows = statement.query_map(params![room.key, before, limit + 1], row).map_err(sql_error)?;
        let mut rows: Vec<(i64, ReadPosition)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().map(|(event, _)| *event).filter(|_| more);
        Ok((rows.into_iter().map(|(_, position)| position).collect(), next))
    }

    fn read_position(&self, room: &RoomRef, sender: &str) -> Result<Option<ReadPosition>> {
        let sql = "select event, sender, last_read_seq, updated_at from read_positions where room = ?1 and sender = ?2";
        let mut statement = self.prepare(sql)?;
        statement.query_row(params![room.key, sender], |row| position(room.id, row)).optional().map_err(sql_error)
    }
}

fn position(room_id: RoomId, row: &rusqlite::Row<'_>) -> rusqlite::Result<ReadPosition> {
    let updated_at = clock::format(row.get::<_, Micros>(3)?);
    Ok(ReadPosition { room_id, sender: row.get(1)?, last_read_seq: row.get(2)?, updated_at })
}
