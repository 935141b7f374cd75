//! Rooms: made by anyone, listed by their newest activity.

use super::text::bounded;
use crate::auth::{digest, random_hex};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Params, Path};
use crate::ids::RoomId;
use crate::state::App;
use crate::store::{NewRoom, RoomRow};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rooms in one answer at most.
const PAGE: u32 = 1000;
/// Characters of the newest message that a list shows.
const PREVIEW: usize = 100;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_rooms, create_room)).routes(routes!(show_room))
}

/// A room to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "kitchen", "description": "What is cooking", "created_by": "ada" }))]
struct CreateRoom {
    /// 1 to 100 characters, unique among ordinary rooms; blanks at its ends are cut.
    name: String,
    /// At most 2000 characters.
    description: Option<String>,
    /// At most 100 characters; `anonymous` if left out.
    created_by: Option<String>,
}

/// A room as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Room {
    id: RoomId,
    name: String,
    description: String,
    created_by: String,
    created_at: String,
    updated_at: String,
    message_count: i64,
    /// When the newest message was written.
    #[schema(format = "date-time")]
    last_activity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_message_sender: Option<String>,
    /// The first 100 characters of the newest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_message_preview: Option<String>,
}

/// A room just made. Its admin key is shown this once.
#[derive(Serialize, ToSchema)]
struct CreatedRoom {
    id: RoomId,
    name: String,
    description: String,
    created_by: String,
    admin_key: String,
    created_at: String,
    updated_at: String,
}

impl From<&RoomRow> for Room {
    fn from(row: &RoomRow) -> Self {
        let last: Option<serde_json::Value> =
            row.last_message.as_ref().and_then(|(json, _)| serde_json::from_str(json).ok());
        let field = |name: &str| Some(last.as_ref()?.get(name)?.as_str()?.to_owned());
        Self {
            id: row.id,
            name: row.name.clone(),
            description: row.description.clone(),
            created_by: row.created_by.clone(),
            created_at: clock::format(row.created_at),
            updated_at: clock::format(row.updated_at),
            message_count: row.message_count,
            last_activity: row.last_message.as_ref().map(|(_, at)| clock::format(*at)),
            last_message_sender: field("sender"),
            last_message_preview: field("content").map(|text| text.chars().take(PREVIEW).collect()),
        }
    }
}

/// Make a room
#[utoipa::path(post, path = "/api/v1/rooms", tag = "Rooms", request_body = CreateRoom,
    responses((status = 200, description = "The room and its admin key", body = CreatedRoom),
              (status = 409, description = "An ordinary room has this name")))]
async fn create_room(State(app): State<App>, Client(client): Client, Body(body): Body<CreateRoom>) -> Result<Response> {
    let room = NewRoom {
        name: body.name.trim().into(),
        description: body.description.unwrap_or_default(),
        created_by: body.created_by.filter(|by| !by.trim().is_empty()).unwrap_or_else(|| "anonymous".into()),
        ..NewRoom::default()
    };
    bounded(&room.name, 1, 100, "Room name must be 1-100 characters")?;
    bounded(&room.description, 0, 2000, "description must be at most 2000 characters")?;
    bounded(&room.created_by, 1, 100, "created_by must be at most 100 characters")?;
    let allowance = app.limits.rooms.charge(client)?;
    let admin_key = random_hex::<16>("chat_");
    let room = NewRoom { admin_key: digest(&admin_key).to_vec(), ..room };
    let event = |row: &RoomRow| serde_json::to_string(&Room::from(row)).unwrap_or_default();
    let row = app.store.write(move |tx| tx.create_room(&room, event)).await?;
    let created = CreatedRoom {
        id: row.id,
        created_at: clock::format(row.created_at),
        updated_at: clock::format(row.updated_at),
        name: row.name,
        description: row.description,
        created_by: row.created_by,
        admin_key,
    };
    Ok(with_allowance(Json(created).into_response(), allowance))
}

/// The limit's headers, on a success.
pub(super) fn with_allowance(mut response: Response, allowance: Option<crate::limits::Allowance>) -> Response {
    if let Some(allowance) = allowance {
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", allowance.limit.into());
        headers.insert("x-ratelimit-remaining", allowance.remaining.into());
        headers.insert("x-ratelimit-reset", HeaderValue::from_static("0"));
    }
    response
}

/// List rooms
///
/// Newest activity first; rooms without messages last, by name.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "Rooms",
    params(("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The rooms; a Link header leads to the next page", body = [Room])))]
async fn list_rooms(State(app): State<App>, params: Params) -> Result<Response> {
    let limit = params.limit(PAGE, PAGE)?;
    let offset = params.cursor()?.unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32;
    let rows = app.store.read(move |read| read.rooms(offset, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let rooms: Vec<Room> = rows.iter().take(limit as usize).map(Room::from).collect();
    let mut response = Json(rooms).into_response();
    if more {
        response.headers_mut().extend([params.next_link("/api/v1/rooms", i64::from(offset) + i64::from(limit))]);
    }
    Ok(response)
}

/// Show a room
#[utoipa::path(get, path = "/api/v1/rooms/{id}", tag = "Rooms", params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = Room), (status = 404, description = "Room not found")))]
async fn show_room(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Json<Room>> {
    let (id, viewer) = (room_id(&id)?, caller.viewer());
    let row = app.store.read(move |read| read.visible_room(id, &viewer).and_then(|_| read.room(id))).await?;
    let row = row.ok_or_else(unknown_room)?;
    Ok(Json(Room::from(&row)))
}

/// What is no id is no room.
pub(super) fn room_id(text: &str) -> Result<RoomId> {
    text.parse().map_err(|_| unknown_room())
}

pub(super) fn unknown_room() -> Error {
    Error::NotFound("Room not found".into())
}
