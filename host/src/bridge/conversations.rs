//! `GET /api/v1/conversations`: what was bridged, newest first.

use crate::clock;
use crate::error::Result;
use crate::http::{Params, cursor};
use crate::state::App;
use crate::store::{ConversationFilter, ConversationRow, Store};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

pub fn router() -> Router<App> {
    Router::new().route("/api/v1/conversations", get(list_conversations))
}

async fn list_conversations(State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// The same list for the API and the command line.
pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let limit = params.limit(PAGE, LARGEST_PAGE)?;
    let before = params.cursor()?;
    let platform = params.text("platform").map(str::to_owned);
    // A user that is no id is nobody: an empty page, as for an unknown one.
    let user = match params.text("user").map(str::parse) {
        Some(Err(_)) => return Ok(json!({ "conversations": [], "cursor": null })),
        Some(Ok(user)) => Some(user),
        None => None,
    };
    let filter = ConversationFilter { platform, user };
    let rows = store.read(move |read| read.conversations(&filter, before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| more).map(|row| cursor(row.key));
    Ok(json!({ "conversations": page.iter().map(shown).collect::<Vec<_>>(), "cursor": next }))
}

fn shown(row: &ConversationRow) -> Value {
    json!({
        "id": row.id,
        "room_id": row.room_id,
        "plugin": row.instance,
        "platform": row.platform,
        "external_id": row.external_id,
        "user": { "id": row.user_id, "name": row.user_name, "platform_user_id": row.platform_user_id },
        "created_at": clock::format(row.created_at),
        "last_activity": clock::format(row.last_activity),
    })
}
