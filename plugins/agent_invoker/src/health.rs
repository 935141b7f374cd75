//! What `plugins show` says about the agent. A wrong setting is told at once, other trouble when it lasts, and the next answer ends both.

use crate::failure::Failure;
use plugin_api::Host;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One lost turn is everyday life and stands in the queue; this many in a row, over all conversations, are the agent's trouble.
const LASTING: u32 = 3;

#[derive(Debug)]
pub(crate) struct Health {
    host: Host,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_a_row: u32,
    degraded: bool,
}

impl Health {
    pub(crate) fn new(host: Host) -> Self {
        Self { host, state: Mutex::default() }
    }

    pub(crate) fn went_well(&self) {
        let before = std::mem::take(&mut *self.state());
        if before.degraded {
            self.host.healthy("the agent answers again");
        }
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        let mut state = self.state();
        match failure {
            Failure::Misconfigured { why, .. } => {
                state.degraded = true;
                self.host.degraded(why);
            }
            Failure::Refused { why, .. } | Failure::Uncertain { why } => {
                state.in_a_row += 1;
                if state.in_a_row == LASTING {
                    state.degraded = true;
                    self.host.degraded(&format!("{LASTING} turns in a row failed; the last one: {why}"));
                }
            }
            // The agent works; it is about this one question.
            Failure::Rejected { .. } | Failure::Empty => state.in_a_row = 0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::FakeHost;

    fn misconfigured() -> Failure {
        Failure::Misconfigured { why: "check api_key".into(), status: 401 }
    }

    #[test]
    fn wrong_setting_is_told_until_an_answer_comes() {
        let fake = FakeHost::new("assistant");
        let health = Health::new(fake.host());
        health.went_well();
        assert_eq!(fake.health(), None);
        health.failed(&misconfigured());
        assert_eq!(fake.health(), Some((true, "check api_key".into())));
        health.went_well();
        assert_eq!(fake.health(), Some((false, "the agent answers again".into())));
    }

    #[test]
    fn trouble_is_told_only_when_it_lasts() {
        let fake = FakeHost::new("assistant");
        let health = Health::new(fake.host());
        let trouble = Failure::uncertain("cut off");
        for failure in [&trouble, &trouble, &Failure::Empty, &trouble, &trouble] {
            health.failed(failure);
        }
        assert_eq!(fake.health(), None);
        health.failed(&trouble);
        assert!(fake.health().is_some_and(|(degraded, text)| degraded && text.contains("cut off")));
    }
}
