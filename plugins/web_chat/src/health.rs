//! What the operator reads about the instance: each kind of trouble until it is over, and a word now and then that all is well. Told when
//! something changes, not with every poll.

use plugin_api::Host;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So that the last success is never much older than it looks.
const WELL_EVERY: Duration = Duration::from_secs(60);

/// What can go wrong independently of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Polling, or the catch-up before it.
    Bridge,
    /// The catch-up is refused; polling goes on.
    CatchUp,
    /// The host cannot store what was fetched.
    Store,
}

#[derive(Debug)]
pub(crate) struct Health {
    host: Host,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    troubles: BTreeMap<Part, String>,
    told_well: Option<Instant>,
}

impl Health {
    pub(crate) fn new(host: Host) -> Self {
        Self { host, state: Mutex::default() }
    }

    pub(crate) fn trouble(&self, part: Part, text: &str) {
        let mut state = self.state();
        let before = state.troubles.insert(part, text.to_owned());
        if before.as_deref() != Some(text) {
            tracing::warn!(trouble = text, "degraded");
            state.told_well = None;
            self.host.degraded(&state.text());
        }
    }

    /// This part works again. Other trouble stays.
    pub(crate) fn over(&self, part: Part) {
        let mut state = self.state();
        if let Some(trouble) = state.troubles.remove(&part) {
            tracing::info!(trouble, "over");
            if !state.troubles.is_empty() {
                self.host.degraded(&state.text());
            }
        }
    }

    /// A success, with a word about it. It is no news as long as something else is wrong.
    pub(crate) fn well(&self, text: impl FnOnce() -> String) {
        let mut state = self.state();
        let recently = state.told_well.is_some_and(|told| told.elapsed() < WELL_EVERY);
        if state.troubles.is_empty() && !recently {
            state.told_well = Some(Instant::now());
            self.host.healthy(&text());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn text(&self) -> String {
        self.troubles.values().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::FakeHost;

    fn told(degraded: bool, text: &str) -> Option<(bool, String)> {
        Some((degraded, text.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn each_trouble_is_told_until_it_is_over() {
        let fake = FakeHost::new("web_chat");
        let health = Health::new(fake.host());
        health.well(|| "fine".into());
        assert_eq!(fake.health(), told(false, "fine"));
        health.trouble(Part::CatchUp, "no key");
        health.trouble(Part::Bridge, "down");
        health.well(|| "fine again".into());
        assert_eq!(fake.health(), told(true, "down; no key"));
        health.over(Part::Bridge);
        assert_eq!(fake.health(), told(true, "no key"));
        health.over(Part::CatchUp);
        health.well(|| "fine again".into());
        assert_eq!(fake.health(), told(false, "fine again"));
    }

    #[tokio::test(start_paused = true)]
    async fn success_is_told_once_a_minute() {
        let fake = FakeHost::new("web_chat");
        let health = Health::new(fake.host());
        for (text, expected) in [("first", "first"), ("second", "first")] {
            health.well(|| text.into());
            assert_eq!(fake.health(), told(false, expected));
        }
        tokio::time::advance(WELL_EVERY).await;
        health.well(|| "third".into());
        assert_eq!(fake.health(), told(false, "third"));
    }
}
