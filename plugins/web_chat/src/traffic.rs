//! When something was last said, by a visitor or to one: for a minute after that polls are closer together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const RECENT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<Option<Instant>>);

impl Traffic {
    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(crate) fn is_recent(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|last| last.elapsed() < RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn traffic_is_recent_for_a_minute() {
        let traffic = Traffic::default();
        assert!(!traffic.is_recent());
        traffic.note();
        tokio::time::advance(RECENT - Duration::from_millis(1)).await;
        assert!(traffic.is_recent());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!traffic.is_recent());
    }
}
