//! Reactions to messages: one per message, sender and emoji.

use super::counts::Count;
use super::events::Kind;
use super::message_changes::MessageRow;
use super::rooms::RoomRef;
use super::{Read, Tx, sql_error};
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::{MessageId, ReactionId, RoomId};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use std::collections::HashMap;

/// A reaction as the API shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Reaction {
    pub id: ReactionId,
    pub message_id: MessageId,
    pub room_id: RoomId,
    pub sender: String,
    pub emoji: String,
    /// Empty if the reaction was removed.
    pub created_at: String,
}

/// Who reacted to a message with the same emoji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReactionSummary {
    pub emoji: String,
    pub count: usize,
    /// The first one first.
    pub senders: Vec<String>,
}

/// What an event says: the reaction and the event's number.
#[derive(Serialize)]
struct Happened<'a> {
    #[serde(flatten)]
    reaction: &'a Reaction,
    seq: i64,
}

impl Tx<'_> {
    /// Adds the reaction, or removes it if it is there.
    pub fn toggle_reaction(&mut self, room: &RoomRef, row: &MessageRow, sender: &str, emoji: &str) -> Result<Reaction> {
        if let Some(removed) = self.take_reaction(room, row, sender, emoji)? {
            return Ok(removed);
        }
        let now = self.stamp();
        let (id, created_at) = (ReactionId::new(), clock::format(now));
        let reaction = new_reaction(id, room, row, sender, emoji, created_at);
        let event = self.record(Some(room.key), Kind::ReactionAdded, |seq| happened(&reaction, seq))?;
        self.execute(
            "insert into reactions (event, id, seq, room, sender, emoji, created_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![event, id.bytes(), row.seq, room.key, sender, emoji, now],
        )?;
        self.tally(Count::Reactions, 1);
        Ok(reaction)
    }

    pub fn remove_reaction(&mut self, room: &RoomRef, row: &MessageRow, sender: &str, emoji: &str) -> Result<()> {
        match self.take_reaction(room, row, sender, emoji)? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound("Reaction not found".into())),
        }
    }

    fn take_reaction(
        &mut self,
        room: &RoomRef,
        row: &MessageRow,
        sender: &str,
        emoji: &str,
    ) -> Result<Option<Reaction>> {
        let mut statement =
            self.prepare("delete from reactions where seq = ?1 and sender = ?2 and emoji = ?3 returning id")?;
        let id =
            statement.query_row(params![row.seq, sender, emoji], |row| row.get(0)).optional().map_err(sql_error)?;
        let Some(id) = id else { return Ok(None) };
        let reaction = new_reaction(ReactionId::from_bytes(id), room, row, sender, emoji, String::new());
        self.tally(Count::Reactions, -1);
        self.record(Some(room.key), Kind::ReactionRemoved, |seq| happened(&reaction, seq))?;
        Ok(Some(reaction))
    }
}

impl Read<'_> {
    /// Reactions to the message numbered `seq`, in the order of first use; the first `skip` are left out.
    pub fn reactions(&self, seq: i64, skip: usize, limit: usize) -> Result<Vec<ReactionSummary>> {
        let mut statement = self.prepare("select sender, emoji from reactions where seq = ?1 order by event")?;
        let mut rows = statement.query([seq]).map_err(sql_error)?;
        let mut summaries = Summaries::default();
        while let Some(row) = rows.next().map_err(sql_error)? {
            summaries.add(row.get(0).map_err(sql_error)?, row.get(1).map_err(sql_error)?);
        }
        Ok(summaries.list.into_iter().skip(skip).take(limit).collect())
    }

    /// Reactions to messages of a room behind the one numbered `after`, by message; with the number of the last of them if there are more.
    pub fn room_reactions(&self, room: i64, after: i64, limit: usize) -> Result<(Reacted, Option<i64>)> {
        let sql = "select r.seq, m.id, r.sender, r.emoji from reactions r join messages m on m.seq = r.seq
                   where r.room = ?1 and r.seq > ?2 order by r.seq, r.event";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([room, after]).map_err(sql_error)?;
        let mut reacted: Vec<(MessageId, Summaries)> = Vec::new();
        let mut last = None;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let (seq, id, sender, emoji) = room_row(row).map_err(sql_error)?;
            if last != Some(seq) {
                if reacted.len() == limit {
                    return Ok((finished(reacted), last));
                }
                reacted.push((id, Summaries::default()));
                last = Some(seq);
            }
            if let Some((_, summaries)) = reacted.last_mut() {
                summaries.add(sender, emoji);
            }
        }
        Ok((finished(reacted), None))
    }
}

/// Messages with the reactions to them.
type Reacted = Vec<(MessageId, Vec<ReactionSummary>)>;

/// Reactions to one message as they are read, in the order of their numbers.
#[derive(Default)]
struct Summaries {
    list: Vec<ReactionSummary>,
    places: HashMap<String, usize>,
}

impl Summaries {
    fn add(&mut self, sender: String, emoji: String) {
        let place = *self.places.entry(emoji).or_insert_with_key(|emoji| {
            self.list.push(ReactionSummary { emoji: emoji.clone(), count: 0, senders: Vec::new() });
            self.list.len() - 1
        });
        let summary = &mut self.list[place];
        summary.count += 1;
        summary.senders.push(sender);
    }
}

fn finished(reacted: Vec<(MessageId, Summaries)>) -> Reacted {
    reacted.into_iter().map(|(id, summaries)| (id, summaries.list)).collect()
}

fn room_row(row: &Row<'_>) -> rusqlite::Result<(i64, MessageId, String, String)> {
    Ok((row.get(0)?, MessageId::from_bytes(row.get(1)?), row.get(2)?, row.get(3)?))
}

fn new_reaction(
    id: ReactionId,
    room: &RoomRef,
    row: &MessageRow,
    sender: &str,
    emoji: &str,
    created_at: String,
) -> Reaction {
    let (sender, emoji) = (sender.into(), emoji.into());
    Reaction { id, message_id: row.message.id, room_id: room.id, sender, emoji, created_at }
}

fn happened(reaction: &Reaction, seq: i64) -> String {
    serde_json::to_string(&Happened { reaction, seq }).unwrap_or_default()
}
