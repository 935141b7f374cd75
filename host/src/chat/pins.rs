//! Pins: messages that whoever has the room's key keeps in sight.

use super::messages::not_in_this_room;
use super::rooms::room_id;
use crate::error::Result;
use crate::http::{Caller, Params, Path, RoomKey};
use crate::ids::{MessageId, RoomId};
use crate::state::App;
use crate::store::{MessageRow, PinnedMessage, RoomRef, Tx, Viewer};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(pin_message, unpin_message)).routes(routes!(list_pins))
}

/// A message is no longer pinned.
#[derive(Debug, Serialize, ToSchema)]
struct MessageUnpinned {
    /// `unpinned`
    #[schema(value_type = String)]
    status: &'static str,
    message_id: MessageId,
    room_id: RoomId,
}

/// Pin a message
#[utoipa::path(post, path = "/api/v1/rooms/{id}/messages/{mid}/pin", tag = "Pins",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id"),
           ("X-Admin-Key" = Option<String>, Header, description = "The room's admin key; also as a bearer token")),
    responses((status = 200, description = "The message with its pin", body = PinnedMessage),
              (status = 401, description = "No admin key"),
              (status = 403, description = "The admin key of another room"),
              (status = 404, description = "Room not found, or the message not in this room"),
              (status = 409, description = "It is pinned already")))]
async fn pin_message(
    State(app): State<App>,
    caller: Caller,
    key: RoomKey,
    Path((id, mid)): Path<(String, String)>,
) -> Result<Json<PinnedMessage>> {
    let (room, message, viewer) = (room_id(&id)?, mid.parse().ok(), caller.viewer());
    let pinned = app.store.write(move |tx| {
        let (room, row) = administered(tx, &key, room, message, &viewer)?;
        tx.pin_message(&room, &row)
    });
    pinned.await.map(Json)
}

/// Unpin a message
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/messages/{mid}/pin", tag = "Pins",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "The message's id"),
           ("X-Admin-Key" = Option<String>, Header, description = "The room's admin key; also as a bearer token")),
    responses((status = 200, body = MessageUnpinned),
              (status = 400, description = "It is not pinned"),
              (status = 401, description = "No admin key"),
              (status = 403, description = "The admin key of another room"),
              (status = 404, description = "Room not found, or the message not in this room")))]
async fn unpin_message(
    State(app): State<App>,
    caller: Caller,
    key: RoomKey,
    Path((id, mid)): Path<(String, String)>,
) -> Result<Json<MessageUnpinned>> {
    let (room, message, viewer) = (room_id(&id)?, mid.parse().ok(), caller.viewer());
    let unpinned = app.store.write(move |tx| {
        let (room, row) = administered(tx, &key, room, message, &viewer)?;
        tx.unpin_message(&room, &row)?;
        Ok(row.message.id)
    });
    Ok(Json(MessageUnpinned { status: "unpinned", message_id: unpinned.await?, room_id: room }))
}

/// The message, if the key is its room's.
fn administered(
    tx: &Tx<'_>,
    key: &RoomKey,
    room: RoomId,
    message: Option<MessageId>,
    viewer: &Viewer,
) -> Result<(RoomRef, MessageRow)> {
    let room = tx.visible_room(room, viewer)?;
    key.check(&room)?;
    let row = message.map(|message| tx.read().message(&room, message)).transpose()?.flatten();
    Ok((room, row.ok_or_else(not_in_this_room)?))
}

/// List a room's pins
///
/// The newest pin first.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/pins", tag = "Pins",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The pinned messages; a Link header leads to the next page", body = [PinnedMessage]),
              (status = 404, description = "Room not found")))]
async fn list_pins(State(app): State<App>, caller: Caller, Path(id): Path<String>, params: Params) -> Result<Response> {
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let read = app.store.read(move |read| read.pins(read.visible_room(room, &viewer)?.key, before, limit + 1));
    let mut pins = read.await?;
    let more = pins.len() > limit as usize;
    pins.truncate(limit as usize);
    let next = pins.last().filter(|_| more).map(|(event, _)| *event);
    let pins: Vec<PinnedMessage> = pins.into_iter().map(|(_, pinned)| pinned).collect();
    let mut response = Json(pins).into_response();
    if let Some(next) = next {
        response.headers_mut().extend([params.next_link(&format!("/api/v1/rooms/{room}/pins"), next)]);
    }
    Ok(response)
}
