//! How many jobs each plugin instance may have at once, and how its retries go. Only the writer takes and frees slots, inside the
//! transaction that makes or ends the job.

use crate::clock::{self, Micros};
use std::collections::HashMap;
use std::time::Duration;

/// What an instance's `limits` say about its jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub concurrency: usize,
    pub job_timeout: Duration,
    pub max_attempts: Option<u32>,
    pub schedule: Option<Vec<Duration>>,
}

#[derive(Debug)]
struct Slot {
    policy: Policy,
    /// Running and not leaving.
    open: bool,
    paused_until: Micros,
    used: usize,
}

/// Waits between attempts, for instances that name no schedule of their own.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    pub base: Duration,
    pub cap: Duration,
    pub max_attempts: u32,
}

impl Retries {
    pub fn of(config: &crate::config::Queue) -> Self {
        Self { base: config.base, cap: config.cap, max_attempts: config.max_attempts }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { base: Duration::from_secs(5), cap: Duration::from_secs(300), max_attempts: 10 }
    }
}

/// By instance.
#[derive(Debug, Default)]
pub struct Slots {
    by_instance: HashMap<String, Slot>,
    pub retries: Retries,
    /// The host ends: what runs may end, and nothing new begins.
    draining: bool,
}

impl Slots {
    /// The instance runs: it may have jobs from now on.
    pub fn open(&mut self, instance: &str, policy: Policy) {
        let used = self.by_instance.get(instance).map_or(0, |slot| slot.used);
        self.by_instance.insert(instance.into(), Slot { policy, open: true, paused_until: 0, used });
    }

    /// The instance gets no jobs. Its policy stays, for those that it had.
    pub fn close(&mut self, instance: &str) {
        if let Some(slot) = self.by_instance.get_mut(instance) {
            slot.open = false;
        }
    }

    /// Nobody gets jobs any more, also not an instance that comes up now.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Jobs that run now, of all instances.
    pub fn in_use(&self) -> usize {
        self.by_instance.values().map(|slot| slot.used).sum()
    }

    /// No new jobs before `until`.
    pub fn pause(&mut self, instance: &str, until: Micros) {
        if let Some(slot) = self.by_instance.get_mut(instance) {
            slot.paused_until = until;
        }
    }

    pub fn policy(&self, instance: &str) -> Option<&Policy> {
        self.by_instance.get(instance).map(|slot| &slot.policy)
    }

    pub fn max_attempts(&self, instance: &str) -> u32 {
        let policy = self.policy(instance);
        let scheduled = policy.and_then(|policy| policy.schedule.as_ref()).map(|schedule| schedule.len() as u32 + 1);
        scheduled.or(policy.and_then(|policy| policy.max_attempts)).unwrap_or(self.retries.max_attempts).max(1)
    }

    /// How long to wait after the `attempt`-th one (from 1), before jitter.
    pub fn wait_after(&self, instance: &str, attempt: u32) -> Duration {
        if let Some(schedule) = self.policy(instance).and_then(|policy| policy.schedule.as_ref())
            && let Some(wait) = schedule.get(attempt.saturating_sub(1) as usize).or(schedule.last())
        {
            return *wait;
        }
        let Retries { base, cap, .. } = self.retries;
        base.checked_mul(2u32.saturating_pow(attempt.saturating_sub(1))).unwrap_or(cap).min(cap)
    }

    pub fn is_open(&self, instance: &str) -> bool {
        self.by_instance.get(instance).is_some_and(|slot| slot.open)
    }

    /// When the instance takes jobs again, if it is paused.
    pub fn paused_until(&self, instance: &str) -> Option<Micros> {
        self.by_instance.get(instance).map(|slot| slot.paused_until).filter(|until| *until > clock::now())
    }

    pub fn free(&self, instance: &str) -> usize {
        let Some(slot) = self.by_instance.get(instance) else { return 0 };
        if self.draining || !slot.open || slot.paused_until > clock::now() {
            0
        } else {
            slot.policy.concurrency.saturating_sub(slot.used)
        }
    }

    pub(super) fn take(&mut self, instance: &str) -> bool {
        let free = self.free(instance) > 0;
        if free {
            self.add(instance, 1);
        }
        free
    }

    pub(super) fn add(&mut self, instance: &str, change: isize) {
        if let Some(slot) = self.by_instance.get_mut(instance) {
            slot.used = slot.used.saturating_add_signed(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(schedule: Option<Vec<Duration>>) -> Slots {
        let mut slots = Slots::default();
        let job_timeout = Duration::from_secs(1);
        slots.open("a", Policy { concurrency: 2, job_timeout, max_attempts: Some(4), schedule });
        slots
    }

    #[test]
    fn wait_doubles_up_to_the_cap() {
        let slots = slots(None);
        let waits: Vec<_> = (1..9).map(|attempt| slots.wait_after("a", attempt).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(slots.wait_after("a", u32::MAX), Duration::from_secs(300));
        assert_eq!((slots.max_attempts("a"), slots.max_attempts("unknown")), (4, 10));
    }

    #[test]
    fn schedule_of_an_instance_replaces_the_backoff() {
        let slots = slots(Some(vec![Duration::from_secs(1), Duration::from_secs(7)]));
        assert_eq!([1, 2, 3].map(|attempt| slots.wait_after("a", attempt).as_secs()), [1, 7, 7]);
        assert_eq!(slots.max_attempts("a"), 3);
    }

    #[test]
    fn slot_is_given_only_while_open_free_and_not_paused() {
        let mut slots = slots(None);
        assert!(slots.take("a") && slots.take("a") && !slots.take("a"));
        slots.add("a", -1);
        slots.pause("a", clock::now() + 1_000_000_000);
        assert!(!slots.take("a"));
        slots.pause("a", 0);
        slots.close("a");
        assert!(!slots.take("a") && !slots.take("unknown"));
    }

    #[test]
    fn draining_gives_no_slot_and_counts_what_still_runs() {
        let mut slots = slots(None);
        assert!(slots.take("a"));
        slots.drain();
        slots.open("b", slots.policy("a").unwrap().clone());
        assert!(!slots.take("a") && !slots.take("b"));
        assert_eq!(slots.in_use(), 1);
        slots.add("a", -1);
        assert_eq!(slots.in_use(), 0);
    }
}
