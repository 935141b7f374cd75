//! Plugins: shared libraries that bring messages in, take them out or answer them. This folder finds and checks their libraries, keeps
//! their instances running, and is the only way to and from their code.
//!
//! `directory` and `inspect` (with `elf`) say what lies there without running it · `copies` and `library` bring one copy of each library
//! into the process · `loader` and `context` are the boundary · `voice`, `calls` and `logs` take what instances tell, `host_api` answers
//! what they ask, `http_api` serves their requests · `life` is one created instance · `slot` and `status` are what is known about a
//! configured one · `supervisor` keeps it running, as fast as `restarts` allows · `manager` is the door for the rest of the host, `changes` what
//! operators change while it runs · `deaths` and `last_words` know who ended the process.
//!
//! What plugins can do to the host, and what it does about it, is tried out in `tests/`.

mod calls;
mod changes;
mod context;
mod copies;
mod deaths;
mod directory;
mod elf;
mod host_api;
mod http_api;
mod inspect;
mod inspection;
mod last_words;
mod library;
mod life;
mod loader;
mod logs;
mod manager;
mod restarts;
mod slot;
mod spec;
mod status;
mod supervisor;
mod targets;
mod text;
mod thread;
mod voice;

pub use changes::{FailedInstance, Moves, Plan, Turn};
pub use directory::Other;
pub use host_api::Api;
pub use http_api::router;
pub use inspection::{Inspection, Problem, inspect_all, inspect_others, open_to_others};
pub use life::HandleError;
pub use manager::Manager;
pub use status::{InstanceStatus, State, Word};
pub use targets::{wrong_targets, wrong_targets_at_rest};

use async_trait::async_trait;
use plugin_api::Limits;
use plugin_api::raw::Op;
use std::time::Duration;

/// What plugins may ask of the host.
#[async_trait]
pub trait HostApi: Send + Sync + 'static {
    /// One operation of an instance, JSON both ways. Resolves after the commit; the error's text goes to the plugin as it is.
    async fn call(&self, instance: &str, op: Op, arguments: Vec<u8>) -> Result<Vec<u8>, String>;
}

/// Who must know when an instance comes and goes.
#[async_trait]
pub trait Observer: Send + Sync + 'static {
    /// It may get jobs from now on, within these limits.
    fn running(&self, instance: &str, limits: &Limits);

    /// It gets no new jobs, but goes on with those that it has until `left`. Comes after `running`, if it leaves in good order.
    fn leaving(&self, _instance: &str) {}

    /// It gets no more jobs; those that it has are no longer its own, whatever it still says about them. It is not started again
    /// before this resolves. Follows each `running` once.
    async fn left(&self, instance: &str);

    /// It wants no new jobs for a while, but goes on with those that it has. Zero: go on. Comes between `running` and `left` only.
    fn paused(&self, instance: &str, wait: Duration, why: &str);
}
