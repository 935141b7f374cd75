//! The configuration as operators see it: each key with its value and where that is from. Secrets show as `***`, wherever they stand.

use super::check::Checked;
use super::masks::{MASK, harmless};
use super::mistake::{Mistake, Place};
use super::node::{Entry, Node, Value};
use super::schema::Schema;
use super::settings::{looks_secret, spelled};
use super::{Config, Instance};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// The keys of all sections, in their order. Two are equal when they say the same, wherever it is written.
#[derive(Clone)]
pub struct Keys(pub(super) Vec<Setting>);

#[derive(Clone)]
pub(super) struct Setting {
    /// `server.bind`
    pub key: String,
    pub value: Checked,
    pub place: Place,
    pub is_secret: bool,
}

/// One key, as it may be shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigKey)]
pub struct Shown {
    /// Section and key.
    #[schema(example = "server.bind")]
    pub key: String,
    /// A secret shows as `***`, or as an empty text where there is none.
    #[schema(value_type = serde_json::Value)]
    pub value: Json,
    /// `default`, `file` or `environment`.
    #[schema(example = "file")]
    pub from: &'static str,
    /// Where exactly: file, line and column, or the variable's name.
    #[schema(example = "config.toml:3:8")]
    pub place: String,
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.differing(other).is_empty()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|setting| (&setting.key, setting.shown().value))).finish()
    }
}

impl Keys {
    /// The keys whose values are not the same in both.
    pub(super) fn differing(&self, other: &Self) -> Vec<String> {
        let twins = self.0.iter().zip(&other.0);
        twins.filter(|(one, other)| one.value != other.value).map(|(one, _)| one.key.clone()).collect()
    }

    /// Something to say of a key, at the place of its value.
    pub(super) fn mistake(&self, key: &str, text: String) -> Mistake {
        let place = self.0.iter().find(|setting| setting.key == key).map(|setting| &setting.place);
        Mistake::new(place.unwrap_or(&Place::Defaults), text)
    }

    /// Takes over these keys as they are in `other`.
    pub(super) fn keep(&mut self, other: &Self, which: impl Fn(&str) -> bool) {
        for (own, others) in self.0.iter_mut().zip(&other.0).filter(|(own, _)| which(&own.key)) {
            own.clone_from(others);
        }
    }
}

impl Setting {
    fn shown(&self) -> Shown {
        let value = match &self.value {
            Checked::Text(text) if self.is_secret => masked(text),
            Checked::Text(text) => json!(harmless(text)),
            Checked::Flag(flag) => json!(flag),
            Checked::Whole(number) => json!(number),
            Checked::Number(number) => plain_number(*number),
            Checked::List(items) if self.is_secret => items.iter().map(|item| masked(item)).collect(),
            Checked::List(items) => items.iter().map(|item| harmless(item)).collect(),
        };
        Shown::new(self.key.clone(), value, &self.place)
    }
}

impl Shown {
    fn new(key: String, value: Json, place: &Place) -> Self {
        let from = match place {
            Place::Defaults => "default",
            Place::Variable(_) => "environment",
            Place::File(_) | Place::At { .. } => "file",
        };
        Self { key, value, from, place: place.to_string() }
    }
}

impl Config {
    /// Every key that counts. `schema` gives that of an instance's settings, if it is known.
    pub fn shown(&self, schema: impl Fn(&str) -> Option<Json>) -> Vec<Shown> {
        let mut shown: Vec<_> = self.keys.0.iter().map(Setting::shown).collect();
        for (name, instance) in &self.plugins.instances {
            shown.extend(instance.shown(&schema(name).unwrap_or(Json::Bool(true))));
        }
        shown
    }
}

impl Instance {
    fn shown(&self, schema: &Json) -> Vec<Shown> {
        let table = format!("plugins.{}", self.name);
        let mut shown = vec![
            Shown::new(format!("{table}.enabled"), json!(self.enabled), &self.enabled_at),
            Shown::new(format!("{table}.library"), json!(self.library), &self.place),
        ];
        let schema = Schema::new(schema);
        for entry in &self.settings.0 {
            let (key, value) = setting(entry, &schema);
            shown.push(Shown::new(format!("{table}.settings.{key}"), value, &entry.node.place));
        }
        shown
    }

    /// The settings that count, by key: as they are written, and where nobody wrote one its default. Secrets show as `***`.
    pub fn shown_settings(&self, schema: &Json) -> BTreeMap<String, Json> {
        let schema = Schema::new(schema);
        let default = |key: &str| schema.property(key).default().cloned().unwrap_or_default();
        let defaults = schema.keys().into_iter().map(|key| (key.to_owned(), default(key)));
        defaults.chain(self.settings.0.iter().map(|entry| setting(entry, &schema))).collect()
    }
}

/// A setting by the name that its schema has for it.
fn setting(entry: &Entry, schema: &Schema<'_>) -> (String, Json) {
    let key = spelled(&entry.key, &entry.place, schema);
    let below = schema.property(key);
    (key.into(), value(&entry.node, &below, looks_secret(key) || below.is_secret()))
}

/// A whole number without a point.
pub fn plain_number(number: f64) -> Json {
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    let is_whole = number.fract() == 0.0 && number.abs() < EXACT;
    if is_whole { json!(number as i64) } else { json!(number) }
}

/// As it is written: what a variable holds is nobody's business.
fn value(node: &Node, schema: &Schema<'_>, is_secret: bool) -> Json {
    match &node.value {
        Value::Text(text) if is_secret => masked(&text.written),
        Value::Text(text) => json!(harmless(&text.written)),
        _ if is_secret && !matches!(&node.value, Value::Table(_)) => json!(MASK),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Flag(flag) => json!(flag),
        Value::Date(date) => json!(date),
        Value::List(items) => items.iter().map(|item| value(item, &schema.item(), is_secret)).collect(),
        // `{ file = "path" }` is where a secret is, not the secret.
        Value::Table(table) => {
            let entries = table.0.iter().map(|entry| {
                let below = schema.property(&entry.key);
                let names_file = is_secret && table.0.len() == 1 && entry.key == "file";
                let is_secret = !names_file && (is_secret || looks_secret(&entry.key) || below.is_secret());
                (entry.key.clone(), value(&entry.node, &below, is_secret))
            });
            Json::Object(entries.collect())
        }
    }
}

fn masked(text: &str) -> Json {
    json!(if text.is_empty() { "" } else { MASK })
}

#[cfg(test)]
mod tests {
    use crate::config::from_text;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn shown_masks_secrets_and_says_where_values_are_from() {
        let text = "[bridge]\napi_key = \"hunter2\"\n[plugins.assistant.settings]\nbackend = \"http\"\n\
                    url = \"http://ada:hunter2@agent.example/v1?key=hunter2\"\napi_key = \"hunter2\"\nsecret = \"${PASS}\"\n\
                    servers = [\"https://hunter2@a.example\", \"https://b.example/?key=hunter2\", { url = \"http://c.example/#hunter2\" }]\n\
                    [plugins.assistant.settings.headers]\nauthorization = \"hunter2\"\n";
        let variables =
            [("PASS", "hunter2"), ("ARCUATE__LIMITS__DMS_PER_MINUTE", "7"), ("ARCUATE__AUTH__ADMIN_TOKEN", "hunter2")];
        let shown = from_text(Path::new("c.toml"), text, variables).unwrap().config.shown(|_| None);
        assert!(!format!("{shown:?}").contains("hunter2"), "{shown:#?}");
        let find = |key: &str| shown.iter().find(|shown| shown.key == key).unwrap_or_else(|| panic!("no {key}"));
        let (bind, dms, key) = (find("server.bind"), find("limits.dms_per_minute"), find("bridge.api_key"));
        assert_eq!((bind.value.as_str(), bind.from), (Some("127.0.0.1:8000"), "default"));
        assert_eq!(
            (dms.value.as_u64(), dms.from, &*dms.place),
            (Some(7), "environment", "ARCUATE__LIMITS__DMS_PER_MINUTE")
        );
        assert_eq!((key.value.as_str(), key.from, &*key.place), (Some("***"), "file", "c.toml:2:11"));
        assert_eq!(find("plugins.assistant.settings.backend").value, "http");
        assert_eq!(find("plugins.assistant.settings.url").value, "http://***@agent.example/v1?key=***");
    }

    #[test]
    fn shown_settings_are_those_that_count() {
        let schema = json!({"properties": {"backend": {"type": "string", "default": "echo"}, "history": {"default": 20},
            "phrase": {"type": "string", "writeOnly": true}, "api_key": {"type": "string", "format": "password"}}});
        let variables = [("ARCUATE__PLUGINS__ASSISTANT__SETTINGS__PHRASE", "hunter2")];
        let text = "[plugins.assistant.settings]\nbackend = \"http\"\nurl = \"http://ada:hunter2@h/\"";
        let config = from_text(Path::new("c.toml"), text, variables).unwrap().config;
        let shown = config.plugins.instances["assistant"].shown_settings(&schema);
        let expected =
            json!({"api_key": null, "backend": "http", "history": 20, "phrase": "***", "url": "http://***@h/"});
        assert_eq!(json!(shown), expected);
        let key = "plugins.assistant.settings.phrase";
        assert!(config.shown(|_| Some(schema.clone())).iter().any(|shown| shown.key == key && shown.value == "***"));
    }
}
