//! Waiting for conditions. Nothing here is fast or slow: a test passes as soon as its condition holds, and fails only after a time in
//! which any machine would have got there.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// Long enough for a busy machine, short enough for whoever waits for a red test.
pub const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(5);
/// Looks within that time. They are counted instead of the time, for a machine that stands still a while must not turn a test red.
const LOOKS: u128 = PATIENCE.as_millis() / STEP.as_millis();

/// Asks `look` until it gives a value.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut steps = steps();
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        steps.tick().await;
    }
    panic!("{what}: not within {PATIENCE:?}");
}

/// Asks `look` until what it gives is as `wanted`; a failure shows the last one.
pub async fn until_is<T: Debug>(mut look: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let (mut steps, mut now) = (steps(), look());
    for _ in 0..LOOKS {
        if wanted(&now) {
            return now;
        }
        steps.tick().await;
        now = look();
    }
    panic!("not as wanted within {PATIENCE:?}: {now:#?}");
}

fn steps() -> Interval {
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    steps
}

/// Waits for a future that should end by itself.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Asks `look`, which may itself wait, until it gives a value.
pub async fn until_async<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            // Whoever is asked has other things to do as well.
            tokio::time::sleep(10 * STEP).await;
        }
    };
    timeout(patience, found).await.unwrap_or_else(|_| panic!("{what}: not within {patience:?}"))
}
