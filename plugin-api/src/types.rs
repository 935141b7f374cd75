//! What host and plugin tell each other: jobs and outcomes, incoming messages, history, events. All of it crosses the boundary as JSON;
//! readers ignore fields that they do not know, so either side may be newer.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// What `create` gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateRequest {
    /// Name of the instance in the host's config.
    pub instance: String,
    /// `error` … `trace`: what is finer is not sent to the host.
    pub log_level: String,
    /// Version of the host, for a `User-Agent` for example.
    #[serde(default)]
    pub host_version: String,
    pub settings: Value,
}

/// One line of the plugin's log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRecord {
    pub target: String,
    pub message: String,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub fields: serde_json::Map<String, Value>,
    /// The spans around it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
}

/// A span around a log line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Span {
    pub name: String,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub fields: serde_json::Map<String, Value>,
}

/// What the host's queue needs to know about an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Jobs at once, over all lanes. A lane never has more than one.
    pub concurrency: u32,
    /// A job that has not ended by then is cancelled and counts as a failed attempt. Milliseconds.
    pub job_timeout_ms: u64,
    /// In place of the host's `[queue] max_attempts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Waits between attempts in milliseconds, in place of the host's exponential backoff; after the last one the job has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<u64>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { concurrency: 32, job_timeout_ms: 60_000, max_attempts: None, schedule: None }
    }
}

/// One piece of work. It is handed out at least once: `uncertain` says when an earlier try may have had its effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// UUIDv7, the same on every attempt: send it as `Idempotency-Key` with everything that leaves the process.
    pub id: String,
    /// From 1.
    pub attempt: u32,
    /// How often the job came back because its claim ended without an outcome.
    #[serde(default)]
    pub rescues: u32,
    /// An earlier claim ended without an outcome, or with a `Retry` marked uncertain: look before you repeat.
    #[serde(default)]
    pub uncertain: bool,
    /// Milliseconds until the host cancels this attempt.
    #[serde(default)]
    pub timeout_ms: u64,
    #[serde(flatten)]
    pub work: Work,
}

/// What the job is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Answer a message (role `agent`). The reply of `Done` is the answer.
    AgentTurn(Box<Turn>),
    /// Bring a message to the platform (role `sink`).
    Deliver(Box<Delivery>),
    /// Post an event to an endpoint (role `webhook_sender`). The status of `Done` and of the others is recorded with the attempt; 410 of
    /// a `Discard` disables the endpoint.
    Webhook(Box<Webhook>),
    /// A row that could not be read when it came in, given back by an operator (role `source`): read it again, and `ingest` it.
    Ingest { raw: String },
    /// Something that the plugin gave itself with [`crate::Host::enqueue`].
    Task { payload: Value },
}

/// How a route wants a turn answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By the agent.
    #[default]
    Live,
    /// With the formatted prompt, without asking anybody.
    Echo,
}

/// A message that wants an answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    #[serde(default)]
    pub mode: Mode,
    pub conversation_id: String,
    pub room_id: String,
    pub user: User,
    /// With the texts of all messages that the turn answers, a line each, where it answers several; all else of it is the newest one's.
    pub message: Message,
    /// Numbers (`seq`) of those messages, oldest first; empty where `message` is the only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<i64>,
}

/// A message to bring to a platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivery {
    pub conversation_id: String,
    /// The platform's own name of the conversation.
    pub external_id: String,
    pub room_id: String,
    pub message: Message,
    /// If the message answers one that came from this platform: that one's external id and metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<InReplyTo>,
}

/// An event for somebody's endpoint.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhook {
    /// Of the endpoint. UUIDv7.
    pub webhook_id: String,
    /// The event's name.
    pub event: String,
    pub url: String,
    /// What deliveries are signed with, as its owner gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// To be sent as it is: the same bytes on every attempt.
    pub body: String,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.len();
        f.debug_struct("Webhook")
            .field("webhook_id", &self.webhook_id)
            .field("event", &self.event)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

/// The platform's message that a delivery answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InReplyTo {
    pub external_id: String,
    #[serde(default)]
    pub metadata: Value,
}

/// Who wrote, on which platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Of the person, over all platforms. UUIDv7; of somebody in a plain room, who is known by name alone, a UUIDv8 made of it.
    pub id: String,
    pub username: String,
    pub display_name: String,
    pub platform: String,
    pub platform_user_id: String,
}

/// A message of a room.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    /// UUIDv7.
    pub id: String,
    pub room_id: String,
    pub sender: String,
    pub content: String,
    pub metadata: Value,
    /// RFC 3339, UTC, microseconds.
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_type: Option<String>,
    /// Position in the host's log: later is higher.
    pub seq: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It is done. The reply, if any, becomes a message in the same transaction.
    Done {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Reply>,
        /// Status code of the other side, for the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// Try again later: after `after_ms`, else by the backoff.
    Retry {
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
        /// The effect may have happened all the same (a time-out after sending, a broken answer).
        #[serde(default)]
        uncertain: bool,
        /// Status code of the other side, for the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// It can never work: the job has failed and is listed.
    Discard {
        why: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// Not now, and not counted as an attempt.
    Snooze { after_ms: u64, why: String },
}

impl Outcome {
    /// Done, nothing to say.
    pub fn done() -> Self {
        Self::Done { reply: None, status: None }
    }

    /// Done, with an answer.
    pub fn reply(content: impl Into<String>) -> Self {
        Self::Done { reply: Some(Reply { content: content.into(), metadata: Value::Null }), status: None }
    }

    pub fn retry(why: impl Into<String>) -> Self {
        Self::Retry { why: why.into(), after_ms: None, uncertain: false, status: None }
    }

    pub fn discard(why: impl Into<String>) -> Self {
        Self::Discard { why: why.into(), status: None }
    }

    pub fn snooze(after: Duration, why: impl Into<String>) -> Self {
        Self::Snooze { after_ms: millis(after), why: why.into() }
    }

    /// A retry waits this long in place of the backoff, as a `Retry-After` wants it.
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        if let Self::Retry { after_ms, .. } = &mut self {
            *after_ms = wait.map(millis);
        }
        self
    }

    /// The effect of this attempt may have happened: the next one gets `job.uncertain`.
    pub fn uncertain(mut self) -> Self {
        if let Self::Retry { uncertain, .. } = &mut self {
            *uncertain = true;
        }
        self
    }

    /// Records the other side's status code.
    pub fn status(mut self, code: u16) -> Self {
        match &mut self {
            Self::Done { status, .. } | Self::Retry { status, .. } | Self::Discard { status, .. } => {
                *status = Some(code)
            }
            Self::Snooze { .. } => {}
        }
        self
    }
}

/// The answer to a turn. At most 256 KiB of text; a longer one is cut by the host, with a note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub content: String,
    /// An object that is laid over the message's own metadata.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
}

/// A page from a platform. All of it is written in one transaction, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Name of the platform, part of a person's identity. At most 64 characters.
    pub platform: String,
    /// At most 1,000.
    pub items: Vec<Incoming>,
    /// Cursors and the like, written in the same transaction; `null` deletes.
    pub puts: Vec<(String, Value)>,
}

/// One thing that came from a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incoming {
    Message(Box<IncomingMessage>),
    /// A row that could not be read: kept as a dead letter with its raw text, so that it does not stop the others. The key is that of
    /// the raw text unless the plugin knows a better one.
    Malformed {
        raw: String,
        why: String,
    },
}

/// A message from a platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IncomingMessage {
    /// Unique within the instance: ingesting it again changes nothing. 1 to 512 bytes.
    pub external_id: String,
    /// The platform's name of the conversation. 1 to 255 bytes.
    pub conversation: String,
    /// 1 to 255 bytes.
    pub platform_user_id: String,
    pub username: String,
    /// Becomes the message's `sender`. 1 to 100 characters.
    pub display_name: String,
    /// 1 to 10,000 characters.
    pub content: String,
    /// An object; `platform`, `platform_user_id`, `conversation`, `external_id` and `username` are added by the host.
    pub metadata: Value,
    /// True stores without asking an agent: it was answered already, elsewhere.
    pub silent: bool,
}

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Ingested {
    New {
        #[serde(default)]
        message_id: String,
    },
    Duplicate,
    /// Out of bounds; kept as a dead letter.
    Rejected {
        why: String,
    },
}

/// An event of the host's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub seq: i64,
    #[serde(default)]
    pub room_id: String,
    pub event: String,
    pub data: Value,
}

/// Which events [`crate::Host::events_after`] gives.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFilter {
    /// Of this room only.
    pub room_id: Option<String>,
    /// At most 500; 0 is 100.
    pub limit: u32,
}

/// A person as the host knows them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    pub id: String,
    pub name: String,
    pub profiles: Vec<User>,
}

/// Work that a plugin gives itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Tasks of one lane run one at a time, in order. 1 to 255 bytes.
    pub lane: String,
    /// At most 256 KiB serialised.
    pub payload: Value,
    /// Not before this many milliseconds from now.
    pub after_ms: u64,
    /// Among the instance's lanes; within a lane the order never changes.
    pub priority: Priority,
}

/// Which of an instance's lanes goes first when several have work to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    /// The most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.name() == name)
    }

    /// As a number: higher goes first.
    pub fn rank(self) -> i64 {
        match self {
            Self::High => 1,
            Self::Normal => 0,
            Self::Low => -1,
        }
    }

    /// The reverse of [`Self::rank`].
    pub fn of_rank(rank: i64) -> Self {
        Self::ALL.into_iter().find(|priority| priority.rank() == rank.signum()).unwrap_or_default()
    }
}

/// Arguments and answers of the host operations; only the two sides of the boundary use them.
pub mod ops {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Stream {
        pub job_id: String,
        pub delta: String,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct History {
        pub room_id: String,
        pub before: i64,
        pub limit: u32,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct EventsAfter {
        pub seq: i64,
        #[serde(flatten)]
        pub filter: EventFilter,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Kv {
        pub key: String,
        #[serde(default)]
        pub value: Value,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Identity {
        pub platform: String,
        pub platform_user_id: String,
    }
}

/// Whole milliseconds, rounded up so that a short wait does not become none.
pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn job_from_a_newer_host_is_read() {
        let job: Job = serde_json::from_value(json!({
            "id": "1", "attempt": 2, "kind": "task", "payload": {"a": 1}, "from_the_future": true
        }))
        .unwrap();
        assert!(matches!(job.work, Work::Task { payload } if payload == json!({"a": 1})));
        assert!(!job.uncertain && job.rescues == 0);
    }

    #[test]
    fn outcome_is_tagged_by_name() {
        let outcome = Outcome::retry("down").after(Some(Duration::from_micros(1))).uncertain().status(503);
        let value = serde_json::to_value(&outcome).unwrap();
        let expected = json!({"outcome": "retry", "why": "down", "after_ms": 1, "uncertain": true, "status": 503});
        assert_eq!(value, expected);
        assert_eq!(serde_json::from_value::<Outcome>(value).unwrap(), outcome);
    }
}
