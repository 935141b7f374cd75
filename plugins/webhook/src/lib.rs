//! The sender of webhooks. The host gives it an event and an endpoint; it posts the body as it is, signed, and says how that ended. When
//! to try again, and which endpoint has been dead for too long, is the host's business.
//!
//! People who may name an address may name any address, so none is called before it was checked: see `networks.rs`.

mod client;
mod networks;
mod outcome;
mod settings;
mod signature;
#[cfg(test)]
mod tests;

use client::Client;
use plugin_api::{Host, Job, Limits, Outcome, Plugin, Result, Webhook, Work, async_trait};
use settings::Settings;
use std::time::{Duration, Instant};

/// The host's deadline lies this far behind the plugin's own, so that the owner reads what took so long.
const MARGIN: Duration = Duration::from_secs(5);

/// One instance.
struct Sender {
    client: Client,
    timeout: Duration,
    limits: Limits,
}

#[async_trait]
impl Plugin for Sender {
    type Settings = Settings;

    fn new(settings: Settings, host: Host) -> Result<Self> {
        let timeout = settings.timeout()?;
        let limits = Limits {
            concurrency: settings.concurrency,
            job_timeout_ms: (timeout + MARGIN).as_millis().try_into().unwrap_or(u64::MAX),
            max_attempts: None,
            schedule: Some(settings.schedule()?),
        };
        Ok(Self { client: Client::new(settings.networks()?, host.version(), timeout)?, timeout, limits })
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    async fn handle(&self, job: Job) -> Outcome {
        match &job.work {
            Work::Webhook(webhook) => self.post(&job, webhook).await,
            _ => Outcome::discard("this plugin posts to webhooks only"),
        }
    }
}

impl Sender {
    async fn post(&self, job: &Job, webhook: &Webhook) -> Outcome {
        let begun = Instant::now();
        let posted = tokio::time::timeout(self.timeout, self.client.post(&job.id, webhook)).await;
        let outcome = match posted {
            Ok(Ok(answer)) => outcome::of_answer(&answer),
            Ok(Err(failure)) => failure.into(),
            Err(_) => outcome::late(self.timeout),
        };
        tracing::debug!(
            job.id,
            job.attempt,
            webhook.id = webhook.webhook_id,
            milliseconds = begun.elapsed().as_millis() as u64,
            "posted"
        );
        outcome
    }
}

plugin_api::export_plugin!(Sender);
