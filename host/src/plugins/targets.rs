//! Routes lead to agents. Which plugin is one stands in its manifest, so this is checked where manifests are read: a turn given to anything
//! else would be a dead letter. Nothing is said of a library that cannot be read; that is told as it is.

use super::directory;
use crate::config::{Config, Mistake, Place, RouteTarget};
use plugin_api::{Manifest, Role};
use std::collections::BTreeMap;

/// A mistake for each target of a route that is an instance of something else than an agent. `manifest`: of an instance, if it can be read.
pub fn wrong_targets<'m>(config: &Config, manifest: impl Fn(&str) -> Option<&'m Manifest>) -> Vec<Mistake> {
    let is_agent = |name: &str| Some(manifest(name)?.roles.contains(&Role::Agent));
    let instances = &config.plugins.instances;
    let agents: Vec<_> = instances.keys().filter(|name| is_agent(name) == Some(true)).map(String::as_str).collect();
    let mut mistakes = Vec::new();
    for route in &config.routes {
        let RouteTarget::Agents(names) = &route.to else { continue };
        for (name, place) in names.iter().zip(&route.to_places).filter(|(name, _)| is_agent(name) == Some(false)) {
            let Some(instance) = instances.get(name) else { continue };
            // Of the default route nobody knows the place; what made its target something else stands somewhere.
            let place = if *place == Place::Defaults { &instance.place } else { place };
            let right = match &agents[..] {
                [] => "inbox".into(),
                agents => format!("{} or inbox", agents.join(", ")),
            };
            let library = &instance.library;
            let text = format!("`to` = \"{name}\", but its plugin `{library}` is no agent; {right} would be right");
            mistakes.push(Mistake::new(place, text));
        }
    }
    mistakes
}

/// The same before any library is known.
pub fn wrong_targets_at_rest(config: &Config) -> Vec<Mistake> {
    let folder = directory::resolve(config.plugins.directory.as_deref());
    let mut manifests: BTreeMap<&str, Option<Manifest>> = BTreeMap::new();
    for instance in config.plugins.instances.values() {
        let library = instance.library.as_str();
        manifests.entry(library).or_insert_with(|| directory::find(&folder, library).ok());
    }
    wrong_targets(config, |name| manifests.get(config.plugins.instances.get(name)?.library.as_str())?.as_ref())
}
