//! How far everybody has read, and what they have not.

use super::lists::{PAGE, cut, linked, sender_parameter};
use super::rooms::room_id;
use super::text::bounded;
use crate::error::{Error, Result};
use crate::http::{Caller, Params, Path, cursor, read_body, read_json};
use crate::ids::RoomId;
use crate::state::App;
use crate::store::{ReadPosition, UnreadRoom};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(mark_read, list_read_positions)).routes(routes!(count_unread))
}

/// Up to where somebody has read.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada", "last_read_seq": 42 }))]
struct MarkRead {
    /// Who read: 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
    /// The seq of the last message read, 0 or more.
    last_read_seq: i64,
}

/// A room and what is unread in it.
#[derive(Serialize, ToSchema)]
struct UnreadCount {
    room_id: RoomId,
    room_name: String,
    /// Messages of others behind the read position.
    unread_count: i64,
    /// 0 if nothing was ever marked as read.
    last_read_seq: i64,
    /// Of the newest message; 0 if there is none.
    latest_seq: i64,
}

/// What somebody has not read, by the rooms' names.
#[derive(Serialize, ToSchema)]
struct Unread {
    sender: String,
    rooms: Vec<UnreadCount>,
    /// Over all rooms.
    total_unread: i64,
    /// Leads to the next page; null at the end.
    cursor: Option<String>,
}

impl From<UnreadRoom> for UnreadCount {
    fn from(room: UnreadRoom) -> Self {
        let UnreadRoom { room_id, room_name, unread, last_read_seq, latest_seq, .. } = room;
        Self { room_id, room_name, unread_count: unread, last_read_seq, latest_seq }
    }
}

/// Mark a room as read
///
/// The position never goes back; the answer says where it is now. The body is JSON, whatever its content type says.
#[utoipa::path(put, path = "/api/v1/rooms/{id}/read", tag = "Activity", request_body = MarkRead,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = ReadPosition), (status = 404, description = "Room not found")))]
async fn mark_read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ReadPosition>> {
    let body: MarkRead = read_json(&read_body(request, &app).await?)?;
    let (sender, viewer) = (caller.identity("sender", body.sender)?.trim().to_owned(), caller.viewer());
    bounded(&sender, 1, 100, "Sender must be 1-100 characters")?;
    if body.last_read_seq < 0 {
        return Err(Error::Invalid("last_read_seq must be non-negative".into()));
    }
    let room = room_id(&id)?;
    let marked = app.store.write(move |tx| tx.mark_read(room, &viewer, &sender, body.last_read_seq)).await?;
    Ok(Json(marked))
}

/// List read positions of a room
///
/// The one that moved last comes first.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/read", tag = "Activity",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The positions; a Link header leads to the next page", body = [ReadPosition]),
              (status = 404, description = "Room not found")))]
async fn list_read_positions(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let read = app.store.read(move |read| read.read_positions(&read.visible_room(room, &viewer)?, before, limit));
    let (positions, next) = read.await?;
    Ok(linked(&params, &format!("/api/v1/rooms/{room}/read"), &positions, next))
}

/// Count unread messages
///
/// Of all ordinary rooms, the sender's own direct messages, and other rooms where the sender has a read position, by name. One's own
/// messages are never unread.
#[utoipa::path(get, path = "/api/v1/unread", tag = "Activity",
    params(("sender" = String, Query, description = "Who reads: 1 to 100 characters; with an access token it may be left out", example = "ada"),
           ("limit" = Option<i64>, Query, description = "At most so many rooms; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = Unread)))]
async fn count_unread(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Unread>> {
    let sender = sender_parameter(&caller, &params, "Sender parameter is required")?;
    let reader = sender.clone();
    let rooms = app.store.read(move |read| read.unread_rooms(&reader)).await?;
    let total_unread = rooms.iter().map(|room| room.unread).sum();
    let (rooms, next) = cut(rooms, &params)?;
    let rooms = rooms.into_iter().map(UnreadCount::from).collect();
    Ok(Json(Unread { sender, rooms, total_unread, cursor: next.map(cursor) }))
}
