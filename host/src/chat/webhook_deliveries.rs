//! What was posted to endpoints: its record, a ping to try an endpoint with, and posting again.

use super::rooms::room_id;
use super::webhooks::{owned_room, page, unknown_webhook};
use crate::clock;
use crate::error::Result;
use crate::http::{Caller, Params, Path, RoomKey};
use crate::ids::{JobId, WebhookId};
use crate::state::App;
use crate::store::{DeliveryFilter, DeliveryRow, unknown_delivery};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const DELIVERIES: u32 = 50;
const MOST_DELIVERIES: u32 = 200;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_deliveries)).routes(routes!(test_webhook)).routes(routes!(redeliver))
}

/// One try to post one event.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    id: String,
    /// The same for all tries of one event: the header `webhook-id`.
    delivery_group: JobId,
    webhook_id: WebhookId,
    event: String,
    url: String,
    /// From 1.
    attempt: u32,
    /// `success` or `failed`
    status: &'static str,
    /// Null if there was no answer.
    status_code: Option<u16>,
    error_message: Option<String>,
    response_time_ms: i64,
    /// `YYYY-MM-DD HH:MM:SS` in UTC
    created_at: String,
}

/// What was put into the queue.
#[derive(Debug, Serialize, ToSchema)]
struct QueuedDelivery {
    queued: bool,
    delivery_group: JobId,
}

impl Delivery {
    fn new(webhook: WebhookId, row: DeliveryRow) -> Self {
        let created_at = clock::format(row.created_at).replace('T', " ");
        Self {
            id: row.id.to_string(),
            delivery_group: row.job,
            webhook_id: webhook,
            event: row.event,
            url: row.url,
            attempt: row.attempt,
            status: if row.succeeded { "success" } else { "failed" },
            status_code: row.status_code,
            error_message: row.error_message,
            response_time_ms: row.response_time_ms,
            created_at: created_at.split('.').next().unwrap_or_default().into(),
        }
    }
}

/// List what was posted
///
/// One entry per try, newest first. The newest thousand or so are kept.
#[utoipa::path(get, path = "/api/v1/rooms/{id}/webhooks/{wid}/deliveries", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The endpoint's id"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 200"),
           ("after" = Option<String>, Query, description = "Only tries made before this time: the `created_at` of the last one of a page"),
           ("event" = Option<String>, Query, description = "Only of events with this name"),
           ("status" = Option<String>, Query, description = "`success` or `failed`"),
           ("cursor" = Option<String>, Query, description = "From the Link header of the page before")),
    responses((status = 200, description = "The tries; a Link header leads to the next page", body = [Delivery]),
              (status = 403, description = "Not this room's admin key"), (status = 404, description = "No such room or endpoint")))]
async fn list_deliveries(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid)): Path<(String, String)>,
    params: Params,
) -> Result<Response> {
    let (limit, before) = (params.limit(DELIVERIES, MOST_DELIVERIES)?, params.cursor()?.unwrap_or(i64::MAX));
    let status = params.text("status");
    let succeeded = status.map(|status| status == "success");
    let is_known = status.is_none_or(|status| ["success", "failed"].contains(&status));
    let filter =
        DeliveryFilter { before: params.time("after")?, event: params.text("event").map(Into::into), succeeded };
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let webhook = wid.parse::<WebhookId>().ok();
    let found = app.store.read(move |read| {
        let room = owned_room(read, room, &viewer, &key)?;
        let webhook = read.webhook(&room, webhook.ok_or_else(unknown_webhook)?)?;
        let rows = if is_known { read.deliveries(webhook.key, &filter, before, limit + 1)? } else { Vec::new() };
        Ok((webhook.id, rows))
    });
    let (webhook, rows) = found.await?;
    let path = format!("/api/v1/rooms/{room}/webhooks/{webhook}/deliveries");
    Ok(page(rows, limit, |row| row.key).answer(&params, &path, |row| Delivery::new(webhook, row)))
}

/// Try an endpoint
///
/// Posts an event `ping` to it, whatever its filter says.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/webhooks/{wid}/test", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = QueuedDelivery), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "No such room or endpoint"), (status = 409, description = "The endpoint is disabled")))]
async fn test_webhook(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid)): Path<(String, String)>,
) -> Result<Json<QueuedDelivery>> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let webhook = wid.parse::<WebhookId>().ok();
    let job = app.store.write(move |tx| {
        let room = owned_room(&tx.read(), room, &viewer, &key)?;
        tx.ping_webhook(&room, webhook.ok_or_else(unknown_webhook)?)
    });
    Ok(Json(QueuedDelivery { queued: true, delivery_group: job.await? }))
}

/// Post something again
///
/// The same body under the same `webhook-id`, whether it had failed or not.
#[utoipa::path(post, path = "/api/v1/rooms/{id}/webhooks/{wid}/deliveries/{delivery_group}/redeliver", tag = "Webhooks",
    params(("id" = String, Path, description = "The room's id"), ("wid" = String, Path, description = "The endpoint's id"),
           ("delivery_group" = String, Path, description = "As the list of deliveries gives it")),
    responses((status = 200, body = QueuedDelivery), (status = 403, description = "Not this room's admin key"),
              (status = 404, description = "No such room, endpoint or delivery"),
              (status = 409, description = "The endpoint is disabled, or the delivery is being made")))]
async fn redeliver(
    State(app): State<App>,
    key: RoomKey,
    caller: Caller,
    Path((id, wid, group)): Path<(String, String, String)>,
) -> Result<Json<QueuedDelivery>> {
    let (room, viewer) = (room_id(&id)?, caller.viewer());
    let (webhook, job) = (wid.parse::<WebhookId>().ok(), group.parse::<JobId>().ok());
    let queued = app.store.write(move |tx| {
        let room = owned_room(&tx.read(), room, &viewer, &key)?;
        let webhook = tx.read().webhook(&room, webhook.ok_or_else(unknown_webhook)?)?;
        let job = job.ok_or_else(unknown_delivery)?;
        tx.redeliver(&room, webhook.id, job).map(|()| job)
    });
    Ok(Json(QueuedDelivery { queued: true, delivery_group: queued.await? }))
}
