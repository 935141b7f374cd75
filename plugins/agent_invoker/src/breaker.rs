//! The circuit breaker: an agent that failed so many times in a row is left in peace for a while, so that turns wait instead of using up
//! their attempts. No I/O and no clock of its own.

use std::time::Duration;
use tokio::time::Instant;

/// The rest doubles up to here.
const LONGEST_REST: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Breaker {
    /// 0 = off.
    failures: u32,
    rest: Duration,
    in_a_row: u32,
    /// How often it opened since the last success.
    opened: u32,
    open_until: Option<Instant>,
    /// One turn is asking, after the rest, whether the agent works again.
    on_trial: bool,
}

/// Whether a turn may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Free,
    /// The one that tries: whoever gets it calls `trial_over` in the end.
    Trial,
    NotNow,
}

impl Breaker {
    pub(crate) fn new(failures: u32, rest: Duration) -> Self {
        Self { failures, rest, in_a_row: 0, opened: 0, open_until: None, on_trial: false }
    }

    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        match self.open_until {
            None => Admission::Free,
            Some(until) if now < until || self.on_trial => Admission::NotNow,
            Some(_) => {
                self.on_trial = true;
                Admission::Trial
            }
        }
    }

    /// However it ended: with an answer, a failure, or because nobody wanted it any more. Answers whether another turn may try now.
    pub(crate) fn trial_over(&mut self, now: Instant) -> bool {
        self.on_trial = false;
        self.open_until.is_some_and(|until| now >= until)
    }

    pub(crate) fn is_on_trial(&self) -> bool {
        self.on_trial
    }

    /// How long nobody is to ask, if this failure opens it. What was asked before it opened and fails now opens it no further; after the
    /// rest, the first failure does.
    pub(crate) fn failed(&mut self, now: Instant) -> Option<Duration> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let opens = match self.open_until {
            Some(until) => now >= until,
            None => self.failures > 0 && self.in_a_row >= self.failures,
        };
        if !opens {
            return None;
        }
        let rest = self.rest.saturating_mul(2u32.saturating_pow(self.opened)).min(LONGEST_REST.max(self.rest));
        self.opened = self.opened.saturating_add(1);
        self.open_until = Some(now + rest);
        Some(rest)
    }

    /// Failures in a row.
    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// The agent works. Answers whether the breaker was open.
    pub(crate) fn went_well(&mut self) -> bool {
        (self.in_a_row, self.opened) = (0, 0);
        self.open_until.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    /// How long it rests each time, when every trial fails.
    fn rests(breaker: &mut Breaker, trials: usize) -> Vec<u64> {
        let mut now = Instant::now();
        let mut rest = || {
            let rest = std::iter::repeat_with(|| breaker.failed(now)).take(100).flatten().next().unwrap();
            now += rest;
            rest.as_secs()
        };
        (0..trials).map(|_| rest()).collect()
    }

    #[test]
    fn breaker_opens_after_failures_in_a_row_and_doubles_its_rest_to_five_minutes() {
        let mut breaker = Breaker::new(5, REST);
        assert_eq!(rests(&mut breaker, 6), [30, 60, 120, 240, 300, 300]);
        assert!(breaker.went_well());
        assert_eq!(rests(&mut breaker, 2), [30, 60]);
    }

    #[test]
    fn breaker_counts_from_the_last_success() {
        let (mut breaker, now) = (Breaker::new(3, REST), Instant::now());
        for _ in 0..3 {
            assert_eq!((breaker.failed(now), breaker.failed(now)), (None, None));
            assert!(!breaker.went_well());
        }
    }

    #[test]
    fn breaker_that_is_open_ignores_turns_from_before() {
        let (mut breaker, now) = (Breaker::new(1, REST), Instant::now());
        assert_eq!(breaker.failed(now), Some(REST));
        assert_eq!(breaker.failed(now + REST / 2), None);
        assert_eq!(breaker.failed(now + REST), Some(2 * REST));
    }

    #[test]
    fn open_breaker_lets_one_turn_try_after_its_rest() {
        let (mut breaker, now) = (Breaker::new(1, REST), Instant::now());
        assert_eq!(breaker.admit(now), Admission::Free);
        breaker.failed(now);
        assert_eq!(breaker.admit(now + REST / 2), Admission::NotNow);
        let rested = now + REST;
        assert_eq!([breaker.admit(rested), breaker.admit(rested)], [Admission::Trial, Admission::NotNow]);
        assert!(breaker.trial_over(rested), "it was given up");
        assert_eq!(breaker.admit(rested), Admission::Trial);
        breaker.failed(rested);
        assert!(!breaker.trial_over(rested));
        assert_eq!(breaker.admit(rested), Admission::NotNow);
        assert_eq!(breaker.admit(rested + 2 * REST), Admission::Trial);
        breaker.went_well();
        assert_eq!(breaker.admit(rested + 2 * REST), Admission::Free);
    }

    #[test]
    fn breaker_that_is_off_never_opens() {
        let (mut breaker, now) = (Breaker::new(0, REST), Instant::now());
        assert!((0..100).all(|_| breaker.failed(now).is_none()));
    }

    #[test]
    fn rest_that_is_longer_than_five_minutes_stays() {
        assert_eq!(rests(&mut Breaker::new(1, Duration::from_secs(600)), 2), [600, 600]);
    }
}
