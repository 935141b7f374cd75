//! Threads: a message with everything that answers it.

use super::messages::not_in_this_room;
use super::rooms::room_id;
use crate::error::Result;
use crate::http::{Caller, Params, Path, cursor};
use crate::ids::MessageId;
use crate::state::App;
use crate::store::{Message, Reply};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show_thread))
}

/// A message and what answers it.
#[derive(Debug, Serialize, ToSchema)]
struct Thread {
    /// The topmost message that is left of the thread.
    root: Message,
    /// In the order of their numbers.
    replies: Vec<Reply>,
    /// How many there are, over all pages.
    total_replies: i64,
    /// For the next page; null on the last.
    cursor: Option<String>,
}

/// Show a thread
///
/// The whole thread that the message is in, wherever in it that stands.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/messages/{mid}/thread", tag = "Threads",
    params(("id" = String, Path, description = "The room's id"), ("mid" = String, Path, description = "Id of any message of the thread"),
           ("limit" = Option<i64>, Query, description = "At most so many replies; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = Thread),
              (status = 404, description = "Room not found, or the message not in this room")))]
async fn show_thread(
    State(app): State<App>,
    caller: Caller,
    Path((id, mid)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Thread>> {
    let (limit, after) = (params.limit(PAGE, PAGE)? as usize, params.cursor()?.unwrap_or(0));
    let (room, message, viewer) = (room_id(&id)?, mid.parse::<MessageId>().ok(), caller.viewer());
    let read = app.store.read(move |read| {
        let room = read.visible_room(room, &viewer)?;
        let row = message.map(|message| read.message(&room, message)).transpose()?.flatten();
        read.thread(row.ok_or_else(not_in_this_room)?.seq, after, limit)
    });
    let thread = read.await?;
    Ok(Json(Thread {
        root: thread.root,
        replies: thread.replies,
        total_replies: thread.total_replies,
        cursor: thread.next.map(cursor),
    }))
}
