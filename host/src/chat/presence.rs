//! Who is there, in a room and everywhere.

use super::rooms::room_id;
use crate::clock;
use crate::error::Result;
use crate::http::{Caller, Params, Path, cursor};
use crate::ids::RoomId;
use crate::live::presence::{Change, Present};
use crate::state::App;
use crate::store::Viewer;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// People in one answer at most.
const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(room_presence)).routes(routes!(presence))
}

/// Somebody whose stream of a room is open.
#[derive(Debug, Serialize, ToSchema)]
struct Online {
    sender: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sender_type: Option<String>,
    /// When the first of their streams was opened.
    #[schema(format = "date-time")]
    connected_at: String,
}

/// Who is in a room.
#[derive(Debug, Serialize, ToSchema)]
struct RoomPresence {
    room_id: RoomId,
    /// In the order in which they came.
    online: Vec<Online>,
    /// How many there are, also on other pages.
    count: usize,
    /// Of the next page; null at the end.
    cursor: Option<String>,
}

/// Who is where.
#[derive(Debug, Serialize, ToSchema)]
struct AllPresence {
    /// By the rooms' ids.
    rooms: BTreeMap<String, Vec<Online>>,
    /// Different people, also on other pages.
    total_online: usize,
    /// Of the next page; null at the end.
    cursor: Option<String>,
}

impl From<Present> for Online {
    fn from(present: Present) -> Self {
        Self {
            sender: present.sender.to_string(),
            sender_type: present.sender_type,
            connected_at: clock::format(present.connected_at),
        }
    }
}

/// Show who is in a room
///
/// Those whose streams with `sender` are open.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/presence", tag = "Presence",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = RoomPresence), (status = 404, description = "Room not found")))]
async fn room_presence(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<RoomPresence>> {
    let (limit, after) = page(&params)?;
    let (id, viewer) = (room_id(&id)?, caller.viewer());
    let room = app.store.read(move |read| read.visible_room(id, &viewer)).await?;
    let (mut present, count) = app.presence.in_room(room.key, after, limit + 1);
    let cursor = cut(&mut present, limit);
    let online = present.into_iter().map(Online::from).collect();
    Ok(Json(RoomPresence { room_id: room.id, online, count, cursor }))
}

/// Show who is in which room
#[utoipa::path(get, path = "/api/v1/presence", tag = "Presence",
    params(("limit" = Option<i64>, Query, description = "At most so many people; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = AllPresence)))]
async fn presence(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<AllPresence>> {
    let (limit, after) = page(&params)?;
    let visible = match caller.viewer() {
        Viewer::Everyone => None,
        viewer => {
            let rooms = app.presence.rooms();
            Some(app.store.read(move |read| read.visible_among(&rooms, &viewer)).await?.into_iter().collect())
        }
    };
    let (mut present, total_online) = app.presence.everywhere(visible.as_ref(), after, limit + 1);
    let cursor = cut(&mut present, limit);
    let mut rooms: BTreeMap<String, Vec<Online>> = BTreeMap::new();
    for present in present {
        rooms.entry(present.room_id.to_string()).or_default().push(present.into());
    }
    Ok(Json(AllPresence { rooms, total_online, cursor }))
}

fn page(params: &Params) -> Result<(usize, u64)> {
    Ok((params.limit(PAGE, PAGE)? as usize, params.cursor()?.unwrap_or(0).max(0) as u64))
}

/// Leaves the page's length of one more; answers the cursor of the next page.
fn cut(present: &mut Vec<Present>, limit: usize) -> Option<String> {
    let more = present.len() > limit;
    present.truncate(limit);
    present.last().filter(|_| more).map(|last| cursor(last.number as i64))
}

/// Tells rooms' webhooks who comes and goes.
pub(super) async fn announce(app: App) {
    let mut changes = app.presence.changes();
    while let Some(Change { room, event, json }) = changes.recv().await {
        if let Err(error) = app.store.announce(room, event, json).await {
            tracing::warn!("webhooks were not told of a {event}: {error}");
        }
    }
}
