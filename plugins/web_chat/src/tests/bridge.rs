//! A bridge on a real socket, with the habits of the real one: it marks what it gives out, escapes and trims texts, forgets nothing but what
//! it is told to. Faults can be put before or behind what a request does.

use crate::tests::until;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub const API_KEY: &str = "poller-key";
pub const ADMIN_KEY: &str = "operator-key";
const BOUND: usize = 10_000;

/// What goes wrong with the next request of an action.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing yet: it is the turn of a later one.
    Nothing,
    /// Before anything is done: this status, with headers.
    Refuse(u16, &'static str),
    /// Done, but the connection ends without an answer.
    Swallow,
    /// Done, and the answer ends in the middle.
    CutOff,
    /// Done, with a page for people in place of the answer.
    Garble,
    /// Done, with status 500 in place of the answer.
    Fail,
    /// Done, without any answer ever.
    Hang,
    /// Done, with an answer that never ends.
    Endless,
    /// Done, and answered once this is notified.
    Hold(Arc<Notify>),
}

#[derive(Debug, Clone)]
pub struct Request {
    pub action: String,
    pub query: HashMap<String, String>,
    pub headers: HashMap<String, String>,
    pub body: Value,
    pub at: Instant,
}

#[derive(Debug, Clone)]
struct Message {
    id: i64,
    session: String,
    text: String,
    timestamp: String,
    processed: bool,
    /// In place of the proper row.
    raw: Option<Value>,
}

#[derive(Debug, Clone)]
struct Session {
    id: String,
    uid: String,
    last_active: Timestamp,
}

#[derive(Debug)]
pub struct Response {
    pub id: i64,
    pub session: String,
    pub text: String,
    pub message_id: Value,
    timestamp: String,
}

#[derive(Debug)]
struct State {
    clock: Timestamp,
    messages: Vec<Message>,
    sessions: Vec<Session>,
    responses: Vec<Response>,
    faults: VecDeque<(&'static str, Fault)>,
    requests: Vec<Request>,
    connections: usize,
    api_key: &'static str,
}

pub struct FakeBridge {
    pub address: SocketAddr,
    state: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl FakeBridge {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let clock = "2026-02-03T04:05:06Z".parse().unwrap();
        let state = State {
            clock,
            messages: Vec::new(),
            sessions: Vec::new(),
            responses: Vec::new(),
            faults: VecDeque::new(),
            requests: Vec::new(),
            connections: 0,
            api_key: API_KEY,
        };
        let state = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, state.clone()));
        Self { address, state, server }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.state.lock().unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// A visitor writes. A second passes.
    pub fn say(&self, session: &str, text: &str) -> i64 {
        let mut state = self.state();
        state.touch(session);
        let (id, timestamp) = (state.messages.len() as i64 + 1, state.clock.to_string());
        state.messages.push(Message {
            id,
            session: session.into(),
            text: escape(text),
            timestamp,
            processed: false,
            raw: None,
        });
        state.pass(1);
        id
    }

    /// A row that is not as it should be.
    pub fn say_raw(&self, session: &str, raw: Value) {
        let id = self.say(session, "");
        self.state().messages[id as usize - 1].raw = Some(raw);
    }

    /// Somebody else answers. A second passes.
    pub fn respond(&self, session: &str, text: &str) -> i64 {
        let mut state = self.state();
        let id = state.store_response(session, text, Value::Null);
        state.pass(1);
        id
    }

    /// An earlier poller took everything.
    pub fn mark_all_processed(&self) {
        self.state().messages.iter_mut().for_each(|message| message.processed = true);
    }

    pub fn pass(&self, seconds: i64) {
        self.state().pass(seconds);
    }

    pub fn remove_session(&self, session: &str) {
        self.state().sessions.retain(|other| other.id != session);
    }

    pub fn change_api_key(&self, key: &'static str) {
        self.state().api_key = key;
    }

    /// For the next request of this action; several come one after the other.
    pub fn fault(&self, action: &'static str, fault: Fault) {
        self.state().faults.push_back((action, fault));
    }

    /// Waits until every fault has happened.
    pub async fn wait_for_faults(&self) {
        self.wait_for("the faults", |bridge| bridge.faults() == 0).await;
    }

    /// Faults still to come.
    pub fn faults(&self) -> usize {
        self.state().faults.len()
    }

    pub fn connections(&self) -> usize {
        self.state().connections
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// The actions asked for, in order; the probe as `probe`.
    pub fn actions(&self) -> Vec<String> {
        let name = |r: Request| if r.query.get("limit").is_some_and(|l| l == "0") { "probe".into() } else { r.action };
        self.requests().into_iter().map(name).collect()
    }

    pub fn count(&self, action: &str) -> usize {
        self.actions().iter().filter(|asked| *asked == action).count()
    }

    /// Texts stored for a session, as they were stored.
    pub fn answers(&self, session: &str) -> Vec<String> {
        self.state().responses.iter().filter(|r| r.session == session).map(|r| r.text.clone()).collect()
    }

    pub fn last_message_id(&self) -> Value {
        self.state().responses.last().map(|response| response.message_id.clone()).unwrap_or_default()
    }

    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        until(what, &self.state.changed, || condition(self)).await;
    }

    /// Waits until some more polls have come in.
    pub async fn wait_for_polls(&self, more: usize) {
        let before = self.count("inbox");
        self.wait_for("polls", |bridge| bridge.count("inbox") >= before + more).await;
    }
}

impl Drop for FakeBridge {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn escape(text: &str) -> String {
    let named = text.trim().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    named.replace('"', "&quot;").replace('\'', "&#039;")
}

fn page<T>(all: Vec<T>, query: &HashMap<String, String>) -> (Vec<T>, Value) {
    let number = |name: &str, default: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (limit, offset, total) = (number("limit", 50).min(100), number("offset", 0), all.len());
    let pagination = json!({"total": total, "limit": limit, "offset": offset, "has_more": offset + limit < total});
    (all.into_iter().skip(offset).take(limit).collect(), pagination)
}

impl State {
    fn pass(&mut self, seconds: i64) {
        self.clock += jiff::SignedDuration::from_secs(seconds);
    }

    fn touch(&mut self, session: &str) {
        let clock = self.clock;
        match self.sessions.iter_mut().find(|other| other.id == session) {
            Some(session) => session.last_active = clock,
            None => {
                let uid = format!("{:016x}", self.sessions.len() + 1);
                self.sessions.push(Session { id: session.into(), uid, last_active: clock });
            }
        }
    }

    fn store_response(&mut self, session: &str, text: &str, message_id: Value) -> i64 {
        let (id, timestamp) = (self.responses.len() as i64 + 1, self.clock.to_string());
        self.responses.push(Response { id, session: session.into(), text: escape(text), message_id, timestamp });
        id
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let key = request.headers.get("authorization").map_or("", |value| value.trim_start_matches("Bearer "));
        let admin = matches!(request.action.as_str(), "sessions" | "session_messages");
        if key != if admin { ADMIN_KEY } else { self.api_key } {
            return (401, json!("Invalid API key"));
        }
        match request.action.as_str() {
            "inbox" => (200, self.inbox(&request.query)),
            "outbox" => self.outbox(&request.body),
            "sessions" => (200, self.list(&request.query)),
            "session_messages" => self.said(&request.query["session_id"]),
            _ => (400, json!("Invalid action")),
        }
    }

    fn inbox(&mut self, query: &HashMap<String, String>) -> Value {
        let waiting: Vec<_> = self.messages.iter().filter(|message| !message.processed).cloned().collect();
        let (messages, pagination) = page(waiting, query);
        for message in &messages {
            self.messages[message.id as usize - 1].processed = true;
        }
        let uid = |session: &str| self.sessions.iter().find(|other| other.id == session).map(|found| found.uid.clone());
        let row = |m: &Message| json!({"id": m.id.to_string(), "session_id": m.session, "message": m.text, "timestamp": m.timestamp, "uid": uid(&m.session)});
        let messages: Vec<_> = messages.iter().map(|m| m.raw.clone().unwrap_or_else(|| row(m))).collect();
        json!({"messages": messages, "pagination": pagination})
    }

    fn outbox(&mut self, body: &Value) -> (u16, Value) {
        let (session, text) = (body["session_id"].as_str().unwrap(), body["response"].as_str().unwrap());
        if !self.sessions.iter().any(|other| other.id == session) {
            return (400, json!("Invalid or expired session"));
        }
        if ["", "0"].contains(&text.trim()) || escape(text).len() > BOUND {
            return (400, json!("Missing required fields"));
        }
        let id = self.store_response(session, text, body["message_id"].clone());
        (200, json!({"response_id": id.to_string(), "session_id": session, "timestamp": self.clock.to_string()}))
    }

    fn list(&self, query: &HashMap<String, String>) -> Value {
        let mut sessions = self.sessions.clone();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_active));
        let (sessions, pagination) = page(sessions, query);
        let row = |s: Session| json!({"id": s.id, "uid": s.uid, "last_active": s.last_active.strftime("%Y-%m-%d %H:%M:%S").to_string(), "message_count": 1, "response_count": 0});
        json!({"sessions": sessions.into_iter().map(row).collect::<Vec<_>>(), "pagination": pagination})
    }

    fn said(&self, id: &str) -> (u16, Value) {
        let Some(session) = self.sessions.iter().find(|session| session.id == id) else {
            return (404, json!("Session not found"));
        };
        let message = |m: &Message| {
            m.raw
                .clone()
                .unwrap_or_else(|| json!({"id": m.id, "session_id": id, "message": m.text, "timestamp": m.timestamp}))
        };
        let response =
            |r: &Response| json!({"id": r.id, "session_id": id, "response": r.text, "timestamp": r.timestamp});
        let mut messages: Vec<_> = self.messages.iter().filter(|m| m.session == id).collect();
        messages.sort_by_key(|message| &message.timestamp);
        let messages: Vec<_> = messages.into_iter().map(message).collect();
        let responses: Vec<_> = self.responses.iter().filter(|r| r.session == id).map(response).collect();
        (200, json!({"session": {"id": id, "uid": session.uid}, "messages": messages, "responses": responses}))
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.state.lock().unwrap().connections += 1;
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(request) = read(&mut stream).await {
                if !answer(&mut stream, &shared, request).await {
                    break;
                }
            }
        });
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let target = head[0].split(' ').nth(1)?;
    let url = reqwest::Url::parse(&format!("http://bridge{target}")).ok()?;
    let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let headers: HashMap<String, String> = head[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let action = query.get("action").cloned().unwrap_or_default();
    Some(Request { action, query, headers, body, at: Instant::now() })
}

/// Whether the connection lives on.
async fn answer(stream: &mut BufReader<TcpStream>, shared: &Shared, request: Request) -> bool {
    let (fault, status, envelope) = {
        let mut state = shared.state.lock().unwrap();
        let place = state.faults.iter().position(|(action, _)| *action == request.action);
        let fault = place.and_then(|index| state.faults.remove(index)).map(|(_, fault)| fault);
        let (status, data) = match fault {
            Some(Fault::Refuse(status, _)) => (status, json!("as the test wants it")),
            _ => state.answer(&request),
        };
        state.requests.push(request);
        let timestamp = state.clock.to_string();
        let envelope = match status {
            200 => json!({"success": true, "message": "m", "timestamp": timestamp, "data": data}),
            _ => json!({"success": false, "error": data, "code": status, "timestamp": timestamp}),
        };
        (fault, status, envelope.to_string())
    };
    shared.changed.notify_waiters();
    let whole = |status: u16, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} Whatever\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let text = match fault {
        None | Some(Fault::Nothing) => whole(status, "", &envelope),
        Some(Fault::Refuse(status, headers)) => whole(status, headers, &envelope),
        Some(Fault::Garble) => whole(200, "", "<html>Welcome!</html>"),
        Some(Fault::Fail) => whole(500, "", r#"{"success":false,"error":"Internal server error","code":500}"#),
        Some(Fault::CutOff) => {
            let text = whole(status, "", &envelope);
            let _ = stream.write_all(&text.as_bytes()[..text.len() - 10]).await;
            return false;
        }
        Some(Fault::Swallow) => return false,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Hold(release)) => {
            release.notified().await;
            whole(status, "", &envelope)
        }
        Some(Fault::Endless) => {
            let mut text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_owned();
            while stream.write_all(text.as_bytes()).await.is_ok() {
                text = " ".repeat(1 << 16);
            }
            return false;
        }
    };
    stream.write_all(text.as_bytes()).await.is_ok()
}
