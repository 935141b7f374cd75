//! The end of what is known of a person, in small steps that may be repeated: conversations that are theirs alone end as rooms do; elsewhere
//! their messages are deleted one by one, with the events that say so; their profiles go last. The keys of what they wrote stay, so that a
//! platform which brings it again changes nothing.

use super::blobs::Hash;
use super::message_changes::{Deletion, MessageRow};
use super::messages::Message;
use super::rooms::RoomRef;
use super::{Read, Tx, sql_error};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, RoomId};
use rusqlite::{OptionalExtension, params};

/// Messages that one step deletes; the answers to them come on top.
const MESSAGES: u32 = 50;
/// Rows that one step changes otherwise.
const STEP: u32 = 200;
/// Answers to one message that go with it.
const ANSWERS: u32 = 50;

/// What a step removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Nothing is left of the person.
    pub done: bool,
    pub conversations: i64,
    pub messages: i64,
    pub profiles: i64,
    /// SHA-256 of files whose rows went; others may share their bytes.
    pub hashes: Vec<Hash>,
}

/// A profile in a conversation, by their numbers and by their names elsewhere.
struct Place {
    conversation: i64,
    lane: String,
    profile: i64,
    person: String,
}

/// Somebody else wrote there as well: `q` and `c` are a person's conversation, `?1` is the person.
const SHARED: &str = "exists (select 1 from conversation_people o join platform_profiles op on op.key = o.profile
                              where o.conversation = c.key and op.user <> ?1)";
const THEIRS: &str = "from platform_profiles p join conversation_people q on q.profile = p.key
     join conversations c on c.key = q.conversation where p.user = ?1";

impl Tx<'_> {
    /// Removes some of what is known of the person numbered `user`; to be called until it is done.
    pub fn forget_some(&mut self, user: i64) -> Result<Forgotten> {
        self.shredding(|tx| tx.forget_step(user))
    }

    fn forget_step(&mut self, user: i64) -> Result<Forgotten> {
        if let Some(room) = self.read().own_room(user)? {
            return self.forget_conversation(&room);
        }
        if let Some(room) = self.read().ended_room(user)? {
            // With a visitor's last session their profile goes too.
            let before = self.read().profile_count(user)?;
            let purged = self.purge_room(room)?;
            let profiles = before - self.read().profile_count(user)?;
            return Ok(Forgotten { hashes: purged.hashes, profiles, ..Forgotten::default() });
        }
        let messages = self.forget_messages(user)?;
        if messages > 0 {
            return Ok(Forgotten { messages, ..Forgotten::default() });
        }
        if self.leave_conversations(user)? > 0 {
            return Ok(Forgotten::default());
        }
        let profiles = self.forget_profiles(user)?;
        Ok(Forgotten { done: true, profiles, ..Forgotten::default() })
    }

    fn forget_conversation(&mut self, room: &RoomRef) -> Result<Forgotten> {
        let sql = "select message_count from room_state where room = ?1";
        let messages = self.read().number(sql, [room.key])?;
        self.delete_room(room)?;
        Ok(Forgotten { conversations: 1, messages, ..Forgotten::default() })
    }

    /// What they wrote where others write too, with the agents' answers to it.
    fn forget_messages(&mut self, user: i64) -> Result<i64> {
        let found = self.read().messages_of(user)?;
        let mut messages = 0;
        for (room, row) in &found {
            for (_, answer) in self.read().answers_to(room, row.seq)? {
                self.delete_message(room, &answer, Deletion::Asked)?;
                messages += 1;
            }
            self.delete_message(room, row, Deletion::Asked)?;
            messages += 1;
            // What is left of it in the log says who wrote it.
            let unnamed = "update events set data = json_set(data, '$.sender', '') where data is not null and";
            self.execute(&format!("{unnamed} seq = ?1"), [row.seq])?;
            self.execute(&format!("{unnamed} message = ?1"), [row.seq])?;
            self.forget_participant(room.key, &row.message.sender)?;
        }
        Ok(messages)
    }

    /// A name that nobody wrote under any more in this room.
    fn forget_participant(&mut self, room: i64, sender: &str) -> Result<()> {
        let sql = "select exists (select 1 from participants where room = ?1 and sender = ?2)";
        if self.read().number(sql, params![room, sender])? == 1 {
            return Ok(());
        }
        let sql = "delete from participant_blocks where room = ?1 and sender = ?2";
        self.execute(sql, params![room, sender])?;
        self.execute("update rooms set created_by = '' where key = ?1 and created_by = ?2", params![room, sender])?;
        self.forget_sender(sender)
    }

    pub(super) fn forget_sender(&self, sender: &str) -> Result<()> {
        let sql = "delete from senders where sender = ?1 and not exists (select 1 from messages where sender = ?1)";
        self.execute(sql, [sender]).map(drop)
    }

    /// Conversations of several people go on without this one.
    fn leave_conversations(&mut self, user: i64) -> Result<usize> {
        let last = "update conversations set ip_address = null, profile = (
                        select o.profile from conversation_people o join platform_profiles op on op.key = o.profile
                        where o.conversation = conversations.key and op.user <> ?1 limit 1)
                    where key in (select c.key from platform_profiles p join conversations c on c.profile = p.key
                                  where p.user = ?1 limit ?2)";
        let left = self.execute(last, params![user, STEP])?;
        let places = self.read().places_of(user)?;
        for place in &places {
            self.forget_refusals(&place.lane, &place.person)?;
            let sql = "delete from conversation_people where conversation = ?1 and profile = ?2";
            self.execute(sql, [place.conversation, place.profile])?;
        }
        Ok(left + places.len())
    }

    /// With those who were merged into them.
    fn forget_profiles(&mut self, user: i64) -> Result<i64> {
        for (platform, person, name) in self.read().names_of(user)? {
            self.forget_sender(&name)?;
            self.forget_subject(&format!("{platform}:{person}"))?;
        }
        let profiles = self.execute("delete from platform_profiles where user = ?1", [user])?;
        self.forget_user(user)?;
        Ok(profiles as i64)
    }

    /// A person without profiles, with those who were merged into them.
    pub(super) fn forget_user(&self, user: i64) -> Result<()> {
        let before = "update platform_profiles set merged_from = null where merged_from in (
                          select key from users where merged_into = ?1 union all select ?1)";
        self.execute(before, [user])?;
        self.execute("delete from users where merged_into = ?1", [user])?;
        self.execute("delete from users where key = ?1", [user]).map(drop)
    }
}

impl Read<'_> {
    /// How many conversations the person has that are theirs alone, and how many with others; as far as `most`.
    pub fn conversation_counts(&self, user: i64, most: u32) -> Result<(i64, i64)> {
        let sql = format!(
            "select count(*), coalesce(sum(shared), 0)
             from (select distinct c.key, {SHARED} as shared {THEIRS} and c.instance <> '' limit ?2) q"
        );
        let mut statement = self.prepare(&sql)?;
        let counts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let (all, shared) = statement.query_row(params![user, most], counts).map_err(sql_error)?;
        Ok((all - shared, shared))
    }

    fn own_room(&self, user: i64) -> Result<Option<RoomRef>> {
        let sql = format!("select c.room {THEIRS} and c.instance <> '' and not {SHARED} limit 1");
        let Some(key) = self.room_of(&sql, user)? else { return Ok(None) };
        self.room_by_key(key)
    }

    /// One that was deleted and still has rows. Its people's go before the conversation's own, which still names who wrote there last.
    fn ended_room(&self, user: i64) -> Result<Option<i64>> {
        let found = self.room_of(&format!("select c.room {THEIRS} and c.instance = '' limit 1"), user)?;
        let last = "select c.room from platform_profiles p join conversations c on c.profile = p.key
                    where p.user = ?1 and c.instance = '' limit 1";
        found.map_or_else(|| self.room_of(last, user), |room| Ok(Some(room)))
    }

    /// Where they have written, as who.
    fn places_of(&self, user: i64) -> Result<Vec<Place>> {
        let sql = "select c.key, c.id, p.key, p.platform_user_id
                   from platform_profiles p join conversation_people q on q.profile = p.key join conversations c on c.key = q.conversation
                   where p.user = ?1 limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let lane = ConversationId::from_bytes(row.get(1)?).to_string();
            Ok(Place { conversation: row.get(0)?, lane, profile: row.get(2)?, person: row.get(3)? })
        };
        let rows = statement.query_map(params![user, STEP], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    fn room_of(&self, sql: &str, user: i64) -> Result<Option<i64>> {
        let mut statement = self.prepare(sql)?;
        statement.query_row([user], |row| row.get(0)).optional().map_err(sql_error)
    }

    fn room_by_key(&self, key: i64) -> Result<Option<RoomRef>> {
        let mut statement = self.prepare("select id from rooms where key = ?1")?;
        let id = statement.query_row([key], |row| Ok(RoomId::from_bytes(row.get(0)?))).optional().map_err(sql_error)?;
        id.map(|id| self.room_ref(id)).transpose().map(Option::flatten)
    }

    fn messages_of(&self, user: i64) -> Result<Vec<(RoomRef, MessageRow)>> {
        let sql = "select m.seq, m.ordinal, m.created_at, m.reply_to, m.json from platform_profiles p join messages m on m.profile = p.key
                   where p.user = ?1 limit ?2";
        self.found_messages(sql, params![user, MESSAGES])
    }

    fn answers_to(&self, room: &RoomRef, seq: i64) -> Result<Vec<(RoomRef, MessageRow)>> {
        let sql = "select m.seq, m.ordinal, m.created_at, m.reply_to, m.json from messages m
                   where m.reply_to = ?1 and m.room = ?2 and m.profile is null and m.sender_type = 'agent' order by m.seq limit ?3";
        self.found_messages(sql, params![seq, room.key, ANSWERS])
    }

    fn found_messages(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<(RoomRef, MessageRow)>> {
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let fixed = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((fixed, row.get::<_, String>(4)?))
        };
        let rows = statement.query_map(parameters, row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let found = rows.into_iter().map(|((seq, ordinal, created_at, reply_to), json)| {
            let message = Message::from_json(&json)?;
            let gone = || Error::Internal("a message's room is not there".into());
            let room = self.room_ref(message.room_id)?.ok_or_else(gone)?;
            Ok((room, MessageRow { seq, ordinal, created_at, reply_to, message }))
        });
        found.collect()
    }

    /// Platform, id there, and displayed name of each profile.
    fn names_of(&self, user: i64) -> Result<Vec<(String, String, String)>> {
        let sql = "select platform, platform_user_id, display_name from platform_profiles where user = ?1";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}
