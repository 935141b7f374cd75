//! Messages: posted to a room, read from it by cursor, time and sender.

use super::rooms::{room_id, with_allowance};
use super::text::{bounded, bounded_metadata};
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Params, Path};
use crate::ids::{MessageId, RoomId};
use crate::state::App;
use crate::store::{Draft, Message, MessageQuery, Read};
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
/// Names in a list of senders.
const LARGEST_LIST: usize = 50;

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
///
/// Blanks at the ends of `sender` and `content` are cut. The answer's headers tell what the limit leaves.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/messages", tag = "Messages", request_body = PostMessage,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, description = "The message as it was stored", body = Message),
              (status = 400, description = "A text's length, or `reply_to` is no message of this room"),
              (status = 404, description = "Room not found"),
              (status = 429, description = "Too many messages from this address")))]
async fn post_message(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Client(client): Client,
    Body(body): Body<PostMessage>,
) -> Result<Response> {
    let (sender, viewer) = (caller.identity("sender", body.sender)?, caller.viewer());
    let (sender, content) = (checked_sender(&sender)?, checked_content(&body.content)?);
    let metadata = if body.metadata.is_null() { json!({}) } else { body.metadata };
    bounded_metadata(&metadata)?;
    let sender_type = body.sender_type.as_deref().or_else(|| metadata.get("sender_type").and_then(Value::as_str));
    let sender_type = checked_sender_type(sender_type)?;
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
/// In ascending order of their numbers. Without a cursor the oldest come first; with `before_seq` and no `after`, and with `latest`, the
/// newest of those that fit. A `Link` header leads to the next page; where a filter fits few messages a page may be short, or empty.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/messages", tag = "Messages",
    params(("id" = String, Path, description = "The room's id"),
           ("after" = Option<i64>, Query, description = "Only messages behind this seq"),
           ("before_seq" = Option<i64>, Query, description = "Only messages before this seq: the newest of them, unless `after` is given"),
           ("since" = Option<String>, Query, description = "Only messages written later than this time"),
           ("before" = Option<String>, Query, description = "Only messages written earlier than this time"),
           ("sender" = Option<String>, Query, description = "Only messages of this sender"),
           ("sender_type" = Option<String>, Query, description = "Only messages of senders of this type"),
           ("exclude_sender" = Option<String>, Query, description = "No messages of these senders: at most 50 names between commas"),
           ("latest" = Option<i64>, Query, description = "The newest N, at most 500; not together with `after` or `before_seq`"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 500"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The messages; a Link header leads to the next page", body = [Message]),
              (status = 404, description = "Room not found")))]
async fn list_messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let query = query(&params)?;
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let quick = query.is_walk();
    let read = move |read: &Read<'_>| read.messages(read.visible_room(room, &viewer)?.key, &query);
    let page = if quick { app.store.glance(read).await? } else { app.store.read(read).await? };
    let mut response = raw_json(page.json);
    if let Some(next) = page.next {
        response.headers_mut().extend([params.next_link(&format!("/api/v1/rooms/{room}/messages"), next)]);
    }
    Ok(response)
}

fn query(params: &Params) -> Result<MessageQuery> {
    let everything = 0..=i64::MAX;
    let (after, before) = (params.number("after", everything.clone())?, params.number("before_seq", everything)?);
    let latest = params.number("latest", 1..=i64::from(LARGEST_PAGE))?;
    let limit = params.limit(PAGE, LARGEST_PAGE)? as usize;
    let latest = latest.filter(|_| after.is_none() && before.is_none());
    let mut query = MessageQuery {
        after: after.unwrap_or(0),
        before: before.unwrap_or(i64::MAX),
        since: params.time("since")?,
        until: params.time("before")?,
        newest: latest.is_some() || (before.is_some() && after.is_none()),
        sender: name(params, "sender")?,
        sender_type: name(params, "sender_type")?,
        excluded_senders: names(params, "exclude_sender")?,
        limit: latest.map_or(limit, |latest| latest as usize),
    };
    match params.cursor()? {
        Some(cursor) if query.newest => query.before = query.before.min(cursor),
        Some(cursor) => query.after = query.after.max(cursor),
        None => {}
    }
    Ok(query)
}

/// A name to filter by.
fn name(params: &Params, parameter: &str) -> Result<Option<String>> {
    let name = params.text(parameter).map(str::trim).filter(|name| !name.is_empty());
    let wrong = format!("Query parameter '{parameter}' must be at most 100 characters");
    name.map(|name| bounded(name, 0, 100, &wrong).map(|()| name.to_owned())).transpose()
}

/// Names between commas.
fn names(params: &Params, parameter: &str) -> Result<Vec<String>> {
    let list = params.text(parameter).unwrap_or_default();
    let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > LARGEST_LIST || names.iter().any(|name| bounded(name, 1, 100, "").is_err()) {
        return Err(Error::Invalid(format!(
            "Query parameter '{parameter}' takes at most {LARGEST_LIST} names of at most 100 characters"
        )));
    }
    Ok(names.into_iter().map(ToOwned::to_owned).collect())
}

pub(super) fn checked_sender(sender: &str) -> Result<&str> {
    bounded(sender.trim(), 1, 100, "Sender must be 1-100 characters").map(|()| sender.trim())
}

pub(super) fn checked_content(content: &str) -> Result<&str> {
    bounded(content.trim(), 1, 10_000, "Content must be 1-10000 characters").map(|()| content.trim())
}

/// A blank one is none.
pub(super) fn checked_sender_type(sender_type: Option<&str>) -> Result<Option<&str>> {
    let sender_type = sender_type.filter(|kind| !kind.trim().is_empty());
    bounded(sender_type.unwrap_or_default(), 0, 100, "sender_type must be at most 100 characters")?;
    Ok(sender_type)
}

/// The ids in a message's path. None: what is no id is no message.
pub(super) fn ids_of((room, message): &(String, String)) -> Option<(RoomId, MessageId)> {
    room.parse().ok().zip(message.parse().ok())
}

pub(super) fn not_in_this_room() -> Error {
    Error::NotFound("Message not found in this room".into())
}

/// JSON that is ready, because it was stored so.
pub(super) fn raw_json(json: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
}
