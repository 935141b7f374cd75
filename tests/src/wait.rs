//! Waiting for conditions. Nothing here is fast or slow: a test passes as soon as its condition holds, and fails only after a time in
//! which any machine would have got there.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Long enough for a busy machine, short enough for whoever waits for a red test.
pub const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(5);

/// Asks `look` until it gives a value.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let found = async {
        loop {
            steps.tick().await;
            if let Some(found) = look() {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Asks `look` until what it gives is as `wanted`; a failure shows the last one.
pub async fn until_is<T: Debug>(mut look: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let mut last = None;
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let found = async {
        loop {
            steps.tick().await;
            let now = last.insert(look());
            if wanted(now) {
                return;
            }
        }
    };
    let in_time = timeout(PATIENCE, found).await.is_ok();
    match last {
        Some(last) if in_time => last,
        last => panic!("not as wanted within {PATIENCE:?}: {last:#?}"),
    }
}

/// Waits for a future that should end by itself.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}
