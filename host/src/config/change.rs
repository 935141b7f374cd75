//! From one configuration to the next while the host runs: what differs, what of it counts at once, and what has to wait for a restart.

use super::{AuthMode, Config, Instance, Store};

/// Keys that only a start reads, and why.
const FIXED: &[(&str, &str)] = &[
    ("server.bind", "the port is bound once, at the start"),
    ("store.path", "the store is opened once, at the start"),
    ("store.durability", "the store is opened once, at the start"),
    ("auth.mode", "connections and streams that are open were let in under the other mode"),
    ("auth.admin_token", "those who administer this host know the other one"),
];

/// How a configuration differs from the one before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Keys (`limits.dms_per_minute`), instances (`plugins.web_chat`) and `routes` that count from now on.
    pub changed: Vec<String>,
    /// Keys whose new values count after a restart, with the reason.
    pub needs_restart: Vec<(String, &'static str)>,
}

impl Config {
    /// The configuration that may count after this one, and how it differs.
    pub fn followed_by(&self, mut new: Self) -> (Self, Change) {
        let mut change = Change::default();
        for key in self.keys.differing(&new.keys) {
            match FIXED.iter().find(|(fixed, _)| *fixed == key) {
                Some((_, why)) => change.needs_restart.push((key, why)),
                None => change.changed.push(key),
            }
        }
        let mode = new.auth.mode;
        new.keys.keep(&self.keys, |key| FIXED.iter().any(|(fixed, _)| *fixed == key));
        new.server.bind = self.server.bind;
        new.store = Store { path: self.store.path.clone(), durability: self.store.durability, ..new.store };
        new.auth = self.auth.clone();
        if mode != new.auth.mode {
            // What the mode means for instances follows the mode that counts.
            let follow =
                if new.auth.mode == AuthMode::Lan { Instance::trust_networks } else { Instance::distrust_networks };
            new.plugins.instances.values_mut().for_each(follow);
        }
        change.changed.extend(self.differing_instances(&new));
        if self.routes != new.routes {
            change.changed.push("routes".into());
        }
        (new, change)
    }

    fn differing_instances(&self, new: &Self) -> Vec<String> {
        let (old, new) = (&self.plugins.instances, &new.plugins.instances);
        let mut names: Vec<_> = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| format!("plugins.{name}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;
    use std::path::Path;

    fn config(text: &str) -> Config {
        from_text(Path::new("c.toml"), text, [("", ""); 0]).unwrap().config
    }

    #[test]
    fn change_names_what_counts_and_what_has_to_wait() {
        let old = config("");
        let (next, change) = old.followed_by(config(
            "[server]\nbind = \"127.0.0.1:9\"\npublic_url = \"https://a.example\"\n[auth]\nmode = \"token\"\n\
             [limits]\ndms_per_minute = 1\n[bridge]\napi_key = \"k\"\n[plugins.assistant]\nenabled = false\n\
             [plugins.second]\nlibrary = \"agent_invoker\"\n[[routes]]\nfrom = \"bridge\"\nto = \"inbox\"\n",
        ));
        let expected = [
            "server.public_url",
            "bridge.api_key",
            "limits.dms_per_minute",
            "plugins.assistant",
            "plugins.second",
            "routes",
        ];
        assert_eq!(change.changed, expected);
        let waits: Vec<_> = change.needs_restart.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(waits, ["server.bind", "auth.mode"]);
        assert_eq!((next.server.bind, next.auth.mode), (old.server.bind, AuthMode::Lan));
        assert_eq!((next.limits.dms_per_minute, next.bridge.api_key.expose()), (1, "k"));
        assert_eq!(
            next.plugins.instances["webhook"], old.plugins.instances["webhook"],
            "it trusts as the old mode does"
        );
        assert_eq!(next.followed_by(next.clone()).1, Change::default());
    }
}
