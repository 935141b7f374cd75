//! The table `[plugins.<instance>.settings]`: its types, from which the manifest's JSON Schema is made. What one setting means for another is
//! in `rules.rs`; `check` holds it once more, together with the little that a schema cannot say.

use crate::rules::{self, KNOWN, NEEDED};
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
    // An agent on a Letta server, which remembers people by itself.
    Letta,
    // A local program.
    Command,
}

/// What a Letta agent keeps apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Scope {
    // People: an identity and a memory block for each.
    #[default]
    Identity,
    // Conversations, as newer servers have them.
    Conversation,
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

/// With padding or without.
const BASE64_IF_MARKED: &str = concat!(
    r"^(?!whsec_)|^whsec_(?=[^=])([A-Za-z0-9+/]{4})*",
    r"([A-Za-z0-9+/][AQgw]={0,2}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=?)?$"
);

const NOT_BASE64: &str =
    "what stands behind `whsec_` is not base64; copy it whole, or use a secret without that prefix";

/// Settings of an agent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("allOf" = rules::of_backends()))]
pub(crate) struct Settings {
    /// `echo` answers with the prompt, `http` asks any program, `openai` any server with `/v1/chat/completions`, `letta` an agent on a
    /// Letta server, `command` a local program.
    pub backend: Kind,
    /// `http`: where questions are posted. `openai`, `letta`: the server's root; a trailing `/v1` is understood.
    #[schemars(url, extend("pattern" = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#\\@]+([/?#\\]|$)", "errorMessage" = {
        "pattern": "only http and https can be asked, and a name or password cannot stand in the address: a key belongs into api_key"
    }))]
    pub url: Option<String>,
    /// Sent as `Authorization: Bearer …`.
    #[schemars(extend("pattern" = r"^[\t -~]*$", "errorMessage" = "it has characters that no header can carry; a line end perhaps"))]
    pub api_key: Secret,
    /// `http`: signs each question by Standard Webhooks. `whsec_…` is base64, anything else is taken as it is.
    #[schemars(extend("pattern" = BASE64_IF_MARKED, "errorMessage" = NOT_BASE64))]
    pub secret: Secret,
    /// `letta`: the agent's id on its server.
    #[schemars(length(max = 200))]
    pub agent_id: String,
    /// `letta`: `identity` gives each person an identity and a memory block, and the agent's turns do not overlap; `conversation` gives each
    /// conversation one of the server's own.
    pub scope: Scope,
    /// `command`: the program and its arguments. No shell reads them.
    #[schemars(length(max = 100), inner(length(max = 4000)))]
    pub command: Vec<String>,
    /// `openai`: the model's name.
    #[schemars(length(max = 200))]
    pub model: String,
    /// `openai`: put before each conversation.
    #[schemars(length(max = 100_000))]
    pub system_prompt: String,
    /// How many earlier messages are sent along. `letta` remembers them by itself.
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
    #[schemars(length(min = 1, max = 4000), extend("allOf" = rules::of_prompt_format()))]
    pub prompt_format: String,
    /// When nobody can tell whether the agent did the turn: `retry` with the same idempotency key, or `fail`.
    pub on_uncertain: OnUncertain,
    /// So many failures in a row end all asking for a while; 0 = never.
    #[schemars(range(max = 1000))]
    pub breaker_failures: u32,
    /// Seconds of that while. It doubles, up to five minutes, as long as the agent fails.
    #[schemars(range(max = 86_400), extend("exclusiveMinimum" = 0))]
    pub breaker_seconds: f64,
    /// `echo`: wait before answering.
    #[schemars(range(min = 0, max = 600_000))]
    pub delay_ms: f64,
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
            agent_id: String::new(),
            scope: Scope::Identity,
            command: Vec::new(),
            model: String::new(),
            system_prompt: String::new(),
            history: 20,
            timeout: 600.0,
            first_token_timeout: 60.0,
            stream: true,
            concurrency: 32,
            prompt_format: "[Username: @{username}, {Platform} ID: {platform_user_id}] {text}".into(),
            on_uncertain: OnUncertain::Retry,
            breaker_failures: 5,
            breaker_seconds: 30.0,
            delay_ms: 0.0,
            fail_every: 0,
        }
    }
}

impl Settings {
    /// The rules over several settings. Those of the network may stay while `echo` is tried out; a drill left over in a real agent may not.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = self.missing().or_else(|| self.misplaced());
        if let Some(text) = wrong {
            return Err(Error::new(text));
        }
        self.breaker_rest()?;
        if self.backend == Kind::Echo && self.delay() >= self.timeout()? {
            return Err(Error::new("delay_ms: it must be shorter than timeout, or no turn would ever end"));
        }
        Ok(())
    }

    /// What the backend cannot do without.
    fn missing(&self) -> Option<String> {
        let is_lacking = |setting: &str| match setting {
            "command" => self.command.first().is_none_or(|program| program.trim().is_empty()),
            setting => !self.is_set(setting),
        };
        let lacking = |(setting, _, by): &&(&str, &str, &[Kind])| by.contains(&self.backend) && is_lacking(setting);
        let (setting, what, _) = NEEDED.iter().find(lacking)?;
        Some(format!("{setting}: {}", rules::needs(self.backend, what)))
    }

    /// What would have no effect, and so was meant otherwise.
    fn misplaced(&self) -> Option<String> {
        let useless = |(setting, known): &&(&str, &[Kind])| !known.contains(&self.backend) && self.is_set(setting);
        let (setting, known) = KNOWN.iter().filter(|_| self.backend != Kind::Echo).find(useless)?;
        Some(format!("{setting}: {}", rules::has_no_use(self.backend, known)))
    }

    fn is_set(&self, setting: &str) -> bool {
        match setting {
            "url" => self.url.is_some(),
            "api_key" => !self.api_key.is_empty(),
            "secret" => !self.secret.is_empty(),
            "model" => !self.model.is_empty(),
            "system_prompt" => !self.system_prompt.is_empty(),
            "agent_id" => !self.agent_id.is_empty(),
            "scope" => self.scope != Scope::default(),
            "command" => !self.command.is_empty(),
            "delay_ms" => self.delay_ms > 0.0,
            "fail_every" => self.fail_every > 0,
            _ => false,
        }
    }

    pub(crate) fn timeout(&self) -> Result<Duration> {
        seconds("timeout", self.timeout)
    }

    /// No time at all where it is none.
    pub(crate) fn delay(&self) -> Duration {
        Duration::try_from_secs_f64(self.delay_ms / 1000.0).unwrap_or_default()
    }

    pub(crate) fn breaker_rest(&self) -> Result<Duration> {
        seconds("breaker_seconds", self.breaker_seconds)
    }

    pub(crate) fn first_token_timeout(&self) -> Result<Duration> {
        seconds("first_token_timeout", self.first_token_timeout)
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Http => "http",
            Self::Openai => "openai",
            Self::Letta => "letta",
            Self::Command => "command",
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
