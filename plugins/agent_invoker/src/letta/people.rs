//! What a Letta server has been made to know: an identity and a memory block per person, or a conversation per conversation. Each is made
//! once; its id is kept in the host's store under the instance's name.

use super::server::Server;
use crate::failure::Failure;
use plugin_api::{Host, Turn, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;

pub(crate) struct People {
    host: Host,
    server: Arc<Server>,
    /// Two conversations of one person may begin at the same moment.
    making: Mutex<()>,
}

/// The ids of a person on the server.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub identity: String,
    pub block: String,
}

/// As it is kept. What was made on another server, or for another agent, counts as not made.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
}

impl People {
    pub(crate) fn new(host: Host, server: Arc<Server>) -> Self {
        Self { host, server, making: Mutex::new(()) }
    }

    /// The person, made known to the server if it is their first turn. What was made is kept before the next is.
    pub(crate) async fn person(&self, user: &User, job_id: &str) -> Result<Person, Failure> {
        let key = person_key(user);
        if let Kept { identity: Some(identity), block: Some(block), .. } = self.kept(&key).await? {
            return Ok(Person { identity, block });
        }
        let _alone = self.making.lock().await;
        let mut kept = self.kept(&key).await?;
        let identity = match kept.identity.clone() {
            Some(identity) => identity,
            None => self.make_identity(user, job_id).await?,
        };
        kept.identity = Some(identity.clone());
        self.keep(&key, &kept).await?;
        let block = match kept.block.clone() {
            Some(block) => block,
            None => self.server.make_block(&block(user), job_id).await?,
        };
        kept.block = Some(block.clone());
        self.keep(&key, &kept).await?;
        Ok(Person { identity, block })
    }

    /// The server knows no such block or no such agent. In the first case the block is made anew by the next attempt.
    pub(crate) async fn missing_block(&self, user: &User, person: &Person, job_id: &str, failure: Failure) -> Failure {
        match self.server.has_block(&person.block, job_id).await {
            Ok(false) => {
                let kept = Kept { identity: Some(person.identity.clone()), ..self.nothing() };
                let why = "the server no longer has this person's memory block; the next attempt makes a new one";
                self.keep(&person_key(user), &kept).await.err().unwrap_or_else(|| refused(why.into()))
            }
            Ok(true) => failure,
            Err(other) => other,
        }
    }

    pub(crate) async fn known_conversation(&self, turn: &Turn) -> Result<Option<String>, Failure> {
        Ok(self.kept(&conversation_key(turn)).await?.conversation)
    }

    pub(crate) async fn conversation(&self, turn: &Turn, job_id: &str) -> Result<String, Failure> {
        // The host gives a conversation one turn at a time.
        if let Some(known) = self.known_conversation(turn).await? {
            return Ok(known);
        }
        let made = self.server.make_conversation(job_id).await?;
        let kept = Kept { conversation: Some(made.clone()), ..self.nothing() };
        self.keep(&conversation_key(turn), &kept).await?;
        Ok(made)
    }

    pub(crate) async fn forget_conversation(&self, turn: &Turn) -> Result<(), Failure> {
        self.host.delete(&conversation_key(turn)).await.map_err(|error| store_failed(&error))
    }

    /// 409: an attempt that was cut off has made it.
    async fn make_identity(&self, user: &User, job_id: &str) -> Result<String, Failure> {
        let name = if user.display_name.is_empty() { &user.username } else { &user.display_name };
        match self.server.make_identity(&user.id, name, job_id).await {
            Err(failure) if failure.status() == Some(409) => self.server.find_identity(&user.id, job_id).await,
            made => made,
        }
    }

    fn nothing(&self) -> Kept {
        Kept { server: self.server.name(), ..Kept::default() }
    }

    async fn kept(&self, key: &str) -> Result<Kept, Failure> {
        let kept: Option<Kept> = self.host.get(key).await.map_err(|error| store_failed(&error))?;
        Ok(kept.filter(|kept| kept.server == self.server.name()).unwrap_or_else(|| self.nothing()))
    }

    async fn keep(&self, key: &str, kept: &Kept) -> Result<(), Failure> {
        self.host.put(key, kept).await.map_err(|error| store_failed(&error))
    }
}

fn person_key(user: &User) -> String {
    format!("letta.user.{}", user.id)
}

fn conversation_key(turn: &Turn) -> String {
    format!("letta.conversation.{}", turn.conversation_id)
}

/// The label is one of a kind: an agent cannot have two blocks of one label, and most have a `human` of their own.
fn block(user: &User) -> serde_json::Value {
    let User { id, username, display_name, platform, platform_user_id } = user;
    json!({
        "label": format!("user_{id}"),
        "value": format!("Name: {display_name}\nUsername: @{username}\nPlatform: {platform}, ID {platform_user_id}\n"),
        "description": "The person who writes, and what is known about them. Keep what is worth remembering here.",
    })
}

fn refused(why: String) -> Failure {
    Failure::Refused { why, status: None, after: None }
}

pub(super) fn store_failed(error: &plugin_api::Error) -> Failure {
    refused(format!("what is kept about the agent's server cannot be read or written: {error}"))
}
