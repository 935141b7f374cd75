//! Bookmarks: rooms that somebody wants to find first.

use super::counts::Count;
use super::events::Kind;
use super::rooms::{RoomRef, VISIBLE, Viewer};
use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::params;
use rusqlite::types::Null;
use serde_json::json;

/// A bookmarked room.
#[derive(Debug, Clone)]
pub struct BookmarkRow {
    pub room_id: RoomId,
    pub room_name: String,
    pub description: String,
    pub created_at: Micros,
    pub bookmarked_at: Micros,
    pub message_count: i64,
    pub last_activity: Option<Micros>,
    /// Number of the bookmark's event, which the list is ordered by.
    pub event: i64,
}

impl Tx<'_> {
    /// False: it was there already.
    pub fn add_bookmark(&mut self, room: &RoomRef, sender: &str) -> Result<bool> {
        let there = "select exists (select 1 from bookmarks where sender = ?1 and room = ?2)";
        if self.read().number(there, params![sender, room.key])? == 1 {
            return Ok(false);
        }
        let now = self.stamp();
        let event = self.record_bookmark(room, Kind::RoomBookmarked, sender)?;
        let sql = "insert into bookmarks (sender, room, created_at, event) values (?1, ?2, ?3, ?4)";
        self.execute(sql, params![sender, room.key, now, event])?;
        self.tally(Count::Bookmarks, 1);
        Ok(true)
    }

    /// False: there was none.
    pub fn remove_bookmark(&mut self, room: &RoomRef, sender: &str) -> Result<bool> {
        let sql = "delete from bookmarks where sender = ?1 and room = ?2";
        let removed = self.execute(sql, params![sender, room.key])? > 0;
        if removed {
            self.record_bookmark(room, Kind::RoomUnbookmarked, sender)?;
            self.tally(Count::Bookmarks, -1);
        }
        Ok(removed)
    }

    fn record_bookmark(&mut self, room: &RoomRef, kind: Kind, sender: &str) -> Result<i64> {
        let json = |seq| json!({ "room_id": room.id, "sender": sender, "seq": seq }).to_string();
        self.record(Some(room.key), kind, json)
    }
}

impl Read<'_> {
    /// Newest first, before the one whose event is numbered `before`.
    pub fn bookmarks(&self, sender: &str, viewer: &Viewer, before: i64, limit: u32) -> Result<Vec<BookmarkRow>> {
        let sql = format!(
            "select r.id, r.name, r.description, r.created_at, b.created_at, s.message_count, m.created_at, b.event
             from bookmarks b indexed by bookmarks_event join rooms r on r.key = b.room join room_state s on s.room = r.key
             left join messages m on m.seq = s.last_seq
             where b.sender = ?1 and b.event < ?2 and {VISIBLE} order by b.event desc limit ?3"
        );
        let row = |row: &rusqlite::Row<'_>| {
            Ok(BookmarkRow {
                room_id: RoomId::from_bytes(row.get(0)?),
                room_name: row.get(1)?,
                description: row.get(2)?,
                created_at: row.get(3)?,
                bookmarked_at: row.get(4)?,
                message_count: row.get(5)?,
                last_activity: row.get(6)?,
                event: row.get(7)?,
            })
        };
        let mut statement = self.prepare(&sql)?;
        // Numbered up to 9, because that is where the viewer's name is expected.
        let parameters = params![sender, before, limit, Null, Null, Null, Null, Null, viewer.name()];
        let rows = statement.query_map(parameters, row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
