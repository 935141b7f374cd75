//! Messages: posted to a room, read from it by cursor.

use super::rooms::{room_id, with_allowance};
use super::text::{bounded, bounded_metadata};
use crate::error::{Error, Result};
use crate::http::{Body, Client, Params};
use crate::state::App;
use crate::store::{Draft, MessageQuery};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

pub fn router() -> Router<App> {
    Router::new().route("/api/v1/rooms/{id}/messages", get(list_messages).post(post_message))
}

#[derive(Debug, Deserialize)]
struct PostMessage {
    sender: String,
    content: String,
    #[serde(default)]
    metadata: Value,
    reply_to: Option<String>,
    sender_type: Option<String>,
}

async fn post_message(
    State(app): State<App>,
    Path(id): Path<String>,
    Client(client): Client,
    Body(body): Body<PostMessage>,
) -> Result<Response> {
    let (sender, content) = (body.sender.trim(), body.content.trim());
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
                tx.read().room_key(room)?;
                Err(Error::Invalid("Referenced reply_to message not found in this room".into()))
            }
            Some(Ok(reply_to)) => tx.post_message(&draft, Some(reply_to)),
            None => tx.post_message(&draft, None),
        })
        .await?;
    Ok(with_allowance(raw_json(posted.json), allowance))
}

async fn list_messages(State(app): State<App>, Path(id): Path<String>, params: Params) -> Result<Response> {
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
    let room = room_id(&id)?;
    let messages = app.store.read(move |read| read.messages(read.room_key(room)?, query, limit)).await?;
    Ok(raw_json(messages))
}

/// JSON that is ready, because it was stored so.
fn raw_json(json: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
}
