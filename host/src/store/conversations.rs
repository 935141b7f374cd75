//! Conversations on platforms: listed for operators, and as the sessions of the native bridge API.

use super::messages::Draft;
use super::rooms::RoomRef;
use super::takeover::{IS_TAKEN, Taken};
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, RoomId, UserId};
use rusqlite::{OptionalExtension, Row, params};

/// A conversation as operators see it.
#[derive(Debug, Clone)]
pub struct ConversationRow {
    pub key: i64,
    pub id: ConversationId,
    /// Number of its room inside the store.
    pub room: i64,
    pub room_id: RoomId,
    pub instance: String,
    pub platform: String,
    pub external_id: String,
    pub user_id: UserId,
    pub user_name: String,
    pub platform_user_id: String,
    pub created_at: Micros,
    pub last_activity: Micros,
    /// Messages from the platform, and to it.
    pub message_count: i64,
    pub response_count: i64,
    /// Who speaks there in the agent's place.
    pub taken: Option<Taken>,
}

/// Which conversations; all fields together.
#[derive(Debug, Clone, Default)]
pub struct ConversationFilter {
    pub platform: Option<String>,
    /// Also one who was merged into somebody else since.
    pub user: Option<UserId>,
    /// Whether somebody has it.
    pub taken: Option<bool>,
}

/// A visitor's session of the native bridge API.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub key: i64,
    /// Number of its room inside the store.
    pub room: i64,
    pub session_id: String,
    pub uid: String,
    pub created_at: Micros,
    pub last_active: Micros,
    pub ip_address: Option<String>,
    pub message_count: i64,
    pub response_count: i64,
    /// A widget has every response up to this one.
    pub handed_over: i64,
}

/// A response to a visitor of the native bridge API.
#[derive(Debug, Clone)]
pub struct BridgeResponse {
    pub seq: i64,
    pub session_id: String,
    /// Number of the message that it answers.
    pub asked: Option<i64>,
    pub json: String,
}

const COLUMNS: &str =
    "select c.key, c.id, r.id, c.instance, c.platform, c.external_id, u.id, p.display_name, p.platform_user_id,
            c.created_at, coalesce(m.created_at, c.last_active), c.room, c.message_count, c.response_count, c.taken_by, c.taken_until
     from conversations c {INDEX} join rooms r on r.key = c.room and r.type <> 'deleted' join platform_profiles p on p.key = c.profile
     join users u on u.key = p.user join room_state s on s.room = c.room left join messages m on m.seq = s.last_seq";

const SESSION: &str =
    "select c.key, c.room, c.external_id, p.platform_user_id, c.created_at, c.last_active, c.ip_address,
            c.message_count, c.response_count, c.handed_over
     from conversations c {INDEX} join platform_profiles p on p.key = c.profile where c.instance = 'bridge'";

impl Read<'_> {
    /// Newest first, before the one numbered `before`.
    pub fn conversations(
        &self,
        filter: &ConversationFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>> {
        let before = before.unwrap_or(i64::MAX);
        let user = filter.user.map(|user| *user.bytes());
        // Each filter has its index; both together go by the person, who has few.
        let narrowed = match (&filter.platform, user) {
            (_, Some(_)) => {
                "c.key in (select w2.conversation from users u2
                                  join platform_profiles p2 on p2.user = coalesce(u2.merged_into, u2.key)
                                  join conversation_people w2 on w2.profile = p2.key where u2.id = ?1)
                             and (?2 is null or c.platform = ?2)"
            }
            (Some(_), None) => "?1 is null and c.platform = ?2",
            (None, None) => "?1 is null and ?2 is null",
        };
        let is_taken = IS_TAKEN.replace("{NOW}", "?5");
        // Few are taken, so that they are looked through whatever else is asked for.
        let (index, state) = match filter.taken {
            Some(true) => ("indexed by conversations_taken", is_taken),
            Some(false) => ("", format!("not ({is_taken})")),
            None => ("", "?5 is not null".into()),
        };
        let columns = COLUMNS.replace("{INDEX}", index);
        let sql = format!("{columns} where {narrowed} and {state} and c.key < ?3 order by c.key desc limit ?4");
        let mut statement = self.prepare(&sql)?;
        let now = clock::now();
        let parameters = params![user, filter.platform, before, limit, now];
        let rows = statement.query_map(parameters, |row| conversation_row(row, now)).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    pub fn conversation(&self, id: ConversationId) -> Result<Option<ConversationRow>> {
        let sql = format!("{} where c.id = ?1", COLUMNS.replace("{INDEX}", ""));
        let mut statement = self.prepare(&sql)?;
        let now = clock::now();
        statement.query_row([id.bytes()], |row| conversation_row(row, now)).optional().map_err(sql_error)
    }

    /// Responses to visitors of the native bridge API after the one numbered `after`, oldest first.
    pub fn bridge_responses(&self, after: i64, limit: u32) -> Result<Vec<BridgeResponse>> {
        let sql = "select b.seq, c.external_id, m.reply_to, m.json from bridge_responses b
                   join conversations c on c.key = b.conversation and c.instance <> '' join messages m on m.seq = b.seq
                   where b.seq > ?1 order by b.seq limit ?2";
        let row = |row: &Row<'_>| {
            let (seq, session_id) = (row.get(0)?, row.get(1)?);
            Ok(BridgeResponse { seq, session_id, asked: row.get(2)?, json: row.get(3)? })
        };
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![after, limit], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// What a session's room holds, newest `limit` in ascending order: number, whether the visitor said it, JSON.
    pub fn session_messages(&self, room: i64, limit: u32) -> Result<Vec<(i64, bool, String)>> {
        let sql = "select m.seq, m.profile is not null, m.json from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.kind = 1 order by e.seq desc limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows = statement.query_map(params![room, limit], row).map_err(sql_error)?;
        let mut rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        rows.reverse();
        Ok(rows)
    }

    pub fn session(&self, session_id: &str) -> Result<Option<SessionRow>> {
        let sql = format!("{} and c.external_id = ?1", SESSION.replace("{INDEX}", ""));
        let mut statement = self.prepare(&sql)?;
        statement.query_row([session_id], session_row).optional().map_err(sql_error)
    }

    /// Latest activity first; with `since`, only those active after it.
    pub fn sessions(&self, since: Option<Micros>, offset: u32, limit: u32) -> Result<Vec<SessionRow>> {
        // Named, because the planner would take the index of (instance, external_id) and sort.
        let from = SESSION.replace("{INDEX}", "indexed by conversations_active");
        let sql = format!("{from} and c.last_active > ?1 order by c.last_active desc limit ?2 offset ?3");
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(params![since.unwrap_or(-1), limit, offset], session_row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// How many there are, as far as `most`: beyond that nobody pages.
    pub fn session_count(&self, since: Option<Micros>, most: u32) -> Result<i64> {
        let sql = "select count(*) from (select 1 from conversations indexed by conversations_active
                                          where instance = 'bridge' and last_active > ?1 limit ?2)";
        self.number(sql, params![since.unwrap_or(-1), most])
    }
}

impl Tx<'_> {
    /// The visitor is still there; false if the session is unknown.
    pub fn touch_session(&mut self, session_id: &str) -> Result<bool> {
        let sql = "update conversations set last_active = ?2 where instance = 'bridge' and external_id = ?1";
        Ok(self.execute(sql, params![session_id, clock::now()])? > 0)
    }

    /// A poller's answer to a session; `key` makes a repeat find the first one. Answers its number and time.
    pub fn respond(
        &mut self,
        session_id: &str,
        draft: impl Fn(RoomId) -> Result<Draft>,
        asked: Option<i64>,
        key: Option<&str>,
    ) -> Result<(i64, Micros)> {
        let room = self.session_room(session_id)?.ok_or_else(|| Error::Invalid("Invalid or expired session".into()))?;
        if let Some(key) = key
            && !self.first_time("bridge:outbox", key)?
        {
            return self.responded(key);
        }
        let parent = asked.map(|seq| self.read().message_in(room.key, seq)).transpose()?.flatten();
        if let Some(parent) = parent {
            self.acknowledge_inbox(&[parent.seq])?;
        }
        let posted = self.post_in(&room, &draft(room.id)?, parent)?;
        if let Some(key) = key {
            let sql = "update ingested set seq = ?2 where instance = 'bridge:outbox' and external_id = ?1";
            self.execute(sql, params![key, posted.seq])?;
        }
        Ok((posted.seq, posted.created_at))
    }

    fn responded(&self, key: &str) -> Result<(i64, Micros)> {
        let sql = "select i.seq, coalesce(m.created_at, 0) from ingested i left join messages m on m.seq = i.seq
                   where i.instance = 'bridge:outbox' and i.external_id = ?1";
        let mut statement = self.prepare(sql)?;
        statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql_error)
    }

    fn session_room(&self, session_id: &str) -> Result<Option<RoomRef>> {
        let sql = "select r.key, r.id from conversations c join rooms r on r.key = c.room
                   where c.instance = 'bridge' and c.external_id = ?1";
        let row = |row: &Row<'_>| Ok(RoomRef::bridge(row.get(0)?, RoomId::from_bytes(row.get(1)?)));
        let mut statement = self.prepare(sql)?;
        statement.query_row([session_id], row).optional().map_err(sql_error)
    }

    /// Responses that the session's widget has not had yet, as number, question's number and JSON; it has them from now on.
    pub fn hand_over(&mut self, session_id: &str, limit: u32) -> Result<Vec<(i64, Option<i64>, String)>> {
        let Some(session) = self.read().session(session_id)? else { return Ok(Vec::new()) };
        let responses = self.read().responses(session.room, session.handed_over, limit)?;
        if let Some((last, ..)) = responses.last() {
            self.execute("update conversations set handed_over = ?2 where key = ?1", [session.key, *last])?;
        }
        Ok(responses)
    }
}

fn conversation_row(row: &Row<'_>, now: Micros) -> rusqlite::Result<ConversationRow> {
    Ok(ConversationRow {
        key: row.get(0)?,
        id: ConversationId::from_bytes(row.get(1)?),
        room_id: RoomId::from_bytes(row.get(2)?),
        instance: row.get(3)?,
        platform: row.get(4)?,
        external_id: row.get(5)?,
        user_id: UserId::from_bytes(row.get(6)?),
        user_name: row.get(7)?,
        platform_user_id: row.get(8)?,
        created_at: row.get(9)?,
        last_activity: row.get(10)?,
        room: row.get(11)?,
        message_count: row.get(12)?,
        response_count: row.get(13)?,
        taken: Taken::now(row.get(14)?, row.get(15)?, now),
    })
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        key: row.get(0)?,
        room: row.get(1)?,
        session_id: row.get(2)?,
        uid: row.get(3)?,
        created_at: row.get(4)?,
        last_active: row.get(5)?,
        ip_address: row.get(6)?,
        message_count: row.get(7)?,
        response_count: row.get(8)?,
        handed_over: row.get(9)?,
    })
}
