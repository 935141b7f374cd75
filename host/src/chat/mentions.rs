//! Who was mentioned where, and what of it they have not read.

use super::lists::{cut, identity_parameter, room_filter};
use super::text::bounded;
use crate::error::Result;
use crate::http::{Caller, Params, cursor};
use crate::ids::RoomId;
use crate::state::App;
use crate::store::{Hit, LONGEST_TARGET, MentionQuery, Range, UnreadMentions};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_mentions)).routes(routes!(count_unread_mentions))
}

/// Messages that mention somebody, newest first.
#[derive(Serialize, ToSchema)]
struct Mentions {
    target: String,
    mentions: Vec<Hit>,
    /// How many there are here.
    count: usize,
    /// Leads to the next page; null at the end.
    cursor: Option<String>,
}

/// Unread mentions of one room.
#[derive(Serialize, ToSchema)]
struct RoomMentions {
    room_id: RoomId,
    room_name: String,
    mention_count: i64,
    oldest_seq: i64,
    newest_seq: i64,
}

/// Unread mentions, the room with the newest one first.
#[derive(Serialize, ToSchema)]
struct MentionCounts {
    target: String,
    rooms: Vec<RoomMentions>,
    /// Over all rooms.
    total_unread: i64,
    /// True where there are more than the 20000 that were counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(nullable = false)]
    truncated: bool,
    /// Leads to the next page; null at the end.
    cursor: Option<String>,
}

impl From<UnreadMentions> for RoomMentions {
    fn from(unread: UnreadMentions) -> Self {
        let UnreadMentions { room_id, room_name, count, oldest_seq, newest_seq } = unread;
        Self { room_id, room_name, mention_count: count, oldest_seq, newest_seq }
    }
}

fn target(caller: &Caller, params: &Params) -> Result<String> {
    let target = identity_parameter(caller, params, "target", "Query parameter 'target' must not be empty")?;
    bounded(&target, 1, LONGEST_TARGET, "Target name too long (max 200 characters)")?;
    Ok(target)
}

/// List mentions
///
/// Messages of others with `@` and the name, as a word of its own, newest first.
#[utoipa::path(get, path = "/api/v1/mentions", tag = "Mentions",
    params(("target" = String, Query, description = "Whose mentions: 1 to 200 characters; with an access token it may be left out", example = "bob"),
           ("after" = Option<i64>, Query, description = "Only messages behind this seq"),
           ("room_id" = Option<String>, Query, description = "Only messages of this room"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 200"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = Mentions)))]
async fn list_mentions(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Mentions>> {
    let target = target(&caller, &params)?;
    let after = params.number("after", 0..=i64::MAX)?.unwrap_or(0);
    let query = MentionQuery {
        target: target.clone(),
        range: Range { after, before: params.cursor()?.unwrap_or(i64::MAX) },
        room: room_filter(&params),
        limit: params.limit(PAGE, LARGEST_PAGE)?,
        viewer: caller.viewer(),
    };
    let page = app.store.read(move |read| read.mentions(&query)).await?;
    Ok(Json(Mentions { target, count: page.hits.len(), mentions: page.hits, cursor: page.next.map(cursor) }))
}

/// Count unread mentions
///
/// Per room, from the target's read position on; the room with the newest one first.
#[utoipa::path(get, path = "/api/v1/mentions/unread", tag = "Mentions",
    params(("target" = String, Query, description = "Whose mentions: 1 to 200 characters; with an access token it may be left out", example = "bob"),
           ("limit" = Option<i64>, Query, description = "At most so many rooms; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = MentionCounts)))]
async fn count_unread_mentions(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<MentionCounts>> {
    let (target, viewer) = (target(&caller, &params)?, caller.viewer());
    let reader = target.clone();
    let (rooms, truncated) = app.store.read(move |read| read.unread_mentions(&reader, &viewer)).await?;
    let total_unread = rooms.iter().map(|room| room.count).sum();
    let (rooms, next) = cut(rooms, &params)?;
    let rooms = rooms.into_iter().map(RoomMentions::from).collect();
    Ok(Json(MentionCounts { target, rooms, total_unread, truncated, cursor: next.map(cursor) }))
}
