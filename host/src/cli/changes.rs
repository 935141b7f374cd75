//! `arcuate reload` and `plugins enable|disable|restart`: asked of the running host; enabling and disabling also without one, in the file
//! alone.

use super::client::Client;
use super::plugins_view;
use super::session::{AtRest, Found, find};
use super::view::{View, encoded};
use crate::admin::reload::{no_file, refusal};
use crate::admin::{at_the_command_line, plugins};
use crate::config::{Config, Edit, Loaded, Mistake};
use crate::error::{Error, Result};
use crate::plugins::{Problem, inspect_all};
use crate::store::Deed;
use serde_json::{Value, json};
use std::time::Duration;

/// What a deed may take beyond the instances' own deadlines.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn reload(loaded: &Loaded, view: &View) -> Result<String> {
    let host = host(&loaded.config).await?;
    let answer = host.post("reload", &json!({})).await?;
    Ok(if view.json { View::json(&answer) } else { plugins_view::reloaded(&answer) })
}

pub(super) async fn restart(name: &str, loaded: &Loaded, view: &View) -> Result<String> {
    let host = host(&loaded.config).await?;
    let answer = host.post(&format!("plugins/{}/restart", encoded(name)), &json!({})).await?;
    Ok(told(&answer, view))
}

pub(super) async fn set_enabled(name: &str, enabled: bool, loaded: &Loaded, view: &View) -> Result<String> {
    let verb = if enabled { "enable" } else { "disable" };
    match find(&loaded.config).await? {
        Found::Host(host) => {
            let path = format!("plugins/{}/{verb}", encoded(name));
            let answer = host.with_patience(patience(&loaded.config)).post(&path, &json!({})).await?;
            Ok(told(&answer, view))
        }
        Found::NoStore => at_rest(name, enabled, loaded, view),
        Found::Rest(lock) => {
            let result = at_rest(name, enabled, loaded, view);
            let actor = at_the_command_line();
            let action = if enabled { "plugins.enable" } else { "plugins.disable" };
            let deed = match &result {
                Ok(_) => Deed::done(&actor, action, name, json!({})),
                Err(error) => Deed::refused(&actor, action, name, &error.to_string()),
            };
            AtRest::record(&loaded.config, lock, deed).await;
            result
        }
    }
}

/// Changes the file, and nothing else.
fn at_rest(name: &str, enabled: bool, loaded: &Loaded, view: &View) -> Result<String> {
    let path = loaded.origin.as_deref().ok_or_else(|| no_file(name, enabled))?;
    let edit = Edit::enabled(path, name, enabled, std::env::vars_os()).map_err(|error| refusal(error, name))?;
    let config = &edit.loaded.config;
    if let Some(problem) = inspect_all(&config.plugins)
        .into_iter()
        .filter(|found| enabled && found.name == name)
        .find_map(|found| found.problem)
    {
        return Err(match problem {
            Problem::Settings(mistakes) => Error::Mistakes(mistakes),
            Problem::Library(text) => Error::Mistakes(library_mistake(config, name, &text)),
        });
    }
    edit.write().map_err(|error| Error::Unavailable(format!("{} cannot be written: {error}", path.display())))?;
    if view.json {
        let mut shown = plugins::show_at_rest(config, name)?;
        for list in ["restarted", "started", "stopped", "needs_restart", "warnings"] {
            shown[list] = json!([]);
        }
        shown["changed"] = if edit.is_new() { json!([format!("plugins.{name}")]) } else { json!([]) };
        return Ok(View::json(&shown));
    }
    let (how, file) = (if enabled { "enabled" } else { "disabled" }, path.display());
    let already = if edit.is_new() { "" } else { "already " };
    Ok(format!("{name} is {already}{how} in {file}; no host runs, so nothing else changed\n"))
}

/// In the words of `check`.
fn library_mistake(config: &Config, name: &str, text: &str) -> Vec<Mistake> {
    let instance = config.plugins.instances.get(name);
    instance.map(|instance| Mistake::new(&instance.place, format!("plugin {name}: {text}"))).into_iter().collect()
}

async fn host(config: &Config) -> Result<Client> {
    match find(config).await? {
        Found::Host(host) => Ok(host.with_patience(patience(config))),
        Found::Rest(_) | Found::NoStore => Err(Error::Unavailable(format!(
            "no host runs with the store {}; its next start reads the configuration as it is then",
            config.store.path.display()
        ))),
    }
}

/// Instances may take their time to stop, to be put away, and to start.
fn patience(config: &Config) -> Duration {
    config.plugins.start + 2 * config.plugins.stop + PATIENCE
}

fn told(answer: &Value, view: &View) -> String {
    if view.json { View::json(answer) } else { plugins_view::changed(answer) }
}
