//! Messages that change or go. A message's own event holds no copy of it until then: the first change writes down what it said, so that
//! the log gives events as they were; a deletion empties every event that shows its content.

use super::counts::Count;
use super::events::Kind;
use super::mentions::mentions_in;
use super::messages::{Message, Stored};
use super::rooms::{RoomKind, RoomRef, Viewer};
use super::writer::SearchRow;
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::{EditId, MessageId, RoomId};
use rusqlite::{OptionalExtension, params};
use serde_json::json;
use serde_json::value::RawValue;

/// A message's row.
#[derive(Debug, Clone)]
pub struct MessageRow {
    pub seq: i64,
    pub ordinal: i64,
    pub created_at: Micros,
    /// Number of the message that it answers.
    pub reply_to: Option<i64>,
    pub message: Message,
}

/// Why a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Asked,
    Retention,
}

impl Tx<'_> {
    /// `metadata` None: it stays. Answers the message as it is now.
    pub fn edit_message(
        &mut self,
        room: &RoomRef,
        id: MessageId,
        sender: &str,
        content: &str,
        metadata: Option<&RawValue>,
    ) -> Result<Message> {
        let row = self.read().message(room, id)?.ok_or_else(unknown_message)?;
        if row.message.sender != sender {
            return Err(Error::Forbidden("Only the original sender can edit this message".into()));
        }
        let (old, now) = (row.message.clone(), self.stamp());
        self.execute(
            "insert into edits (id, seq, content, editor, edited_at) values (?1, ?2, ?3, ?4, ?5)",
            params![EditId::new().bytes(), row.seq, old.content, sender, now],
        )?;
        let message = Message {
            content: content.into(),
            metadata: metadata.map_or_else(|| old.metadata.clone(), ToOwned::to_owned),
            edited_at: Some(clock::format(now)),
            edit_count: old.edit_count + 1,
            ..old.clone()
        };
        self.change_message(row.seq, &old, &message)?;
        self.rewrite_mentions(room.key, row.seq, &mentions_in(content))?;
        let (sender, content) = (sender.to_owned(), content.to_owned());
        self.effects.search.push(SearchRow::Put { seq: row.seq, room: room.key, sender, content, is_new: false });
        self.record_about(Some(room.key), Kind::MessageEdited, Some(row.seq), |_| message.to_json())?;
        Ok(message)
    }

    /// Stores a message's new state; the log keeps the old one.
    pub(super) fn change_message(&mut self, seq: i64, old: &Message, new: &Message) -> Result<()> {
        self.execute("update events set data = ?2 where seq = ?1 and data is null", params![seq, old.to_json()])?;
        self.execute("update messages set json = ?2 where seq = ?1", params![seq, new.to_json()])?;
        Ok(())
    }

    /// Removes a message with all that hangs on it. Its place in threads stays: answers keep their `reply_to`.
    pub fn delete_message(&mut self, room: &RoomRef, row: &MessageRow, why: Deletion) -> Result<()> {
        self.shredding(|tx| tx.remove_message(room, row, why))
    }

    fn remove_message(&mut self, room: &RoomRef, row: &MessageRow, why: Deletion) -> Result<()> {
        let MessageRow { seq, message, .. } = row;
        self.empty_events(row)?;
        let reactions = self.execute("delete from reactions where seq = ?1", [seq])?;
        self.tally(Count::Reactions, -(reactions as i64));
        let pins = self.execute("delete from pins where seq = ?1", [seq])?;
        self.tally(Count::Pins, -(pins as i64));
        self.execute("delete from messages where seq = ?1", [seq])?;
        self.effects.search.push(SearchRow::Remove { seq: *seq });
        self.shrink_room(room.key, *seq)?;
        let (sender, sender_type) = (message.sender.as_str(), message.sender_type.as_deref());
        let (ordinal, created_at) = (row.ordinal, row.created_at);
        self.participant_lost(&Stored { room: room.key, seq: *seq, ordinal, sender, sender_type, created_at })?;
        self.tally_message(sender_type, row.reply_to.is_some(), room.kind == RoomKind::Dm, -1);
        self.forget_inbox(*seq)?;
        self.record(Some(room.key), Kind::MessageDeleted, |seq| {
            let mut event = json!({ "id": message.id, "room_id": room.id, "seq": seq });
            if why == Deletion::Retention {
                event["reason"] = "retention".into();
            }
            event.to_string()
        })?;
        Ok(())
    }

    fn empty_events(&mut self, row: &MessageRow) -> Result<()> {
        let mut original = row.message.clone();
        (original.edited_at, original.pinned_at, original.pinned_by, original.edit_count) = (None, None, None, 0);
        self.execute(
            "update events set kind = ?2, data = ?3 where seq = ?1",
            params![row.seq, Kind::DeletedMessage as i64, original.emptied().to_json()],
        )?;
        let mut statement = self.prepare("select seq, data from events where message = ?1")?;
        let event = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let events = statement.query_map([row.seq], event).map_err(sql_error)?;
        let events: Vec<_> = events.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (seq, data) in events {
            let emptied = Message::from_json(&data)?.emptied().to_json();
            self.execute("update events set data = ?2 where seq = ?1", params![seq, emptied])?;
        }
        self.trim_event(row.seq)
    }

    /// Takes the message out of its room's counts.
    fn shrink_room(&mut self, room: i64, seq: i64) -> Result<()> {
        self.execute("update room_state set message_count = message_count - 1 where room = ?1", [room])?;
        self.execute(
            "update room_state set last_seq = (select max(seq) from events where room = ?1 and kind = 1 and seq < ?2)
             where room = ?1 and last_seq = ?2",
            [room, seq],
        )?;
        self.execute(
            "update room_state set first_seq = (select min(seq) from events where room = ?1 and kind = 1 and seq > ?2)
             where room = ?1 and first_seq = ?2",
            [room, seq],
        )?;
        Ok(())
    }

    /// A deleted message waits for no poller.
    fn forget_inbox(&mut self, seq: i64) -> Result<()> {
        let sql = "select key, state, instance, lane from queue
                   where kind = 'inbox' and cause = ?1 and state in ('pending', 'processing')";
        self.flush_found(sql, params![seq], None).map(drop)
    }
}

impl Read<'_> {
    /// A message and its room, if the viewer may see that.
    pub fn find_message(&self, room: RoomId, id: MessageId, viewer: &Viewer) -> Result<Option<(RoomRef, MessageRow)>> {
        let room = match self.visible_room(room, viewer) {
            Err(Error::NotFound(_)) => return Ok(None),
            found => found?,
        };
        Ok(self.message(&room, id)?.map(|row| (room, row)))
    }

    /// A message of this room.
    pub fn message(&self, room: &RoomRef, id: MessageId) -> Result<Option<MessageRow>> {
        let sql = "select seq, ordinal, created_at, reply_to, json from messages where id = ?1 and room = ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let fixed = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((fixed, row.get::<_, String>(4)?))
        };
        let found = statement.query_row(params![id.bytes(), room.key], row).optional().map_err(sql_error)?;
        let Some(((seq, ordinal, created_at, reply_to), json)) = found else { return Ok(None) };
        Ok(Some(MessageRow { seq, ordinal, created_at, reply_to, message: Message::from_json(&json)? }))
    }
}

pub(super) fn unknown_message() -> Error {
    Error::NotFound("Message not found".into())
}
