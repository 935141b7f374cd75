//! A host for unit tests: it keeps in memory what a plugin tells it, answers like the real one, and fails on request.

use crate::host::{Backend, BoxFuture};
use crate::raw::Op;
use crate::sdk::to_bytes;
use crate::types::{ops, *};
use crate::{Error, Host, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// See the module's text. Use it inside a tokio test: `Host::spawn` starts tasks on the current runtime.
#[derive(Debug)]
pub struct FakeHost {
    state: Arc<State>,
    stopping: watch::Sender<bool>,
    instance: String,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    changed: tokio::sync::Notify,
}

/// All that a plugin told its host.
#[derive(Debug, Default, Clone)]
struct Inner {
    seen: HashSet<String>,
    messages: Vec<IncomingMessage>,
    malformed: Vec<(String, String)>,
    kv: BTreeMap<String, Value>,
    deltas: Vec<(String, String)>,
    tasks: Vec<Task>,
    history: Vec<Message>,
    events: Vec<Event>,
    people: Vec<Identity>,
    health: Option<(bool, String)>,
    pauses: Vec<(Duration, String)>,
    failures: Vec<String>,
    fail_next: VecDeque<String>,
    jobs: u64,
}

impl FakeHost {
    pub fn new(instance: &str) -> Self {
        Self { state: Arc::default(), stopping: watch::channel(false).0, instance: instance.into() }
    }

    /// The handle to give to `Plugin::new`.
    pub fn host(&self) -> Host {
        Host {
            backend: self.state.clone(),
            instance: self.instance.as_str().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            stopping: self.stopping.subscribe(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.inner()
    }

    /// Messages that were new, in order.
    pub fn ingested(&self) -> Vec<IncomingMessage> {
        self.inner().messages.clone()
    }

    /// Rows given as malformed: raw text and reason.
    pub fn malformed(&self) -> Vec<(String, String)> {
        self.inner().malformed.clone()
    }

    /// A stored value.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.inner().kv.get(key).cloned()
    }

    /// Deltas streamed: job id and text.
    pub fn deltas(&self) -> Vec<(String, String)> {
        self.inner().deltas.clone()
    }

    /// Tasks given to the queue.
    pub fn tasks(&self) -> Vec<Task> {
        self.inner().tasks.clone()
    }

    /// The last word on health: degraded or not, and why.
    pub fn health(&self) -> Option<(bool, String)> {
        self.inner().health.clone()
    }

    /// Pauses asked for.
    pub fn pauses(&self) -> Vec<(Duration, String)> {
        self.inner().pauses.clone()
    }

    /// How supervised tasks failed.
    pub fn failures(&self) -> Vec<String> {
        self.inner().failures.clone()
    }

    /// The next host operation answers with this error, and has done nothing.
    pub fn fail_next(&self, text: &str) {
        self.inner().fail_next.push_back(text.into());
    }

    /// What `Host::history` answers, oldest first.
    pub fn set_history(&self, messages: Vec<Message>) {
        self.inner().history = messages;
    }

    /// What `Host::events_after` answers.
    pub fn set_events(&self, events: Vec<Event>) {
        self.inner().events = events;
    }

    /// Whom `Host::identity` knows.
    pub fn set_people(&self, people: Vec<Identity>) {
        self.inner().people = people;
    }

    /// Resolves `Host::stopping`.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until `condition` holds; checked whenever the plugin told the host something.
    ///
    /// # Panics
    /// After ten seconds, saying `what`.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.state.changed.notified();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(waited.is_ok(), "waited ten seconds for {what}; the fake host has {:?}", self.inner());
    }

    fn job(&self, work: Work) -> Job {
        let mut inner = self.inner();
        inner.jobs += 1;
        let id = format!("00000000-0000-7000-8000-{:012}", inner.jobs);
        Job { id, attempt: 1, rescues: 0, uncertain: false, timeout_ms: 60_000, work }
    }

    /// A job that wants an answer to `text`; change its public fields as the test needs.
    pub fn turn(&self, text: &str) -> Job {
        let user = User {
            id: "user-1".into(),
            username: "web_user_1".into(),
            display_name: "Web User".into(),
            platform: "web_chat".into(),
            platform_user_id: "1".into(),
        };
        let message = Message {
            id: "message-1".into(),
            sender: "Web User".into(),
            content: text.into(),
            seq: 1,
            ..Message::default()
        };
        let (conversation_id, room_id) = ("conversation-1".into(), "room-1".into());
        self.job(Work::AgentTurn(Box::new(Turn {
            mode: Mode::Live,
            conversation_id,
            room_id,
            user,
            message,
            causes: Vec::new(),
        })))
    }

    /// A job that brings `text` to the platform's conversation `external_id`.
    pub fn delivery(&self, external_id: &str, text: &str) -> Job {
        let message = Message {
            id: "message-2".into(),
            sender: "assistant".into(),
            content: text.into(),
            seq: 2,
            ..Message::default()
        };
        self.job(Work::Deliver(Box::new(Delivery {
            conversation_id: "conversation-1".into(),
            external_id: external_id.into(),
            room_id: "room-1".into(),
            message,
            in_reply_to: None,
        })))
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner());
        self.changed.notify_waiters();
    }
}

impl Inner {
    fn answer(&mut self, op: Op, arguments: &[u8]) -> Result<Vec<u8>> {
        if let Some(text) = self.fail_next.pop_front() {
            return Err(Error::new(text));
        }
        match op {
            Op::Ingest => to_bytes(&self.ingest(serde_json::from_slice(arguments)?)),
            Op::Stream => {
                let ops::Stream { job_id, delta } = serde_json::from_slice(arguments)?;
                self.deltas.push((job_id, delta));
                to_bytes(&())
            }
            Op::History => {
                let ops::History { before, limit, .. } = serde_json::from_slice(arguments)?;
                let messages: Vec<_> = self.history.iter().filter(|m| m.seq < before).collect();
                to_bytes(&&messages[messages.len().saturating_sub(limit as usize)..])
            }
            Op::EventsAfter => {
                let ops::EventsAfter { seq, .. } = serde_json::from_slice(arguments)?;
                to_bytes(&self.events.iter().filter(|event| event.seq > seq).collect::<Vec<_>>())
            }
            Op::Enqueue => {
                self.tasks.push(serde_json::from_slice(arguments)?);
                to_bytes(&format!("task-{}", self.tasks.len()))
            }
            Op::KvGet | Op::KvPut | Op::KvDelete => {
                let ops::Kv { key, value } = serde_json::from_slice(arguments)?;
                match op {
                    Op::KvGet => return to_bytes(&self.kv.get(&key)),
                    Op::KvPut => drop(self.kv.insert(key, value)),
                    _ => drop(self.kv.remove(&key)),
                }
                to_bytes(&())
            }
            Op::Identity => {
                let asked: ops::Identity = serde_json::from_slice(arguments)?;
                let matches =
                    |user: &User| user.platform == asked.platform && user.platform_user_id == asked.platform_user_id;
                to_bytes(&self.people.iter().find(|person| person.profiles.iter().any(matches)))
            }
        }
    }

    fn ingest(&mut self, batch: Batch) -> Vec<Ingested> {
        let results = batch.items.into_iter().map(|item| match item {
            Incoming::Malformed { raw, .. } if !self.seen.insert(format!("raw {raw}")) => Ingested::Duplicate,
            Incoming::Malformed { raw, why } => {
                self.malformed.push((raw, why.clone()));
                Ingested::Rejected { why }
            }
            Incoming::Message(message) if !self.seen.insert(message.external_id.clone()) => Ingested::Duplicate,
            Incoming::Message(message) => {
                self.messages.push(*message);
                Ingested::New { message_id: format!("message-{}", self.messages.len()) }
            }
        });
        let results = results.collect();
        for (key, value) in batch.puts {
            if value.is_null() {
                self.kv.remove(&key)
            } else {
                self.kv.insert(key, value)
            };
        }
        results
    }
}

impl Backend for State {
    fn call(&self, op: Op, arguments: Vec<u8>) -> BoxFuture<Result<Vec<u8>>> {
        let answer = self.inner().answer(op, &arguments);
        self.changed.notify_waiters();
        Box::pin(async move { answer })
    }

    fn pause(&self, wait: Duration, why: &str) {
        self.told(|inner| inner.pauses.push((wait, why.into())));
    }

    fn health(&self, degraded: bool, text: &str) {
        self.told(|inner| inner.health = Some((degraded, text.into())));
    }

    fn spawn(&self, name: String, task: BoxFuture<Result<()>>) {
        // A panic of the task shows in the test's own output.
        drop(tokio::spawn(async move {
            if let Err(error) = task.await {
                panic!("task `{name}` ended: {error}");
            }
        }));
    }
}
