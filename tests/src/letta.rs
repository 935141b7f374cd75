//! A Letta server of a few lines of Python, in a process of its own. It goes wrong when it is told to and keeps a record of every call; a
//! test holds it against the published client.

use crate::client::Client;
use crate::skip::skipped;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Its one agent.
pub const AGENT: &str = "agent-1";

/// The server while it runs.
#[derive(Debug)]
pub struct FakeLetta {
    process: Child,
    address: String,
    client: Client,
}

impl FakeLetta {
    /// None where there is no Python, which is then told under the test's name.
    pub fn start(test: &str) -> Option<Self> {
        let started = Command::new("python3")
            .arg(fixture("fake_letta.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let Ok(mut process) = started else {
            skipped(test, "python3 is missing");
            return None;
        };
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line that says where it listens");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Some(Self { process, client: Client::new(&address), address })
    }

    pub fn url(&self) -> &str {
        &self.address
    }

    /// `[plugins.assistant]` for its agent, which is asked with the bare message; `more` are further settings.
    pub fn plugin(&self, more: &str) -> String {
        format!(
            "[plugins.assistant]\nenabled = true\nlibrary = \"agent_invoker\"\n[plugins.assistant.settings]\n\
             backend = \"letta\"\nurl = \"{}\"\nagent_id = \"{AGENT}\"\nprompt_format = \"{{text}}\"\n{more}\n",
            self.address
        )
    }

    /// Plans of what goes wrong, by the names of calls (`turn`, `attach`, …), and how long a turn `takes`.
    pub async fn misbehave(&self, plans: &Value) {
        self.client.post("/fake/misbehave", plans).await.ok();
    }

    pub async fn record(&self) -> Value {
        self.client.get("/fake/record").await.ok()
    }

    /// The calls so far.
    pub async fn calls(&self) -> Vec<Value> {
        self.record().await["calls"].as_array().expect("calls").clone()
    }

    /// Their names.
    pub async fn names(&self) -> Vec<String> {
        self.calls().await.iter().map(|call| call["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Nobody's block lay there in another's turn, and none lies there now.
    pub async fn assert_clean(&self) {
        let record = self.record().await;
        assert_eq!((&record["violations"], &record["attached"]), (&json!([]), &json!(["block-human"])));
    }
}

impl Drop for FakeLetta {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
