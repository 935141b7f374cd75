//! `[[routes]]`: who answers whom. They are tried in order and the first that matches counts.

use std::collections::BTreeMap;

use super::check::{Checked, check};
use super::instances::Instance;
use super::keys::{Kind, LATER_ROUTE_KEYS, ROUTE_KEYS};
use super::mistake::{Mistake, Place, instead, listed, nearest, quoted, ticked};
use super::node::{Entry, Node, Table, Value};

/// One route. Two are equal when they mean the same, wherever they stand.
#[derive(Debug, Clone)]
pub struct Route {
    /// A plugin instance, a platform, `bridge` or `*`.
    pub from: String,
    pub to: RouteTarget,
    pub mode: Mode,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteTarget {
    /// The agent instance of this name.
    Instance(String),
    /// An agent outside, which polls for it.
    Inbox,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Asks the agent.
    Live,
    /// Answers with the formatted prompt.
    Echo,
    /// Stores only.
    Listen,
}

const MODES: Kind = Kind::Choice { now: &["live", "echo", "listen"], later: &[] };
const TRIGGERS: Kind = Kind::Choice { now: &["all"], later: &["mention"] };
const INBOX: &str = "inbox";
const EVERYWHERE: &str = "*";

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        (&self.from, &self.to, self.mode) == (&other.from, &other.to, other.mode)
    }
}

impl Route {
    /// Whether the route is for what comes from this instance and platform; the native bridge is `bridge` in both.
    pub fn matches(&self, instance: &str, platform: &str) -> bool {
        self.from == EVERYWHERE || self.from == instance || self.from == platform
    }
}

/// The file's routes, or the default one where it has none.
pub(super) fn build(
    written: Option<&Entry>,
    instances: &BTreeMap<String, Instance>,
    mistakes: &mut Vec<Mistake>,
    warnings: &mut Vec<Mistake>,
) -> Vec<Route> {
    let Some(entry) = written else {
        let to = RouteTarget::Instance("assistant".into());
        let route = Route { from: "bridge".into(), to, mode: Mode::Live, place: Place::Defaults };
        warnings.extend(idle(&route, &Place::Defaults, instances));
        return vec![route];
    };
    let Value::List(items) = &entry.node.value else {
        let text = format!("`routes` takes a list of tables, each under [[routes]], not {}", entry.node.value.shown());
        mistakes.push(Mistake::new(&entry.node.place, text));
        return Vec::new();
    };
    let mut routes: Vec<Route> = Vec::new();
    for item in items {
        match read(item, instances) {
            Ok((route, at)) => {
                warnings.extend(idle(&route, &at, instances));
                warnings.extend(unreached(&route, &routes));
                routes.push(route);
            }
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    routes
}

/// A route, and where its `to` stands.
fn read(item: &Node, instances: &BTreeMap<String, Instance>) -> Result<(Route, Place), Vec<Mistake>> {
    let Value::Table(table) = &item.value else {
        let text = format!("`routes` takes tables, each under [[routes]], not {}", item.value.shown());
        return Err(vec![Mistake::new(&item.place, text)]);
    };
    let mut mistakes: Vec<Mistake> = table.0.iter().filter_map(unknown).collect();
    let mut keep = |result: Result<String, Vec<Mistake>>| result.map_err(|wrong| mistakes.extend(wrong)).ok();
    let from = keep(value_of(table, "from", item, read_from));
    let to = keep(value_of(table, "to", item, |node| read_to(node, instances)));
    let mode = keep(choice(table, "mode", &MODES));
    keep(choice(table, "trigger", &TRIGGERS));
    let mode = match mode.as_deref() {
        Some("echo") => Mode::Echo,
        Some("listen") => Mode::Listen,
        _ => Mode::Live,
    };
    let at = |key| table.get(key).map_or_else(|| item.place.clone(), |entry| entry.node.place.clone());
    if mode == Mode::Echo && to.as_deref() == Some(INBOX) {
        let text =
            "`mode` = \"echo\" has nobody to answer where `to` is the inbox; \"live\" or \"listen\" would be right";
        mistakes.push(Mistake::new(&at("mode"), text));
    }
    let to = to.map(|to| if to == INBOX { RouteTarget::Inbox } else { RouteTarget::Instance(to) });
    match (from, to) {
        (Some(from), Some(to)) if mistakes.is_empty() => {
            Ok((Route { from, to, mode, place: item.place.clone() }, at("to")))
        }
        _ => Err(mistakes),
    }
}

fn unknown(entry: &Entry) -> Option<Mistake> {
    let key = entry.key.as_str();
    if ROUTE_KEYS.contains(&key) {
        return None;
    }
    let text = match LATER_ROUTE_KEYS.contains(&key) {
        true => format!("`{key}` is not in this version; a route without it would be right"),
        false => format!("unknown key {} in [[routes]]{}", ticked(key), instead(key, ROUTE_KEYS)),
    };
    Some(Mistake::new(&entry.place, text))
}

fn value_of(
    table: &Table,
    key: &str,
    route: &Node,
    read: impl Fn(&Node) -> Result<String, Vec<Mistake>>,
) -> Result<String, Vec<Mistake>> {
    match table.get(key) {
        Some(entry) => read(&entry.node),
        None => {
            let example = if key == "from" { "bridge" } else { "assistant" };
            let text = format!("this route lacks `{key}`; {key} = \"{example}\", for instance, would be right");
            Err(vec![Mistake::new(&route.place, text)])
        }
    }
}

fn choice(table: &Table, key: &str, kind: &Kind) -> Result<String, Vec<Mistake>> {
    let Some(entry) = table.get(key) else { return Ok(String::new()) };
    match check(key, kind, &entry.node, "".as_ref())? {
        Checked::Text(text) => Ok(text),
        _ => Ok(String::new()),
    }
}

fn read_from(node: &Node) -> Result<String, Vec<Mistake>> {
    let text = |text: String| vec![Mistake::new(&node.place, text)];
    let Value::Text(written) = &node.value else {
        return Err(text(format!("`from` takes one source, such as \"bridge\", not {}", node.value.shown())));
    };
    let from = super::check::meant(node, written)?;
    if from.starts_with("room:") || from.starts_with("dm:") {
        return Err(text(format!(
            "`from` = {} is not in this version; an instance, a platform, \"bridge\" or \"*\" would be right",
            quoted(&written.written)
        )));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let named = !from.is_empty() && from.len() <= 64 && from.chars().all(word) && from != INBOX;
    if named || from == EVERYWHERE {
        return Ok(from);
    }
    Err(text(format!("`from` takes an instance, a platform, \"bridge\" or \"*\", not {}", quoted(&written.written))))
}

fn read_to(node: &Node, instances: &BTreeMap<String, Instance>) -> Result<String, Vec<Mistake>> {
    let wrong = |text: String| vec![Mistake::new(&node.place, text)];
    let written = match &node.value {
        Value::Text(written) => written,
        Value::List(_) => {
            return Err(wrong(
                "`to` = a list is not in this version; one instance, or \"inbox\", would be right".into(),
            ));
        }
        other => return Err(wrong(format!("`to` takes the name of an instance, or \"inbox\", not {}", other.shown()))),
    };
    let to = super::check::meant(node, written)?;
    if to == INBOX || instances.contains_key(&to) {
        return Ok(to);
    }
    let known: Vec<&str> = instances.keys().map(String::as_str).chain([INBOX]).collect();
    let hint = match nearest(&to, known.iter().copied()) {
        Some(_) => instead(&to, &known),
        None => format!("; {} would be right", listed(&known, "or")),
    };
    Err(wrong(format!("`to` = {}, but there is no such instance{hint}", quoted(&written.written))))
}

/// A route whose agent is disabled keeps its turns waiting.
fn idle(route: &Route, at: &Place, instances: &BTreeMap<String, Instance>) -> Option<Mistake> {
    let RouteTarget::Instance(name) = &route.to else { return None };
    let instance = instances.get(name).filter(|instance| !instance.enabled && route.mode != Mode::Listen)?;
    // Of the default route nobody knows the place; what disabled its agent stands somewhere.
    let place = if *at == Place::Defaults { &instance.enabled_at } else { at };
    let text = format!(
        "the route from `{}` leads to `{name}`, which is disabled; its turns wait until it is enabled",
        route.from
    );
    Some(Mistake::new(place, text))
}

/// A route that stands behind one which takes everything it would take.
fn unreached(route: &Route, earlier: &[Route]) -> Option<Mistake> {
    let before = earlier.iter().find(|before| before.from == EVERYWHERE || before.from == route.from)?;
    let text = format!("this route is never used; the one from `{}` above it comes first", before.from);
    Some(Mistake::new(&route.place, text))
}
