//! Holding jobs back, and letting them go on: an instance's, or those of one of its lanes.

use super::Operator;
use crate::clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::Body;
use crate::state::App;
use crate::store::{Actor, Deed, PauseRow, Store};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Characters of a lane and of a reason.
const LANE: usize = 300;
const REASON: usize = 500;
/// Where the messages of the native bridge API wait for a poller.
const INBOX: &str = "inbox";

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_pauses)).routes(routes!(pause_jobs)).routes(routes!(resume_jobs))
}

/// What is to be held back, or goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "plugin": "web_chat", "reason": "the site moves tonight" }))]
pub struct Held {
    /// The plugin instance.
    pub plugin: String,
    /// One of its lanes; left out: all that it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// For whoever sees it later, at most 500 characters. For pausing alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Something that is held back.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pause {
    /// The plugin instance.
    plugin: String,
    /// Null: the instance as a whole.
    lane: Option<String>,
    reason: String,
    #[schema(format = "date-time")]
    paused_at: String,
    /// Whose right it was.
    paused_by: String,
}

/// All that is held back: at most 1000.
#[derive(Debug, Serialize, ToSchema)]
struct Pauses {
    paused: Vec<Pause>,
}

/// How many pauses began or ended.
#[derive(Debug, Serialize, ToSchema)]
struct PausesAffected {
    affected: usize,
}

/// List what is paused
#[utoipa::path(get, path = "/api/v1/admin/queue/paused", tag = "Administration", security(("admin_token" = [])),
    responses((status = 200, body = Pauses)))]
async fn list_pauses(_: Operator, State(app): State<App>) -> Result<Json<Value>> {
    Ok(Json(list(&app.store).await?))
}

/// Pause jobs
///
/// They wait, also over restarts, and count no attempt; what runs already ends. What is paused already gets the new reason.
#[utoipa::path(post, path = "/api/v1/admin/queue/pause", tag = "Administration", security(("admin_token" = [])),
    request_body = Held,
    responses((status = 200, body = PausesAffected), (status = 404, description = "No plugin instance has this name"),
              (status = 409, description = "Too much is paused already")))]
async fn pause_jobs(operator: Operator, State(app): State<App>, Body(held): Body<Held>) -> Result<Json<Value>> {
    Ok(Json(pause(&app.store, &app.config(), &held, &operator.actor).await?))
}

/// Let paused jobs go on
///
/// Without a lane, all that is paused of the plugin.
#[utoipa::path(post, path = "/api/v1/admin/queue/resume", tag = "Administration", security(("admin_token" = [])),
    request_body(content = Held, example = json!({ "plugin": "web_chat" })),
    responses((status = 200, body = PausesAffected), (status = 404, description = "No plugin instance has this name")))]
async fn resume_jobs(operator: Operator, State(app): State<App>, Body(held): Body<Held>) -> Result<Json<Value>> {
    Ok(Json(resume(&app.store, &app.config(), &held, &operator.actor).await?))
}

pub async fn list(store: &Store) -> Result<Value> {
    let rows = store.read(|read| read.pauses()).await?;
    Ok(json!(Pauses { paused: rows.iter().map(Pause::from).collect() }))
}

/// What is held of one instance.
pub async fn of(store: &Store, instance: &str) -> Result<Vec<Pause>> {
    let rows = store.read(|read| read.pauses()).await?;
    Ok(rows.iter().filter(|row| row.instance == instance).map(Pause::from).collect())
}

pub async fn pause(store: &Store, config: &Config, held: &Held, actor: &Actor) -> Result<Value> {
    let pause = async {
        check(store, config, held).await?;
        if held.plugin == INBOX && held.lane.is_some() {
            return Err(Error::Invalid("the inbox has no lanes: leave lane out".into()));
        }
        let record = Deed::done(actor, "queue.pause", told(held), json!({ "reason": held.reason }));
        let (held, by) = (held.clone(), actor.name.clone());
        let paused = store.write_patiently(move |tx| {
            let is_new = tx.pause(&held.plugin, held.lane.as_deref().unwrap_or_default(), &by, &held.reason)?;
            tx.audit(&record)?;
            Ok(is_new)
        });
        paused.await
    };
    let is_new = store.recorded(actor, "queue.pause", &told(held), pause).await?;
    Ok(json!(PausesAffected { affected: usize::from(is_new) }))
}

pub async fn resume(store: &Store, config: &Config, held: &Held, actor: &Actor) -> Result<Value> {
    let resume = async {
        check(store, config, held).await?;
        let (held, actor) = (held.clone(), actor.clone());
        let resumed = store.write_patiently(move |tx| {
            let affected = tx.resume(&held.plugin, held.lane.as_deref())?;
            tx.audit(&Deed::done(&actor, "queue.resume", told(&held), json!({ "affected": affected })))?;
            Ok(affected)
        });
        resumed.await
    };
    let affected = store.recorded(actor, "queue.resume", &told(held), resume).await?;
    Ok(json!(PausesAffected { affected }))
}

fn told(held: &Held) -> String {
    match &held.lane {
        Some(lane) => format!("{} lane {lane}", held.plugin),
        None => held.plugin.clone(),
    }
}

async fn check(store: &Store, config: &Config, held: &Held) -> Result<()> {
    let wrong = |text: String| Err(Error::Invalid(text));
    if held.lane.as_ref().is_some_and(|lane| lane.is_empty() || lane.chars().count() > LANE || lane.contains('\0')) {
        return wrong(format!("lane must have 1 to {LANE} characters, or be left out"));
    }
    if held.reason.chars().count() > REASON {
        return wrong(format!("reason may have {REASON} characters"));
    }
    let counts = store.read(|read| read.job_counts()).await?;
    let name = &held.plugin;
    // What is configured no more may still have jobs.
    let is_known = name == INBOX
        || config.plugins.instances.contains_key(name)
        || counts.iter().any(|(instance, ..)| instance == name)
        || store.read(|read| read.pauses()).await?.iter().any(|row| row.instance == *name);
    if is_known {
        return Ok(());
    }
    let known: Vec<_> = config.plugins.instances.keys().map(String::as_str).collect();
    Err(Error::NotFound(format!("no plugin instance has the name {name}; there are {}, {INBOX}", known.join(", "))))
}

impl From<&PauseRow> for Pause {
    fn from(row: &PauseRow) -> Self {
        Self {
            plugin: row.instance.clone(),
            lane: Some(row.lane.clone()).filter(|lane| !lane.is_empty()),
            reason: row.reason.clone(),
            paused_at: clock::format(row.paused_at),
            paused_by: row.paused_by.clone(),
        }
    }
}
