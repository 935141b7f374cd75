//! Plugins for Arcuate, a host that bridges chats to agents.
//!
//! A plugin is a shared library with one type that implements [`Plugin`]. Depending on its roles it brings messages in (`source`), takes
//! messages out (`sink`), answers them (`agent`) or serves requests of its own (`http`). The host does everything that must not be lost:
//! it stores messages, maps platform users to people, decides who answers, keeps the queue, and hands out work again when something failed.
//!
//! # A whole plugin
//!
//! An agent that answers in capitals. `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! arcuate-plugin-api = { path = "…/plugin-api" }
//! async-trait = "0.1"
//! schemars = "1"
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! `src/lib.rs`:
//!
//! ```
//! use plugin_api::{Host, Job, Outcome, Plugin, Result, Work, async_trait};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! /// The table `[plugins.shout.settings]`.
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields, default)]
//! struct Settings {
//!     /// Put behind each answer.
//!     #[schemars(length(max = 10))]
//!     mark: String,
//! }
//!
//! impl Default for Settings {
//!     fn default() -> Self {
//!         Self { mark: "!".into() }
//!     }
//! }
//!
//! struct Shout {
//!     settings: Settings,
//! }
//!
//! #[async_trait]
//! impl Plugin for Shout {
//!     type Settings = Settings;
//!
//!     fn new(settings: Settings, _host: Host) -> Result<Self> {
//!         Ok(Self { settings })
//!     }
//!
//!     async fn handle(&self, job: Job) -> Outcome {
//!         match job.work {
//!             Work::AgentTurn(turn) => Outcome::reply(turn.message.content.to_uppercase() + &self.settings.mark),
//!             _ => Outcome::discard("an agent takes turns only"),
//!         }
//!     }
//! }
//!
//! // plugin_api::export_plugin!(Shout);      // in the library itself, with plugin.json beside Cargo.toml
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use plugin_api::testing::FakeHost;
//! let fake = FakeHost::new("shout");
//! let shout = Shout::new(Settings::default(), fake.host()).unwrap();
//! assert_eq!(shout.handle(fake.turn("psst")).await, Outcome::reply("PSST!"));
//! # }
//! ```
//!
//! # How it lives
//!
//! The host reads the manifest out of the library without running any code, checks the settings against the manifest's JSON Schema, loads
//! the library, and calls [`Plugin::new`], [`Plugin::limits`] and [`Plugin::start`]. From then on [`Plugin::handle`] gets jobs, as many at
//! once as `limits` says, never two of one lane. At the end [`Host::stopping`] resolves and [`Plugin::stop`] is called.
//!
//! Each instance has a tokio runtime of its own: `tokio::spawn`, timers and sockets work in every method, also in `new`. Log with
//! `tracing`: the host writes the lines under the instance's name.
//!
//! # What the host promises, and what it asks
//!
//! * What [`Host::ingest`] accepted is on disk. The same `external_id` again is a duplicate, for ever. So a source acknowledges to its
//!   platform after `ingest`, and simply asks again after a crash.
//! * A job is handed out until it ends in [`Outcome::Done`] or [`Outcome::Discard`] or its attempts are used up; then the operator sees it.
//!   The reply of `Done`, the event, and the delivery it causes are one transaction with the job's end.
//! * After a crash a job comes again, so effects outside happen **at least once**. Send [`Job::id`] as `Idempotency-Key`, and when
//!   [`Job::uncertain`] is set, look whether it happened before you repeat it.
//! * A panic costs the attempt, not the host. Several in a row, an error of a task given to [`Host::spawn`], or a failed `start` restart the
//!   instance, with growing waits.
//!
//! # The boundary
//!
//! Between host and library only integers and owned bytes cross ([`raw`] has the layout, frozen per major version), so a plugin may be
//! built by another compiler version, with another tokio and another allocator than the host's.

mod error;
mod host;
pub mod http;
mod log;
mod manifest;
mod plugin;
pub mod raw;
mod sdk;
mod secret;
pub mod testing;
pub mod types;

pub use async_trait::async_trait;
pub use error::{Error, Result};
pub use host::Host;
pub use http::{Request, Response};
pub use manifest::{Manifest, Role};
pub use plugin::Plugin;
pub use secret::Secret;
pub use types::{
    Batch, Delivery, Event, EventFilter, Identity, InReplyTo, Incoming, IncomingMessage, Ingested, Job, Limits,
    Message, Mode, Outcome, Priority, Reply, Task, Turn, User, Webhook, Work,
};
