//! What is beyond its limits goes by itself; here somebody has it removed now: rooms' messages, and jobs that ended long ago.

use super::Operator;
use crate::chat::retention::{self, Swept};
use crate::config;
use crate::error::Result;
use crate::http::{Caller, Client};
use crate::queue;
use crate::state::App;
use crate::store::{Actor, Deed, Store};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Jobs of one call, or some more: it is answered long before anybody stops waiting.
const PORTION: usize = 2000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(run_retention)).routes(routes!(clean_up_jobs))
}

/// Jobs that a call removed, and how long such are kept.
#[derive(Debug, Serialize, ToSchema)]
struct CleanedUp {
    /// All of them.
    affected: usize,
    completed: usize,
    failed: usize,
    flushed: usize,
    /// `[queue] keep_completed_days`; 0: for ever.
    #[schema(example = 7)]
    keep_completed_days: u32,
    /// `[queue] keep_dead_days`, for failed and flushed jobs; 0: for ever.
    #[schema(example = 90)]
    keep_dead_days: u32,
    /// True where another call would remove more; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(value_type = Option<bool>, nullable = false)]
    more: bool,
}

/// Apply all rooms' limits now
///
/// Answers when it is done. Pinned messages are neither counted nor deleted. Jobs that ended longer ago than `[queue]` keeps them go as
/// well; the answer does not count them.
#[utoipa::path(post, path = "/api/v1/admin/retention/run", tag = "Administration", responses((status = 200, body = Swept)))]
async fn run_retention(
    State(app): State<App>,
    caller: Caller,
    operator: Result<Operator>,
    Client(address): Client,
) -> Result<Json<Swept>> {
    let swept = retention::sweep(&app).await?;
    let removed = queue::retention::sweep(&app.store, &app.config().queue, usize::MAX).await?;
    let actor = match (operator, caller) {
        (Ok(operator), _) => operator.actor,
        (Err(_), Caller::Token { name }) => Actor { name, origin: address.to_string() },
        // Strangers may have limits applied; they are no operators, and could fill the record.
        (Err(_), _) => return Ok(Json(swept)),
    };
    let detail = json!({ "messages": swept.total_pruned, "jobs": removed.all() });
    let deed = Deed::done(&actor, "retention.run", "", detail);
    app.store.write_patiently(move |tx| tx.audit(&deed)).await?;
    Ok(Json(swept))
}

/// Remove jobs that ended long ago
///
/// Those that ended longer ago than `[queue]` keeps them, the oldest first, a few thousand with each call. They also go by themselves, once
/// an hour.
#[utoipa::path(post, path = "/api/v1/admin/queue/cleanup", tag = "Administration", security(("admin_token" = [])),
    responses((status = 200, body = CleanedUp)))]
async fn clean_up_jobs(operator: Operator, State(app): State<App>) -> Result<Json<Value>> {
    Ok(Json(clean_up(&app.store, &app.config().queue, &operator.actor).await?))
}

/// It takes several transactions, each of which leaves the queue as it should be; the last one is the record's.
pub async fn clean_up(store: &Store, queue: &config::Queue, actor: &Actor) -> Result<Value> {
    let removed = queue::retention::sweep(store, queue, PORTION).await?;
    let cleaned = json!(CleanedUp {
        affected: removed.all(),
        completed: removed.completed,
        failed: removed.failed,
        flushed: removed.flushed,
        keep_completed_days: queue.keep_completed_days,
        keep_dead_days: queue.keep_dead_days,
        more: removed.more,
    });
    let deed = Deed::done(actor, "queue.cleanup", "", cleaned.clone());
    store.write_patiently(move |tx| tx.audit(&deed)).await?;
    Ok(cleaned)
}
