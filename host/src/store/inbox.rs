//! The inbox of the native bridge API: messages that an outside agent polls for. They are rows of the queue without lanes; a lease is a
//! claim that runs out by itself.

use super::{Read, State, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::ids::JobId;
use rusqlite::{Row, params};
use std::time::Duration;

/// Stands in the queue where an instance would.
const INSTANCE: &str = "inbox";
/// Items whose message is gone that one look finds, and looks that one poll takes.
const GONE: u32 = 500;
const LOOKS: u32 = 4;
/// Items whose lease has ended are counted as far as this.
const COUNTED: u32 = 10_000;

/// Items that could be given now: after the message numbered `?2`, each kind as far as `?3`. `?1` is the time.
const CANDIDATES: &str = "select * from (select key, cause, 0 as leased from queue
         where instance = 'inbox' and priority = 0 and state = 'pending' and runnable = 1 and next_at <= ?1 and cause > ?2
         order by next_at, key limit ?3)
     union all
     select * from (select key, cause, 1 as leased from queue
         where instance = 'inbox' and state = 'processing' and lease_until < ?1 and cause > ?2
         order by lease_until limit ?3)";

/// A message that a poller gets.
#[derive(Debug, Clone)]
pub struct InboxItem {
    pub key: i64,
    pub seq: i64,
    pub session_id: String,
    pub uid: String,
    pub created_at: Micros,
    /// The message as JSON.
    pub json: String,
    /// It was given before, and its lease has ended.
    pub was_leased: bool,
}

/// What a poll gets.
#[derive(Debug, Clone, Default)]
pub struct Taking {
    pub items: Vec<InboxItem>,
    /// Items that were counted and that nobody will get any more.
    pub gone: usize,
}

/// Which items a poll asks for.
#[derive(Debug, Clone, Copy)]
pub struct InboxQuery {
    pub limit: u32,
    pub offset: u32,
    /// Only messages after the one numbered so.
    pub after: i64,
}

impl Tx<'_> {
    pub(super) fn insert_inbox(&mut self, cause: i64, now: Micros) -> Result<()> {
        self.execute(
            "insert into queue (id, cause, kind, instance, lane, state, runnable, max_attempts, next_at, payload, created_at)
             values (?1, ?2, 'inbox', ?3, ?3, 'pending', 1, 1, ?4, '{}', ?4)",
            params![JobId::new().bytes(), cause, INSTANCE, now],
        )?;
        self.count(INSTANCE, State::Pending.name(), 1);
        Ok(())
    }

    /// Gives what waits: for good, or with `lease` until it is acknowledged or the lease ends.
    pub fn take_inbox(&mut self, query: InboxQuery, lease: Option<Duration>) -> Result<Taking> {
        if self.read().is_paused(INSTANCE)? {
            return Ok(Taking::default());
        }
        let (mut items, mut gone) = (self.read().inbox(query)?, 0);
        for _ in 0..LOOKS {
            // A full page has no gap.
            let removed = if items.len() < query.limit as usize { self.remove_gone(query)? } else { 0 };
            if removed == 0 {
                break;
            }
            gone += removed;
            items = self.read().inbox(query)?;
        }
        let now = clock::now();
        for item in &items {
            let from = if item.was_leased { State::Processing } else { State::Pending };
            self.count(INSTANCE, from.name(), -1);
            if let Some(lease) = lease {
                let sql =
                    "update queue set state = 'processing', lease_until = ?2, started_at = ?3, attempts = attempts + 1,
                                  claim = claim + 1 where key = ?1";
                self.execute(sql, params![item.key, now + clock::micros(lease), now])?;
                self.count(INSTANCE, State::Processing.name(), 1);
            } else {
                self.complete_inbox(item.key, now)?;
            }
        }
        Ok(Taking { items, gone })
    }

    /// Items of rooms that have ended and whose rows are still to go: they would stand in the way of those behind them.
    fn remove_gone(&mut self, query: InboxQuery) -> Result<usize> {
        let sql = format!(
            "select q.key, case q.leased when 1 then 'processing' else 'pending' end, 'inbox' from ({CANDIDATES}) q
                 left join messages m on m.seq = q.cause left join conversations c on c.room = m.room and c.instance <> ''
             where c.key is null"
        );
        let reach = query.limit.saturating_add(query.offset).clamp(1, GONE);
        self.purge_jobs(&sql, params![clock::now(), query.after, reach])
    }

    fn complete_inbox(&mut self, key: i64, now: Micros) -> Result<()> {
        let sql =
            "update queue set state = 'completed', runnable = 0, lease_until = null, finished_at = ?2 where key = ?1";
        self.execute(sql, params![key, now])?;
        self.count(INSTANCE, State::Completed.name(), 1);
        Ok(())
    }

    /// Confirms items by their message's number; answers how many were waiting for it.
    pub fn acknowledge_inbox(&mut self, messages: &[i64]) -> Result<usize> {
        let mut acknowledged = 0;
        for seq in messages {
            let sql = "select key, state from queue where cause = ?1 and kind = 'inbox' and state in ('pending', 'processing')";
            let mut statement = self.prepare(sql)?;
            let rows = statement.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql_error)?;
            let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>().map_err(sql_error)?;
            for (key, state) in rows {
                if let Some(state) = State::from_name(&state) {
                    self.count(INSTANCE, state.name(), -1);
                }
                self.complete_inbox(key, clock::now())?;
                acknowledged += 1;
            }
        }
        Ok(acknowledged)
    }
}

impl Read<'_> {
    /// What a poll would get now: waiting items, and those whose lease has ended.
    fn inbox(&self, query: InboxQuery) -> Result<Vec<InboxItem>> {
        let sql = format!(
            "select q.key, q.cause, c.external_id, p.platform_user_id, m.created_at, m.json, q.leased from ({CANDIDATES}) q
                 join messages m on m.seq = q.cause join conversations c on c.room = m.room and c.instance <> ''
                 left join platform_profiles p on p.key = m.profile
             order by q.key limit ?4 offset ?5"
        );
        let row = |row: &Row<'_>| {
            Ok(InboxItem {
                key: row.get(0)?,
                seq: row.get(1)?,
                session_id: row.get(2)?,
                uid: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
                created_at: row.get(4)?,
                json: row.get(5)?,
                was_leased: row.get(6)?,
            })
        };
        let reach = query.limit.saturating_add(query.offset);
        let parameters = params![clock::now(), query.after, reach, query.limit, query.offset];
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map(parameters, row).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }

    /// How many wait to be fetched, with those whose lease has ended; while the inbox is paused, none.
    pub fn inbox_waiting(&self) -> Result<i64> {
        if self.is_paused(INSTANCE)? {
            return Ok(0);
        }
        let sql = "select coalesce(sum(count), 0) from queue_counts where instance = 'inbox' and state = 'pending'";
        let pending = self.number(sql, [])?;
        let sql = "select count(*) from (select 1 from queue where instance = 'inbox' and state = 'processing' and lease_until < ?1
                                         limit ?2) q";
        Ok(pending + self.number(sql, params![clock::now(), COUNTED])?)
    }
}
