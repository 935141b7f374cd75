//! What was bridged: conversations on platforms, listed newest first and shown one by one.

use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Params, Path, cursor};
use crate::ids::{ConversationId, RoomId, UserId};
use crate::state::App;
use crate::store::{ConversationFilter, ConversationRow, Store, unknown_conversation};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_conversations)).routes(routes!(show_conversation))
}

/// A conversation on a platform. Its messages are those of its room.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conversation {
    id: ConversationId,
    room_id: RoomId,
    /// The plugin instance that it came through.
    plugin: String,
    platform: String,
    /// What the platform calls it.
    external_id: String,
    user: Visitor,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    last_activity: String,
    /// `taken` while somebody speaks there in the agent's place, else `open`.
    #[schema(example = "open")]
    state: &'static str,
    /// Who that is.
    #[schema(example = json!(null))]
    taken_by: Option<String>,
    /// Until when; null: until it is released.
    #[schema(format = "date-time", example = json!(null))]
    taken_until: Option<String>,
    /// Messages that came from the platform.
    message_count: i64,
    /// Messages that went to it.
    response_count: i64,
}

/// Whose conversation it is.
#[derive(Debug, Serialize, ToSchema)]
struct Visitor {
    id: UserId,
    name: String,
    platform_user_id: String,
}

/// A page of conversations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConversationPage {
    conversations: Vec<Conversation>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// List bridged conversations
///
/// Newest first. Each is a room as well: whatever is posted there is delivered to the platform.
#[utoipa::path(get, path = "/api/v1/conversations", tag = "Conversations",
    params(("platform" = Option<String>, Query, description = "Only those on this platform"),
           ("user" = Option<String>, Query, description = "Only those of this person, by id"),
           ("state" = Option<String>, Query, description = "Only those that somebody has taken over (`taken`), or those that nobody has (`open`)"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = ConversationPage)))]
async fn list_conversations(State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// Show a bridged conversation
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "Conversations",
    params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, body = Conversation), (status = 404, description = "No conversation has this id")))]
async fn show_conversation(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>> {
    Ok(Json(show(&app.store, &id).await?))
}

/// The same for the API and the command line.
pub async fn show(store: &Store, id: &str) -> Result<Value> {
    let id = conversation_id(id)?;
    let row = store.read(move |read| read.conversation(id)).await?.ok_or_else(|| unknown_conversation(id))?;
    Ok(json!(shown(&row)))
}

/// What is no id is an unknown one.
pub fn conversation_id(id: &str) -> Result<ConversationId> {
    id.trim().parse().map_err(|_| unknown_conversation(id))
}

/// The same list for the API and the command line.
pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let limit = params.limit(PAGE, LARGEST_PAGE)?;
    let before = params.cursor()?;
    let platform = params.text("platform").map(str::to_owned);
    // A user that is no id is nobody: an empty page, as for an unknown one.
    let user = match params.text("user").map(str::parse) {
        Some(Err(_)) => return Ok(json!(ConversationPage { conversations: Vec::new(), cursor: None })),
        Some(Ok(user)) => Some(user),
        None => None,
    };
    let taken = match params.text("state") {
        None => None,
        Some("taken") => Some(true),
        Some("open") => Some(false),
        Some(_) => return Err(Error::Invalid("Query parameter 'state' must be taken or open".into())),
    };
    let filter = ConversationFilter { platform, user, taken };
    let rows = store.read(move |read| read.conversations(&filter, before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| more).map(|row| cursor(row.key));
    Ok(json!(ConversationPage { conversations: page.iter().map(shown).collect(), cursor: next }))
}

pub(super) fn shown(row: &ConversationRow) -> Conversation {
    let taken = row.taken.as_ref();
    Conversation {
        id: row.id,
        room_id: row.room_id,
        plugin: row.instance.clone(),
        platform: row.platform.clone(),
        external_id: row.external_id.clone(),
        user: Visitor { id: row.user_id, name: row.user_name.clone(), platform_user_id: row.platform_user_id.clone() },
        created_at: clock::format(row.created_at),
        last_activity: clock::format(row.last_activity),
        state: if taken.is_some() { "taken" } else { "open" },
        taken_by: taken.map(|taken| taken.by.clone()),
        taken_until: taken.and_then(|taken| taken.until).map(clock::format),
        message_count: row.message_count,
        response_count: row.response_count,
    }
}
