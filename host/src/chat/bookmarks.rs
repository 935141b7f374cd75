//! Bookmarks: somebody's own list of rooms, and what puts them first in the list of all.

use super::rooms::room_id;
use super::text::bounded;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Params, Path, cursor};
use crate::ids::RoomId;
use crate::state::App;
use crate::store::BookmarkRow;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Bookmarks in one answer at most.
const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(add_bookmark, remove_bookmark)).routes(routes!(list_bookmarks))
}

/// Who sets the bookmark.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada" }))]
struct AddBookmark {
    /// 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
}

/// A bookmark that is there now.
#[derive(Serialize, ToSchema)]
struct AddedBookmark {
    room_id: RoomId,
    sender: String,
    bookmarked: bool,
    /// False: it was there already.
    created: bool,
}

/// A bookmark that is not there any more.
#[derive(Serialize, ToSchema)]
struct RemovedBookmark {
    /// As it was asked for.
    room_id: String,
    sender: String,
    bookmarked: bool,
    /// False: there was none.
    removed: bool,
}

/// Somebody's bookmarks, newest first.
#[derive(Serialize, ToSchema)]
struct Bookmarks {
    sender: String,
    bookmarks: Vec<Bookmark>,
    /// How many are on this page.
    count: usize,
    /// Of the next page; null on the last.
    cursor: Option<String>,
}

/// A bookmarked room.
#[derive(Serialize, ToSchema)]
struct Bookmark {
    room_id: RoomId,
    room_name: String,
    description: String,
    /// When the room was made.
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    bookmarked_at: String,
    message_count: i64,
    /// When the newest message was written.
    #[schema(format = "date-time")]
    last_activity: Option<String>,
}

impl From<BookmarkRow> for Bookmark {
    fn from(row: BookmarkRow) -> Self {
        Self {
            room_id: row.room_id,
            room_name: row.room_name,
            description: row.description,
            created_at: clock::format(row.created_at),
            bookmarked_at: clock::format(row.bookmarked_at),
            message_count: row.message_count,
            last_activity: row.last_activity.map(clock::format),
        }
    }
}

/// Bookmark a room
#[utoipa::path(put, path = "/api/v1/rooms/{id}/bookmark", tag = "Bookmarks", request_body = AddBookmark,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = AddedBookmark), (status = 404, description = "Room not found")))]
async fn add_bookmark(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<AddBookmark>,
) -> Result<Json<AddedBookmark>> {
    let sender = caller.identity("sender", body.sender)?.trim().to_owned();
    bounded_sender(&sender)?;
    let (room_id, viewer, name) = (room_id(&id)?, caller.viewer(), sender.clone());
    let added = app.store.write(move |tx| {
        let room = tx.visible_room(room_id, &viewer)?;
        tx.add_bookmark(&room, &name)
    });
    Ok(Json(AddedBookmark { room_id, sender, bookmarked: true, created: added.await? }))
}

/// Remove a bookmark
///
/// One that is not there, and a room that is not there, are no errors: `removed` is false.
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/bookmark", tag = "Bookmarks",
    params(("id" = String, Path, description = "The room's id"),
           ("sender" = String, Query, description = "Whose bookmark; with an access token it may be left out")),
    responses((status = 200, body = RemovedBookmark), (status = 400, description = "The sender is missing")))]
async fn remove_bookmark(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<RemovedBookmark>> {
    let sender = required_sender(&caller, &params)?;
    let (viewer, name) = (caller.viewer(), sender.clone());
    let removed = match id.parse() {
        Err(_) => false,
        Ok(room_id) => {
            let removed = app.store.write(move |tx| match tx.visible_room(room_id, &viewer) {
                Ok(room) => tx.remove_bookmark(&room, &name),
                Err(Error::NotFound(_)) => Ok(false),
                Err(error) => Err(error),
            });
            removed.await?
        }
    };
    Ok(Json(RemovedBookmark { room_id: id, sender, bookmarked: false, removed }))
}

/// List bookmarks
///
/// Newest bookmark first.
#[utoipa::path(get, path = "/api/v1/bookmarks", tag = "Bookmarks",
    params(("sender" = String, Query, description = "Whose bookmarks; with an access token it may be left out"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = Bookmarks), (status = 400, description = "The sender is missing")))]
async fn list_bookmarks(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Bookmarks>> {
    let sender = required_sender(&caller, &params)?;
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let (viewer, name) = (caller.viewer(), sender.clone());
    let mut rows = app.store.read(move |read| read.bookmarks(&name, &viewer, before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let cursor = rows.last().filter(|_| more).map(|last| cursor(last.event));
    let bookmarks: Vec<Bookmark> = rows.into_iter().map(Bookmark::from).collect();
    Ok(Json(Bookmarks { sender, count: bookmarks.len(), bookmarks, cursor }))
}

fn required_sender(caller: &Caller, params: &Params) -> Result<String> {
    let given = params.text("sender").map(str::trim).filter(|sender| !sender.is_empty());
    let missing = || Error::Invalid("sender parameter is required".into());
    let sender = caller.optional_identity(given.map(Into::into))?.ok_or_else(missing)?;
    bounded_sender(&sender)?;
    Ok(sender)
}

fn bounded_sender(sender: &str) -> Result<()> {
    bounded(sender, 1, 100, "Sender must be 1-100 characters")
}
