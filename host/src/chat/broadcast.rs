//! One message to several rooms at once, each of which takes it or not.

use super::messages::{checked_content, checked_sender, checked_sender_type};
use super::rooms::with_allowance;
use super::text::bounded_metadata;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client};
use crate::ids::MessageId;
use crate::state::App;
use crate::store::{Draft, Posted};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const MOST_ROOMS: usize = 20;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(broadcast))
}

/// A message for several rooms.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "room_ids": ["01981f6e-6a1c-7c3e-9b1f-2f6a4d0c8e11"], "sender": "ada", "content": "Dinner is ready." }))]
struct Broadcast {
    /// 1 to 20 ids.
    room_ids: Vec<String>,
    /// 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
    /// 1 to 10000 characters; blanks at its ends are cut.
    content: String,
    /// `agent`, `human` or another word.
    sender_type: Option<String>,
    /// Any JSON, at most 64 KiB when written out.
    metadata: Option<Value>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
struct BroadcastSent {
    sent: usize,
    failed: usize,
    /// In the order of `room_ids`.
    results: Vec<BroadcastResult>,
}

/// What became of it in one room.
#[derive(Debug, Serialize, ToSchema)]
struct BroadcastResult {
    /// As it was given.
    room_id: String,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// Post a message to several rooms
///
/// A room that is not there fails alone; the answer is 200 all the same.
#[utoipa::path(post, path = "/api/v1/broadcast", tag = "Messages", request_body = Broadcast,
    responses((status = 200, description = "What became of it in each room", body = BroadcastSent),
              (status = 400, description = "A text's length, or the number of rooms"),
              (status = 429, description = "Too many broadcasts from this address")))]
async fn broadcast(
    State(app): State<App>,
    caller: Caller,
    Client(client): Client,
    Body(body): Body<Broadcast>,
) -> Result<Response> {
    let (sender, viewer) = (caller.identity("sender", body.sender)?, caller.viewer());
    let (sender, content) = (checked_sender(&sender)?, checked_content(&body.content)?);
    let metadata = body.metadata.unwrap_or_else(|| json!({}));
    bounded_metadata(&metadata)?;
    let sender_type = checked_sender_type(body.sender_type.as_deref())?;
    if body.room_ids.is_empty() {
        return Err(Error::Invalid("room_ids must not be empty".into()));
    }
    if body.room_ids.len() > MOST_ROOMS {
        return Err(Error::Invalid(format!("Broadcast is limited to {MOST_ROOMS} rooms per call")));
    }
    let allowance = app.limits.broadcasts.charge(client)?;
    let draft = |id: &String| {
        let room = id.trim().parse().ok();
        room.map(|room| Draft::new(room, sender, content, &metadata, sender_type)).transpose()
    };
    let drafts: Vec<Option<Draft>> = body.room_ids.iter().map(draft).collect::<Result<_>>()?;
    let posted = app.store.write(move |tx| tx.broadcast(&drafts, &viewer)).await?;
    let results: Vec<_> = body.room_ids.iter().zip(posted).map(|(id, posted)| result(id, posted)).collect();
    let sent = results.iter().filter(|result| result.success).count();
    let answer = Json(BroadcastSent { sent, failed: results.len() - sent, results });
    Ok(with_allowance(answer.into_response(), allowance))
}

fn result(id: &str, posted: Option<Posted>) -> BroadcastResult {
    let room_id = id.trim().to_owned();
    let why = if room_id.is_empty() { "room_id must not be empty" } else { "Room not found" };
    let message_id = posted.map(|posted| posted.id);
    BroadcastResult {
        room_id,
        success: message_id.is_some(),
        message_id,
        error: message_id.is_none().then(|| why.into()),
    }
}
