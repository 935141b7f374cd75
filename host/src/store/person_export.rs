//! All that is known of one person, in pages of bounded size: their conversations, what was said there, files, and the jobs of both.

use super::files::{COLUMNS as FILE_COLUMNS, FileRow, file_row};
use super::{Read, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::{ConversationId, JobId, RoomId};
use rusqlite::{Row, params};
use std::collections::BTreeSet;

/// Rows that one page visits at most.
const VISITS: u32 = 1000;
/// Bytes of JSON after which a page ends.
const BYTES: usize = 512 * 1024;

/// A conversation in which the person wrote.
#[derive(Debug, Clone)]
pub struct ExportedConversation {
    pub key: i64,
    pub room: i64,
    pub id: ConversationId,
    pub room_id: RoomId,
    pub instance: String,
    pub platform: String,
    pub external_id: String,
    pub ip_address: Option<String>,
    pub created_at: Micros,
    pub last_active: Micros,
    /// Nobody else from a platform ever wrote there, so that all of it is theirs.
    pub is_alone: bool,
}

/// A message of theirs, or to them.
#[derive(Debug, Clone)]
pub struct ExportedMessage {
    pub json: String,
    /// Whether they wrote it.
    pub is_own: bool,
}

/// A job in the lane of one of their conversations.
#[derive(Debug, Clone)]
pub struct ExportedDelivery {
    pub id: JobId,
    pub kind: String,
    pub state: String,
    pub instance: String,
    /// Number of the message that it is about.
    pub cause: Option<i64>,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub created_at: Micros,
    pub finished_at: Option<Micros>,
}

impl Read<'_> {
    /// Behind the one numbered `after`.
    pub fn export_conversations(&self, user: i64, after: i64, limit: u32) -> Result<Vec<ExportedConversation>> {
        let sql = "select distinct c.key, c.room, c.id, r.id, c.instance, c.platform, c.external_id, c.ip_address, c.created_at, c.last_active,
                          not exists (select 1 from conversation_people o join platform_profiles op on op.key = o.profile
                                      where o.conversation = c.key and op.user <> ?1)
                   from platform_profiles p join conversation_people q on q.profile = p.key
                        join conversations c on c.key = q.conversation and c.instance <> '' join rooms r on r.key = c.room
                   where p.user = ?1 and c.key > ?2 order by c.key limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| {
            Ok(ExportedConversation {
                key: row.get(0)?,
                room: row.get(1)?,
                id: ConversationId::from_bytes(row.get(2)?),
                room_id: RoomId::from_bytes(row.get(3)?),
                instance: row.get(4)?,
                platform: row.get(5)?,
                external_id: row.get(6)?,
                ip_address: row.get(7)?,
                created_at: row.get(8)?,
                last_active: row.get(9)?,
                is_alone: row.get(10)?,
            })
        };
        let rows = statement.query_map(params![user, after, limit], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// What was said in one of their conversations behind message `after`, and where the next page begins: all of it where they are
    /// alone, else what they wrote and what answers it.
    pub fn export_messages(
        &self,
        user: i64,
        conversation: &ExportedConversation,
        after: i64,
    ) -> Result<(Vec<ExportedMessage>, Option<i64>)> {
        let sql = "select m.seq, m.json,
                          exists (select 1 from platform_profiles p where p.key = m.profile and p.user = ?3),
                          exists (select 1 from messages a join platform_profiles p on p.key = a.profile
                                  where a.seq = m.reply_to and p.user = ?3)
                   from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.seq > ?2 and e.kind = 1 order by e.seq limit ?4";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params![conversation.room, after, user, VISITS]).map_err(sql_error)?;
        let (mut messages, mut visits, mut bytes, mut last) = (Vec::new(), 0, 0, after);
        while let Some(row) = rows.next().map_err(sql_error)? {
            (visits, last) = (visits + 1, row.get(0).map_err(sql_error)?);
            let is_own: bool = row.get(2).map_err(sql_error)?;
            if !is_own && !conversation.is_alone && !row.get::<_, bool>(3).map_err(sql_error)? {
                continue;
            }
            let json: String = row.get(1).map_err(sql_error)?;
            bytes += json.len();
            messages.push(ExportedMessage { json, is_own });
            if bytes >= BYTES {
                return Ok((messages, Some(last)));
            }
        }
        Ok((messages, (visits == VISITS).then_some(last)))
    }

    /// Files in one of their conversations that carry one of their names, newest first, before the event numbered `before`.
    pub fn export_files(&self, user: i64, room: i64, before: i64) -> Result<(Vec<FileRow>, Option<i64>)> {
        let sql = format!(
            "{FILE_COLUMNS} where f.room = ?1 and f.event < ?2
                 and f.sender in (select display_name from platform_profiles where user = ?3
                                  union select username from platform_profiles where user = ?3)
             order by f.event desc limit ?4"
        );
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(params![room, before, user, VISITS], file_row).map_err(sql_error)?;
        let rows: Vec<FileRow> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let next = rows.last().filter(|_| rows.len() == VISITS as usize).map(|row| row.event);
        Ok((rows, next))
    }

    /// Jobs of these lanes behind the one numbered `after`, and where the next page begins. There is no index for it: this looks through
    /// the whole queue, a page at a time.
    pub fn export_deliveries(
        &self,
        lanes: &BTreeSet<String>,
        after: i64,
    ) -> Result<(Vec<ExportedDelivery>, Option<i64>)> {
        let sql = "select key, lane, id, kind, state, instance, cause, attempts, last_error, created_at, finished_at
                   from queue where key > ?1 order by key limit ?2";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params![after, VISITS]).map_err(sql_error)?;
        let (mut jobs, mut visits, mut last) = (Vec::new(), 0, after);
        while let Some(row) = rows.next().map_err(sql_error)? {
            (visits, last) = (visits + 1, row.get(0).map_err(sql_error)?);
            let lane = row.get_ref(1).and_then(|lane| Ok(lane.as_str()?)).map_err(sql_error)?;
            if lanes.contains(lane) {
                jobs.push(delivery(row).map_err(sql_error)?);
            }
        }
        Ok((jobs, (visits == VISITS).then_some(last)))
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<ExportedDelivery> {
    Ok(ExportedDelivery {
        id: JobId::from_bytes(row.get(2)?),
        kind: row.get(3)?,
        state: row.get(4)?,
        instance: row.get(5)?,
        cause: row.get(6)?,
        attempts: row.get(7)?,
        last_error: row.get(8)?,
        created_at: row.get(9)?,
        finished_at: row.get(10)?,
    })
}
