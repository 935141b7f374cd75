//! Agents that live in rooms: who is asked when somebody writes in one, and the guard that keeps agents from talking to each other for ever.

use super::mentions::{Mention, is_mention};
use super::messages::{Draft, Posted};
use super::rooms::{RoomKind, RoomRef};
use super::turns::{Ground, Turn, person_of_room};
use super::{Read, Tx, sql_error};
use crate::error::Result;
use crate::ids::RoomId;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::json;
use std::sync::atomic::Ordering;

/// Turns that words of agents may begin in a room one after the other, before a person writes there.
const IN_A_ROW: i64 = 6;
/// Of a long row of agents' messages, so many are looked at for a person's.
const VISITS: i64 = 500;

/// Decides who is asked. It is called by the writer, so it must answer at once.
pub trait Routing: Send + Sync {
    /// Whether any room has a route: else posts are not looked at.
    fn has_rooms(&self) -> bool;
    fn turn(&self, post: &RoomPost<'_>) -> Turn;
}

/// Something that was said in a room that is no platform's.
#[derive(Debug, Clone, Copy)]
pub struct RoomPost<'a> {
    pub place: &'a Spot,
    pub sender: &'a str,
    pub by_agent: bool,
    mentions: &'a [Mention],
}

/// Where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// The name of an ordinary room.
    Room(String),
    /// The two people of direct messages.
    Dm(String, String),
}

/// Where a room's messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A plugin instance, and its platform.
    Platform(String, String),
    Spot(Spot),
}

impl RoomPost<'_> {
    pub fn mentions(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.mentions.iter().any(|mention| is_mention(&mention.rest, &name))
    }
}

impl Tx<'_> {
    /// What follows from a message of a room.
    pub(super) fn route_post(&mut self, room: &RoomRef, draft: &Draft, posted: &Posted) -> Result<()> {
        let Some(routing) = self.shared.routing.get().filter(|routing| routing.has_rooms()) else { return Ok(()) };
        let Some(place) = self.read().place(room)? else { return Ok(()) };
        let by_agent = draft.sender_type.as_deref() == Some("agent");
        let post = RoomPost { place: &place, sender: &draft.sender, by_agent, mentions: &draft.mentions };
        match routing.turn(&post) {
            Turn::Agents(agents) => {
                if by_agent && !self.goes_on(room, posted.seq)? {
                    return Ok(());
                }
                let user = person_of_room(&draft.sender);
                let ground = Ground { lane: room.id.to_string(), room: *room, user };
                agents.iter().try_for_each(|asked| self.ask(asked, &ground, posted))
            }
            Turn::Refused(refusal) => self.refuse(&refusal, room, &room.id.to_string(), posted),
            Turn::Nobody | Turn::Inbox => Ok(()),
        }
    }

    /// Whether an agent's words may begin one more turn; the first time that they may not, the room is told.
    fn goes_on(&mut self, room: &RoomRef, seq: i64) -> Result<bool> {
        let sql = "select seq, turns from agent_rows where room = ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let known = statement.query_row([room.key], row).optional().map_err(sql_error)?;
        let before = match known {
            Some((last, turns)) if !self.read().person_spoke(room.key, last)? => turns,
            _ => 0,
        };
        if before > IN_A_ROW {
            return Ok(false);
        }
        self.execute(
            "insert into agent_rows (room, seq, turns) values (?1, ?2, ?3)
             on conflict (room) do update set seq = excluded.seq, turns = excluded.turns",
            params![room.key, seq, before + 1],
        )?;
        if before < IN_A_ROW {
            return Ok(true);
        }
        // Counted twice if the commit is repeated, which is rare.
        self.shared.stats.loop_stops.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(room.id = %room.id, "agents began {IN_A_ROW} turns in a row; the next begins when a person writes");
        let text = format!("Agents began {IN_A_ROW} turns in a row here. They go on when a person writes.");
        let note = Draft::new(room.id, "system", &text, &json!({ "notice": "loop_guard" }), Some("system"))?;
        self.say(room, &note, None)?;
        Ok(false)
    }
}

impl Read<'_> {
    /// None where nobody writes any more.
    pub fn origin(&self, room: RoomId) -> Result<Option<Origin>> {
        let Some(room) = self.room_ref(room)? else { return Ok(None) };
        if room.kind != RoomKind::Bridge {
            return Ok(self.place(&room)?.map(Origin::Spot));
        }
        let mut statement = self.prepare("select instance, platform from conversations where room = ?1")?;
        let row = |row: &Row<'_>| Ok(Origin::Platform(row.get(0)?, row.get(1)?));
        statement.query_row([room.key], row).optional().map_err(sql_error)
    }

    fn place(&self, room: &RoomRef) -> Result<Option<Spot>> {
        let found = match room.kind {
            RoomKind::Bridge => return Ok(None),
            RoomKind::Room => self
                .prepare("select name from rooms where key = ?1")?
                .query_row([room.key], |row| Ok(Spot::Room(row.get(0)?)))
                .optional(),
            RoomKind::Dm => self
                .prepare("select low, high from dms where room = ?1")?
                .query_row([room.key], |row| Ok(Spot::Dm(row.get(0)?, row.get(1)?)))
                .optional(),
        };
        found.map_err(sql_error)
    }

    /// Whether anybody but agents, and the host itself, wrote in the room after the message numbered `after`.
    fn person_spoke(&self, room: i64, after: i64) -> Result<bool> {
        let sql = "select exists (select 1 from (
                       select m.sender_type as kind from events e join messages m on m.seq = e.seq
                       where e.room = ?1 and e.seq > ?2 and e.kind = 1 order by e.seq desc limit ?3
                   ) q where q.kind is null or q.kind not in ('agent', 'system'))";
        Ok(self.number(sql, params![room, after, VISITS])? == 1)
    }
}
