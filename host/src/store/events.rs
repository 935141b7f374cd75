//! The log: one row per durable fact, numbered by `seq`. A message's event holds no copy of it as long as the message is unchanged.

use super::{Read, Tx, sql_error};
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::{Row, params};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal;)*) => {
        /// What happened. The numbers are in the store and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* $kind = $number,)* }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As streams and webhooks call it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    Message = 1, "message";
    RoomCreated = 2, "room_created";
    MessageEdited = 3, "message_edited";
    MessageDeleted = 4, "message_deleted";
    MessagePinned = 5, "message_pinned";
    MessageUnpinned = 6, "message_unpinned";
    ReactionAdded = 7, "reaction_added";
    ReactionRemoved = 8, "reaction_removed";
    RoomUpdated = 9, "room_updated";
    RoomArchived = 10, "room_archived";
    RoomUnarchived = 11, "room_unarchived";
    RoomDeleted = 12, "room_deleted";
    RoomBookmarked = 13, "room_bookmarked";
    RoomUnbookmarked = 14, "room_unbookmarked";
    FileUploaded = 15, "file_uploaded";
    FileDeleted = 16, "file_deleted";
    ProfileUpdated = 17, "profile_updated";
    ProfileDeleted = 18, "profile_deleted";
    ReadPositionUpdated = 19, "read_position_updated";
    WebhookDisabled = 20, "webhook_disabled";
    /// The event of a message that was deleted since, emptied. Another number, so that the index tells it from those that are there.
    DeletedMessage = 21, "message";
    ConversationTaken = 22, "conversation_taken";
    ConversationReleased = 23, "conversation_released";
}

impl Kind {
    pub(super) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as i64 == number)
    }
}

/// An event that was just written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub seq: i64,
    /// None: of no room, for every stream.
    pub room: Option<i64>,
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
    /// Writes one durable fact and has it published after the commit; answers its number. `json` makes the payload from that number.
    /// This and the message's own way ([`Tx::insert_event`]) are the only doors to the log.
    pub(super) fn record(&mut self, room: Option<i64>, kind: Kind, json: impl FnOnce(i64) -> String) -> Result<i64> {
        self.record_about(room, kind, None, json)
    }

    /// The same for an event that shows a message's content, numbered `message`: it is emptied when that is deleted.
    pub(super) fn record_about(
        &mut self,
        room: Option<i64>,
        kind: Kind,
        message: Option<i64>,
        json: impl FnOnce(i64) -> String,
    ) -> Result<i64> {
        self.execute(
            "insert into events (room, kind, message) values (?1, ?2, ?3)",
            params![room, kind as i64, message],
        )?;
        let seq = self.connection.last_insert_rowid();
        let json = json(seq);
        self.execute("update events set data = ?2 where seq = ?1", params![seq, json])?;
        self.publish(room, kind, seq, json)?;
        Ok(seq)
    }

    /// Takes the next number of the log for a new message, whose row will hold the payload.
    pub(super) fn insert_event(&mut self, room: i64, kind: Kind) -> Result<i64> {
        self.execute("insert into events (room, kind) values (?1, ?2)", params![room, kind as i64])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// To be published after the commit; endpoints that want it get it by the queue.
    pub(super) fn publish(&mut self, room: Option<i64>, kind: Kind, seq: i64, json: String) -> Result<()> {
        if let Some(room) = room {
            self.queue_webhooks(room, kind, seq, &json)?;
        }
        self.effects.events.push(NewEvent { seq, room, kind, json });
        Ok(())
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
