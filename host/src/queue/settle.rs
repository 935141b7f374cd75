//! Writing an outcome, which is never dropped: while the store cannot be written, it is tried again.

use crate::error::Error;
use crate::store::{Claimed, Settled, Store};
use plugin_api::types::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// `waiting` counts the outcomes that wait for the disk.
pub(super) async fn settle(store: &Store, claimed: &Claimed, outcome: Outcome, waiting: &AtomicUsize) {
    log(claimed, &outcome);
    let (key, number) = (claimed.key, claimed.number);
    let mut outcome = outcome;
    let mut wait = Duration::from_millis(100);
    let mut counted = None;
    loop {
        let written = outcome.clone();
        match store.write_patiently(move |tx| tx.settle(key, number, &written)).await {
            Ok(Settled::Written) => return,
            Ok(Settled::Stale) => {
                tracing::info!("the job was taken back before its outcome came; the outcome is dropped");
                return;
            }
            Err(Error::Unavailable(why)) => {
                counted.get_or_insert_with(|| Counted::new(waiting));
                tracing::warn!("an outcome waits to be written, next try in {wait:?}: {why}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(10));
            }
            // Not the disk's fault, so it would not pass, and the work is done: it is not to be done again and again.
            Err(error) if !matches!(outcome, Outcome::Discard { .. }) => {
                tracing::error!("an outcome cannot be written, so the job has failed: {error}");
                outcome = Outcome::discard(format!("its outcome cannot be written: {error}"));
            }
            Err(error) => {
                tracing::error!("an outcome cannot be written, so the job waits for the end of its lease: {error}");
                return;
            }
        }
    }
}

/// Counted for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn log(claimed: &Claimed, outcome: &Outcome) {
    let attempt = claimed.job.attempt;
    match outcome {
        Outcome::Done { .. } => tracing::debug!(job.attempt = attempt, "done"),
        Outcome::Retry { why, status, .. } => {
            tracing::warn!(job.attempt = attempt, status, "failed, will be tried again: {why}")
        }
        Outcome::Discard { why, status } => tracing::error!(job.attempt = attempt, status, "failed for good: {why}"),
        Outcome::Snooze { after_ms, why } => tracing::info!("put off for {after_ms} ms: {why}"),
    }
}
