//! Writing an outcome, which is never dropped: while the store cannot be written, it is tried again.

use crate::error::Error;
use crate::store::{Claimed, Settled, Store};
use plugin_api::types::Outcome;
use std::time::Duration;

pub(super) async fn settle(store: &Store, claimed: &Claimed, outcome: Outcome) {
    log(claimed, &outcome);
    let (key, number) = (claimed.key, claimed.number);
    let mut wait = Duration::from_millis(100);
    loop {
        let outcome = outcome.clone();
        match store.write_patiently(move |tx| tx.settle(key, number, &outcome)).await {
            Ok(Settled::Written) => return,
            Ok(Settled::Stale) => {
                tracing::info!("the job was taken back before its outcome came; the outcome is dropped");
                return;
            }
            Err(Error::Unavailable(why)) => {
                tracing::warn!("an outcome waits to be written, next try in {wait:?}: {why}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(10));
            }
            Err(error) => {
                // Not the disk's fault, so it would not pass: the job's lease ends, and it is done again.
                tracing::error!("an outcome cannot be written: {error}");
                return;
            }
        }
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
