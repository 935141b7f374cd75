//! Every key of the host with its section, its type and its default, and how messages describe what a key takes.
//! `config.toml` shows the same defaults; a test keeps the two equal.

use super::mistake::{listed, quoted};

pub(super) struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub default: Preset,
}

pub(super) enum Kind {
    /// An IP address and a port.
    Address,
    /// A list of CIDR blocks or single addresses.
    Networks,
    /// A list of web origins, or `*`.
    Origins,
    /// Empty, or where people reach the host.
    Url,
    Path,
    /// Empty, or a path.
    Folder,
    /// Text, or `{ file = "path" }`.
    Secret,
    Flag,
    /// The name of a plugin's library, without its path, `lib` and `.so`.
    Library,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A time, fractions allowed, from … to.
    Time(Unit, f64, f64),
    /// A whole number, from … to.
    Count(u32, u32),
}

/// What a time is counted in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Milliseconds,
    Seconds,
    Days,
}

pub(super) enum Preset {
    Text(&'static str),
    List(&'static [&'static str]),
    Whole(u32),
}

const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;
/// A hundred years: what keeps longer keeps for ever.
const DAYS: Kind = Kind::Time(Unit::Days, 0.0, 36_500.0);
const RATE: Kind = Kind::Count(0, 1_000_000_000);

const fn seconds(least: f64, most: f64) -> Kind {
    Kind::Time(Unit::Seconds, least, most)
}

/// To be a part of `[[routes]]` as well.
pub(super) const fn milliseconds(most: f64) -> Kind {
    Kind::Time(Unit::Milliseconds, 0.0, most)
}

const fn key(section: &'static str, name: &'static str, kind: Kind, default: Preset) -> Key {
    Key { section, name, kind, default }
}

pub(super) const KEYS: &[Key] = &[
    key("server", "bind", Kind::Address, Preset::Text("127.0.0.1:8000")),
    key("server", "trusted_proxies", Kind::Networks, Preset::List(&[])),
    key("server", "cors_origins", Kind::Origins, Preset::List(&["*"])),
    key("server", "public_url", Kind::Url, Preset::Text("")),
    key("server", "body_seconds", seconds(0.1, HOUR), Preset::Whole(30)),
    key("server", "shutdown_seconds", seconds(0.0, HOUR), Preset::Whole(10)),
    key("store", "path", Kind::Path, Preset::Text("data/arcuate.db")),
    key("store", "durability", Kind::Choice(&["full", "normal"]), Preset::Text("full")),
    key("store", "log_days", DAYS, Preset::Whole(0)),
    key("store", "slow_ms", milliseconds(600_000.0), Preset::Whole(250)),
    key("auth", "mode", Kind::Choice(&["lan", "token"]), Preset::Text("lan")),
    key("auth", "admin_token", Kind::Secret, Preset::Text("")),
    key("bridge", "api_key", Kind::Secret, Preset::Text("")),
    key("bridge", "admin_key", Kind::Secret, Preset::Text("")),
    key("bridge", "session_timeout_seconds", seconds(0.001, 365.0 * DAY), Preset::Whole(1800)),
    key("bridge", "ack_seconds", seconds(0.1, DAY), Preset::Whole(60)),
    key("limits", "messages_per_minute", RATE, Preset::Whole(60)),
    key("limits", "rooms_per_hour", RATE, Preset::Whole(10)),
    key("limits", "files_per_minute", RATE, Preset::Whole(10)),
    key("limits", "dms_per_minute", RATE, Preset::Whole(60)),
    key("limits", "incoming_webhooks_per_minute", RATE, Preset::Whole(60)),
    key("limits", "broadcasts_per_minute", RATE, Preset::Whole(10)),
    key("limits", "api_per_minute", RATE, Preset::Whole(600)),
    key("limits", "file_bytes", Kind::Count(1, 1 << 30), Preset::Whole(5 * 1024 * 1024)),
    key("queue", "base_seconds", seconds(0.0, DAY), Preset::Whole(5)),
    key("queue", "cap_seconds", seconds(0.0, 7.0 * DAY), Preset::Whole(300)),
    key("queue", "max_attempts", Kind::Count(1, 1000), Preset::Whole(10)),
    key("queue", "keep_completed_days", DAYS, Preset::Whole(7)),
    key("queue", "keep_dead_days", DAYS, Preset::Whole(90)),
    key("plugins", "directory", Kind::Folder, Preset::Text("")),
    key("plugins", "start_seconds", seconds(0.1, HOUR), Preset::Whole(10)),
    key("plugins", "stop_seconds", seconds(0.0, HOUR), Preset::Whole(10)),
    key("plugins", "restart_base_seconds", seconds(0.01, 600.0), Preset::Whole(1)),
];

pub(super) const INSTANCE_KEYS: &[&str] = &["enabled", "library", "settings"];
pub(super) const ROUTE_KEYS: &[&str] = &[
    "from",
    "to",
    "mode",
    "trigger",
    "allow",
    "deny",
    "refusal",
    "merge_window_ms",
    "max_turns_per_minute",
    "apology",
];

/// The names of the sections, in their order; `routes` is not among them.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    sections
}

pub(super) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

impl Key {
    /// `server.bind`, what the layers are keyed by.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `ARCUATE__SERVER__BIND`
    pub(super) fn variable(&self) -> String {
        format!("ARCUATE__{}__{}", self.section, self.name).to_uppercase()
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
            Self::Days => "days",
        }
    }
}

impl Kind {
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Networks | Self::Origins)
    }

    /// What the key takes, to be read after "takes".
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Address => "an IP address and port, such as \"127.0.0.1:8000\"".into(),
            Self::Networks => "a list of networks, such as [\"10.0.0.0/8\", \"::1\"]".into(),
            Self::Origins => "a list of origins, such as [\"https://example.org\"], or [\"*\"]".into(),
            Self::Url => "a full URL, such as \"https://example.org\", or \"\"".into(),
            Self::Path => "a path, such as \"data/arcuate.db\"".into(),
            Self::Folder => "a path, such as \"plugins\", or \"\"".into(),
            Self::Secret => "text or { file = \"path\" }".into(),
            Self::Flag => "true or false".into(),
            Self::Library => "a plugin's name without path, `lib` and `.so`, such as \"agent_invoker\"".into(),
            Self::Choice(known) => choices(known),
            Self::Time(unit, least, most) => format!("a number of {} from {least} to {most}", unit.name()),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
        }
    }

    /// What one item takes, where the key takes a list.
    pub(super) fn expected_item(&self) -> String {
        match self {
            Self::Networks => "networks, such as \"10.0.0.0/8\" or \"::1\"".into(),
            Self::Origins => "origins without a path, such as \"https://example.org\", or \"*\"".into(),
            _ => self.expected(),
        }
    }
}

/// `"full" or "normal"`
pub(super) fn choices(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    listed(&names, "or")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_section_stand_together() {
        let mut sections = sections();
        sections.sort_unstable();
        sections.dedup();
        assert_eq!(sections.len(), super::sections().len());
    }

    #[test]
    fn expected_reads_well() {
        assert_eq!(seconds(0.1, DAY).expected(), "a number of seconds from 0.1 to 86400");
        assert_eq!(Kind::Choice(&["full", "normal"]).expected(), "\"full\" or \"normal\"");
    }
}
