//! Work that may block, on a thread of its own. Not on the runtime's blocking threads: the runtime waits for those at its end, and a
//! plugin whose constructor never returns would keep the host from ending.

use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Why there is no result.
#[derive(Debug)]
pub(super) enum NoResult<T> {
    /// The thread is left to itself. Its result may come yet.
    Late(oneshot::Receiver<T>),
    Broken(String),
}

/// Runs `work` and waits for it, at most `deadline`.
pub(super) async fn run<T: Send + 'static>(
    name: &str,
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoResult<T>> {
    let (sender, mut result) = oneshot::channel();
    let body = move || drop(sender.send(work()));
    let thread = std::thread::Builder::new().name(name.into()).spawn(body);
    thread.map_err(|error| NoResult::Broken(format!("no thread could be started: {error}")))?;
    match timeout(deadline, &mut result).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(NoResult::Broken("the host panicked there; its log says more".into())),
        Err(_) => Err(NoResult::Late(result)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn run_does_not_wait_for_what_takes_too_long() {
        let (go_on, told) = std::sync::mpsc::channel::<u8>();
        let stuck = run("stuck", Duration::from_millis(1), move || told.recv()).await;
        let Err(NoResult::Late(late)) = stuck else { panic!("{stuck:?}") };
        go_on.send(7).unwrap();
        assert_eq!(late.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn run_tells_of_a_panic() {
        assert_eq!(run("quick", AMPLE, || 7).await.unwrap(), 7);
        let broken: Result<(), _> = run("broken", AMPLE, || panic!("on purpose")).await;
        assert!(matches!(broken, Err(NoResult::Broken(_))));
    }
}
