//! The host's side of one instance, as its table's functions find it from any thread: where its words go, and who waits for its calls.
//! It is never freed, because a thread that could not be ended may still speak; after the end nobody listens.

use super::calls::Answer;
use super::logs::Relay;
use plugin_api::raw::{self, Buffer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What a plugin tells its host, on any thread, until its instance is destroyed. None of it may block.
pub(super) trait Ears: Send + Sync + 'static {
    fn call(&self, op: u32, arguments: Vec<u8>, answer: Answer);
    fn failed(&self, text: String);
    fn pause(&self, wait: Duration, why: String);
    fn health(&self, degraded: bool, text: String);
}

/// How a call into a plugin ended.
#[derive(Debug)]
pub(super) enum Ended {
    Done(Buffer),
    Error(String),
    Panic(String),
    Cancelled,
}

impl Ended {
    fn new(status: u32, result: Buffer) -> Self {
        match status {
            raw::OK => Self::Done(result),
            raw::ERROR => Self::Error(result.text()),
            raw::PANIC => Self::Panic(result.text()),
            raw::CANCELLED => Self::Cancelled,
            status => Self::Error(format!("status {status}: {}", result.text())),
        }
    }
}

enum Waiter {
    Waits(oneshot::Sender<Ended>),
    /// Nobody waits any more, but the plugin has not ended it yet either.
    CancelledAt(Instant),
}

/// See the file's text.
pub(super) struct Context {
    relay: Relay,
    /// None once the instance is destroyed.
    ears: RwLock<Option<Arc<dyn Ears>>>,
    calls: Mutex<HashMap<u64, Waiter>>,
}

impl Context {
    pub(super) fn leak(instance: &str, ears: Arc<dyn Ears>) -> &'static Self {
        let ears = RwLock::new(Some(ears));
        Box::leak(Box::new(Self { relay: Relay::new(instance), ears, calls: Mutex::default() }))
    }

    pub(super) fn instance(&self) -> &str {
        self.relay.instance()
    }

    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    pub(super) fn ears(&self) -> Option<Arc<dyn Ears>> {
        self.ears.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Waiter>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, id: u64, waiter: oneshot::Sender<Ended>) {
        self.calls().insert(id, Waiter::Waits(waiter));
    }

    /// The first end of a call counts; one that is not known has ended already or never began.
    pub(super) fn complete(&self, id: u64, status: u32, result: Buffer) {
        let waiter = self.calls().remove(&id);
        if let Some(Waiter::Waits(sender)) = waiter {
            // The one who waited may have gone this very moment.
            let _ = sender.send(Ended::new(status, result));
        }
    }

    /// Nobody waits for it any more; whether it has not ended yet.
    pub(super) fn give_up(&self, id: u64) -> bool {
        let mut calls = self.calls();
        let Some(waiter @ Waiter::Waits(_)) = calls.get_mut(&id) else { return false };
        *waiter = Waiter::CancelledAt(Instant::now());
        true
    }

    /// Calls that have not ended although they were given up this long ago.
    pub(super) fn overdue(&self, since: Duration) -> usize {
        let is_overdue = |waiter: &&Waiter| matches!(waiter, Waiter::CancelledAt(at) if at.elapsed() >= since);
        self.calls().values().filter(is_overdue).count()
    }

    /// The instance is gone.
    pub(super) fn close(&self) {
        *self.ears.write().unwrap_or_else(PoisonError::into_inner) = None;
        // Whoever waits learns it from the dropped sender.
        drop(std::mem::take(&mut *self.calls()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Ears for Deaf {
        fn call(&self, _: u32, _: Vec<u8>, _: Answer) {}
        fn failed(&self, _: String) {}
        fn pause(&self, _: Duration, _: String) {}
        fn health(&self, _: bool, _: String) {}
    }

    #[test]
    fn call_ends_once() {
        let context = Context::leak("x", Arc::new(Deaf));
        let (sender, mut ended) = oneshot::channel();
        context.begin(1, sender);
        context.complete(2, raw::OK, Buffer::empty());
        assert!(ended.try_recv().is_err());
        context.complete(1, raw::PANIC, b"first".to_vec().into());
        context.complete(1, raw::OK, b"second".to_vec().into());
        assert!(matches!(ended.try_recv(), Ok(Ended::Panic(text)) if text == "first"));
        assert!(!context.give_up(1));
    }

    #[test]
    fn call_given_up_is_overdue_until_it_ends() {
        let context = Context::leak("x", Arc::new(Deaf));
        let (sender, _ended) = oneshot::channel();
        context.begin(1, sender);
        assert_eq!(context.overdue(Duration::ZERO), 0);
        assert!(context.give_up(1) && !context.give_up(1));
        assert_eq!((context.overdue(Duration::ZERO), context.overdue(Duration::from_secs(60))), (1, 0));
        context.complete(1, raw::OK, Buffer::empty());
        assert_eq!(context.overdue(Duration::ZERO), 0);
    }

    #[test]
    fn close_wakes_those_who_wait_and_stops_listening() {
        let context = Context::leak("x", Arc::new(Deaf));
        let (sender, mut ended) = oneshot::channel();
        context.begin(1, sender);
        context.close();
        assert!(matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(context.ears().is_none());
    }
}
