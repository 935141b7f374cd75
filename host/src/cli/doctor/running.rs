//! The host that runs, in its own words.

use super::Findings;
use crate::cli::client::Client;
use crate::cli::view::{View, field, items};
use serde_json::Value;
use std::collections::BTreeMap;

/// `unfit`: instances whose trouble is told already, with the words for it.
pub(super) async fn look(findings: &mut Findings, host: &Client, unfit: &BTreeMap<String, String>, view: &View) {
    let listed = match host.get("plugins").await {
        Ok(listed) => listed,
        Err(error) => {
            let advice = "see its log; if it hangs, end it with SIGKILL and start it again: nothing is lost";
            return findings.problem("host", error.to_string(), advice);
        }
    };
    findings.ok("host", format!("it runs with pid {} at {}", host.pid(), host.url()));
    match host.ready().await {
        Err(error) => findings.problem("host", error.to_string(), "see its log"),
        Ok(ready) => {
            if let Some(why) = ready["error"].as_str() {
                let advice = "mend the disk; the host goes on by itself, without a restart";
                findings.problem("store", format!("the host cannot write it: {why}"), advice);
            }
        }
    }
    for plugin in items(&listed, "plugins").iter().filter(|plugin| plugin["enabled"] == true) {
        if unfit.get(&field(plugin, "name")).is_none_or(|told| *told != field(plugin, "reason")) {
            instance(findings, plugin, view);
        }
    }
}

fn instance(findings: &mut Findings, plugin: &Value, view: &View) {
    let (name, state, reason) = (field(plugin, "name"), field(plugin, "state"), field(plugin, "reason"));
    let text = match reason.as_str() {
        "" => format!("{name} is {state}"),
        reason => format!("{name} is {state}: {reason}"),
    };
    let show = view.command(&format!("plugins show {name}"));
    match state.as_str() {
        "Running" => findings.ok("plugins", text),
        "Rejected" => findings.problem("plugins", text, "put a right library there, or set enabled = false"),
        "Failed" | "Quarantined" | "Zombie" => {
            findings.problem("plugins", text, format!("`{show}` has its last error; mend that, then restart it"));
        }
        _ => findings.warning("plugins", text, format!("`{show}` has its last success and its last error")),
    }
}
