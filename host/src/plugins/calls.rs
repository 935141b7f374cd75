//! What plugins ask of the host: each operation runs as a task of the host's runtime, a bounded number of them per instance at once, and
//! is answered exactly once, also when the host ends in between.

use super::HostApi;
use futures_util::FutureExt;
use plugin_api::raw::{self, Done, Op};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Operations of one instance under way at once. A plugin with more is not waiting for its answers.
const MOST: usize = 256;

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
pub(super) struct Calls {
    instance: String,
    api: Arc<dyn HostApi>,
    runtime: Handle,
    places: Arc<Semaphore>,
}

impl Calls {
    /// On the runtime of the caller.
    pub(super) fn new(instance: &str, api: Arc<dyn HostApi>) -> Self {
        Self { instance: instance.into(), api, runtime: Handle::current(), places: Arc::new(Semaphore::new(MOST)) }
    }

    /// Never blocks: it runs on the plugin's own thread.
    pub(super) fn take(&self, op: u32, arguments: Vec<u8>, answer: Answer) {
        let Some(op) = Op::from_number(op) else {
            return answer.send(Err(format!("this host does not know operation {op}")));
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return answer.send(Err(format!("too many calls at once: {MOST} are under way; wait for their answers")));
        };
        let (api, instance) = (self.api.clone(), self.instance.clone());
        self.runtime.spawn(async move {
            let result = AssertUnwindSafe(api.call(&instance, op, arguments)).catch_unwind().await;
            drop(place);
            answer.send(result.unwrap_or_else(|_| Err("the host failed at this; its log says more".into())));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use tokio::sync::{Notify, mpsc};

    /// Answers with the arguments once it is told to.
    #[derive(Default)]
    struct Slow(Notify);

    #[async_trait]
    impl HostApi for Slow {
        async fn call(&self, _: &str, op: Op, arguments: Vec<u8>) -> Result<Vec<u8>, String> {
            match op {
                Op::Ingest => panic!("this operation is broken"),
                Op::KvGet => self.0.notified().await,
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
    async fn calls_beyond_the_bound_are_refused() {
        let slow = Arc::new(Slow::default());
        let calls = Calls::new("x", slow.clone());
        let waiting: Vec<_> = (0..MOST).map(|_| ask(&calls, Op::KvGet as u32)).collect();
        assert!(only(ask(&calls, Op::KvPut as u32)).await.1.starts_with("too many calls at once"));
        for answers in waiting {
            slow.0.notify_one();
            assert_eq!(only(answers).await.0, raw::OK);
        }
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
