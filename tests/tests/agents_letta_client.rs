//! The Letta server of the tests is what the published client takes it for: that client, given what the plugin has asked, sends the same.

use arcuate_tests::artifacts::artifacts;
use arcuate_tests::host::Host;
use arcuate_tests::letta::{FakeLetta, fixture};
use arcuate_tests::skip::skipped;
use arcuate_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The last version that has identities; later ones leave them to older servers.
const PACKAGE: &str = "letta-client==1.6.5";

/// A Python that has the client, kept beside what cargo builds. Err: why there is none.
fn python() -> Result<PathBuf, String> {
    let folder =
        artifacts().program("arcuate").parent().expect("a program lies in a folder").join("../tmp/letta-client");
    let python = folder.join("bin/python");
    let has_it = || succeeds(Command::new(&python).args(["-c", "import letta_client"]));
    if has_it().is_err() {
        succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        succeeds(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--timeout", "20", PACKAGE]))?;
        has_it()?;
    }
    Ok(python)
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Makes the calls again through the client; gives what it read as the agent's words.
fn replay(python: &Path, server: &FakeLetta, calls: &[Value]) -> String {
    let mut replay = Command::new(python)
        .arg(fixture("letta_client_replay.py"))
        .arg(server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let input = json!(calls).to_string();
    replay.stdin.take().expect("its input").write_all(input.as_bytes()).expect("the calls are written");
    let output = replay.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the client could not make the plugin's calls");
    String::from_utf8_lossy(&output.stdout).into()
}

/// What was sent, without the key that the plugin adds.
fn sent(calls: &[Value]) -> Vec<Value> {
    let said = |call: &Value| json!([call["method"], call["path"], call["query"], call["body"]]);
    // An address without parameters may come with an empty body, which is none.
    calls.iter().map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn published_client_sends_what_the_plugin_sends_and_reads_what_it_reads() {
    let test = "published_client";
    let python = match tokio::task::spawn_blocking(python).await.expect("it ends") {
        Ok(python) => python,
        Err(why) => return skipped(test, &format!("{PACKAGE} cannot be installed: {why}")),
    };
    for (scope, cut) in [("identity", "turn"), ("conversation", "turn_there")] {
        let Some(letta) = FakeLetta::start(test) else { return };
        letta.misbehave(&json!({ cut: [null, "cut"] })).await;
        let host = Host::start(&letta.plugin(&format!("scope = \"{scope}\"\nfirst_token_timeout = 5"))).await;
        let visitor = Visitor::new(host.client(), "session_1");
        visitor.say("Hello, agent").await;
        visitor.hears(1).await;
        visitor.say("And again, so that the answer gets lost").await;
        visitor.hears(2).await;
        let calls = letta.calls().await;
        assert!(
            calls.iter().any(|call| call["name"].as_str().is_some_and(|name| name.starts_with("said"))),
            "{calls:#?}"
        );

        let Some(other) = FakeLetta::start(test) else { return };
        let heard = replay(&python, &other, &calls);
        assert_eq!(heard, "re: Hello, agent\nre: And again, so that the answer gets lost\n");
        assert_eq!(sent(&other.calls().await), sent(&calls), "scope {scope}");
    }
}
