//! What somebody has not read yet, room by room: ordinary rooms, their own direct messages, and other rooms where they have a position.

use super::{Read, sql_error};
use crate::error::Result;
use crate::ids::RoomId;

/// A room as its reader stands in it.
#[derive(Debug, Clone)]
pub struct UnreadRoom {
    pub key: i64,
    pub room_id: RoomId,
    pub room_name: String,
    pub unread: i64,
    pub last_read_seq: i64,
    /// Number of the newest message; 0 if there is none.
    pub latest_seq: i64,
}

/// Each with how to list its rooms: `r` is the room, ?1 the reader.
const SOURCES: [&str; 3] = [
    "rooms r",
    "(select room from dms where low = ?1 union all select room from dms where high = ?1) q cross join rooms r on r.key = q.room",
    "read_positions q cross join rooms r on r.key = q.room and q.sender = ?1",
];
const KINDS: [&str; 3] =
    ["r.type = 'room' order by r.name", "r.type = 'dm'", "r.type not in ('room', 'dm', 'deleted')"];

impl Read<'_> {
    /// All rooms of a reader, by name.
    pub fn unread_rooms(&self, reader: &str) -> Result<Vec<UnreadRoom>> {
        let mut rooms = Vec::new();
        for (source, kind) in SOURCES.iter().zip(KINDS) {
            let sql = format!(
                "select r.key, r.id, r.name, coalesce(p.last_read_seq, 0), coalesce(s.last_seq, 0), s.message_count,
                        coalesce(s.first_seq, 0), coalesce(o.message_count, 0)
                 from {source} join room_state s on s.room = r.key
                      left join read_positions p on p.room = r.key and p.sender = ?1
                      left join participants o on o.room = r.key and o.sender = ?1
                 where {kind}"
            );
            let mut statement = self.prepare(&sql)?;
            let mut rows = statement.query([reader]).map_err(sql_error)?;
            while let Some(row) = rows.next().map_err(sql_error)? {
                rooms.push(self.unread_room(row, reader)?);
            }
        }
        rooms.sort_by(|a, b| (&a.room_name, a.key).cmp(&(&b.room_name, b.key)));
        Ok(rooms)
    }

    fn unread_room(&self, row: &rusqlite::Row<'_>, reader: &str) -> Result<UnreadRoom> {
        let parsed = || -> rusqlite::Result<(UnreadRoom, i64, i64, i64)> {
            let room = UnreadRoom {
                key: row.get(0)?,
                room_id: RoomId::from_bytes(row.get(1)?),
                room_name: row.get(2)?,
                unread: 0,
                last_read_seq: row.get(3)?,
                latest_seq: row.get(4)?,
            };
            Ok((room, row.get(5)?, row.get(6)?, row.get(7)?))
        };
        let (mut room, count, first_seq, own) = parsed().map_err(sql_error)?;
        // Mostly nothing or everything is unread, which the counts say without another look.
        room.unread = if room.latest_seq <= room.last_read_seq {
            0
        } else if room.last_read_seq < first_seq {
            count - own
        } else {
            self.unread(room.key, room.last_read_seq, reader)?
        };
        Ok(room)
    }
}
