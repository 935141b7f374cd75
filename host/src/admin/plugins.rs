//! Plugin instances for operators: what runs, what does not, and why.

use super::queue_pauses::{self, Pause};
use super::{Operator, page};
use crate::clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::{Params, Path};
use crate::plugins::{Inspection, InstanceStatus, Problem, State as PluginState, inspect_all, inspect_others};
use crate::state::App;
use crate::store::{Backlog, Store};
use axum::Json;
use axum::extract::State;
use plugin_api::{Manifest, Role};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_plugins)).routes(routes!(show_plugin))
}

/// The configured plugin instances.
#[derive(Debug, Serialize, ToSchema)]
struct PluginList {
    plugins: Vec<PluginRow>,
    /// For the next page; null at the end.
    cursor: Option<String>,
    /// With `all=true`: libraries in the plugin directory that no instance names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    others: Option<Vec<OtherLibrary>>,
}

/// A plugin instance with its jobs.
#[derive(Debug, Serialize, ToSchema)]
struct PluginRow {
    #[serde(flatten)]
    status: InstanceStatus,
    #[serde(flatten)]
    jobs: Jobs,
}

/// The jobs of an instance.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Jobs {
    /// How many of its jobs are in each state.
    queue: BTreeMap<String, i64>,
    /// Those that are not done yet.
    queue_depth: i64,
    /// When the oldest of those that wait was made.
    #[schema(format = "date-time")]
    oldest_pending_at: Option<String>,
    oldest_pending_seconds: Option<i64>,
}

impl Jobs {
    fn of(backlog: Option<&Backlog>) -> Self {
        let Some(backlog) = backlog else { return Self::default() };
        Self {
            queue: backlog.counts.clone(),
            queue_depth: backlog.depth(),
            oldest_pending_at: backlog.oldest.map(clock::format),
            oldest_pending_seconds: backlog.oldest.map(|at| (clock::now() - at).max(0) / 1_000_000),
        }
    }
}

/// A library in the plugin directory that no instance names.
#[derive(Debug, Serialize, ToSchema)]
struct OtherLibrary {
    path: String,
    /// The plugin's name; null if the library cannot be read.
    library: Option<String>,
    version: Option<String>,
    /// Why it cannot be used.
    reason: Option<String>,
}

/// A plugin instance with what its library says of itself.
#[derive(Debug, Serialize, ToSchema)]
struct PluginDetails {
    #[serde(flatten)]
    status: InstanceStatus,
    #[serde(flatten)]
    described: Described,
    /// The settings that count, by key: as they are written, and where nobody wrote one its default. Secrets show as `***`.
    #[schema(value_type = Object, example = json!({"backend": "http", "url": "http://127.0.0.1:9000/", "api_key": "***"}))]
    settings: BTreeMap<String, Value>,
    #[serde(flatten)]
    jobs: Jobs,
    /// What an operator holds back of it.
    paused: Vec<Pause>,
}

/// What a library says of itself; absent while it cannot be read.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Described {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<String>,
    /// What it does: `source`, `sink`, `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    platforms: Option<Vec<String>>,
    /// The JSON Schema of its settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    settings_schema: Option<Value>,
}

impl Described {
    fn by(manifest: Option<&Manifest>) -> Self {
        let Some(manifest) = manifest else { return Self::default() };
        Self {
            description: Some(manifest.description.clone()),
            roles: Some(manifest.roles.clone()),
            platforms: Some(manifest.platforms.clone()),
            settings_schema: Some(manifest.settings.clone()),
        }
    }
}

/// List plugins
#[utoipa::path(get, path = "/api/v1/admin/plugins", tag = "Administration", security(("admin_token" = [])),
    params(("state" = Option<String>, Query, description = "Only instances in this state, such as `Running`; capitals do not count"),
           ("all" = Option<bool>, Query, description = "Also the libraries that no instance names"),
           ("limit" = Option<i64>, Query, description = "At most so many; default and maximum 1000"),
           ("cursor" = Option<String>, Query, description = "From the page before")),
    responses((status = 200, body = PluginList)))]
async fn list_plugins(_: Operator, State(app): State<App>, params: Params) -> Result<Json<PluginList>> {
    let wanted = params.text("state").map(state_named).transpose()?;
    let mut instances = app.manager.states();
    instances.retain(|status| wanted.is_none_or(|wanted| status.state == wanted));
    let (instances, cursor) = page(instances, &params)?;
    let backlogs = app.store.read(|read| read.backlogs()).await?;
    let row = |status: InstanceStatus| PluginRow { jobs: Jobs::of(backlogs.get(&status.name)), status };
    let mut listed = PluginList { plugins: instances.into_iter().map(row).collect(), cursor, others: None };
    if params.flag("all")?.unwrap_or_default() {
        // Each file there is opened and read a little.
        let others = tokio::task::spawn_blocking(move || others(&app.config())).await;
        listed.others = Some(others.map_err(|error| Error::Internal(error.to_string()))??);
    }
    Ok(Json(listed))
}

fn state_named(name: &str) -> Result<PluginState> {
    let named = |state: &PluginState| state.to_string().eq_ignore_ascii_case(name);
    PluginState::ALL.into_iter().find(named).ok_or_else(|| {
        let known = PluginState::ALL.map(|state| state.to_string()).join(", ");
        Error::Invalid(format!("Query parameter 'state' must be one of: {known}"))
    })
}

/// Show a plugin
#[utoipa::path(get, path = "/api/v1/admin/plugins/{name}", tag = "Administration", security(("admin_token" = [])),
    params(("name" = String, Path, description = "The instance's name in the configuration")),
    responses((status = 200, body = PluginDetails), (status = 404, description = "No plugin instance has this name")))]
async fn show_plugin(_: Operator, State(app): State<App>, Path(name): Path<String>) -> Result<Json<PluginDetails>> {
    let status = app.manager.state(&name).ok_or_else(|| unknown(&name))?;
    let described = Described::by(app.manager.manifest(&name).as_ref());
    let backlogs = app.store.read(|read| read.backlogs()).await?;
    let paused = queue_pauses::of(&app.store, &name).await?;
    let settings = app.manager.settings(&name).unwrap_or_default();
    Ok(Json(PluginDetails { status, described, settings, jobs: Jobs::of(backlogs.get(&name)), paused }))
}

/// An instance's jobs, as `plugins show` has them.
pub async fn jobs(store: &Store, name: &str) -> Result<Value> {
    let backlogs = store.read(|read| read.backlogs()).await?;
    Ok(json!(Jobs::of(backlogs.get(name))))
}

/// Instances that are not as they should be, for `/ready`.
pub async fn troubled(app: &App) -> Value {
    // While the store cannot be read, the rest is still worth knowing.
    let backlogs = app.store.read(|read| read.backlogs()).await.unwrap_or_default();
    let troubled =
        app.manager.states().into_iter().filter(|status| status.enabled && status.state != PluginState::Running);
    let shown = troubled.map(|status| {
        let jobs = Jobs::of(backlogs.get(&status.name));
        json!({
            "name": status.name,
            "state": status.state,
            "enabled": status.enabled,
            "reason": status.reason,
            "since": status.since,
            "last_success": status.last_success,
            "last_error": status.last_error,
            "restarts": status.restarts,
            "threads_left": status.threads_left,
            "queue_depth": jobs.queue_depth,
            "oldest_pending_seconds": jobs.oldest_pending_seconds,
        })
    });
    shown.collect()
}

/// The same list without a host: what the libraries and settings say. `all`: the libraries, too, that no instance names.
pub fn list_at_rest(config: &Config, all: bool) -> Result<Value> {
    let plugins: Vec<Value> = inspect_all(&config.plugins).iter().map(at_rest).collect();
    let mut listed = json!({ "plugins": plugins, "cursor": null });
    if all {
        listed["others"] = json!(others(config)?);
    }
    Ok(listed)
}

pub fn show_at_rest(config: &Config, name: &str) -> Result<Value> {
    let inspections = inspect_all(&config.plugins);
    let inspection = inspections.iter().find(|inspection| inspection.name == name).ok_or_else(|| unknown(name))?;
    let mut value = at_rest(inspection);
    if let (Value::Object(fields), Value::Object(more)) =
        (&mut value, json!(Described::by(inspection.manifest.as_ref())))
    {
        fields.extend(more);
    }
    let schema = inspection.manifest.as_ref().map(|manifest| &manifest.settings).unwrap_or(&Value::Null);
    value["settings"] = json!(config.plugins.instances.get(name).map(|instance| instance.shown_settings(schema)));
    Ok(value)
}

/// Libraries in the plugin directory that no instance names.
fn others(config: &Config) -> Result<Vec<OtherLibrary>> {
    let failed = |error: std::io::Error| Error::Unavailable(format!("the plugin directory cannot be read: {error}"));
    let others = inspect_others(&config.plugins).map_err(failed)?;
    let shown = others.iter().map(|other| {
        let (name, version, reason) = match &other.found {
            Ok(manifest) => (Some(manifest.name.clone()), Some(manifest.version.clone()), None),
            Err(reason) => (None, None, Some(reason.to_string())),
        };
        OtherLibrary { path: other.path.display().to_string(), library: name, version, reason }
    });
    Ok(shown.collect())
}

fn at_rest(inspection: &Inspection) -> Value {
    let (state, reason) = match &inspection.problem {
        None => (PluginState::Checked, None),
        Some(problem @ Problem::Library(_)) => (PluginState::Rejected, Some(problem.to_string())),
        Some(problem @ Problem::Settings(_)) => (PluginState::Failed, Some(problem.to_string())),
    };
    json!({
        "name": inspection.name,
        "library": inspection.library,
        "version": inspection.manifest.as_ref().map(|manifest| &manifest.version),
        "enabled": inspection.enabled,
        "state": state,
        "reason": reason,
        "last_success": null,
        "last_error": null,
    })
}

pub(super) fn unknown(name: &str) -> Error {
    Error::NotFound(format!("no plugin instance has the name {name}; `arcuate plugins list` shows them"))
}
