//! How turns end: with an answer, with an apology, by an operator's word; and what those are told who are not heard.

use super::handed::EndedTurn;
use super::messages::{Draft, Parent, Posted};
use super::queue::{End, Held};
use super::rooms::{RoomKind, RoomRef};
use super::turn_windows::refusals;
use super::turns::{KIND, Refusal, TAKEN, Terms, turn_allowed};
use super::{Actor, Deed, State, Tx, sql_error};
use crate::clock;
use crate::error::{Error, Result};
use crate::ids::{JobId, MessageId, RoomId};
use plugin_api::types::{Outcome, Reply};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Value, json};

/// Bytes of an answer; what is beyond is cut.
const REPLY_BYTES: usize = 256 * 1024;
/// What the record says of a turn that an operator ended.
const CANCELLED: &str = "cancelled by an operator";

/// Where a turn's end is told.
struct Scene {
    terms: Terms,
    room: RoomRef,
    /// What is answered: the newest of its messages that is left.
    asked: Parent,
    is_taken: bool,
}

/// A message that is answered.
struct Asked {
    room: RoomRef,
    asked: Parent,
    is_taken: bool,
}

impl Tx<'_> {
    /// What a turn's end says in its room. Answers the end as it is to be written.
    pub(super) fn end_turn<'a>(&mut self, held: &Held, outcome: &Outcome, end: End<'a>) -> Result<End<'a>> {
        match outcome {
            Outcome::Done { reply: Some(reply), .. } if !reply.content.trim().is_empty() => {
                let Some(scene) = self.scene(held)? else { return Ok(end) };
                if scene.is_taken {
                    return Ok(End { state: State::Flushed, outcome: "discard", error: Some(TAKEN), ..end });
                }
                self.answer(held, &scene, reply)?;
            }
            _ if end.state == State::Failed => self.apologise(held)?,
            _ => {}
        }
        Ok(end)
    }

    fn scene(&self, held: &Held) -> Result<Option<Scene>> {
        let (payload, mut found) = self.asked_by(held.key, None)?;
        let terms = Terms::read(&payload);
        // Joined messages: the newest that is left is answered.
        for seq in terms.causes.iter().rev() {
            if found.is_none() {
                found = self.asked_by(held.key, Some(*seq))?.1;
            }
        }
        Ok(found.map(|Asked { room, asked, is_taken }| Scene { terms, room, asked, is_taken }))
    }

    /// A turn's terms, and its newest message, or the one numbered `seq`, if that is left.
    fn asked_by(&self, job: i64, seq: Option<i64>) -> Result<(String, Option<Asked>)> {
        let sql = "select q.payload, m.seq, m.id, r.key, r.id, r.type, c.taken_by, c.taken_until from queue q
                   left join messages m on m.seq = coalesce(?2, q.cause)
                   left join rooms r on r.key = m.room and r.type <> 'deleted' left join conversations c on c.room = m.room
                   where q.key = ?1";
        let row = |row: &Row<'_>| {
            let payload = row.get(0)?;
            let Some(key) = row.get(3)? else { return Ok((payload, None)) };
            let kind = RoomKind::from_name(row.get_ref(5)?.as_str()?);
            let room = RoomRef { key, id: RoomId::from_bytes(row.get(4)?), kind, admin_key: None };
            let asked = Parent { seq: row.get(1)?, id: MessageId::from_bytes(row.get(2)?) };
            let taken_by: Option<String> = row.get(6)?;
            let is_taken = !turn_allowed(taken_by.as_deref(), row.get(7)?, clock::now());
            Ok((payload, Some(Asked { room, asked, is_taken })))
        };
        self.prepare(sql)?.query_row(params![job, seq], row).map_err(sql_error)
    }

    /// The reply becomes a message in the room of its question.
    fn answer(&mut self, held: &Held, scene: &Scene, reply: &Reply) -> Result<()> {
        let mut metadata = json!({ "agent": held.instance });
        if let (Value::Object(own), Value::Object(given)) = (&mut metadata, &reply.metadata) {
            own.extend(given.clone());
        }
        let content = bounded_reply(&reply.content);
        let speaker = scene.terms.speaker.as_deref().unwrap_or(&held.instance);
        let draft = Draft::new(scene.room.id, speaker, &content, &metadata, Some("agent"))?;
        self.post_in(&scene.room, &draft, Some(scene.asked)).map(drop)
    }

    /// Said once in the life of a job that is given up, however often an operator tries it again.
    pub(super) fn apologise(&mut self, held: &Held) -> Result<()> {
        let Some(Scene { mut terms, room, asked, is_taken: false }) = self.scene(held)? else { return Ok(()) };
        if terms.apologised {
            return Ok(());
        }
        let Some(apology) = terms.apology.as_deref() else { return Ok(()) };
        let metadata = json!({ "agent": held.instance, "apology": true });
        let speaker = terms.speaker.as_deref().unwrap_or(&held.instance);
        let draft = Draft::new(room.id, speaker, apology, &metadata, Some("agent"))?;
        self.say(&room, &draft, Some(asked))?;
        terms.apologised = true;
        self.execute("update queue set payload = ?2 where key = ?1", params![held.key, terms.to_json()]).map(drop)
    }

    /// Tells somebody that they are not heard, once a minute.
    pub(super) fn refuse(&mut self, refusal: &Refusal, room: &RoomRef, lane: &str, posted: &Posted) -> Result<()> {
        let Refusal { instance, speaker, person, text } = refusal;
        if self.begin_in_window(instance, &refusals(lane, person), 1)?.is_err() {
            return Ok(());
        }
        let metadata = json!({ "agent": instance, "refusal": true });
        let draft = Draft::new(room.id, speaker, text, &metadata, Some("agent"))?;
        self.say(room, &draft, Some(Parent { seq: posted.seq, id: posted.id }))
    }

    /// The host's own words in a room: delivered to its platform, and no agent is asked about them.
    pub(super) fn say(&mut self, room: &RoomRef, draft: &Draft, parent: Option<Parent>) -> Result<()> {
        let posted = self.insert_message(room, draft, None, parent)?;
        if room.kind == RoomKind::Bridge { self.deliver(room.key, &posted) } else { Ok(()) }
    }

    /// An operator ends a turn that runs. Answers whose it was.
    pub fn cancel_turn(&mut self, id: JobId, actor: &Actor) -> Result<String> {
        let job = self.read().job(id)?.ok_or_else(|| Error::NotFound(format!("no job has the id {id}")))?;
        let refused = |why: &str| Err(Error::Conflict(format!("job {id} {why}")));
        if job.kind != KIND {
            return refused("is no turn of an agent; only those can be cancelled");
        }
        if job.state == State::Pending.name() {
            return refused("does not run now; flush it to keep it from running");
        }
        let claim = self.read().number("select claim from queue where key = ?1", [job.key])?;
        let Some(held) = self.held(job.key, claim)? else { return refused("has ended already") };
        self.end_running(id, &held, &End::given_up(State::Failed, CANCELLED, job.attempts + 1))?;
        self.audit(&Deed::done(actor, "turns.cancel", id.to_string(), json!({ "plugin": held.instance })))?;
        Ok(held.instance)
    }

    /// Nobody wants to hear the agent there any more: what it is at in this lane ends, and nothing of it is said.
    pub(super) fn silence_running(&mut self, instance: &str, lane: &str, why: &str) -> Result<()> {
        let sql = "select key, claim, id from queue where instance = ?1 and lane = ?2
                   and state in ('pending', 'processing') and state = 'processing' and kind = ?3 order by key limit 1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, JobId::from_bytes(row.get(2)?)));
        let running = self.prepare(sql)?.query_row(params![instance, lane, KIND], row).optional().map_err(sql_error)?;
        let Some((key, claim, id)) = running else { return Ok(()) };
        let Some(held) = self.held(key, claim)? else { return Ok(()) };
        self.end_running(id, &held, &End::given_up(State::Flushed, why, held.attempts))
    }

    /// What its worker says later is refused, and the worker is told to stop.
    fn end_running(&mut self, job: JobId, held: &Held, end: &End<'_>) -> Result<()> {
        self.finish(held, end)?;
        self.claim_due(&held.instance, 1)?;
        self.effects.ended.push(EndedTurn { job, claim: held.claim });
        Ok(())
    }
}

fn bounded_reply(content: &str) -> String {
    const NOTE: &str = "\n\n[cut: the answer was longer than 256 KiB]";
    if content.len() <= REPLY_BYTES {
        return content.into();
    }
    let kept = content.floor_char_boundary(REPLY_BYTES - NOTE.len());
    format!("{}{NOTE}", &content[..kept])
}
