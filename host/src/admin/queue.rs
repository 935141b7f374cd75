//! The queue for operators: look, run again, flush, delete.

use super::Operator;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Body, Params, Path, cursor};
use crate::ids::JobId;
use crate::state::App;
use crate::store::{AttemptRow, JobFilter, JobRow, State, Store};
use axum::Json;
use axum::extract::State as AppState;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;
/// Ids that one deed may name.
const IDS: usize = 1000;
/// Jobs that one transaction of a deed changes.
const STEP: usize = 500;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_jobs))
        .routes(routes!(show_job))
        .routes(routes!(retry_jobs))
        .routes(routes!(flush_jobs))
        .routes(routes!(delete_jobs))
}

/// Which jobs a deed is about: some by id, or all that fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(example = json!({ "state": "failed", "plugin": "web_chat" }))]
pub struct Selection {
    /// Ids of jobs, at most 1000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// `pending`, `processing`, `completed`, `failed` or `flushed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The plugin instance whose jobs they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Really all of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// A job of the queue.
#[derive(Debug, Serialize, ToSchema)]
struct Job {
    id: JobId,
    kind: String,
    /// `pending`, `processing`, `completed`, `failed` or `flushed`.
    #[schema(example = "failed")]
    state: String,
    /// The plugin instance that does it.
    plugin: String,
    /// Jobs of one lane are done one after the other.
    lane: String,
    attempts: u32,
    max_attempts: u32,
    /// When it is tried next.
    #[schema(format = "date-time")]
    next_at: String,
    last_error: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
}

/// A job with its tries.
#[derive(Debug, Serialize, ToSchema)]
struct JobDetails {
    #[serde(flatten)]
    job: Job,
    /// How often it was taken back from an instance that left.
    rescues: u32,
    /// True if nobody knows whether its last try did something.
    uncertain: bool,
    /// The event that it follows from.
    cause: Option<i64>,
    #[schema(format = "date-time")]
    started_at: Option<String>,
    #[schema(format = "date-time")]
    finished_at: Option<String>,
    payload: Value,
    attempts_log: Vec<Attempt>,
}

/// One try of a job.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    #[schema(format = "date-time")]
    started_at: String,
    #[schema(format = "date-time")]
    ended_at: String,
    #[schema(example = "retry")]
    outcome: String,
    error: Option<String>,
    /// The HTTP status that it met, if there was one.
    status: Option<u16>,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct JobPage {
    jobs: Vec<Job>,
    /// For the next page; null at the end.
    cursor: Option<String>,
}

/// How many jobs a deed changed.
#[derive(Debug, Serialize, ToSchema)]
struct Affected {
    affected: usize,
}

/// List jobs
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/admin/queue", tag = "Administration", security(("admin_token" = [])),
    params(("state" = Option<String>, Query, description = "Only jobs in this state"),
           ("plugin" = Option<String>, Query, description = "Only jobs of this plugin instance"),
           ("kind" = Option<String>, Query, description = "Only jobs of this kind"),
           ("limit" = Option<i64>, Query, description = "At most so many; default 50, maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = JobPage)))]
async fn list_jobs(_: Operator, AppState(app): AppState<App>, params: Params) -> Result<Json<Value>> {
    Ok(Json(list(&app.store, &params).await?))
}

/// Show a job
#[utoipa::path(get, path = "/api/v1/admin/queue/{id}", tag = "Administration", security(("admin_token" = [])),
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobDetails), (status = 404, description = "No job has this id")))]
async fn show_job(_: Operator, AppState(app): AppState<App>, Path(id): Path<String>) -> Result<Json<Value>> {
    Ok(Json(show(&app.store, &id).await?))
}

/// Run jobs again
///
/// By their ids all or none; else those that failed or were flushed, by `state`.
#[utoipa::path(post, path = "/api/v1/admin/queue/retry", tag = "Administration", security(("admin_token" = [])),
    request_body = Selection,
    responses((status = 200, body = Affected), (status = 404, description = "No job has this id"),
              (status = 409, description = "A job of these cannot be run again")))]
async fn retry_jobs(
    _: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(retry(&app.store, &selection).await?))
}

/// Flush jobs
///
/// Pending jobs are kept for the record and not run.
#[utoipa::path(post, path = "/api/v1/admin/queue/flush", tag = "Administration", security(("admin_token" = [])),
    request_body(content = Selection, example = json!({ "plugin": "web_chat" })),
    responses((status = 200, body = Affected)))]
async fn flush_jobs(
    _: Operator,
    AppState(app): AppState<App>,
    Body(selection): Body<Selection>,
) -> Result<Json<Value>> {
    Ok(Json(flush(&app.store, &selection).await?))
}

/// Delete jobs
///
/// By their ids, all or none; one that runs is refused.
#[utoipa::path(post, path = "/api/v1/admin/queue/delete", tag = "Administration", security(("admin_token" = [])),
    request_body(content = Selection, example = json!({ "ids": ["01a1fe0d-be23-76e7-9b23-440ad354ad90"] })),
    responses((status = 200, body = Affected), (status = 404, description = "No job has this id"),
              (status = 409, description = "A job of these runs now")))]
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
    Ok(json!(JobPage { jobs: jobs.iter().map(shown).collect(), cursor: next.map(cursor) }))
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
    let payload = serde_json::from_str(&job.payload).unwrap_or_else(|_| Value::from(job.payload.as_str()));
    Ok(json!(JobDetails {
        job: shown(&job),
        rescues: job.rescues,
        uncertain: job.uncertain,
        cause: job.cause,
        started_at: job.started_at.map(clock::format),
        finished_at: job.finished_at.map(clock::format),
        payload,
        attempts_log: attempts.iter().map(attempt).collect(),
    }))
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
    Ok(json!(Affected { affected }))
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
            None => return Ok(json!(Affected { affected })),
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
    Ok(json!(Affected { affected }))
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

fn shown(job: &JobRow) -> Job {
    Job {
        id: job.id,
        kind: job.kind.clone(),
        state: job.state.clone(),
        plugin: job.instance.clone(),
        lane: job.lane.clone(),
        attempts: job.attempts,
        max_attempts: job.max_attempts,
        next_at: clock::format(job.next_at),
        last_error: job.last_error.clone(),
        created_at: clock::format(job.created_at),
    }
}

fn attempt(row: &AttemptRow) -> Attempt {
    Attempt {
        started_at: clock::format(row.started_at),
        ended_at: clock::format(row.ended_at),
        outcome: row.outcome.clone(),
        error: row.error.clone(),
        status: row.status,
    }
}
