//! People and conversations for operators.

use super::Operator;
use crate::bridge::conversations;
use crate::clock;
use crate::error::Result;
use crate::http::{Params, cursor};
use crate::ids::UserId;
use crate::state::App;
use crate::store::{Store, UserRow};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_users)).routes(routes!(list_conversations))
}

/// A person, with what they are called on each platform.
#[derive(Debug, Serialize, ToSchema)]
struct User {
    id: UserId,
    name: String,
    #[schema(format = "date-time")]
    created_at: String,
    profiles: Vec<PlatformProfile>,
}

/// A person on one platform.
#[derive(Debug, Serialize, ToSchema)]
struct PlatformProfile {
    platform: String,
    platform_user_id: String,
    username: String,
    display_name: String,
    #[schema(format = "date-time")]
    first_seen: String,
    #[schema(format = "date-time")]
    last_seen: String,
}

/// A page of people, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct UserPage {
    users: Vec<User>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// List people
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/admin/users", tag = "Administration", security(("admin_token" = [])),
    params(("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = UserPage)))]
async fn list_users(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// List all conversations
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/admin/conversations", tag = "Administration", security(("admin_token" = [])),
    params(("platform" = Option<String>, Query, description = "Only those on this platform"),
           ("user" = Option<String>, Query, description = "Only those of this person, by id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = conversations::ConversationPage)))]
async fn list_conversations(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(conversations::list(&app.store, &params).await?))
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let (limit, before) = (params.limit(PAGE, LARGEST_PAGE)?, params.cursor()?);
    let rows = store.read(move |read| read.users(before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| more).map(|row| cursor(row.key));
    Ok(json!(UserPage { users: page.iter().map(shown).collect(), cursor: next }))
}

fn shown(user: &UserRow) -> User {
    let profiles = user.profiles.iter().map(|profile| PlatformProfile {
        platform: profile.platform.clone(),
        platform_user_id: profile.platform_user_id.clone(),
        username: profile.username.clone(),
        display_name: profile.display_name.clone(),
        first_seen: clock::format(profile.first_seen),
        last_seen: clock::format(profile.last_seen),
    });
    User {
        id: user.id,
        name: user.name.clone(),
        created_at: clock::format(user.created_at),
        profiles: profiles.collect(),
    }
}
