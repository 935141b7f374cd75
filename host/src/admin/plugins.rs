//! Plugin instances for operators: what runs, what does not, and why.

use super::Operator;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::http::{Params, Path};
use crate::plugins::{Inspection, Problem, State as PluginState, inspect_all, inspect_others};
use crate::state::App;
use crate::store::Store;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use plugin_api::Manifest;
use serde_json::{Value, json};

pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/admin/plugins", get(list_plugins))
        .route("/api/v1/admin/plugins/{name}", get(show_plugin))
}

async fn list_plugins(_: Operator, State(app): State<App>, params: Params) -> Result<Json<Value>> {
    let mut listed = json!({ "plugins": app.manager.states() });
    if params.flag("all")?.unwrap_or_default() {
        // Each file there is opened and read a little.
        let others = tokio::task::spawn_blocking(move || others(&app.config)).await;
        listed["others"] = others.map_err(|error| Error::Internal(error.to_string()))??;
    }
    Ok(Json(listed))
}

async fn show_plugin(_: Operator, State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>> {
    let status = app.manager.state(&name).ok_or_else(|| unknown(&name))?;
    let mut value = serde_json::to_value(&status).map_err(|error| Error::Internal(error.to_string()))?;
    add_manifest(&mut value, app.manager.manifest(&name));
    value["queue"] = job_counts(&app.store, &name).await?;
    Ok(Json(value))
}

/// How many jobs an instance has in each state.
pub async fn job_counts(store: &Store, name: &str) -> Result<Value> {
    let counts = store.read(|read| read.job_counts()).await?;
    let own = counts.into_iter().filter(|(instance, ..)| instance == name);
    Ok(Value::Object(own.map(|(_, state, count)| (state, count.into())).collect()))
}

/// Instances that are not as they should be, for `/ready`.
pub fn troubled(app: &App) -> Value {
    let troubled =
        app.manager.states().into_iter().filter(|status| status.enabled && status.state != PluginState::Running);
    let shown = troubled.map(|status| {
        json!({
            "name": status.name,
            "state": status.state,
            "enabled": status.enabled,
            "reason": status.reason,
            "last_success": status.last_success,
            "last_error": status.last_error,
        })
    });
    shown.collect()
}

/// The same list without a host: what the libraries and settings say. `all`: the libraries, too, that no instance names.
pub fn list_at_rest(config: &Config, all: bool) -> Result<Value> {
    let plugins: Vec<Value> = inspect_all(&config.plugins).iter().map(at_rest).collect();
    let mut listed = json!({ "plugins": plugins });
    if all {
        listed["others"] = others(config)?;
    }
    Ok(listed)
}

pub fn show_at_rest(config: &Config, name: &str) -> Result<Value> {
    let inspections = inspect_all(&config.plugins);
    let inspection = inspections.iter().find(|inspection| inspection.name == name).ok_or_else(|| unknown(name))?;
    let mut value = at_rest(inspection);
    add_manifest(&mut value, inspection.manifest.as_ref());
    Ok(value)
}

/// Libraries in the plugin directory that no instance names.
fn others(config: &Config) -> Result<Value> {
    let failed = |error: std::io::Error| Error::Unavailable(format!("the plugin directory cannot be read: {error}"));
    let others = inspect_others(&config.plugins).map_err(failed)?;
    let shown = others.iter().map(|other| {
        let (name, version, reason) = match &other.found {
            Ok(manifest) => (Some(&manifest.name), Some(&manifest.version), None),
            Err(reason) => (None, None, Some(reason)),
        };
        json!({ "path": other.path.display().to_string(), "library": name, "version": version, "reason": reason })
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

fn add_manifest(value: &mut Value, manifest: Option<&Manifest>) {
    let Some(manifest) = manifest else { return };
    value["description"] = manifest.description.as_str().into();
    value["roles"] = json!(manifest.roles);
    value["platforms"] = json!(manifest.platforms);
    value["settings_schema"] = manifest.settings.clone();
}

fn unknown(name: &str) -> Error {
    Error::NotFound(format!("no plugin instance has the name {name}; `arcuate plugins list` shows them"))
}
