//! The backend `echo`: answers with the prompt. For trying out a set-up without an agent, and for drills with slow and failing turns.

use crate::settings::Settings;
use plugin_api::Outcome;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Echo {
    delay: Duration,
    fail_every: u64,
    calls: AtomicU64,
}

impl Echo {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { delay: settings.delay(), fail_every: settings.fail_every, calls: AtomicU64::new(0) }
    }

    pub(crate) async fn answer(&self, prompt: String) -> Outcome {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if self.fail_every > 0 && call.is_multiple_of(self.fail_every) {
            return Outcome::retry(format!(
                "a drill: every call number {} fails (setting fail_every)",
                self.fail_every
            ));
        }
        Outcome::reply(prompt)
    }
}
