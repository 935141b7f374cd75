//! One instance of the config: what it is made of (`spec.rs`), its place in life, and the living instance while it runs. Each change
//! of state is made here, and told in the log in an operator's words.

use super::inspection::Problem;
use super::life::{HandleError, Life};
use super::logs::Pace;
use super::restarts::Wait;
use super::spec::Spec;
use super::status::{InstanceStatus, State, Word};
use super::text::{clean, spoken, threads};
use crate::clock::{self, Micros};
use arc_swap::{ArcSwap, ArcSwapOption};
use plugin_api::{Limits, Outcome};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(super) const LONGEST_REASON: usize = 2 * 1024;
/// Changes of health that are told; the status shows all.
const NEWS_PER_SECOND: u32 = 5;

pub(super) struct Slot {
    pub name: String,
    spec: ArcSwap<Spec>,
    life: ArcSwapOption<Life>,
    record: Mutex<Record>,
    /// Whether the first try has ended, one way or the other.
    settled: watch::Sender<bool>,
}

struct Record {
    state: State,
    since: Micros,
    reason: Option<String>,
    success: Option<(Micros, String)>,
    /// When a job was last done, for plugins that say nothing of themselves.
    worked: Option<Micros>,
    error: Option<(Micros, String)>,
    tries: u32,
    restarts: u32,
    next_restart: Option<Micros>,
    threads_left: u32,
    limits: Option<Limits>,
    /// The plugin's last word on its health in this run, if it is not well.
    ill: Option<String>,
    /// Until when it wants no jobs, and why, until that is passed on.
    pause: Option<(Instant, String)>,
    /// Whether those who hand out jobs know it.
    is_announced: bool,
    news: Pace,
}

impl Slot {
    pub(super) fn new(spec: Arc<Spec>) -> Self {
        let record = Record {
            state: State::Discovered,
            since: clock::now(),
            reason: None,
            success: None,
            worked: None,
            error: None,
            tries: 0,
            restarts: 0,
            next_restart: None,
            threads_left: 0,
            limits: None,
            ill: None,
            pause: None,
            is_announced: false,
            news: Pace::new(NEWS_PER_SECOND),
        };
        let slot = Self {
            name: spec.written.name.clone(),
            spec: ArcSwap::new(spec),
            life: ArcSwapOption::empty(),
            record: Mutex::new(record),
            settled: watch::Sender::new(false),
        };
        slot.judge();
        slot
    }

    /// What it is made of now; a running instance may be made of what it was before.
    pub(super) fn spec(&self) -> Arc<Spec> {
        self.spec.load_full()
    }

    /// Its next run is made of this.
    pub(super) fn remake(&self, spec: Arc<Spec>) {
        self.spec.store(spec);
    }

    /// Where it stands before a run, by what is known of it.
    pub(super) fn judge(&self) {
        match &self.spec().problem {
            None => self.enter(State::Checked),
            Some(Problem::Library(text)) => self.rejected(text),
            Some(problem @ Problem::Settings(_)) => self.unfit(&problem.to_string()),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, while it may get work.
    pub(super) fn life(&self) -> Option<Arc<Life>> {
        self.life.load_full()
    }

    pub(super) fn state(&self) -> State {
        self.record().state
    }

    /// The first try has ended, and all who must know do.
    pub(super) fn settle(&self) {
        self.settled.send_replace(true);
    }

    /// A new beginning, whose first try has not ended yet.
    pub(super) fn unsettle(&self) {
        self.settled.send_replace(false);
    }

    pub(super) async fn settled(&self) {
        // The sender lives as long as this slot.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }

    pub(super) fn status(&self) -> InstanceStatus {
        let spec = self.spec();
        let record = self.record();
        let word = |word: &Option<(Micros, String)>| {
            word.as_ref().map(|(at, text)| Word { at: clock::format(*at), text: text.clone() })
        };
        let (state, reason) = match &spec.kept {
            // It runs, but not as it should.
            Some(why) if record.state == State::Running => (State::Degraded, Some(why.clone())),
            _ => (record.state, record.reason.clone()),
        };
        InstanceStatus {
            name: self.name.clone(),
            library: spec.library.name().into(),
            version: spec.library.manifest().ok().map(|manifest| manifest.version.clone()),
            enabled: spec.enabled(),
            state,
            reason,
            since: clock::format(record.since),
            last_success: word(&record.success).or_else(|| Some(worked(record.worked?))),
            last_error: word(&record.error),
            restarts: record.restarts,
            next_restart: record.next_restart.map(clock::format),
            threads_left: record.threads_left,
            limits: record.limits.clone(),
        }
    }

    /// A step on the way up or down that needs no explanation.
    pub(super) fn enter(&self, state: State) {
        self.record().enter(state, None);
        tracing::debug!(plugin.name = %self.name, "plugin {}: {state}", self.name);
    }

    /// A new try: nothing that an earlier run said of itself counts any more.
    pub(super) fn begin(&self) {
        let mut record = self.record();
        if record.state == State::Failed {
            record.restarts += 1;
        }
        record.enter(State::Checked, None);
        record.tries += 1;
        (record.limits, record.ill, record.pause) = (None, None, None);
        record.next_restart = None;
    }

    pub(super) fn created(&self, limits: &Limits) {
        self.record().limits = Some(limits.clone());
        self.enter(State::Created);
    }

    /// From now on `life` answers. What the plugin said of its health while it started counts.
    pub(super) fn running(&self, life: Arc<Life>) {
        self.life.store(Some(life));
        let mut record = self.record();
        let ill = record.ill.clone();
        record.enter(state_of(&ill), ill.clone());
        drop(record);
        let spec = self.spec();
        let (name, library) = (&self.name, spec.library.name());
        let version = spec.library.manifest().map(|manifest| manifest.version.as_str()).unwrap_or_default();
        match ill {
            Some(text) => tracing::warn!(plugin.name = %name, "plugin {name}: Degraded ({library} {version}): {text}"),
            None => tracing::info!(plugin.name = %name, "plugin {name}: Running ({library} {version})"),
        }
    }

    /// Those who hand out jobs know it now. Answers the pause that it asked for before.
    pub(super) fn announced(&self) -> Option<(Duration, String)> {
        let mut record = self.record();
        record.is_announced = true;
        let (until, why) = record.pause.take()?;
        Some((until.saturating_duration_since(Instant::now()), why))
    }

    /// How a job ended. What the plugin says of itself counts more than that one was done.
    pub(super) fn worked(&self, ended: &Result<Outcome, HandleError>) {
        let text = match ended {
            Ok(Outcome::Done { .. }) => return self.record().worked = Some(clock::now()),
            Ok(Outcome::Snooze { .. }) | Err(HandleError::NotRunning | HandleError::Cancelled) => return,
            Ok(Outcome::Retry { why, .. } | Outcome::Discard { why, .. }) => format!("a job failed: {}", tidy(why)),
            Err(error) => format!("a job failed: {}", tidy(&error.to_string())),
        };
        self.record().error = Some((clock::now(), text));
    }

    /// No more work for it.
    pub(super) fn leave(&self, why: Option<&str>) {
        self.life.store(None);
        let mut record = self.record();
        record.is_announced = false;
        record.enter(State::Stopping, why.map(tidy));
        if let Some(text) = why {
            record.error = Some((clock::now(), tidy(text)));
        }
    }

    pub(super) fn rejected(&self, text: &str) {
        self.fail(State::Rejected, tidy(text));
    }

    /// It ended the process too often; `reason` says how it is let in again.
    pub(super) fn quarantined(&self, reason: String) {
        self.fail(State::Quarantined, reason);
    }

    /// Its settings are wrong: trying again cannot help while they are as they are.
    pub(super) fn unfit(&self, text: &str) {
        self.fail(State::Failed, tidy(text));
    }

    /// It will be tried again.
    pub(super) fn failed(&self, text: &str, wait: Wait) {
        let text = match wait.why() {
            Some(why) => format!("{}; {why}", tidy(text)),
            None => tidy(text),
        };
        let next = clock::now().saturating_add(clock::micros(wait.delay));
        let mut record = self.record();
        record.enter(State::Failed, Some(format!("{text}; next try at {}", clock::format(next))));
        record.error = Some((clock::now(), text.clone()));
        record.next_restart = Some(next);
        drop(record);
        let (name, delay) = (&self.name, spoken(wait.delay));
        tracing::error!(plugin.name = %name, "plugin {name}: Failed: {text}; next try in {delay}");
        self.settle();
    }

    /// The end, in good order or not.
    pub(super) fn stopped(&self) {
        let left = self.record().threads_left;
        if left > 0 {
            return self.fail(State::Zombie, format!("{} could not be ended", threads(left)));
        }
        self.record().enter(State::Stopped, None);
        tracing::info!(plugin.name = %self.name, "plugin {}: Stopped", self.name);
        self.settle();
    }

    /// Each try would leave more threads behind.
    pub(super) fn given_up(&self, text: &str) {
        let left = threads(self.record().threads_left);
        let advice = "it is not tried again before an operator restarts it";
        self.fail(State::Zombie, format!("{}; {left} of it could not be ended, so {advice}", tidy(text)));
    }

    fn fail(&self, state: State, reason: String) {
        let mut record = self.record();
        record.next_restart = None;
        record.enter(state, Some(reason.clone()));
        // That a disabled one could not run is no event.
        let enabled = self.spec().enabled();
        if enabled {
            record.error = Some((clock::now(), reason.clone()));
        }
        drop(record);
        if enabled {
            tracing::error!(plugin.name = %self.name, "plugin {}: {state}: {reason}", self.name);
        }
        self.settle();
    }

    /// Adds to the threads that could not be ended; answers how many there are by now.
    pub(super) fn left_behind(&self, count: u32) -> u32 {
        let mut record = self.record();
        record.threads_left = record.threads_left.saturating_add(count);
        let all = record.threads_left;
        drop(record);
        if count > 0 {
            let (name, left) = (&self.name, threads(count));
            tracing::error!(plugin.name = %name, "plugin {name}: {left} could not be ended and will stay until the host ends");
        }
        all
    }

    /// One of them has ended after all.
    pub(super) fn came_back(&self) {
        let mut record = self.record();
        record.threads_left = record.threads_left.saturating_sub(1);
    }

    /// Which run of the instance this is: word from an earlier one does not count.
    pub(super) fn run(&self) -> u32 {
        self.record().tries
    }

    /// What the plugin says of itself.
    pub(super) fn health(&self, run: u32, is_ill: bool, text: &str) {
        let text = tidy(text);
        let mut record = self.record();
        if record.tries != run {
            return;
        }
        let word = Some((clock::now(), text.clone()));
        if is_ill {
            record.error = word
        } else {
            record.success = word
        }
        let ill = is_ill.then_some(text);
        let is_news = record.ill != ill;
        record.ill.clone_from(&ill);
        if !matches!(record.state, State::Running | State::Degraded) || !is_news {
            return;
        }
        record.enter(state_of(&ill), ill.clone());
        let is_told = record.news.admits();
        drop(record);
        if !is_told {
            return;
        }
        let name = &self.name;
        match ill {
            Some(text) => tracing::warn!(plugin.name = %name, "plugin {name}: Degraded: {text}"),
            None => tracing::info!(plugin.name = %name, "plugin {name}: Running again"),
        }
    }

    /// Whether a pause can be passed on now; else it is kept until then.
    pub(super) fn pause(&self, run: u32, wait: Duration, why: &str) -> bool {
        let mut record = self.record();
        if record.tries == run && !record.is_announced {
            record.pause = Instant::now().checked_add(wait).map(|until| (until, why.into()));
        }
        record.tries == run && record.is_announced
    }
}

impl Record {
    fn enter(&mut self, state: State, reason: Option<String>) {
        if self.state != state {
            self.since = clock::now();
        }
        (self.state, self.reason) = (state, reason);
    }
}

fn worked(at: Micros) -> Word {
    Word { at: clock::format(at), text: "a job was done".into() }
}

fn state_of(ill: &Option<String>) -> State {
    if ill.is_some() { State::Degraded } else { State::Running }
}

fn tidy(text: &str) -> String {
    clean(text, LONGEST_REASON)
}
