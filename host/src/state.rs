//! What handlers share.

use crate::access::Access;
use crate::chat::retention::Sweeps;
use crate::config::{Config, Live};
use crate::error::{Error, Result};
use crate::limits::Limiter;
use crate::live::presence::Presence;
use crate::live::typing::Typing;
use crate::metrics::Metrics;
use crate::plugins::Manager;
use crate::queue::Queue;
use crate::store::Store;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The parts of the running host, behind one count: each request clones it several times.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    /// What counts now: see [`App::config`].
    pub live: Arc<Live>,
    pub store: Store,
    pub manager: Arc<Manager>,
    pub queue: Arc<Queue>,
    pub limits: Arc<Limits>,
    pub metrics: Arc<Metrics>,
    pub access: Arc<Access>,
    /// Who is in which room.
    pub presence: Arc<Presence>,
    /// The operator's token.
    pub admin_token: Arc<str>,
    /// Rung when a room was deleted: its rows are to be removed.
    pub room_deleted: Notify,
    pub sweeps: Sweeps,
    /// Until each plugin has come up or said why not.
    pub is_starting: AtomicBool,
    /// Where it listens.
    pub address: SocketAddr,
    /// True when the host ends: streams end with it.
    pub stopping: watch::Receiver<bool>,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The configuration that counts now. Who asks twice may be told two.
    pub fn config(&self) -> Arc<Config> {
        self.live.now()
    }
}

/// Ends what it began, also when the one who asked goes away.
pub async fn undisturbed<T: Send + 'static>(deed: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let done = tokio::spawn(deed).await;
    done.map_err(|error| Error::Internal(format!("a deed was broken off: {error}")))?
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// One limiter per kind of request.
pub struct Limits {
    pub messages: Limiter,
    pub rooms: Limiter,
    pub dms: Limiter,
    pub files: Limiter,
    /// By the hook's token; requests with an unknown one go by address.
    pub incoming_webhooks: Limiter,
    pub broadcasts: Limiter,
    pub api: Limiter,
    pub typing: Typing,
}

impl Limits {
    pub fn new(limits: &crate::config::Limits) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            messages: Limiter::new(limits.messages_per_minute, minute, "messages per minute"),
            rooms: Limiter::new(limits.rooms_per_hour, Duration::from_secs(3600), "rooms per hour"),
            dms: Limiter::new(limits.dms_per_minute, minute, "DMs per minute"),
            files: Limiter::new(limits.files_per_minute, minute, "file uploads per minute"),
            incoming_webhooks: Limiter::new(
                limits.incoming_webhooks_per_minute,
                minute,
                "messages per minute per webhook",
            ),
            broadcasts: Limiter::new(limits.broadcasts_per_minute, minute, "broadcasts per minute"),
            api: Limiter::new(limits.api_per_minute, minute, "requests per minute"),
            typing: Typing::default(),
        }
    }

    /// From now on these count; what was counted stays.
    pub fn set(&self, limits: &crate::config::Limits) {
        self.messages.set(limits.messages_per_minute);
        self.rooms.set(limits.rooms_per_hour);
        self.dms.set(limits.dms_per_minute);
        self.files.set(limits.files_per_minute);
        self.incoming_webhooks.set(limits.incoming_webhooks_per_minute);
        self.broadcasts.set(limits.broadcasts_per_minute);
        self.api.set(limits.api_per_minute);
    }
}
