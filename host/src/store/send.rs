//! Who speaks first: a message to somebody's conversation, by its id or by the person's latest on a platform.

use super::conversations::ConversationRow;
use super::messages::{Draft, Message, Posted};
use super::takeover::unknown_conversation;
use super::{Read, Tx, Viewer, sql_error};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, RoomId};
use rusqlite::{OptionalExtension, params};

/// Stands where an instance would, among keys that were seen.
const KEYS: &str = "api:send";

/// Where a message is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Conversation(ConversationId),
    Person { platform: String, platform_user_id: String },
}

impl Tx<'_> {
    /// Posts it, to be delivered like anything that is said there. A repeat with the same `key` answers what the first one did.
    pub fn send(
        &mut self,
        target: &Target,
        draft: impl Fn(RoomId) -> Result<Draft>,
        key: Option<&str>,
    ) -> Result<Posted> {
        let row = self.read().target(target)?;
        let room = self.read().visible_room(row.room_id, &Viewer::Everyone)?;
        let draft = draft(room.id)?;
        if let Some(key) = key
            && !self.first_time(KEYS, key)?
        {
            return self.sent_before(key, &draft);
        }
        let posted = self.post_in(&room, &draft, None)?;
        if let Some(key) = key {
            let sql = "update ingested set seq = ?3 where instance = ?1 and external_id = ?2";
            self.execute(sql, params![KEYS, key, posted.seq])?;
        }
        Ok(posted)
    }

    fn sent_before(&self, key: &str, draft: &Draft) -> Result<Posted> {
        let sql = "select m.seq, m.created_at, m.json from ingested i join messages m on m.seq = i.seq
                   where i.instance = ?1 and i.external_id = ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
        let found = statement.query_row([KEYS, key], row).optional().map_err(sql_error)?;
        let gone =
            || Error::Conflict("the message of this Idempotency-Key was deleted since; send with a new key".into());
        let (seq, created_at, json) = found.ok_or_else(gone)?;
        let first = Message::from_json(&json)?;
        if first.edit_count == 0 && !draft.says_the_same(&first) {
            let text = "this Idempotency-Key was used for another message; a new message needs a key of its own";
            return Err(Error::Conflict(text.into()));
        }
        Ok(Posted { id: first.id, seq, created_at, json })
    }
}

impl Read<'_> {
    fn target(&self, target: &Target) -> Result<ConversationRow> {
        let id = match target {
            Target::Conversation(id) => *id,
            Target::Person { platform, platform_user_id } => self.latest_conversation(platform, platform_user_id)?,
        };
        self.conversation(id)?.ok_or_else(|| unknown_conversation(id))
    }

    /// Not one of several people: what is meant for one must not be read by others.
    fn latest_conversation(&self, platform: &str, platform_user_id: &str) -> Result<ConversationId> {
        let profile = "select key, user from platform_profiles where platform = ?1 and platform_user_id = ?2";
        let mut statement = self.prepare(profile)?;
        let row = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?]);
        let found = statement.query_row([platform, platform_user_id], row).optional().map_err(sql_error)?;
        let nobody = || {
            Error::NotFound(format!(
                "nobody with the id {platform_user_id} has written on {platform} yet; they have to write first"
            ))
        };
        let profile = found.ok_or_else(nobody)?;
        let sql =
            "select c.id from conversation_people q join conversations c on c.key = q.conversation and c.instance <> ''
                   where q.profile = ?1
                     and not exists (select 1 from conversation_people o join platform_profiles op on op.key = o.profile
                                     where o.conversation = c.key and op.user <> ?2)
                   order by c.last_active desc limit 1";
        let mut statement = self.prepare(sql)?;
        let id = |row: &rusqlite::Row<'_>| Ok(ConversationId::from_bytes(row.get(0)?));
        let found = statement.query_row(profile, id).optional().map_err(sql_error)?;
        found.ok_or_else(|| {
            Error::NotFound(format!(
                "{platform_user_id} has no conversation of their own on {platform}; name one by conversation_id"
            ))
        })
    }
}
