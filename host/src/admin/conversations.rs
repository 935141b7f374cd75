//! Conversations for operators: listed, shown, taken over and given back; and a message to somebody on a platform.

use super::Operator;
use crate::bridge::conversations::{self, Conversation, ConversationPage};
use crate::bridge::send::{Send, idempotency_key, send};
use crate::bridge::takeover::{OPERATOR, Release, TakeOver, release, take_over};
use crate::error::Result;
use crate::http::{Body, Params, Path};
use crate::state::App;
use crate::store::Message;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_conversations))
        .routes(routes!(show_conversation))
        .routes(routes!(take_over_conversation))
        .routes(routes!(release_conversation))
        .routes(routes!(send_message))
}

/// List all conversations
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/admin/conversations", tag = "Administration", security(("admin_token" = [])),
    params(("platform" = Option<String>, Query, description = "Only those on this platform"),
           ("user" = Option<String>, Query, description = "Only those of this person, by id"),
           ("state" = Option<String>, Query, description = "Only those that somebody has taken over (`taken`), or those that nobody has (`open`)"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = ConversationPage)))]
async fn list_conversations(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(conversations::list(&app.store, &params).await?))
}

/// Show any conversation
#[utoipa::path(get, path = "/api/v1/admin/conversations/{id}", tag = "Administration", security(("admin_token" = [])),
    params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, body = Conversation), (status = 404, description = "No conversation has this id")))]
async fn show_conversation(_: Operator, State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>> {
    Ok(Json(conversations::show(&app.store, &id).await?))
}

/// Take any conversation over
///
/// In the name of `sender`, or of `operator`.
#[utoipa::path(post, path = "/api/v1/admin/conversations/{id}/takeover", tag = "Administration", security(("admin_token" = [])),
    request_body = TakeOver, params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, description = "The conversation as it is now", body = Conversation),
              (status = 404, description = "No conversation has this id"),
              (status = 409, description = "Somebody else has it, and the text says who")))]
async fn take_over_conversation(
    operator: Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<TakeOver>,
) -> Result<Json<Value>> {
    let sender = body.sender.as_deref().unwrap_or(OPERATOR);
    Ok(Json(take_over(&app.store, &operator.actor, &id, sender, body.minutes).await?))
}

/// Give any conversation back
///
/// Whoever has it.
#[utoipa::path(post, path = "/api/v1/admin/conversations/{id}/release", tag = "Administration", security(("admin_token" = [])),
    request_body = Option<Release>, params(("id" = String, Path, description = "The conversation's id")),
    responses((status = 200, description = "The conversation as it is now", body = Conversation),
              (status = 404, description = "No conversation has this id"),
              (status = 409, description = "Somebody else than `sender` has it, and the text says who")))]
async fn release_conversation(
    operator: Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    body: Option<Body<Release>>,
) -> Result<Json<Value>> {
    let sender = body.and_then(|Body(release)| release.sender);
    Ok(Json(release(&app.store, &operator.actor, &id, sender.as_deref()).await?))
}

/// Send a message as the operator
///
/// As `POST /api/v1/send`, without its limit.
#[utoipa::path(post, path = "/api/v1/admin/send", tag = "Administration", security(("admin_token" = [])), request_body = Send,
    params(("Idempotency-Key" = Option<String>, Header, description = "At most 255 bytes; a repeat with the same key sends nothing again")),
    responses((status = 200, description = "The message as it was stored", body = Message),
              (status = 404, description = "No such conversation or person, or the person has none of their own there"),
              (status = 409, description = "The Idempotency-Key was used for another message, or that one was deleted")))]
async fn send_message(
    operator: Operator,
    State(app): State<App>,
    headers: HeaderMap,
    Body(body): Body<Send>,
) -> Result<Response> {
    let json = send(&app.store, &operator.actor, &body, idempotency_key(&headers)?).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response())
}
