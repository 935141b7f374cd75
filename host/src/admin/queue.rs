//! The queue for operators: look, run again, flush, delete.

use super::Operator;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Params, Path, cursor};
use crate::ids::JobId;
use crate::state::App;
use crate::store::{AttemptRow, JobFilter, JobRow, State, Store};
use axum::extract::State as AppState;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;
/// Ids that one deed may name.
const IDS: usize = 1000;
/// Jobs that one transaction of a deed changes.
const STEP: usize = 500;

pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/admin/queue", get(list_jobs))
        .route("/api/v1/admin/queue/{id}", get(show_job))
        .route("/api/v1/admin/queue/retry", post(retry_jobs))
        .route("/api/v1/admin/queue/flush", post(flush_jobs))
        .route("/api/v1/admin/queue/delete", post(delete_jobs))
}

/// Which jobs a deed is about: some by id, or all that fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

async fn list_jobs(_: Operator, AppState(app): AppState<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

async fn show_job(_: Operator, AppState(app): AppState<App>, Path(id): Path<String>) -> Result<Json<Value>> {
    Ok(Json(show(&app.store, &id).await?))
}

async fn retry_jobs(
    _: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(retry(&app.store, &selection).await?))
}

async fn flush_jobs(
    _: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(flush(&app.store, &selection).await?))
}

async fn delete_jobs(
    _: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(delete(&app.store, &selection).await?))
}

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let limit = params.limit(PAGE, LARGEST_PAGE)? as usize;
    let before = params.cursor()?;
    let text = |name: &str| params.text(name).map(str::to_owned);
    let filter = JobFilter { state: state(params.text("state"))?, instance: text("plugin"), kind: text("kind") };
    let (jobs, next) = store.read(move |read| read.jobs(&filter, before, limit)).await?;
    Ok(json!({ "jobs": jobs.iter().map(shown).collect::<Vec<_>>(), "cursor": next.map(cursor) }))
}

pub async fn show(store: &Store, id: &str) -> Result<Value> {
    let id = job_id(id)?;
    let (job, attempts) = store
        .read(move |read| {
            let job = read.job(id)?.ok_or_else(|| unknown(&id.to_string()))?;
            let attempts = read.attempts(job.key)?;
            Ok((job, attempts))
        })
        .await?;
    let mut value = shown(&job);
    let payload = serde_json::from_str(&job.payload).unwrap_or_else(|_| Value::from(job.payload.as_str()));
    let more = json!({
        "rescues": job.rescues,
        "uncertain": job.uncertain,
        "cause": job.cause,
        "started_at": job.started_at.map(clock::format),
        "finished_at": job.finished_at.map(clock::format),
        "payload": payload,
        "attempts_log": attempts.iter().map(attempt).collect::<Vec<_>>(),
    });
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    Ok(value)
}

/// By id all or none; by filter those that fit now.
pub async fn retry(store: &Store, selection: &Selection) -> Result<Value> {
    if !selection.ids.is_empty() {
        return each(store, &selection.ids, |tx, id| tx.retry_job(id)).await;
    }
    let state = match state(selection.state.as_deref())? {
        Some(state @ (State::Failed | State::Flushed)) => state,
        Some(_) => {
            return Err(Error::Invalid("state must be failed or flushed: those are what can be run again".into()));
        }
        None => return Err(Error::Invalid("name the jobs by their ids, or all failed ones by state".into())),
    };
    let filter = JobFilter { state: Some(state), instance: selection.plugin.clone(), kind: selection.kind.clone() };
    let (mut before, mut ids) = (None, Vec::new());
    loop {
        let page = filter.clone();
        let (jobs, next) = store.read(move |read| read.jobs(&page, before, STEP)).await?;
        ids.extend(jobs.iter().map(|job| job.id));
        match next {
            Some(next) => before = Some(next),
            None => break,
        }
    }
    // Listed newest first, run again oldest first: a lane keeps its order.
    ids.reverse();
    let mut affected = 0;
    for step in ids.chunks(STEP) {
        let (step, filter) = (step.to_vec(), filter.clone());
        affected += store.write_patiently(move |tx| tx.retry_jobs(&step, &filter)).await?;
    }
    Ok(json!({ "affected": affected }))
}

/// Pending jobs are kept for the record, and not run.
pub async fn flush(store: &Store, selection: &Selection) -> Result<Value> {
    let narrowed = selection.plugin.is_some() || selection.kind.is_some();
    if !narrowed && !selection.all {
        return Err(Error::Invalid("say which jobs by plugin or kind, or all of them by all".into()));
    }
    if matches!(selection.state.as_deref(), Some(state) if state != State::Pending.name()) {
        return Err(Error::Invalid("only pending jobs can be flushed".into()));
    }
    let filter = JobFilter { state: None, instance: selection.plugin.clone(), kind: selection.kind.clone() };
    let (mut before, mut affected) = (None, 0);
    loop {
        let step = filter.clone();
        let (flushed, next) = store.write_patiently(move |tx| tx.flush_jobs(&step, before)).await?;
        affected += flushed;
        match next {
            Some(next) => before = Some(next),
            None => return Ok(json!({ "affected": affected })),
        }
    }
}

/// All or none; one that runs is refused.
pub async fn delete(store: &Store, selection: &Selection) -> Result<Value> {
    if selection.ids.is_empty() {
        return Err(Error::Invalid("name the jobs by their ids".into()));
    }
    each(store, &selection.ids, |tx, id| tx.delete_job(id)).await
}

async fn each(
    store: &Store,
    ids: &[String],
    deed: impl Fn(&mut crate::store::Tx<'_>, JobId) -> Result<()> + Send + 'static,
) -> Result<Value> {
    if ids.len() > IDS {
        return Err(Error::Invalid(format!("at most {IDS} ids at once")));
    }
    let mut ids = ids.iter().map(|id| job_id(id)).collect::<Result<Vec<_>>>()?;
    // Oldest first, so that a lane keeps its order; one named twice counts once.
    ids.sort_unstable();
    ids.dedup();
    let affected = ids.len();
    store.write_patiently(move |tx| ids.iter().try_for_each(|id| deed(tx, *id))).await?;
    Ok(json!({ "affected": affected }))
}

/// What waits and what failed, for `/ready`.
pub async fn waiting(store: &Store) -> Result<Value> {
    let (counts, oldest) = store.read(|read| Ok((read.job_counts()?, read.oldest_job(State::Pending)?))).await?;
    let sum =
        |state: State| counts.iter().filter(|(_, name, _)| name == state.name()).map(|(.., count)| count).sum::<i64>();
    let unclaimed: serde_json::Map<String, Value> = counts
        .iter()
        .filter(|(instance, state, count)| *count > 0 && state == State::Pending.name() && instance != "inbox")
        .filter(|(instance, ..)| !store.with_slots(|slots| slots.is_open(instance)))
        .map(|(instance, _, count)| (instance.clone(), (*count).into()))
        .collect();
    Ok(json!({
        "pending": sum(State::Pending),
        "processing": sum(State::Processing),
        "failed": sum(State::Failed),
        "oldest_pending_at": oldest.map(clock::format),
        "waiting_for_plugins": unclaimed,
    }))
}

fn state(name: Option<&str>) -> Result<Option<State>> {
    let wrong = || Error::Invalid("state must be pending, processing, completed, failed or flushed".into());
    name.map(|name| State::from_name(name).ok_or_else(wrong)).transpose()
}

/// What is no id is an unknown one.
pub fn job_id(id: &str) -> Result<JobId> {
    id.trim().parse().map_err(|_| unknown(id))
}

fn unknown(id: &str) -> Error {
    Error::NotFound(format!("no job has the id {id}"))
}

fn shown(job: &JobRow) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "plugin": job.instance,
        "lane": job.lane,
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "next_at": clock::format(job.next_at),
        "last_error": job.last_error,
        "created_at": clock::format(job.created_at),
    })
}

fn attempt(row: &AttemptRow) -> Value {
    json!({
        "started_at": clock::format(row.started_at),
        "ended_at": clock::format(row.ended_at),
        "outcome": row.outcome,
        "error": row.error,
        "status": row.status,
    })
}
