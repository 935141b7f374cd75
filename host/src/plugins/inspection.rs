//! What can be said of the configured instances without running any code of theirs: for the start of the host, and for `check` and
//! `plugins list`, which say the same without one.

use super::directory::{self, Other};
use super::library::Library;
use crate::config::{Instance, Mistake, Plugins};
use plugin_api::Manifest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

/// One instance, as it would start.
#[derive(Debug)]
pub struct Inspection {
    pub name: String,
    pub library: String,
    pub enabled: bool,
    /// None if it cannot be read.
    pub manifest: Option<Manifest>,
    pub problem: Option<Problem>,
}

/// Why an instance cannot run.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// Its library is missing, broken or for another host: it would be Rejected.
    Library(String),
    /// It would be Failed.
    Settings(Vec<Mistake>),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(text) => f.write_str(text),
            Self::Settings(mistakes) => {
                let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
                f.write_str(&mistakes.join("; "))
            }
        }
    }
}

/// Checks every instance of the config, enabled or not, by name.
pub fn inspect_all(config: &Plugins) -> Vec<Inspection> {
    let checked = check_all(config, &Known::default()).into_iter().map(|checked| Inspection {
        name: checked.instance.name.clone(),
        library: checked.instance.library.clone(),
        enabled: checked.instance.enabled,
        manifest: checked.library.manifest().ok().cloned(),
        problem: checked.settings.err(),
    });
    checked.collect()
}

/// The libraries in the plugin directory that no instance names, by path.
pub fn inspect_others(config: &Plugins) -> io::Result<Vec<Other>> {
    let named: Vec<_> = config.instances.values().map(|instance| instance.library.as_str()).collect();
    directory::others(&directory::resolve(config.directory.as_deref()), &named)
}

/// An instance with its library, and its settings if it can run.
pub(super) struct Checked<'c> {
    pub instance: &'c Instance,
    pub library: Arc<Library>,
    pub settings: Result<Value, Problem>,
}

/// What is known already when a configuration is checked.
#[derive(Default)]
pub(super) struct Known {
    /// Looked at anew only if their files changed.
    pub libraries: BTreeMap<String, Arc<Library>>,
    /// Instances that run: of those that share a library for one alone, they are the one.
    pub running: BTreeSet<String>,
}

pub(super) fn check_all<'c>(config: &'c Plugins, known: &Known) -> Vec<Checked<'c>> {
    let directory = directory::resolve(config.directory.as_deref());
    let find = |name: &str| match known.libraries.get(name) {
        Some(library) => library.renewed(&directory),
        None => Library::find(&directory, name).into(),
    };
    let mut libraries: BTreeMap<&str, Arc<Library>> = BTreeMap::new();
    let users = first_users(config, &known.running);
    let checked = config.instances.values().map(|instance| {
        let name = instance.library.as_str();
        let library = libraries.entry(name).or_insert_with(|| find(name)).clone();
        let other_user = users.get(name).copied().filter(|first| instance.enabled && *first != instance.name);
        let settings = settings(instance, &library, other_user);
        Checked { instance, library, settings }
    });
    checked.collect()
}

/// Who has each library, where it cannot be had twice: whoever runs, else the one that is called like it, else the first by name.
fn first_users<'c>(config: &'c Plugins, running: &BTreeSet<String>) -> BTreeMap<&'c str, &'c str> {
    let mut enabled: Vec<_> = config.instances.values().filter(|instance| instance.enabled).collect();
    enabled.sort_by_key(|instance| (!running.contains(&instance.name), instance.name != instance.library));
    // The first is written last.
    enabled.iter().rev().map(|instance| (instance.library.as_str(), instance.name.as_str())).collect()
}

fn settings(instance: &Instance, library: &Library, other_user: Option<&str>) -> Result<Value, Problem> {
    let manifest = library.manifest().map_err(|text| Problem::Library(text.into()))?;
    if let Some(other) = other_user.filter(|_| !manifest.multi_instance) {
        let name = &instance.library;
        return Err(Problem::Library(format!(
            "`{name}` cannot run twice, and `{other}` is an instance of it already; disable one of the two"
        )));
    }
    // What is not to run may be half written.
    if !instance.enabled {
        return Ok(Value::Null);
    }
    // A manifest without a schema asks for nothing.
    let anything = Value::Bool(true);
    let schema = if manifest.settings.is_null() { &anything } else { &manifest.settings };
    instance.resolve_settings(schema).map_err(Problem::Settings)
}

/// A sentence for each library, and for the folder of all, that others could change and so run code in the host.
pub fn open_to_others(config: &Plugins) -> Vec<String> {
    let directory = directory::resolve(config.directory.as_deref());
    let checked = check_all(config, &Known::default());
    let libraries = checked.iter().filter(|checked| checked.instance.enabled).map(|checked| checked.library.path());
    let mut paths: Vec<_> = libraries.chain([directory]).collect();
    paths.sort();
    paths.dedup();
    directory::warnings(paths.iter().map(AsRef::as_ref))
}
