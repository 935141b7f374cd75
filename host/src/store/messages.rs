//! Messages: written once, as the JSON that readers get; found by the log's number. Whatever others than the platform say in a bridged
//! room becomes a delivery in the same transaction; what is said in another one may become an agent's turn.

use super::counts::SenderSeen;
use super::events::Kind;
use super::history::Said;
use super::mentions::{Mention, mentions_in};
use super::rooms::{RoomKind, RoomRef, Viewer};
use super::writer::SearchRow;
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::{MessageId, RoomId};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A message as the API shows it, and as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    pub id: MessageId,
    pub room_id: RoomId,
    pub sender: String,
    pub content: String,
    /// Any JSON, `{}` if none was given.
    #[schema(value_type = serde_json::Value)]
    pub metadata: Box<RawValue>,
    /// `agent`, `human` or another word; absent if the sender did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sender_type: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When it was last edited; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub edited_at: Option<String>,
    /// Id of the message that it answers; absent if none. That one may have been deleted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<MessageId>,
    /// Its number in the log, which rises over all rooms.
    pub seq: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    pub pinned_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pinned_by: Option<String>,
    /// How often it was edited; absent if never.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(nullable = false)]
    pub edit_count: u32,
    /// True in streams where an earlier event shows a message that was deleted since: its content is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(nullable = false)]
    pub deleted: bool,
}

/// The content of a stored message, for those who look at a thousand of them: what stands before it is short, and nothing behind it is
/// looked at.
pub(super) fn content_of(json: &str) -> Option<Cow<'_, str>> {
    // Inside a text its quotes would be escaped, and the fields before it are texts.
    const NAME: &str = "\"content\":\"";
    let text = &json[json.find(NAME)? + NAME.len()..];
    let mut special = text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'"' | b'\\'));
    match special.next()? {
        (end, b'"') => Some(Cow::Borrowed(&text[..end])),
        _ => {
            let mut texts =
                serde_json::Deserializer::from_str(&json[json.len() - text.len() - 1..]).into_iter::<String>();
            texts.next()?.ok().map(Cow::Owned)
        }
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Message {
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| Error::Internal(format!("a stored message: {error}")))
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is left of it for those who read the log after its deletion.
    pub(super) fn emptied(mut self) -> Self {
        self.content = String::new();
        self.metadata = no_metadata();
        self.deleted = true;
        self
    }
}

pub(super) fn no_metadata() -> Box<RawValue> {
    serde_json::value::to_raw_value(&serde_json::Map::new()).unwrap_or_default()
}

/// A message before it has its number and time. Encoded by whoever makes it, so that the writer only appends.
#[derive(Debug, Clone)]
pub struct Draft {
    pub id: MessageId,
    room: RoomId,
    pub(super) sender: String,
    content: String,
    pub(super) sender_type: Option<String>,
    pub(super) mentions: Vec<Mention>,
    /// The message's JSON without its end.
    head: String,
    /// Where in it the message's number belongs, of one that has no other id on its platform.
    number_at: Option<usize>,
}

/// How the place of a message's own number stands in its metadata.
const NUMBERED: &str = "\"external_id\":\"\"";

#[derive(Serialize)]
struct Head<'a> {
    id: MessageId,
    room_id: RoomId,
    sender: &'a str,
    content: &'a str,
    metadata: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_type: Option<&'a str>,
}

impl Draft {
    pub fn new(room: RoomId, sender: &str, content: &str, metadata: &Value, sender_type: Option<&str>) -> Result<Self> {
        let id = MessageId::new();
        let head = Head { id, room_id: room, sender, content, metadata, sender_type };
        let mut head = serde_json::to_string(&head).map_err(|error| Error::Internal(format!("message: {error}")))?;
        head.pop();
        let (sender, content, sender_type) = (sender.into(), content.to_owned(), sender_type.map(Into::into));
        let mentions = mentions_in(&content);
        Ok(Self { id, room, sender, content, sender_type, mentions, head, number_at: None })
    }

    /// The empty `external_id` of its metadata becomes the message's number.
    #[must_use]
    pub(super) fn numbered(self) -> Self {
        // Inside a text its quotes would be escaped.
        let number_at = self.head.rfind(NUMBERED).map(|at| at + NUMBERED.len() - 1);
        Self { number_at, ..self }
    }

    /// Whether this was to say in this room what that message says.
    pub(super) fn says_the_same(&self, message: &Message) -> bool {
        (self.room, &self.sender, &self.content) == (message.room_id, &message.sender, &message.content)
    }

    fn finish(&self, created_at: Micros, reply_to: Option<MessageId>, seq: i64) -> String {
        let reply = reply_to.map(|id| format!(",\"reply_to\":\"{id}\"")).unwrap_or_default();
        let time = clock::format(created_at);
        let (head, rest) = self.head.split_at(self.number_at.unwrap_or_default());
        let number = self.number_at.map(|_| seq.to_string()).unwrap_or_default();
        format!("{head}{number}{rest},\"created_at\":\"{time}\"{reply},\"seq\":{seq}}}")
    }
}

/// A message as it was stored.
#[derive(Debug, Clone)]
pub struct Posted {
    pub id: MessageId,
    pub seq: i64,
    pub created_at: Micros,
    pub json: String,
}

/// What the counts need to know of a message.
pub(super) struct Stored<'a> {
    pub room: i64,
    pub seq: i64,
    pub ordinal: i64,
    pub sender: &'a str,
    pub sender_type: Option<&'a str>,
    pub created_at: Micros,
}

/// What it answers, inside the same room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parent {
    pub seq: i64,
    pub id: MessageId,
}

impl Tx<'_> {
    /// Posts a message that did not come from the room's platform.
    pub fn post_message(&mut self, draft: &Draft, reply_to: Option<MessageId>, viewer: &Viewer) -> Result<Posted> {
        let room = self.visible_room(draft.room, viewer)?;
        let parent = reply_to.map(|id| self.parent(room.key, id)).transpose()?;
        self.post_in(&room, draft, parent)
    }

    /// Posts into each room that the viewer may see; in the drafts' order, None where there is no such room.
    pub fn broadcast(&mut self, drafts: &[Option<Draft>], viewer: &Viewer) -> Result<Vec<Option<Posted>>> {
        let post = |draft: &Option<Draft>| {
            let Some(draft) = draft else { return Ok(None) };
            match self.post_message(draft, None, viewer) {
                Ok(posted) => Ok(Some(posted)),
                Err(Error::NotFound(_)) => Ok(None),
                Err(error) => Err(error),
            }
        };
        drafts.iter().map(post).collect()
    }

    /// [`Tx::post_message`] for a known room; also for an agent's answer.
    pub(super) fn post_in(&mut self, room: &RoomRef, draft: &Draft, parent: Option<Parent>) -> Result<Posted> {
        let posted = self.insert_message(room, draft, None, parent)?;
        match room.kind {
            RoomKind::Bridge => self.deliver(room.key, &posted)?,
            RoomKind::Room | RoomKind::Dm => self.route_post(room, draft, &posted)?,
        }
        Ok(posted)
    }

    fn parent(&self, room: i64, id: MessageId) -> Result<Parent> {
        let sql = "select seq from messages where id = ?1 and room = ?2";
        let mut statement = self.prepare(sql)?;
        let seq = statement.query_row(params![id.bytes(), room], |row| row.get(0)).optional().map_err(sql_error)?;
        let seq = seq.ok_or_else(|| Error::Invalid("Referenced reply_to message not found in this room".into()))?;
        Ok(Parent { seq, id })
    }

    /// Row, event, search row and the room's counts. `profile`: who wrote it on the platform.
    pub(super) fn insert_message(
        &mut self,
        room: &RoomRef,
        draft: &Draft,
        profile: Option<i64>,
        parent: Option<Parent>,
    ) -> Result<Posted> {
        let seq = self.insert_event(room.key, Kind::Message)?;
        let created_at = self.stamp();
        let json = draft.finish(created_at, parent.map(|parent| parent.id), seq);
        let ordinal = self.next_ordinal(room.key, seq)?;
        self.execute(
            "insert into messages (seq, id, room, sender, sender_type, profile, reply_to, created_at, json, ordinal)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                seq,
                draft.id.bytes(),
                room.key,
                draft.sender,
                draft.sender_type,
                profile,
                parent.map(|parent| parent.seq),
                created_at,
                json,
                ordinal
            ],
        )?;
        let (sender, sender_type) = (draft.sender.as_str(), draft.sender_type.as_deref());
        self.participant_wrote(&Stored { room: room.key, seq, ordinal, sender, sender_type, created_at })?;
        self.write_mentions(room.key, seq, &draft.mentions)?;
        self.tally_message(sender_type, parent.is_some(), room.kind == RoomKind::Dm, 1);
        let (sender, content) = (draft.sender.clone(), draft.content.clone());
        self.effects.senders.push(SenderSeen {
            sender: sender.clone(),
            sender_type: draft.sender_type.clone(),
            at: created_at,
        });
        self.effects.search.push(SearchRow::Put { seq, room: room.key, sender, content, is_new: true });
        self.publish(Some(room.key), Kind::Message, seq, json.clone())?;
        Ok(Posted { id: draft.id, seq, created_at, json })
    }

    /// Counts one more message of the room, the one numbered `seq`; answers its place among all that were ever there.
    fn next_ordinal(&mut self, room: i64, seq: i64) -> Result<i64> {
        let sql = "update room_state set message_count = message_count + 1, last_seq = ?2, first_seq = coalesce(first_seq, ?2),
                                         last_ordinal = last_ordinal + 1
                   where room = ?1 returning last_ordinal";
        self.prepare(sql)?.query_row([room, seq], |row| row.get(0)).map_err(sql_error)
    }
}

impl Read<'_> {
    /// A room's message by its number.
    pub(super) fn message_in(&self, room: i64, seq: i64) -> Result<Option<Parent>> {
        let mut statement = self.prepare("select id from messages where seq = ?1 and room = ?2")?;
        let id = statement.query_row([seq, room], |row| row.get(0)).optional().map_err(sql_error)?;
        Ok(id.map(|id| Parent { seq, id: MessageId::from_bytes(id) }))
    }

    /// Number and JSON of a room's messages that did not come from its platform, ascending.
    pub fn responses(&self, room: i64, after: i64, limit: u32) -> Result<Vec<(i64, Option<i64>, String)>> {
        let sql = "select m.seq, m.reply_to, m.json from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.seq > ?2 and e.kind = 1 and m.profile is null order by e.seq limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows = statement.query_map(params![room, after, limit], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// Number of the newest message not later than `time`; 0 if there is none. Times rise with the numbers, so the place is found by
    /// halving, without an index on time.
    pub fn seq_at(&self, time: Micros) -> Result<i64> {
        let mut statement =
            self.prepare("select seq, created_at from messages where seq >= ?1 order by seq limit 1")?;
        let mut at = |seq: i64| {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Micros>(1)?));
            statement.query_row([seq], row).optional().map_err(sql_error)
        };
        let (mut found, mut low, mut high) = (0, 0, self.head()? + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match at(middle)? {
                Some((seq, created_at)) if created_at <= time => (found, low) = (seq, seq + 1),
                _ => high = middle,
            }
        }
        Ok(found)
    }

    /// What was said in a room before message `before`: people's words with the answers to each; the newest `limit` of them.
    pub(super) fn room_history(&self, room: i64, before: i64, limit: u32) -> Result<Vec<Said>> {
        // An answer stands behind its question, however late it came; `depth` keeps odd chains of replies from running away. `cross` keeps
        // the few in front: SQLite would rather walk through all messages than believe that they are few.
        let sql = "with recursive asked (seq) as (
                       select e.seq from events e cross join messages m on m.seq = e.seq
                       where e.room = ?1 and e.seq < ?2 and e.kind = 1 and m.reply_to is null order by e.seq desc limit ?3
                   ), thread (root, seq, depth) as (
                       select seq, seq, 0 from asked
                       union all
                       select thread.root, m.seq, depth + 1 from thread cross join messages m on m.reply_to = thread.seq where depth < 20
                   )
                   select thread.root, m.seq, m.json from thread cross join messages m on m.seq = thread.seq
                   order by thread.root desc, m.seq desc limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows = statement.query_map(params![room, before, limit], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
