//! How long to leave a bridge alone that did not answer as it should.

use std::time::Duration;

/// However often it failed, and whatever it asked for with `Retry-After`.
const LONGEST: Duration = Duration::from_secs(300);
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(3600);

/// `base · 2^failures`, at most five minutes, give or take a fifth, so that many pollers do not come back as one.
pub(crate) fn backoff(base: Duration, failures: u32) -> Duration {
    spread(base, failures, rand::random())
}

/// With `chance` in 0..1.
fn spread(base: Duration, failures: u32, chance: f64) -> Duration {
    let wait = base.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST);
    wait.mul_f64(0.8 + 0.4 * chance)
}

/// A wait that the other side asked for, unless it is absurd.
pub(crate) fn asked_for(wait: Duration) -> Duration {
    wait.min(LONGEST_ASKED_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_doubles_up_to_five_minutes() {
        let seconds = |failures| spread(Duration::from_secs(10), failures, 0.5).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 5, 31, 32, 1000].map(seconds), [10, 20, 40, 80, 160, 300, 300, 300, 300]);
    }

    #[test]
    fn wait_is_spread_by_a_fifth() {
        let base = Duration::from_secs(10);
        assert_eq!(spread(base, 0, 0.0), Duration::from_secs(8));
        assert!(spread(base, 0, 0.999) <= Duration::from_secs(12));
        assert!((8..=12).contains(&backoff(base, 0).as_secs()));
    }

    #[test]
    fn absurd_request_is_cut() {
        assert_eq!(asked_for(Duration::from_secs(7)).as_secs(), 7);
        assert_eq!(asked_for(Duration::MAX).as_secs(), 3600);
    }
}
