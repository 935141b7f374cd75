//! The end of what visitors of the native bridge API left: their rooms end like any other, and who has nothing left there goes with them.

use super::rooms::RoomRef;
use super::{Read, Tx, sql_error};
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::{OptionalExtension, Row, params};

/// Sessions that one write ends.
const STEP: usize = if cfg!(test) { 2 } else { 50 };

/// What one step, or all of them, ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClearedSessions {
    pub sessions: usize,
    pub messages: i64,
    pub responses: i64,
    /// Nothing is left to do.
    pub is_last: bool,
}

impl ClearedSessions {
    #[must_use]
    pub fn and(self, step: Self) -> Self {
        Self {
            sessions: self.sessions + step.sessions,
            messages: self.messages + step.messages,
            responses: self.responses + step.responses,
            is_last: step.is_last,
        }
    }
}

impl Tx<'_> {
    /// Ends some of the sessions up to the conversation numbered so; [`Tx::purge_room`] removes their rows.
    pub fn forget_sessions(&mut self, newest: i64) -> Result<ClearedSessions> {
        let sql =
            "select r.key, r.id, c.message_count, c.response_count from conversations c join rooms r on r.key = c.room
                   where c.instance = 'bridge' and c.key <= ?1 limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            let room = RoomRef::bridge(row.get(0)?, RoomId::from_bytes(row.get(1)?));
            Ok((room, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        };
        let rows = statement.query_map(params![newest, STEP as i64], row).map_err(sql_error)?;
        let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let mut ended = ClearedSessions { is_last: rows.len() < STEP, ..ClearedSessions::default() };
        for (room, messages, responses) in &rows {
            self.delete_room(room)?;
            ended.sessions += 1;
            ended.messages += messages;
            ended.responses += responses;
        }
        Ok(ended)
    }

    /// Removes a visitor's profile, and the person if it was their only one, once nothing names it any more. People of other platforms
    /// stay: they write again under the same name.
    pub(super) fn forget_visitor(&self, profile: i64) -> Result<()> {
        let sql = "delete from platform_profiles where key = ?1 and platform = 'bridge'
                   and not exists (select 1 from messages where profile = ?1)
                   and not exists (select 1 from conversations where profile = ?1)
                   and not exists (select 1 from conversation_people where profile = ?1)
                   returning user, platform_user_id, display_name";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
        let found = statement.query_row([profile], row).optional().map_err(sql_error)?;
        let Some((user, uid, name)) = found else { return Ok(()) };
        self.forget_sender(&name)?;
        self.forget_subject(&format!("bridge:{uid}"))?;
        if self.read().profile_count(user)? == 0 { self.forget_user(user) } else { Ok(()) }
    }
}

impl Read<'_> {
    /// The number of the newest conversation; 0 if there is none.
    pub fn newest_conversation(&self) -> Result<i64> {
        self.number("select coalesce(max(key), 0) from conversations", [])
    }
}
