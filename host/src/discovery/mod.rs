//! The host describing itself to those who have never met it: what it can do and where, the OpenAPI document and its page, and the texts
//! that agents read.

pub mod mdns;
mod page;
mod skill;

use crate::config::{AuthMode, Limits};
use crate::http::{at_each, host, openapi};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const CAPABILITIES: [&str; 18] = [
    "rooms",
    "messages",
    "direct_messages",
    "sse_streaming",
    "reactions",
    "threads",
    "mentions",
    "presence",
    "profiles",
    "webhooks",
    "search_fts5",
    "file_attachments",
    "pinning",
    "incoming_webhooks",
    "read_positions",
    "archiving",
    "bookmarks",
    "typing_indicators",
];

/// Names that clients know, with the route of each.
const ENDPOINTS: [(&str, &str); 19] = [
    ("health", "/api/v1/health"),
    ("ready", "/api/v1/ready"),
    ("stats", "/api/v1/stats"),
    ("rooms", "/api/v1/rooms"),
    ("messages", "/api/v1/rooms/{id}/messages"),
    ("stream", "/api/v1/rooms/{id}/stream"),
    ("stream_all", "/api/v1/stream"),
    ("activity", "/api/v1/activity"),
    ("search", "/api/v1/search"),
    ("mentions", "/api/v1/mentions"),
    ("unread", "/api/v1/unread"),
    ("presence", "/api/v1/presence"),
    ("profiles", "/api/v1/profiles"),
    ("dm", "/api/v1/dm"),
    ("files", "/api/v1/rooms/{id}/files"),
    ("discover", "/api/v1/discover"),
    ("openapi", "/api/v1/openapi.json"),
    ("llms_txt", "/api/v1/llms.txt"),
    ("skills", "/.well-known/skills/index.json"),
];

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(discover))
        .merge(at_each(routes!(show_openapi), &["/api/v1/openapi.json", "/openapi.json"]))
        .merge(page::router())
        .merge(skill::router())
}

/// What this host is, can do and allows.
#[derive(Serialize, ToSchema)]
struct Discovery {
    #[schema(example = "arcuate")]
    service: &'static str,
    /// Services whose clients work here unchanged.
    compatible: [&'static str; 1],
    version: &'static str,
    #[schema(example = "Arcuate bridges chats to agents.")]
    description: &'static str,
    #[schema(example = "chat")]
    hostname: String,
    #[schema(example = "192.0.2.17")]
    ip: String,
    port: u16,
    #[schema(example = "http")]
    protocol: &'static str,
    #[schema(example = "/api/v1")]
    api_base: &'static str,
    /// The address that people use, where the operator has named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://chat.example.org")]
    public_url: Option<String>,
    mdns: Mdns,
    #[schema(example = json!(["rooms", "messages"]))]
    capabilities: [&'static str; CAPABILITIES.len()],
    /// Routes by name.
    #[schema(example = json!({ "rooms": "/api/v1/rooms" }))]
    endpoints: BTreeMap<&'static str, &'static str>,
    auth: AuthModel,
    rate_limits: RateLimits,
}

/// Whether the host announces itself in the local network.
#[derive(Serialize, ToSchema)]
struct Mdns {
    #[schema(example = false)]
    enabled: bool,
    #[schema(example = "_agentchat._tcp.local.")]
    service_type: &'static str,
}

/// Who is believed.
#[derive(Serialize, ToSchema)]
struct AuthModel {
    /// `trust-based` or `token`.
    #[schema(example = "trust-based")]
    model: &'static str,
    description: &'static str,
}

impl From<AuthMode> for AuthModel {
    fn from(mode: AuthMode) -> Self {
        match mode {
            AuthMode::Lan => Self {
                model: "trust-based",
                description: "Whoever reaches this host is who they say they are. A room's administration needs its admin key, which \
                              whoever made the room was given once: Authorization: Bearer <key> or X-Admin-Key: <key>.",
            },
            AuthMode::Token => Self {
                model: "token",
                description: "Every request needs an access token, which the operator gives: Authorization: Bearer <token>. It names its \
                              owner, who may leave out sender. A room's administration needs its admin key, too: X-Admin-Key: <key>.",
            },
        }
    }
}

/// What one address may do; 0: as much as it likes.
#[derive(Serialize, ToSchema)]
pub(crate) struct RateLimits {
    messages_per_min: u32,
    rooms_per_hour: u32,
    files_per_min: u32,
    dms_per_min: u32,
    webhooks_per_min: u32,
    broadcasts_per_min: u32,
}

impl From<&Limits> for RateLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            messages_per_min: limits.messages_per_minute,
            rooms_per_hour: limits.rooms_per_hour,
            files_per_min: limits.files_per_minute,
            dms_per_min: limits.dms_per_minute,
            webhooks_per_min: limits.incoming_webhooks_per_minute,
            broadcasts_per_min: limits.broadcasts_per_minute,
        }
    }
}

/// Tell what this host is
///
/// What it can do, where, and how much of it one address may ask for.
#[utoipa::path(get, path = "/api/v1/discover", tag = "System", responses((status = 200, body = Discovery)))]
async fn discover(State(app): State<App>) -> Json<Discovery> {
    let config = app.config();
    let public_url = &config.server.public_url;
    Json(Discovery {
        service: "arcuate",
        compatible: ["local-agent-chat"],
        version: env!("CARGO_PKG_VERSION"),
        description: "Arcuate bridges chats to agents: rooms, messages and live streams for people and programs.",
        hostname: hostname(),
        ip: outside_address(app.address).to_string(),
        port: app.address.port(),
        protocol: "http",
        api_base: "/api/v1",
        public_url: (!public_url.is_empty()).then(|| public_url.clone()),
        mdns: Mdns { enabled: mdns::is_announced(app.address), service_type: mdns::SERVICE_TYPES[1] },
        capabilities: CAPABILITIES,
        endpoints: BTreeMap::from(ENDPOINTS),
        auth: config.auth.mode.into(),
        rate_limits: RateLimits::from(&config.limits),
    })
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The address that others reach this host at. Bound to all of them, it is the one that packets to the outside would carry; connecting a
/// datagram socket asks the routing table and sends nothing.
fn outside_address(bound: SocketAddr) -> IpAddr {
    if !bound.ip().is_unspecified() {
        return bound.ip();
    }
    let routed = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    };
    routed().map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

/// Show this document
///
/// OpenAPI 3.1. `/docs` shows it to people.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "System",
    responses((status = 200, description = "The OpenAPI document", body = Object, example = json!({ "openapi": "3.1.0" }))))]
async fn show_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document_bytes()).into_response()
}

/// Where the reader reaches this host, without a slash at its end.
fn base_url(app: &App, headers: &HeaderMap) -> String {
    let config = app.config();
    let public_url = config.server.public_url.trim_end_matches('/');
    if public_url.is_empty() { format!("http://{}", host(headers)) } else { public_url.to_owned() }
}
