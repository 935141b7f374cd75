//! Work that may block, on a thread of its own. Not on the runtime's blocking threads: the runtime waits for those at its end, and a
//! plugin whose constructor never returns would keep the host from ending.

use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Why there is no result.
#[derive(Debug, PartialEq)]
pub(super) enum NoResult {
    /// The thread is left to itself; its result will be dropped there.
    Late,
    Broken(String),
}

/// Runs `work` and waits for it, at most `deadline`.
pub(super) async fn run<T: Send + 'static>(
    name: &str,
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoResult> {
    let (sender, result) = oneshot::channel();
    let body = move || drop(sender.send(work()));
    let thread = std::thread::Builder::new().name(name.into()).spawn(body);
    thread.map_err(|error| NoResult::Broken(format!("no thread could be started: {error}")))?;
    match timeout(deadline, result).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(NoResult::Broken("the host panicked there; its log says more".into())),
        Err(_) => Err(NoResult::Late),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn run_does_not_wait_for_what_never_ends() {
        let (_alive, never) = std::sync::mpsc::channel::<()>();
        let stuck = run("stuck", Duration::from_millis(1), move || never.recv().is_ok()).await;
        assert_eq!(stuck, Err(NoResult::Late));
        assert_eq!(run("quick", Duration::from_secs(60), || 7).await, Ok(7));
        let broken: Result<(), _> = run("broken", Duration::from_secs(60), || panic!("on purpose")).await;
        assert!(matches!(broken, Err(NoResult::Broken(_))));
    }
}
