//! The table `[plugins.<instance>.settings]`: its types, from which the manifest's JSON Schema is made, and the rules that a schema cannot
//! say, such as which settings belong to which backend.

use plugin_api::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

// Plain comments on the variants: with doc comments the schema would have a choice of schemas, and the operator a worse message.

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Kind {
    // The plugin itself, with the formatted prompt.
    #[default]
    Echo,
    // Any program that takes a JSON question.
    Http,
    // A server with `/v1/chat/completions`.
    Openai,
}

/// What to do when nobody can tell whether the agent did the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum OnUncertain {
    // Ask again, with the same idempotency key.
    #[default]
    Retry,
    // Give the turn up and leave it to the operator.
    Fail,
}

/// Settings of an agent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// `echo` answers with the prompt, `http` asks any program, `openai` any server with `/v1/chat/completions`.
    pub backend: Kind,
    /// `http`: where questions are posted. `openai`: the server's root; a trailing `/v1` is understood.
    #[schemars(url)]
    pub url: Option<String>,
    /// Sent as `Authorization: Bearer …`.
    pub api_key: Secret,
    /// `http`: signs each question by Standard Webhooks. `whsec_…` is base64, anything else is taken as it is.
    pub secret: Secret,
    /// `openai`: the model's name.
    #[schemars(length(max = 200))]
    pub model: String,
    /// `openai`: put before each conversation.
    #[schemars(length(max = 100_000))]
    pub system_prompt: String,
    /// How many earlier messages are sent along.
    #[schemars(range(max = 500))]
    pub history: u32,
    /// Seconds that a turn may take in all.
    #[schemars(range(max = 86_400), extend("exclusiveMinimum" = 0))]
    pub timeout: f64,
    /// Seconds until the first piece of a streamed answer.
    #[schemars(range(max = 86_400), extend("exclusiveMinimum" = 0))]
    pub first_token_timeout: f64,
    /// Ask for a streamed answer, which people see while it grows.
    pub stream: bool,
    /// Turns at once; a conversation never has more than one.
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: u32,
    /// How a person's message is put to the agent: `{username}`, `{display_name}`, `{platform}`, `{Platform}` (in title case),
    /// `{platform_user_id}` and `{text}`; `{{` and `}}` are braces.
    #[schemars(length(min = 1, max = 4000))]
    pub prompt_format: String,
    /// When nobody can tell whether the agent did the turn: `retry` with the same idempotency key, or `fail`.
    pub on_uncertain: OnUncertain,
    /// `echo`: wait before answering.
    #[schemars(range(max = 600_000))]
    pub delay_ms: u64,
    /// `echo`: every n-th turn fails once and is tried again; 0 = none.
    pub fail_every: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: Kind::Echo,
            url: None,
            api_key: Secret::default(),
            secret: Secret::default(),
            model: String::new(),
            system_prompt: String::new(),
            history: 20,
            timeout: 600.0,
            first_token_timeout: 60.0,
            stream: true,
            concurrency: 32,
            prompt_format: "[Username: @{username}, {Platform} ID: {platform_user_id}] {text}".into(),
            on_uncertain: OnUncertain::Retry,
            delay_ms: 0,
            fail_every: 0,
        }
    }
}

impl Settings {
    /// The rules over several settings. Those of the network may stay while `echo` is tried out; a drill left over in a real agent may not.
    pub(crate) fn check(&self) -> Result<()> {
        let network = self.backend != Kind::Echo;
        let openai = self.backend == Kind::Openai;
        let name = self.backend.name();
        let rules = [
            (network && self.url.is_none(), format!("url: backend \"{name}\" needs the agent's address here")),
            (openai && self.model.is_empty(), "model: backend \"openai\" needs the model's name here".into()),
            (
                openai && !self.secret.is_empty(),
                "secret: only backend \"http\" signs its questions; remove it, or use api_key".into(),
            ),
            (
                self.backend == Kind::Http && !self.model.is_empty(),
                "model: backend \"http\" sends none; remove it, or use \"openai\"".into(),
            ),
            (
                self.backend == Kind::Http && !self.system_prompt.is_empty(),
                "system_prompt: backend \"http\" sends none; remove it, or use \"openai\"".into(),
            ),
            (network && self.delay_ms > 0, "delay_ms: only backend \"echo\" waits; remove it".into()),
            (network && self.fail_every > 0, "fail_every: only backend \"echo\" fails on purpose; remove it".into()),
            (
                !network && Duration::from_millis(self.delay_ms) >= self.timeout()?,
                "delay_ms: it must be shorter than timeout, or no turn would ever end".into(),
            ),
        ];
        match rules.into_iter().find(|(broken, _)| *broken) {
            Some((_, text)) => Err(Error::new(text)),
            None => Ok(()),
        }
    }

    pub(crate) fn timeout(&self) -> Result<Duration> {
        seconds("timeout", self.timeout)
    }

    pub(crate) fn first_token_timeout(&self) -> Result<Duration> {
        seconds("first_token_timeout", self.first_token_timeout)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Http => "http",
            Self::Openai => "openai",
        }
    }
}

/// The schema bounds it already, so only a caller without the host's check comes here with less.
fn seconds(name: &str, value: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(Error::new(format!("{name}: {value} is no time; a number of seconds above 0 is needed"))),
    }
}
