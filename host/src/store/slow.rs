//! Commits and queries that took too long: counted, and told in the log with the function that asked, never with what was asked for. A
//! slow disk makes many, so only some are told, with the number of the others.

use crate::clock;
use std::any::type_name;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two warnings of one kind, in microseconds.
const REST: u64 = 10_000_000;

/// One kind of what can be slow.
#[derive(Debug, Default)]
pub struct Slow {
    count: AtomicU64,
    told_at: AtomicU64,
    untold: AtomicU64,
}

/// From how long on; zero: never.
#[derive(Debug, Default)]
pub(super) struct Threshold(AtomicU64);

impl Slow {
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one. Some: it is to be told, together with so many that were not.
    pub(super) fn met(&self) -> Option<u64> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let (now, told) = (clock::now().unsigned_abs(), self.told_at.load(Ordering::Relaxed));
        let due = now.saturating_sub(told) >= REST || now < told;
        if due && self.told_at.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Threshold {
    pub(super) fn set(&self, time: Duration) {
        self.0.store(time.as_micros().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn is_over(&self, time: Duration) -> bool {
        let most = self.0.load(Ordering::Relaxed);
        most > 0 && time.as_micros() >= u128::from(most)
    }
}

/// The function in whose body the closure `F` stands: `admin::queue::list`.
pub(super) fn asker<F>() -> &'static str {
    let mut name = type_name::<F>();
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name.strip_prefix("arcuate::").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<F: Fn()>(_: &F) -> &'static str {
        asker::<F>()
    }

    #[test]
    fn asker_is_the_function_around_the_closure() {
        let closure = || {};
        assert_eq!(of(&closure), "store::slow::tests::asker_is_the_function_around_the_closure");
    }

    #[test]
    fn few_are_told_and_all_are_counted() {
        let slow = Slow::default();
        assert_eq!((slow.met(), slow.met(), slow.met()), (Some(0), None, None));
        slow.told_at.store(1, Ordering::Relaxed);
        assert_eq!((slow.met(), slow.count()), (Some(2), 4));
    }

    #[test]
    fn threshold_of_zero_is_never_over() {
        let threshold = Threshold::default();
        assert!(!threshold.is_over(Duration::MAX));
        threshold.set(Duration::from_millis(5));
        assert!(threshold.is_over(Duration::from_millis(5)) && !threshold.is_over(Duration::from_millis(4)));
    }
}
