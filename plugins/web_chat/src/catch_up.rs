//! Finds what got lost on the way. A bridge marks messages as processed when it gives them out, so whatever was in an answer that never
//! arrived comes by no later poll. With the operators' key everything said in its sessions can be read, and what the host has never seen is
//! stored, before the next poll, so that order holds.
//!
//! The baseline makes it cheap: a moment, by the bridge's own clock, before which nothing is missing. It moves on with each poll that leaves
//! the inbox empty and with each catch-up, and stands still while an answer is missing.

use crate::answered::AnsweredUntil;
use crate::client::{Answer, Client, SESSIONS_PAGE};
use crate::failure::Failure;
use crate::health::{Health, Part};
use crate::intake::Intake;
use crate::ledger::Ledger;
use crate::protocol::{Row, Session, SessionMessages, Sessions, Word};
use crate::time;
use jiff::{SignedDuration, Timestamp};
use plugin_api::{Host, Incoming, Result};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const BASELINE: &str = "baseline";
/// For whatever happened while the poll was under way, and clocks that are set.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);
/// Sessions move in the list while it is read, so it is read until nothing new shows up; a busy site must not keep that up for ever.
const MOST_PASSES: usize = 20;
/// Messages per transaction of the host.
const CHUNK: usize = 200;
/// A session whose answer makes no sense this often is passed over: one broken text must not stop the others for ever.
const MOST_TRIES: u32 = 4;
/// A refusal may be set right at the bridge, of which nobody tells this side.
const REFUSED_REST: Duration = Duration::from_secs(300);

pub(crate) struct CatchUp {
    host: Host,
    client: Arc<Client>,
    intake: Arc<Intake>,
    ledger: Arc<Ledger>,
    health: Arc<Health>,
    /// Something may be missing.
    due: bool,
    not_before: Option<Instant>,
    baseline: Option<Timestamp>,
    saved: Option<Timestamp>,
    round: Round,
}

/// One catch-up, over all its attempts.
#[derive(Default)]
struct Round {
    begun: Option<Timestamp>,
    read: HashSet<Word>,
    unreadable: HashMap<Word, u32>,
    found: BTreeMap<String, i64>,
}

/// Why a catch-up did not get to its end.
enum Stop {
    /// It will, later.
    Wait(Failure),
    /// It will not before somebody changes something.
    GiveUp(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        if failure.is_final() { Self::GiveUp(failure) } else { Self::Wait(failure) }
    }
}

impl CatchUp {
    pub(crate) fn new(
        host: Host,
        client: Arc<Client>,
        intake: Arc<Intake>,
        ledger: Arc<Ledger>,
        health: Arc<Health>,
    ) -> Self {
        let due = client.has_admin_key();
        let round = Round::default();
        Self { host, client, intake, ledger, health, due, not_before: None, baseline: None, saved: None, round }
    }

    /// Reads where an earlier run left off. Asked before anything else.
    pub(crate) async fn load(&mut self) -> Result<()> {
        let baseline: Option<String> = self.host.get(BASELINE).await?;
        self.baseline = baseline.as_deref().and_then(time::parse);
        self.saved = self.baseline;
        Ok(())
    }

    /// An answer of the inbox got lost.
    pub(crate) fn missed(&mut self) {
        self.due = self.client.has_admin_key();
        self.not_before = None;
        // After a refusal: what was read before that may have been lost since.
        self.round.read.clear();
    }

    /// The new baseline after a poll that began at this time and left nothing in the inbox. Without a first catch-up there is none to move,
    /// and a missing answer holds it.
    pub(crate) fn after(&self, asked_at: Option<Timestamp>) -> Option<Timestamp> {
        asked_at.filter(|_| !self.due && self.baseline.is_some())
    }

    /// As it is stored along with messages.
    pub(crate) fn put(baseline: Timestamp) -> (String, Value) {
        (BASELINE.to_owned(), baseline.to_string().into())
    }

    /// Moves the baseline, once nothing before it is missing any more.
    pub(crate) fn advance(&mut self, baseline: Timestamp, is_stored: bool) {
        self.baseline = Some(baseline);
        if is_stored {
            self.saved = self.baseline;
        }
    }

    /// At the end: idle polls have moved the baseline without storing it.
    pub(crate) async fn save(&mut self) {
        if let Some(baseline) = self.baseline.filter(|_| self.saved != self.baseline) {
            match self.host.put(BASELINE, &baseline.to_string()).await {
                Ok(()) => self.saved = Some(baseline),
                // The one stored before is older: the next catch-up reads more than it needs.
                Err(error) => tracing::warn!(%error, "the baseline could not be stored"),
            }
        }
    }

    /// Catches up if something may be missing. A failure means that polling has to wait; a refusal does not.
    pub(crate) async fn if_due(&mut self) -> Result<(), Failure> {
        if !self.due || self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return Ok(());
        }
        match self.run().await {
            Ok(()) => Ok(()),
            Err(Stop::Wait(failure)) => Err(failure),
            Err(Stop::GiveUp(failure)) => {
                let advice = format!(
                    "catching up is refused: {failure}; check `admin_key`, the bridge's key for operators: until it works, messages whose answer got lost on the way stay lost. Polling goes on"
                );
                self.health.trouble(Part::CatchUp, &advice);
                self.not_before = Some(Instant::now() + REFUSED_REST);
                Ok(())
            }
        }
    }

    async fn run(&mut self) -> Result<(), Stop> {
        for _ in 0..MOST_PASSES {
            let sessions = match self.list().await {
                Err(failure @ Failure::Garbled(_)) if self.is_hopeless(&Word::default()) => {
                    return Err(Stop::GiveUp(failure));
                }
                listed => listed?,
            };
            if sessions.is_empty() {
                break;
            }
            for session in sessions {
                self.read(&session).await?;
            }
        }
        self.finish().await;
        Ok(())
    }

    /// One pass over the list: the sessions that may have something and were not read yet.
    async fn list(&mut self) -> Result<Vec<Session>, Failure> {
        let since = self.baseline.and_then(|baseline| baseline.checked_sub(MARGIN).ok());
        let (mut listed, mut wanted) = (HashSet::new(), Vec::new());
        let mut order = Descending::default();
        let mut offset = 0;
        loop {
            let Answer { data: Sessions { sessions, pagination }, asked_at } = self.client.sessions(offset).await?;
            self.round.begun = self.round.begun.or(asked_at);
            let page: Vec<Session> = sessions.iter().filter_map(|raw| session(raw)).collect();
            let mut fresh = false;
            for session in page {
                let active = session.last_active.as_ref().and_then(|time| time::parse(&time.0));
                order.next(active);
                // One whose time cannot be read is read itself.
                let touched = since.is_none_or(|since| active.is_none_or(|active| active >= since));
                if listed.insert(session.id.clone()) {
                    fresh = true;
                    if touched && !session.is_silent() && !self.round.read.contains(&session.id) {
                        wanted.push(session);
                    }
                }
            }
            offset += sessions.len();
            // A bridge that ignores the offset gives the same page for ever.
            let more = fresh && pagination.has_more.unwrap_or(sessions.len() >= SESSIONS_PAGE);
            if !more || order.all_below(since) {
                return Ok(wanted);
            }
        }
    }

    async fn read(&mut self, session: &Session) -> Result<(), Stop> {
        match self.client.session_messages(&session.id.0).await {
            Ok(Some(said)) => self.store(session, said).await?,
            // Removed meanwhile.
            Ok(None) => {}
            Err(failure @ Failure::Garbled(_)) if self.is_hopeless(&session.id) => {
                tracing::error!(session.id = %session.id, %failure, "passed over a session that cannot be read");
            }
            Err(failure) => return Err(failure.into()),
        }
        self.round.read.insert(session.id.clone());
        Ok(())
    }

    /// Whether an answer made no sense so often that it never will.
    fn is_hopeless(&mut self, session: &Word) -> bool {
        let tries = self.round.unreadable.entry(session.clone()).or_default();
        *tries += 1;
        *tries >= MOST_TRIES
    }

    async fn store(&mut self, session: &Session, said: SessionMessages) -> Result<(), Failure> {
        let first = self.baseline.is_none();
        let answered = if first { AnsweredUntil::new(&said.responses) } else { AnsweredUntil::default() };
        let mut items = self.items(session, &said.messages, answered).into_iter().peekable();
        while items.peek().is_some() {
            let stored = self.intake.store(items.by_ref().take(CHUNK).collect(), Vec::new()).await;
            let stored = stored.ok_or_else(|| Failure::Lost("the instance stops".into()))?;
            if stored.new > 0 {
                tracing::info!(messages.new = stored.new, "found messages that no poll brought");
            }
        }
        if let Some(seen) = said.responses.iter().filter_map(|response| response.id.number()).max().filter(|_| first) {
            self.round.found.insert(session.id.0.clone(), seen);
        }
        Ok(())
    }

    /// In the order of their ids, which is the order in which they came in; their times are those of visitors' clocks.
    fn items(&self, session: &Session, messages: &[Box<RawValue>], mut answered: AnsweredUntil) -> Vec<Incoming> {
        let mut rows: Vec<_> = messages.iter().map(|raw| (&**raw, serde_json::from_str::<Row>(raw.get()))).collect();
        rows.sort_by_key(|(_, row)| row.as_ref().ok().and_then(|row| row.id.number()));
        let item = |(raw, row): (&RawValue, serde_json::Result<Row>)| {
            let message = row.map_err(|error| error.to_string()).and_then(|row| {
                let silent = answered.covers(row.timestamp.as_ref());
                let uid = row.uid.clone().or_else(|| session.uid.clone());
                self.intake.message(row, &session.id, uid.as_ref(), silent)
            });
            message.unwrap_or_else(|why| Incoming::Malformed { raw: raw.get().to_owned(), why })
        };
        rows.into_iter().map(item).collect()
    }

    async fn finish(&mut self) {
        let round = std::mem::take(&mut self.round);
        if let Err(error) = self.ledger.found(round.found).await {
            tracing::warn!(%error, "the sessions' latest answers could not be stored");
        }
        // Without a clock every catch-up reads everything, but none counts as the first one any more.
        self.baseline = round.begun.or(self.baseline).or(Some(Timestamp::UNIX_EPOCH));
        self.save().await;
        self.due = false;
        self.not_before = None;
        self.health.over(Part::CatchUp);
        tracing::debug!(sessions.read = round.read.len(), "caught up with the bridge");
    }
}

fn session(raw: &RawValue) -> Option<Session> {
    serde_json::from_str(raw.get())
        .inspect_err(|error| tracing::warn!(%error, "a session in the bridge's list cannot be read"))
        .ok()
}

/// Whether the list is sorted by activity, the latest first, as bridges do it. Then what follows an old session is older still.
#[derive(Default)]
struct Descending {
    last: Option<Timestamp>,
    broken: bool,
}

impl Descending {
    fn next(&mut self, active: Option<Timestamp>) {
        self.broken |= active.is_none() || self.last.is_some_and(|last| active > Some(last));
        self.last = active;
    }

    fn all_below(&self, since: Option<Timestamp>) -> bool {
        !self.broken && since.is_some_and(|since| self.last.is_some_and(|last| last < since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_ends_early_only_if_it_is_sorted() {
        let time = |second: i64| Timestamp::from_second(second).ok();
        let below = |seconds: &[Option<Timestamp>]| {
            let mut order = Descending::default();
            seconds.iter().for_each(|second| order.next(*second));
            order.all_below(time(10))
        };
        assert!(below(&[time(30), time(20), time(20), time(5)]));
        assert!(!below(&[time(30), time(20)]));
        assert!(!below(&[time(5), time(30), time(4)]));
        assert!(!below(&[time(30), None, time(5)]));
        assert!(!below(&[]));
    }
}
