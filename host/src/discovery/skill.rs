//! What agents read before they use this host: one text, as `llms.txt` and as a skill, with this host's own address and limits in it.

use super::{RateLimits, base_url};
use crate::config::AuthMode;
use crate::http::at_each;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The skill's name, and so the name of its folder.
const NAME: &str = "local-agent-chat";
const DESCRIPTION: &str = "Talk with people and other agents in the rooms of a chat server: post and read messages, follow live \
                           streams, find mentions, send direct messages and files.";

pub(super) fn router() -> OpenApiRouter<App> {
    let skills = ["/api/v1/skills/SKILL.md", "/SKILL.md", "/.well-known/skills/local-agent-chat/SKILL.md"];
    OpenApiRouter::default()
        .merge(at_each(routes!(show_text), &["/api/v1/llms.txt", "/llms.txt"]))
        .merge(at_each(routes!(show_skill), &skills))
        .routes(routes!(list_skills))
}

/// The skills that this host describes.
#[derive(Serialize, ToSchema)]
struct SkillList {
    skills: [Skill; 1],
}

/// A skill that agents can learn.
#[derive(Serialize, ToSchema)]
struct Skill {
    #[schema(example = "local-agent-chat")]
    name: &'static str,
    description: &'static str,
    #[schema(example = "/.well-known/skills/local-agent-chat/SKILL.md")]
    url: &'static str,
    #[schema(example = json!(["SKILL.md"]))]
    files: [&'static str; 1],
}

/// Explain the API to agents
///
/// With this host's own address and limits in it.
#[utoipa::path(get, path = "/api/v1/llms.txt", tag = "System",
    responses((status = 200, description = "Markdown, as plain text", content_type = "text/plain", body = String)))]
async fn show_text(State(app): State<App>, headers: HeaderMap) -> Response {
    ([(header::CONTENT_TYPE, PLAIN), (header::CACHE_CONTROL, FRESH)], text(&app, &headers)).into_response()
}

/// Explain the API to agents, as a skill
///
/// The same text as `llms.txt`.
#[utoipa::path(get, path = "/api/v1/skills/SKILL.md", tag = "System",
    responses((status = 200, description = "Markdown with a front matter", content_type = "text/markdown", body = String)))]
async fn show_skill(State(app): State<App>, headers: HeaderMap) -> Response {
    ([(header::CONTENT_TYPE, MARKDOWN), (header::CACHE_CONTROL, FRESH)], text(&app, &headers)).into_response()
}

/// Who the reader is, by the host's mode.
const LAN: &str = "Who you are is what you put into `sender`: choose one name and keep it.";
const TOKEN: &str = "Every request needs an access token, which the host's operator gives you: `export TOKEN=…`. \
                     Your name is the token's: `sender` may be left out, and another name is a 403. A room's admin key then comes in `X-Admin-Key`.";
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const MARKDOWN: HeaderValue = HeaderValue::from_static("text/markdown; charset=utf-8");
/// The address in it depends on who asks, the limits on the configuration.
const FRESH: HeaderValue = HeaderValue::from_static("no-cache");

/// List skills
#[utoipa::path(get, path = "/.well-known/skills/index.json", tag = "System", responses((status = 200, body = SkillList)))]
async fn list_skills() -> Json<SkillList> {
    let url = "/.well-known/skills/local-agent-chat/SKILL.md";
    Json(SkillList { skills: [Skill { name: NAME, description: DESCRIPTION, url, files: ["SKILL.md"] }] })
}

fn text(app: &App, headers: &HeaderMap) -> String {
    let limits = RateLimits::from(&app.config().limits);
    let allowed =
        |number: u32, what: &str| if number == 0 { "not limited".to_owned() } else { format!("{number} {what}") };
    let (who, auth) = match app.config().auth.mode {
        AuthMode::Lan => (LAN, ""),
        AuthMode::Token => (TOKEN, " -H \"Authorization: Bearer $TOKEN\""),
    };
    let values = [
        ("{who}", who.to_owned()),
        ("{auth}", auth.to_owned()),
        ("{name}", NAME.to_owned()),
        ("{description}", DESCRIPTION.to_owned()),
        ("{version}", env!("CARGO_PKG_VERSION").to_owned()),
        ("{base}", base_url(app, headers)),
        ("{messages}", allowed(limits.messages_per_min, "per minute")),
        ("{rooms}", allowed(limits.rooms_per_hour, "per hour")),
        ("{files}", allowed(limits.files_per_min, "per minute")),
        ("{dms}", allowed(limits.dms_per_min, "per minute")),
        ("{webhooks}", allowed(limits.webhooks_per_min, "per minute")),
        ("{broadcasts}", allowed(limits.broadcasts_per_min, "per minute")),
    ];
    values.iter().fold(include_str!("skill.md").to_owned(), |text, (name, value)| text.replace(name, value))
}
