//! Turns of agents for operators: one that runs can be ended.

use super::queue::job_id;
use super::{Operator, at_the_command_line};
use crate::error::Result;
use crate::http::Path;
use crate::state::App;
use crate::store::{Actor, Store};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// As the transaction of a cancelled turn records it.
const ACTION: &str = "turns.cancel";

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
    let cancel = async { app.queue.cancel(job_id(id)?, actor).await };
    app.store.recorded(actor, ACTION, id, cancel).await
}

/// With no host running, a turn that was cut off in the middle.
pub async fn cancel_at_rest(store: &Store, id: &str) -> Result<Value> {
    let (actor, named) = (at_the_command_line(), at_the_command_line());
    let cancel = async {
        let job = job_id(id)?;
        store.write_patiently(move |tx| tx.cancel_turn(job, &named)).await
    };
    store.recorded(&actor, ACTION, id, cancel).await?;
    Ok(json!(TurnsCancelled { affected: 1 }))
}
