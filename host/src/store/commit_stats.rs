//! How long commits take, how many writes share them, and what was slow.

use super::slow::{Slow, Threshold};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Commits and queries so far, for the metrics.
#[derive(Debug)]
pub struct CommitStats {
    /// Of whole transactions.
    pub seconds: Histogram,
    /// Requests that shared one.
    pub writes: Histogram,
    pub slow_commits: Slow,
    pub slow_queries: Slow,
    pub(super) threshold: Threshold,
    /// How often agents were kept from talking on among themselves.
    pub loop_stops: AtomicU64,
}

impl Default for CommitStats {
    fn default() -> Self {
        Self {
            seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            writes: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            slow_commits: Slow::default(),
            slow_queries: Slow::default(),
            threshold: Threshold::default(),
            loop_stops: AtomicU64::new(0),
        }
    }
}

/// Where the time of one transaction went.
#[derive(Default)]
pub(super) struct Timing {
    pub slowest: Duration,
    /// Whose request that was.
    pub asker: &'static str,
    pub commit: Duration,
}

impl Timing {
    /// Tells of a slow transaction, now and then.
    pub fn tell(&self, stats: &CommitStats, time: Duration, requests: usize) {
        let Some(untold) = stats.slow_commits.met() else { return };
        let Self { slowest, asker, commit } = self;
        tracing::warn!(
            store.writes = requests,
            store.commit_ms = commit.as_millis() as u64,
            store.slowest = asker,
            store.slowest_ms = slowest.as_millis() as u64,
            store.untold = untold,
            "a commit took {} ms; a disk that is slow or busy shows in store.commit_ms",
            time.as_millis()
        );
    }
}
