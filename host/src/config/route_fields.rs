//! How one of `[[routes]]` is read: each of its keys, and what they mean together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{Checked, check, meant};
use super::instances::Instance;
use super::keys::{Kind, ROUTE_KEYS, milliseconds};
use super::mistake::{Mistake, Place, instead, listed, nearest, quoted, ticked};
use super::node::{Entry, Node, Table, Value};
use super::routes::{DM, EVERYWHERE, INBOX, Mode, ROOM, Route, RouteTarget, Trigger};

const MODES: Kind = Kind::Choice(&["live", "echo", "listen"]);
const TRIGGERS: Kind = Kind::Choice(&["all", "mention"]);
const WINDOW: Kind = milliseconds(60_000.0);
const TURNS: Kind = Kind::Count(0, 60_000);
/// Agents of one route, patterns of one list, characters of a name, of a pattern, and of a text that is said.
const AGENTS: usize = 16;
const PATTERNS: usize = 1000;
const NAME: usize = 100;
const PATTERN: usize = 255;
const TEXT: usize = 10_000;

/// A route's table, and the mistakes that were found in it so far.
struct Fields<'a> {
    table: &'a Table,
    route: &'a Node,
    mistakes: Vec<Mistake>,
}

/// A route, and where its `to` stands.
pub(super) fn read(item: &Node, instances: &BTreeMap<String, Instance>) -> Result<(Route, Place), Vec<Mistake>> {
    let Value::Table(table) = &item.value else {
        let text = format!("`routes` takes tables, each under [[routes]], not {}", item.value.shown());
        return Err(vec![Mistake::new(&item.place, text)]);
    };
    let mut fields = Fields { table, route: item, mistakes: table.0.iter().filter_map(unknown).collect() };
    let from = fields.required("from", "bridge", read_from);
    let to = fields.required("to", "assistant", |node| read_to(node, instances));
    let mode = match fields.choice("mode", &MODES).as_str() {
        "echo" => Mode::Echo,
        "listen" => Mode::Listen,
        _ => Mode::Live,
    };
    let trigger = if fields.choice("trigger", &TRIGGERS) == "mention" { Trigger::Mention } else { Trigger::All };
    let allow = fields.optional("allow", |node| patterns("allow", node));
    let deny = fields.optional("deny", |node| patterns("deny", node));
    let refusal = fields.optional("refusal", |node| said("refusal", node));
    let merge_window = fields.milliseconds("merge_window_ms", &WINDOW);
    let max_turns_per_minute = fields.count("max_turns_per_minute", &TURNS);
    let apology = fields.optional("apology", |node| said("apology", node));
    if let (Some(from), Some((to, _))) = (&from, &to) {
        fields.together(from, to, mode, trigger);
    }
    let at = fields.place("to");
    match (from, to) {
        (Some(from), Some((to, to_places))) if fields.mistakes.is_empty() => {
            let terms = Route { mode, trigger, allow, deny, refusal, ..Route::plain(&from, to) };
            let place = item.place.clone();
            Ok((Route { to_places, merge_window, max_turns_per_minute, apology, place, ..terms }, at))
        }
        _ => Err(fields.mistakes),
    }
}

impl Fields<'_> {
    fn keep<T>(&mut self, read: Result<T, Vec<Mistake>>) -> Option<T> {
        read.map_err(|wrong| self.mistakes.extend(wrong)).ok()
    }

    fn place(&self, key: &str) -> Place {
        self.table.get(key).map_or_else(|| self.route.place.clone(), |entry| entry.node.place.clone())
    }

    fn required<T>(&mut self, key: &str, example: &str, read: impl Fn(&Node) -> Result<T, Vec<Mistake>>) -> Option<T> {
        let read = match self.table.get(key) {
            Some(entry) => read(&entry.node),
            None => {
                let text = format!("this route lacks `{key}`; {key} = \"{example}\", for instance, would be right");
                Err(vec![Mistake::new(&self.route.place, text)])
            }
        };
        self.keep(read)
    }

    fn optional<T: Default>(&mut self, key: &str, read: impl Fn(&Node) -> Result<T, Vec<Mistake>>) -> T {
        let read = self.table.get(key).map(|entry| read(&entry.node));
        read.and_then(|read| self.keep(read)).unwrap_or_default()
    }

    fn choice(&mut self, key: &str, kind: &Kind) -> String {
        self.optional(key, |node| match check(key, kind, node, "".as_ref())? {
            Checked::Text(text) => Ok(text),
            _ => Ok(String::new()),
        })
    }

    fn milliseconds(&mut self, key: &str, kind: &Kind) -> Duration {
        self.optional(key, |node| match check(key, kind, node, "".as_ref())? {
            Checked::Number(number) => Ok(Duration::from_secs_f64(number / 1000.0)),
            _ => Ok(Duration::ZERO),
        })
    }

    fn count(&mut self, key: &str, kind: &Kind) -> u32 {
        self.optional(key, |node| match check(key, kind, node, "".as_ref())? {
            Checked::Whole(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
            _ => Ok(0),
        })
    }

    /// What is right by itself and makes no sense beside the rest.
    fn together(&mut self, from: &str, to: &RouteTarget, mode: Mode, trigger: Trigger) {
        let is_list = self.table.get("to").is_some_and(|entry| matches!(entry.node.value, Value::List(_)));
        let is_inbox = *to == RouteTarget::Inbox;
        let mut wrong = |key: &str, text: String| {
            let mistake = Mistake::new(&self.place(key), text);
            self.mistakes.push(mistake);
        };
        if mode == Mode::Echo && (is_list || is_inbox) {
            let why = if is_list {
                "is for one agent, and `to` is a list"
            } else {
                "has nobody to answer where `to` is the inbox"
            };
            wrong("mode", format!("`mode` = \"echo\" {why}; \"live\" or \"listen\" would be right"));
        }
        if !is_inbox {
            return;
        }
        if trigger == Trigger::Mention {
            let text = "`trigger` = \"mention\" needs an agent's name, and the inbox has none; \"all\" would be right";
            wrong("trigger", text.into());
        }
        if from.starts_with(ROOM) || from.starts_with(DM) {
            let text = "`to` = \"inbox\" is for conversations on platforms; an agent's name would be right for rooms and direct messages";
            wrong("to", text.into());
        }
    }
}

fn unknown(entry: &Entry) -> Option<Mistake> {
    let key = entry.key.as_str();
    let text = format!("unknown key {} in [[routes]]{}", ticked(key), instead(key, ROUTE_KEYS));
    (!ROUTE_KEYS.contains(&key)).then(|| Mistake::new(&entry.place, text))
}

fn wrong(node: &Node, text: String) -> Vec<Mistake> {
    vec![Mistake::new(&node.place, text)]
}

fn read_from(node: &Node) -> Result<String, Vec<Mistake>> {
    let Value::Text(written) = &node.value else {
        return Err(wrong(node, format!("`from` takes one source, such as \"bridge\", not {}", node.value.shown())));
    };
    let from = meant(node, written)?;
    if let Some(name) = from.strip_prefix(ROOM).or(from.strip_prefix(DM)) {
        let fits = !name.trim().is_empty() && name.trim() == name && name.chars().count() <= NAME;
        if fits && !name.chars().any(char::is_control) {
            return Ok(from);
        }
        let text = format!(
            "`from` takes a name of 1 to {NAME} characters behind `room:` and `dm:`, such as \"room:general\", not {}",
            quoted(&written.written)
        );
        return Err(wrong(node, text));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let named = !from.is_empty() && from.len() <= 64 && from.chars().all(word) && from != INBOX;
    if named || from == EVERYWHERE {
        return Ok(from);
    }
    let text = format!(
        "`from` takes an instance, a platform, \"bridge\", \"room:NAME\", \"dm:NAME\" or \"*\", not {}",
        quoted(&written.written)
    );
    Err(wrong(node, text))
}

/// The targets, and where each of them is named.
fn read_to(node: &Node, instances: &BTreeMap<String, Instance>) -> Result<(RouteTarget, Vec<Place>), Vec<Mistake>> {
    let items = match &node.value {
        Value::Text(_) => std::slice::from_ref(node),
        Value::List(items) if (1..=AGENTS).contains(&items.len()) => items,
        Value::List(items) => {
            let text = format!("`to` takes 1 to {AGENTS} instances, not {}", items.len());
            return Err(wrong(node, text));
        }
        other => {
            let text =
                format!("`to` takes the name of an instance, a list of them, or \"inbox\", not {}", other.shown());
            return Err(wrong(node, text));
        }
    };
    let alone = matches!(node.value, Value::Text(_));
    let (mut names, mut mistakes): (Vec<String>, _) = (Vec::new(), Vec::new());
    for item in items {
        match target(item, instances, alone) {
            Ok(name) if names.contains(&name) => {
                mistakes.extend(wrong(item, format!("`to` names `{name}` twice; once would be right")));
            }
            Ok(name) => names.push(name),
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    match mistakes.is_empty() {
        true if names == [INBOX] => Ok((RouteTarget::Inbox, Vec::new())),
        true => Ok((RouteTarget::Agents(names), items.iter().map(|item| item.place.clone()).collect())),
        false => Err(mistakes),
    }
}

fn target(node: &Node, instances: &BTreeMap<String, Instance>, alone: bool) -> Result<String, Vec<Mistake>> {
    let Value::Text(written) = &node.value else {
        return Err(wrong(node, format!("a list in `to` takes names of instances, not {}", node.value.shown())));
    };
    let to = meant(node, written)?;
    if to == INBOX && !alone {
        let text = "a list in `to` takes names of instances; \"inbox\" alone, without a list, would be right";
        return Err(wrong(node, text.into()));
    }
    if to == INBOX || instances.contains_key(&to) {
        return Ok(to);
    }
    let inbox = alone.then_some(INBOX);
    let agents = instances.iter().filter(|(_, instance)| instance.may_be_agent());
    let known: Vec<&str> = agents.map(|(name, _)| name.as_str()).chain(inbox).collect();
    let hint = match nearest(&to, known.iter().copied()) {
        Some(_) => instead(&to, &known),
        None => format!("; {} would be right", listed(&known, "or")),
    };
    Err(wrong(node, format!("`to` = {}, but there is no such instance{hint}", quoted(&written.written))))
}

fn patterns(key: &str, node: &Node) -> Result<Vec<String>, Vec<Mistake>> {
    let takes = "takes a list of users' ids, where * stands for any text, such as [\"u-17\", \"staff-*\"]";
    let items = match &node.value {
        Value::List(items) if items.len() <= PATTERNS => items,
        Value::List(items) => {
            return Err(wrong(node, format!("`{key}` takes at most {PATTERNS} of them, not {}", items.len())));
        }
        other => return Err(wrong(node, format!("`{key}` {takes}, not {}", other.shown()))),
    };
    let (mut read, mut mistakes) = (Vec::new(), Vec::new());
    for item in items {
        let Value::Text(written) = &item.value else {
            mistakes.extend(wrong(item, format!("`{key}` {takes}, not {}", item.value.shown())));
            continue;
        };
        match meant(item, written) {
            Ok(text) if (1..=PATTERN).contains(&text.len()) => read.push(text),
            Ok(_) => mistakes.extend(wrong(item, format!("an id in `{key}` has 1 to {PATTERN} bytes"))),
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    if mistakes.is_empty() { Ok(read) } else { Err(mistakes) }
}

/// Something that is said to people; empty: nothing is.
fn said(key: &str, node: &Node) -> Result<Option<String>, Vec<Mistake>> {
    let Value::Text(written) = &node.value else {
        return Err(wrong(node, format!("`{key}` takes a text, or \"\", not {}", node.value.shown())));
    };
    let text = meant(node, written)?;
    match text.chars().count() <= TEXT && !text.contains('\0') {
        true => Ok((!text.trim().is_empty()).then_some(text)),
        false => Err(wrong(node, format!("`{key}` takes at most {TEXT} characters, without NUL"))),
    }
}
