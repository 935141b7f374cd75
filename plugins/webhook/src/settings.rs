//! The table `[plugins.webhook.settings]`.

use crate::networks::Networks;
use plugin_api::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A week: longer waits are a slip of the pen.
const LONGEST_WAIT: f64 = 604_800.0;

/// Settings of the sender.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Seconds to wait after each failed attempt, each varied by a fifth. After the last one the delivery is a dead letter.
    #[schemars(length(max = 100), inner(range(min = 0, max = 604_800)))]
    pub schedule: Vec<f64>,
    /// Seconds that an endpoint may take to answer.
    #[schemars(range(max = 300), extend("exclusiveMinimum" = 0))]
    pub timeout: f64,
    /// Endpoints called at once; one endpoint gets one delivery after another.
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: u32,
    /// What may be called beside the internet: `loopback`, `private`, or networks such as `10.1.0.0/16`. Never link-local, multicast, or
    /// the metadata of a cloud.
    #[schemars(length(max = 100), extend("items" = {
        "type": "string",
        "anyOf": [{ "enum": ["loopback", "private"] }, { "format": "ip-network" }],
        "errorMessage": "it is neither loopback, private nor a network such as 10.1.0.0/16"
    }))]
    pub allow_networks: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule: vec![5.0, 30.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0],
            timeout: 15.0,
            concurrency: 32,
            allow_networks: Vec::new(),
        }
    }
}

impl Settings {
    /// In milliseconds.
    pub(crate) fn schedule(&self) -> Result<Vec<u64>> {
        let milliseconds = |seconds: &f64| match seconds {
            0.0..=LONGEST_WAIT => Ok((seconds * 1000.0).ceil() as u64),
            _ => Err(Error::new(format!("schedule: {seconds} is no time between 0 and {LONGEST_WAIT} seconds"))),
        };
        self.schedule.iter().map(milliseconds).collect()
    }

    pub(crate) fn timeout(&self) -> Result<Duration> {
        let timeout = Duration::try_from_secs_f64(self.timeout).ok().filter(|timeout| !timeout.is_zero());
        timeout.ok_or_else(|| Error::new("timeout: a time in seconds, more than 0"))
    }

    pub(crate) fn networks(&self) -> Result<Networks> {
        Networks::parse(&self.allow_networks)
    }
}
