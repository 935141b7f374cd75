//! What comes in from a platform: one use case that makes or finds the person, their profile and the conversation with its room, writes
//! the message, and puts the agent's turn into the queue.

use super::messages::{Draft, Posted};
use super::rooms::RoomRef;
use super::takeover::Taken;
use super::turns::{Ground, Turn};
use super::{Tx, sql_error};
use crate::error::Result;
use crate::ids::{ConversationId, RoomId, UserId};
use plugin_api::types::User;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value};

/// A message at the door.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Plugin instance, or `bridge`.
    pub instance: String,
    pub platform: String,
    pub platform_user_id: String,
    pub username: String,
    pub display_name: String,
    pub conversation: String,
    /// None: each one is new, and its number in the log is its id.
    pub external_id: Option<String>,
    pub content: String,
    pub metadata: Map<String, Value>,
    pub ip_address: Option<String>,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub message: Posted,
    pub room_id: RoomId,
    pub is_new_user: bool,
}

struct Profile {
    key: i64,
    user: UserId,
    is_new: bool,
}

struct Conversation {
    id: ConversationId,
    key: i64,
    room: RoomRef,
    /// Who wrote there last.
    profile: i64,
    /// A person speaks there in the agent's place.
    is_taken: bool,
}

impl Tx<'_> {
    /// None: it was here before, and nothing changed.
    pub fn arrive(&mut self, arrival: &Arrival, turn: &Turn) -> Result<Option<Arrived>> {
        let Arrival { instance, external_id, .. } = arrival;
        if let Some(external_id) = external_id
            && !self.first_time(instance, external_id)?
        {
            return Ok(None);
        }
        let profile = self.touch_profile(arrival)?;
        let conversation = self.touch_conversation(arrival, &profile)?;
        let metadata = Value::Object(metadata(arrival));
        let draft =
            Draft::new(conversation.room.id, &arrival.display_name, &arrival.content, &metadata, Some("human"))?;
        let draft = if external_id.is_none() { draft.numbered() } else { draft };
        let message = self.insert_message(&conversation.room, &draft, Some(profile.key), None)?;
        if let Some(external_id) = external_id {
            let sql = "update ingested set seq = ?3 where instance = ?1 and external_id = ?2";
            self.execute(sql, params![instance, external_id, message.seq])?;
        }
        self.execute(
            "update conversations set profile = ?2, last_active = ?3, message_count = message_count + 1,
                    ip_address = coalesce(?4, ip_address) where key = ?1",
            params![conversation.key, profile.key, message.created_at, arrival.ip_address],
        )?;
        if conversation.profile != profile.key {
            self.joins(conversation.key, profile.key)?;
        }
        match turn {
            _ if conversation.is_taken => {}
            Turn::Nobody => {}
            Turn::Inbox => self.insert_inbox(message.seq, message.created_at)?,
            Turn::Agents(agents) => {
                let ground = ground(arrival, &profile, &conversation);
                agents.iter().try_for_each(|asked| self.ask(asked, &ground, &message))?;
            }
            Turn::Refused(refusal) => {
                self.refuse(refusal, &conversation.room, &conversation.id.to_string(), &message)?;
            }
        }
        Ok(Some(Arrived { message, room_id: conversation.room.id, is_new_user: profile.is_new }))
    }

    /// The same for a message that was refused when it came, so that its key is known already: that it was refused no longer counts.
    pub fn arrive_after_all(&mut self, arrival: &Arrival, turn: &Turn) -> Result<Option<Arrived>> {
        let sql = "delete from ingested where instance = ?1 and external_id = ?2 and seq is null";
        self.execute(sql, params![arrival.instance, arrival.external_id])?;
        self.arrive(arrival, turn)
    }

    /// Remembers the key for ever; false if it is known.
    pub(super) fn first_time(&mut self, instance: &str, external_id: &str) -> Result<bool> {
        let sql = "insert into ingested (instance, external_id) values (?1, ?2) on conflict do nothing";
        Ok(self.execute(sql, params![instance, external_id])? > 0)
    }

    fn touch_profile(&mut self, arrival: &Arrival) -> Result<Profile> {
        let Arrival { platform, platform_user_id, username, display_name, .. } = arrival;
        let now = self.stamp();
        let sql = "select p.key, u.id from platform_profiles p join users u on u.key = p.user
                   where p.platform = ?1 and p.platform_user_id = ?2";
        let row = |row: &Row<'_>| Ok((row.get(0)?, UserId::from_bytes(row.get(1)?)));
        let mut statement = self.prepare(sql)?;
        let found = statement.query_row(params![platform, platform_user_id], row).optional().map_err(sql_error)?;
        if let Some((key, user)) = found {
            let sql = "update platform_profiles set username = ?2, display_name = ?3, last_seen = ?4 where key = ?1";
            self.execute(sql, params![key, username, display_name, now])?;
            return Ok(Profile { key, user, is_new: false });
        }
        let user = UserId::new();
        let sql = "insert into users (id, name, created_at) values (?1, ?2, ?3)";
        self.execute(sql, params![user.bytes(), display_name, now])?;
        let user_key = self.connection.last_insert_rowid();
        self.execute(
            "insert into platform_profiles (user, platform, platform_user_id, username, display_name, first_seen, last_seen)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
            params![user_key, platform, platform_user_id, username, display_name, now],
        )?;
        Ok(Profile { key: self.connection.last_insert_rowid(), user, is_new: true })
    }

    fn touch_conversation(&mut self, arrival: &Arrival, profile: &Profile) -> Result<Conversation> {
        let Arrival { instance, platform, conversation, display_name, .. } = arrival;
        let sql = "select c.key, c.id, r.key, r.id, c.profile, c.taken_by, c.taken_until from conversations c join rooms r on r.key = c.room
                   where c.instance = ?1 and c.external_id = ?2";
        let now = self.stamp();
        let row = |row: &Row<'_>| {
            let room = RoomRef::bridge(row.get(2)?, RoomId::from_bytes(row.get(3)?));
            Ok(Conversation {
                key: row.get(0)?,
                id: ConversationId::from_bytes(row.get(1)?),
                room,
                profile: row.get(4)?,
                is_taken: Taken::now(row.get(5)?, row.get(6)?, now).is_some(),
            })
        };
        let mut statement = self.prepare(sql)?;
        if let Some(found) = statement.query_row(params![instance, conversation], row).optional().map_err(sql_error)? {
            return Ok(found);
        }
        let room = self.create_bridge_room(format!("{platform}:{conversation}"), display_name)?;
        let id = ConversationId::new();
        self.execute(
            "insert into conversations (id, instance, external_id, platform, room, profile, created_at, last_active)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            params![id.bytes(), instance, conversation, platform, room.key, profile.key, now],
        )?;
        let key = self.connection.last_insert_rowid();
        self.joins(key, profile.key)?;
        Ok(Conversation { id, key, room, profile: profile.key, is_taken: false })
    }

    /// From now on the conversation is this person's too.
    fn joins(&mut self, conversation: i64, profile: i64) -> Result<()> {
        let sql = "insert into conversation_people (conversation, profile) values (?1, ?2) on conflict do nothing";
        self.execute(sql, [conversation, profile]).map(drop)
    }
}

fn ground(arrival: &Arrival, profile: &Profile, conversation: &Conversation) -> Ground {
    let user = User {
        id: profile.user.to_string(),
        username: arrival.username.clone(),
        display_name: arrival.display_name.clone(),
        platform: arrival.platform.clone(),
        platform_user_id: arrival.platform_user_id.clone(),
    };
    Ground { lane: conversation.id.to_string(), room: conversation.room, user }
}

fn metadata(arrival: &Arrival) -> Map<String, Value> {
    let mut metadata = arrival.metadata.clone();
    let own = [
        ("platform", &arrival.platform),
        ("platform_user_id", &arrival.platform_user_id),
        ("username", &arrival.username),
        ("conversation", &arrival.conversation),
    ];
    metadata.extend(own.into_iter().map(|(key, value)| (key.into(), Value::from(value.as_str()))));
    metadata.insert("external_id".into(), arrival.external_id.as_deref().unwrap_or_default().into());
    metadata
}
