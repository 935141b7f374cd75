//! The configuration changed while the host runs: read again as a whole, or one instance enabled or disabled in its file, or one instance
//! started anew. A mistake anywhere changes nothing. What cannot change while the host runs is named in the answer.

use super::Operator;
use crate::config::{self, Config, Edit, EditError, Loaded};
use crate::error::{Error, Result};
use crate::http::Path;
use crate::plugins::{FailedInstance, InstanceStatus, Moves, Plan, Turn};
use crate::run::unrouted;
use crate::state::App;
use crate::store::slots::Retries;
use crate::store::{Actor, Deed};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(reload_config))
        .routes(routes!(enable_plugin))
        .routes(routes!(disable_plugin))
        .routes(routes!(restart_plugin))
}

/// What a change of the configuration did.
#[derive(Debug, Default, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Keys (`limits.dms_per_minute`), instances (`plugins.web_chat`) and `routes` that count from now on.
    #[schema(example = json!(["limits.dms_per_minute"]))]
    changed: Vec<String>,
    /// Plugin instances that were stopped and started again.
    restarted: Vec<String>,
    started: Vec<String>,
    stopped: Vec<String>,
    /// Those that did not come up as they were to: they stand in none of the lists above.
    failed: Vec<FailedInstance>,
    /// Keys whose new values count only after a restart of the host.
    needs_restart: Vec<Waiting>,
    warnings: Vec<String>,
}

/// A key that has to wait.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct Waiting {
    #[schema(example = "server.bind")]
    key: String,
    why: &'static str,
}

/// An instance after an operator's deed, and what the deed did.
#[derive(Debug, Serialize, ToSchema)]
struct PluginChanged {
    #[serde(flatten)]
    status: InstanceStatus,
    #[serde(flatten)]
    change: Reloaded,
}

/// Read the configuration again
///
/// What can change while the host runs does: plugins, routes, limits, the bridge's keys. A mistake anywhere in it changes nothing. An instance
/// that does not come up stands in `failed`; one that ran until then goes on with its earlier settings.
#[utoipa::path(post, path = "/api/v1/admin/reload", tag = "Administration", security(("admin_token" = [])),
    responses((status = 200, body = Reloaded),
              (status = 422, description = "There are mistakes in it: `{error, mistakes: [{place, line, column, text}]}`")))]
async fn reload_config(operator: Operator, State(app): State<App>) -> Result<Json<Reloaded>> {
    undisturbed(async move { reload(&app, &operator.actor).await }).await
}

/// Enable a plugin
///
/// Writes it into the configuration file, whose comments stay, and reads that again.
#[utoipa::path(post, path = "/api/v1/admin/plugins/{name}/enable", tag = "Administration", security(("admin_token" = [])),
    params(("name" = String, Path, description = "The instance's name in the configuration")),
    responses((status = 200, body = PluginChanged), (status = 404, description = "No plugin instance has this name"),
              (status = 409, description = "There is no file to write it to, or the environment wins over it"),
              (status = 422, description = "There are mistakes in the configuration: `{error, mistakes}`")))]
async fn enable_plugin(
    operator: Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<PluginChanged>> {
    undisturbed(async move { set_enabled(&app, &operator.actor, &name, true).await }).await
}

/// Disable a plugin
///
/// Its jobs under way get `stop_seconds` to end; the others wait until it is enabled again. Writes it into the configuration file.
#[utoipa::path(post, path = "/api/v1/admin/plugins/{name}/disable", tag = "Administration", security(("admin_token" = [])),
    params(("name" = String, Path, description = "The instance's name in the configuration")),
    responses((status = 200, body = PluginChanged), (status = 404, description = "No plugin instance has this name"),
              (status = 409, description = "There is no file to write it to, or the environment wins over it"),
              (status = 422, description = "There are mistakes in the configuration: `{error, mistakes}`")))]
async fn disable_plugin(
    operator: Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<PluginChanged>> {
    undisturbed(async move { set_enabled(&app, &operator.actor, &name, false).await }).await
}

/// Start a plugin anew
///
/// With its library as the file is now. Its jobs under way get `stop_seconds` to end. Lifts a quarantine.
#[utoipa::path(post, path = "/api/v1/admin/plugins/{name}/restart", tag = "Administration", security(("admin_token" = [])),
    params(("name" = String, Path, description = "The instance's name in the configuration")),
    responses((status = 200, body = PluginChanged), (status = 404, description = "No plugin instance has this name"),
              (status = 409, description = "It is disabled"),
              (status = 422, description = "Its settings or its library are wrong: `{error, mistakes}`")))]
async fn restart_plugin(
    operator: Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<PluginChanged>> {
    undisturbed(async move { restart(&app, &operator.actor, &name).await }).await
}

/// Ends what it began, also when the one who asked goes away.
async fn undisturbed<T: Send + 'static>(deed: impl Future<Output = Result<T>> + Send + 'static) -> Result<Json<T>> {
    crate::state::undisturbed(deed).await.map(Json)
}

pub async fn reload(app: &App, actor: &Actor) -> Result<Reloaded> {
    let reload = async {
        let turn = app.manager.turn().await;
        let origin = app.live.origin();
        let load = move || config::load(origin.as_deref(), std::env::vars_os()).map_err(Error::Mistakes);
        let loaded = blocking(load).await?;
        take_over(app, &turn, loaded, None).await
    };
    told(app, actor, "config.reload", "", reload, |done| json!(done)).await
}

async fn set_enabled(app: &App, actor: &Actor, name: &str, enabled: bool) -> Result<PluginChanged> {
    let action = if enabled { "plugins.enable" } else { "plugins.disable" };
    told(app, actor, action, name, edit(app, name, enabled), |done| json!(done.change)).await
}

async fn edit(app: &App, name: &str, enabled: bool) -> Result<PluginChanged> {
    let turn = app.manager.turn().await;
    let path = app.live.origin().ok_or_else(|| no_file(name, enabled))?;
    let named = name.to_owned();
    let prepare =
        move || Edit::enabled(&path, &named, enabled, std::env::vars_os()).map_err(|error| refusal(error, &named));
    let edit = blocking(prepare).await?;
    let loaded = edit.loaded.clone();
    let mut change = take_over(app, &turn, loaded, Some(edit)).await?;
    let failed = change.failed.iter().map(|failed| &failed.name);
    let moved = change.started.iter().chain(&change.restarted).chain(failed).any(|moved| moved == name);
    if enabled && !moved && turn.is_at_rest(name) {
        let plan = check(app, app.config(), Some(name)).await?;
        let Moves { restarted, failed, .. } = turn.restart(&plan, name).await.unwrap_or_default();
        change.restarted.extend(restarted);
        change.failed.extend(failed);
    }
    Ok(PluginChanged { status: status(app, name)?, change })
}

async fn restart(app: &App, actor: &Actor, name: &str) -> Result<PluginChanged> {
    let restart = async {
        let turn = app.manager.turn().await;
        if !status(app, name)?.enabled {
            return Err(Error::Conflict(format!("{name} is disabled; `arcuate plugins enable {name}` starts it")));
        }
        let plan = check(app, app.config(), Some(name)).await?;
        let Moves { restarted, failed, .. } = turn.restart(&plan, name).await.unwrap_or_default();
        let change = Reloaded { restarted, failed, warnings: plan.warnings, ..Reloaded::default() };
        Ok(PluginChanged { status: status(app, name)?, change })
    };
    told(
        app,
        actor,
        "plugins.restart",
        name,
        restart,
        |done| json!({ "state": done.status.state, "failed": done.change.failed }),
    )
    .await
}

/// Checks all of it, writes the file if it is to be written, and makes it count.
async fn take_over(app: &App, turn: &Turn<'_>, loaded: Loaded, edit: Option<Edit>) -> Result<Reloaded> {
    let (config, change) = app.config().followed_by(loaded.config);
    let plan = check(app, Arc::new(config.clone()), None).await?;
    if let Some(edit) = edit {
        let path = loaded.origin.clone().unwrap_or_default();
        let failed = move |error| Error::Unavailable(format!("{} cannot be written: {error}", path.display()));
        blocking(move || edit.write().map_err(failed)).await?;
    }
    let Plan { warnings, .. } = &plan;
    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).chain(warnings.clone()).collect();
    count(app, Loaded { config: config.clone(), warnings: loaded.warnings, origin: loaded.origin });
    let Moves { started, restarted, stopped, failed } = turn.apply(plan).await;
    warnings.extend(unrouted(&config, &app.manager));
    let waiting = |(key, why)| Waiting { key, why };
    let needs_restart = change.needs_restart.into_iter().map(waiting).collect();
    Ok(Reloaded { changed: change.changed, restarted, started, stopped, failed, needs_restart, warnings })
}

/// What is kept in another form than the configuration follows it.
fn count(app: &App, loaded: Loaded) {
    app.limits.set(&loaded.config.limits);
    app.queue.set_retries(Retries::of(&loaded.config.queue));
    app.store.warn_when_slow(loaded.config.store.slow);
    app.live.replace(loaded);
}

async fn check(app: &App, config: Arc<Config>, afresh: Option<&str>) -> Result<Plan> {
    let (manager, afresh) = (app.manager.clone(), afresh.map(str::to_owned));
    blocking(move || manager.check(&config, afresh.as_deref()).map_err(Error::Mistakes)).await
}

/// Reads or writes files.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(format!("a change of the configuration: {error}")))?
}

fn status(app: &App, name: &str) -> Result<InstanceStatus> {
    app.manager.state(name).ok_or_else(|| super::plugins::unknown(name))
}

/// What the command line says, too, where no host runs.
pub fn no_file(name: &str, enabled: bool) -> Error {
    Error::Conflict(format!(
        "there is no config.toml to write it to; make one with the lines `[plugins.{name}]` and `enabled = {enabled}`, \
         then run `arcuate reload`"
    ))
}

/// Why the file stays as it is.
pub fn refusal(error: EditError, name: &str) -> Error {
    match error {
        EditError::Mistakes(mistakes) => Error::Mistakes(mistakes),
        EditError::Unknown => Error::NotFound(format!(
            "no plugin instance has the name {name}; `arcuate plugins list` shows those there are, and for a new one \
             `[plugins.{name}]` with `library = \"…\"` belongs into the configuration"
        )),
        EditError::Impossible(text) => Error::Conflict(text),
    }
}

/// The log and the record of deeds hear of it.
async fn told<T>(
    app: &App,
    actor: &Actor,
    action: &'static str,
    subject: &str,
    deed: impl Future<Output = Result<T>>,
    detail: impl Fn(&T) -> serde_json::Value,
) -> Result<T> {
    let Actor { name, origin } = actor;
    let result = app.store.recorded(actor, action, subject, deed).await;
    match &result {
        Ok(done) => {
            let detail = detail(done);
            tracing::info!("{action} {subject} by {name} ({origin}): {detail}");
            app.store.record(Deed::done(actor, action, subject, detail)).await;
        }
        Err(error) => tracing::warn!("{action} {subject} by {name} ({origin}) refused: {error}"),
    }
    result
}
