//! The stream of a room.

use super::rooms::room_id;
use crate::error::{Error, Result};
use crate::http::Params;
use crate::live::sse::Reader;
use crate::state::App;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub fn router() -> Router<App> {
    Router::new().route("/api/v1/rooms/{id}/stream", get(stream_room))
}

async fn stream_room(
    State(app): State<App>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
    params: Params,
) -> Result<Response> {
    let room = room_id(&id)?;
    let after = cursor(&headers, &params)?;
    let since = params.time("since")?;
    let (key, since) = app
        .store
        .read(move |read| Ok((read.room_key(room)?, since.map(|time| read.seq_at(time - 1)).transpose()?)))
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
