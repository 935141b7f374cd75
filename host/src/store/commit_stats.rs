//! How long commits take, how many writes share them, and what was slow.

use super::slow::{Slow, Threshold};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::sync::atomic::AtomicU64;

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
