//! The host's sections as the rest of the house reads them: typed, with units in the types.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::secret::Secret;

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Server {
    /// Port 0 takes any free one.
    pub bind: SocketAddr,
    /// From these, `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// As browsers send them (`https://example.org`, no slash at the end), or `*`.
    pub cors_origins: Vec<String>,
    /// Without a slash at its end; empty: unknown.
    pub public_url: String,
    /// How long a request's body may stay silent before it is given up.
    #[serde(rename = "body_seconds", deserialize_with = "seconds")]
    pub body: Duration,
    /// How long open requests may take to end at shutdown.
    #[serde(rename = "shutdown_seconds", deserialize_with = "seconds")]
    pub shutdown: Duration,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Store {
    pub path: PathBuf,
    pub durability: Durability,
    /// How long events are kept; 0: for ever.
    #[serde(rename = "log_days", deserialize_with = "days")]
    pub log: Duration,
    /// Commits and queries that take so long are told in the log; 0: none.
    #[serde(rename = "slow_ms", deserialize_with = "milliseconds")]
    pub slow: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// fsync before an answer.
    Full,
    /// A loss of power may take the last moments.
    Normal,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Auth {
    pub mode: AuthMode,
    /// Empty: made at the first start and kept beside the store.
    pub admin_token: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Whoever reaches the host is trusted.
    Lan,
    /// Each request needs an access token.
    Token,
}

/// The native bridge API. An empty key closes the actions that need it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Bridge {
    pub api_key: Secret,
    pub admin_key: Secret,
    /// A visitor's session counts as inactive after this.
    #[serde(rename = "session_timeout_seconds", deserialize_with = "seconds")]
    pub session_timeout: Duration,
    /// A leased message that is not acknowledged within this comes again.
    #[serde(rename = "ack_seconds", deserialize_with = "seconds")]
    pub ack: Duration,
}

/// Per address; 0 = off.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Limits {
    pub messages_per_minute: u32,
    pub rooms_per_hour: u32,
    pub files_per_minute: u32,
    pub dms_per_minute: u32,
    pub incoming_webhooks_per_minute: u32,
    pub broadcasts_per_minute: u32,
    pub api_per_minute: u32,
    /// Of one file; not per address, and never off.
    pub file_bytes: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Queue {
    /// The wait after the first failure; it doubles up to `cap`, which is never less.
    #[serde(rename = "base_seconds", deserialize_with = "seconds")]
    pub base: Duration,
    #[serde(rename = "cap_seconds", deserialize_with = "seconds")]
    pub cap: Duration,
    /// At least 1.
    pub max_attempts: u32,
    /// How long ended jobs are kept; 0: for ever.
    #[serde(rename = "keep_completed_days", deserialize_with = "days")]
    pub keep_completed: Duration,
    #[serde(rename = "keep_dead_days", deserialize_with = "days")]
    pub keep_dead: Duration,
}

/// The options of `[plugins]`; the instances are read apart, for their settings belong to the plugins.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct PluginOptions {
    pub directory: PathBuf,
    #[serde(rename = "start_seconds", deserialize_with = "seconds")]
    pub start: Duration,
    #[serde(rename = "stop_seconds", deserialize_with = "seconds")]
    pub stop: Duration,
    #[serde(rename = "restart_base_seconds", deserialize_with = "seconds")]
    pub restart_base: Duration,
}

/// Everything that the layers hold.
#[derive(Debug, Deserialize)]
pub(super) struct Sections {
    pub server: Server,
    pub store: Store,
    pub auth: Auth,
    pub bridge: Bridge,
    pub limits: Limits,
    pub queue: Queue,
    pub plugins: PluginOptions,
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time(deserializer, 0.001)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time(deserializer, 1.0)
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time(deserializer, 86_400.0)
}

/// Fractions allowed, of so many seconds each.
fn time<'de, D: Deserializer<'de>>(deserializer: D, unit: f64) -> Result<Duration, D::Error> {
    let number = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(number * unit).map_err(serde::de::Error::custom)
}
