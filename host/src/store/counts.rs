//! Sums over the whole store, kept as things change, so that nobody has to count rows. Changes of one commit are added up and written once.

use super::writer::WriterThread;
use super::{Read, Tx, prepare, sql_error};
use crate::clock::Micros;
use crate::error::Result;
use rusqlite::params;
use std::collections::BTreeMap;

/// What is counted. The names are in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Count {
    Messages,
    /// Messages by their sender's type; those of other types are the rest.
    AgentMessages,
    HumanMessages,
    /// Messages that answer one.
    Replies,
    /// Messages in rooms of two.
    DirectMessages,
    /// Ordinary rooms, archived ones too.
    Rooms,
    ArchivedRooms,
    Dms,
    Files,
    FileBytes,
    Profiles,
    Reactions,
    Pins,
    Bookmarks,
    Webhooks,
    ActiveWebhooks,
    IncomingWebhooks,
}

impl Count {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::AgentMessages => "messages.agent",
            Self::HumanMessages => "messages.human",
            Self::Replies => "messages.replies",
            Self::DirectMessages => "messages.direct",
            Self::Rooms => "rooms",
            Self::ArchivedRooms => "rooms.archived",
            Self::Dms => "dms",
            Self::Files => "files",
            Self::FileBytes => "files.bytes",
            Self::Profiles => "profiles",
            Self::Reactions => "reactions",
            Self::Pins => "pins",
            Self::Bookmarks => "bookmarks",
            Self::Webhooks => "webhooks",
            Self::ActiveWebhooks => "webhooks.active",
            Self::IncomingWebhooks => "incoming_webhooks",
        }
    }
}

/// Somebody who wrote.
pub(super) struct SenderSeen {
    pub sender: String,
    pub sender_type: Option<String>,
    pub at: Micros,
}

impl Tx<'_> {
    /// Adds to a sum when the transaction ends.
    pub(super) fn tally(&mut self, count: Count, change: i64) {
        self.effects.sums.push((count, change));
    }

    /// A message came (`1`) or went (`-1`).
    pub(super) fn tally_message(&mut self, sender_type: Option<&str>, is_reply: bool, is_direct: bool, change: i64) {
        self.tally(Count::Messages, change);
        match sender_type {
            Some("agent") => self.tally(Count::AgentMessages, change),
            Some("human") => self.tally(Count::HumanMessages, change),
            _ => {}
        }
        if is_reply {
            self.tally(Count::Replies, change);
        }
        if is_direct {
            self.tally(Count::DirectMessages, change);
        }
    }
}

impl WriterThread {
    pub(super) fn write_sums(&self) -> rusqlite::Result<()> {
        let mut sums = BTreeMap::new();
        for (count, change) in &self.effects.sums {
            *sums.entry(*count).or_insert(0) += change;
        }
        sums.retain(|_, change| *change != 0);
        for (count, change) in sums {
            let sql = "insert into counts (name, value) values (?1, ?2)
                       on conflict (name) do update set value = value + excluded.value";
            prepare(&self.connection, sql)?.execute(params![count.name(), change])?;
        }
        // In their order, so that one who says no type keeps the one said before in the same commit.
        let mut newest: BTreeMap<&str, (Option<&str>, Micros)> = BTreeMap::new();
        for SenderSeen { sender, sender_type, at } in &self.effects.senders {
            let seen = newest.entry(sender).or_insert((None, *at));
            *seen = (sender_type.as_deref().or(seen.0), *at);
        }
        for (sender, (sender_type, at)) in newest {
            let sql = "insert into senders (sender, sender_type, last_seen) values (?1, ?2, ?3)
                       on conflict (sender) do update set sender_type = coalesce(excluded.sender_type, sender_type),
                                                          last_seen = excluded.last_seen";
            prepare(&self.connection, sql)?.execute(params![sender, sender_type, at])?;
        }
        Ok(())
    }
}

impl Read<'_> {
    pub fn count(&self, count: Count) -> Result<i64> {
        self.number("select coalesce((select value from counts where name = ?1), 0)", [count.name()])
    }

    /// Who wrote since: how many of type agent, of type human, of any.
    pub fn active_senders(&self, since: Micros) -> Result<(i64, i64, i64)> {
        let sql = "select coalesce(sum(sender_type = 'agent'), 0), coalesce(sum(sender_type = 'human'), 0), count(*)
                   from senders where last_seen > ?1";
        let mut statement = self.prepare(sql)?;
        statement.query_row([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(sql_error)
    }
}
