//! The end in good order: nothing new begins, and what runs gets a while to end.

use super::Queue;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Looks again after this long even if no job said that it ended: one that was taken back says nothing.
const NET: Duration = Duration::from_millis(250);

impl Queue {
    /// From now on no job begins. Answers when none runs any more, or at the deadline, with how many still do; those return to the queue
    /// when their plugin leaves.
    pub async fn drain(&self, deadline: Instant) -> usize {
        self.store.with_slots(|slots| slots.drain());
        let running = || self.store.with_slots(|slots| slots.in_use());
        let idle = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if running() == 0 {
                    return;
                }
                let _ = timeout(NET, ended).await;
            }
        };
        let _ = timeout_at(deadline, idle).await;
        running()
    }
}
