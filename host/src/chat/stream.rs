//! The stream of a room.

use super::rooms::room_id;
use crate::error::{Error, Result};
use crate::http::{Caller, Params, Path};
use crate::live::sse::Reader;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(stream_room))
}

/// Stream a room's events
#[utoipa::path(get, path = "/api/v1/rooms/{id}/stream", tag = "Streams",
    params(("id" = String, Path, description = "The room's id"),
           ("after" = Option<i64>, Query, description = "Start behind this event"),
           ("since" = Option<String>, Query, description = "Start with what was written at this time or later"),
           ("Last-Event-ID" = Option<String>, Header, description = "Start behind this event; beats `after`")),
    responses((status = 200, description = "Server-sent events", content_type = "text/event-stream", body = String),
              (status = 404, description = "Room not found")))]
async fn stream_room(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
    params: Params,
) -> Result<Response> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let after = cursor(&headers, &params)?;
    let since = params.time("since")?;
    let (key, since) = app
        .store
        .read(move |read| {
            Ok((read.visible_room(room, &viewer)?.key, since.map(|time| read.seq_at(time - 1)).transpose()?))
        })
        .await?;
    if method == Method::HEAD {
        return Ok([(header::CONTENT_TYPE, "text/event-stream")].into_response());
    }
    Ok(Reader::new(app.store.clone(), key, after.or(since), app.stopping.clone()).await?.into_response())
}

/// `Last-Event-ID` beats `after`, because a browser that reconnects repeats the old address.
fn cursor(headers: &HeaderMap, params: &Params) -> Result<Option<i64>> {
    let after = params.number("after", 0..=i64::MAX)?;
    let Some(last) = headers.get("last-event-id") else { return Ok(after) };
    let last = last.to_str().ok().map(str::trim).unwrap_or("?");
    if last.is_empty() {
        return Ok(after);
    }
    let wrong = || Error::Invalid("The header Last-Event-ID must be the number of an event".into());
    last.parse::<i64>().map(|last| Some(last.max(0))).map_err(|_| wrong())
}
