//! People for operators: listed, shown, merged and split.

use super::Operator;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Params, Path, cursor};
use crate::ids::UserId;
use crate::state::App;
use crate::store::{Actor, Deed, Moved, Part, PersonRow, Store, UserRow, unknown_person};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_users))
        .routes(routes!(show_user))
        .routes(routes!(merge_users))
        .routes(routes!(split_user))
}

/// A person, with what they are called on each platform.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    id: UserId,
    name: String,
    #[schema(format = "date-time")]
    created_at: String,
    profiles: Vec<PlatformProfile>,
}

/// A person on one platform.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlatformProfile {
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

/// A person, with those who were merged into them.
#[derive(Debug, Serialize, ToSchema)]
struct Person {
    #[serde(flatten)]
    user: User,
    /// Their ids lead here.
    merged: Vec<MergedPerson>,
}

/// Somebody who is now part of another person.
#[derive(Debug, Serialize, ToSchema)]
struct MergedPerson {
    id: UserId,
    name: String,
}

/// Into whom a person is merged.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "into": "01a1fe12-f718-72ac-b4e1-af03b3e000f6" }))]
pub struct MergeInto {
    /// Id of the person who stays.
    pub into: String,
}

/// Which profile is set apart.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({ "platform": "web_chat", "platform_user_id": "0123456789abcdef" }))]
pub struct SplitOff {
    /// Left out, with the next one: all that came by merges goes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// What the platform calls the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_user_id: Option<String>,
}

/// The person who has it all now.
#[derive(Debug, Serialize, ToSchema)]
struct Merged {
    user: Person,
    /// Whose id leads there from now on.
    merged: UserId,
    /// Profiles that moved.
    profiles: usize,
}

/// Who the profiles went back to.
#[derive(Debug, Serialize, ToSchema)]
struct Split {
    users: Vec<Person>,
    /// Profiles that moved.
    profiles: usize,
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

/// Show a person
///
/// The id of somebody who was merged into another person answers that person.
#[utoipa::path(get, path = "/api/v1/admin/users/{id}", tag = "Administration", security(("admin_token" = [])),
    params(("id" = String, Path, description = "The person's id")),
    responses((status = 200, body = Person), (status = 404, description = "Nobody has this id")))]
async fn show_user(_: Operator, State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>> {
    Ok(Json(show(&app.store, &id).await?))
}

/// Merge a person into another
///
/// Profiles and conversations move in one transaction, and the id goes on leading to the other person.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/merge", tag = "Administration", security(("admin_token" = [])),
    request_body = MergeInto, params(("id" = String, Path, description = "Whose profiles move")),
    responses((status = 200, body = Merged), (status = 404, description = "Nobody has this id"),
              (status = 409, description = "One of them was merged into somebody already")))]
async fn merge_users(
    operator: Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<MergeInto>,
) -> Result<Json<Value>> {
    Ok(Json(merge(&app.store, &operator.actor, &id, &body.into).await?))
}

/// Split a person
///
/// Undoes merges: of the person who has the profiles, or of one who was merged away. With a profile named, only that one goes back to whom
/// it was of, or to a new person.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/split", tag = "Administration", security(("admin_token" = [])),
    request_body = Option<SplitOff>, params(("id" = String, Path, description = "The person's id")),
    responses((status = 200, body = Split), (status = 404, description = "Nobody has this id"),
              (status = 409, description = "Nothing of them can be split off")))]
async fn split_user(
    operator: Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    body: Option<Body<SplitOff>>,
) -> Result<Json<Value>> {
    let off = body.map(|Body(off)| off).unwrap_or_default();
    Ok(Json(split(&app.store, &operator.actor, &id, &off).await?))
}

pub async fn show(store: &Store, id: &str) -> Result<Value> {
    Ok(json!(person(store, user_id(id)?).await?))
}

pub async fn merge(store: &Store, actor: &Actor, from: &str, into: &str) -> Result<Value> {
    let merge = async {
        let (from, into) = (user_id(from)?, user_id(into)?);
        let done = Deed::done(actor, "users.merge", from.to_string(), json!({ "into": into }));
        let merged = store.write(move |tx| {
            let moved = tx.merge_people(from, into)?;
            tx.audit(&done)?;
            Ok(moved)
        });
        Ok((from, merged.await?))
    };
    let (from, Moved { to, profiles, .. }) = store.recorded(actor, "users.merge", from, merge).await?;
    Ok(json!(Merged { user: person(store, to).await?, merged: from, profiles }))
}

pub async fn split(store: &Store, actor: &Actor, id: &str, off: &SplitOff) -> Result<Value> {
    let part = match (off.platform.clone(), off.platform_user_id.clone()) {
        (None, None) => Part::Merged,
        (Some(platform), Some(platform_user_id)) => Part::Profile(platform, platform_user_id),
        _ => return Err(Error::Invalid("name a profile by platform and platform_user_id together".into())),
    };
    let split = async {
        let (id, by) = (user_id(id)?, actor.clone());
        let split = store.write(move |tx| {
            let moved = tx.split_person(id, &part)?;
            let to: Vec<_> = moved.iter().map(|moved| moved.to).collect();
            tx.audit(&Deed::done(&by, "users.split", id.to_string(), json!({ "to": to })))?;
            Ok(moved)
        });
        split.await
    };
    let moved = store.recorded(actor, "users.split", id, split).await?;
    let mut users = Vec::new();
    for moved in &moved {
        users.push(person(store, moved.to).await?);
    }
    Ok(json!(Split { users, profiles: moved.iter().map(|moved| moved.profiles).sum() }))
}

/// What is no id is nobody's.
pub fn user_id(id: &str) -> Result<UserId> {
    id.trim().parse().map_err(|_| unknown_person(id))
}

pub(super) async fn person_row(store: &Store, id: UserId) -> Result<PersonRow> {
    store.read(move |read| read.person(id)).await?.ok_or_else(|| unknown_person(id))
}

async fn person(store: &Store, id: UserId) -> Result<Person> {
    let PersonRow { user, merged } = person_row(store, id).await?;
    let merged = merged.into_iter().map(|(id, name)| MergedPerson { id, name }).collect();
    Ok(Person { user: shown(&user), merged })
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let (limit, before) = (params.limit(PAGE, LARGEST_PAGE)?, params.cursor()?);
    let rows = store.read(move |read| read.users(before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| more).map(|row| cursor(row.key));
    Ok(json!(UserPage { users: page.iter().map(shown).collect(), cursor: next }))
}

pub(super) fn shown(user: &UserRow) -> User {
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
