//! Plugin instances for operators: what runs, what does not, and why.

use super::Operator;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::plugins::{Inspection, InstanceStatus, Problem, State as PluginState, inspect_all, inspect_others};
use crate::state::App;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use plugin_api::Manifest;
use serde_json::{Value, json};

pub fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/admin/plugins", get(list_plugins))
        .route("/api/v1/admin/plugins/{name}", get(show_plugin))
}

async fn list_plugins(_: Operator, State(app): State<App>) -> Json<Value> {
    Json(json!({ "plugins": app.manager.states() }))
}

async fn show_plugin(_: Operator, State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>> {
    let status = app.manager.state(&name).ok_or_else(|| unknown(&name))?;
    let mut value = serde_json::to_value(&status).map_err(|error| Error::Internal(error.to_string()))?;
    add_manifest(&mut value, app.manager.manifest(&name));
    let counts = app.store.read(|read| read.job_counts()).await?;
    let own =
        counts.into_iter().filter(|(instance, ..)| *instance == name).map(|(_, state, count)| (state, count.into()));
    value["queue"] = Value::Object(own.collect());
    Ok(Json(value))
}

/// Instances that are not as they should be, for `/ready`.
pub fn troubled(app: &App) -> Value {
    let troubled = app.manager.states().into_iter().filter(|status| {
        let well =
            matches!(status.state, PluginState::Running) || (!status.enabled && status.state == PluginState::Checked);
        !well
    });
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

/// The same list without a host: what the libraries and settings say.
pub fn list_at_rest(config: &Config) -> Value {
    let plugins: Vec<Value> = inspect_all(&config.plugins).iter().map(at_rest).collect();
    json!({ "plugins": plugins })
}

pub fn show_at_rest(config: &Config, name: &str) -> Result<Value> {
    let inspections = inspect_all(&config.plugins);
    let inspection = inspections.iter().find(|inspection| inspection.name == name).ok_or_else(|| unknown(name))?;
    let mut value = at_rest(inspection);
    add_manifest(&mut value, inspection.manifest.as_ref());
    Ok(value)
}

/// Libraries in the plugin directory that no instance names.
pub fn others(config: &Config) -> Result<Value> {
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

/// One line for the terminal at the start.
pub fn summary(status: &InstanceStatus) -> String {
    let version = status.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let library = if status.library == status.name { String::new() } else { format!(" ({}{version})", status.library) };
    let reason = status.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{library} {}{reason}", status.name, status.state)
}
