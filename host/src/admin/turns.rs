//! Turns of agents for operators: one that runs can be ended.

use super::queue::job_id;
use super::{Operator, at_the_command_line};
use crate::error::{Error, Result};
use crate::http::Path;
use crate::ids::JobId;
use crate::state::App;
use crate::store::{Actor, Deed, Store};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(cancel_turn))
}

/// How many turns were ended.
#[derive(Debug, Serialize, ToSchema)]
struct TurnsCancelled {
    affected: usize,
}

/// Cancel a turn
///
/// The agent's work on it ends, the job has failed, and its conversation goes on with the next message. No apology is said.
#[utoipa::path(post, path = "/api/v1/admin/queue/{id}/cancel", tag = "Administration", security(("admin_token" = [])),
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = TurnsCancelled), (status = 404, description = "No job has this id"),
              (status = 409, description = "The job is no turn, or does not run now")))]
async fn cancel_turn(
    operator: Operator,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<TurnsCancelled>> {
    cancel(&app, &id, &operator.actor).await?;
    Ok(Json(TurnsCancelled { affected: 1 }))
}

async fn cancel(app: &App, id: &str, actor: &Actor) -> Result<()> {
    let job = job_id(id)?;
    let cancelled = app.queue.cancel(job, actor).await;
    told(&app.store, job, actor, cancelled).await
}

/// With no host running, a turn that was cut off in the middle.
pub async fn cancel_at_rest(store: &Store, id: &str) -> Result<Value> {
    let (job, actor) = (job_id(id)?, at_the_command_line());
    let named = actor.clone();
    let cancelled = store.write_patiently(move |tx| tx.cancel_turn(job, &named)).await;
    told(store, job, &actor, cancelled.map(drop)).await?;
    Ok(json!(TurnsCancelled { affected: 1 }))
}

/// A refusal is recorded too.
async fn told(store: &Store, job: JobId, actor: &Actor, cancelled: Result<()>) -> Result<()> {
    if let Err(error @ (Error::Conflict(_) | Error::NotFound(_))) = &cancelled {
        let deed = Deed::refused(actor, "turns.cancel", job.to_string(), &error.to_string());
        store.write_patiently(move |tx| tx.audit(&deed)).await?;
    }
    cancelled
}
