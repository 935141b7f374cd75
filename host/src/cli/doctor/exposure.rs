//! Who else could read, change or reach what is this host's: addresses, files, secrets, libraries.

use super::Findings;
use crate::auth::token_path;
use crate::config::{AuthMode, Config, Durability, Loaded};
use crate::plugins::open_to_others;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use toml_edit::{Document, Item, TableLike, Value};

const OTHERS: u32 = 0o077;
const OTHERS_READ: u32 = 0o044;

pub(super) fn look(findings: &mut Findings, loaded: &Loaded) {
    let config = &loaded.config;
    reach(findings, config);
    secrets(findings, loaded.origin.as_deref());
    private(findings, &config.store.path, "it holds private words and secrets");
    private(findings, &token_path(&config.store.path), "whoever reads it is the operator");
    let open = open_to_others(&config.plugins);
    if open.is_empty() {
        findings.ok("libraries", "nobody else can change the plugins' libraries");
    }
    for text in open {
        findings.problem("libraries", text, "take that right away, and see who used it");
    }
    if config.store.durability == Durability::Normal {
        let text = "[store] durability is \"normal\": a loss of power may take the last moments";
        findings.warning("durability", text, "\"full\" loses nothing that was answered");
    }
}

fn reach(findings: &mut Findings, config: &Config) {
    let bind = config.server.bind;
    if bind.ip().is_loopback() {
        return findings.ok("network", format!("only this machine reaches {bind}"));
    }
    match config.auth.mode {
        AuthMode::Lan => findings.warning(
            "network",
            format!("{bind} can be reached from other machines, and with [auth] mode = \"lan\" whoever reaches it may read and write"),
            "set mode = \"token\", or bind = \"127.0.0.1:8000\" behind a proxy, unless you trust that whole network",
        ),
        AuthMode::Token => findings.ok("network", format!("{bind} needs an access token")),
    }
}

/// A file that is not there yet is nobody's to read.
fn private(findings: &mut Findings, path: &Path, why: &str) {
    let Ok(found) = path.metadata() else { return };
    let shown = path.display();
    if found.mode() & OTHERS == 0 {
        return findings.ok("permissions", format!("{shown} is for its owner alone"));
    }
    let mode = found.mode() & 0o777;
    let text = format!("{shown} is open to other users of this machine (mode {mode:o}); {why}");
    findings.problem("permissions", text, format!("`chmod 600 {shown}`"));
}

/// Keys that stand in the configuration itself.
fn secrets(findings: &mut Findings, origin: Option<&Path>) {
    let Some(path) = origin else { return };
    let Ok(text) = fs::read_to_string(path) else { return };
    let Ok(document) = text.parse::<Document<String>>() else { return };
    let mut found = Vec::new();
    collect(document.as_table(), "", &mut found);
    let readable = path.metadata().is_ok_and(|found| found.mode() & OTHERS_READ != 0);
    let shown = path.display();
    match (found.as_slice(), readable) {
        ([], _) => findings.ok("secrets", format!("no secrets stand in {shown}")),
        (_, false) => findings.ok("secrets", format!("only its owner reads the secrets in {shown}")),
        (keys, true) => findings.problem(
            "secrets",
            format!("other users of this machine can read {shown}, which holds {}", keys.join(", ")),
            format!("`chmod 600 {shown}`, or take them from the environment (\"${{NAME}}\") or a file ({{ file = \"path\" }})"),
        ),
    }
}

/// By their names, as the host and its plugins call what nobody else should know.
fn collect(table: &dyn TableLike, place: &str, found: &mut Vec<String>) {
    for (name, item) in table.iter() {
        let place = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
        let secret = ["key", "token", "secret", "password"].iter().any(|ending| name.ends_with(ending));
        match item {
            Item::Value(Value::String(text)) if secret => {
                let text = text.value();
                if !text.is_empty() && !text.starts_with("${") {
                    found.push(place);
                }
            }
            item => {
                if let Some(table) = item.as_table_like() {
                    collect(table, &place, found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_their_names_where_they_are_written_out() {
        let text = "[auth]\nadmin_token = \"x\"\n[bridge]\napi_key = \"${KEY}\"\nadmin_key = { file = \"k\" }\n\
                    [plugins.web_chat.settings]\napi_key = \"mine\"\nurl = \"y\"\n";
        let mut found = Vec::new();
        collect(text.parse::<Document<String>>().unwrap().as_table(), "", &mut found);
        assert_eq!(found, ["auth.admin_token", "plugins.web_chat.settings.api_key"]);
    }
}
