//! What plugins ask of the host: each operation runs as a task of the host's runtime, a bounded number of them per instance at once and in
//! a second, and is answered exactly once, also when the host ends in between. A plugin that asks for more waits for its own turn, and
//! nobody else does.

use super::HostApi;
use futures_util::FutureExt;
use plugin_api::raw::{self, Done, Op};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// Operations of one instance under way at once.
const MOST: usize = 256;
/// Those that wait beside them, and the bytes of their arguments. A plugin with more is not waiting for its answers.
const MOST_WAITING: usize = if cfg!(test) { 64 } else { 16 * 1024 };
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Operations of one instance in a second: a thousand agents that stream stay below it.
const PER_SECOND: u32 = 50_000;
/// So many may come at once after a rest.
const BURST: u32 = 5_000;

/// Owes a plugin its answer.
pub(super) struct Answer(Option<Done>);

impl Answer {
    pub(super) fn new(done: Done) -> Self {
        Self(Some(done))
    }

    pub(super) fn send(mut self, result: Result<Vec<u8>, String>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<Vec<u8>, String>) {
        let Some(done) = self.0.take() else { return };
        match result {
            Ok(bytes) => done.call(raw::OK, bytes.into()),
            Err(text) => done.call(raw::ERROR, text.into_bytes().into()),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.call(Err("the host is ending".into()));
    }
}

/// Takes the calls of one instance.
pub(super) struct Calls(Arc<Shared>);

struct Shared {
    instance: String,
    api: Arc<dyn HostApi>,
    runtime: Handle,
    places: Semaphore,
    pace: Pace,
    /// Accepted and not answered.
    open: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether the log has heard of a flood.
    is_told: AtomicBool,
}

impl Calls {
    /// On the runtime of the caller.
    pub(super) fn new(instance: &str, api: Arc<dyn HostApi>) -> Self {
        Self(Arc::new(Shared {
            instance: instance.into(),
            api,
            runtime: Handle::current(),
            places: Semaphore::new(MOST),
            pace: Pace::new(PER_SECOND, BURST),
            open: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            is_told: AtomicBool::new(false),
        }))
    }

    /// Never blocks: it runs on the plugin's own thread.
    pub(super) fn take(&self, op: u32, arguments: Vec<u8>, answer: Answer) {
        let Some(op) = Op::from_number(op) else {
            return answer.send(Err(format!("this host does not know operation {op}")));
        };
        let shared = self.0.clone();
        let Some(open) = Open::new(shared, arguments.len()) else {
            let text = format!("too many calls at once: {MOST_WAITING} wait; wait for their answers");
            return answer.send(Err(text));
        };
        self.0.runtime.spawn(async move {
            let shared = &open.shared;
            // Only closing it could fail, which nobody does.
            let place = shared.places.acquire().await;
            shared.pace.turn().await;
            let result = AssertUnwindSafe(shared.api.call(&shared.instance, op, arguments)).catch_unwind().await;
            drop(place);
            drop(open);
            answer.send(result.unwrap_or_else(|_| Err("the host failed at this; its log says more".into())));
        });
    }
}

/// Counted for as long as it lives.
struct Open {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Open {
    fn new(shared: Arc<Shared>, bytes: usize) -> Option<Self> {
        let count = shared.open.fetch_add(1, Ordering::Relaxed) + 1;
        let held = shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if count > MOST && !shared.is_told.swap(true, Ordering::Relaxed) {
            let name = &shared.instance;
            tracing::warn!(
                plugin.name = %name,
                "plugin {name}: more than {MOST} calls of the host at once; the rest waits"
            );
        }
        let open = Self { shared, bytes };
        // One alone is never too large: that is for the operation to say.
        let is_too_much = count > MOST + MOST_WAITING || (held > MOST_BYTES && count > 1);
        (!is_too_much).then_some(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.shared.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shared.is_told.store(false, Ordering::Relaxed);
        }
    }
}

/// Each call has its moment; those after a rest come at once.
struct Pace {
    step: Duration,
    slack: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(per_second: u32, burst: u32) -> Self {
        let step = Duration::from_secs(1) / per_second;
        Self { step, slack: step * burst, next: Mutex::new(Instant::now()) }
    }

    async fn turn(&self) {
        let now = Instant::now();
        let moment = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let moment = (*next).max(now.checked_sub(self.slack).unwrap_or(now));
            *next = moment + self.step;
            moment
        };
        if moment > now {
            sleep_until(moment).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use tokio::sync::{Semaphore, mpsc};

    /// Answers with the arguments once it is told to: a permit for each answer, whichever asks first.
    struct Slow(Semaphore);

    impl Default for Slow {
        fn default() -> Self {
            Self(Semaphore::new(0))
        }
    }

    #[async_trait]
    impl HostApi for Slow {
        async fn call(&self, _: &str, op: Op, arguments: Vec<u8>) -> Result<Vec<u8>, String> {
            match op {
                Op::Ingest => panic!("this operation is broken"),
                Op::KvGet => self.0.acquire().await.unwrap().forget(),
                _ => {}
            }
            Ok(arguments)
        }
    }

    type Answers = mpsc::UnboundedReceiver<(u32, String)>;

    fn ask(calls: &Calls, op: u32) -> Answers {
        let (sender, receiver) = mpsc::unbounded_channel();
        let done = Done::new(move |status, result| sender.send((status, result.text())).unwrap());
        calls.take(op, b"x".to_vec(), Answer::new(done));
        receiver
    }

    async fn only(mut answers: Answers) -> (u32, String) {
        let answer = answers.recv().await.unwrap();
        assert_eq!(answers.recv().await, None, "answered twice");
        answer
    }

    #[tokio::test]
    async fn call_is_answered_once_whatever_happens() {
        let calls = Calls::new("x", Arc::new(Slow::default()));
        assert_eq!(only(ask(&calls, Op::KvPut as u32)).await, (raw::OK, "x".into()));
        assert_eq!(only(ask(&calls, Op::Ingest as u32)).await.0, raw::ERROR);
        assert_eq!(only(ask(&calls, 99)).await, (raw::ERROR, "this host does not know operation 99".into()));
    }

    #[tokio::test]
    async fn calls_beyond_the_bound_wait_and_a_flood_of_them_is_refused() {
        let slow = Arc::new(Slow::default());
        let calls = Calls::new("x", slow.clone());
        let under_way: Vec<_> = (0..MOST).map(|_| ask(&calls, Op::KvGet as u32)).collect();
        tokio::task::yield_now().await;
        let waiting: Vec<_> = (0..MOST_WAITING).map(|_| ask(&calls, Op::KvPut as u32)).collect();
        assert!(only(ask(&calls, Op::KvPut as u32)).await.1.starts_with("too many calls at once"));
        slow.0.add_permits(MOST);
        for answers in under_way {
            assert_eq!(only(answers).await.0, raw::OK);
        }
        for answers in waiting {
            assert_eq!(only(answers).await.0, raw::OK);
        }
    }

    #[tokio::test]
    async fn pace_holds_back_what_comes_too_fast() {
        let (pace, begun) = (Pace::new(1000, 10), Instant::now());
        for _ in 0..60 {
            pace.turn().await;
        }
        // The burst is free, the other fifty have their moments.
        assert!(begun.elapsed() >= Duration::from_millis(45), "{:?}", begun.elapsed());
    }

    #[test]
    fn call_under_way_is_answered_when_the_runtime_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut answers = runtime.block_on(async {
            let calls = Calls::new("x", Arc::new(Slow::default()));
            ask(&calls, Op::KvGet as u32)
        });
        drop(runtime);
        assert_eq!(answers.try_recv().unwrap(), (raw::ERROR, "the host is ending".into()));
    }
}
