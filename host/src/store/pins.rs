//! Messages that a room's owner keeps in sight.

use super::counts::Count;
use super::events::Kind;
use super::message_changes::MessageRow;
use super::messages::Message;
use super::rooms::RoomRef;
use super::{Read, Tx, sql_error};
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::{MessageId, RoomId};
use rusqlite::{Row, params};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Whoever has the room's key; more is not known of them.
const PINNED_BY: &str = "admin";

/// A pinned message as the API shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PinnedMessage {
    pub id: MessageId,
    pub room_id: RoomId,
    pub sender: String,
    pub content: String,
    /// Any JSON, `{}` if none was given.
    #[schema(value_type = serde_json::Value)]
    pub metadata: Box<RawValue>,
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When it was last edited; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub edited_at: Option<String>,
    /// Id of the message that it answers; absent if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<MessageId>,
    /// `agent`, `human` or another word; absent if the sender did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sender_type: Option<String>,
    /// The message's number in the log.
    pub seq: i64,
    #[schema(format = "date-time")]
    pub pinned_at: String,
    pub pinned_by: String,
}

impl From<Message> for PinnedMessage {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            room_id: message.room_id,
            sender: message.sender,
            content: message.content,
            metadata: message.metadata,
            created_at: message.created_at,
            edited_at: message.edited_at,
            reply_to: message.reply_to,
            sender_type: message.sender_type,
            seq: message.seq,
            pinned_at: message.pinned_at.unwrap_or_default(),
            pinned_by: message.pinned_by.unwrap_or_default(),
        }
    }
}

impl Tx<'_> {
    pub fn pin_message(&mut self, room: &RoomRef, row: &MessageRow) -> Result<PinnedMessage> {
        let old = &row.message;
        if old.pinned_at.is_some() {
            return Err(Error::Conflict("Message is already pinned".into()));
        }
        let pinned_at = Some(clock::format(self.stamp()));
        let message = Message { pinned_at, pinned_by: Some(PINNED_BY.into()), ..old.clone() };
        self.change_message(row.seq, old, &message)?;
        let pinned = PinnedMessage::from(message);
        let json = serde_json::to_string(&pinned).unwrap_or_default();
        let event = self.record_about(Some(room.key), Kind::MessagePinned, Some(row.seq), |_| json)?;
        self.execute("insert into pins (seq, room, event) values (?1, ?2, ?3)", [row.seq, room.key, event])?;
        self.tally(Count::Pins, 1);
        Ok(pinned)
    }

    pub fn unpin_message(&mut self, room: &RoomRef, row: &MessageRow) -> Result<()> {
        let old = &row.message;
        if old.pinned_at.is_none() {
            return Err(Error::Invalid("Message is not pinned".into()));
        }
        let message = Message { pinned_at: None, pinned_by: None, ..old.clone() };
        self.change_message(row.seq, old, &message)?;
        self.execute("delete from pins where seq = ?1", [row.seq])?;
        self.tally(Count::Pins, -1);
        self.record(Some(room.key), Kind::MessageUnpinned, |seq| {
            json!({ "id": old.id, "room_id": room.id, "seq": seq }).to_string()
        })?;
        Ok(())
    }
}

impl Read<'_> {
    /// A room's pins, newest first, each with the number of its pinning; those pinned before the one numbered `before`.
    pub fn pins(&self, room: i64, before: i64, limit: u32) -> Result<Vec<(i64, PinnedMessage)>> {
        let sql = "select p.event, m.json from pins p join messages m on m.seq = p.seq
                   where p.room = ?1 and p.event < ?2 order by p.event desc limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let rows = statement.query_map(params![room, before, limit], row).map_err(sql_error)?;
        let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        rows.into_iter().map(|(event, json)| Ok((event, Message::from_json(&json)?.into()))).collect()
    }
}
