//! What one run of an instance tells the host. After the run has ended nobody listens to it any more.

use super::calls::{Answer, Calls};
use super::context::Ears;
use super::slot::Slot;
use super::text::clean;
use super::{HostApi, Observer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const LONGEST: usize = 2 * 1024;

/// How a run failed; the first word counts.
pub(super) type Failure = watch::Sender<Option<String>>;

pub(super) fn fail(failure: &Failure, text: String) {
    failure.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert(text);
        is_first
    });
}

pub(super) struct Voice {
    run: u32,
    slot: Arc<Slot>,
    calls: Calls,
    failure: Failure,
    observer: Arc<dyn Observer>,
}

impl Voice {
    /// Of the run that the slot is in now.
    pub(super) fn new(slot: &Arc<Slot>, api: Arc<dyn HostApi>, observer: Arc<dyn Observer>, failure: Failure) -> Self {
        Self { run: slot.run(), slot: slot.clone(), calls: Calls::new(&slot.name, api), failure, observer }
    }
}

impl Ears for Voice {
    fn call(&self, op: u32, arguments: Vec<u8>, answer: Answer) {
        if self.slot.run() == self.run {
            self.calls.take(op, arguments, answer);
        } else {
            answer.send(Err("this instance has ended".into()));
        }
    }

    fn failed(&self, text: String) {
        fail(&self.failure, clean(&text, LONGEST));
    }

    fn pause(&self, wait: Duration, why: String) {
        let why = clean(&why, LONGEST);
        if self.slot.pause(self.run, wait, &why) {
            self.observer.paused(&self.slot.name, wait, &why);
        }
    }

    fn health(&self, degraded: bool, text: String) {
        self.slot.health(self.run, degraded, &text);
    }
}
