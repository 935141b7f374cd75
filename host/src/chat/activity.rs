//! What was written lately, over all rooms.

use super::lists::{names_filter, room_filter, text_filter, time_as_sent};
use crate::error::Result;
use crate::http::{Caller, Params, cursor};
use crate::state::App;
use crate::store::{ActivityQuery, Hit, Range};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_activity))
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
struct ActivityEvent {
    #[serde(flatten)]
    hit: Hit,
    /// Always `message`.
    event_type: &'static str,
}

/// Messages of all rooms, newest first.
#[derive(Serialize, ToSchema)]
struct Activity {
    events: Vec<ActivityEvent>,
    /// How many there are here.
    count: usize,
    /// As it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    since: Option<String>,
    /// Leads to the next page; null at the end.
    cursor: Option<String>,
}

/// List what was written lately
///
/// Messages of all rooms, newest first. A page may be shorter than asked for where filters let little through; its cursor goes on.
#[utoipa::path(get, path = "/api/v1/activity", tag = "Activity",
    params(("after" = Option<i64>, Query, description = "Only messages behind this seq"),
           ("since" = Option<String>, Query, description = "Only messages written after this time"),
           ("room_id" = Option<String>, Query, description = "Only messages of this room"),
           ("sender" = Option<String>, Query, description = "Only messages of this sender"),
           ("sender_type" = Option<String>, Query, description = "Only messages of senders of this type"),
           ("exclude_sender" = Option<String>, Query, description = "No messages of these senders: at most 50 names, between commas"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 500"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = Activity)))]
async fn list_activity(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Activity>> {
    let after = params.number("after", 0..=i64::MAX)?.unwrap_or(0);
    let query = ActivityQuery {
        range: Range { after, before: params.cursor()?.unwrap_or(i64::MAX) },
        since: params.time("since")?,
        room: room_filter(&params),
        sender: text_filter(&params, "sender"),
        sender_type: text_filter(&params, "sender_type"),
        exclude_senders: names_filter(&params, "exclude_sender")?,
        limit: params.limit(PAGE, LARGEST_PAGE)?,
        viewer: caller.viewer(),
    };
    let page = app.store.read(move |read| read.activity(&query)).await?;
    let events: Vec<_> = page.hits.into_iter().map(|hit| ActivityEvent { hit, event_type: "message" }).collect();
    let since = time_as_sent(&params, "since");
    Ok(Json(Activity { count: events.len(), events, since, cursor: page.next.map(cursor) }))
}
