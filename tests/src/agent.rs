//! An agent behind HTTP, as a server of its own inside the test: it takes its time, goes wrong when it is told to, does each piece of work
//! once by its `Idempotency-Key`, and keeps a record of every call, so that whatever was asked twice is seen.

use crate::chance::{draw, happens};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What can go wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500, nothing done.
    Fails,
    /// 429 with a `Retry-After` of a second, nothing done.
    IsBusy,
    /// Silence, nothing done.
    Hangs,
    /// 500, although the work was done.
    FailsAfter,
    /// Silence, although the work was done.
    HangsAfter,
    /// The work was done, and half of the stream arrives.
    CutAfter,
    /// The work was done, and the answer makes no sense.
    GarbledAfter,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::Fails,
        Self::IsBusy,
        Self::Hangs,
        Self::FailsAfter,
        Self::HangsAfter,
        Self::CutAfter,
        Self::GarbledAfter,
    ];
}

/// How the agent does its work.
#[derive(Debug, Clone)]
pub struct Manner {
    pub takes: Duration,
    /// Answers by server-sent events, with this rest between its pieces.
    pub streams: Option<Duration>,
    /// The answer to a message.
    pub reply: fn(&str) -> String,
    /// Share of the calls that go wrong, of 1, drawn by `seed`.
    pub faults: f64,
    /// What can go wrong with them.
    pub kinds: &'static [Fault],
    pub seed: u64,
    /// The fate of the next calls; when it is used up, `faults` decides.
    pub plan: VecDeque<Option<Fault>>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            takes: Duration::ZERO,
            streams: None,
            reply: |message| format!("re: {message}"),
            faults: 0.0,
            kinds: &Fault::ALL,
            seed: 0,
            plan: VecDeque::new(),
        }
    }
}

/// A call, as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    /// The idempotency key.
    pub key: String,
    pub conversation: String,
    pub message: String,
    pub user: Value,
    pub history: Value,
    pub fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct Record {
    calls: Vec<Call>,
    /// What was answered, by key.
    replies: HashMap<String, String>,
    running: BTreeMap<String, usize>,
    most_at_once: usize,
    most_of_one_conversation: usize,
}

struct Shared {
    manner: Mutex<Manner>,
    is_held: watch::Sender<bool>,
    record: Mutex<Record>,
}

/// An agent that serves.
pub struct Agent {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

impl Agent {
    pub async fn start(manner: Manner) -> Self {
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            is_held: watch::Sender::new(false),
            record: Mutex::default(),
        });
        let router = Router::new().route("/", post(answer)).with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port for the agent");
        let address = listener.local_addr().expect("its address");
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `[plugins.assistant]` for this agent, which is asked with the bare message; `more` are further settings.
    pub fn plugin(&self, more: &str) -> String {
        self.instance("assistant", more)
    }

    /// The same under another name.
    pub fn instance(&self, name: &str, more: &str) -> String {
        format!(
            "[plugins.{name}]\nenabled = true\nlibrary = \"agent_invoker\"\n[plugins.{name}.settings]\n\
             backend = \"http\"\nurl = \"{}\"\nprompt_format = \"{{text}}\"\n{more}\n",
            self.url()
        )
    }

    /// Changes how it works from the next call on.
    pub fn change(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut lock(&self.shared.manner));
    }

    /// Nothing is answered from now on, until `release`.
    pub fn hold(&self) {
        self.shared.is_held.send_replace(true);
    }

    pub fn release(&self) {
        self.shared.is_held.send_replace(false);
    }

    /// From now on nothing goes wrong any more.
    pub fn behave(&self) {
        self.change(|manner| (manner.faults, manner.plan) = (0.0, VecDeque::new()));
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.record).calls.clone()
    }

    /// Calls that are worked on now; one whose caller hung up is none of them.
    pub fn running(&self) -> usize {
        lock(&self.shared.record).running.values().sum()
    }

    /// Calls at the same moment, at most.
    pub fn most_at_once(&self) -> usize {
        lock(&self.shared.record).most_at_once
    }

    /// The same within one conversation.
    pub fn most_of_one_conversation(&self) -> usize {
        lock(&self.shared.record).most_of_one_conversation
    }

    /// Whatever was asked about a message was asked under one key, so that this agent could tell a repeat.
    pub fn assert_one_key_per_message(&self) {
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for call in self.calls() {
            let known = keys.entry(call.message).or_default();
            if !known.contains(&call.key) {
                known.push(call.key);
            }
        }
        keys.retain(|_, keys| keys.len() > 1);
        assert!(keys.is_empty(), "messages that were asked under several keys: {keys:#?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.abort();
        if std::thread::panicking() {
            let calls = self.calls();
            let last = calls[calls.len().saturating_sub(10)..].iter();
            let last: Vec<_> = last.map(|call| (&call.key, &call.message, call.fault)).collect();
            eprintln!("---- the agent was called {} times, last: {last:#?}\n----", calls.len());
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let question: Value = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("no JSON: {error}")).into_response(),
    };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    if key.is_empty() || question["job_id"] != key {
        return (StatusCode::BAD_REQUEST, "no idempotency key, or another one than the job's").into_response();
    }
    let manner = lock(&shared.manner).clone();
    let fault = shared.begin(&key, &question);
    let _running = Running { shared: shared.clone(), conversation: text(&question, "conversation") };
    match fault {
        Some(Fault::Fails) => return (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response(),
        Some(Fault::IsBusy) => {
            return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "busy").into_response();
        }
        Some(Fault::Hangs) => std::future::pending().await,
        _ => tokio::time::sleep(manner.takes).await,
    }
    // An error would mean that the sender is gone, which is in the same place as this.
    let _ = shared.is_held.subscribe().wait_for(|held| !held).await;
    let reply = shared.work(&key, &text(&question, "message"), manner.reply);
    match (fault, manner.streams) {
        (Some(Fault::FailsAfter), _) => (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response(),
        (Some(Fault::HangsAfter), _) => std::future::pending().await,
        (Some(Fault::GarbledAfter), _) => "{\"reply\": \"hal".into_response(),
        (Some(Fault::CutAfter), _) => stream(&reply, Duration::ZERO, true),
        (_, Some(rest)) => stream(&reply, rest, false),
        (_, None) => axum::Json(json!({ "reply": reply })).into_response(),
    }
}

fn text(question: &Value, name: &str) -> String {
    question[name].as_str().unwrap_or_default().into()
}

/// Words as deltas; cut off, half of them come and nothing says that this was the end.
fn stream(reply: &str, rest: Duration, cut_off: bool) -> Response {
    let pieces: Vec<String> = reply.split_inclusive(' ').map(|word| json!({ "delta": word }).to_string()).collect();
    let shown = if cut_off { pieces.len() / 2 } else { pieces.len() };
    let events = pieces.into_iter().take(shown).chain((!cut_off).then(|| "[DONE]".to_owned()));
    let mut frames: Vec<io::Result<Bytes>> = events.map(|data| Ok(format!("data: {data}\n\n").into())).collect();
    if cut_off {
        frames.push(Err(io::Error::other("cut off")));
    }
    let frames = futures_util::stream::unfold(frames.into_iter(), move |mut frames| async move {
        let frame = frames.next()?;
        tokio::time::sleep(rest).await;
        Some((frame, frames))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response()
}

impl Shared {
    /// Notes a call and tells its fate.
    fn begin(&self, key: &str, question: &Value) -> Option<Fault> {
        let mut record = lock(&self.record);
        let number = record.calls.iter().filter(|call| call.key == key).count();
        let fault = lock(&self.manner).fate(&format!("{}/{number}", text(question, "message")));
        let conversation = text(question, "conversation");
        *record.running.entry(conversation.clone()).or_default() += 1;
        record.most_at_once = record.most_at_once.max(record.running.values().sum());
        record.most_of_one_conversation = record.most_of_one_conversation.max(record.running[&conversation]);
        let (message, user, history) =
            (text(question, "message"), question["user"].clone(), question["history"].clone());
        record.calls.push(Call { key: key.into(), conversation, message, user, history, fault });
        fault
    }

    /// Does the work, or knows that it was done.
    fn work(&self, key: &str, message: &str, reply: fn(&str) -> String) -> String {
        lock(&self.record).replies.entry(key.into()).or_insert_with(|| reply(message)).clone()
    }
}

impl Manner {
    fn fate(&mut self, call: &str) -> Option<Fault> {
        if let Some(planned) = self.plan.pop_front() {
            return planned;
        }
        let which = draw(self.seed, &format!("which {call}")) as usize % self.kinds.len();
        happens(self.seed, call, self.faults).then_some(self.kinds[which])
    }
}

/// A call that is being worked on.
struct Running {
    shared: Arc<Shared>,
    conversation: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut record = lock(&self.shared.record);
        if let Some(running) = record.running.get_mut(&self.conversation) {
            *running -= 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
