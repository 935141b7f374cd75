//! The plugin against a scripted agent on a real socket, with a host that is not there.

mod agent;
mod command;
mod http;
mod letta;
mod letta_trouble;
mod openai;
mod settings;
mod trouble;

use crate::AgentInvoker;
use agent::Agent;
use plugin_api::testing::FakeHost;
use plugin_api::{Error, Outcome, Plugin, Result};
use serde_json::{Value, json};

/// An instance with these settings, as the host would make it.
fn instance(settings: Value) -> Result<(FakeHost, AgentInvoker)> {
    let fake = FakeHost::new("assistant");
    let settings = serde_json::from_value(settings).map_err(Error::from)?;
    let invoker = AgentInvoker::new(settings, fake.host())?;
    Ok((fake, invoker))
}

/// One that asks this agent, with further settings.
fn asking(agent: &Agent, backend: &str, further: Value) -> (FakeHost, AgentInvoker) {
    let mut settings = json!({"backend": backend, "url": agent.url(), "history": 0, "prompt_format": "{text}"});
    if backend == "openai" {
        settings["model"] = "m".into();
    }
    if backend == "letta" {
        settings["agent_id"] = "agent-1".into();
    }
    settings.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    instance(settings).unwrap()
}

/// Why a turn is to be tried again: the text, whether it is uncertain, the wait.
fn retried(outcome: Outcome) -> (String, bool, Option<u64>) {
    match outcome {
        Outcome::Retry { why, uncertain, after_ms, .. } => (why, uncertain, after_ms),
        other => panic!("{other:?} is no retry"),
    }
}

fn discarded(outcome: Outcome) -> String {
    match outcome {
        Outcome::Discard { why, .. } => why,
        other => panic!("{other:?} is no discard"),
    }
}
