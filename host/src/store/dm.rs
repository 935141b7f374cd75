//! Direct messages: a room for each two people, found by their exact names. It is made with its first message and has no event of its own.

use super::counts::Count;
use super::messages::{Draft, Message, Posted};
use super::rooms::{NewRoom, RoomKind, RoomRef, RoomRow, Viewer};
use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::{Error, Result};
use crate::ids::RoomId;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

/// A message from one person to another.
#[derive(Debug, Clone)]
pub struct DirectMessage {
    pub sender: String,
    pub recipient: String,
    pub content: String,
    pub metadata: Value,
    pub sender_type: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct SentDirect {
    pub posted: Posted,
    pub room_id: RoomId,
    /// Whether it was the first between the two.
    pub is_first: bool,
}

/// Somebody's conversation with another person.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub room_id: RoomId,
    pub other: String,
    pub last_message: Option<Message>,
    pub message_count: i64,
    pub unread_count: i64,
    pub created_at: Micros,
}

/// The two in the order in which their room names them: by their characters' numbers.
fn pair<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    if a <= b { (a, b) } else { (b, a) }
}

impl Tx<'_> {
    pub fn send_direct(&mut self, direct: &DirectMessage) -> Result<SentDirect> {
        let DirectMessage { sender, recipient, content, metadata, sender_type } = direct;
        let (low, high) = pair(sender, recipient);
        let known = self.read().direct_room(low, high)?;
        let room = match known {
            Some(room) => room,
            None => self.create_direct_room(low, high, sender)?,
        };
        let draft = Draft::new(room.id, sender, content, metadata, sender_type.as_deref())?;
        let posted = self.post_in(&room, &draft, None)?;
        Ok(SentDirect { posted, room_id: room.id, is_first: known.is_none() })
    }

    fn create_direct_room(&mut self, low: &str, high: &str, created_by: &str) -> Result<RoomRef> {
        // The pair of a room whose rows are just being removed would stand in the way.
        let sql = "delete from dms where low = ?1 and high = ?2";
        self.execute(sql, [low, high])?;
        let id = RoomId::new();
        let (name, description) = (format!("dm:{low}:{high}"), format!("DM between {low} and {high}"));
        let room = NewRoom { name, description, created_by: created_by.into(), ..NewRoom::default() };
        let key = self.insert_room(id, RoomKind::Dm.name(), &room).map_err(sql_error)?;
        self.execute("insert into dms (room, low, high) values (?1, ?2, ?3)", params![key, low, high])?;
        self.tally(Count::Dms, 1);
        Ok(RoomRef { key, id, kind: RoomKind::Dm, admin_key: None })
    }
}

impl Read<'_> {
    fn direct_room(&self, low: &str, high: &str) -> Result<Option<RoomRef>> {
        let sql = "select r.key, r.id from dms d join rooms r on r.key = d.room
                   where d.low = ?1 and d.high = ?2 and r.type = 'dm'";
        let mut statement = self.prepare(sql)?;
        let room = statement.query_row([low, high], |row| {
            let (key, id) = (row.get(0)?, RoomId::from_bytes(row.get(1)?));
            Ok(RoomRef { key, id, kind: RoomKind::Dm, admin_key: None })
        });
        room.optional().map_err(sql_error)
    }

    /// Somebody's conversations, newest first, without the first `offset` of them.
    pub fn conversations_of(&self, sender: &str, offset: u32, limit: u32) -> Result<Vec<Conversation>> {
        let sql = "with q (room, other) as (select room, high from dms where low = ?1 union all select room, low from dms where high = ?1)
                   select r.key, coalesce(p.last_read_seq, 0), r.id, q.other, s.message_count, r.created_at, m.json
                   from q cross join rooms r on r.key = q.room cross join room_state s on s.room = q.room
                        left join messages m on m.seq = s.last_seq
                        left join read_positions p on p.room = q.room and p.sender = ?1
                   where r.type = 'dm' order by s.last_seq desc nulls last, r.key desc limit ?2 offset ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let json: Option<String> = row.get(6)?;
            let conversation = Conversation {
                room_id: RoomId::from_bytes(row.get(2)?),
                other: row.get(3)?,
                last_message: json.and_then(|json| Message::from_json(&json).ok()),
                message_count: row.get(4)?,
                unread_count: 0,
                created_at: row.get(5)?,
            };
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, conversation))
        };
        let rows = statement.query_map(params![sender, limit, offset], row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let counted = rows.into_iter().map(|(key, read, conversation)| {
            Ok(Conversation { unread_count: self.unread(key, read, sender)?, ..conversation })
        });
        counted.collect()
    }

    /// The room of two people's direct messages.
    pub fn conversation_room(&self, id: RoomId, viewer: &Viewer) -> Result<RoomRow> {
        let unknown = || Error::NotFound("DM conversation not found".into());
        let known = self.visible_room(id, viewer).map_err(|error| match error {
            Error::NotFound(_) => unknown(),
            other => other,
        })?;
        if known.kind != RoomKind::Dm {
            return Err(unknown());
        }
        self.room(id)?.ok_or_else(unknown)
    }
}
