//! Who else could read, change or reach what is this host's: addresses, files, libraries.

use super::{Findings, secrets};
use crate::auth::token_path;
use crate::cli::view::shell;
use crate::config::{AuthMode, Config, Durability, Loaded};
use crate::plugins::open_to_others;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const OTHERS: u32 = 0o077;

pub(super) fn look(findings: &mut Findings, loaded: &Loaded) {
    let config = &loaded.config;
    reach(findings, config);
    secrets::look(findings, loaded.origin.as_deref());
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
    findings.problem("permissions", text, format!("`chmod 600 {}`", shell(&shown.to_string())));
}
