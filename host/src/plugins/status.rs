//! What operators see of an instance. The names of states and fields are part of the admin API and of `arcuate plugins list --json`.

use plugin_api::Limits;
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;

/// Where an instance stands in its life. Rejected, Failed and Zombie say why in `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PluginState, example = "Running")]
pub enum State {
    Discovered,
    /// Its library can be loaded and its settings are right; also where a disabled instance stays.
    Checked,
    Loaded,
    Created,
    Starting,
    Running,
    /// Running, but not as it should.
    Degraded,
    Stopping,
    Stopped,
    /// Its library cannot be used.
    Rejected,
    /// It will be tried again at `next_restart`; without one, its settings are wrong.
    Failed,
    Quarantined,
    /// Stopped, but for threads that could not be ended.
    Zombie,
}

impl State {
    pub const ALL: [Self; 13] = [
        Self::Discovered,
        Self::Checked,
        Self::Loaded,
        Self::Created,
        Self::Starting,
        Self::Running,
        Self::Degraded,
        Self::Stopping,
        Self::Stopped,
        Self::Rejected,
        Self::Failed,
        Self::Quarantined,
        Self::Zombie,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An instance, as it is now. Times are RFC 3339 in UTC with microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PluginInstance)]
pub struct InstanceStatus {
    pub name: String,
    pub library: String,
    /// Of the plugin; null while its manifest cannot be read.
    pub version: Option<String>,
    pub enabled: bool,
    pub state: State,
    /// Why it is in this state, if that is not as it should be.
    pub reason: Option<String>,
    /// When it came into this state.
    #[schema(format = "date-time")]
    pub since: String,
    pub last_success: Option<Word>,
    pub last_error: Option<Word>,
    /// How often it was started again after a failure.
    pub restarts: u32,
    #[schema(format = "date-time")]
    pub next_restart: Option<String>,
    /// Threads of earlier runs that could not be ended.
    pub threads_left: u32,
    /// What it can take; null before it is created.
    #[schema(value_type = Option<Object>)]
    pub limits: Option<Limits>,
}

/// The last that was heard of something.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PluginWord)]
pub struct Word {
    #[schema(format = "date-time")]
    pub at: String,
    pub text: String,
}
