//! The configuration: defaults, under `config.toml`, under the environment; typed, checked, and every mistake told at
//! once with its place. Nothing else in the host reads the file or the environment.
//!
//! The file is walked by our own reader, which keeps places (`file`, `node`, `written`); each value is checked by the
//! type of its key (`keys`, `check`); then the layers are laid over each other (`layers`). The settings of a plugin stay
//! as written until its schema is at hand (`Instance::resolve_settings`).

mod change;
mod check;
mod edit;
mod environment;
mod file;
mod globs;
mod instances;
mod keys;
mod layers;
mod lines;
mod live;
mod masks;
mod mistake;
mod node;
mod route_fields;
mod routes;
mod schema;
mod secret;
mod sections;
mod sentences;
mod settings;
mod shown;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_environment;
#[cfg(test)]
mod tests_mistakes;
#[cfg(test)]
mod tests_plugins;
#[cfg(test)]
mod tests_settings;
mod text;
mod written;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use change::Change;
pub use edit::{Edit, EditError};
pub use instances::Instance;
pub use live::Live;
pub use mistake::{Mistake, Place};
pub use routes::{Mode, Route, RouteTarget, Trigger};
pub use secret::Secret;
pub use sections::{Auth, AuthMode, Bridge, Durability, Limits, Queue, Server, Store};
pub use settings::looks_secret;
pub use shown::{Keys, Shown};

use mistake::sorted;
use text::Environment;

/// Links that the store's path may lead through.
const LINKS: usize = 16;

/// What is read where no path is given.
const USUAL_FILE: &str = "config.toml";

#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// In order of place.
    pub warnings: Vec<Mistake>,
    /// The file, its path as given; `None`: there is none, and the defaults hold.
    pub origin: Option<PathBuf>,
}

/// The whole configuration. Safe to print: secrets show as `***`, of settings only the keys show.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub auth: Auth,
    pub bridge: Bridge,
    pub limits: Limits,
    pub queue: Queue,
    pub plugins: Plugins,
    /// In the order in which they are tried.
    pub routes: Vec<Route>,
    /// The keys of all sections once more, as they are written and from where.
    pub keys: Keys,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plugins {
    /// `None`: the folder of the executable.
    pub directory: Option<PathBuf>,
    pub start: Duration,
    pub stop: Duration,
    pub restart_base: Duration,
    /// By name, enabled or not.
    pub instances: BTreeMap<String, Instance>,
}

/// Reads the file at `path`, or `./config.toml` if that exists, or takes the defaults; `variables` is the environment
/// (`std::env::vars_os()`). An `Err` holds every mistake of the host's own keys, the routes and the instances' keys.
pub fn load(
    path: Option<&Path>,
    variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Result<Loaded, Vec<Mistake>> {
    let usual = Path::new(USUAL_FILE);
    // A link that leads nowhere is there too: better refused than passed over.
    let path = path.or_else(|| fs::symlink_metadata(usual).is_ok().then_some(usual));
    let text = path.map_or(Ok(String::new()), file::read).map_err(|mistake| vec![mistake])?;
    let loaded = from_text(path.unwrap_or(usual), &text, variables)?;
    Ok(Loaded { origin: path.map(Path::to_owned), ..loaded })
}

/// Like `load`, for a text that is already read; `path` names it in mistakes, and its folder is where relative paths start.
pub fn from_text(
    path: &Path,
    text: &str,
    variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Result<Loaded, Vec<Mistake>> {
    let environment = Environment::new(variables);
    let folder = path.parent().unwrap_or(Path::new(""));
    let tree = file::parse(path, text, &environment).map_err(|mistake| vec![mistake])?;

    let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
    let written = written::walk(&tree, folder, &mut mistakes);
    let known = instances::names(&written.instances);
    let overrides = environment::overrides(&environment, &known, folder, &mut mistakes);
    let instances = instances::build(&written.instances, &overrides, &environment, folder, &mut mistakes);
    let routes = routes::build(written.routes, &instances, &mut mistakes, &mut warnings);
    mistakes.extend(layers::contradictions(&written.layer, &overrides.layer));
    if !mistakes.is_empty() {
        return Err(sorted(mistakes));
    }

    let keys = layers::in_effect(&written.layer, &overrides.layer);
    // All that goes into the layers is checked, so this fails only if a key's type and its field disagree.
    let sections = layers::combined(written.layer, overrides.layer)
        .map_err(|error| vec![Mistake::new(&Place::File(path.display().to_string().into()), error.to_string())])?;
    let config = Config::new(sections, instances, routes, keys, folder);
    Ok(Loaded { config, warnings: sorted(warnings), origin: Some(path.to_owned()) })
}

/// The file that a link leads to, there or not. SQLite puts its own files beside that one, and so everything else is there too.
fn behind_links(mut path: PathBuf) -> PathBuf {
    for _ in 0..LINKS {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    path
}

impl Config {
    fn new(
        sections: sections::Sections,
        mut instances: BTreeMap<String, Instance>,
        routes: Vec<Route>,
        keys: Keys,
        folder: &Path,
    ) -> Self {
        let sections::Sections { server, mut store, auth, bridge, limits, queue, plugins } = sections;
        store.path = behind_links(folder.join(store.path));
        let sections::PluginOptions { directory, start, stop, restart_base } = plugins;
        if auth.mode == AuthMode::Lan {
            instances.values_mut().for_each(Instance::trust_networks);
        }
        let directory = (!directory.as_os_str().is_empty()).then(|| folder.join(directory));
        let plugins = Plugins { directory, start, stop, restart_base, instances };
        Self { server, store, auth, bridge, limits, queue, plugins, routes, keys }
    }

    /// The route that counts for what comes from this instance and platform (both `bridge` for the native bridge).
    pub fn route_for(&self, instance: &str, platform: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.matches(instance, platform))
    }

    /// Whether any route is for rooms or direct messages.
    pub fn has_room_routes(&self) -> bool {
        self.routes.iter().any(|route| route.room().or(route.dm()).is_some())
    }

    /// The route that counts for what is said in the ordinary room of this name.
    pub fn room_route(&self, room: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.room() == Some(room))
    }

    /// The route that counts for direct messages to this name.
    pub fn dm_route(&self, recipient: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.dm() == Some(recipient))
    }

    /// Whether nobody answers what comes from this instance, on any of its platforms.
    pub fn unrouted(&self, instance: &str, platforms: &[String]) -> bool {
        let none = |platform: &str| self.route_for(instance, platform).is_none();
        none(instance) && platforms.iter().all(|platform| none(platform))
    }
}

impl Default for Config {
    /// Without a file and an environment.
    fn default() -> Self {
        match from_text(Path::new(USUAL_FILE), "", [("", ""); 0]) {
            Ok(loaded) => loaded.config,
            Err(mistakes) => unreachable!("the defaults are no mistake: {mistakes:?}"),
        }
    }
}
