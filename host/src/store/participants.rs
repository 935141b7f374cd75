//! Who wrote in a room, and how many messages lie behind a point of it. Both are kept as messages come and go: a room's messages are
//! numbered without gaps (`ordinal`), so the count of a span is a difference, less what was deleted there; and of each participant the
//! messages of each block of 256 ordinals are counted, so that one's own can be taken off.

use super::messages::Stored;
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::Result;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

/// Ordinals that are counted together.
const BLOCK: i64 = 256;

/// Somebody who wrote in a room, with what their profile says.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Participant {
    pub sender: String,
    /// As the profile has it, else as the latest message that had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sender_type: Option<String>,
    pub message_count: i64,
    #[schema(format = "date-time")]
    pub first_seen: String,
    #[schema(format = "date-time")]
    pub last_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status_text: Option<String>,
}

impl Tx<'_> {
    pub(super) fn participant_wrote(&mut self, message: &Stored<'_>) -> Result<()> {
        let block = message.ordinal / BLOCK;
        // A block is put away when the next one begins.
        self.execute(
            "insert into participant_blocks (room, sender, block, count)
             select room, sender, block, block_count from participants where room = ?1 and sender = ?2 and block < ?3 and block_count > 0",
            params![message.room, message.sender, block],
        )?;
        self.execute(
            "insert into participants (room, sender, sender_type, message_count, first_seen, last_seen, last_seq, block, block_count)
             values (?1, ?2, ?3, 1, ?4, ?4, ?5, ?6, 1)
             on conflict (room, sender) do update set
                 sender_type = coalesce(excluded.sender_type, sender_type), message_count = message_count + 1,
                 last_seen = excluded.last_seen, last_seq = excluded.last_seq,
                 block_count = iif(block = excluded.block, block_count, 0) + 1, block = excluded.block",
            params![message.room, message.sender, message.sender_type, message.created_at, message.seq, block],
        )?;
        Ok(())
    }

    /// Takes a deleted message out of the counts.
    pub(super) fn participant_lost(&mut self, message: &Stored<'_>) -> Result<()> {
        let block = message.ordinal / BLOCK;
        self.execute(
            "insert into message_gaps (room, block, deleted) values (?1, ?2, 1)
             on conflict (room, block) do update set deleted = deleted + 1",
            [message.room, block],
        )?;
        self.execute(
            "update participant_blocks set count = count - 1 where room = ?1 and sender = ?2 and block = ?3",
            params![message.room, message.sender, block],
        )?;
        self.execute(
            "update participants set message_count = message_count - 1, block_count = block_count - (block = ?3)
             where room = ?1 and sender = ?2",
            params![message.room, message.sender, block],
        )?;
        self.execute(
            "delete from participants where room = ?1 and sender = ?2 and message_count = 0",
            params![message.room, message.sender],
        )?;
        Ok(())
    }
}

impl Read<'_> {
    /// Who wrote in a room, newest first: those whose last message is before number `before`; and where the next page begins.
    pub fn participants(&self, room: i64, before: i64, limit: u32) -> Result<(Vec<Participant>, Option<i64>)> {
        let sql = "select o.last_seq, o.sender, coalesce(p.sender_type, o.sender_type), o.message_count, o.first_seen, o.last_seen,
                          p.display_name, p.avatar_url, p.bio, p.status_text
                   from participants o left join profiles p on p.sender = o.sender
                   where o.room = ?1 and o.last_seq < ?2 order by o.last_seq desc limit ?3";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            let participant = Participant {
                sender: row.get(1)?,
                sender_type: row.get(2)?,
                message_count: row.get(3)?,
                first_seen: clock::format(row.get::<_, Micros>(4)?),
                last_seen: clock::format(row.get::<_, Micros>(5)?),
                display_name: row.get(6)?,
                avatar_url: row.get(7)?,
                bio: row.get(8)?,
                status_text: row.get(9)?,
            };
            Ok((row.get::<_, i64>(0)?, participant))
        };
        let rows = statement.query_map(params![room, before, limit + 1], row).map_err(sql_error)?;
        let mut rows: Vec<(i64, Participant)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().map(|(seq, _)| *seq).filter(|_| more);
        Ok((rows.into_iter().map(|(_, participant)| participant).collect(), next))
    }

    /// How many messages of a room lie behind the one numbered `after`, without those that `reader` wrote.
    pub fn unread(&self, room: i64, after: i64, reader: &str) -> Result<i64> {
        let sql = "select message_count, coalesce(first_seq, 0), coalesce(last_seq, 0), last_ordinal from room_state where room = ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        };
        let Some((count, first, last, last_ordinal)) =
            statement.query_row([room], row).optional().map_err(sql_error)?
        else {
            return Ok(0);
        };
        if count == 0 || last <= after {
            return Ok(0);
        }
        let own = self.own(room, reader)?;
        if after < first {
            return Ok(count - own.map_or(0, |own| own.count));
        }
        // The first message that counts, and how many of its block count.
        let sql = "select m.seq, m.ordinal from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.seq > ?2 and e.kind = 1 order by e.seq limit 1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let Some((seq, ordinal)) = statement.query_row(params![room, after], row).optional().map_err(sql_error)? else {
            return Ok(0);
        };
        let block = ordinal / BLOCK;
        let end = last_ordinal.min(block * BLOCK + BLOCK - 1);
        let deleted = |sql: &str| self.number(sql, [room, block]);
        let here = if deleted("select coalesce(sum(deleted), 0) from message_gaps where room = ?1 and block = ?2")? == 0
        {
            end - ordinal + 1
        } else {
            self.in_block(room, seq, end, None)?
        };
        let behind = last_ordinal
            - end
            - deleted("select coalesce(sum(deleted), 0) from message_gaps where room = ?1 and block > ?2")?;
        Ok(here + behind - own.map_or(Ok(0), |own| self.own_after(room, reader, &own, seq, block, end))?)
    }

    /// Messages of one block from number `seq` to ordinal `end`; of one sender if named.
    fn in_block(&self, room: i64, seq: i64, end: i64, sender: Option<&str>) -> Result<i64> {
        // The inner limit ends the walk with the block.
        let sql = "select count(*) from (select m.sender, m.ordinal from events e join messages m on m.seq = e.seq
                                         where e.room = ?1 and e.seq >= ?2 and e.kind = 1 order by e.seq limit 256)
                   where ordinal <= ?3 and (?4 is null or sender = ?4)";
        self.number(sql, params![room, seq, end, sender])
    }

    fn own(&self, room: i64, reader: &str) -> Result<Option<Own>> {
        let sql =
            "select message_count, last_seq, block, block_count from participants where room = ?1 and sender = ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Own { count: row.get(0)?, last_seq: row.get(1)?, block: row.get(2)?, block_count: row.get(3)? })
        };
        statement.query_row(params![room, reader], row).optional().map_err(sql_error)
    }

    fn own_after(&self, room: i64, reader: &str, own: &Own, seq: i64, block: i64, end: i64) -> Result<i64> {
        if own.last_seq < seq {
            return Ok(0);
        }
        let sql =
            "select coalesce(sum(count), 0) from participant_blocks where room = ?1 and sender = ?2 and block > ?3";
        let behind = self.number(sql, params![room, reader, block])?;
        let current = if own.block > block { own.block_count } else { 0 };
        Ok(self.in_block(room, seq, end, Some(reader))? + behind + current)
    }
}

struct Own {
    count: i64,
    last_seq: i64,
    block: i64,
    block_count: i64,
}
