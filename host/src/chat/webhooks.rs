//! Webhooks: endpoints of a room's owner that its events are posted to. The posting itself is the plugin's, the queue keeps what waits.

use super::rooms::room_id;
use super::text::{bounded, creator};
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Caller, Params, Path, RoomKey};
use crate::ids::{RoomId, WebhookId};
use crate::state::App;
use crate::store::{EventFilter, NewWebhook, Read, RoomRef, Viewer, WebhookChange, WebhookRow, names, webhook_events};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 1000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(change_webhook, delete_webhook))
}

/// An endpoint to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "url": "https://example.org/hook", "events": "message,file_uploaded", "secret": "a long secret" }))]
struct CreateWebhook {
    /// Where events are posted: `http://` or `https://`, at most 2000 characters.
    url: String,
    /// Names of events with commas between them, or `*` for all; `*` if left out.
    events: Option<String>,
    /// Signs what is posted; at most 200 characters. It is never shown again.
    secret: Option<String>,
    /// At most 100 characters; `anonymous` if left out.
    created_by: Option<String>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({ "events": "*", "active": true }))]
struct ChangeWebhook {
    url: Option<String>,
    events: Option<String>,
    /// An empty one clears it.
    secret: Option<String>,
    /// `false`: nothing is posted any more, and what waits is dropped.
    active: Option<bool>,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
struct Webhook {
    id: WebhookId,
    room_id: RoomId,
    url: String,
    events: String,
    /// Told when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    has_secret: Option<bool>,
    created_by: String,
    #[schema(format = "date-time")]
    created_at: String,
    active: bool,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UpdatedWebhook {
    pub updated: bool,
    pub id: String,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedWebhook {
    pub deleted: bool,
    pub id: String,
}

impl Webhook {
    fn new(room: RoomId, row: WebhookRow) -> Self {
        Self {
            id: row.id,
            room_id: room,
            url: row.url,
            events: row.events,
            has_secret: None,
            created_by: row.created_by,
            created_at: clock::format(row.created_at),
            active: row.active,
        }
    }
}

/// Register an endpoint for a room's events
#[utoipa::path(post, path = "/api/v1/rooms/{id}/webhooks", tag = "Webhooks", request_body = CreateWebhook,
    params(("id" = String, Path, description = "The room's id")),
    responses((status = 200, body = Webhook), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "Room not found")))]
async fn create_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<CreateWebhook>,
) -> Result<Json<Webhook>> {
    let (url, secret) = (body.url.trim(), body.secret.filter(|secret| !secret.is_empty()));
    check_url(url, "Invalid webhook URL: must start with http:// or https://")?;
    check_secret(secret.as_deref())?;
    let created_by = creator(body.created_by)?;
    let events = events(body.events.as_deref().unwrap_or("*"))?;
    let new = NewWebhook { url: url.into(), events, secret, created_by };
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let row = app
        .store
        .write(move |tx| {
            let room = owned_room(&tx.read(), room, &viewer, &key)?;
            tx.create_webhook(&room, &new)
        })
        .await?;
    let has_secret = Some(row.secret.is_some());
    Ok(Json(Webhook { has_secret, ..Webhook::new(room, row) }))
}

/// List a room's endpoints
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/webhooks", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The endpoints; a Link header leads to the next page", body = [Webhook]),
              (status = 403, description = "Not this room's admin key"), (status = 404, description = "Room not found")))]
async fn list_webhooks(
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
        read.webhooks(room.key, before, limit + 1)
    });
    let page = page(rows.await?, limit, |row| row.key);
    let path = format!("/api/v1/rooms/{room}/webhooks");
    Ok(page.answer(&params, &path, |row| Webhook::new(room, row)))
}

/// Change an endpoint
#[utoipa::path(put, path = "/api/v1/rooms/{id}/webhooks/{wid}", tag = "Webhooks", request_body = ChangeWebhook,
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = UpdatedWebhook), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "No such room or endpoint")))]
async fn change_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid)): Path<(String, String)>,
    Body(body): Body<ChangeWebhook>,
) -> Result<Json<UpdatedWebhook>> {
    let ChangeWebhook { url, events: wanted, secret, active } = body;
    if url.is_none() && wanted.is_none() && secret.is_none() && active.is_none() {
        return Err(Error::Invalid("No fields to update".into()));
    }
    let url = url.map(|url| url.trim().to_owned());
    url.iter().try_for_each(|url| check_url(url, "Invalid webhook URL"))?;
    check_secret(secret.as_deref())?;
    let change = WebhookChange { url, events: wanted.as_deref().map(events).transpose()?, secret, active };
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let webhook = wid.parse::<WebhookId>().ok();
    app.store
        .write(move |tx| {
            let room = owned_room(&tx.read(), room, &viewer, &key)?;
            tx.change_webhook(&room, webhook.ok_or_else(unknown_webhook)?, &change)
        })
        .await?;
    if let (Some(webhook), Some(false)) = (webhook, active) {
        flush(&app, webhook).await?;
    }
    Ok(Json(UpdatedWebhook { updated: true, id: wid }))
}

/// Remove an endpoint
///
/// What waits to be posted to it is dropped.
#[utoipa::path(delete, path = "/api/v1/rooms/{id}/webhooks/{wid}", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = DeletedWebhook), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "No such room or endpoint")))]
async fn delete_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid)): Path<(String, String)>,
) -> Result<Json<DeletedWebhook>> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let webhook = wid.parse::<WebhookId>().ok();
    app.store
        .write(move |tx| {
            let room = owned_room(&tx.read(), room, &viewer, &key)?;
            tx.delete_webhook(&room, webhook.ok_or_else(unknown_webhook)?)
        })
        .await?;
    if let Some(webhook) = webhook {
        flush(&app, webhook).await?;
    }
    Ok(Json(DeletedWebhook { deleted: true, id: wid }))
}

/// The room, if it is there for the viewer and this is its key.
pub(super) fn owned_room(read: &Read<'_>, id: RoomId, viewer: &Viewer, key: &RoomKey) -> Result<RoomRef> {
    let room = read.visible_room(id, viewer)?;
    key.check(&room)?;
    Ok(room)
}

/// In steps, so that nobody else waits for a long row of deliveries.
async fn flush(app: &App, webhook: WebhookId) -> Result<()> {
    while app.store.write_patiently(move |tx| tx.flush_webhook(webhook)).await? {}
    Ok(())
}

pub(super) fn unknown_webhook() -> Error {
    Error::NotFound("Webhook not found".into())
}

/// No name is looked up: where it leads is seen when something is posted.
fn check_url(url: &str, wrong: &str) -> Result<()> {
    let invalid = || Error::Invalid(wrong.into());
    let prefixed = ["http://", "https://"].iter().any(|prefix| url.starts_with(prefix));
    if !prefixed {
        return Err(invalid());
    }
    bounded(url, 1, 2000, "url must be at most 2000 characters")?;
    Url::parse(url).ok().filter(Url::has_host).map(drop).ok_or_else(invalid)
}

fn check_secret(secret: Option<&str>) -> Result<()> {
    bounded(secret.unwrap_or_default(), 0, 200, "secret must be at most 200 characters")
}

/// The filter's names, checked.
fn events(text: &str) -> Result<String> {
    bounded(text, 0, 500, "events must be at most 500 characters")?;
    let wanted: Vec<&str> = names(text).collect();
    if wanted.is_empty() {
        return Err(Error::Invalid("Events filter cannot be empty. Use '*' for all events.".into()));
    }
    EventFilter::parse(text).map_err(|unknown| {
        let valid = webhook_events().collect::<Vec<_>>().join(", ");
        Error::Invalid(format!("Unknown event type: '{unknown}'. Valid events: {valid}"))
    })?;
    Ok(wanted.join(","))
}

/// A page of a list that is an array.
pub(super) struct Page<T> {
    rows: Vec<T>,
    next: Option<i64>,
}

/// `rows` are one more than the page, if there are more; `key` is what the next page goes on from.
pub(super) fn page<T>(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> i64) -> Page<T> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(key);
    Page { rows, next }
}

impl<T> Page<T> {
    pub(super) fn answer<S: Serialize>(self, params: &Params, path: &str, shown: impl Fn(T) -> S) -> Response {
        let mut response = Json(self.rows.into_iter().map(shown).collect::<Vec<S>>()).into_response();
        response.headers_mut().extend(self.next.map(|next| params.next_link(path, next)));
        response
    }
}
