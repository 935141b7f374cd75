//! The record of operators' deeds, for reading.

use super::Operator;
use crate::clock;
use crate::error::Result;
use crate::http::{Params, cursor};
use crate::state::App;
use crate::store::{DeedRow, Store};
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
    OpenApiRouter::default().routes(routes!(list_deeds))
}

/// Something that an operator did, or was refused.
#[derive(Debug, Serialize, ToSchema)]
struct DeedShown {
    #[schema(format = "date-time")]
    at: String,
    /// `operator`, `signal`, `bridge admin_key`, `token:` with whom the access token belongs to, or `claimed:` with a name that nobody proved,
    /// as in lan mode.
    #[schema(example = "operator")]
    actor: String,
    /// An address, or `command line`.
    #[schema(example = "127.0.0.1")]
    origin: String,
    #[schema(example = "plugins.enable")]
    action: String,
    /// What it was done to; empty: the host.
    #[schema(example = "web_chat")]
    subject: String,
    /// `done` or `refused`.
    #[schema(example = "done")]
    outcome: &'static str,
    /// What else is worth knowing, such as the reason of a refusal.
    detail: Value,
}

/// A page of deeds, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPage {
    deeds: Vec<DeedShown>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// List what operators did
///
/// Newest first. The newest 100,000 are kept.
#[utoipa::path(get, path = "/api/v1/admin/audit", tag = "Administration", security(("admin_token" = [])),
    params(("action" = Option<String>, Query, description = "Only this action, such as `plugins.enable`"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = AuditPage)))]
async fn list_deeds(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// The same list for the API and the command line.
pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let limit = params.limit(PAGE, LARGEST_PAGE)?;
    let before = params.cursor()?.unwrap_or(i64::MAX);
    let action = params.text("action").map(str::to_owned);
    let rows = store.read(move |read| read.audit(action.as_deref(), before, limit + 1)).await?;
    let more = rows.len() > limit as usize;
    let page = &rows[..rows.len().min(limit as usize)];
    let next = page.last().filter(|_| more).map(|row| cursor(row.key));
    Ok(json!(AuditPage { deeds: page.iter().map(shown).collect(), cursor: next }))
}

fn shown(row: &DeedRow) -> DeedShown {
    DeedShown {
        at: clock::format(row.at),
        actor: row.actor.name.clone(),
        origin: row.actor.origin.clone(),
        action: row.action.clone(),
        subject: row.subject.clone(),
        outcome: if row.was_done { "done" } else { "refused" },
        detail: serde_json::from_str(&row.detail).unwrap_or_default(),
    }
}
