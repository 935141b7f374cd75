//! Conversations that a person has taken over: until they give it back, or the time is over, the agent is not asked there.

use super::conversations::ConversationRow;
use super::events::Kind;
use super::rooms::numbered;
use super::turns::{TAKEN, turn_allowed};
use super::{Read, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::ConversationId;
use rusqlite::params;
use serde_json::json;

/// Turns that wait, of one conversation, which one takeover sets aside at most; what is beyond runs and is not heard.
const TURNS: u32 = 500;
/// Takeovers whose time is over that each new one clears away.
const CLEARED: u32 = 100;

/// Narrows a query of `conversations c` to those that somebody has; `{NOW}` is the parameter with the time.
pub(super) const IS_TAKEN: &str = "c.taken_by is not null and (c.taken_until is null or c.taken_until > {NOW})";

/// Who has a conversation, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub by: String,
    /// None: until it is released.
    pub until: Option<Micros>,
}

impl Taken {
    /// What the columns say at this moment.
    pub(super) fn now(by: Option<String>, until: Option<Micros>, now: Micros) -> Option<Self> {
        by.filter(|by| !turn_allowed(Some(by), until, now)).map(|by| Self { by, until })
    }
}

impl Tx<'_> {
    /// The agent is silent there from now on. Whoever has it already may set another time.
    pub fn take_over_conversation(
        &mut self,
        id: ConversationId,
        sender: &str,
        until: Option<Micros>,
    ) -> Result<ConversationRow> {
        let row = self.read().conversation(id)?.ok_or_else(|| unknown_conversation(id))?;
        check_holder(&row, sender)?;
        self.clear_ended_takeovers()?;
        let sql = "update conversations set taken_by = ?2, taken_until = ?3 where key = ?1";
        self.execute(sql, params![row.key, sender, until])?;
        self.set_turns_aside(&id.to_string())?;
        let event = json!({
            "conversation_id": id,
            "room_id": row.room_id,
            "taken_by": sender,
            "taken_until": until.map(clock::format),
        });
        self.record(Some(row.room), Kind::ConversationTaken, |seq| numbered(event.to_string(), seq))?;
        Ok(ConversationRow { taken: Some(Taken { by: sender.into(), until }), ..row })
    }

    /// The agent is asked again. `sender` None: whoever has it. Nothing happens to a conversation that nobody has.
    pub fn release_conversation(&mut self, id: ConversationId, sender: Option<&str>) -> Result<ConversationRow> {
        let row = self.read().conversation(id)?.ok_or_else(|| unknown_conversation(id))?;
        let Some(taken) = &row.taken else { return Ok(row) };
        sender.map_or(Ok(()), |sender| check_holder(&row, sender))?;
        let released_by = sender.unwrap_or(&taken.by);
        self.execute("update conversations set taken_by = null, taken_until = null where key = ?1", [row.key])?;
        let event = json!({ "conversation_id": id, "room_id": row.room_id, "released_by": released_by });
        self.record(Some(row.room), Kind::ConversationReleased, |seq| numbered(event.to_string(), seq))?;
        Ok(ConversationRow { taken: None, ..row })
    }

    fn clear_ended_takeovers(&mut self) -> Result<()> {
        let sql = "update conversations set taken_by = null, taken_until = null where key in (
                       select key from conversations indexed by conversations_taken
                       where taken_by is not null and taken_until <= ?1 limit ?2)";
        self.execute(sql, params![clock::now(), CLEARED]).map(drop)
    }

    /// Turns that wait in the conversation's lanes are kept for the record, and not run; those that run end.
    fn set_turns_aside(&mut self, lane: &str) -> Result<()> {
        for instance in self.read().job_instances()? {
            let sql = "select key, state, instance, lane from queue where instance = ?1 and lane = ?2
                       and state in ('pending', 'processing') and state = 'pending' and kind = 'agent_turn' order by key limit ?3";
            self.flush_found(sql, params![instance, lane, TURNS], Some(TAKEN))?;
            self.silence_running(&instance, lane, TAKEN)?;
        }
        Ok(())
    }
}

impl Read<'_> {
    pub(super) fn job_instances(&self) -> Result<Vec<String>> {
        let mut statement =
            self.prepare("select distinct instance from queue_counts where state in ('pending', 'processing')")?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql_error)
    }
}

fn check_holder(row: &ConversationRow, sender: &str) -> Result<()> {
    match &row.taken {
        Some(Taken { by, until }) if by != sender => {
            let until = until.map_or_else(String::new, |until| format!(" until {}", clock::format(until)));
            Err(Error::Conflict(format!("{by} has this conversation{until}; ask {by} to release it")))
        }
        _ => Ok(()),
    }
}

pub fn unknown_conversation(id: impl std::fmt::Display) -> Error {
    Error::NotFound(format!("no conversation has the id {id}"))
}
