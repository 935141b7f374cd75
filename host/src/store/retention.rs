//! Limits that rooms' owners set: what lies beyond them is deleted, the oldest first, in small steps. Pinned messages are neither counted
//! nor deleted.

use super::events::Kind;
use super::message_changes::{Deletion, MessageRow};
use super::messages::Message;
use super::rooms::RoomRef;
use super::{Read, Tx, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::params;

/// Messages that one write deletes at most.
const STEP: usize = 100;
/// Messages that one write looks at: between two that go, many may be pinned.
const VISITS: u32 = 1000;
const HOUR: Micros = 3_600_000_000;

/// A room with a limit.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    pub key: i64,
    pub id: RoomId,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub by_count: u64,
    pub by_age: u64,
    /// Where the next step goes on; None: nothing is left to do.
    pub next: Option<i64>,
}

/// How much of a room is too much, as things are now.
struct Excess {
    /// Messages beyond the room's number.
    count: i64,
    /// What was written before is too old.
    before: Micros,
}

impl Tx<'_> {
    /// Deletes some of what is beyond the room's limits, from message `from` on; the limits are those that the room has at this moment.
    pub fn prune(&mut self, limits: RoomLimits, from: i64, now: Micros) -> Result<Pruned> {
        // The room may have been deleted since the sweep began.
        let Some(room) = self.read().room_ref(limits.id)? else { return Ok(Pruned::default()) };
        let mut excess = self.read().excess(&room, now)?;
        let (rows, walked) = self.read().unpinned_from(&room, from)?;
        let mut pruned = Pruned { next: walked.map(|last| last + 1), ..Pruned::default() };
        for row in &rows {
            if excess.count > 0 {
                (excess.count, pruned.by_count) = (excess.count - 1, pruned.by_count + 1);
            } else if row.created_at < excess.before {
                pruned.by_age += 1;
            } else {
                // Those behind it are younger still.
                pruned.next = None;
                break;
            }
            self.delete_message(&room, row, Deletion::Retention)?;
        }
        Ok(pruned)
    }
}

impl Read<'_> {
    /// Rooms with a limit, in the order of their keys.
    pub fn limited_rooms(&self, after: i64, limit: u32) -> Result<Vec<RoomLimits>> {
        let sql = "select key, id from rooms where (max_messages is not null or max_message_age_hours is not null)
                   and type <> 'deleted' and key > ?1 order by key limit ?2";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok(RoomLimits { key: row.get(0)?, id: RoomId::from_bytes(row.get(1)?) });
        let rows = statement.query_map(params![after, limit], row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// The room's oldest message that is not pinned, at `from` or behind it; and whether it is beyond the room's limits.
    pub fn oldest_unpinned(&self, limits: RoomLimits, from: i64, now: Micros) -> Result<Option<(i64, bool)>> {
        let Some(room) = self.room_ref(limits.id)? else { return Ok(None) };
        let first = self.number("select coalesce(first_seq, 0) from room_state where room = ?1", [room.key])?;
        let sql = "select m.seq, m.created_at from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.seq >= ?2 and e.kind = 1 and not exists (select 1 from pins p where p.seq = e.seq)
                   order by e.seq limit 1";
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params![room.key, from.max(first)]).map_err(sql_error)?;
        let Some(row) = rows.next().map_err(sql_error)? else { return Ok(None) };
        let (seq, created_at) = (row.get(0).map_err(sql_error)?, row.get::<_, Micros>(1).map_err(sql_error)?);
        let excess = self.excess(&room, now)?;
        Ok(Some((seq, excess.count > 0 || created_at < excess.before)))
    }

    /// Whether a message of the room lost its pin after event `after`: it may be older than what was the oldest.
    pub fn unpinned_since(&self, room: i64, after: i64) -> Result<bool> {
        let sql = "select exists (select 1 from events where room = ?1 and seq > ?2 and kind = ?3)";
        Ok(self.number(sql, params![room, after, Kind::MessageUnpinned as i64])? == 1)
    }

    fn excess(&self, room: &RoomRef, now: Micros) -> Result<Excess> {
        let sql = "select s.message_count - coalesce(r.max_messages, s.message_count), r.max_message_age_hours
                   from rooms r join room_state s on s.room = r.key where r.key = ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
        let (mut count, hours) = statement.query_row([room.key], row).map_err(sql_error)?;
        if count > 0 {
            count -= self.number("select count(*) from pins where room = ?1", [room.key])?;
        }
        Ok(Excess { count, before: hours.map_or(Micros::MIN, |hours| now - hours * HOUR) })
    }

    /// Messages that are not pinned, ascending, and the last that was looked at; None: there are no more behind them.
    fn unpinned_from(&self, room: &RoomRef, from: i64) -> Result<(Vec<MessageRow>, Option<i64>)> {
        let sql = "select m.seq, m.ordinal, m.created_at, m.reply_to, m.json, exists (select 1 from pins p where p.seq = m.seq)
                   from events e join messages m on m.seq = e.seq
                   where e.room = ?1 and e.seq >= ?2 and e.kind = 1 order by e.seq limit ?3";
        let mut statement = self.prepare(sql)?;
        let mut found = statement.query(params![room.key, from, VISITS]).map_err(sql_error)?;
        let (mut rows, mut visits, mut last) = (Vec::new(), 0, from);
        while let Some(row) = found.next().map_err(sql_error)? {
            (visits, last) = (visits + 1, row.get(0).map_err(sql_error)?);
            if !row.get::<_, bool>(5).map_err(sql_error)? {
                rows.push(message_row(row).map_err(sql_error)?);
            }
            if rows.len() == STEP {
                return Ok((parsed(rows)?, Some(last)));
            }
        }
        Ok((parsed(rows)?, (visits == VISITS).then_some(last)))
    }
}

type Unparsed = (i64, i64, Micros, Option<i64>, String);

fn message_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Unparsed> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn parsed(rows: Vec<Unparsed>) -> Result<Vec<MessageRow>> {
    let parse = |(seq, ordinal, created_at, reply_to, json): Unparsed| {
        Ok(MessageRow { seq, ordinal, created_at, reply_to, message: Message::from_json(&json)? })
    };
    rows.into_iter().map(parse).collect()
}
