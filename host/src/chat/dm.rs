//! Direct messages between two people.

use super::lists::{PAGE, sender_parameter};
use super::rooms::with_allowance;
use super::text::{bounded, bounded_metadata};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Params, Path, cursor};
use crate::ids::RoomId;
use crate::state::App;
use crate::store::{Conversation, DirectMessage, Message};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_conversations, send_direct)).routes(routes!(show_conversation))
}

/// A message to one person.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada", "recipient": "bob", "content": "Between us: the soup is cold." }))]
struct SendDirect {
    /// Who writes: 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
    /// Who is to read it: 1 to 100 characters.
    recipient: String,
    /// 1 to 10000 characters, kept as they are.
    content: String,
    /// `agent`, `human` or another word; else `sender_type` of the metadata counts.
    sender_type: Option<String>,
    /// Any JSON, at most 64 KiB when written out.
    #[serde(default)]
    metadata: Value,
}

/// A message that was sent.
#[derive(Serialize, ToSchema)]
struct DirectSent {
    #[schema(value_type = Message)]
    message: Box<RawValue>,
    /// Where the two talk.
    room_id: RoomId,
    /// Whether it was the first between the two.
    created: bool,
}

/// A conversation with one person.
#[derive(Serialize, ToSchema)]
struct ConversationEntry {
    room_id: RoomId,
    other_participant: String,
    last_message_content: Option<String>,
    last_message_sender: Option<String>,
    #[schema(format = "date-time")]
    last_message_at: Option<String>,
    message_count: i64,
    unread_count: i64,
    #[schema(format = "date-time")]
    created_at: String,
}

/// Somebody's conversations, newest first.
#[derive(Serialize, ToSchema)]
struct Conversations {
    sender: String,
    conversations: Vec<ConversationEntry>,
    /// How many there are here.
    count: usize,
    /// Leads to the next page; null at the end.
    cursor: Option<String>,
}

/// The room of two people.
#[derive(Serialize, ToSchema)]
struct ConversationRoom {
    id: RoomId,
    name: String,
    description: String,
    created_by: String,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
    message_count: i64,
    #[schema(format = "date-time")]
    last_activity: Option<String>,
    /// Always `dm`.
    room_type: &'static str,
}

impl From<Conversation> for ConversationEntry {
    fn from(row: Conversation) -> Self {
        let last = row.last_message;
        Self {
            room_id: row.room_id,
            other_participant: row.other,
            last_message_content: last.as_ref().map(|message| message.content.clone()),
            last_message_sender: last.as_ref().map(|message| message.sender.clone()),
            last_message_at: last.map(|message| message.created_at),
            message_count: row.message_count,
            unread_count: row.unread_count,
            created_at: clock::format(row.created_at),
        }
    }
}

/// Send a direct message
///
/// The room of the two is made with their first message.
#[utoipa::path(post, path = "/api/v1/dm", tag = "Direct messages", request_body = SendDirect,
    responses((status = 200, body = DirectSent), (status = 429, description = "Too many direct messages from this address")))]
async fn send_direct(
    State(app): State<App>,
    caller: Caller,
    Client(client): Client,
    Body(body): Body<SendDirect>,
) -> Result<Response> {
    let sender = caller.identity("sender", body.sender)?.trim().to_owned();
    let recipient = body.recipient.trim().to_owned();
    for name in [&sender, &recipient] {
        bounded(name, 1, 100, "Sender and recipient must be 1-100 characters")?;
    }
    if sender == recipient {
        return Err(Error::Invalid("Cannot send a DM to yourself".into()));
    }
    bounded(&body.content, 1, 10_000, "Content must be 1-10000 characters")?;
    let metadata = if body.metadata.is_null() { json!({}) } else { body.metadata };
    bounded_metadata(&metadata)?;
    let sender_type = body.sender_type.as_deref().or_else(|| metadata.get("sender_type").and_then(Value::as_str));
    let sender_type = sender_type.filter(|kind| !kind.trim().is_empty()).map(ToOwned::to_owned);
    bounded(sender_type.as_deref().unwrap_or_default(), 0, 100, "sender_type must be at most 100 characters")?;
    let allowance = app.limits.dms.charge(client)?;
    let direct = DirectMessage { sender, recipient, content: body.content, metadata, sender_type };
    let sent = app.store.write(move |tx| tx.send_direct(&direct)).await?;
    let message = RawValue::from_string(sent.posted.json).map_err(|error| Error::Internal(error.to_string()))?;
    let sent = DirectSent { message, room_id: sent.room_id, created: sent.is_first };
    Ok(with_allowance(Json(sent).into_response(), allowance))
}

/// List conversations
///
/// Those with the newest message first.
#[utoipa::path(get, path = "/api/v1/dm", tag = "Direct messages",
    params(("sender" = String, Query, description = "Whose conversations: 1 to 100 characters; with an access token it may be left out", example = "ada"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = Conversations)))]
async fn list_conversations(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Conversations>> {
    let sender = sender_parameter(&caller, &params, "Sender must be 1-100 characters")?;
    let limit = params.limit(PAGE, PAGE)?;
    let offset = params.cursor()?.unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32;
    let reader = sender.clone();
    let mut rows = app.store.read(move |read| read.conversations_of(&reader, offset, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let conversations: Vec<_> = rows.into_iter().map(ConversationEntry::from).collect();
    let cursor = more.then(|| cursor(i64::from(offset) + i64::from(limit)));
    Ok(Json(Conversations { sender, count: conversations.len(), conversations, cursor }))
}

/// Show a conversation's room
#[utoipa::path(get, path = "/api/v1/dm/{room_id}", tag = "Direct messages",
    params(("room_id" = String, Path, description = "The room's id")),
    responses((status = 200, body = ConversationRoom), (status = 404, description = "DM conversation not found")))]
async fn show_conversation(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ConversationRoom>> {
    let id = id.parse().map_err(|_| Error::NotFound("DM conversation not found".into()))?;
    let viewer = caller.viewer();
    let row = app.store.read(move |read| read.conversation_room(id, &viewer)).await?;
    Ok(Json(ConversationRoom {
        id: row.id,
        name: row.name,
        description: row.description,
        created_by: row.created_by,
        created_at: clock::format(row.created_at),
        updated_at: clock::format(row.updated_at),
        message_count: row.message_count,
        last_activity: row.last_message.map(|(_, at)| clock::format(at)),
        room_type: "dm",
    }))
}
