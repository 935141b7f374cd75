//! Who wrote in a room.

use super::lists::{PAGE, linked};
use super::rooms::room_id;
use crate::error::Result;
use crate::http::{Caller, Params, Path};
use crate::state::App;
use crate::store::Participant;
use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_participants))
}

/// List a room's participants
///
/// Everybody who has messages there, whoever wrote last first, with what their profile says.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/participants", tag = "Rooms",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The participants; a Link header leads to the next page", body = [Participant]),
              (status = 404, description = "Room not found")))]
async fn list_participants(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let read = app.store.read(move |read| read.participants(read.visible_room(room, &viewer)?.key, before, limit));
    let (participants, next) = read.await?;
    Ok(linked(&params, &format!("/api/v1/rooms/{room}/participants"), &participants, next))
}
