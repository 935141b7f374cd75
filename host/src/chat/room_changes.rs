//! What a room's owner does with it, with its admin key: rename and limit it, archive it, delete it.

use super::rooms::{Room, bounded_description, bounded_limits, bounded_name, room_id};
use crate::error::Result;
use crate::http::{Body, Caller, Path, RoomKey};
use crate::state::App;
use crate::store::{RoomChange, RoomRef, Tx};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(update_room, delete_room))
        .routes(routes!(archive_room))
        .routes(routes!(unarchive_room))
}

/// What changes; fields that are left out stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "description": "What is cooking", "max_messages": 10000, "max_message_age_hours": null }))]
struct UpdateRoom {
    /// 1 to 100 characters, unique among ordinary rooms; blanks at its ends are cut.
    name: Option<String>,
    /// At most 2000 characters.
    description: Option<String>,
    /// 10 to 1000000: older messages beyond so many are deleted; null ends the limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    max_messages: Option<Option<i64>>,
    /// 1 to 8760: messages older than so many hours are deleted; null ends the limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    max_message_age_hours: Option<Option<i64>>,
}

/// A room is gone.
#[derive(Serialize, ToSchema)]
struct DeletedRoom {
    deleted: bool,
}

/// Tells null from a field that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Change a room
///
/// Needs the room's admin key. A body without fields changes nothing.
#[utoipa::path(put, path = "/api/v1/rooms/{id}", tag = "Rooms", request_body = UpdateRoom,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, description = "The room as it is now", body = Room),
              (status = 403, description = "The key is not this room's"), (status = 404, description = "Room not found"),
              (status = 409, description = "Another ordinary room has this name")))]
async fn update_room(
    State(app): State<App>,
    caller: Caller,
    key: RoomKey,
    Path(id): Path<String>,
    Body(body): Body<UpdateRoom>,
) -> Result<Json<Room>> {
    let change = RoomChange {
        name: body.name.map(|name| name.trim().to_owned()),
        description: body.description,
        max_messages: body.max_messages,
        max_message_age_hours: body.max_message_age_hours,
    };
    change.name.as_deref().map_or(Ok(()), bounded_name)?;
    change.description.as_deref().map_or(Ok(()), bounded_description)?;
    bounded_limits(change.max_messages.flatten(), change.max_message_age_hours.flatten())?;
    let row = administer(&app, &caller, key, &id, move |tx, room| tx.update_room(room, &change, Room::event)).await?;
    Ok(Json(Room::from(&row)))
}

/// Archive a room
///
/// It leaves the usual list of rooms; everything else goes on as before. Needs the room's admin key.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/archive", tag = "Rooms",
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, description = "The room as it is now", body = Room),
              (status = 403, description = "The key is not this room's"), (status = 404, description = "Room not found"),
              (status = 409, description = "Room is already archived")))]
async fn archive_room(
    State(app): State<App>,
    caller: Caller,
    key: RoomKey,
    Path(id): Path<String>,
) -> Result<Json<Room>> {
    set_archived(&app, &caller, key, &id, true).await
}

/// Bring an archived room back
///
/// Needs the room's admin key.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/unarchive", tag = "Rooms",
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, description = "The room as it is now", body = Room),
              (status = 403, description = "The key is not this room's"), (status = 404, description = "Room not found"),
              (status = 409, description = "Room is not archived")))]
async fn unarchive_room(
    State(app): State<App>,
    caller: Caller,
    key: RoomKey,
    Path(id): Path<String>,
) -> Result<Json<Room>> {
    set_archived(&app, &caller, key, &id, false).await
}

async fn set_archived(app: &App, caller: &Caller, key: RoomKey, id: &str, archived: bool) -> Result<Json<Room>> {
    let row = administer(app, caller, key, id, move |tx, room| tx.set_archived(room, archived, Room::event)).await?;
    Ok(Json(Room::from(&row)))
}

/// Delete a room
///
/// With its messages, files and all else of it. Streams of the room end with the event `room_deleted`. Needs the room's admin key.
#[utoipa::path(delete, path = "/api/v1/rooms/{id}", tag = "Rooms",
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = DeletedRoom),
              (status = 403, description = "The key is not this room's"), (status = 404, description = "Room not found")))]
async fn delete_room(
    State(app): State<App>,
    caller: Caller,
    key: RoomKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedRoom>> {
    administer(&app, &caller, key, &id, |tx, room| tx.delete_room(room)).await?;
    app.room_deleted.notify_one();
    Ok(Json(DeletedRoom { deleted: true }))
}

/// Does something with a room that the caller sees and has the key of.
async fn administer<T: Send + 'static>(
    app: &App,
    caller: &Caller,
    key: RoomKey,
    id: &str,
    deed: impl Fn(&mut Tx<'_>, &RoomRef) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (id, viewer) = (room_id(id)?, caller.viewer());
    let deed = move |tx: &mut Tx<'_>| {
        let room = tx.visible_room(id, &viewer)?;
        key.check(&room)?;
        deed(tx, &room)
    };
    app.store.write(deed).await
}
