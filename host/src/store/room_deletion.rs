//! The end of a room. It is gone at once for everybody, with the sums corrected; its rows follow in small writes, so that nobody waits for
//! a million of them. What is left is one event, which says that it ended.

use super::blobs::Hash;
use super::counts::Count;
use super::events::Kind;
use super::jobs::State;
use super::rooms::{RoomKind, RoomRef, RoomRow, numbered, unknown_room};
use super::writer::SearchRow;
use super::{Read, Tx, sql_error};
use crate::error::Result;
use crate::ids::ConversationId;
use rusqlite::{OptionalExtension, params};
use serde_json::json;

/// Rows that one write removes, about.
const STEP: usize = 500;
/// Messages that one write removes: each has rows in several indexes.
const MESSAGES: usize = 100;
/// Of a room with more messages, the sums by their senders' types follow as they go.
const COUNTED_AT_ONCE: i64 = 1000;

/// Why a turn ends that runs there.
const ENDED: &str = "its conversation was deleted";

/// What one step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Nothing is left of the room.
    pub done: bool,
    /// SHA-256 of files whose rows went; others may share their bytes.
    pub hashes: Vec<Hash>,
}

/// Before the messages, which would else take them all along in one write.
const REACTIONS: &str =
    "delete from reactions where event in (select event from reactions where room = ?1 order by seq limit ?2)";
/// Tables whose rows need nothing but to be removed. `?1` is the room, `?2` how many.
const PLAIN: [&str; 6] = [
    "delete from participants where room = ?1 and sender in (select sender from participants where room = ?1 limit ?2)",
    "delete from message_gaps where room = ?1 and block in (select block from message_gaps where room = ?1 limit ?2)",
    "delete from read_positions where room = ?1 and sender in (select sender from read_positions where room = ?1 limit ?2)",
    "delete from bookmarks where room = ?1 and sender in (select sender from bookmarks where room = ?1 limit ?2)",
    "delete from incoming_webhooks where key in (select key from incoming_webhooks where room = ?1 limit ?2)",
    "delete from bridge_responses where seq in (select b.seq from conversations c join bridge_responses b on b.conversation = c.key
                                                where c.room = ?1 limit ?2)",
];

impl Tx<'_> {
    /// From here on nobody sees the room; [`Tx::purge_room`] removes its rows.
    pub fn delete_room(&mut self, room: &RoomRef) -> Result<()> {
        let row = self.read().room(room.id)?.ok_or_else(unknown_room)?;
        self.execute("update rooms set type = 'deleted' where key = ?1", [room.key])?;
        // The pair, and the platform's conversation, may begin anew with another room.
        self.execute("delete from dms where room = ?1", [room.key])?;
        self.execute(
            "update conversations set instance = '', external_id = cast(key as text) where room = ?1",
            [room.key],
        )?;
        self.forget_sums(room, &row)?;
        for lane in self.read().lanes(room.key)? {
            for instance in self.read().job_instances()? {
                self.silence_running(&instance, &lane, ENDED)?;
            }
        }
        let mut event = json!({ "id": room.id, "room_id": room.id });
        // Nobody can tell any more whose a room of two was, so that its event must not say who they were; nor whose conversation it was.
        if room.kind == RoomKind::Room {
            event["name"] = row.name.as_str().into();
        }
        self.record(Some(room.key), Kind::RoomDeleted, |seq| numbered(event.to_string(), seq))?;
        Ok(())
    }

    fn forget_sums(&mut self, room: &RoomRef, row: &RoomRow) -> Result<()> {
        let read = self.read();
        self.tally(Count::Messages, -row.message_count);
        match room.kind {
            RoomKind::Room => {
                self.tally(Count::Rooms, -1);
                self.tally(Count::ArchivedRooms, -i64::from(row.archived_at.is_some()));
            }
            RoomKind::Dm => {
                self.tally(Count::Dms, -1);
                self.tally(Count::DirectMessages, -row.message_count);
            }
            RoomKind::Bridge => {}
        }
        // Endpoints and hooks take themselves off the sums when they hear of the room's end.
        let rows = [
            (Count::Reactions, "select count(*) from reactions where room = ?1"),
            (Count::Pins, "select count(*) from pins where room = ?1"),
            (Count::Bookmarks, "select count(*) from bookmarks where room = ?1"),
            (Count::Files, "select count(*) from files where room = ?1"),
            (Count::FileBytes, "select coalesce(sum(size), 0) from files where room = ?1"),
        ];
        for (count, sql) in rows {
            self.tally(count, -read.number(sql, [room.key])?);
        }
        if row.message_count <= COUNTED_AT_ONCE {
            let kinds = "select coalesce(sum(m.sender_type = 'agent'), 0), coalesce(sum(m.sender_type = 'human'), 0),
                                coalesce(sum(m.reply_to is not null), 0)
                         from events e join messages m on m.seq = e.seq where e.room = ?1 and e.kind = 1";
            let mut statement = self.prepare(kinds)?;
            let sums = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
            let sums: [i64; 3] = statement.query_row([room.key], sums).map_err(sql_error)?;
            [Count::AgentMessages, Count::HumanMessages, Count::Replies]
                .into_iter()
                .zip(sums)
                .for_each(|(count, sum)| self.tally(count, -sum));
            // Says that they are counted.
            self.execute("update room_state set message_count = 0 where room = ?1", [room.key])?;
        }
        Ok(())
    }

    /// Removes some rows of a deleted room; to be called until it is done.
    pub fn purge_room(&mut self, room: i64) -> Result<Purged> {
        self.shredding(|tx| tx.purge_some(room))
    }

    fn purge_some(&mut self, room: i64) -> Result<Purged> {
        let more = Purged::default();
        if self.purge_waiting_jobs(room)? > 0
            || self.execute(REACTIONS, params![room, STEP as i64])? > 0
            || self.purge_events(room)? > 0
        {
            return Ok(more);
        }
        for sql in PLAIN {
            if self.execute(sql, params![room, STEP as i64])? > 0 {
                return Ok(more);
            }
        }
        if self.purge_people(room)? > 0 || self.purge_participant_blocks(room)? > 0 {
            return Ok(more);
        }
        let hashes = self.purge_files(room)?;
        if !hashes.is_empty() {
            return Ok(Purged { done: false, hashes });
        }
        self.end_conversation(room)?;
        self.execute("delete from room_state where room = ?1", [room])?;
        self.execute("delete from agent_rows where room = ?1", [room])?;
        self.execute("delete from rooms where key = ?1 and type = 'deleted'", [room])?;
        Ok(Purged { done: true, hashes: Vec::new() })
    }

    /// Who wrote there. The last one is named by the conversation's own row as well, and goes with that.
    fn purge_people(&self, room: i64) -> Result<usize> {
        let sql = "delete from conversation_people where (conversation, profile) in (
                       select p.conversation, p.profile from conversations c join conversation_people p on p.conversation = c.key
                       where c.room = ?1 limit ?2) returning profile";
        self.forget_visitors(sql, params![room, STEP as i64])
    }

    /// The conversation's row, and who wrote there last.
    fn end_conversation(&self, room: i64) -> Result<usize> {
        self.forget_visitors("delete from conversations where room = ?1 returning profile", params![room])
    }

    /// Runs a statement that answers profiles which it names no longer. Answers how many there were.
    fn forget_visitors(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize> {
        let mut statement = self.prepare(sql)?;
        let profiles = statement.query_map(parameters, |row| row.get(0)).map_err(sql_error)?;
        let profiles: Vec<i64> = profiles.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        profiles.iter().try_for_each(|profile| self.forget_visitor(*profile))?;
        Ok(profiles.len())
    }

    /// Events, and with each message's own all else that hangs on it.
    fn purge_events(&mut self, room: i64) -> Result<usize> {
        let read = self.read();
        let counted =
            read.number("select coalesce((select message_count from room_state where room = ?1), 0)", [room])? == 0;
        let bridged = read.number("select exists (select 1 from conversations where room = ?1)", [room])? == 1;
        let sql = "select seq, kind from events where room = ?1 and kind <> ?2 order by seq limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let parameters = params![room, Kind::RoomDeleted as i64, MESSAGES as i64];
        let rows = statement.query_map(parameters, row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (seq, kind) in &rows {
            if *kind == Kind::Message as i64 {
                // A message that was edited often takes writes of its own.
                let edits =
                    "delete from edits where key in (select key from edits where seq = ?1 order by key limit ?2)";
                if self.execute(edits, params![seq, STEP as i64])? == STEP {
                    return Ok(rows.len());
                }
                self.purge_message(*seq, counted, bridged)?;
            }
            self.execute("delete from events where seq = ?1", [*seq])?;
        }
        Ok(rows.len())
    }

    fn purge_message(&mut self, seq: i64, counted: bool, bridged: bool) -> Result<()> {
        if bridged {
            let sql = "select key, state, instance from queue where cause = ?1 and kind = 'inbox' and state in ('pending', 'processing')";
            self.purge_jobs(sql, params![seq])?;
        }
        // Mentions, pins and reactions go with it.
        let sql = "delete from messages where seq = ?1 returning sender_type, reply_to is not null, profile";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<i64>>(2)?))
        };
        if let Some((kind, reply, profile)) = statement.query_row([seq], row).optional().map_err(sql_error)? {
            if let Some(profile) = profile {
                self.forget_visitor(profile)?;
            }
            if !counted {
                match kind.as_deref() {
                    Some("agent") => self.tally(Count::AgentMessages, -1),
                    Some("human") => self.tally(Count::HumanMessages, -1),
                    _ => {}
                }
                self.tally(Count::Replies, -i64::from(reply));
            }
            self.effects.search.push(SearchRow::Remove { seq });
        }
        Ok(())
    }

    /// What waits in the lane of the room's conversation, with what is held or counted of that lane. Turns that run were ended with the room, other jobs end by themselves; webhooks were ended with the room.
    fn purge_waiting_jobs(&mut self, room: i64) -> Result<usize> {
        let mut removed = 0;
        for lane in self.read().lanes(room)? {
            for instance in self.read().job_instances()? {
                let sql = "select key, state, instance from queue
                           where instance = ?1 and lane = ?2 and state in ('pending', 'processing') and state = 'pending'
                           order by key limit ?3";
                removed += self.purge_jobs(sql, params![instance, lane, STEP as i64])?;
                if removed >= STEP {
                    return Ok(removed);
                }
            }
            self.forget_windows(&lane)?;
            self.execute("delete from queue_pauses where lane = ?1", [lane])?;
        }
        Ok(removed)
    }

    /// Removes jobs by their number, state and instance.
    pub(super) fn purge_jobs(&mut self, select: &str, parameters: impl rusqlite::Params) -> Result<usize> {
        let mut statement = self.prepare(select)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?));
        let rows = statement.query_map(parameters, row).map_err(sql_error)?;
        let rows: Vec<(i64, String, String)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (key, state, instance) in &rows {
            self.execute("delete from queue where key = ?1", [*key])?;
            if let Some(state) = State::from_name(state) {
                self.count(instance, state.name(), -1);
            }
        }
        Ok(rows.len())
    }

    fn purge_participant_blocks(&mut self, room: i64) -> Result<usize> {
        let sql = "select sender, block from participant_blocks where room = ?1 limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
        let rows = statement.query_map(params![room, STEP as i64], row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (sender, block) in &rows {
            let sql = "delete from participant_blocks where room = ?1 and sender = ?2 and block = ?3";
            self.execute(sql, params![room, sender, block])?;
        }
        Ok(rows.len())
    }

    fn purge_files(&mut self, room: i64) -> Result<Vec<Hash>> {
        let sql = "select event, hash from files where room = ?1 order by event limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Hash>(1)?));
        let rows = statement.query_map(params![room, STEP as i64], row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        for (event, _) in &rows {
            self.execute("delete from files where event = ?1", [*event])?;
        }
        Ok(rows.into_iter().map(|(_, hash)| hash).collect())
    }
}

impl Read<'_> {
    /// The first room behind the one numbered `after` that was deleted and still has rows.
    pub fn deleted_room(&self, after: i64) -> Result<Option<i64>> {
        let found =
            self.number("select coalesce(min(key), 0) from rooms where type = 'deleted' and key > ?1", [after])?;
        Ok((found != 0).then_some(found))
    }

    /// Where the room's jobs stand in the queue: a lane has the name of its conversation's id, or of the room's own.
    fn lanes(&self, room: i64) -> Result<Vec<String>> {
        let sql = "select id from conversations where room = ?1 union all select id from rooms where key = ?1";
        let mut statement = self.prepare(sql)?;
        let id = |row: &rusqlite::Row<'_>| Ok(ConversationId::from_bytes(row.get(0)?).to_string());
        let rows = statement.query_map([room], id).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
