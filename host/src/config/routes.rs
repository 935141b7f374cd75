//! `[[routes]]`: who answers whom. They are tried in order and the first that matches counts. How one is read is in `route_fields.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::globs::matches_any;
use super::instances::Instance;
use super::mistake::{Mistake, Place};
use super::node::{Entry, Value};
use super::route_fields::read;

/// One route. Two are equal when they mean the same, wherever they stand.
#[derive(Debug, Clone)]
pub struct Route {
    /// A plugin instance, a platform, `bridge`, `*`, `room:NAME` or `dm:NAME`.
    pub from: String,
    pub to: RouteTarget,
    /// Where each of the agents is named.
    pub to_places: Vec<Place>,
    pub mode: Mode,
    pub trigger: Trigger,
    /// Globs on ids of platform users, in rooms on senders; empty: everybody is heard.
    pub allow: Vec<String>,
    /// Wins over `allow`.
    pub deny: Vec<String>,
    /// What those who are not heard are told.
    pub refusal: Option<String>,
    /// How long a turn waits for more messages of its conversation; zero: none are joined.
    pub merge_window: Duration,
    /// Per conversation; 0: any number.
    pub max_turns_per_minute: u32,
    /// What is said in place of an answer that will not come.
    pub apology: Option<String>,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteTarget {
    /// The agent instances of these names, each of which is asked.
    Agents(Vec<String>),
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

/// Which messages want an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    All,
    /// Those that name the agent, as in `@assistant`.
    Mention,
}

pub(super) const INBOX: &str = "inbox";
pub(super) const EVERYWHERE: &str = "*";
pub(super) const ROOM: &str = "room:";
pub(super) const DM: &str = "dm:";

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            from,
            to,
            mode,
            trigger,
            allow,
            deny,
            refusal,
            merge_window,
            max_turns_per_minute,
            apology,
            to_places: _,
            place: _,
        } = self;
        let texts = (from, allow, deny, refusal, apology);
        texts == (&other.from, &other.allow, &other.deny, &other.refusal, &other.apology)
            && (to, mode, trigger) == (&other.to, &other.mode, &other.trigger)
            && (merge_window, max_turns_per_minute) == (&other.merge_window, &other.max_turns_per_minute)
    }
}

impl Route {
    /// One that says nothing but who answers whom.
    pub(super) fn plain(from: &str, to: RouteTarget) -> Self {
        let to_places = match &to {
            RouteTarget::Agents(names) => vec![Place::Defaults; names.len()],
            RouteTarget::Inbox => Vec::new(),
        };
        Self {
            from: from.into(),
            to,
            to_places,
            mode: Mode::Live,
            trigger: Trigger::All,
            allow: Vec::new(),
            deny: Vec::new(),
            refusal: None,
            merge_window: Duration::ZERO,
            max_turns_per_minute: 0,
            apology: None,
            place: Place::Defaults,
        }
    }

    /// Whether the route is for what comes from this instance and platform; the native bridge is `bridge` in both.
    pub fn matches(&self, instance: &str, platform: &str) -> bool {
        self.from == EVERYWHERE || self.from == instance || self.from == platform
    }

    /// The ordinary room that it is for.
    pub fn room(&self) -> Option<&str> {
        self.from.strip_prefix(ROOM)
    }

    /// The name that people write direct messages to.
    pub fn dm(&self) -> Option<&str> {
        self.from.strip_prefix(DM)
    }

    /// Whether this person is heard: by the id on their platform, in rooms by their name.
    pub fn hears(&self, person: &str) -> bool {
        let allowed = self.allow.is_empty() || matches_any(&self.allow, person);
        allowed && !matches_any(&self.deny, person)
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
        let route = Route::plain("bridge", RouteTarget::Agents(vec!["assistant".into()]));
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
                warnings.extend(unsaid(&route));
                routes.push(route);
            }
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    routes
}

/// A route whose agent is disabled keeps its turns waiting.
fn idle(route: &Route, at: &Place, instances: &BTreeMap<String, Instance>) -> Vec<Mistake> {
    let RouteTarget::Agents(names) = &route.to else { return Vec::new() };
    let found = names.iter().filter_map(|name| instances.get(name));
    let disabled = found.filter(|instance| !instance.enabled && route.mode != Mode::Listen);
    let warning = |instance: &Instance| {
        // Of the default route nobody knows the place; what disabled its agent stands somewhere.
        let place = if *at == Place::Defaults { &instance.enabled_at } else { at };
        let text = format!(
            "the route from `{}` leads to `{}`, which is disabled; its turns wait until it is enabled",
            route.from, instance.name
        );
        Mistake::new(place, text)
    };
    disabled.map(warning).collect()
}

/// A route that stands behind one which takes everything it would take. No room is part of everywhere.
fn unreached(route: &Route, earlier: &[Route]) -> Option<Mistake> {
    let of_rooms = route.room().or(route.dm()).is_some();
    let takes = |before: &&Route| (before.from == EVERYWHERE && !of_rooms) || before.from == route.from;
    let before = earlier.iter().find(takes)?;
    let text = format!("this route is never used; the one from `{}` above it comes first", before.from);
    Some(Mistake::new(&route.place, text))
}

/// A refusal that nobody ever gets to hear.
fn unsaid(route: &Route) -> Option<Mistake> {
    let idle = route.refusal.is_some() && route.allow.is_empty() && route.deny.is_empty();
    let text = "`refusal` is never said here, as everybody is heard; `allow` or `deny` says who is not";
    idle.then(|| Mistake::new(&route.place, text))
}
