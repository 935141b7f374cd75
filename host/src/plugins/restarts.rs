//! When a failed instance is tried again: at once for a hiccup, ever more slowly for what keeps failing, but never given up, so that a
//! passing cause does not become a lasting outage.

use super::text::spoken;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Failures are counted within this time, and an instance that ran for so long starts with a clean slate.
const WINDOW: Duration = Duration::from_secs(600);
/// So many failures within it, and only every `WINDOW` is tried.
const MOST_FAILURES: usize = 3;
/// Waits vary by this part of them, so that instances which failed together do not come back together.
const JITTER: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Restarts {
    base: Duration,
    failures: VecDeque<Instant>,
    /// Stays until the instance has run for a while: else the slow pace itself would look like an improvement.
    is_slow: bool,
}

/// The wait before the next try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wait {
    pub delay: Duration,
    /// Too many failures in a short time.
    pub is_slow: bool,
}

impl Restarts {
    pub(super) fn new(base: Duration) -> Self {
        Self { base, failures: VecDeque::new(), is_slow: false }
    }

    /// Notes a failure of an instance that ran for `ran` before it.
    pub(super) fn failed(&mut self, now: Instant, ran: Duration) -> Wait {
        self.count(now, ran);
        let doublings = u32::try_from(self.failures.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let delay = self.base.saturating_mul(2_u32.saturating_pow(doublings)).min(WINDOW);
        let delay = if self.is_slow { WINDOW } else { delay };
        let jitter = rand::random_range(1.0 - JITTER..=1.0 + JITTER);
        Wait { delay: delay.mul_f64(jitter), is_slow: self.is_slow }
    }

    fn count(&mut self, now: Instant, ran: Duration) {
        if ran >= WINDOW {
            self.failures.clear();
            self.is_slow = false;
        }
        self.failures.push_back(now);
        self.failures.retain(|at| now.saturating_duration_since(*at) < WINDOW);
        self.is_slow |= self.failures.len() >= MOST_FAILURES;
    }
}

impl Wait {
    /// Why the next try is not sooner, if that needs a word.
    pub(super) fn why(&self) -> Option<String> {
        self.is_slow.then(|| format!("{MOST_FAILURES} failures in {}", spoken(WINDOW)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(1);

    fn is_about(wait: Wait, seconds: f64) -> bool {
        let waits = wait.delay.as_secs_f64();
        (seconds * 0.79..seconds * 1.21).contains(&waits)
    }

    #[test]
    fn waits_double_until_they_are_slow() {
        let (mut restarts, now) = (Restarts::new(BASE), Instant::now());
        let mut failed = || restarts.failed(now, Duration::ZERO);
        assert!(is_about(failed(), 1.0));
        assert!(is_about(failed(), 2.0));
        let third = failed();
        assert!(third.is_slow && is_about(third, 600.0));
        assert_eq!(third.why().unwrap(), "3 failures in 10 min");
    }

    #[test]
    fn rare_failures_are_no_pattern() {
        let (mut restarts, start) = (Restarts::new(BASE), Instant::now());
        for hours in 0..10 {
            let wait = restarts.failed(start + Duration::from_secs(3600 * hours), Duration::ZERO);
            assert!(is_about(wait, 1.0) && wait.why().is_none());
        }
    }

    #[test]
    fn slow_pace_lasts_until_it_ran_for_a_while() {
        let (mut restarts, start) = (Restarts::new(BASE), Instant::now());
        for minutes in [0, 1, 2, 13, 24, 35] {
            let wait = restarts.failed(start + Duration::from_secs(60 * minutes), Duration::from_secs(5));
            assert_eq!(wait.is_slow, minutes >= 2, "after {minutes} minutes");
        }
        assert!(is_about(restarts.failed(start + Duration::from_secs(7200), WINDOW), 1.0));
    }
}
