//! Turns of agents: who is asked about a message, messages that are joined into one turn, and what a worker is
//! handed. Turns that wait for their minute are in `turn_windows.rs`, how turns end is in `turn_ends.rs`, who is asked in rooms is in `room_turns.rs`.

use super::jobs::{Claim, Claimed, NewJob, Seat};
use super::messages::Posted;
use super::rooms::RoomRef;
use super::{Read, State, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::Result;
use crate::ids::{ConversationId, RoomId, UserId};
use plugin_api::types::{Message, Mode, Priority, Turn as AgentTurn, User, Work};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// Of the jobs that are turns.
pub(super) const KIND: &str = "agent_turn";
/// Why a turn is not taken, or its answer not said.
pub(super) const TAKEN: &str = "a person has taken the conversation over";
/// Messages that are joined into one turn.
const JOINED: usize = 20;
/// What people of plain rooms are on, as agents are told.
const ROOMS: &str = "chat";

/// What follows from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Nobody,
    /// Each of these agents is asked.
    Agents(Vec<Asked>),
    /// A poller of the native bridge API.
    Inbox,
    /// Its author is not heard, and told so.
    Refused(Refusal),
}

/// An agent that is asked, and on which terms: those of the route at the time of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub instance: String,
    /// The name that it speaks under; None: that of the instance.
    pub speaker: Option<String>,
    pub mode: Mode,
    /// How long the turn waits for more messages of its conversation; 0: none are joined.
    pub merge_window: Micros,
    /// In one conversation; 0: any number.
    pub turns_per_minute: u32,
    /// Said if the turn is given up.
    pub apology: Option<String>,
}

/// What somebody is told who is not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub instance: String,
    /// The name that it is said under.
    pub speaker: String,
    /// Who is told, by the platform's id or by name.
    pub person: String,
    pub text: String,
}

impl Turn {
    /// An agent on the plainest terms.
    pub fn agent(instance: &str, mode: Mode) -> Self {
        Self::Agents(vec![Asked {
            instance: instance.into(),
            speaker: None,
            mode,
            merge_window: 0,
            turns_per_minute: 0,
            apology: None,
        }])
    }
}

/// What a turn's job keeps of the route that made it, so that a change of routes is for new turns alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Terms {
    mode: Mode,
    /// Numbers of all messages that it answers, if there are several, oldest first; the last one is the job's cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub turns_per_minute: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apology: Option<String>,
    /// The apology was said: another end of this job does not say it again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub apologised: bool,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Terms {
    fn of(asked: &Asked) -> Self {
        Self {
            mode: asked.mode,
            speaker: asked.speaker.clone(),
            turns_per_minute: asked.turns_per_minute,
            apology: asked.apology.clone(),
            ..Self::default()
        }
    }

    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload).unwrap_or_default()
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }
}

/// Where a turn is taken, and who asks.
pub(super) struct Ground {
    /// Of the conversation, or of the room where it is no platform's.
    pub lane: String,
    pub room: RoomRef,
    pub user: User,
}

/// A turn as a worker needs it.
struct FoundTurn {
    turn: AgentTurn,
    room: i64,
    is_taken: bool,
}

/// Whether an agent may speak in a conversation: not while a person has taken it over.
pub(super) fn turn_allowed(taken_by: Option<&str>, taken_until: Option<Micros>, now: Micros) -> bool {
    taken_by.is_none() || taken_until.is_some_and(|until| until <= now)
}

/// What the agent reads: each text as it is, told apart by their senders where these differ.
fn joined(messages: &[Message]) -> String {
    let alone = messages.windows(2).all(|two| two[0].sender == two[1].sender);
    let line = |message: &Message| match alone {
        true => message.content.clone(),
        false => format!("{}: {}", message.sender, message.content),
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Somebody of a plain room, who has no account: known by their name.
pub(super) fn person_of_room(name: &str) -> User {
    User {
        id: UserId::of_name(name).to_string(),
        username: name.into(),
        display_name: name.into(),
        platform: ROOMS.into(),
        platform_user_id: name.into(),
    }
}

impl Tx<'_> {
    /// Asks an agent about a message: by a turn of its own, or as part of one that waits.
    pub(super) fn ask(&mut self, asked: &Asked, ground: &Ground, posted: &Posted) -> Result<()> {
        let terms = Terms::of(asked);
        if asked.merge_window > 0 && self.join_waiting(asked, &terms, &ground.lane, posted.seq)? {
            return Ok(());
        }
        // Whether the minute has room for it is seen when it is claimed, so that one is never born processing.
        let after = asked.merge_window.max(Micros::from(asked.turns_per_minute > 0));
        let (instance, lane, cause) = (&asked.instance, &ground.lane, Some(posted.seq));
        let job =
            NewJob { kind: KIND, instance, lane, cause, payload: &terms.to_json(), after, priority: Priority::Normal };
        // All of it is at hand: a job that starts at once is not read back.
        if let (_, Some(claim)) = self.insert_job(&job)? {
            let work = Work::AgentTurn(Box::new(AgentTurn {
                mode: asked.mode,
                conversation_id: ground.lane.clone(),
                room_id: ground.room.id.to_string(),
                user: ground.user.clone(),
                message: serde_json::from_str(&posted.json).unwrap_or_default(),
                causes: Vec::new(),
            }));
            self.hand_seated(instance, claim, work, ground.room.key, &terms);
        }
        Ok(())
    }

    fn hand_seated(&mut self, instance: &str, claim: Claim, work: Work, room: i64, terms: &Terms) {
        let speaker = terms.speaker.as_deref().unwrap_or(instance).to_owned();
        let seat = Some(Seat { room, speaker });
        self.effects.handed.push(Claimed { seat, ..Claimed::new(instance, claim, work) });
    }

    /// The lane's last turn takes the message up, if nobody was asked by it yet and it is on the same terms.
    fn join_waiting(&mut self, asked: &Asked, terms: &Terms, lane: &str, seq: i64) -> Result<bool> {
        let sql = "select key, cause, payload, state = 'pending' and claim = 0 and kind = ?3 from queue
                   where instance = ?1 and lane = ?2 and state in ('pending', 'processing') order by key desc limit 1";
        let row = |row: &Row<'_>| {
            let (key, cause): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok((key, cause, row.get::<_, String>(2)?, row.get::<_, bool>(3)?))
        };
        let mut statement = self.prepare(sql)?;
        let found = statement.query_row(params![asked.instance, lane, KIND], row).optional().map_err(sql_error)?;
        let Some((key, Some(cause), payload, true)) = found else { return Ok(false) };
        let mut waiting = Terms::read(&payload);
        let mut causes = std::mem::take(&mut waiting.causes);
        if waiting != *terms || causes.len() >= JOINED {
            return Ok(false);
        }
        if causes.is_empty() {
            causes.push(cause);
        }
        causes.push(seq);
        waiting.causes = causes;
        self.execute("update queue set cause = ?2, payload = ?3 where key = ?1", params![key, seq, waiting.to_json()])?;
        Ok(true)
    }

    /// Gives a claimed turn to a worker. False: its messages are gone, or a person has taken over.
    pub(super) fn hand_turn(
        &mut self,
        instance: &str,
        claim: Claim,
        cause: Option<i64>,
        payload: &str,
    ) -> Result<bool> {
        let terms = Terms::read(payload);
        match self.read().turn(cause, &terms)? {
            Some(found) if found.is_taken => self.give_up(&claim, State::Flushed, TAKEN).map(|()| false),
            Some(found) => {
                self.hand_seated(instance, claim, Work::AgentTurn(Box::new(found.turn)), found.room, &terms);
                Ok(true)
            }
            None => {
                let why = "the message was deleted before it was its turn";
                self.give_up(&claim, State::Flushed, why).map(|()| false)
            }
        }
    }
}

impl Read<'_> {
    /// A turn with today's content of its messages; None if none of them is left.
    fn turn(&self, cause: Option<i64>, terms: &Terms) -> Result<Option<FoundTurn>> {
        let mut causes = terms.causes.clone();
        if causes.is_empty() {
            causes.extend(cause);
        }
        let mut found = loop {
            let Some(newest) = causes.pop() else { return Ok(None) };
            if let Some(found) = self.turn_about(newest, terms.mode)? {
                break found;
            }
        };
        let mut messages = Vec::new();
        for seq in causes {
            let mut statement = self.prepare("select json from messages where seq = ?1")?;
            let json = statement.query_row([seq], |row| row.get::<_, String>(0)).optional().map_err(sql_error)?;
            messages.extend(json.map(|json| message(&json)));
        }
        if !messages.is_empty() {
            messages.push(found.turn.message.clone());
            found.turn.causes = messages.iter().map(|message| message.seq).collect();
            found.turn.message.content = joined(&messages);
        }
        Ok(Some(found))
    }

    fn turn_about(&self, seq: i64, mode: Mode) -> Result<Option<FoundTurn>> {
        let sql = "select m.json, r.id, r.key, c.id, c.taken_by, c.taken_until, m.sender,
                          u.id, p.username, p.display_name, p.platform, p.platform_user_id
                   from messages m join rooms r on r.key = m.room and r.type <> 'deleted'
                   left join conversations c on c.room = m.room
                   left join platform_profiles p on p.key = m.profile left join users u on u.key = p.user
                   where m.seq = ?1";
        let row = |row: &Row<'_>| {
            let room_id = RoomId::from_bytes(row.get(1)?).to_string();
            let conversation = row.get::<_, Option<_>>(3)?.map(|id| ConversationId::from_bytes(id).to_string());
            let taken_by: Option<String> = row.get(4)?;
            let turn = AgentTurn {
                mode,
                conversation_id: conversation.unwrap_or_else(|| room_id.clone()),
                room_id,
                user: user(row)?,
                message: message(&row.get::<_, String>(0)?),
                causes: Vec::new(),
            };
            let is_taken = !turn_allowed(taken_by.as_deref(), row.get(5)?, clock::now());
            Ok(FoundTurn { turn, room: row.get(2)?, is_taken })
        };
        let mut statement = self.prepare(sql)?;
        statement.query_row([seq], row).optional().map_err(sql_error)
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    let Some(id) = row.get::<_, Option<_>>(7)? else { return Ok(person_of_room(&row.get::<_, String>(6)?)) };
    Ok(User {
        id: UserId::from_bytes(id).to_string(),
        username: row.get(8)?,
        display_name: row.get(9)?,
        platform: row.get(10)?,
        platform_user_id: row.get(11)?,
    })
}

fn message(json: &str) -> Message {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_may_speak_unless_a_person_has_the_conversation() {
        assert!(turn_allowed(None, None, 5) && turn_allowed(None, Some(9), 5));
        assert!(!turn_allowed(Some("ann"), None, 5) && !turn_allowed(Some("ann"), Some(6), 5));
        assert!(turn_allowed(Some("ann"), Some(5), 5), "its time is over");
    }

    #[test]
    fn joined_texts_name_their_senders_only_where_these_differ() {
        let said = |sender: &str, content: &str| Message {
            sender: sender.into(),
            content: content.into(),
            ..Message::default()
        };
        assert_eq!(joined(&[said("ann", "one"), said("ann", "two\nthree")]), "one\ntwo\nthree");
        assert_eq!(joined(&[said("ann", "one"), said("bob", "two")]), "ann: one\nbob: two");
    }

    #[test]
    fn terms_of_older_jobs_are_understood_and_plain_ones_are_short() {
        let Turn::Agents(asked) = Turn::agent("assistant", Mode::Echo) else { unreachable!() };
        let terms = Terms::of(&asked[0]);
        assert_eq!(terms.to_json(), "{\"mode\":\"echo\"}");
        assert_eq!(Terms::read("{\"mode\":\"echo\"}"), terms);
        assert_eq!(Terms::read("{}").mode, Mode::Live);
    }
}
