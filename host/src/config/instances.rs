//! `[plugins.X]`: the instances of plugins. The tables of the file lie over the default instances, the environment
//! over both. Settings are kept as written: only the plugin's schema can say what they mean (`settings.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::check::{Checked, check};
use super::environment::Overrides;
use super::keys::{INSTANCE_KEYS, Kind};
use super::mistake::{Mistake, Place, instead, nearest, plain, ticked};
use super::node::{Entry, Node, Table, Value};
use super::text::Environment;

/// One configured plugin. Two are equal when they would run alike, wherever that is written.
#[derive(Debug, Clone)]
pub struct Instance {
    pub name: String,
    pub enabled: bool,
    /// The plugin's name, for `lib<library>.so`.
    pub library: String,
    /// Its key in the file, or what else speaks of it first.
    pub place: Place,
    pub(super) enabled_at: Place,
    pub(super) settings: Table,
    /// The table of its settings, if the file has one.
    pub(super) settings_at: Option<Place>,
    /// Where relative paths of secrets start.
    pub(super) folder: PathBuf,
}

impl PartialEq for Instance {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, enabled, library, settings, folder, place: _, enabled_at: _, settings_at: _ } = self;
        (name, *enabled, library) == (&other.name, other.enabled, &other.library)
            && (settings, folder) == (&other.settings, &other.folder)
    }
}

struct Preset {
    name: &'static str,
    enabled: bool,
    library: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

const DEFAULTS: &[Preset] = &[
    Preset { name: "assistant", enabled: true, library: "agent_invoker", settings: &[("backend", "echo")] },
    Preset { name: "web_chat", enabled: false, library: "web_chat", settings: &[] },
    Preset { name: WEBHOOK, enabled: true, library: WEBHOOK, settings: &[] },
];

/// The plugin that posts to webhooks, and the instance that the host gives their deliveries to.
const WEBHOOK: &str = "webhook";

/// Plugins of this version that answer nobody; of others only their manifests can tell.
const NO_AGENTS: &[&str] = &[WEB_CHAT, WEBHOOK];

/// Names that stand for something else wherever an instance can be named.
const RESERVED: &[&str] = &["bridge", "inbox", "directory"];

/// The variables that the first users of the poller have set already. They fill what the configuration leaves out.
const WEB_CHAT: &str = "web_chat";
const WEB_CHAT_VARIABLES: &[(&str, &str)] = &[
    ("WEB_CHAT_API_URL", "api_url"),
    ("WEB_CHAT_API_KEY", "api_key"),
    ("WEB_CHAT_POLL_INTERVAL", "poll_interval"),
    ("WEB_CHAT_MAX_RETRIES", "max_retries"),
    ("WEB_CHAT_RETRY_DELAY", "retry_delay"),
    ("WEB_CHAT_PLUGIN_NAME", "plugin_name"),
    ("WEB_CHAT_PLATFORM_NAME", "platform_name"),
];

/// The names of the instances that the defaults and the file make.
pub(super) fn names<'a>(tables: &[&'a Entry]) -> Vec<&'a str> {
    let mut names: Vec<&str> = DEFAULTS.iter().map(|default| default.name).collect();
    names.extend(tables.iter().map(|entry| entry.key.as_str()));
    names.sort_unstable();
    names.dedup();
    names
}

/// All instances, from the defaults, the file's tables and the environment.
pub(super) fn build(
    tables: &[&Entry],
    overrides: &Overrides,
    environment: &Environment,
    folder: &Path,
    mistakes: &mut Vec<Mistake>,
) -> BTreeMap<String, Instance> {
    let mut instances: BTreeMap<String, Instance> =
        DEFAULTS.iter().map(|default| (default.name.to_owned(), Instance::new(default.name, folder))).collect();
    let written = tables.iter().filter_map(|entry| match &entry.node.value {
        Value::Table(table) => Some((entry.key.as_str(), &entry.place, table)),
        _ => None,
    });
    let from_environment =
        overrides.instances.iter().filter_map(|(name, table)| Some((name.as_str(), &table.0.first()?.place, table)));
    for (name, place, table) in written.chain(from_environment) {
        let instance = instances.entry(name.into()).or_insert_with(|| Instance::new(name, folder));
        if instance.place == Place::Defaults {
            instance.place = place.clone();
            mistakes.extend(wrong_name(name).map(|text| Mistake::new(place, text)));
        }
        instance.lay_over(table, mistakes);
    }
    for instance in instances.values_mut() {
        instance.fill(environment);
    }
    instances
}

impl Instance {
    /// As it is before anything is written about it. A table that somebody writes is meant to run.
    fn new(name: &str, folder: &Path) -> Self {
        let default = DEFAULTS.iter().find(|default| default.name == name);
        Self {
            name: name.into(),
            enabled: default.is_none_or(|default| default.enabled),
            library: default.map_or(name, |default| default.library).into(),
            place: Place::Defaults,
            enabled_at: Place::Defaults,
            settings: Table::default(),
            settings_at: None,
            folder: folder.into(),
        }
    }

    fn lay_over(&mut self, table: &Table, mistakes: &mut Vec<Mistake>) {
        for entry in &table.0 {
            let checked = |kind| check(&entry.key, &kind, &entry.node, &self.folder);
            match (entry.key.as_str(), &entry.node.value) {
                ("enabled", _) => match checked(Kind::Flag) {
                    Ok(value) => {
                        self.enabled = value == Checked::Flag(true);
                        self.enabled_at = entry.node.place.clone();
                    }
                    Err(wrong) => mistakes.extend(wrong),
                },
                ("library", _) => match checked(Kind::Library) {
                    Ok(Checked::Text(library)) => self.library = library,
                    Ok(_) => {}
                    Err(wrong) => mistakes.extend(wrong),
                },
                ("settings", Value::Table(settings)) => {
                    self.settings.merge(settings.clone());
                    if let place @ Place::At { .. } = &entry.node.place {
                        self.settings_at = Some(place.clone());
                    }
                }
                ("settings", other) => {
                    let table = format!("[plugins.{}.settings]", plain(&self.name));
                    let text = format!("`settings` takes a table, {table}, not {}", other.shown());
                    mistakes.push(Mistake::new(&entry.node.place, text));
                }
                (key, _) => mistakes.push(Mistake::new(&entry.place, self.unknown(key))),
            }
        }
    }

    fn unknown(&self, key: &str) -> String {
        let table = format!("plugins.{}", plain(&self.name));
        match nearest(key, INSTANCE_KEYS.iter().copied()) {
            Some(_) => format!("unknown key {} in [{table}]{}", ticked(key), instead(key, INSTANCE_KEYS)),
            None => {
                format!("unknown key {} in [{table}]; settings of the plugin stand in [{table}.settings]", ticked(key))
            }
        }
    }

    /// Puts in the settings that nobody wrote. Another library than the default one would not know them.
    fn fill(&mut self, environment: &Environment) {
        let Some(default) = DEFAULTS.iter().find(|it| it.name == self.name && it.library == self.library) else {
            return;
        };
        let mut fill = |key: &str, node| {
            if self.settings.get(key).is_none() {
                self.settings.set(&[key.into()], node);
            }
        };
        default.settings.iter().for_each(|(key, value)| fill(key, Node::default_text(value)));
        for (name, key) in WEB_CHAT_VARIABLES.iter().filter(|_| default.name == WEB_CHAT) {
            // Set to nothing is how a compose file says that it is not set.
            if let Some(value) = environment.get(name).ok().filter(|value| !value.is_empty()) {
                fill(key, Node::variable(name, Ok(value)));
            }
        }
    }

    /// Whether a route may lead here, as far as its library's name tells.
    pub(super) fn may_be_agent(&self) -> bool {
        !NO_AGENTS.contains(&self.library.as_str())
    }

    /// What a plugin says of a setting (`delay_ms: it must be …`), with the place of that setting if somebody wrote it.
    pub fn located(&self, text: &str) -> String {
        let setting = text.split_once(": ").and_then(|(key, _)| self.settings.get(key));
        match setting.map(|entry| &entry.node.place) {
            None | Some(Place::Defaults) => text.into(),
            Some(place) => format!("{place}: {text}"),
        }
    }

    /// Takes back what `trust_networks` gave.
    pub(super) fn distrust_networks(&mut self) {
        self.settings.0.retain(|entry| entry.key != "allow_networks" || entry.place != Place::Defaults);
    }

    /// Where everybody on the network is trusted, whoever makes a webhook may have it call that network, unless somebody wrote otherwise.
    pub(super) fn trust_networks(&mut self) {
        if self.library == WEBHOOK && self.settings.get("allow_networks").is_none() {
            self.settings.set(&["allow_networks".into()], Node::default_list(&["loopback", "private"]));
        }
    }
}

/// What is wrong with an instance's name.
fn wrong_name(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("`{name}` is taken and cannot name an instance; another name would be right"));
    }
    if is_name(name) {
        return None;
    }
    let likely: String = name.to_lowercase().replace(['-', ' ', '.'], "_");
    let likely = if is_name(&likely) { likely.as_str() } else { "web_chat" };
    Some(format!(
        "{} cannot name an instance; up to 32 of a-z, 0-9 and _, a letter first, such as `{likely}`, would be right",
        ticked(name)
    ))
}

pub(super) fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 32 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(word)
}
