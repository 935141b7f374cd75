//! Keeps one instance running: brings it up, watches it, puts it away when it failed, is to leave or the host ends, and tries again.

use super::context::Ears;
use super::copies::Copies;
use super::last_words::inside;
use super::library::Refusal;
use super::life::Life;
use super::restarts::Restarts;
use super::slot::Slot;
use super::spec::Spec;
use super::status::State;
use super::text::spoken;
use super::thread::{self, NoResult};
use super::voice::{Failure, Voice};
use super::{HostApi, Observer};
use crate::config::Plugins;
use arc_swap::ArcSwap;
use plugin_api::types::CreateRequest;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::level_filters::LevelFilter;

/// What a plugin's threads get to end by themselves.
const DESTROY_WAIT: Duration = Duration::from_secs(1);
/// For a `destroy` that takes a little longer than it was told.
const DESTROY_GRACE: Duration = Duration::from_secs(1);
/// With so many threads left behind, an instance is not tried again: each one costs memory, and may still be doing something.
const MOST_LEFT_BEHIND: u32 = 16;
/// A cancelled call gets the time of a stop to end, but no less than this.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// How long an instance may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub start: Duration,
    pub stop: Duration,
    pub restart_base: Duration,
}

impl Times {
    pub(super) fn of(config: &Plugins) -> Self {
        Self { start: config.start, stop: config.stop, restart_base: config.restart_base }
    }
}

pub(super) struct Supervisor {
    pub slot: Arc<Slot>,
    pub copies: Arc<Copies>,
    /// As they are now: they may change while it runs.
    pub times: Arc<ArcSwap<Times>>,
    pub api: Arc<dyn HostApi>,
    pub observer: Arc<dyn Observer>,
    /// When everything must have stopped, once the host ends.
    pub end: watch::Receiver<Option<Instant>>,
    /// Once this instance is to leave. Its jobs get the time of a stop to end by themselves.
    pub leave: watch::Receiver<bool>,
}

/// Why an instance did not come up.
enum Down {
    Refused(Refusal),
    /// It is to leave, or the host ends.
    Ending,
}

impl From<Refusal> for Down {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn failed(text: impl Into<String>) -> Refusal {
    Refusal::Failed(text.into())
}

impl Supervisor {
    fn times(&self) -> Times {
        **self.times.load()
    }

    /// Until it is to leave, the host ends, or trying again is of no use.
    pub(super) async fn run(self) {
        let mut restarts = Restarts::new(self.times().restart_base);
        loop {
            let mut ran = Duration::ZERO;
            let failure = match self.bring_up().await {
                Ok(life) => {
                    let began = Instant::now();
                    let failure = self.watch(&life).await;
                    ran = began.elapsed();
                    self.put_away(&life, failure.as_deref()).await;
                    failure
                }
                Err(Down::Refused(Refusal::Failed(text))) => Some(text),
                Err(Down::Refused(Refusal::Rejected(text))) => return self.slot.rejected(&text),
                Err(Down::Ending) => None,
            };
            let Some(text) = failure else { return self.slot.stopped() };
            if self.slot.left_behind(0) >= MOST_LEFT_BEHIND {
                return self.slot.given_up(&text);
            }
            let wait = restarts.failed(Instant::now().into_std(), ran);
            self.slot.failed(&text, wait);
            if timeout(wait.delay, self.ending()).await.is_ok() {
                return self.slot.stopped();
            }
        }
    }

    /// Resolves when it is to leave or the host ends.
    async fn ending(&self) {
        let (mut end, mut leave) = (self.end.clone(), self.leave.clone());
        // Without the manager nobody can say so any more.
        tokio::select! {
            _ = end.wait_for(Option::is_some) => {}
            _ = leave.wait_for(|leave| *leave) => {}
        }
    }

    async fn bring_up(&self) -> Result<Arc<Life>, Down> {
        self.slot.begin();
        let (life, deadline) = tokio::select! {
            biased;
            // What is under way ends on its own thread.
            () = self.ending() => return Err(Down::Ending),
            life = self.create() => life?,
        };
        self.slot.enter(State::Starting);
        let refused = tokio::select! {
            biased;
            () = self.ending() => Down::Ending,
            started = life.start(deadline, self.times().start) => match started {
                Ok(()) => return Ok(life.into()),
                Err(text) => failed(text).into(),
            },
        };
        self.destroy(&life, DESTROY_WAIT).await;
        Err(refused)
    }

    /// Loads the library if it is not loaded, and makes an instance. Answers also until when it must have started: its own code has the
    /// whole time, however long the host took to copy the library.
    async fn create(&self) -> Result<(Life, Instant), Refusal> {
        let (spec, copies, times) = (self.slot.spec(), self.copies.clone(), self.times());
        let (name, library) = (self.slot.name.clone(), spec.library.clone());
        let load = move || inside(&name, || library.load(&copies));
        let image = thread::run(&self.thread_name(), times.start, load).await;
        let image = image.map_err(|no| self.no_result(no, "loading its library"))??;
        self.slot.enter(State::Loaded);

        let deadline = Instant::now() + times.start;
        let failure = Failure::new(None);
        let ears: Arc<dyn Ears> =
            Arc::new(Voice::new(&self.slot, self.api.clone(), self.observer.clone(), failure.clone()));
        let request = self.request(&spec);
        let created = thread::run(&self.thread_name(), times.start, move || image.create(&request, ears)).await;
        let created = created.map_err(|no| self.no_result(no, "its constructor"))?;
        let (raw, limits) = created.map_err(|text| failed(spec.written.located(&text)))?;
        let life = Life::new(raw, limits, failure, times.stop.max(LEAST_PATIENCE));
        self.slot.created(life.limits());
        Ok((life, deadline))
    }

    fn request(&self, spec: &Spec) -> CreateRequest {
        CreateRequest {
            instance: self.slot.name.clone(),
            log_level: LevelFilter::current().to_string(),
            host_version: env!("CARGO_PKG_VERSION").into(),
            settings: spec.settings.clone(),
        }
    }

    fn thread_name(&self) -> String {
        format!("plugin-{}", self.slot.name)
    }

    fn no_result<T: Send + 'static>(&self, no: NoResult<T>, what: &str) -> Refusal {
        match no {
            NoResult::Broken(text) => failed(text),
            NoResult::Late(late) => {
                self.leave_behind(late);
                failed(format!("{what} took longer than {} ([plugins] start_seconds)", spoken(self.times().start)))
            }
        }
    }

    /// Counts a thread that could not be ended, until it ends by itself. What it made is not wanted any more.
    fn leave_behind<T: Send + 'static>(&self, late: oneshot::Receiver<T>) {
        self.slot.left_behind(1);
        let slot = self.slot.clone();
        tokio::spawn(async move {
            drop(late.await);
            slot.came_back();
        });
    }

    /// Lets it work until it fails, with the reason, or the host ends.
    async fn watch(&self, life: &Arc<Life>) -> Option<String> {
        self.slot.running(life.clone());
        self.observer.running(&self.slot.name, life.limits());
        if let Some((wait, why)) = self.slot.announced() {
            self.observer.paused(&self.slot.name, wait, &why);
        }
        self.slot.settle();
        tokio::select! {
            biased;
            () = self.ending() => None,
            text = life.failed() => Some(text),
        }
    }

    /// Jobs go back while it stops: nothing that it still says about them counts.
    async fn put_away(&self, life: &Life, why: Option<&str>) {
        let begun = Instant::now();
        if why.is_none() {
            self.drain(life).await;
        }
        self.slot.leave(why);
        let (stop, wait) = self.stop_times(begun);
        let ended = async {
            if let Err(text) = life.stop(stop).await {
                let name = &self.slot.name;
                tracing::warn!(plugin.name = %name, "plugin {name}: {text}");
            }
            self.destroy(life, wait).await;
        };
        tokio::join!(self.observer.left(&self.slot.name), ended);
    }

    /// An instance that leaves in good order gets no new jobs, and ends those that it has, for as long as a stop may take.
    async fn drain(&self, life: &Life) {
        let mut end = self.end.clone();
        if end.borrow().is_some() {
            return;
        }
        self.slot.enter(State::Stopping);
        self.observer.leaving(&self.slot.name);
        tokio::select! {
            _ = end.wait_for(Option::is_some) => {}
            _ = timeout(self.times().stop, life.idle()) => {}
        }
    }

    /// Deadlines of `stop` and `destroy`. What draining took is taken off, but a moment is left. When the host ends, both lie within
    /// what it has left.
    fn stop_times(&self, begun: Instant) -> (Duration, Duration) {
        let allowed = self.times().stop;
        let Some(end) = *self.end.borrow() else {
            return (allowed.saturating_sub(begun.elapsed()).max(allowed / 4), DESTROY_WAIT);
        };
        let left = end.saturating_duration_since(Instant::now());
        let reserve = (left / 3).min(DESTROY_WAIT);
        (allowed.min(left - reserve), reserve / 2)
    }

    async fn destroy(&self, life: &Life, wait: Duration) {
        let raw = life.raw();
        let destroyed = thread::run(&self.thread_name(), wait + DESTROY_GRACE, move || raw.destroy(wait)).await;
        let left = match destroyed {
            Ok(u32::MAX) => {
                let name = &self.slot.name;
                tracing::error!(plugin.name = %name, "plugin {name}: it panicked at its end; threads of it may be left");
                0
            }
            Ok(left) => left,
            Err(NoResult::Late(late)) => return self.leave_behind(late),
            Err(NoResult::Broken(_)) => 0,
        };
        self.slot.left_behind(left);
    }
}
