//! The table `[plugins.<instance>.settings]`.

use plugin_api::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of a TCP chat.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Address and port to listen on. Port 0 takes a free one, which the instance's health then names.
    pub listen: String,
    /// People at once; more are turned away.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: u32,
    /// Somebody who says nothing for so many minutes is shown out.
    #[schemars(range(max = 10_080), extend("exclusiveMinimum" = 0))]
    pub idle_minutes: f64,
    /// Seconds that somebody may take to read what is written to them.
    #[schemars(range(max = 300), extend("exclusiveMinimum" = 0))]
    pub write_timeout: f64,
    /// Seconds after which a message for somebody who is away is tried again.
    #[schemars(range(max = 3600), extend("exclusiveMinimum" = 0))]
    pub away_seconds: f64,
    /// Hours that a message waits for somebody to come back, before it is given up.
    #[schemars(range(max = 8760), extend("exclusiveMinimum" = 0))]
    pub keep_hours: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            max_connections: 100,
            idle_minutes: 60.0,
            write_timeout: 10.0,
            away_seconds: 10.0,
            keep_hours: 24.0,
        }
    }
}

impl Settings {
    /// What the schema cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        match self.listen.parse::<SocketAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(format!(
                "listen: {:?} is no address with a port; something like \"127.0.0.1:7007\" is needed",
                self.listen
            ))),
        }
    }

    pub(crate) fn idle(&self) -> Duration {
        seconds(self.idle_minutes * 60.0)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        seconds(self.write_timeout)
    }

    pub(crate) fn away(&self) -> Duration {
        seconds(self.away_seconds)
    }

    pub(crate) fn keep(&self) -> Duration {
        seconds(self.keep_hours * 3600.0)
    }
}

/// The schema has bounded it.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
