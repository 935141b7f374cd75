//! Values as they were written, each with its place: what the file and the environment have in common before anything
//! is checked. Texts have their `${NAME}` put in already; what is wrong with one waits until somebody reads it.

use std::fmt;
use std::sync::Arc;

use toml_edit::{Item, TableLike};

use super::lines::Lines;
use super::masks::harmless;
use super::mistake::{Place, quoted};
use super::text::{self, Environment};

/// Two nodes are equal when they mean the same, wherever they stand.
#[derive(Clone)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Text(Text),
    Integer(i64),
    Float(f64),
    Flag(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

#[derive(Clone)]
pub(super) struct Text {
    /// As in the file: what messages may show, for a variable may hold a secret.
    pub written: String,
    /// With its variables, or what is wrong with them.
    pub meant: Result<String, Vec<String>>,
    /// It comes from the environment as a whole, where all is text: the type of its key decides what it means.
    pub typeless: bool,
}

#[derive(Clone, Default)]
pub(super) struct Table(pub Vec<Entry>);

#[derive(Clone)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Node {
    /// The value of an environment variable, taken as it is.
    pub(super) fn variable(name: &str, value: Result<&str, String>) -> Self {
        let meant = value.map(str::to_owned).map_err(|wrong| vec![wrong]);
        let text = Text { written: meant.clone().unwrap_or_default(), meant, typeless: true };
        Self { place: Place::Variable(name.into()), value: Value::Text(text) }
    }

    /// A value that is built in.
    pub(super) fn default_text(value: &str) -> Self {
        let text = Text { written: value.into(), meant: Ok(value.into()), typeless: false };
        Self { place: Place::Defaults, value: Value::Text(text) }
    }

    pub(super) fn default_list(values: &[&str]) -> Self {
        let values = values.iter().map(|value| Self::default_text(value)).collect();
        Self { place: Place::Defaults, value: Value::List(values) }
    }
}

impl Value {
    /// The value, as messages show it: they go to logs and to the record of deeds.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => quoted(&harmless(&text.written)),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) if number.is_nan() => "nan".into(),
            Self::Float(number) => format!("{number:?}"),
            Self::Flag(flag) => flag.to_string(),
            Self::Date(date) => date.clone(),
            Self::List(_) | Self::Table(_) => self.kind().into(),
        }
    }

    /// What sort of value it is, for where the value itself is nobody's business.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// Lays `over` over this table: its values win, tables are merged. The environment knows no lower case, so keys
    /// meet regardless of it.
    pub(super) fn merge(&mut self, over: Self) {
        if self.0.is_empty() {
            *self = over;
            return;
        }
        for entry in over.0 {
            match self.0.iter_mut().find(|known| known.key.eq_ignore_ascii_case(&entry.key)) {
                None => self.0.push(entry),
                Some(known) => match (&mut known.node.value, entry.node.value) {
                    (Value::Table(under), Value::Table(over)) => under.merge(over),
                    (_, value) => {
                        known.place = entry.place;
                        known.node = Node { place: entry.node.place, value };
                    }
                },
            }
        }
    }

    /// Sets a value at a path of keys, making the tables on the way.
    pub(super) fn set(&mut self, path: &[String], node: Node) {
        let Some((key, deeper)) = path.split_last() else { return };
        let place = node.place.clone();
        let entry = |key: &String, node| Entry { key: key.clone(), place: place.clone(), node };
        let mut inner = Self(vec![entry(key, node)]);
        for key in deeper.iter().rev() {
            inner = Self(vec![entry(key, Node { place: place.clone(), value: Value::Table(inner) })]);
        }
        self.merge(inner);
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        (&self.meant, self.typeless) == (&other.meant, other.typeless)
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        let same = |entry: &Entry| other.get(&entry.key).is_some_and(|twin| twin.node == entry.node);
        self.0.len() == other.0.len() && self.0.iter().all(same)
    }
}

/// Settings may hold secrets, and only a plugin's schema tells which.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|entry| &entry.key)).finish()
    }
}

/// Makes nodes of a parsed file.
pub(super) struct Reader<'a> {
    pub file: Arc<str>,
    pub lines: Lines<'a>,
    pub environment: &'a Environment,
}

impl Reader<'_> {
    pub(super) fn place(&self, offset: usize) -> Place {
        let (line, column) = self.lines.at(offset);
        Place::At { file: self.file.clone(), line, column }
    }

    pub(super) fn table(&self, table: &dyn TableLike) -> Table {
        let entry = |(key, item): (&str, &Item)| {
            let place = match table.key(key).and_then(toml_edit::Key::span) {
                Some(span) => self.place(span.start),
                None => Place::File(self.file.clone()),
            };
            Some(Entry { key: key.into(), node: self.item(item, &place)?, place })
        };
        Table(table.iter().filter_map(entry).collect())
    }

    fn item(&self, item: &Item, key: &Place) -> Option<Node> {
        let place = item.span().map_or_else(|| key.clone(), |span| self.place(span.start));
        let value = match item {
            Item::None => return None,
            Item::Value(value) => return Some(self.value(value, key)),
            Item::Table(table) => Value::Table(self.table(table)),
            Item::ArrayOfTables(tables) => {
                let node = |table: &toml_edit::Table| Node {
                    place: table.span().map_or_else(|| place.clone(), |span| self.place(span.start)),
                    value: Value::Table(self.table(table)),
                };
                Value::List(tables.iter().map(node).collect())
            }
        };
        Some(Node { place, value })
    }

    fn value(&self, value: &toml_edit::Value, key: &Place) -> Node {
        let place = value.span().map_or_else(|| key.clone(), |span| self.place(span.start));
        let value = match value {
            toml_edit::Value::String(text) => Value::Text(Text {
                written: text.value().clone(),
                meant: text::expand(text.value(), self.environment),
                typeless: text::is_variable(text.value()),
            }),
            toml_edit::Value::Integer(number) => Value::Integer(*number.value()),
            toml_edit::Value::Float(number) => Value::Float(*number.value()),
            toml_edit::Value::Boolean(flag) => Value::Flag(*flag.value()),
            toml_edit::Value::Datetime(date) => Value::Date(date.value().to_string()),
            toml_edit::Value::Array(list) => Value::List(list.iter().map(|item| self.value(item, &place)).collect()),
            toml_edit::Value::InlineTable(table) => Value::Table(self.table(table)),
        };
        Node { place, value }
    }
}
