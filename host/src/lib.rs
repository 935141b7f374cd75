//! Arcuate: a host that bridges chats to agents.
//!
//! The map of the house. A request comes in through [`http`]; [`chat`], [`bridge`] and [`admin`] hold one slice per file above the seam,
//! [`store`] holds the SQL of the same slices below it, and whatever was committed is heard through [`live`]. What must happen later is a
//! row of the store's queue, worked off by [`queue`] through [`plugins`], which ask back through the same functions. `ARCHITECTURE.md`
//! says why it is so.

pub mod access;
pub mod admin;
pub mod auth;
pub mod bridge;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod discovery;
pub mod error;
pub mod http;
pub mod ids;
pub mod limits;
pub mod live;
pub mod metrics;
pub mod plugins;
pub mod queue;
mod run;
pub mod state;
pub mod store;

pub use run::{Started, run};
