//! What `plugins show` says about the agent, and the breaker that gives it rest. A wrong setting is told at once, other trouble when it
//! lasts, and the next answer ends both.

use crate::breaker::{Admission, Breaker};
use crate::failure::Failure;
use plugin_api::Host;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// For so long the instance takes no turns while one tries the agent; told anew if it takes longer.
const TRIAL: Duration = Duration::from_secs(60);
/// One lost turn is everyday life and stands in the queue; this many in a row, over all conversations, are the agent's trouble.
const LASTING: u32 = 3;

#[derive(Debug)]
pub(crate) struct Health {
    host: Host,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// Others were told to stay away for the one that tries.
    told_of_trial: Option<Instant>,
    degraded: bool,
}

/// A turn's leave to ask the agent, until it is dropped.
#[derive(Debug)]
pub(crate) struct Leave<'a> {
    health: &'a Health,
    on_trial: bool,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if !self.on_trial {
            return;
        }
        let mut state = self.health.state();
        state.told_of_trial = None;
        if state.breaker.trial_over(Instant::now()) {
            self.health.host.pause(Duration::ZERO, "the turn that tried the agent ended without an outcome");
        }
    }
}

impl Health {
    pub(crate) fn new(host: Host, breaker: Breaker) -> Self {
        Self { host, state: Mutex::new(State { breaker, told_of_trial: None, degraded: false }) }
    }

    /// Before the agent is asked. After a rest one turn tries, and the others wait for what it finds.
    pub(crate) fn admit(&self) -> Result<Leave<'_>, Failure> {
        let mut state = self.state();
        let now = Instant::now();
        let admission = state.breaker.admit(now);
        // Those that wait are not claimed only to be sent back.
        if state.breaker.is_on_trial() && state.told_of_trial.is_none_or(|told| now >= told + TRIAL) {
            state.told_of_trial = Some(now);
            self.host.pause(TRIAL, "one turn finds out whether the agent works again");
        }
        drop(state);
        if admission == Admission::NotNow {
            let why = "the agent failed many times in a row, and one turn is to find out whether it works again";
            return Err(Failure::Busy { why: why.into() });
        }
        Ok(Leave { health: self, on_trial: admission == Admission::Trial })
    }

    pub(crate) fn went_well(&self) {
        let mut state = self.state();
        if state.breaker.went_well() {
            self.host.pause(Duration::ZERO, "the agent answers again");
        }
        if std::mem::take(&mut state.degraded) {
            self.host.healthy("the agent answers again");
        }
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        let why = match failure {
            // Nobody was asked.
            Failure::Busy { .. } => return,
            // The agent works; it is about this one question.
            Failure::Rejected { .. } => return self.answered(),
            Failure::Empty => "the agent's answer was empty",
            Failure::Misconfigured { why, .. } | Failure::Refused { why, .. } | Failure::Uncertain { why } => why,
        };
        let mut state = self.state();
        let rest = state.breaker.failed(Instant::now());
        let in_a_row = state.breaker.in_a_row();
        if let Some(rest) = rest {
            // Without the agent's words: this text goes into the log.
            self.host.pause(rest, &format!("{in_a_row} turns in a row failed (setting breaker_failures)"));
            state.degraded = true;
            let seconds = rest.as_secs_f64();
            self.host.degraded(&format!(
                "{in_a_row} turns in a row failed, so none is asked for {seconds} s; the last one: {why}"
            ));
        } else if matches!(failure, Failure::Misconfigured { .. }) {
            state.degraded = true;
            self.host.degraded(why);
        } else if in_a_row == LASTING {
            state.degraded = true;
            self.host.degraded(&format!("{LASTING} turns in a row failed; the last one: {why}"));
        }
    }

    /// It said no to a question: that ends a row of failures, but mends no setting.
    fn answered(&self) {
        if self.state().breaker.went_well() {
            self.host.pause(Duration::ZERO, "the agent answers again");
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

    fn health(failures: u32) -> (FakeHost, Health) {
        let fake = FakeHost::new("assistant");
        let health = Health::new(fake.host(), Breaker::new(failures, Duration::from_secs(30)));
        (fake, health)
    }

    #[test]
    fn wrong_setting_is_told_until_an_answer_comes() {
        let (fake, health) = health(5);
        health.went_well();
        assert_eq!(fake.health(), None);
        health.failed(&Failure::Misconfigured { why: "check api_key".into(), status: Some(401) });
        assert_eq!(fake.health(), Some((true, "check api_key".into())));
        health.went_well();
        assert_eq!(fake.health(), Some((false, "the agent answers again".into())));
    }

    #[test]
    fn trouble_is_told_only_when_it_lasts() {
        let (fake, health) = health(0);
        let trouble = Failure::uncertain("cut off");
        let rejected = Failure::Rejected { why: "no".into(), status: Some(422) };
        for failure in [&trouble, &trouble, &rejected, &Failure::Empty, &trouble] {
            health.failed(failure);
        }
        assert_eq!(fake.health(), None);
        health.failed(&trouble);
        assert!(fake.health().is_some_and(|(degraded, text)| degraded && text.contains("cut off")));
    }

    #[test]
    fn failures_in_a_row_pause_the_instance_and_an_answer_ends_the_pause() {
        let (fake, health) = health(2);
        let trouble = Failure::uncertain("cut off");
        let busy = Failure::Busy { why: "others".into() };
        for failure in [&trouble, &busy, &busy] {
            health.failed(failure);
        }
        assert!(fake.pauses().is_empty());
        health.failed(&trouble);
        let (rest, why) = fake.pauses().remove(0);
        assert!(
            rest == Duration::from_secs(30) && why.contains("breaker_failures") && !why.contains("cut off"),
            "{why}"
        );
        let (degraded, text) = fake.health().unwrap();
        assert!(degraded && text.contains("none is asked for 30 s") && text.contains("cut off"), "{text}");
        // A turn that had begun before comes back with an answer.
        health.went_well();
        assert_eq!(fake.pauses()[1].0, Duration::ZERO);
        assert_eq!(fake.health(), Some((false, "the agent answers again".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_stay_away_while_one_tries_the_agent() {
        let (fake, health) = health(1);
        health.failed(&Failure::uncertain("cut off"));
        tokio::time::advance(Duration::from_secs(30)).await;
        let trial = health.admit().expect("the one that tries");
        for _ in 0..3 {
            assert!(matches!(health.admit(), Err(Failure::Busy { .. })));
        }
        let seconds = || fake.pauses().iter().map(|(rest, _)| rest.as_secs()).collect::<Vec<_>>();
        assert_eq!(seconds(), [30, 60], "told once");
        tokio::time::advance(TRIAL).await;
        assert!(health.admit().is_err());
        assert_eq!(seconds(), [30, 60, 60], "told again when it takes long");
        drop(trial);
        assert_eq!(seconds(), [30, 60, 60, 0], "nobody wanted it any more, so another one may try");
        let trial = health.admit().expect("another one");
        health.failed(&Failure::uncertain("cut off"));
        drop(trial);
        assert_eq!(seconds()[4..], [60, 60], "the rest after a failure is not cut short");
    }
}
