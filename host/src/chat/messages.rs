//! Messages: posted to a room, read from it by cursor.

use super::rooms::{room_id, with_allowance};
use super::text::{bounded, bounded_metadata};
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Params, Path};
use crate::state::App;
use crate::store::{Draft, Message, MessageQuery};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_messages, post_message))
}

/// A message to be posted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada", "content": "Is the soup ready, @bob?", "sender_type": "human" }))]
struct PostMessage {
    /// Who writes: 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
    /// 1 to 10000 characters; blanks at its ends are cut.
    content: String,
    /// Any JSON, at most 64 KiB when written out.
    #[serde(default)]
    metadata: Value,
    /// Id of the message of this room that it answers.
    reply_to: Option<String>,
    /// `agent`, `human` or another word; else `sender_type` of the metadata counts.
    sender_type: Option<String>,
}

/// Post a message
#[utoipa::path(post, path = "/api/v1/rooms/{id}/messages", tag = "Messages", request_body = PostMessage,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = Message), (status = 404, description = "Room not found")))]
async fn post_message(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Client(client): Client,
    Body(body): Body<PostMessage>,
) -> Result<Response> {
    let (sender, viewer) = (caller.identity("sender", body.sender)?, caller.viewer());
    let (sender, content) = (sender.trim(), body.content.trim());
    bounded(sender, 1, 100, "Sender must be 1-100 characters")?;
    bounded(content, 1, 10_000, "Content must be 1-10000 characters")?;
    let metadata = if body.metadata.is_null() { json!({}) } else { body.metadata };
    bounded_metadata(&metadata)?;
    let sender_type = body.sender_type.as_deref().or_else(|| metadata.get("sender_type").and_then(Value::as_str));
    let sender_type = sender_type.filter(|kind| !kind.trim().is_empty());
    bounded(sender_type.unwrap_or_default(), 0, 100, "sender_type must be at most 100 characters")?;
    let allowance = app.limits.messages.charge(client)?;
    let room = room_id(&id)?;
    let draft = Draft::new(room, sender, content, &metadata, sender_type)?;
    let reply_to = body.reply_to.filter(|id| !id.trim().is_empty());
    let posted = app
        .store
        .write(move |tx| match reply_to.as_deref().map(|id| id.trim().parse()) {
            // What is no id is no message either, but an unknown room is told first.
            Some(Err(_)) => {
                tx.visible_room(room, &viewer)?;
                Err(Error::Invalid("Referenced reply_to message not found in this room".into()))
            }
            Some(Ok(reply_to)) => tx.post_message(&draft, Some(reply_to), &viewer),
            None => tx.post_message(&draft, None, &viewer),
        })
        .await?;
    Ok(with_allowance(raw_json(posted.json), allowance))
}

/// Read messages
///
/// In ascending order. Without a cursor the oldest come first.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/messages", tag = "Messages",
    params(("id" = String, Path, description = "The room's id"),
           ("after" = Option<i64>, Query, description = "Only messages behind this seq"),
           ("before_seq" = Option<i64>, Query, description = "Only messages before this seq: the newest of them"),
           ("latest" = Option<i64>, Query, description = "The newest N; not together with a cursor"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 500")),
    responses((status = 200, body = [Message]), (status = 404, description = "Room not found")))]
async fn list_messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let everything = 0..=i64::MAX;
    let (after, before) = (params.number("after", everything.clone())?, params.number("before_seq", everything)?);
    let latest = params.number("latest", 1..=i64::from(LARGEST_PAGE))?;
    let limit = params.limit(PAGE, LARGEST_PAGE)?;
    let (query, limit) = match (after, before, latest) {
        (Some(after), Some(before), _) => (MessageQuery::Between(after, before), limit),
        (Some(after), None, _) => (MessageQuery::After(after), limit),
        (None, Some(before), _) => (MessageQuery::Before(before), limit),
        (None, None, Some(latest)) => (MessageQuery::Before(i64::MAX), latest as u32),
        (None, None, None) => (MessageQuery::After(0), limit),
    };
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let messages =
        app.store.read(move |read| read.messages(read.visible_room(room, &viewer)?.key, query, limit)).await?;
    Ok(raw_json(messages))
}

/// JSON that is ready, because it was stored so.
pub(super) fn raw_json(json: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
}
