//! Search over the messages of all rooms.

use super::lists::{room_filter, text_filter, time_as_sent};
use super::text::bounded;
use crate::error::{Error, Result};
use crate::http::{Caller, Params, cursor};
use crate::state::App;
use crate::store::{Found, Hit, Range, SearchQuery};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(search_messages))
}

/// A message that matches.
#[derive(Serialize, ToSchema)]
struct SearchHit {
    #[serde(flatten)]
    hit: Hit,
    /// The part of the content around the first match, with `**` on both sides of each match.
    snippet: String,
}

impl From<Found> for SearchHit {
    fn from(Found { hit, snippet }: Found) -> Self {
        Self { hit, snippet }
    }
}

/// What was found, best first.
#[derive(Serialize, ToSchema)]
struct SearchAnswer {
    results: Vec<SearchHit>,
    /// How many there are here.
    count: usize,
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    after_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    before_date: Option<String>,
    has_more: bool,
    /// How many of the newest hits were ranked against each other; absent where those are all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    window: Option<usize>,
    /// Leads to the next page; null at the end.
    cursor: Option<String>,
}

/// Search messages
///
/// All words must be there, in the content or in the sender's name; their endings do not matter. `"quoted words"` must stand together,
/// and `word*` finds words that begin so (3 letters or more). Ranked by relevance; where more than 1,000 messages match, the newest 1,000
/// are ranked first and the cursor leads to the older ones.
#[utoipa::path(get, path = "/api/v1/search", tag = "Search",
    params(("q" = String, Query, description = "What to look for: 1 to 500 characters", example = "soup"),
           ("room_id" = Option<String>, Query, description = "Only messages of this room"),
           ("sender" = Option<String>, Query, description = "Only messages of this sender"),
           ("sender_type" = Option<String>, Query, description = "Only messages of senders of this type"),
           ("after" = Option<i64>, Query, description = "Only messages behind this seq"),
           ("before_seq" = Option<i64>, Query, description = "Only messages before this seq"),
           ("after_date" = Option<String>, Query, description = "Only messages written after this time"),
           ("before_date" = Option<String>, Query, description = "Only messages written before this time"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 200"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = SearchAnswer)))]
async fn search_messages(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<SearchAnswer>> {
    let text = params.required("q")?.trim().to_owned();
    if text.is_empty() {
        return Err(Error::Invalid("Query parameter 'q' must not be empty".into()));
    }
    bounded(&text, 1, 500, "Query too long (max 500 characters)")?;
    let after = params.number("after", 0..=i64::MAX)?.unwrap_or(0);
    let before = params.number("before_seq", 0..=i64::MAX)?.unwrap_or(i64::MAX);
    let search = SearchQuery {
        text: text.clone(),
        range: Range { after, before },
        after_time: params.time("after_date")?,
        before_time: params.time("before_date")?,
        room: room_filter(&params),
        sender: text_filter(&params, "sender"),
        sender_type: text_filter(&params, "sender_type"),
        limit: params.limit(PAGE, LARGEST_PAGE)?,
        cursor: params.cursor()?,
        viewer: caller.viewer(),
    };
    let result = app.store.read(move |read| read.search(&search)).await?;
    let results: Vec<SearchHit> = result.found.into_iter().map(SearchHit::from).collect();
    Ok(Json(SearchAnswer {
        count: results.len(),
        results,
        query: text,
        after_date: time_as_sent(&params, "after_date"),
        before_date: time_as_sent(&params, "before_date"),
        has_more: result.next.is_some(),
        window: result.window,
        cursor: result.next.map(cursor),
    }))
}
