//! Rooms: ordinary ones, which people make and list, and those of bridged conversations.

use super::{Kind, Read, Tx, prepare, sql_error};
use crate::clock::Micros;
use crate::error::{Error, Result};
use crate::ids::RoomId;
use rusqlite::{ErrorCode, OptionalExtension, Row, params};

/// A room to be made.
#[derive(Debug, Clone)]
pub struct NewRoom {
    pub name: String,
    pub description: String,
    pub created_by: String,
    /// SHA-256 of the admin key.
    pub admin_key: Vec<u8>,
}

/// A room with what is kept about its messages.
#[derive(Debug, Clone)]
pub struct RoomRow {
    pub key: i64,
    pub id: RoomId,
    pub kind: String,
    pub name: String,
    pub description: String,
    pub created_by: String,
    pub created_at: Micros,
    pub updated_at: Micros,
    pub message_count: i64,
    pub last_seq: Option<i64>,
    /// JSON of the newest message and when it was written.
    pub last_message: Option<(String, Micros)>,
}

/// What a message needs to know of its room.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomRef {
    pub key: i64,
    pub id: RoomId,
    pub is_bridge: bool,
}

const COLUMNS: &str = "select r.key, r.id, r.type, r.name, r.description, r.created_by, r.created_at, r.updated_at,
            s.message_count, s.last_seq, m.json, m.created_at
     from rooms r join room_state s on s.room = r.key left join messages m on m.seq = s.last_seq";

impl Tx<'_> {
    /// Makes an ordinary room; `event` gives the payload of its event.
    pub fn create_room(&mut self, room: &NewRoom, event: impl Fn(&RoomRow) -> String) -> Result<RoomRow> {
        let id = RoomId::new();
        let key = self.insert_room(id, "room", room).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Error::Conflict(format!("Room '{}' already exists", room.name)),
            _ => sql_error(error),
        })?;
        let made = self.read().room(id)?.ok_or_else(|| Error::Internal("a room just made is not there".into()))?;
        let json = event(&made);
        let seq = self.insert_event(key, Kind::RoomCreated, Some(&json))?;
        self.publish(key, Kind::RoomCreated, seq, json);
        Ok(made)
    }

    /// The room of a conversation: no event, no key.
    pub(super) fn create_bridge_room(&mut self, name: String, created_by: &str) -> Result<RoomRef> {
        let id = RoomId::new();
        let room = NewRoom { name, description: String::new(), created_by: created_by.into(), admin_key: Vec::new() };
        let key = self.insert_room(id, "bridge", &room).map_err(sql_error)?;
        Ok(RoomRef { key, id, is_bridge: true })
    }

    fn insert_room(&mut self, id: RoomId, kind: &str, room: &NewRoom) -> rusqlite::Result<i64> {
        let now = self.stamp();
        let sql = "insert into rooms (id, type, name, description, created_by, admin_key, created_at, updated_at)
                   values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
        let admin_key = (!room.admin_key.is_empty()).then_some(&room.admin_key);
        let values = params![id.bytes(), kind, room.name, room.description, room.created_by, admin_key, now];
        prepare(self.connection, sql)?.execute(values)?;
        let key = self.connection.last_insert_rowid();
        self.connection.prepare_cached("insert into room_state (room) values (?1)")?.execute([key])?;
        Ok(key)
    }

    pub(super) fn room_ref(&self, id: RoomId) -> Result<RoomRef> {
        self.read().room_ref(id)?.ok_or_else(|| Error::NotFound("Room not found".into()))
    }

    /// Makes the room `general` in a store that has no room yet.
    pub fn seed_general(&mut self) -> Result<()> {
        if self.read().number("select exists (select 1 from rooms where type = 'room')", [])? == 0 {
            let room = NewRoom {
                name: "general".into(),
                description: "Default room".into(),
                created_by: "system".into(),
                admin_key: Vec::new(),
            };
            self.insert_room(RoomId::new(), "room", &room).map_err(sql_error)?;
        }
        Ok(())
    }
}

impl Read<'_> {
    pub fn room(&self, id: RoomId) -> Result<Option<RoomRow>> {
        let sql = format!("{COLUMNS} where r.id = ?1");
        let mut statement = self.prepare(&sql)?;
        statement.query_row([id.bytes()], room_row).optional().map_err(sql_error)
    }

    /// Number of the room inside the store, which its events and streams go by.
    pub fn room_key(&self, id: RoomId) -> Result<i64> {
        self.room_ref(id)?.map(|room| room.key).ok_or_else(|| Error::NotFound("Room not found".into()))
    }

    pub(super) fn room_ref(&self, id: RoomId) -> Result<Option<RoomRef>> {
        let mut statement = self.prepare("select key, type = 'bridge' from rooms where id = ?1")?;
        let row = |row: &Row<'_>| Ok(RoomRef { key: row.get(0)?, id, is_bridge: row.get(1)? });
        statement.query_row([id.bytes()], row).optional().map_err(sql_error)
    }

    /// Ordinary rooms: newest activity first, those without any last, then by name. `offset` skips those already seen.
    pub fn rooms(&self, offset: u32, limit: u32) -> Result<Vec<RoomRow>> {
        let sql =
            format!("{COLUMNS} where r.type = 'room' order by s.last_seq desc nulls last, r.name limit ?1 offset ?2");
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map([limit, offset], room_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

fn room_row(row: &Row<'_>) -> rusqlite::Result<RoomRow> {
    let last_message: Option<String> = row.get(10)?;
    let last_at: Option<Micros> = row.get(11)?;
    Ok(RoomRow {
        key: row.get(0)?,
        id: RoomId::from_bytes(row.get(1)?),
        kind: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        created_by: row.get(5)?,
        created_at: row.get(6)?,
        updated_at: row.get::<_, Micros>(7)?.max(last_at.unwrap_or(0)),
        message_count: row.get(8)?,
        last_seq: row.get(9)?,
        last_message: last_message.zip(last_at),
    })
}
