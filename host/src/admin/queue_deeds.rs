//! What operators do with jobs: by their ids all or none, or by filters in steps, the oldest first. Each deed has one row in the record,
//! written with its first step and brought up to date in the transaction of each other one.

use super::Operator;
use super::queue::job_id;
use super::queue_filter::{Selection, state};
use crate::clock::pause_after;
use crate::error::{Error, Result};
use crate::http::{Body, cursor, read_cursor};
use crate::state::App;
use crate::store::{Actor, Deed, JobDeed, JobFilter, State, Store, Tx};
use axum::Json;
use axum::extract::State as AppState;
use plugin_api::types::Priority;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Ids that one deed may name.
const IDS: usize = 1000;
/// Jobs that one transaction changes.
const STEP: usize = 250;
/// Jobs of one call, where it names a limit.
const LARGEST_LIMIT: usize = 100_000;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(retry_jobs))
        .routes(routes!(flush_jobs))
        .routes(routes!(delete_jobs))
        .routes(routes!(prioritize_jobs))
}

/// How many jobs a deed changed.
#[derive(Debug, Serialize, ToSchema)]
struct Affected {
    affected: usize,
    /// Where a call with a limit goes on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cursor: Option<String>,
}

/// Run jobs again
///
/// By their ids all or none; else those that failed or were flushed, by `state` and whatever else narrows them.
#[utoipa::path(post, path = "/api/v1/admin/queue/retry", tag = "Administration", security(("admin_token" = [])),
    request_body = Selection,
    responses((status = 200, body = Affected), (status = 404, description = "No job has this id"),
              (status = 409, description = "A job of these cannot be run again")))]
async fn retry_jobs(
    operator: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(retry(&app.store, &selection, &operator.actor).await?))
}

/// Flush jobs
///
/// Pending jobs are kept for the record and not run.
#[utoipa::path(post, path = "/api/v1/admin/queue/flush", tag = "Administration", security(("admin_token" = [])),
    request_body(content = Selection, example = json!({ "plugin": "web_chat" })),
    responses((status = 200, body = Affected), (status = 404, description = "No job has this id"),
              (status = 409, description = "A job of these does not wait")))]
async fn flush_jobs(
    operator: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(flush(&app.store, &selection, &operator.actor).await?))
}

/// Delete jobs
///
/// By their ids all or none, one that runs is refused; or by `state` and whatever else narrows them.
#[utoipa::path(post, path = "/api/v1/admin/queue/delete", tag = "Administration", security(("admin_token" = [])),
    request_body(content = Selection, example = json!({ "ids": ["01a1fe0d-be23-76e7-9b23-440ad354ad90"] })),
    responses((status = 200, body = Affected), (status = 404, description = "No job has this id"),
              (status = 409, description = "A job of these runs now")))]
async fn delete_jobs(
    operator: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(delete(&app.store, &selection, &operator.actor).await?))
}

/// Put jobs before others
///
/// Of an instance's lanes that have work to do, the one with the most urgent next job goes first. Within a lane the order stays.
#[utoipa::path(post, path = "/api/v1/admin/queue/prioritize", tag = "Administration", security(("admin_token" = [])),
    request_body(content = Selection,
                 example = json!({ "ids": ["01a1fe0d-be23-76e7-9b23-440ad354ad90"], "priority": "high" })),
    responses((status = 200, body = Affected), (status = 404, description = "No job has this id"),
              (status = 409, description = "A job of these waits for nothing any more")))]
async fn prioritize_jobs(
    operator: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(prioritize(&app.store, &selection, &operator.actor).await?))
}

pub async fn retry(store: &Store, selection: &Selection, actor: &Actor) -> Result<Value> {
    if selection.ids.is_empty() {
        match state(selection.state.as_deref())? {
            Some(State::Failed | State::Flushed) => {}
            Some(_) => {
                return Err(Error::Invalid("state must be failed or flushed: those are what can be run again".into()));
            }
            None => return Err(Error::Invalid("name the jobs by their ids, or all failed ones by state".into())),
        }
    }
    carry_out(store, selection, actor, "queue.retry", JobDeed::Retry).await
}

/// Pending jobs are kept for the record, and not run.
pub async fn flush(store: &Store, selection: &Selection, actor: &Actor) -> Result<Value> {
    if selection.ids.is_empty() && !selection.is_narrowed() && !selection.all {
        return Err(Error::Invalid("say which jobs by plugin, kind, lane, age or error, or all of them by all".into()));
    }
    if matches!(selection.state.as_deref(), Some(state) if state != State::Pending.name()) {
        return Err(Error::Invalid("only pending jobs can be flushed: leave state out".into()));
    }
    let pending = Selection { state: Some(State::Pending.name().into()), ..selection.clone() };
    carry_out(store, &pending, actor, "queue.flush", JobDeed::Flush).await
}

pub async fn delete(store: &Store, selection: &Selection, actor: &Actor) -> Result<Value> {
    if selection.ids.is_empty() {
        match state(selection.state.as_deref())? {
            Some(State::Processing) => {
                return Err(Error::Invalid(
                    "state must be pending, completed, failed or flushed: what runs is not deleted".into(),
                ));
            }
            Some(_) => {}
            None => return Err(Error::Invalid("name the jobs by their ids, or say which by state".into())),
        }
    }
    carry_out(store, selection, actor, "queue.delete", JobDeed::Delete).await
}

pub async fn prioritize(store: &Store, selection: &Selection, actor: &Actor) -> Result<Value> {
    let wrong = || Error::Invalid("priority must be high, normal or low".into());
    let priority = selection.priority.as_deref().and_then(Priority::from_name).ok_or_else(wrong)?;
    if selection.ids.is_empty() && !selection.is_narrowed() && !selection.all {
        return Err(Error::Invalid(
            "name the jobs by their ids, or say which by plugin, kind, lane, age or error".into(),
        ));
    }
    let state = selection.state.clone().unwrap_or_else(|| State::Pending.name().into());
    let waiting = Selection { state: Some(state), ..selection.clone() };
    carry_out(store, &waiting, actor, "queue.prioritize", JobDeed::Prioritize(priority)).await
}

/// Does it, and records it; also what was refused.
async fn carry_out(
    store: &Store,
    selection: &Selection,
    actor: &Actor,
    action: &'static str,
    deed: JobDeed,
) -> Result<Value> {
    let done = async {
        if selection.ids.is_empty() {
            let filter = selection.filter()?;
            by_filter(store, selection, filter, actor, action, deed).await
        } else {
            by_ids(store, selection, actor, action, deed).await
        }
    };
    Ok(json!(store.recorded(actor, action, &selection.told(), done).await?))
}

async fn by_ids(
    store: &Store,
    selection: &Selection,
    actor: &Actor,
    action: &'static str,
    deed: JobDeed,
) -> Result<Affected> {
    if selection.ids.len() > IDS {
        return Err(Error::Invalid(format!("at most {IDS} ids at once")));
    }
    let mut ids = selection.ids.iter().map(|id| job_id(id)).collect::<Result<Vec<_>>>()?;
    // Oldest first, so that a lane keeps its order; one named twice counts once.
    ids.sort_unstable();
    ids.dedup();
    let affected = ids.len();
    let detail =
        json!({ "affected": affected, "ids": ids.iter().take(50).collect::<Vec<_>>(), "priority": selection.priority });
    let record = Deed::done(actor, action, selection.told(), detail);
    store
        .write_patiently(move |tx| {
            ids.iter().try_for_each(|id| tx.change_job(*id, deed))?;
            tx.audit(&record)
        })
        .await?;
    Ok(Affected { affected, cursor: None })
}

async fn by_filter(
    store: &Store,
    selection: &Selection,
    filter: JobFilter,
    actor: &Actor,
    action: &'static str,
    deed: JobDeed,
) -> Result<Affected> {
    let limit = selection.limit.unwrap_or(usize::MAX);
    if limit == 0 || selection.limit.is_some_and(|limit| limit > LARGEST_LIMIT) {
        return Err(Error::Invalid(format!("limit must be 1 to {LARGEST_LIMIT}, or be left out for all")));
    }
    let wrong = || Error::Invalid("cursor must be one that an earlier call gave, or be left out".into());
    let mut after = selection.cursor.as_deref().map(|text| read_cursor(text).ok_or_else(wrong)).transpose()?;
    // What comes meanwhile is not meant.
    let newest = store.read(|read| read.newest_job()).await?;
    let mut record = Record::of(store, selection, actor, action).await?;
    let (mut affected, mut looked_at) = (0, 0);
    loop {
        let (begun, step, walked) = (Instant::now(), STEP.min(limit - looked_at), filter.clone());
        let (mut keys, next) = store.read(move |read| read.job_keys(&walked, after, step)).await?;
        keys.retain(|key| *key <= newest);
        looked_at += keys.len();
        let next = next.filter(|next| *next < newest);
        let (fitting, told, more) = (filter.clone(), record.clone(), next.is_some());
        let write = move |tx: &mut Tx<'_>| {
            let changed = tx.change_jobs(&keys, &fitting, deed)?;
            Ok((changed, tx.audit_step(told.row, &told.deed(changed, more))?))
        };
        let (changed, row) = store.write_patiently(write).await?;
        affected += changed;
        record.wrote(row, changed);
        if !more || looked_at >= limit {
            return Ok(Affected { affected, cursor: next.map(cursor) });
        }
        after = next;
        pause_after(begun).await;
    }
}

/// The one row of a deed in steps, also in steps of several calls: it says after each what was done so far.
#[derive(Clone)]
struct Record {
    actor: Actor,
    action: &'static str,
    selection: Selection,
    row: Option<i64>,
    /// Affected by the steps before.
    before: usize,
}

impl Record {
    /// A call with a cursor goes on with the row of the call before.
    async fn of(store: &Store, selection: &Selection, actor: &Actor, action: &'static str) -> Result<Self> {
        let whole = Selection { limit: None, cursor: None, ..selection.clone() };
        let mut record = Self { actor: actor.clone(), action, selection: whole, row: None, before: 0 };
        if selection.cursor.is_some() {
            let (actor, subject) = (actor.clone(), selection.told());
            let begun = store.read(move |read| read.unfinished_deed(&actor, action, &subject)).await?;
            if let Some((row, detail)) = begun {
                record.wrote(row, detail["affected"].as_u64().unwrap_or_default() as usize);
            }
        }
        Ok(record)
    }

    fn wrote(&mut self, row: i64, changed: usize) {
        (self.row, self.before) = (Some(row), self.before + changed);
    }

    fn deed(&self, changed: usize, more: bool) -> Deed {
        let detail = json!({ "affected": self.before + changed, "selection": self.selection });
        let deed = Deed::done(&self.actor, self.action, self.selection.told(), detail);
        if more { deed.unfinished() } else { deed }
    }
}
