//! The loop that fetches messages: catch up if something may be missing, poll, store the page, rest. One at a time, so that order holds.

use crate::backoff;
use crate::catch_up::CatchUp;
use crate::client::{Answer, Client};
use crate::config::Config;
use crate::failure::Failure;
use crate::health::{Health, Part};
use crate::intake::Intake;
use crate::protocol::Inbox;
use crate::traffic::Traffic;
use plugin_api::{Host, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A poll under way at the end may still be answered within this time, because its messages would be gone otherwise.
const GRACE: Duration = Duration::from_secs(3);
/// Between attempts to read the own state at the start.
const STORE_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Poller {
    pub host: Host,
    pub config: Arc<Config>,
    pub client: Arc<Client>,
    pub intake: Arc<Intake>,
    pub catch_up: CatchUp,
    pub health: Arc<Health>,
    pub traffic: Arc<Traffic>,
    /// In a row.
    pub failures: u32,
    /// When to catch up once more. A poll that nobody waits for any more (of a host that was killed, say) may reach the bridge only after
    /// it was caught up with, and take away what was written in between.
    pub second_look: Option<Instant>,
}

impl Poller {
    /// Polls until the instance stops. `probe` is how the first contact went.
    pub(crate) async fn run(mut self, probe: Result<Answer<Inbox>, Failure>) -> Result<()> {
        if !self.load().await {
            return Ok(());
        }
        self.look_again();
        let mut wait = match probe {
            // A probe takes nothing. Should a bridge see that differently, what it gave is not lost.
            Ok(answer) if !answer.data.messages.is_empty() => self.take(answer).await,
            Ok(_) => Duration::ZERO,
            Err(failure) => self.rest_after(&failure),
        };
        while self.sleep(wait).await {
            wait = match self.round().await {
                Ok(wait) => wait,
                Err(failure) => {
                    self.health.trouble(Part::Bridge, &self.trouble(&failure));
                    self.rest_after(&failure)
                }
            };
        }
        self.catch_up.save().await;
        Ok(())
    }

    async fn load(&mut self) -> bool {
        while let Err(error) = self.catch_up.load().await {
            self.health
                .trouble(Part::Store, &format!("the host cannot read the plugin's state, polling waits: {error}"));
            if !self.sleep(STORE_WAIT).await {
                return false;
            }
        }
        self.health.over(Part::Store);
        true
    }

    /// Answers how long to rest before the next one.
    async fn round(&mut self) -> Result<Duration, Failure> {
        if self.second_look.is_some_and(|at| Instant::now() >= at) {
            self.second_look = None;
            self.catch_up.missed();
        }
        let host = self.host.clone();
        tokio::select! {
            biased;
            // It takes nothing away at the bridge, so it may end anywhere.
            () = host.stopping() => return Ok(Duration::ZERO),
            caught_up = self.catch_up.if_due() => caught_up?,
        }
        let answer = match self.poll().await {
            Ok(answer) => answer,
            Err(failure) => {
                if failure.is_open() {
                    self.catch_up.missed();
                    self.look_again();
                }
                return Err(failure);
            }
        };
        self.failures = 0;
        self.health.over(Part::Bridge);
        Ok(self.take(answer).await)
    }

    /// A request does not live longer than its time-out, as far as anybody can know.
    fn look_again(&mut self) {
        self.second_look = Some(Instant::now() + self.config.timeout);
    }

    async fn poll(&self) -> Result<Answer<Inbox>, Failure> {
        let too_long = async {
            self.host.stopping().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            answer = self.client.inbox(self.config.batch) => answer,
            () = too_long => Err(Failure::Lost("the instance stops".into())),
        }
    }

    /// Stores a page. Answers when to ask for the next.
    async fn take(&mut self, Answer { data, asked_at }: Answer<Inbox>) -> Duration {
        let messages = data.messages.len();
        let more = messages > 0 && data.pagination.has_more == Some(true);
        let baseline = self.catch_up.after(asked_at).filter(|_| !more);
        if messages > 0 {
            self.traffic.note();
            let items = data.messages.iter().map(|raw| self.intake.inbox_row(raw)).collect();
            let Some(stored) = self.intake.store(items, baseline.map(CatchUp::put).into_iter().collect()).await else {
                // The end of the instance; the next start has to look for it.
                self.catch_up.missed();
                return Duration::ZERO;
            };
            tracing::debug!(messages.new = stored.new, messages.duplicate = stored.duplicate, "took a page");
            if stored.rejected > 0 {
                tracing::warn!(
                    messages.rejected = stored.rejected,
                    "messages that cannot be used are kept as dead letters"
                );
            }
        }
        if let Some(baseline) = baseline {
            self.catch_up.advance(baseline, messages > 0);
        }
        self.health.well(|| format!("polling {}; the last poll took {messages} messages", self.config.endpoint));
        match (more, self.traffic.is_recent()) {
            (true, _) => Duration::ZERO,
            (false, true) => self.config.active_poll_interval.min(self.config.poll_interval),
            (false, false) => self.config.poll_interval,
        }
    }

    fn rest_after(&mut self, failure: &Failure) -> Duration {
        let wait = match failure.retry_after() {
            Some(wait) => backoff::asked_for(wait).max(self.config.poll_interval),
            None => backoff::backoff(self.config.retry_delay, self.failures),
        };
        self.failures = self.failures.saturating_add(1);
        tracing::debug!(retry.seconds = wait.as_secs_f64(), failures = self.failures, "resting");
        wait
    }

    fn trouble(&self, failure: &Failure) -> String {
        match failure.is_open() && !self.client.has_admin_key() {
            true => format!("{failure}; messages in it, if any, stay lost without `admin_key`"),
            false => failure.advice(),
        }
    }

    /// False when the instance stops; then nothing more is begun, not even without a rest.
    async fn sleep(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.host.stopping() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}
