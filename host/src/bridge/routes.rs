//! Who answers whom: what the routes of the configuration make of a message, asked anew for each one, so that a change of them counts from
//! the next message on. Jobs carry what they need of their route.

use crate::clock;
use crate::config::{self, Config, Live, Route, RouteTarget, Trigger};
use crate::store::{Asked, Origin, Refusal, RoomPost, Routing, Spot, Turn, mentions_name};
use plugin_api::types::{Message, Mode};
use std::sync::Arc;

/// The name under which a poller of the inbox speaks.
const POLLER: &str = "agent";

/// A message, by what routes look at.
struct Said<'a> {
    /// By the id on the platform; in rooms by name.
    person: &'a str,
    by_agent: bool,
    /// Whether the text names somebody.
    mentions: &'a dyn Fn(&str) -> bool,
}

/// Who is to answer what comes from this instance and platform, written by this person.
pub fn turn_for(config: &Config, instance: &str, platform: &str, person: &str, content: &str) -> Turn {
    let Some(route) = config.route_for(instance, platform) else { return Turn::Nobody };
    let mentions = |name: &str| mentions_name(content, name);
    turn(route, None, &Said { person, by_agent: false, mentions: &mentions })
}

/// The routes of rooms, for the store.
pub struct Rooms(pub Arc<Live>);

impl Routing for Rooms {
    fn has_rooms(&self) -> bool {
        self.0.now().has_room_routes()
    }

    fn turn(&self, post: &RoomPost<'_>) -> Turn {
        let config = self.0.now();
        let (route, alias) = match post.place {
            Spot::Room(name) => (config.room_route(name), None),
            Spot::Dm(low, high) => {
                let recipient = if low == post.sender { high } else { low };
                (config.dm_route(recipient), Some(recipient.as_str()))
            }
        };
        let Some(route) = route else { return Turn::Nobody };
        let mentions = |name: &str| post.mentions(name);
        turn(route, alias, &Said { person: post.sender, by_agent: post.by_agent, mentions: &mentions })
    }
}

/// `alias`: the name that the agents speak under, where it is not their own.
fn turn(route: &Route, alias: Option<&str>, said: &Said<'_>) -> Turn {
    let mode = match route.mode {
        config::Mode::Listen => return Turn::Nobody,
        config::Mode::Live => Mode::Live,
        config::Mode::Echo => Mode::Echo,
    };
    let names = match &route.to {
        RouteTarget::Inbox if route.hears(said.person) => return Turn::Inbox,
        RouteTarget::Inbox => return refused(route, POLLER, POLLER, said),
        RouteTarget::Agents(names) => names,
    };
    let wanted: Vec<&String> = names.iter().filter(|name| is_wanted(route, name, alias, said)).collect();
    let Some(first) = wanted.first() else { return Turn::Nobody };
    if !route.hears(said.person) {
        return refused(route, first, alias.unwrap_or(first), said);
    }
    let asked = |name: &&String| Asked {
        instance: name.to_string(),
        speaker: alias.map(ToOwned::to_owned),
        mode,
        merge_window: clock::micros(route.merge_window),
        turns_per_minute: route.max_turns_per_minute,
        apology: route.apology.clone(),
    };
    Turn::Agents(wanted.iter().map(asked).collect())
}

/// No agent answers itself; another one only where it is named.
fn is_wanted(route: &Route, name: &str, alias: Option<&str>, said: &Said<'_>) -> bool {
    if said.by_agent && said.person == alias.unwrap_or(name) {
        return false;
    }
    let all = route.trigger == Trigger::All && !said.by_agent;
    all || (said.mentions)(name) || alias.is_some_and(|alias| (said.mentions)(alias))
}

/// Whose words an agent may read where it is asked by the route of this place; None: everybody's.
pub fn audience(config: &Config, origin: &Origin) -> Option<Audience> {
    let (route, of_platform) = match origin {
        Origin::Platform(instance, platform) => (config.route_for(instance, platform), true),
        Origin::Spot(Spot::Room(name)) => (config.room_route(name), false),
        // The two of them, and the route is for one.
        Origin::Spot(Spot::Dm(..)) => (None, false),
    };
    let route = route.filter(|route| !route.allow.is_empty() || !route.deny.is_empty())?.clone();
    Some(Audience { route, of_platform })
}

/// See [`audience`].
pub struct Audience {
    route: Route,
    of_platform: bool,
}

impl Audience {
    /// Agents' and operators' words are, refusals are not.
    pub fn includes(&self, message: &Message) -> bool {
        let by_agent = message.sender_type.as_deref() == Some("agent");
        match message.metadata["platform_user_id"].as_str().filter(|_| self.of_platform) {
            Some(person) => self.route.hears(person),
            None if by_agent => message.metadata["refusal"] != true,
            None => self.of_platform || self.route.hears(&message.sender),
        }
    }
}

fn refused(route: &Route, instance: &str, speaker: &str, said: &Said<'_>) -> Turn {
    match &route.refusal {
        // Agents do not need to be told, and might answer.
        Some(text) if !said.by_agent => Turn::Refused(Refusal {
            instance: instance.into(),
            speaker: speaker.into(),
            person: said.person.into(),
            text: text.clone(),
        }),
        _ => Turn::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(routes: &str) -> Config {
        let text = format!("[plugins.other]\nlibrary = \"agent_invoker\"\n{routes}");
        config::from_text(Path::new("config.toml"), &text, [("", ""); 0]).expect("it is right").config
    }

    fn asked(turn: &Turn) -> Vec<&str> {
        match turn {
            Turn::Agents(agents) => agents.iter().map(|asked| asked.instance.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn list_asks_each_and_a_mention_those_that_are_named() {
        let all = config("[[routes]]\nfrom = '*'\nto = ['assistant', 'other']");
        assert_eq!(asked(&turn_for(&all, "irc", "irc", "7", "hi")), ["assistant", "other"]);
        let named = config("[[routes]]\nfrom = '*'\nto = ['assistant', 'other']\ntrigger = 'mention'");
        assert_eq!(asked(&turn_for(&named, "irc", "irc", "7", "hi, @Other!")), ["other"]);
        assert_eq!(turn_for(&named, "irc", "irc", "7", "mail me@other.example"), Turn::Nobody);
    }

    #[test]
    fn those_who_are_not_heard_are_told_only_where_they_would_be_answered() {
        let route = "[[routes]]\nfrom = 'irc'\nto = 'assistant'\nallow = ['u-*']\ndeny = ['u-9']\nrefusal = 'no'\n";
        let config = config(&format!("{route}trigger = 'mention'"));
        assert_eq!(asked(&turn_for(&config, "irc", "irc", "u-1", "@assistant hi")), ["assistant"]);
        for person in ["u-9", "guest"] {
            let Turn::Refused(refusal) = turn_for(&config, "irc", "irc", person, "@assistant hi") else {
                panic!("{person} was heard")
            };
            assert_eq!(
                (refusal.person.as_str(), refusal.speaker.as_str(), refusal.text.as_str()),
                (person, "assistant", "no")
            );
            assert_eq!(turn_for(&config, "irc", "irc", person, "hi"), Turn::Nobody);
        }
    }

    #[test]
    fn agents_are_asked_by_agents_only_where_they_are_named_and_never_by_themselves() {
        let config = config("[[routes]]\nfrom = 'room:den'\nto = ['assistant', 'other']");
        let route = config.room_route("den").expect("a route");
        let said = |person, by_agent, named: &'static str| {
            let mentions = move |name: &str| name == named;
            turn(route, None, &Said { person, by_agent, mentions: &mentions })
        };
        assert_eq!(asked(&said("ada", false, "")), ["assistant", "other"]);
        assert_eq!(asked(&said("other", true, "assistant")), ["assistant"]);
        assert_eq!((said("other", true, ""), said("other", true, "other")), (Turn::Nobody, Turn::Nobody));
    }
}
