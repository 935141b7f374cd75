//! `ARCUATE__…`: the environment's say in the configuration. `ARCUATE__SERVER__BIND` is `bind` in `[server]`,
//! `ARCUATE__PLUGINS__WEB_CHAT__SETTINGS__API_URL` a setting of a plugin. All values are texts, taken as they are.

use std::collections::BTreeMap;
use std::path::Path;

use super::keys::{INSTANCE_KEYS, KEYS};
use super::layers::Layer;
use super::mistake::{Mistake, Place, instead, nearest, plain};
use super::node::{Node, Table, Value};
use super::text::Environment;

const PREFIX: &str = "ARCUATE__";
const PLUGINS: &str = "ARCUATE__PLUGINS__";
/// Tables within tables that a variable's name may lead through.
const DEEPEST: usize = 16;

/// What the environment sets.
#[derive(Default)]
pub(super) struct Overrides {
    pub layer: Layer,
    /// For an instance's name a table like the one that the file would have.
    pub instances: BTreeMap<String, Table>,
}

/// Reads every `ARCUATE__` variable; `known` are the instances there are without it.
pub(super) fn overrides(
    environment: &Environment,
    known: &[&str],
    folder: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Overrides {
    let mut overrides = Overrides::default();
    for name in environment.names(PREFIX) {
        let node = Node::variable(name, environment.get(name));
        let file_of = name.strip_suffix("__FILE");
        if let Some(key) = KEYS.iter().find(|key| key.variable() == name) {
            overrides.layer.set(key, &node, folder, mistakes);
        } else if let Some(key) = KEYS.iter().find(|key| key.kind.is_secret() && Some(&*key.variable()) == file_of) {
            let mut table = Table::default();
            let place = node.place.clone();
            table.set(&["file".into()], node);
            overrides.layer.set(key, &Node { place, value: Value::Table(table) }, folder, mistakes);
        } else if let Some((instance, path)) = name.strip_prefix(PLUGINS).and_then(|rest| of_instance(rest, known)) {
            overrides.instances.entry(instance).or_default().set(&path, node);
        } else {
            mistakes.push(Mistake::new(&Place::Variable(plain(name).into()), unknown(name, known)));
        }
    }
    mistakes.extend(strangers(&overrides.instances, known));
    overrides
}

/// The instance and the path of keys in it. Two underscores part the keys, but a known name may hold such a pair.
fn of_instance(rest: &str, known: &[&str]) -> Option<(String, Vec<String>)> {
    let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if !rest.bytes().all(upper) {
        return None;
    }
    let after = |name: &&&str| rest.strip_prefix(&name.to_uppercase())?.strip_prefix("__");
    let longest = known.iter().filter(|name| after(name).is_some()).max_by_key(|name| name.len());
    let (instance, path) = match longest {
        Some(name) => (name.to_string(), after(&name)?),
        None => rest.split_once("__").map(|(name, path)| (name.to_lowercase(), path))?,
    };
    let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    let right = match path.as_slice() {
        [key] => key == "enabled" || key == "library",
        [settings, deeper @ ..] => {
            settings == "settings" && deeper.len() <= DEEPEST && deeper.iter().all(|key| !key.is_empty())
        }
        [] => false,
    };
    right.then_some((instance, path))
}

/// An instance that only the environment knows is a slip, unless it says which library to take.
fn strangers(instances: &BTreeMap<String, Table>, known: &[&str]) -> Vec<Mistake> {
    let stranger = |(name, table): (&String, &Table)| {
        if known.contains(&name.as_str()) || table.get("library").is_some() {
            return None;
        }
        let variable = format!("{PLUGINS}{}__LIBRARY", name.to_uppercase());
        let hint = match nearest(name, known.iter().copied()) {
            Some(_) => instead(name, known),
            None => format!("{}; `{variable}` would make one", instead(name, known)),
        };
        Some(Mistake::new(&table.0.first()?.place, format!("there is no instance `{}`{hint}", plain(name))))
    };
    instances.iter().filter_map(stranger).collect()
}

fn unknown(name: &str, known: &[&str]) -> String {
    let upper = name.to_uppercase();
    let mut names: Vec<String> = KEYS.iter().map(super::keys::Key::variable).collect();
    let instance_keys = INSTANCE_KEYS.iter().map(|key| key.to_uppercase());
    names.extend(
        instance_keys
            .flat_map(|key| known.iter().map(move |name| (name.to_uppercase(), key.clone())))
            .map(|(name, key)| format!("{PLUGINS}{name}__{key}")),
    );
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if upper == format!("{PREFIX}ROUTES") || upper.starts_with(&format!("{PREFIX}ROUTES__")) {
        "routes are not taken from the environment; [[routes]] in the file would be right".into()
    } else if upper.ends_with("__SETTINGS") {
        format!("settings are set one by one; a name such as `{}__API_URL` would be right", plain(&upper))
    } else if let Some(near) = nearest(name, names) {
        format!("unknown variable; did you mean `{near}`?")
    } else {
        "unknown variable; `ARCUATE__<SECTION>__<KEY>`, such as `ARCUATE__SERVER__BIND`, would be right".into()
    }
}
