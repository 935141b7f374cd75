//! Who is typing: told to the room's listeners, stored nowhere.

use super::messages::checked_sender;
use super::rooms::room_id;
use crate::error::Result;
use crate::http::{Body, Caller, Path};
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(notify_typing))
}

/// Somebody types.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "sender": "ada" }))]
struct NotifyTyping {
    /// 1 to 100 characters. With an access token it may be left out.
    sender: Option<String>,
}

/// It was heard.
#[derive(Debug, Serialize, ToSchema)]
struct TypingHeard {
    ok: bool,
}

/// Say that somebody is typing
///
/// Streams of the room get an event `typing`. Said again within two seconds, nothing is sent.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/typing", tag = "Messages", request_body = NotifyTyping,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = TypingHeard), (status = 404, description = "Room not found")))]
async fn notify_typing(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<NotifyTyping>,
) -> Result<Json<TypingHeard>> {
    let sender = caller.identity("sender", body.sender)?;
    let sender = checked_sender(&sender)?;
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let found = app.store.read(move |read| read.visible_room(room, &viewer)).await?;
    if app.limits.typing.is_new(found.key, sender) {
        let event = json!({ "sender": sender, "room_id": room }).to_string();
        app.store.bus().publish_ephemeral(found.key, "typing", &event);
    }
    Ok(Json(TypingHeard { ok: true }))
}
