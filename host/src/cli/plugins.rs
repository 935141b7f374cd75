//! `arcuate plugins`: instances as the running host has them, or, without one, as a start would find them. For that no store is needed.

use super::args::Plugins;
use super::changes;
use super::plugins_view;
use super::report::Report;
use super::session::{AtRest, Desk, Found, find};
use super::view::{View, encoded};
use crate::admin::plugins;
use crate::config::{Config, Loaded};
use crate::error::Result;
use serde_json::{Value, json};

const NOT_RUNNING: &str = "no host runs: this is what a start would find\n";

pub(super) async fn run(command: &Plugins, loaded: &Loaded, view: &View) -> Result<Report> {
    let config = &loaded.config;
    match command {
        Plugins::List { all } => list(*all, config, view).await.map(Report::from),
        Plugins::Show { name } => show(name, config, view).await.map(Report::from),
        Plugins::Enable(named) => changes::set_enabled(&named.name, true, loaded, view).await,
        Plugins::Disable(named) => changes::set_enabled(&named.name, false, loaded, view).await,
        Plugins::Restart(named) => changes::restart(&named.name, loaded, view).await,
    }
}

async fn list(all: bool, config: &Config, view: &View) -> Result<String> {
    let found = find(config).await?;
    let listed = match &found {
        Found::Host(host) if all => host.get("plugins?all=true").await?,
        Found::Host(host) => host.get("plugins").await?,
        Found::Rest(_) | Found::NoStore => plugins::list_at_rest(config, all)?,
    };
    if view.json {
        return Ok(View::json(&listed));
    }
    let remark = if matches!(found, Found::Host(_)) { "" } else { NOT_RUNNING };
    Ok(plugins_view::list(&listed, view) + remark)
}

async fn show(name: &str, config: &Config, view: &View) -> Result<String> {
    let found = find(config).await?;
    let running = matches!(found, Found::Host(_));
    let shown = match found {
        Found::Host(host) => host.get(&format!("plugins/{}", encoded(name))).await?,
        Found::NoStore => {
            let mut shown = plugins::show_at_rest(config, name)?;
            shown["queue"] = json!({});
            shown
        }
        Found::Rest(lock) => {
            let mut shown = plugins::show_at_rest(config, name)?;
            let rest = AtRest::open(config, lock)?;
            let jobs = plugins::jobs(&rest.store, name).await;
            Desk::Rest(rest).close().await;
            if let (Value::Object(shown), Value::Object(jobs)) = (&mut shown, jobs?) {
                shown.extend(jobs);
            }
            shown
        }
    };
    if view.json {
        return Ok(View::json(&shown));
    }
    Ok(plugins_view::show(&shown, view) + if running { "" } else { NOT_RUNNING })
}
