//! The poller of a web chat's bridge: a site that visitors' browsers talk to, and that this host can reach but not be reached from. Messages
//! are fetched from its inbox, what is said in the host is posted to its outbox.
//!
//! The bridge forgets what it gives out and keeps no keys of what it gets, so all care is on this side: a page is stored before anything
//! else happens (`intake.rs`), what got lost on the way is looked for (`catch_up.rs`), and what may have arrived is looked at before it is
//! repeated (`deliver.rs`). `failure.rs` has the rule that both hang on.

mod answered;
mod backoff;
mod catch_up;
mod client;
mod config;
mod deliver;
mod entities;
mod failure;
mod health;
mod intake;
mod ledger;
mod poll;
mod protocol;
mod settings;
mod split;
#[cfg(test)]
mod tests;
mod time;
mod traffic;

use catch_up::CatchUp;
use client::{Answer, Client};
use config::Config;
use deliver::Courier;
use failure::Failure;
use health::{Health, Part};
use intake::Intake;
use ledger::Ledger;
use plugin_api::{Error, Host, Job, Limits, Outcome, Plugin, Result, Work, async_trait};
use poll::Poller;
use protocol::Inbox;
use settings::Settings;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use traffic::Traffic;

/// The host gives `start` ten seconds. A bridge that takes longer than this is polled all the same, later.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

struct WebChat {
    host: Host,
    config: Arc<Config>,
    client: Arc<Client>,
    ledger: Arc<Ledger>,
    health: Arc<Health>,
    traffic: Arc<Traffic>,
    courier: Courier,
    /// Resolves when the poller has ended.
    polling: Mutex<Option<oneshot::Receiver<()>>>,
}

#[async_trait]
impl Plugin for WebChat {
    type Settings = Settings;

    fn new(settings: Settings, host: Host) -> Result<Self> {
        let config = Arc::new(Config::new(settings, host.instance(), |name| std::env::var(name).ok())?);
        let client = Arc::new(Client::new(&config, host.version())?);
        let ledger = Arc::new(Ledger::new(host.clone()));
        let health = Arc::new(Health::new(host.clone()));
        let traffic = Arc::new(Traffic::default());
        let courier = Courier {
            host: host.clone(),
            config: config.clone(),
            client: client.clone(),
            ledger: ledger.clone(),
            traffic: traffic.clone(),
        };
        Ok(Self { host, config, client, ledger, health, traffic, courier, polling: Mutex::default() })
    }

    fn limits(&self) -> Limits {
        self.config.limits()
    }

    async fn start(&self) -> Result<()> {
        let probe = self.probe().await;
        match &probe {
            Ok(_) => self.health.well(|| format!("the bridge at {} answers", self.config.endpoint)),
            Err(failure) if failure.is_key_refused() => return Err(Error::new(failure.advice())),
            Err(failure) => self.health.trouble(Part::Bridge, &failure.advice()),
        }
        if !self.client.has_admin_key() {
            tracing::warn!("no `admin_key` is set: messages whose answer gets lost on the way are lost at that bridge");
        }
        let (ended, polling) = oneshot::channel();
        *self.polling.lock().unwrap_or_else(PoisonError::into_inner) = Some(polling);
        let poller = self.poller();
        self.host.spawn("poll", async move {
            let result = poller.run(probe).await;
            drop(ended);
            result
        });
        Ok(())
    }

    async fn handle(&self, job: Job) -> Outcome {
        match &job.work {
            Work::Deliver(delivery) => self.courier.deliver(&job, delivery).await,
            Work::Ingest { raw } => self.intake().again(raw).await,
            _ => Outcome::discard("this plugin brings messages to a web chat: it takes deliveries only"),
        }
    }

    /// Waits for the page that may be on its way: at the bridge it is gone.
    async fn stop(&self) {
        let polling = self.polling.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(polling) = polling {
            // An error is how it ends: nothing is ever sent.
            let _ = polling.await;
        }
    }
}

impl WebChat {
    /// Asks for no messages at all, to see whether address and key are right.
    async fn probe(&self) -> Result<Answer<Inbox>, Failure> {
        let too_long = |_| Failure::Lost(format!("none came within {} s", PROBE_TIMEOUT.as_secs()));
        tokio::time::timeout(PROBE_TIMEOUT, self.client.inbox(0)).await.map_err(too_long).flatten()
    }

    fn intake(&self) -> Intake {
        Intake::new(self.host.clone(), self.config.clone(), self.health.clone())
    }

    fn poller(&self) -> Poller {
        let (host, client) = (self.host.clone(), self.client.clone());
        let intake = Arc::new(self.intake());
        let catch_up =
            CatchUp::new(host.clone(), client.clone(), intake.clone(), self.ledger.clone(), self.health.clone());
        Poller {
            host,
            config: self.config.clone(),
            client,
            intake,
            catch_up,
            health: self.health.clone(),
            traffic: self.traffic.clone(),
            failures: 0,
            second_look: None,
        }
    }
}

plugin_api::export_plugin!(WebChat);
