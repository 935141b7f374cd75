//! Rooms: made by anyone, listed by their newest activity.

use super::text::{bounded, creator};
use crate::auth::{digest, random_hex};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Params, Path};
use crate::ids::RoomId;
use crate::state::App;
use crate::store::{ListedRoom, NewRoom, RoomKind, RoomPlace, RoomQuery, RoomRow, Store, Viewer};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::RangeInclusive;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rooms in one answer at most.
const PAGE: u32 = 1000;
/// Characters of the newest message that a list shows.
const PREVIEW: usize = 100;
/// What `max_messages` may be.
const MAX_MESSAGES: RangeInclusive<i64> = 10..=1_000_000;
/// What `max_message_age_hours` may be: up to a year.
const MAX_AGE_HOURS: RangeInclusive<i64> = 1..=8760;
/// Types of rooms that there are, or will be.
const TYPES: [(&str, Option<RoomKind>); 5] = [
    ("room", Some(RoomKind::Room)),
    ("dm", Some(RoomKind::Dm)),
    ("bridge", Some(RoomKind::Bridge)),
    ("session", None),
    ("applet", None),
];

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
    /// 10 to 1000000: older messages beyond so many are deleted.
    max_messages: Option<i64>,
    /// 1 to 8760: messages older than so many hours are deleted.
    max_message_age_hours: Option<i64>,
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
    /// Absent if the room is not archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    archived_at: Option<String>,
    /// Whether `sender` has a bookmark on it; absent where no `sender` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    bookmarked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_messages: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_message_age_hours: Option<i64>,
}

/// What a room shows of its newest message.
#[derive(Deserialize)]
struct LastMessage<'a> {
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    content: Cow<'a, str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_messages: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_message_age_hours: Option<i64>,
}

impl From<&RoomRow> for Room {
    fn from(row: &RoomRow) -> Self {
        let last: Option<LastMessage<'_>> =
            row.last_message.as_ref().and_then(|(json, _)| serde_json::from_str(json).ok());
        Self {
            id: row.id,
            name: row.name.clone(),
            description: row.description.clone(),
            created_by: row.created_by.clone(),
            created_at: clock::format(row.created_at),
            updated_at: clock::format(row.updated_at),
            message_count: row.message_count,
            last_activity: row.last_message.as_ref().map(|(_, at)| clock::format(*at)),
            last_message_sender: last.as_ref().map(|last| last.sender.to_string()),
            last_message_preview: last.map(|last| last.content.chars().take(PREVIEW).collect()),
            archived_at: row.archived_at.map(clock::format),
            bookmarked: None,
            max_messages: row.max_messages,
            max_message_age_hours: row.max_message_age_hours,
        }
    }
}

impl Room {
    /// The payload of the room's own events.
    pub(super) fn event(row: &RoomRow) -> String {
        serde_json::to_string(&Self::from(row)).unwrap_or_default()
    }
}

/// Both limits of a room, where they are given.
pub(super) fn bounded_limits(max_messages: Option<i64>, max_age_hours: Option<i64>) -> Result<()> {
    if max_messages.is_some_and(|most| !MAX_MESSAGES.contains(&most)) {
        return Err(Error::Invalid("max_messages must be between 10 and 1000000".into()));
    }
    if max_age_hours.is_some_and(|most| !MAX_AGE_HOURS.contains(&most)) {
        return Err(Error::Invalid("max_message_age_hours must be between 1 and 8760 (1 year)".into()));
    }
    Ok(())
}

pub(super) fn bounded_name(name: &str) -> Result<()> {
    bounded(name, 1, 100, "Room name must be 1-100 characters")
}

pub(super) fn bounded_description(description: &str) -> Result<()> {
    bounded(description, 0, 2000, "description must be at most 2000 characters")
}

/// Make a room
#[utoipa::path(post, path = "/api/v1/rooms", tag = "Rooms", request_body = CreateRoom,
    responses((status = 200, description = "The room and its admin key", body = CreatedRoom),
              (status = 409, description = "An ordinary room has this name"),
              (status = 429, description = "Too many rooms within the hour")))]
async fn create_room(
    State(app): State<App>,
    _: Caller,
    Client(client): Client,
    Body(body): Body<CreateRoom>,
) -> Result<Response> {
    let (name, description) = (body.name.trim(), body.description.unwrap_or_default());
    bounded_name(name)?;
    bounded_description(&description)?;
    let room = NewRoom {
        name: name.into(),
        description,
        created_by: creator(body.created_by)?,
        max_messages: body.max_messages,
        max_message_age_hours: body.max_message_age_hours,
        ..NewRoom::default()
    };
    bounded_limits(room.max_messages, room.max_message_age_hours)?;
    let allowance = app.limits.rooms.charge(client)?;
    let admin_key = random_hex::<16>("chat_");
    let room = NewRoom { admin_key: digest(&admin_key).to_vec(), ..room };
    let row = app.store.write(move |tx| tx.create_room(&room, Room::event)).await?;
    let created = CreatedRoom {
        id: row.id,
        created_at: clock::format(row.created_at),
        updated_at: clock::format(row.updated_at),
        name: row.name,
        description: row.description,
        created_by: row.created_by,
        admin_key,
        max_messages: row.max_messages,
        max_message_age_hours: row.max_message_age_hours,
    };
    Ok(with_allowance(Json(created).into_response(), allowance))
}

/// The limit's headers, on a success.
pub fn with_allowance(mut response: Response, allowance: Option<crate::limits::Allowance>) -> Response {
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
/// Newest activity first; rooms without messages last, by name. With `sender` the rooms that they bookmarked come before the others.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "Rooms",
    params(("include_archived" = Option<bool>, Query, description = "Archived rooms too"),
           ("sender" = Option<String>, Query, description = "Whose bookmarks count; adds `bookmarked` to each room"),
           ("types" = Option<String>, Query, description = "Rooms of other types too, separated by commas: dm, bridge, session, applet"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The rooms; a Link header leads to the next page", body = [Room])))]
async fn list_rooms(State(app): State<App>, caller: Caller, params: Params) -> Result<Response> {
    let include_archived = params.flag("include_archived")?.unwrap_or(false);
    let sender = params.text("sender").map(str::trim).filter(|sender| !sender.is_empty());
    let sender = caller.optional_identity(sender.map(Into::into))?;
    bounded(sender.as_deref().unwrap_or_default(), 0, 100, "Sender must be 1-100 characters")?;
    let (rooms, cursor) = list(&app.store, caller.viewer(), sender, &params, include_archived).await?;
    let mut response = Json(rooms).into_response();
    if let Some(cursor) = cursor {
        response.headers_mut().extend([params.next_link_to("/api/v1/rooms", &cursor)]);
    }
    Ok(response)
}

/// A page of rooms and the cursor of the next one; also for operators.
pub async fn list(
    store: &Store,
    viewer: Viewer,
    sender: Option<String>,
    params: &Params,
    include_archived: bool,
) -> Result<(Vec<Room>, Option<String>)> {
    let limit = params.limit(PAGE, PAGE)?;
    let with_bookmarks = sender.is_some();
    let query = RoomQuery {
        kinds: kinds(params.text("types").unwrap_or_default())?,
        include_archived,
        sender,
        viewer,
        after: params.text("cursor").map(place).transpose()?,
        limit: limit + 1,
    };
    let rows = store.read(move |read| read.rooms(&query)).await?;
    let more = rows.len() > limit as usize;
    let rows = &rows[..rows.len().min(limit as usize)];
    let shown = |listed: &ListedRoom| Room {
        bookmarked: with_bookmarks.then_some(listed.bookmarked),
        ..Room::from(&listed.row)
    };
    let cursor = rows.last().filter(|_| more).map(|last| cursor(&last.place));
    Ok((rows.iter().map(shown).collect(), cursor))
}

/// Ordinary rooms, and those that are named.
fn kinds(types: &str) -> Result<Vec<RoomKind>> {
    let mut kinds = vec![RoomKind::Room];
    for name in types.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some((_, kind)) = TYPES.iter().find(|(known, _)| *known == name) else {
            let known = "room, dm, bridge, session, applet";
            return Err(Error::Invalid(format!("Query parameter 'types' takes {known}, separated by commas")));
        };
        kinds.extend(kind.filter(|kind| !kinds.contains(kind)));
    }
    // In one order, so that there are few different statements.
    kinds.sort_by_key(|kind| kind.name());
    Ok(kinds)
}

fn cursor(place: &RoomPlace) -> String {
    let RoomPlace { head, bookmarked, last_seq, name, key } = place;
    URL_SAFE_NO_PAD.encode(format!("{head}.{}.{last_seq}.{key}.{name}", i64::from(*bookmarked)))
}

/// The reverse of [`cursor`].
fn place(cursor: &str) -> Result<RoomPlace> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parsed = decoded.as_deref().and_then(|text| {
        let mut parts = text.splitn(5, '.');
        let mut number = || parts.next()?.parse::<i64>().ok().filter(|number| *number >= 0);
        let (head, bookmarked, last_seq, key) = (number()?, number()? == 1, number()?, number()?);
        Some(RoomPlace { head, bookmarked, last_seq, key, name: parts.next()?.into() })
    });
    parsed.ok_or_else(|| Error::Invalid("Query parameter 'cursor' must be one that an earlier page gave".into()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursor_comes_back(head in 0..i64::MAX, bookmarked in any::<bool>(), last_seq in 0..i64::MAX, key in 0..i64::MAX, name in ".{0,100}") {
            let given = RoomPlace { head, bookmarked, last_seq, name, key };
            prop_assert_eq!(place(&cursor(&given)).unwrap(), given);
        }

        #[test]
        fn cursor_of_anything_never_panics(text in ".{0,100}") {
            let _ = place(&text);
        }
    }
}
