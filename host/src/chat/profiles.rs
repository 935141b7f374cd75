//! Profiles: what people and agents say about themselves.

use super::lists::{PAGE, linked, text_filter};
use super::text::bounded;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Params, Path};
use crate::state::App;
use crate::store::{Profile, ProfileChange};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const LONGEST_METADATA: usize = 10_000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_profiles)).routes(routes!(show_profile, put_profile, delete_profile))
}

/// What changes in a profile; what is left out or null stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "display_name": "Ada L.", "sender_type": "human", "status_text": "cooking" }))]
struct PutProfile {
    /// At most 200 characters.
    display_name: Option<String>,
    /// `agent` or `human`.
    sender_type: Option<String>,
    /// At most 2000 characters.
    avatar_url: Option<String>,
    /// At most 1000 characters.
    bio: Option<String>,
    /// At most 200 characters.
    status_text: Option<String>,
    /// Any JSON, at most 10000 characters when written out.
    metadata: Option<Value>,
}

impl PutProfile {
    fn checked(self) -> Result<ProfileChange> {
        for (name, value, most) in [
            ("display_name", &self.display_name, 200),
            ("avatar_url", &self.avatar_url, 2000),
            ("bio", &self.bio, 1000),
            ("status_text", &self.status_text, 200),
        ] {
            let value = value.as_deref().unwrap_or_default();
            bounded(value, 0, most, &format!("{name} must be at most {most} characters"))?;
        }
        if self.sender_type.as_deref().is_some_and(|kind| !["agent", "human"].contains(&kind)) {
            return Err(Error::Invalid("sender_type must be 'agent' or 'human'".into()));
        }
        let metadata = self.metadata.map(|metadata| metadata.to_string());
        let metadata_text = metadata.as_deref().unwrap_or_default();
        bounded(metadata_text, 0, LONGEST_METADATA, "metadata must be at most 10KB when serialized")?;
        let Self { display_name, sender_type, avatar_url, bio, status_text, .. } = self;
        Ok(ProfileChange { display_name, sender_type, avatar_url, bio, status_text, metadata })
    }
}

/// The path's name, as an identity.
fn owner(caller: &Caller, sender: String) -> Result<String> {
    let sender = caller.identity("sender", Some(sender.trim().to_owned()))?;
    bounded(&sender, 1, 100, "Sender must be 1-100 characters")?;
    Ok(sender)
}

/// Write a profile
///
/// Makes it, or changes what is given.
#[utoipa::path(put, path = "/api/v1/profiles/{sender}", tag = "Profiles", request_body = PutProfile,
    params(("sender" = String, Path, description = "The name to write with: 1 to 100 characters")),
    responses((status = 200, body = Profile)))]
async fn put_profile(
    State(app): State<App>,
    caller: Caller,
    Path(sender): Path<String>,
    Body(body): Body<PutProfile>,
) -> Result<Json<Profile>> {
    let sender = owner(&caller, sender)?;
    let change = body.checked()?;
    Ok(Json(app.store.write(move |tx| tx.put_profile(&sender, &change)).await?))
}

/// Show a profile
#[utoipa::path(get, path = "/api/v1/profiles/{sender}", tag = "Profiles",
    params(("sender" = String, Path, description = "The name to write with")),
    responses((status = 200, body = Profile), (status = 404, description = "There is no such profile")))]
async fn show_profile(State(app): State<App>, Path(sender): Path<String>) -> Result<Json<Profile>> {
    let profile = app.store.read(move |read| read.profile(sender.trim())).await?;
    profile.map(Json).ok_or_else(|| Error::NotFound("Not found".into()))
}

/// List profiles
///
/// The one changed last comes first.
#[utoipa::path(get, path = "/api/v1/profiles", tag = "Profiles",
    params(("sender_type" = Option<String>, Query, description = "Only those of this type: agent or human"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The profiles; a Link header leads to the next page", body = [Profile])))]
async fn list_profiles(State(app): State<App>, params: Params) -> Result<Response> {
    let kind = text_filter(&params, "sender_type");
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let read = app.store.read(move |read| read.profiles(kind.as_deref(), before, limit));
    let (profiles, next) = read.await?;
    Ok(linked(&params, "/api/v1/profiles", &profiles, next))
}

/// Delete a profile
#[utoipa::path(delete, path = "/api/v1/profiles/{sender}", tag = "Profiles",
    params(("sender" = String, Path, description = "The name to write with")),
    responses((status = 204, description = "It is gone"), (status = 404, description = "There is no such profile")))]
async fn delete_profile(State(app): State<App>, caller: Caller, Path(sender): Path<String>) -> Result<StatusCode> {
    let sender = caller.identity("sender", Some(sender.trim().to_owned()))?;
    app.store.write(move |tx| tx.delete_profile(&sender)).await?;
    Ok(StatusCode::NO_CONTENT)
}
