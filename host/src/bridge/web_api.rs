//! The native bridge API, `/api/v1/?action=…`: visitors write and read, a poller takes messages and answers them, operators look at
//! sessions. The protocol is that of the PHP web chat bridge, so that its browser clients work here unchanged and another Arcuate can poll
//! this one.

use super::turn_for;
use super::web_api_auth::{check_key, check_token, failure, success};
use super::web_api_fields::{Fields, escape, session_id, time_parameter};
use super::web_api_shapes::{BridgeAnswer, BridgeBody, BridgeError};
use crate::auth::random_hex;
use crate::clock;
use crate::config::AuthMode;
use crate::error::{Error, Result};
use crate::http::{Client, Params, at_each, read_body};
use crate::state::App;
use crate::store::{Arrival, Draft, InboxQuery, SessionRow};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const LIST: u32 = 100;
/// Messages of a session that its page shows.
const SESSION_MESSAGES: u32 = 1000;
const PLATFORM: &str = "bridge";

pub fn router() -> OpenApiRouter<App> {
    let (schemas, described, methods) = routes!(ask_bridge, tell_bridge);
    // Other methods are refused here as well, in this API's envelope and with the action's own methods.
    at_each((schemas, described, methods.fallback(dispatch)), &["/api/v1/", "/api/v1", "/api/v1/index.php"])
}

/// Ask the bridge
///
/// What is answered depends on `action`; `data` has
///
/// | action | parameters | `data` |
/// |-|-|-|
/// | `responses` | `session_id`, `after` or `since`, `plain` | `{session_id, responses: [{id, response, timestamp, message_id}]}` |
/// | `inbox` | `limit`, `offset`, `since`, `ack`; key for pollers | `{messages: [{id, session_id, message, timestamp, uid}], pagination}` |
/// | `outbox` | `after`, `limit`, `plain`; key for pollers | `{responses: [{id, session_id, response, timestamp, message_id}]}` |
/// | `sessions` | `limit`, `offset`, `active`; key for operators | `{sessions: [Session], pagination}` |
/// | `session_messages` | `session_id`, `plain`; key for operators | `{session, messages, responses}` |
///
/// `pagination` is `{total, limit, offset, has_more}`.
#[utoipa::path(get, path = "/api/v1/", tag = "Bridge", security((), ("bridge_key" = [])),
    params(("action" = inline(super::web_api_shapes::Asking), Query, description = "What is wanted"),
           ("session_id" = Option<String>, Query, description = "The visitor's session: 1 to 64 letters, digits, _ or -"),
           ("after" = Option<i64>, Query, description = "Only what has a greater id"),
           ("since" = Option<String>, Query, description = "Only what was written at this time or later"),
           ("limit" = Option<i64>, Query, description = "At most so many; maximum 100. `inbox`: 0 takes nothing"),
           ("offset" = Option<i64>, Query, description = "So many are passed over"),
           ("ack" = Option<String>, Query, description = "`manual`: messages are leased until they are acknowledged"),
           ("active" = Option<bool>, Query, description = "Only sessions in use, which is the default"),
           ("plain" = Option<bool>, Query, description = "Texts as they are, not HTML-escaped")),
    responses((status = 200, description = "`data` is that of the action", body = BridgeAnswer),
              (status = 400, description = "The action or a parameter is wrong: the text begins with its name", body = BridgeError),
              (status = 401, description = "No key, a wrong one, or none configured", body = BridgeError),
              (status = 404, description = "No session has this id", body = BridgeError),
              (status = 405, description = "The action wants another method, which Allow names", body = BridgeError),
              (status = 429, description = "Too many requests; Retry-After says when", body = BridgeError),
              (status = 503, description = "The store cannot be written now", body = BridgeError)))]
async fn ask_bridge(app: State<App>, client: Client, request: Request) -> Response {
    dispatch(app, client, request).await
}

/// Tell the bridge something
///
/// | action | body | `data` |
/// |-|-|-|
/// | `messages` | `{session_id, message, timestamp?}` | `{message_id, session_id, timestamp, uid, is_new_user}` |
/// | `inbox` | `{session_id, message, uid?}` | the same |
/// | `responses` | `{session_id}` | `[{id, response, timestamp}]`, each answer once |
/// | `session_response` | `{session_id}` | `{session_id, active}` |
/// | `ack` | `{ids}`; key for pollers | `{acked}` |
/// | `outbox` | `{session_id, response, message_id?, timestamp?}`; key for pollers | `{response_id, session_id, timestamp}` |
#[utoipa::path(post, path = "/api/v1/", tag = "Bridge", security((), ("bridge_key" = [])),
    params(("action" = inline(super::web_api_shapes::Telling), Query, description = "What is to be done"),
           ("Idempotency-Key" = Option<String>, Header, description = "`outbox`: a repeat with the same key stores nothing again")),
    request_body(content = BridgeBody, content_type = "application/json"),
    responses((status = 200, description = "`data` is that of the action", body = BridgeAnswer),
              (status = 400, description = "The action, the body or a field is wrong: the text begins with its name", body = BridgeError),
              (status = 401, description = "No key, a wrong one, or none configured", body = BridgeError),
              (status = 405, description = "The action wants another method, which Allow names", body = BridgeError),
              (status = 413, description = "The body is larger than 10 MiB", body = BridgeError),
              (status = 429, description = "Too many requests; Retry-After says when", body = BridgeError),
              (status = 503, description = "The store cannot be written now", body = BridgeError)))]
async fn tell_bridge(app: State<App>, client: Client, request: Request) -> Response {
    dispatch(app, client, request).await
}

/// What an action works with.
struct Call {
    app: App,
    client: IpAddr,
    params: Params,
    headers: HeaderMap,
    body: axum::body::Bytes,
}

async fn dispatch(State(app): State<App>, Client(client): Client, request: Request) -> Response {
    answer(app, client, request).await.unwrap_or_else(|error| failure(&error))
}

async fn answer(app: App, client: IpAddr, request: Request) -> Result<Response> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let params = Params::parse(request.uri().query().unwrap_or_default())?;
    let action = params.text("action").unwrap_or_default().to_owned();
    let allowed = allowed(&action)?;
    let method = if method == Method::HEAD { Method::GET } else { method };
    if !allowed.split(", ").any(|name| name == method.as_str()) {
        return Err(Error::MethodNotAllowed(allowed));
    }
    let body = if method == Method::POST { read_body(request, &app).await? } else { axum::body::Bytes::new() };
    let call = Call { app, client, params, headers, body };
    match (action.as_str(), method == Method::POST) {
        ("messages", _) => call.send(false).await,
        ("inbox", true) => call.send(true).await,
        ("responses", false) => call.responses().await,
        ("responses", true) => call.hand_over().await,
        ("session_response", _) => call.touch().await,
        ("inbox", false) => call.inbox().await,
        ("ack", _) => call.acknowledge().await,
        ("outbox", true) => call.respond().await,
        ("outbox", false) => call.outbox().await,
        ("sessions", _) => call.sessions().await,
        _ => call.session_messages().await,
    }
}

/// Methods of an action; an unknown one is told the known ones.
fn allowed(action: &str) -> Result<&'static str> {
    match action {
        "messages" | "session_response" | "ack" => Ok("POST"),
        "responses" | "inbox" | "outbox" => Ok("GET, POST"),
        "sessions" | "session_messages" => Ok("GET"),
        _ => Err(Error::Invalid(
            "action: must be one of messages, responses, inbox, session_response, ack, outbox, sessions, session_messages".into(),
        )),
    }
}

impl Call {
    /// A visitor writes; the widget brings its own idea of who that is.
    async fn send(&self, widget: bool) -> Result<Response> {
        let fields = Fields::parse(&self.body)?;
        let (session_id, message) = (fields.session_id()?, fields.words("message")?);
        fields.check_timestamp()?;
        let given = if widget { fields.uid() } else { None };
        self.app.limits.messages.charge(self.client)?;
        let turn = turn_for(&self.app.config(), PLATFORM, PLATFORM);
        let (address, session, new_uid) = (self.client.to_string(), session_id.clone(), random_hex::<8>(""));
        let (arrived, uid) = self
            .app
            .store
            .write(move |tx| {
                let known = tx.read().session(&session)?.map(|session| session.uid);
                let uid = given.clone().or(known).unwrap_or_else(|| new_uid.clone());
                let arrival = arrival(&session, &uid, &message, &address);
                let arrived = tx
                    .arrive(&arrival, &turn)?
                    .ok_or_else(|| Error::Internal("a new message was a duplicate".into()))?;
                Ok((arrived, uid))
            })
            .await?;
        self.app.metrics.ingested(PLATFORM, 1);
        let data = json!({
            "message_id": arrived.message.seq,
            "session_id": session_id,
            "timestamp": clock::format(arrived.message.created_at),
            "uid": uid,
            "is_new_user": arrived.is_new_user,
        });
        Ok(success("Message received", data))
    }

    async fn responses(&self) -> Result<Response> {
        let session_id = session_id(self.params.text("session_id").unwrap_or_default())?;
        let (after, since) = (self.params.number("after", 0..=i64::MAX)?, time_parameter(&self.params, "since")?);
        let plain = self.params.flag("plain")?.unwrap_or(false);
        self.charge()?;
        let session = session_id.clone();
        let rows = self
            .app
            .store
            .read(move |read| {
                let Some(session) = read.session(&session)? else { return Ok(Vec::new()) };
                let since = since.map(|time| read.seq_at(time)).transpose()?;
                read.responses(session.room, after.or(since).unwrap_or(0), LIST)
            })
            .await?;
        let shown = |(seq, asked, json): &(i64, Option<i64>, String)| {
            let message = Shown::of(json, plain);
            json!({ "id": seq, "response": message.text, "timestamp": message.timestamp, "message_id": asked })
        };
        let responses: Vec<Value> = rows.iter().map(shown).collect();
        Ok(success("Responses", json!({ "session_id": session_id, "responses": responses })))
    }

    /// Each answer once per session, as plain text.
    async fn hand_over(&self) -> Result<Response> {
        let session_id = Fields::parse(&self.body)?.session_id()?;
        self.charge()?;
        let session = session_id.clone();
        // Asked every few seconds, most often for nothing: that costs no write.
        let waiting = self.app.store.read(move |read| match read.session(&session)? {
            Some(session) => Ok(!read.responses(session.room, session.handed_over, 1)?.is_empty()),
            None => Ok(false),
        });
        let rows = match waiting.await? {
            true => self.app.store.write(move |tx| tx.hand_over(&session_id, LIST)).await?,
            false => Vec::new(),
        };
        let shown = rows.iter().map(|(seq, _, json)| {
            let message = Shown::of(json, true);
            json!({ "id": seq, "response": message.text, "timestamp": message.timestamp })
        });
        Ok(success("Responses", shown.collect()))
    }

    async fn touch(&self) -> Result<Response> {
        let session_id = Fields::parse(&self.body)?.session_id()?;
        self.charge()?;
        let session = session_id.clone();
        let active = self.app.store.write(move |tx| tx.touch_session(&session)).await?;
        Ok(success("Session", json!({ "session_id": session_id, "active": active })))
    }

    async fn inbox(&self) -> Result<Response> {
        self.check_api_key()?;
        let limit = self.params.number("limit", 0..=i64::from(LIST))?.unwrap_or(50) as u32;
        let offset = self.params.number("offset", 0..=i64::from(u32::MAX))?.unwrap_or(0) as u32;
        let since = time_parameter(&self.params, "since")?;
        let lease = match self.params.text("ack") {
            None => None,
            Some("manual") => Some(self.app.config().bridge.ack),
            Some(_) => return Err(Error::Invalid("ack: must be manual, or left out".into())),
        };
        self.charge()?;
        let (total, after) = self
            .app
            .store
            .read(move |read| Ok((read.inbox_waiting()?, since.map(|time| read.seq_at(time)).transpose()?)))
            .await?;
        let query = InboxQuery { limit, offset, after: after.unwrap_or(0) };
        let items = match limit {
            0 => Vec::new(),
            _ => self.app.store.write(move |tx| tx.take_inbox(query, lease)).await?,
        };
        let shown = items.iter().map(|item| {
            let message = Shown::of(&item.json, false);
            json!({
                "id": item.seq,
                "session_id": item.session_id,
                "message": message.text,
                "timestamp": message.timestamp,
                "uid": item.uid,
            })
        });
        let messages: Vec<Value> = shown.collect();
        // What waits is counted without a look at `since`, and without items whose lease has ended: there a full page says more.
        let full = limit > 0 && messages.len() == limit as usize;
        let waited = items.iter().filter(|item| !item.was_leased).count();
        let beyond = total > i64::from(offset) + waited as i64;
        let has_more = if since.is_some() || waited < items.len() { full } else { beyond };
        let pagination = json!({ "total": total, "limit": limit, "offset": offset, "has_more": has_more });
        Ok(success("Messages", json!({ "messages": messages, "pagination": pagination })))
    }

    async fn acknowledge(&self) -> Result<Response> {
        self.check_api_key()?;
        let ids = Fields::parse(&self.body)?.ids("ids")?;
        self.charge()?;
        let acknowledged = self.app.store.write(move |tx| tx.acknowledge_inbox(&ids)).await?;
        Ok(success("Acknowledged", json!({ "acked": acknowledged })))
    }

    /// A poller answers. Its `Idempotency-Key`, if it sends one, makes a repeat harmless.
    async fn respond(&self) -> Result<Response> {
        self.check_api_key()?;
        let fields = Fields::parse(&self.body)?;
        let (session_id, response) = (fields.session_id()?, fields.words("response")?);
        fields.check_timestamp()?;
        let asked = fields.optional_id("message_id")?;
        let key = self.headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
        if key.as_ref().is_some_and(|key| key.len() > 255) {
            return Err(Error::Invalid("The header Idempotency-Key must have at most 255 bytes".into()));
        }
        self.charge()?;
        let session = session_id.clone();
        let (seq, created_at) = self
            .app
            .store
            .write(move |tx| {
                let draft = |room| Draft::new(room, "agent", &response, &json!({}), Some("agent"));
                tx.respond(&session, draft, asked, key.as_deref())
            })
            .await?;
        let data = json!({ "response_id": seq, "session_id": session_id, "timestamp": clock::format(created_at) });
        Ok(success("Response stored", data))
    }

    async fn outbox(&self) -> Result<Response> {
        self.check_api_key()?;
        let after = self.params.number("after", 0..=i64::MAX)?.unwrap_or(0);
        let limit = self.params.limit(LIST, LIST)?;
        let plain = self.params.flag("plain")?.unwrap_or(false);
        self.charge()?;
        let rows = self.app.store.read(move |read| read.bridge_responses(after, limit)).await?;
        let shown = rows.iter().map(|row| {
            let message = Shown::of(&row.json, plain);
            json!({
                "id": row.seq,
                "session_id": row.session_id,
                "response": message.text,
                "timestamp": message.timestamp,
                "message_id": row.asked,
            })
        });
        Ok(success("Responses", json!({ "responses": shown.collect::<Vec<_>>() })))
    }

    async fn sessions(&self) -> Result<Response> {
        self.check_admin_key()?;
        let limit = self.params.limit(50, LIST)?;
        let offset = self.params.number("offset", 0..=i64::from(u32::MAX))?.unwrap_or(0) as u32;
        let active_since = clock::now() - clock::micros(self.app.config().bridge.session_timeout);
        let since = self.params.flag("active")?.unwrap_or(true).then_some(active_since);
        self.charge()?;
        let read = move |read: &crate::store::Read<'_>| {
            Ok((read.sessions(since, offset, limit)?, read.session_count(since, 100_000)?))
        };
        let (rows, total) = self.app.store.read(read).await?;
        let sessions: Vec<Value> = rows.iter().map(|row| session(row, active_since)).collect();
        let has_more = total > i64::from(offset) + sessions.len() as i64;
        let pagination = json!({ "total": total, "limit": limit, "offset": offset, "has_more": has_more });
        Ok(success("Sessions", json!({ "sessions": sessions, "pagination": pagination })))
    }

    async fn session_messages(&self) -> Result<Response> {
        self.check_admin_key()?;
        let session_id = session_id(self.params.text("session_id").unwrap_or_default())?;
        let plain = self.params.flag("plain")?.unwrap_or(false);
        self.charge()?;
        let id = session_id.clone();
        let found = self.app.store.read(move |read| {
            let Some(session) = read.session(&id)? else { return Ok(None) };
            let messages = read.session_messages(session.room, SESSION_MESSAGES)?;
            Ok(Some((session, messages)))
        });
        let (row, rows) = found.await?.ok_or_else(|| Error::NotFound("Session not found".into()))?;
        let (mut messages, mut responses) = (Vec::new(), Vec::new());
        for (seq, from_visitor, json) in &rows {
            let Shown { text, timestamp } = Shown::of(json, plain);
            let (list, name) = if *from_visitor { (&mut messages, "message") } else { (&mut responses, "response") };
            list.push(json!({ "id": seq, "session_id": session_id, name: text, "timestamp": timestamp }));
        }
        let active_since = clock::now() - clock::micros(self.app.config().bridge.session_timeout);
        let data = json!({ "session": session(&row, active_since), "messages": messages, "responses": responses });
        Ok(success("Session messages", data))
    }

    fn check_api_key(&self) -> Result<()> {
        if self.app.config().auth.mode == AuthMode::Token && check_token(&self.headers, &self.app.access)? {
            return Ok(());
        }
        check_key(&self.headers, &self.app.config().bridge.api_key, "api_key")
    }

    fn check_admin_key(&self) -> Result<()> {
        check_key(&self.headers, &self.app.config().bridge.admin_key, "admin_key")
    }

    fn charge(&self) -> Result<()> {
        self.app.limits.api.charge(self.client).map(drop)
    }
}

fn arrival(session_id: &str, uid: &str, message: &str, address: &str) -> Arrival {
    Arrival {
        instance: PLATFORM.into(),
        platform: PLATFORM.into(),
        platform_user_id: uid.into(),
        username: format!("visitor_{uid}"),
        display_name: format!("Visitor ({})", &uid[..uid.len().min(8)]),
        conversation: session_id.into(),
        external_id: None,
        content: message.into(),
        metadata: Map::new(),
        ip_address: Some(address.into()),
    }
}

fn session(row: &SessionRow, active_since: clock::Micros) -> Value {
    json!({
        "id": row.session_id,
        "uid": row.uid,
        "created_at": clock::format(row.created_at),
        "last_active": clock::format(row.last_active),
        "ip_address": row.ip_address,
        "metadata": {},
        "active": row.last_active > active_since,
        "message_count": row.message_count,
        "response_count": row.response_count,
    })
}

/// What this API shows of a stored message.
struct Shown {
    text: String,
    timestamp: String,
}

impl Shown {
    fn of(json: &str, plain: bool) -> Self {
        let message: Value = serde_json::from_str(json).unwrap_or_default();
        let field = |name: &str| message[name].as_str().unwrap_or_default();
        let text = if plain { field("content").to_owned() } else { escape(field("content")) };
        Self { text, timestamp: field("created_at").to_owned() }
    }
}
