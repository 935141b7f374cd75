//! The native bridge API, `/api/v1/?action=…`: what each action wants, and which keys open it. The actions are in the files beside this
//! one, by who may use them. The protocol is that of the PHP web chat bridge, so that its browser clients work here unchanged and another Arcuate can poll
//! this one.

use super::web_api_auth::{check_key, check_token, failure};
use super::web_api_fields::escape;
use super::web_api_shapes::{BridgeAnswer, BridgeBody, BridgeError};
use crate::config::AuthMode;
use crate::error::{Error, Result};
use crate::http::{Client, Params, at_each, read_body};
use crate::state::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::Value;
use std::net::IpAddr;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) const PLATFORM: &str = "bridge";

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
/// | `config` | key for operators | `{session_timeout}`, in seconds |
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
/// | `cleanup` | key for operators | `{cleaned_count, message}` |
/// | `cleanup_logs` | key for operators | `{message}` |
/// | `clear_data` | `{confirm: true}`; key for operators | `{message, cleared_sessions, cleared_messages, cleared_responses}` |
/// | `config` | key for operators | always refused: settings are made in config.toml |
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
pub(super) struct Call {
    pub app: App,
    pub client: IpAddr,
    pub params: Params,
    pub headers: HeaderMap,
    pub body: axum::body::Bytes,
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
        ("session_messages", _) => call.session_messages().await,
        ("config", false) => call.show_config().await,
        ("config", true) => call.refuse_config().await,
        ("cleanup", _) => call.clean_up().await,
        ("cleanup_logs", _) => call.clean_up_logs().await,
        _ => call.clear_data().await,
    }
}

/// Methods of an action; an unknown one is told the known ones.
fn allowed(action: &str) -> Result<&'static str> {
    match action {
        "messages" | "session_response" | "ack" | "cleanup" | "cleanup_logs" | "clear_data" => Ok("POST"),
        "responses" | "inbox" | "outbox" | "config" => Ok("GET, POST"),
        "sessions" | "session_messages" => Ok("GET"),
        _ => Err(Error::Invalid(
            "action: must be one of messages, responses, inbox, session_response, ack, outbox, sessions, session_messages, config, cleanup, \
             cleanup_logs, clear_data"
                .into(),
        )),
    }
}

impl Call {
    pub(super) fn check_api_key(&self) -> Result<()> {
        if self.app.config().auth.mode == AuthMode::Token && check_token(&self.headers, &self.app.access)? {
            return Ok(());
        }
        check_key(&self.headers, &self.app.config().bridge.api_key, "api_key")
    }

    pub(super) fn check_admin_key(&self) -> Result<()> {
        check_key(&self.headers, &self.app.config().bridge.admin_key, "admin_key")
    }

    pub(super) fn charge(&self) -> Result<()> {
        self.app.limits.api.charge(self.client).map(drop)
    }
}

/// What this API shows of a stored message.
pub(super) struct Shown {
    pub text: String,
    pub timestamp: String,
}

impl Shown {
    pub fn of(json: &str, plain: bool) -> Self {
        let message: Value = serde_json::from_str(json).unwrap_or_default();
        let field = |name: &str| message[name].as_str().unwrap_or_default();
        let text = if plain { field("content").to_owned() } else { escape(field("content")) };
        Self { text, timestamp: field("created_at").to_owned() }
    }
}
