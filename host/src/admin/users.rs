//! People and conversations for operators.

use super::Operator;
use crate::bridge::conversations;
use crate::clock;
use crate::error::Result;
use crate::http::{Params, cursor};
use crate::state::App;
use crate::store::{Store, UserRow};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/admin/users", get(list_users))
        .route("/api/v1/admin/conversations", get(list_conversations))
}

async fn list_users(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

async fn list_conversations(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(conversations::list(&app.store, &params).await?))
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let (limit, before) = (params.limit(PAGE, LARGEST_PAGE)?, params.cursor()?);
    let rows = store.read(move |read| read.users(before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| more).map(|row| cursor(row.key));
    Ok(json!({ "users": page.iter().map(shown).collect::<Vec<_>>(), "cursor": next }))
}

fn shown(user: &UserRow) -> Value {
    let profiles = user.profiles.iter().map(|profile| {
        json!({
            "platform": profile.platform,
            "platform_user_id": profile.platform_user_id,
            "username": profile.username,
            "display_name": profile.display_name,
            "first_seen": clock::format(profile.first_seen),
            "last_seen": clock::format(profile.last_seen),
        })
    });
    json!({
        "id": user.id,
        "name": user.name,
        "created_at": clock::format(user.created_at),
        "profiles": profiles.collect::<Vec<_>>(),
    })
}
