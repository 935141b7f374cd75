//! One created instance: its calls with their deadlines, and what too many bad ends of them say about it.

use super::context::Ended;
use super::loader::{Call, Raw};
use super::text::spoken;
use super::voice::{Failure, fail};
use plugin_api::raw::Buffer;
use plugin_api::{Job, Limits, Outcome, Request, Response, http};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// Panics in a row after which the instance counts as broken, not the jobs.
const MOST_PANICS: u32 = 3;
/// Calls that do not end although they were cancelled: as many as the threads of a plugin's runtime, so that it answers nothing any more.
const MOST_STUCK: usize = 2;
/// For a plugin that ends its `stop` by itself at the deadline, to say so.
const GRACE: Duration = Duration::from_millis(50);
const MOST_CONCURRENCY: u32 = 10_000;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HandleError {
    #[error("the plugin is not running")]
    NotRunning,
    /// Text and place of the panic.
    #[error("the plugin {0}")]
    Panicked(String),
    #[error("the plugin did not answer in time")]
    TimedOut,
    /// The instance was stopped, or the one who waited gave up.
    #[error("cancelled, because the plugin was stopped")]
    Cancelled,
    /// Why its answer cannot be used.
    #[error("the plugin's answer cannot be used: {0}")]
    Broken(String),
}

pub(super) struct Life {
    raw: Raw,
    limits: Limits,
    failure: Failure,
    panics: AtomicU32,
    /// Jobs and requests under way.
    under_way: watch::Sender<usize>,
    /// A cancelled call that has not ended after this time is stuck.
    patience: Duration,
}

impl Life {
    pub(super) fn new(raw: Raw, limits: Limits, failure: Failure, patience: Duration) -> Self {
        let concurrency = limits.concurrency.clamp(1, MOST_CONCURRENCY);
        let limits = Limits { concurrency, job_timeout_ms: limits.job_timeout_ms.max(1), ..limits };
        Self { raw, limits, failure, panics: AtomicU32::new(0), under_way: watch::Sender::new(0), patience }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Resolves when the instance has failed, with the reason.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let text = failure.wait_for(Option::is_some).await.ok().and_then(|text| text.clone());
        text.unwrap_or_default()
    }

    pub(super) async fn start(&self, deadline: Instant, allowed: Duration) -> Result<(), String> {
        match timeout_at(deadline, self.raw.start().ended()).await {
            Ok(Ended::Done(_)) => Ok(()),
            Ok(Ended::Error(text)) => Err(text),
            Ok(Ended::Panic(text)) => Err(format!("its start {text}")),
            Ok(Ended::Cancelled) => Err("its start was cancelled".into()),
            Err(_) => Err(format!("its start took longer than {} ([plugins] start_seconds)", spoken(allowed))),
        }
    }

    pub(super) async fn handle(&self, job: &Job, deadline: Duration) -> Result<Outcome, HandleError> {
        let job = serde_json::to_vec(job).map_err(broken)?;
        let ended = self.within(deadline, self.raw.handle(job)).await;
        self.count_panics(&ended);
        serde_json::from_slice(ended?.bytes()).map_err(broken)
    }

    pub(super) async fn http(&self, request: Request, deadline: Duration) -> Result<Response, HandleError> {
        let request = http::encode(request).map_err(broken)?;
        http::decode(self.within(deadline, self.raw.http(request)).await?.bytes()).map_err(broken)
    }

    fn count_panics(&self, ended: &Result<Buffer, HandleError>) {
        match ended {
            Err(HandleError::Panicked(text)) => {
                let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
                if panics >= MOST_PANICS {
                    fail(&self.failure, format!("{panics} jobs in a row panicked; the last one {text}"));
                }
            }
            Ok(_) => self.panics.store(0, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Resolves when no job and no request is under way.
    pub(super) async fn idle(&self) {
        // The sender lives as long as this instance.
        let _ = self.under_way.subscribe().wait_for(|count| *count == 0).await;
    }

    async fn within(&self, deadline: Duration, call: Call) -> Result<Buffer, HandleError> {
        let _under_way = UnderWay::new(&self.under_way);
        // Given up before anybody looks whether it is stuck.
        let ended = timeout(deadline, call.ended()).await;
        match ended {
            Ok(Ended::Done(bytes)) => Ok(bytes),
            Ok(Ended::Error(text)) => Err(HandleError::Broken(text)),
            Ok(Ended::Panic(text)) => Err(HandleError::Panicked(text)),
            Ok(Ended::Cancelled) => Err(HandleError::Cancelled),
            Err(_) => {
                self.look_whether_it_is_stuck();
                Err(HandleError::TimedOut)
            }
        }
    }

    /// A cancelled call ends at once unless it blocks its thread. One may; when all threads are blocked, nothing is answered any more.
    fn look_whether_it_is_stuck(&self) {
        let (raw, failure, patience) = (self.raw.clone(), self.failure.clone(), self.patience);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            let stuck = raw.overdue(patience);
            if stuck >= MOST_STUCK {
                let since = spoken(patience);
                fail(
                    &failure,
                    format!("{stuck} calls block its threads: they did not end within {since} of being cancelled"),
                );
            }
        });
    }

    /// Asks it to put everything away; the complaint is for the log.
    pub(super) async fn stop(&self, deadline: Duration) -> Result<(), String> {
        match timeout(deadline + GRACE, self.raw.stop(deadline).ended()).await {
            Ok(Ended::Done(_)) => Ok(()),
            Ok(Ended::Error(text)) => Err(text),
            Ok(Ended::Panic(text)) => Err(format!("its stop {text}")),
            Ok(Ended::Cancelled) => Err("its stop was cancelled".into()),
            Err(_) => Err(format!("its stop took longer than {}", spoken(deadline))),
        }
    }

    /// For the thread that destroys it.
    pub(super) fn raw(&self) -> Raw {
        self.raw.clone()
    }
}

/// Counted for as long as it lives.
struct UnderWay<'l>(&'l watch::Sender<usize>);

impl<'l> UnderWay<'l> {
    fn new(count: &'l watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn broken(error: impl fmt::Display) -> HandleError {
    HandleError::Broken(error.to_string())
}
