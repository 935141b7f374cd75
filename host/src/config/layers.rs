//! The host's own keys from three layers: the defaults, under the file, under the environment. The crate `config`
//! lays them over each other; what goes in is checked already, for that crate would take `"yes"` for true.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ::config::{ConfigError, Map, Source, Value, ValueKind};

use super::check::{Checked, check};
use super::keys::{KEYS, Key, Preset};
use super::mistake::{Mistake, Place, ticked};
use super::node::Node;
use super::sections::Sections;
use super::shown::{Keys, Setting};

/// The keys that one source sets, by their paths (`server.bind`); `None` where the value is a mistake.
#[derive(Clone, Default)]
pub(super) struct Layer(BTreeMap<String, (Option<Checked>, Place)>);

impl Layer {
    /// Sets a key, or tells what is wrong with its value.
    pub(super) fn set(&mut self, key: &Key, node: &Node, folder: &Path, mistakes: &mut Vec<Mistake>) {
        let checked = check(key.name, &key.kind, node, folder).map_err(|wrong| mistakes.extend(wrong)).ok();
        self.0.insert(key.path(), (checked, node.place.clone()));
    }

    fn defaults() -> Self {
        let checked = |key: &Key| match key.default {
            Preset::Text(text) => Checked::Text(text.into()),
            Preset::List(items) => Checked::List(items.iter().map(|item| (*item).into()).collect()),
            Preset::Whole(number) => Checked::Whole(number.into()),
        };
        Self(KEYS.iter().map(|key| (key.path(), (Some(checked(key)), Place::Defaults))).collect())
    }
}

/// Some of the values are secrets.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let value = |checked: &Checked| match checked.clone() {
            Checked::Flag(flag) => ValueKind::Boolean(flag),
            Checked::Whole(number) => ValueKind::I64(number),
            Checked::Number(number) => ValueKind::Float(number),
            Checked::Text(text) => ValueKind::String(text),
            Checked::List(items) => ValueKind::Array(items.into_iter().map(Value::from).collect()),
        };
        let known = |(path, (checked, _)): (&String, &(Option<Checked>, Place))| {
            Some((path.clone(), Value::new(None, value(checked.as_ref()?))))
        };
        Ok(self.0.iter().filter_map(known).collect())
    }
}

/// The sections as they are in effect.
pub(super) fn combined(file: Layer, environment: Layer) -> Result<Sections, ConfigError> {
    let layers = ::config::Config::builder().add_source(Layer::defaults()).add_source(file).add_source(environment);
    layers.build()?.try_deserialize()
}

/// Each key with its value in effect and where that is from.
pub(super) fn in_effect(file: &Layer, environment: &Layer) -> Keys {
    let defaults = Layer::defaults();
    let setting = |key: &Key| {
        let path = key.path();
        let (value, place) = [environment, file, &defaults].into_iter().find_map(|layer| layer.0.get(&path))?;
        Some(Setting { key: path, value: value.clone()?, place: place.clone(), is_secret: key.kind.is_secret() })
    };
    Keys(KEYS.iter().filter_map(setting).collect())
}

/// Pairs of keys that are each right but not together.
pub(super) fn contradictions(file: &Layer, environment: &Layer) -> Vec<Mistake> {
    let defaults = Layer::defaults();
    let in_effect = |path: &str| {
        let (checked, place) = [environment, file, &defaults].into_iter().find_map(|layer| layer.0.get(path))?;
        match checked.as_ref()? {
            Checked::Number(number) => Some((*number, place)),
            Checked::Whole(number) => Some((*number as f64, place)),
            _ => None,
        }
    };
    let (Some((base, at_base)), Some((cap, at_cap))) =
        (in_effect("queue.base_seconds"), in_effect("queue.cap_seconds"))
    else {
        return Vec::new();
    };
    let (low, high) = (ticked("base_seconds"), ticked("cap_seconds"));
    match (base > cap, at_base) {
        (false, _) => Vec::new(),
        // Nobody wrote the base, so the cap is what has to change.
        (true, Place::Defaults) => {
            vec![Mistake::new(at_cap, format!("{high} is {cap}, but {low} is {base}; at least {base} would be right"))]
        }
        (true, _) => {
            vec![Mistake::new(at_base, format!("{low} is {base}, but {high} is {cap}; at most {cap} would be right"))]
        }
    }
}
