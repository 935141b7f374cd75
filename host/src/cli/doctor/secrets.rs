//! Who else could read the secrets that stand in the configuration, or in the files that it names for them.

use super::Findings;
use crate::cli::view::shell;
use crate::config::looks_secret;
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml_edit::{Document, Item, TableLike, Value};

/// To read and to change, for everybody.
const EVERYBODY: u32 = 0o006;
const GROUP: u32 = 0o060;

/// Where the secrets of a configuration are.
#[derive(Debug, Default, PartialEq)]
struct Secrets {
    /// Keys that have one written out.
    keys: Vec<String>,
    /// As `{ file = "path" }` names them.
    files: Vec<PathBuf>,
}

pub(super) fn look(findings: &mut Findings, origin: Option<&Path>) {
    let Some(path) = origin else { return };
    let Ok(text) = fs::read_to_string(path) else { return };
    let Ok(document) = text.parse::<Document<String>>() else { return };
    let mut secrets = Secrets::default();
    secrets.table(document.as_table(), "", false);
    if secrets.keys.is_empty() {
        findings.ok("secrets", format!("no secrets stand in {}", path.display()));
    } else {
        let or = ", or take them from the environment (\"${NAME}\") or a file ({ file = \"path\" })";
        readable(findings, path, &secrets.keys.join(", "), or);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    secrets.files.sort();
    secrets.files.dedup();
    for file in secrets.files {
        readable(findings, &folder.join(file), "a secret", "");
    }
}

/// One that is not there is a mistake of the configuration, and told as that.
fn readable(findings: &mut Findings, path: &Path, what: &str, or: &str) {
    let Ok(found) = path.metadata() else { return };
    let (shown, mode) = (path.display().to_string(), found.mode() & 0o777);
    if mode & EVERYBODY == 0 {
        let whose = if mode & GROUP == 0 { "its owner alone reads" } else { "its owner and its group alone read" };
        return findings.ok("secrets", format!("{whose} {shown}, which holds {what}"));
    }
    // The host may read it as one of its group; whoever owns it needs no group.
    let right = if found.uid() == geteuid().as_raw() { 0o600 } else { mode & 0o770 };
    findings.problem(
        "secrets",
        format!("all users of this machine can read or change {shown} (mode {mode:o}), which holds {what}"),
        format!("`chmod {right:o} {}`{or}", shell(&shown)),
    );
}

impl Secrets {
    /// By their names, as the host calls what it masks.
    fn table(&mut self, table: &dyn TableLike, place: &str, is_secret: bool) {
        let mut entries = table.iter();
        if let (true, Some(("file", Item::Value(Value::String(file)))), None) =
            (is_secret, entries.next(), entries.next())
        {
            return self.files.push(file.value().into());
        }
        for (name, item) in table.iter() {
            let below = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
            // What an instance is called says nothing about its settings.
            let is_secret = is_secret || (place != "plugins" && looks_secret(name));
            self.item(item, &below, is_secret);
        }
    }

    fn item(&mut self, item: &Item, place: &str, is_secret: bool) {
        match item {
            Item::Value(value) => self.value(value, place, is_secret),
            Item::Table(table) => self.table(table, place, is_secret),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| self.table(table, place, is_secret)),
            Item::None => {}
        }
    }

    fn value(&mut self, value: &Value, place: &str, is_secret: bool) {
        match value {
            // Of a list the first is enough.
            Value::String(text) if is_secret && is_written_out(text.value()) && self.is_new(place) => {
                self.keys.push(place.into());
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(item, place, is_secret)),
            Value::InlineTable(table) => self.table(table, place, is_secret),
            _ => {}
        }
    }

    fn is_new(&self, place: &str) -> bool {
        self.keys.last().is_none_or(|last| last != place)
    }
}

/// Not empty, and not in a variable. `$${` is no variable.
fn is_written_out(text: &str) -> bool {
    !text.is_empty() && !text.replace("$${", "").contains("${")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_their_names_where_they_are_written_out() {
        let text = r#"
            [auth]
            admin_token = "x"
            [bridge]
            api_key = "${KEY}"
            admin_key = { file = "k" }
            [plugins.key_keeper]
            library = "web_chat"
            [plugins.key_keeper.settings]
            api_key = "mine"
            url = "y"
            max_tokens = 5
            headers = { Authorization = "Bearer x", Accept = "z" }
            passwords = ["", "p", "q"]
            [[plugins.key_keeper.settings.peers]]
            secret = "$${s}"
            [plugins.key_keeper.settings.credential]
            file = "c"
        "#;
        let mut found = Secrets::default();
        found.table(text.parse::<Document<String>>().unwrap().as_table(), "", false);
        let settings = "plugins.key_keeper.settings";
        let keys = ["api_key", "headers.Authorization", "passwords", "peers.secret"];
        let mut expected = vec!["auth.admin_token".to_owned()];
        expected.extend(keys.map(|key| format!("{settings}.{key}")));
        assert_eq!(found, Secrets { keys: expected, files: vec!["k".into(), "c".into()] });
    }
}
