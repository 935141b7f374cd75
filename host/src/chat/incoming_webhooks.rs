//! Incoming webhooks: hooks that a room's owner makes, and the address by which other programs post through them.

use super::messages::raw_json;
use super::rooms::{room_id, with_allowance};
use super::text::{bounded, bounded_metadata, creator};
use super::webhooks::{DeletedWebhook, UpdatedWebhook, owned_room, page};
use crate::auth::random_hex;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Client, Params, Path, RoomKey};
use crate::ids::{IncomingWebhookId, RoomId};
use crate::limits::Key;
use crate::state::App;
use crate::store::{Draft, Hook, IncomingWebhookRow, Message, Viewer, unknown_hook};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_incoming_webhooks, create_incoming_webhook))
        .routes(routes!(change_incoming_webhook, delete_incoming_webhook))
        .routes(routes!(post_by_hook))
}

/// A hook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "name": "builds", "created_by": "ada" }))]
struct CreateIncomingWebhook {
    /// 1 to 100 characters; who its messages are from unless they say otherwise.
    name: String,
    /// At most 100 characters; `anonymous` if left out.
    created_by: Option<String>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "active": false }))]
struct ChangeIncomingWebhook {
    name: Option<String>,
    active: Option<bool>,
}

/// A hook, with the token that opens it.
#[derive(Debug, Serialize, ToSchema)]
struct IncomingWebhook {
    id: IncomingWebhookId,
    room_id: RoomId,
    name: String,
    token: String,
    created_by: String,
    #[schema(format = "date-time")]
    created_at: String,
    active: bool,
    /// Where messages are posted.
    url: String,
}

/// A message through a hook.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "content": "Build 42 is green" }))]
struct PostByHook {
    /// 1 to 10000 characters; blanks at its ends are cut.
    content: String,
    /// The hook's name if it is left out, or longer than 100 characters.
    sender: Option<String>,
    /// `agent` if left out.
    sender_type: Option<String>,
    /// Any JSON, at most 64 KiB when written out.
    #[serde(default)]
    metadata: Value,
}

impl IncomingWebhook {
    fn new(room: RoomId, row: IncomingWebhookRow) -> Self {
        Self {
            id: row.id,
            room_id: room,
            name: row.name,
            url: format!("/api/v1/hook/{}", row.token),
            token: row.token,
            created_by: row.created_by,
            created_at: clock::format(row.created_at),
            active: row.active,
        }
    }
}

/// Make a hook
#[utoipa::path(post, path = "/api/v1/rooms/{id}/incoming-webhooks", tag = "Webhooks",
    request_body = CreateIncomingWebhook, params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = IncomingWebhook), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "Room not found")))]
async fn create_incoming_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<CreateIncomingWebhook>,
) -> Result<Json<IncomingWebhook>> {
    let name = checked_name(&body.name)?;
    let created_by = creator(body.created_by)?;
    let (room, viewer, token) = (room_id(&id)?, caller.viewer(), random_hex::<16>("whk_"));
    let row = app.store.write(move |tx| {
        let room = owned_room(&tx.read(), room, &viewer, &key)?;
        tx.create_incoming_webhook(&room, &name, &token, &created_by)
    });
    Ok(Json(IncomingWebhook::new(room, row.await?)))
}

/// List a room's hooks
///
/// Newest first, with their tokens.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/incoming-webhooks", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The hooks; a Link header leads to the next page", body = [IncomingWebhook]),
              (status = 403, description = "Not this room's admin key"), (status = 404, description = "Room not found")))]
async fn list_incoming_webhooks(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let (limit, before) = (params.limit(PAGE, PAGE)?, params.cursor()?.unwrap_or(i64::MAX));
    let rows = app.store.read(move |read| {
        let room = owned_room(read, room, &viewer, &key)?;
        read.incoming_webhooks(room.key, before, limit + 1)
    });
    let path = format!("/api/v1/rooms/{room}/incoming-webhooks");
    Ok(page(rows.await?, limit, |row| row.key).answer(&params, &path, |row| IncomingWebhook::new(room, row)))
}

/// Change a hook
#[utoipa::path(put, path = "/api/v1/rooms/{id}/incoming-webhooks/{wid}", tag = "Webhooks",
    request_body = ChangeIncomingWebhook,
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The hook's id")),
    responses((status = 200, body = UpdatedWebhook), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "No such room or hook")))]
async fn change_incoming_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid)): Path<(String, String)>,
    Body(body): Body<ChangeIncomingWebhook>,
) -> Result<Json<UpdatedWebhook>> {
    let ChangeIncomingWebhook { name, active } = body;
    if name.is_none() && active.is_none() {
        return Err(Error::Invalid("No fields to update".into()));
    }
    let name = name.as_deref().map(checked_name).transpose()?;
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let hook = wid.parse::<IncomingWebhookId>().ok();
    app.store
        .write(move |tx| {
            let room = owned_room(&tx.read(), room, &viewer, &key)?;
            tx.change_incoming_webhook(&room, hook.ok_or_else(unknown_hook)?, name.as_deref(), active)
        })
        .await?;
    Ok(Json(UpdatedWebhook { updated: true, id: wid }))
}

/// Remove a hook
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/incoming-webhooks/{wid}", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The hook's id")),
    responses((status = 200, body = DeletedWebhook), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "No such room or hook")))]
async fn delete_incoming_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid)): Path<(String, String)>,
) -> Result<Json<DeletedWebhook>> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let hook = wid.parse::<IncomingWebhookId>().ok();
    app.store
        .write(move |tx| {
            let room = owned_room(&tx.read(), room, &viewer, &key)?;
            tx.delete_incoming_webhook(&room, hook.ok_or_else(unknown_hook)?)
        })
        .await?;
    Ok(Json(DeletedWebhook { deleted: true, id: wid }))
}

/// Post a message by a hook
///
/// The token is all that is needed.
#[utoipa::path(post, path = "/api/v1/hook/{token}", tag = "Webhooks", request_body = PostByHook,
    params(("token" = String, Path, description = "The hook's token")),
    responses((status = 200, body = Message), (status = 403, description = "The hook is disabled"),
              (status = 404, description = "Invalid webhook token"),
              (status = 429, description = "Too many messages through this hook, or wrong tokens from this address")))]
async fn post_by_hook(
    State(app): State<App>,
    Path(token): Path<String>,
    Client(client): Client,
    request: Request,
) -> Result<Response> {
    // Before the body is looked at: whoever has no token is told nothing else.
    let key = Key::token(&token);
    let Some(hook) = app.store.read(move |read| read.hook(&token)).await? else {
        app.limits.incoming_webhooks.charge(client)?;
        return Err(unknown_token());
    };
    if !hook.active {
        return Err(Error::Forbidden("This incoming webhook is disabled".into()));
    }
    let Body(body) = Body::<PostByHook>::from_request(request, &app).await?;
    let draft = draft(&hook, body)?;
    let allowance = app.limits.incoming_webhooks.charge(key)?;
    let posted = app.store.write(move |tx| tx.post_message(&draft, None, &Viewer::Everyone)).await?;
    Ok(with_allowance(raw_json(posted.json), allowance))
}

fn draft(hook: &Hook, body: PostByHook) -> Result<Draft> {
    let content = body.content.trim();
    bounded(content, 1, 10_000, "Content must be 1-10000 characters")?;
    let fits = |sender: &&str| (1..=100).contains(&sender.chars().take(101).count());
    let sender = body.sender.as_deref().map(str::trim).filter(fits).unwrap_or(&hook.name);
    bounded(sender, 1, 100, "Sender must be 1-100 characters")?;
    let metadata = if body.metadata.is_null() { json!({}) } else { body.metadata };
    bounded_metadata(&metadata)?;
    let sender_type = body.sender_type.as_deref().filter(|kind| !kind.trim().is_empty()).unwrap_or("agent");
    bounded(sender_type, 1, 100, "sender_type must be at most 100 characters")?;
    Draft::new(hook.room, sender, content, &metadata, Some(sender_type))
}

fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    bounded(name, 1, 100, "Name must be 1-100 characters")?;
    Ok(name.into())
}

fn unknown_token() -> Error {
    Error::NotFound("Invalid webhook token".into())
}
