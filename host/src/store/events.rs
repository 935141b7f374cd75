//! The log: one row per durable fact, numbered by `seq`. A message's event holds no copy of it as long as the message is unchanged.

use super::{Read, Tx, sql_error};
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::{Row, params};

/// What happened. The numbers are in the store and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Message = 1,
    RoomCreated = 2,
}

impl Kind {
    fn from_number(number: i64) -> Option<Self> {
        [Self::Message, Self::RoomCreated].into_iter().find(|kind| *kind as i64 == number)
    }

    /// As streams call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::RoomCreated => "room_created",
        }
    }
}

/// An event that was just written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub seq: i64,
    pub room: i64,
    pub kind: Kind,
    pub json: String,
}

/// An event as the log has it.
#[derive(Debug, Clone)]
pub struct EventRow {
    pub seq: i64,
    pub room_id: Option<RoomId>,
    pub kind: Kind,
    pub json: String,
}

impl Tx<'_> {
    /// Takes the next number of the log. `data` is None when the message's row holds the same.
    pub(super) fn insert_event(&mut self, room: i64, kind: Kind, data: Option<&str>) -> Result<i64> {
        self.execute("insert into events (room, kind, data) values (?1, ?2, ?3)", params![room, kind as i64, data])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// To be published after the commit.
    pub(super) fn publish(&mut self, room: i64, kind: Kind, seq: i64, json: String) {
        self.effects.events.push(NewEvent { seq, room, kind, json });
    }
}

const COLUMNS: &str = "select e.seq, r.id, e.kind, coalesce(e.data, m.json, '{}')
     from events e left join messages m on m.seq = e.seq left join rooms r on r.key = e.room";

impl Read<'_> {
    /// A room's events after the one numbered `after`.
    pub fn room_events(&self, room: i64, after: i64, limit: u32) -> Result<Vec<EventRow>> {
        let sql = format!("{COLUMNS} where e.room = ?1 and e.seq > ?2 order by e.seq limit ?3");
        self.events(&sql, params![room, after, limit])
    }

    /// All rooms' events after the one numbered `after`.
    pub fn all_events(&self, after: i64, limit: u32) -> Result<Vec<EventRow>> {
        self.events(&format!("{COLUMNS} where e.seq > ?1 order by e.seq limit ?2"), params![after, limit])
    }

    fn events(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<EventRow>> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(parameters, event_row).map_err(sql_error)?;
        let rows: Vec<Option<EventRow>> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Number of the room's newest event; 0 if it has none.
    pub fn room_head(&self, room: i64) -> Result<i64> {
        self.number("select coalesce(max(seq), 0) from events where room = ?1", params![room])
    }

    /// Number of the newest event of all.
    pub fn head(&self) -> Result<i64> {
        self.number("select coalesce(max(seq), 0) from events", [])
    }

    /// Number of the oldest event that is kept; 0 if there is none.
    pub fn oldest_event(&self) -> Result<i64> {
        self.number("select coalesce(min(seq), 0) from events", [])
    }

    pub(super) fn number(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<i64> {
        let mut statement = self.prepare(sql)?;
        statement.query_row(parameters, |row| row.get(0)).map_err(sql_error)
    }
}

/// None for a kind of a newer version.
fn event_row(row: &Row<'_>) -> rusqlite::Result<Option<EventRow>> {
    let Some(kind) = Kind::from_number(row.get(2)?) else { return Ok(None) };
    let room_id = row.get::<_, Option<[u8; 16]>>(1)?.map(RoomId::from_bytes);
    Ok(Some(EventRow { seq: row.get(0)?, room_id, kind, json: row.get(3)? }))
}
