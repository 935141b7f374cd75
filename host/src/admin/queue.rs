//! The queue for operators to look at. What they do with it is in `queue_deeds` and `queue_pauses`.

use super::Operator;
use super::queue_filter::Selection;
use super::queue_pauses::Pause;
use crate::clock;
use crate::error::{Error, Result};
use crate::http::{Params, Path, cursor};
use crate::ids::JobId;
use crate::state::App;
use crate::store::{AttemptRow, JobRow, PauseRow, Read, State, Store};
use axum::Json;
use axum::extract::State as AppState;
use plugin_api::types::Priority;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;
/// Pauses that `/ready` names.
const PAUSES_SHOWN: usize = 20;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_jobs)).routes(routes!(show_job))
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
    /// `high` or `low`; absent: neither.
    #[serde(skip_serializing_if = "is_normal")]
    #[schema(value_type = Option<String>, nullable = false)]
    priority: Priority,
    /// True while it waits because an operator holds its lane or its plugin; else absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(value_type = Option<bool>, nullable = false)]
    paused: bool,
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

/// List jobs
///
/// Newest first. A page may be short, even empty, although there are more: then its cursor leads on.
#[utoipa::path(get, path = "/api/v1/admin/queue", tag = "Administration", security(("admin_token" = [])),
    params(("state" = Option<String>, Query, description = "Only jobs in this state"),
           ("plugin" = Option<String>, Query, description = "Only jobs of this plugin instance"),
           ("kind" = Option<String>, Query, description = "Only jobs of this kind"),
           ("lane" = Option<String>, Query, description = "Only jobs of this lane"),
           ("older_than" = Option<String>, Query, description = "Only jobs made longer ago: `90s`, `15m`, `1h`, `7d`"),
           ("newer_than" = Option<String>, Query, description = "Only jobs made within this time"),
           ("error" = Option<String>, Query, description = "Only jobs whose last error has this part; capitals do not count"),
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

pub async fn list(store: &Store, params: &Params) -> Result<Value> {
    let limit = params.limit(PAGE, LARGEST_PAGE)? as usize;
    let before = params.cursor()?;
    let filter = Selection::of(params).filter()?;
    let read = move |read: &Read<'_>| Ok((read.jobs(&filter, before, limit)?, read.pauses()?));
    let ((jobs, next), pauses) = store.read(read).await?;
    let jobs = jobs.iter().map(|job| shown(job, &pauses)).collect();
    Ok(json!(JobPage { jobs, cursor: next.map(cursor) }))
}

pub async fn show(store: &Store, id: &str) -> Result<Value> {
    let id = job_id(id)?;
    let (job, attempts, pauses) = store
        .read(move |read| {
            let job = read.job(id)?.ok_or_else(|| unknown(&id.to_string()))?;
            let attempts = read.attempts(job.key)?;
            Ok((job, attempts, read.pauses()?))
        })
        .await?;
    let payload = serde_json::from_str(&job.payload).unwrap_or_else(|_| Value::from(job.payload.as_str()));
    Ok(json!(JobDetails {
        job: shown(&job, &pauses),
        rescues: job.rescues,
        uncertain: job.uncertain,
        cause: job.cause,
        started_at: job.started_at.map(clock::format),
        finished_at: job.finished_at.map(clock::format),
        payload,
        attempts_log: attempts.iter().map(attempt).collect(),
    }))
}

/// What waits and what failed, for `/ready`.
pub async fn waiting(store: &Store) -> Result<Value> {
    let (counts, oldest, pauses) =
        store.read(|read| Ok((read.job_counts()?, read.oldest_job(State::Pending)?, read.pauses()?))).await?;
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
        "paused": pauses.iter().take(PAUSES_SHOWN).map(Pause::from).collect::<Vec<_>>(),
    }))
}

/// What is no id is an unknown one.
pub fn job_id(id: &str) -> Result<JobId> {
    id.trim().parse().map_err(|_| unknown(id))
}

fn unknown(id: &str) -> Error {
    Error::NotFound(format!("no job has the id {id}"))
}

fn shown(job: &JobRow, pauses: &[PauseRow]) -> Job {
    let holds = |pause: &PauseRow| pause.instance == job.instance && (pause.lane.is_empty() || pause.lane == job.lane);
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
        priority: job.priority,
        paused: job.state == State::Pending.name() && pauses.iter().any(holds),
    }
}

fn is_normal(priority: &Priority) -> bool {
    *priority == Priority::Normal
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
