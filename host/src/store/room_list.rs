//! The list of rooms, newest activity first. Rooms move while somebody pages; a page therefore says how far the log had come when its
//! reader began, and rooms stand where they stood then.

use super::rooms::{COLUMNS, RoomKind, RoomRow, VISIBLE, Viewer, room_row};
use super::{Read, sql_error};
use crate::error::Result;
use rusqlite::{Row, params};

/// Which rooms, and for whom.
#[derive(Debug, Clone)]
pub struct RoomQuery {
    pub kinds: Vec<RoomKind>,
    pub include_archived: bool,
    /// Whose bookmarks come first.
    pub sender: Option<String>,
    pub viewer: Viewer,
    /// The last room of the page before.
    pub after: Option<RoomPlace>,
    pub limit: u32,
}

/// Where a room stands in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPlace {
    /// Number of the newest event when the first page was read.
    pub head: i64,
    pub bookmarked: bool,
    /// Number of the newest message then; 0 if there was none.
    pub last_seq: i64,
    pub name: String,
    pub key: i64,
}

/// A room of the list.
#[derive(Debug, Clone)]
pub struct ListedRoom {
    pub row: RoomRow,
    pub bookmarked: bool,
    pub place: RoomPlace,
}

impl RoomQuery {
    /// Ordinary rooms that are not archived.
    pub fn ordinary(limit: u32) -> Self {
        Self {
            kinds: vec![RoomKind::Room],
            include_archived: false,
            sender: None,
            viewer: Viewer::Everyone,
            after: None,
            limit,
        }
    }

    fn condition(&self) -> String {
        match self.kinds.as_slice() {
            [kind] => format!("r.type = '{}'", kind.name()),
            kinds => {
                let names: Vec<_> = kinds.iter().map(|kind| format!("'{}'", kind.name())).collect();
                format!("r.type in ({})", names.join(", "))
            }
        }
    }
}

impl Read<'_> {
    /// Bookmarked ones first, then by newest activity; those without any last, by name.
    pub fn rooms(&self, query: &RoomQuery) -> Result<Vec<ListedRoom>> {
        let head = query.after.as_ref().map_or_else(|| self.head(), |after| Ok(after.head))?;
        // Their order is found before their messages are read.
        let sql = format!(
            "select {COLUMNS}, q.marked, q.first, q.place from (
                 select r.key, r.name, b.room is not null as marked, coalesce(b.event <= ?1, 0) as first,
                        case when s.last_seq is null then 0 when s.last_seq <= ?1 then s.last_seq
                             else coalesce((select e.seq from events e where e.room = r.key and e.seq <= ?1 and e.kind = 1
                                            order by e.seq desc limit 1), 0) end as place
                 from rooms r join room_state s on s.room = r.key left join bookmarks b on b.sender = ?2 and b.room = r.key
                 where {} and (?3 or r.archived_at is null) and {VISIBLE}
                       and (1 - first, -place, r.name, r.key) > (?4, ?5, ?6, ?7)
                 order by first desc, place desc, r.name, r.key limit ?8
             ) q join rooms r on r.key = q.key join room_state s on s.room = r.key left join messages m on m.seq = s.last_seq
             order by q.first desc, q.place desc, q.name, q.key",
            query.condition()
        );
        let (unmarked, place, name, key) = match &query.after {
            Some(after) => (i64::from(!after.bookmarked), -after.last_seq, after.name.as_str(), after.key),
            None => (-1, 0, "", 0),
        };
        let parameters = params![
            head,
            query.sender,
            query.include_archived,
            unmarked,
            place,
            name,
            key,
            query.limit,
            query.viewer.name()
        ];
        let listed = |row: &Row<'_>| {
            let (room, bookmarked) = (room_row(row)?, row.get(15)?);
            let (name, key) = (room.name.clone(), room.key);
            let place = RoomPlace { head, bookmarked: row.get(16)?, last_seq: row.get(17)?, name, key };
            Ok(ListedRoom { row: room, bookmarked, place })
        };
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(parameters, listed).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
