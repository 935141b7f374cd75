//! Rooms that change: renamed, limited, archived, given a new key. `event` gives the payload of the change's event.

use super::counts::Count;
use super::events::Kind;
use super::rooms::{RoomKind, RoomRef, RoomRow, numbered, unknown_room};
use super::{Tx, prepare, sql_error};
use crate::error::{Error, Result};
use crate::ids::RoomId;
use rusqlite::{ErrorCode, OptionalExtension, params};

/// What changes; None: it stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomChange {
    pub name: Option<String>,
    pub description: Option<String>,
    /// Some(None): no limit any more.
    pub max_messages: Option<Option<i64>>,
    pub max_message_age_hours: Option<Option<i64>>,
}

impl Tx<'_> {
    /// Nothing to change is no event.
    pub fn update_room(
        &mut self,
        room: &RoomRef,
        change: &RoomChange,
        event: impl Fn(&RoomRow) -> String,
    ) -> Result<RoomRow> {
        let old = self.read().room(room.id)?.ok_or_else(unknown_room)?;
        if *change == RoomChange::default() {
            return Ok(old);
        }
        let sql = "update rooms set name = ?2, description = ?3, max_messages = ?4, max_message_age_hours = ?5, updated_at = ?6
                   where key = ?1";
        let values = params![
            room.key,
            change.name.as_ref().unwrap_or(&old.name),
            change.description.as_ref().unwrap_or(&old.description),
            change.max_messages.unwrap_or(old.max_messages),
            change.max_message_age_hours.unwrap_or(old.max_message_age_hours),
            self.stamp()
        ];
        let updated = prepare(self.connection, sql).and_then(|mut statement| statement.execute(values));
        updated.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Error::Conflict("A room with that name already exists".into()),
            _ => sql_error(error),
        })?;
        self.room_changed(room, Kind::RoomUpdated, event)
    }

    /// 409 if it is so already.
    pub fn set_archived(
        &mut self,
        room: &RoomRef,
        archived: bool,
        event: impl Fn(&RoomRow) -> String,
    ) -> Result<RoomRow> {
        let old = self.read().room(room.id)?.ok_or_else(unknown_room)?;
        if old.archived_at.is_some() == archived {
            let state = if archived { "already" } else { "not" };
            return Err(Error::Conflict(format!("Room is {state} archived")));
        }
        let now = self.stamp();
        let sql = "update rooms set archived_at = ?2, updated_at = ?3 where key = ?1";
        self.execute(sql, params![room.key, archived.then_some(now), now])?;
        if room.kind == RoomKind::Room {
            self.tally(Count::ArchivedRooms, if archived { 1 } else { -1 });
        }
        self.room_changed(room, if archived { Kind::RoomArchived } else { Kind::RoomUnarchived }, event)
    }

    fn room_changed(&mut self, room: &RoomRef, kind: Kind, event: impl Fn(&RoomRow) -> String) -> Result<RoomRow> {
        let row = self.read().room(room.id)?.ok_or_else(unknown_room)?;
        self.record(Some(room.key), kind, |seq| numbered(event(&row), seq))?;
        Ok(row)
    }

    /// Gives an ordinary room another key; the old one opens nothing any more. `digest`: SHA-256 of the new one.
    pub fn rotate_room_key(&mut self, name: &str, digest: &[u8; 32]) -> Result<RoomId> {
        let sql = "update rooms set admin_key = ?2 where type = 'room' and name = ?1 returning id";
        let mut statement = self.prepare(sql)?;
        let id = statement.query_row(params![name, digest], |row| row.get(0)).optional().map_err(sql_error)?;
        let unknown = || Error::NotFound(format!("no room has the name '{name}'; `rooms list` shows those there are"));
        Ok(RoomId::from_bytes(id.ok_or_else(unknown)?))
    }
}
