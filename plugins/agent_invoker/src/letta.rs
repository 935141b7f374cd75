//! The backend `letta`: an agent on a Letta server (docs.letta.com), which remembers people and conversations by itself.
//!
//! With `scope = "identity"` each person has an identity and a memory block on the server. The block is attached for the turn and detached
//! after it, so that the agent has before it what it knows about this person and about nobody else. With `scope = "conversation"` each
//! conversation has one of the server's own, and turns overlap.
//!
//! Each question carries the job's id as its `otid`: when an answer got lost on its way, it is looked up by that.

mod desk;
mod people;
mod reader;
mod recovery;
mod server;

use crate::conversation::Question;
use crate::dialect;
use crate::failure::Failure;
use crate::settings::{Scope, Settings};
use crate::wire::{self, Wire};
use desk::Desk;
use people::People;
use plugin_api::{Host, Job, Result, Turn};
use reader::LettaReader;
use server::{Asked, Server, Thread};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Of the small calls around a turn, all together.
const CALLS: Duration = Duration::from_secs(60);

pub(crate) struct Letta {
    server: Arc<Server>,
    people: People,
    desk: Arc<Desk>,
    scope: Scope,
    timeout: Duration,
    stream: bool,
}

impl Letta {
    pub(crate) fn new(settings: &Settings, host: Host) -> Result<Self> {
        let root = Server::root(dialect::root(settings)?);
        let addresses = match settings.scope {
            Scope::Identity => "url and agent_id; a server without identities needs scope = \"conversation\"",
            Scope::Conversation => "url and agent_id; a server without conversations needs scope = \"identity\"",
        };
        let wire = Wire::new(settings, &root, addresses, host.clone())?;
        let server = Arc::new(Server::new(wire, root, settings.agent_id.clone(), settings.first_token_timeout()?));
        Ok(Self {
            people: People::new(host.clone(), server.clone()),
            desk: Arc::new(Desk::new(host, server.clone())),
            server,
            scope: settings.scope,
            timeout: settings.timeout()?,
            stream: settings.stream,
        })
    }

    /// A turn may wait for others of the agent, look for an earlier answer, and then take its own time.
    pub(crate) fn longest_turn(timeout: Duration) -> Duration {
        3 * timeout + CALLS
    }

    /// The answer of an earlier attempt, if the server has it. Ok(None): it never got the question, or gave it up.
    pub(crate) async fn earlier(&self, job: &Job, turn: &Turn) -> Result<Option<String>, Failure> {
        let thread = match self.scope {
            Scope::Identity => Thread::OfAgent,
            Scope::Conversation => match self.people.known_conversation(turn).await? {
                Some(id) => Thread::Conversation(id),
                None => return Ok(None),
            },
        };
        let found = recovery::look_until(&self.server, &thread, &job.id, Instant::now() + self.timeout, 1).await?;
        if found.is_some() {
            self.desk.tidy(&job.id).await;
        }
        Ok(found)
    }

    pub(crate) async fn ask(&self, job: &Job, question: &Question<'_>) -> Result<String, Failure> {
        let answered = match self.scope {
            Scope::Identity => self.ask_about_a_person(job, question).await,
            Scope::Conversation => self.ask_in_a_conversation(job, question).await,
        };
        answered.map_err(|failure| self.server.wire.masked(failure))
    }

    /// Waits until what it has attached is off again.
    pub(crate) async fn stop(&self) {
        self.desk.is_free().await;
    }

    async fn ask_about_a_person(&self, job: &Job, question: &Question<'_>) -> Result<String, Failure> {
        let person = self.people.person(&question.turn.user, &job.id).await?;
        let sitting = self.desk.enter(&person.block, &job.id, self.timeout).await;
        let sitting = match sitting {
            Ok(sitting) => sitting,
            Err(failure) if failure.status() == Some(404) => {
                return Err(self.people.missing_block(&question.turn.user, &person, &job.id, failure).await);
            }
            Err(failure) => return Err(failure),
        };
        let answered = self.converse(job, question, &Thread::OfAgent, Some(&person.identity)).await;
        sitting.leave().await;
        answered
    }

    async fn ask_in_a_conversation(&self, job: &Job, question: &Question<'_>) -> Result<String, Failure> {
        let id = self.people.conversation(question.turn, &job.id).await?;
        let answered = self.converse(job, question, &Thread::Conversation(id), None).await;
        match answered {
            Err(Failure::Misconfigured { status: Some(404), why }) => {
                self.people.forget_conversation(question.turn).await?;
                let why =
                    format!("the server no longer has this conversation; the next attempt makes a new one ({why})");
                Err(Failure::Refused { why, status: Some(404), after: None })
            }
            answered => answered,
        }
    }

    /// Asks, and looks the answer up where it got lost on its way.
    async fn converse(
        &self,
        job: &Job,
        question: &Question<'_>,
        thread: &Thread,
        sender: Option<&str>,
    ) -> Result<String, Failure> {
        let until = Instant::now() + self.timeout;
        let asked = Asked { otid: &job.id, content: question.prompt, sender_id: sender, stream_tokens: self.stream };
        let request = self.server.turn(thread, &asked);
        let answered = timeout_at(until, self.server.wire.ask(request, &LettaReader, true, job)).await;
        match answered.unwrap_or_else(|_| Err(wire::too_long(self.timeout))) {
            Err(Failure::Uncertain { why }) => {
                tracing::debug!(job.id, "the answer got lost; it is looked up by its otid");
                match recovery::look_until(&self.server, thread, &job.id, until, recovery::LOOKS).await {
                    Ok(Some(text)) => Ok(text),
                    Ok(None) => Err(Failure::Uncertain { why: format!("{why}; the server has no answer to it yet") }),
                    Err(_) => {
                        Err(Failure::Uncertain { why: format!("{why}; the answer could not be looked up either") })
                    }
                }
            }
            answered => answered,
        }
    }
}
