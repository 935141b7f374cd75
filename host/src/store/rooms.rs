//! Rooms: ordinary ones, which people make and list, and those of bridged conversations.

use super::counts::Count;
use super::{Kind, Read, Tx, prepare, sql_error};
use crate::clock::Micros;
use crate::error::{Error, Result};
use crate::ids::RoomId;
use rusqlite::{ErrorCode, OptionalExtension, Row, params};

/// A room to be made.
#[derive(Debug, Clone, Default)]
pub struct NewRoom {
    pub name: String,
    pub description: String,
    pub created_by: String,
    /// SHA-256 of the admin key; empty: none.
    pub admin_key: Vec<u8>,
    /// Older messages beyond so many are deleted.
    pub max_messages: Option<i64>,
    pub max_message_age_hours: Option<i64>,
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
    pub archived_at: Option<Micros>,
    pub max_messages: Option<i64>,
    pub max_message_age_hours: Option<i64>,
    /// JSON of the newest message and when it was written.
    pub last_message: Option<(String, Micros)>,
}

/// What a room is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomKind {
    /// An ordinary one, which anybody makes and lists.
    Room,
    /// Of two people's direct messages.
    Dm,
    /// Of a conversation on a platform.
    Bridge,
}

impl RoomKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Dm => "dm",
            Self::Bridge => "bridge",
        }
    }

    pub(super) fn from_name(name: &str) -> Self {
        [Self::Dm, Self::Bridge].into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Room)
    }
}

/// What deeds in a room need to know of it.
#[derive(Debug, Clone, Copy)]
pub struct RoomRef {
    /// Its number inside the store, which its events and streams go by.
    pub key: i64,
    pub id: RoomId,
    pub kind: RoomKind,
    /// SHA-256 of its admin key; None: only the operator administers it.
    pub admin_key: Option<[u8; 32]>,
}

impl RoomRef {
    pub(super) fn bridge(key: i64, id: RoomId) -> Self {
        Self { key, id, kind: RoomKind::Bridge, admin_key: None }
    }
}

/// Whose eyes a query is for: rooms of direct messages are for their two people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// Where everybody is trusted.
    Everyone,
    Person(String),
    /// Somebody who sees no direct messages at all.
    Nobody,
}

impl Viewer {
    /// The parameter for [`VISIBLE`].
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Everyone => None,
            Self::Person(name) => Some(name),
            Self::Nobody => Some(""),
        }
    }
}

/// Narrows a query with `rooms r` to what a viewer may see; `?9` is [`Viewer::name`]. A room that is being deleted is nobody's.
pub(super) const VISIBLE: &str = "(r.type <> 'deleted' and (r.type <> 'dm' or ?9 is null
     or exists (select 1 from dms d where d.room = r.key and (d.low = ?9 or d.high = ?9))))";

/// What [`room_row`] reads.
pub(super) const COLUMNS: &str = "r.key, r.id, r.type, r.name, r.description, r.created_by, r.created_at, r.updated_at,
     s.message_count, s.last_seq, m.json, m.created_at, r.archived_at, r.max_messages, r.max_message_age_hours";

impl Tx<'_> {
    /// Makes an ordinary room; `event` gives the payload of its event.
    pub fn create_room(&mut self, room: &NewRoom, event: impl Fn(&RoomRow) -> String) -> Result<RoomRow> {
        let id = RoomId::new();
        let key = self.insert_room(id, "room", room).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Error::Conflict(format!("Room '{}' already exists", room.name)),
            _ => sql_error(error),
        })?;
        let made = self.read().room(id)?.ok_or_else(|| Error::Internal("a room just made is not there".into()))?;
        self.record(Some(key), Kind::RoomCreated, |seq| numbered(event(&made), seq))?;
        self.tally(Count::Rooms, 1);
        Ok(made)
    }

    /// The room of a conversation: no event, no key.
    pub(super) fn create_bridge_room(&mut self, name: String, created_by: &str) -> Result<RoomRef> {
        let id = RoomId::new();
        let room = NewRoom { name, created_by: created_by.into(), ..NewRoom::default() };
        let key = self.insert_room(id, "bridge", &room).map_err(sql_error)?;
        Ok(RoomRef::bridge(key, id))
    }

    pub(super) fn insert_room(&mut self, id: RoomId, kind: &str, room: &NewRoom) -> rusqlite::Result<i64> {
        let now = self.stamp();
        // A number that no earlier room had: the log may still know that one.
        prepare(self.connection, "insert into room_keys default values")?.execute([])?;
        let key = self.connection.last_insert_rowid();
        prepare(self.connection, "delete from room_keys where key = ?1")?.execute([key])?;
        let sql = "insert into rooms (key, id, type, name, description, created_by, admin_key, created_at, updated_at,
                                      max_messages, max_message_age_hours)
                   values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10)";
        let admin_key = (!room.admin_key.is_empty()).then_some(&room.admin_key);
        let NewRoom { name, description, created_by, max_messages, max_message_age_hours, .. } = room;
        let values = params![
            key,
            id.bytes(),
            kind,
            name,
            description,
            created_by,
            admin_key,
            now,
            max_messages,
            max_message_age_hours
        ];
        prepare(self.connection, sql)?.execute(values)?;
        prepare(self.connection, "insert into room_state (room) values (?1)")?.execute([key])?;
        Ok(key)
    }

    /// See [`Read::visible_room`].
    pub fn visible_room(&self, id: RoomId, viewer: &Viewer) -> Result<RoomRef> {
        self.read().visible_room(id, viewer)
    }

    /// Makes the room `general` in a store where nothing has happened yet.
    pub fn seed_general(&mut self) -> Result<()> {
        let no_room = self.read().number("select exists (select 1 from rooms where type = 'room')", [])? == 0;
        if no_room && self.read().head()? == 0 {
            let room = NewRoom {
                name: "general".into(),
                description: "Default room".into(),
                created_by: "system".into(),
                ..NewRoom::default()
            };
            self.insert_room(RoomId::new(), "room", &room).map_err(sql_error)?;
            self.tally(Count::Rooms, 1);
        }
        Ok(())
    }
}

impl Read<'_> {
    pub fn room(&self, id: RoomId) -> Result<Option<RoomRow>> {
        let sql = format!(
            "select {COLUMNS} from rooms r join room_state s on s.room = r.key left join messages m on m.seq = s.last_seq
             where r.id = ?1 and r.type <> 'deleted'"
        );
        let mut statement = self.prepare(&sql)?;
        statement.query_row([id.bytes()], room_row).optional().map_err(sql_error)
    }

    /// The room, if the viewer may see it; else it is as if it were not there.
    pub fn visible_room(&self, id: RoomId, viewer: &Viewer) -> Result<RoomRef> {
        let room = self.room_ref(id)?.ok_or_else(unknown_room)?;
        match viewer.name() {
            Some(name) if room.kind == RoomKind::Dm => {
                let sql = "select exists (select 1 from dms where room = ?1 and (low = ?2 or high = ?2))";
                if self.number(sql, params![room.key, name])? == 1 { Ok(room) } else { Err(unknown_room()) }
            }
            _ => Ok(room),
        }
    }

    /// Number of the room inside the store, for the host's own work.
    pub fn room_key(&self, id: RoomId) -> Result<i64> {
        self.room_ref(id)?.map(|room| room.key).ok_or_else(unknown_room)
    }

    pub(super) fn room_ref(&self, id: RoomId) -> Result<Option<RoomRef>> {
        let mut statement =
            self.prepare("select key, type, admin_key from rooms where id = ?1 and type <> 'deleted'")?;
        let row = |row: &Row<'_>| {
            let kind = RoomKind::from_name(row.get_ref(1)?.as_str()?);
            let admin_key = row.get::<_, Option<Vec<u8>>>(2)?.and_then(|digest| digest.try_into().ok());
            Ok(RoomRef { key: row.get(0)?, id, kind, admin_key })
        };
        statement.query_row([id.bytes()], row).optional().map_err(sql_error)
    }
}

/// An event's payload with the number that it got.
pub(super) fn numbered(mut json: String, seq: i64) -> String {
    if json.len() > 2 && json.pop() == Some('}') {
        json += &format!(",\"seq\":{seq}}}");
    }
    json
}

pub(super) fn room_row(row: &Row<'_>) -> rusqlite::Result<RoomRow> {
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
        archived_at: row.get(12)?,
        max_messages: row.get(13)?,
        max_message_age_hours: row.get(14)?,
        last_message: last_message.zip(last_at),
    })
}

pub(super) fn unknown_room() -> Error {
    Error::NotFound("Room not found".into())
}
