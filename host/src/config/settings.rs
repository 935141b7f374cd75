//! An instance's settings against the schema of its plugin: texts from the environment take the type of their key,
//! secrets come out of their files, and what the schema forbids becomes a mistake with its place (`sentences.rs`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Number, Value as Json};
use url::Url;

use super::check::{meant, number, split};
use super::instances::Instance;
use super::mistake::{Mistake, Place, plain, sorted};
use super::node::{Node, Table, Text, Value};
use super::schema::Schema;
use super::secret;
use super::sentences::sentences;

/// What is known of one value, for the sentences about it. The key of the map is its JSON Pointer.
pub(super) struct Spot<'s> {
    /// `` `peers[0].url` ``
    pub label: String,
    /// The place of its key.
    pub key: Place,
    pub place: Place,
    /// The value, unless it is a secret.
    pub shown: String,
    pub schema: Schema<'s>,
}

pub(super) type Spots<'s> = BTreeMap<String, Spot<'s>>;

impl Instance {
    /// The settings as the plugin gets them, checked against the schema of its manifest, formats included. Keys that
    /// nobody set stay out, for the plugin knows its defaults. Files of secrets are read anew each time.
    pub fn resolve_settings(&self, schema: &Json) -> Result<Json, Vec<Mistake>> {
        // A plugin that describes no settings takes any.
        let schema = if schema.is_null() { &Json::Bool(true) } else { schema };
        let formats = jsonschema::options().should_validate_formats(true).with_format("uri", is_full_url);
        let validator = formats.build(schema).map_err(|error| {
            let text =
                format!("the schema of `{}` for its settings is no JSON Schema: {}", self.library, error.masked());
            vec![Mistake::new(&self.place, text)]
        })?;
        let mut resolver =
            Resolver { instance: self, spots: Spots::new(), broken: BTreeSet::new(), mistakes: Vec::new() };
        let settings = resolver.root(Schema::new(schema));
        let Resolver { spots, broken, mut mistakes, .. } = resolver;
        mistakes.extend(sentences(validator.iter_errors(&settings), &spots, &broken));
        if mistakes.is_empty() { Ok(settings) } else { Err(sorted(mistakes)) }
    }
}

struct Resolver<'i, 's> {
    instance: &'i Instance,
    spots: Spots<'s>,
    /// The values whose own mistake is told already.
    broken: BTreeSet<String>,
    mistakes: Vec<Mistake>,
}

/// Where the resolver stands.
struct At<'s> {
    pointer: String,
    /// `peers[0].url`; empty at the root.
    label: String,
    secret: bool,
    schema: Schema<'s>,
}

impl<'s> Resolver<'_, 's> {
    fn root(&mut self, schema: Schema<'s>) -> Json {
        let place = self.instance.settings_at.as_ref().unwrap_or(&self.instance.place).clone();
        let at = At { pointer: String::new(), label: String::new(), secret: false, schema: schema.clone() };
        let label = format!("[plugins.{}.settings]", self.instance.name);
        let spot = Spot { label, key: self.instance.place.clone(), place, shown: "a table".into(), schema };
        self.spots.insert(String::new(), spot);
        self.table(&self.instance.settings, &at)
    }

    fn value(&mut self, node: &Node, key: &Place, at: &At<'s>) -> Json {
        let empty = matches!(&node.value, Value::Text(text) if text.meant.as_ref().is_ok_and(String::is_empty));
        let shown = if at.secret && !empty { node.value.kind().into() } else { node.value.shown() };
        let label = format!("`{}`", at.label);
        let spot = Spot { label, key: key.clone(), place: node.place.clone(), shown, schema: at.schema.clone() };
        self.spots.insert(at.pointer.clone(), spot);
        match &node.value {
            Value::Text(text) => self.text(node, text, at),
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => self.float(node, *number, at),
            Value::Flag(flag) => (*flag).into(),
            Value::Date(date) => date.clone().into(),
            Value::List(items) => self.list(items, at),
            Value::Table(table) if at.schema.is_secret() && secret::file_of(table).is_some() => {
                match secret::read(&at.label, table, &self.instance.folder) {
                    Ok(secret) => secret.into(),
                    Err(wrong) => self.broken(wrong, at),
                }
            }
            Value::Table(table) => self.table(table, at),
        }
    }

    fn text(&mut self, node: &Node, text: &Text, at: &At<'s>) -> Json {
        let meant = match meant(node, text) {
            Ok(meant) => meant,
            Err(wrong) => return self.broken(wrong, at),
        };
        let types = at.schema.types();
        if !text.typeless || types.is_empty() || types.contains("string") {
            return meant.into();
        }
        let whole = || types.contains("integer").then(|| meant.parse::<i64>().ok().map(Json::from)).flatten();
        let fraction = || types.contains("number").then(|| number(&meant).map(Json::from)).flatten();
        let flag = || types.contains("boolean").then(|| meant.parse::<bool>().ok().map(Json::from)).flatten();
        match whole().or_else(fraction).or_else(flag) {
            Some(value) => value,
            None if types.contains("array") => {
                let mut items = split(node, text, &meant);
                for item in &mut items {
                    if let Value::Text(text) = &mut item.value {
                        text.typeless = true;
                    }
                }
                self.list(&items, at)
            }
            None => meant.into(),
        }
    }

    /// TOML's 5.0 is no whole number, though JSON Schema would let it pass for one and the plugin would not.
    fn float(&mut self, node: &Node, number: f64, at: &At<'s>) -> Json {
        let types = at.schema.types();
        let whole = types.contains("integer") && !types.contains("number");
        match Number::from_f64(number).filter(|_| !whole) {
            Some(number) => Json::Number(number),
            None => {
                let expected = at.schema.expected().unwrap_or_else(|| "a finite number".into());
                let shown = if at.secret { node.value.kind().into() } else { node.value.shown() };
                let text = format!("`{}` takes {expected}, not {shown}", at.label);
                self.broken(vec![Mistake::new(&node.place, text)], at)
            }
        }
    }

    fn list(&mut self, items: &[Node], at: &At<'s>) -> Json {
        let item = |(index, node): (usize, &Node)| {
            let below = At {
                pointer: format!("{}/{index}", at.pointer),
                label: format!("{}[{index}]", at.label),
                secret: at.secret,
                schema: at.schema.item(),
            };
            self.value(node, &node.place, &below)
        };
        items.iter().enumerate().map(item).collect::<Vec<_>>().into()
    }

    fn table(&mut self, table: &Table, at: &At<'s>) -> Json {
        let mut values = serde_json::Map::new();
        for entry in &table.0 {
            let key = spelled(&entry.key, &entry.place, &at.schema);
            let schema = at.schema.property(key);
            let dot = if at.label.is_empty() { "" } else { "." };
            let below = At {
                pointer: format!("{}/{}", at.pointer, key.replace('~', "~0").replace('/', "~1")),
                label: format!("{}{dot}{}", at.label, plain(key)),
                secret: at.secret || looks_secret(key) || schema.is_secret(),
                schema,
            };
            values.insert(key.into(), self.value(&entry.node, &entry.place, &below));
        }
        values.into()
    }

    fn broken(&mut self, wrong: Vec<Mistake>, at: &At<'s>) -> Json {
        self.mistakes.extend(wrong);
        self.broken.insert(at.pointer.clone());
        Json::Null
    }
}

/// The environment knows no lower case: its key is the schema's that differs by that alone.
fn spelled<'k>(key: &'k str, place: &Place, schema: &Schema<'k>) -> &'k str {
    let alike = |known: &&str| known.eq_ignore_ascii_case(key);
    match place {
        Place::Variable(_) => schema.keys().into_iter().find(alike).unwrap_or(key),
        _ => key,
    }
}

/// Whether a key names something that should not be shown, whatever its schema says.
pub fn looks_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["key", "token", "secret", "password", "passphrase", "authorization", "credential"]
        .iter()
        .any(|word| key.contains(word))
}

/// The standard's URI may be `localhost:80` or `mailto:a`; a setting wants something that one can connect to.
fn is_full_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some()
        && !text.contains(char::is_whitespace)
        && Url::parse(text).is_ok_and(|url| Some(url.scheme()) == scheme.map(str::to_lowercase).as_deref())
}
