//! The door to the plugins for the rest of the host: finds and checks them, starts and stops them, passes jobs and requests on, and says
//! how they are. What changes them while they run is in `changes`.

use super::copies::Copies;
use super::deaths::Deaths;
use super::directory;
use super::inspection::{Known, check_all};
use super::life::{HandleError, Life};
use super::slot::Slot;
use super::spec::Spec;
use super::status::{InstanceStatus, State};
use super::supervisor::{Supervisor, Times};
use super::{HostApi, Observer};
use crate::config;
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use plugin_api::{Job, Manifest, Outcome, Request, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// What `start` waits beyond the instances' own deadline, which begins a little later.
const START_GRACE: Duration = Duration::from_millis(500);

/// Versions of libraries that nobody uses any more, and that this process cannot get rid of, before somebody is told.
const MANY_OUTLIVED: usize = 8;

pub struct Manager {
    pub(super) members: ArcSwap<BTreeMap<String, Arc<Member>>>,
    pub(super) deaths: Deaths,
    pub(super) times: Arc<ArcSwap<Times>>,
    /// Held by whoever changes them: one change after the other.
    pub(super) turn: tokio::sync::Mutex<()>,
    copies: Arc<Copies>,
    /// When everything must have stopped, once the host ends.
    end: watch::Sender<Option<Instant>>,
    /// What the instances speak to, from `start` on.
    ground: OnceLock<Ground>,
}

struct Ground {
    api: Arc<dyn HostApi>,
    observer: Arc<dyn Observer>,
}

/// An instance of the config, and who keeps it running.
pub(super) struct Member {
    pub slot: Arc<Slot>,
    runner: Mutex<Option<Runner>>,
}

struct Runner {
    leave: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Member {
    pub(super) fn new(spec: Arc<Spec>) -> Arc<Self> {
        Arc::new(Self { slot: Slot::new(spec).into(), runner: Mutex::default() })
    }

    fn runner(&self) -> Option<Runner> {
        self.runner.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts it away in good order, if it runs.
    pub(super) async fn leave(&self) {
        let Some(runner) = self.runner() else { return };
        runner.leave.send_replace(true);
        if let Err(error) = runner.task.await {
            tracing::error!(plugin.name = %self.slot.name, "plugin {}: its supervisor failed: {error}", self.slot.name);
        }
    }
}

impl Manager {
    /// Finds and checks the plugins. No code of theirs runs; what is wrong is in `states` and in the log. `data_dir` must belong to this
    /// process alone: copies of libraries that it does not use are removed there.
    pub fn new(config: &config::Plugins, data_dir: &Path) -> Arc<Self> {
        let members = check_all(config, &Known::default()).into_iter().map(|checked| {
            let member = Member::new(Spec::new(checked).into());
            (member.slot.name.clone(), member)
        });
        let manager = Self {
            members: ArcSwap::from_pointee(members.collect()),
            deaths: Deaths::read(data_dir),
            times: Arc::new(ArcSwap::from_pointee(Times::of(config))),
            turn: tokio::sync::Mutex::default(),
            copies: Arc::new(Copies::new(data_dir)),
            end: watch::Sender::new(None),
            ground: OnceLock::new(),
        };
        manager.members.load().values().for_each(|member| manager.look_for_deaths(&member.slot));
        manager.warn(&directory::resolve(config.directory.as_deref()));
        Arc::new(manager)
    }

    /// An instance that ended the process too often is not let in.
    fn look_for_deaths(&self, slot: &Slot) {
        if !slot.spec().enabled() || slot.state() != State::Checked {
            return;
        }
        let name = &slot.name;
        if let Some(reason) = self.deaths.quarantine(name) {
            slot.quarantined(reason);
        } else if let Some((count, last)) = self.deaths.last(name) {
            tracing::warn!(plugin.name = %name, "plugin {name}: it has ended the whole process {count} times, last {last}");
        }
    }

    /// From now on an end of the process inside a plugin is written down, for the next start.
    pub fn watch_for_deaths(&self) {
        let names: Vec<_> = self.members.load().keys().cloned().collect();
        if let Err(error) = self.deaths.watch(&names) {
            tracing::warn!("plugins: a crash of the process could not be written down: {error}");
        }
    }

    /// Loading is full trust, so those who could change what is loaded are named.
    pub(super) fn warn(&self, directory: &Path) {
        let mut paths = vec![directory.to_owned(), self.copies.folder().to_owned()];
        let members = self.members.load();
        let usable =
            members.values().map(|member| member.slot.spec()).filter(|spec| spec.enabled() && spec.problem.is_none());
        paths.extend(usable.map(|spec| spec.library.path()));
        paths.sort();
        paths.dedup();
        for warning in directory::warnings(paths.iter().map(AsRef::as_ref)) {
            tracing::warn!("plugins: {warning}");
        }
    }

    /// Starts every enabled instance that passed the checks, all at once, and keeps them running on the caller's runtime. Returns when
    /// each has come up or failed for the first time, or after the start deadline. To be called once.
    pub async fn start(&self, api: Arc<dyn HostApi>, observer: Arc<dyn Observer>) {
        let _ = self.ground.set(Ground { api, observer });
        let members = self.members.load_full();
        let startable = |member: &&Arc<Member>| member.slot.spec().enabled() && member.slot.state() == State::Checked;
        self.launch(members.values().filter(startable)).await;
        self.sweep_copies();
    }

    /// Those of libraries that run, or could not be unloaded, stay.
    pub(super) fn sweep_copies(&self) {
        let folder = self.copies.folder().display();
        if let Err(error) = self.copies.sweep() {
            tracing::warn!("plugins: old copies in {folder} cannot be removed: {error}");
        }
        let members = self.members.load();
        let current = members.values().filter_map(|member| member.slot.spec().library.copy_name()).collect();
        let (count, bytes) = self.copies.outlived(&current);
        if count >= MANY_OUTLIVED {
            let megabytes = bytes / 1_000_000;
            tracing::warn!(
                "plugins: {count} earlier versions of libraries stay in memory and in {folder} ({megabytes} MB): a restart of the host frees them"
            );
        }
    }

    /// Starts these; returns when each has come up or failed for the first time, or after the start deadline.
    pub(super) async fn launch<'m>(&self, members: impl Iterator<Item = &'m Arc<Member>>) {
        let launched: Vec<_> = members.filter(|member| self.run(member)).collect();
        let all = join_all(launched.iter().map(|member| member.slot.settled()));
        let _ = timeout(self.times.load().start + START_GRACE, all).await;
    }

    /// Gives a member that does not run somebody who keeps it running.
    fn run(&self, member: &Member) -> bool {
        let Some(ground) = self.ground.get() else { return false };
        member.slot.unsettle();
        member.slot.enter(State::Checked);
        let (leave, leaving) = watch::channel(false);
        let supervisor = Supervisor {
            slot: member.slot.clone(),
            copies: self.copies.clone(),
            times: self.times.clone(),
            api: ground.api.clone(),
            observer: ground.observer.clone(),
            end: self.end.subscribe(),
            leave: leaving,
        };
        let task = tokio::spawn(supervisor.run());
        *member.runner.lock().unwrap_or_else(PoisonError::into_inner) = Some(Runner { leave, task });
        true
    }

    fn slot(&self, instance: &str) -> Option<Arc<Slot>> {
        Some(self.members.load().get(instance)?.slot.clone())
    }

    fn life(&self, instance: &str) -> Result<Arc<Life>, HandleError> {
        self.members.load().get(instance).and_then(|member| member.slot.life()).ok_or(HandleError::NotRunning)
    }

    /// Gives a job to an instance. At the deadline, or when the future is dropped, the plugin's work on it is cancelled, and what it
    /// says later is ignored.
    pub async fn handle(&self, instance: &str, job: &Job, deadline: Duration) -> Result<Outcome, HandleError> {
        let ended = self.life(instance)?.handle(job, deadline).await;
        if let Some(member) = self.members.load().get(instance) {
            member.slot.worked(&ended);
        }
        ended
    }

    /// Gives a request to an instance, as `handle` does a job. Its panics count for nothing but the request.
    pub async fn http(&self, instance: &str, request: Request, deadline: Duration) -> Result<Response, HandleError> {
        self.life(instance)?.http(request, deadline).await
    }

    /// All instances of the config, by name.
    pub fn states(&self) -> Vec<InstanceStatus> {
        self.members.load().values().map(|member| member.slot.status()).collect()
    }

    /// One of `states`.
    pub fn state(&self, instance: &str) -> Option<InstanceStatus> {
        Some(self.slot(instance)?.status())
    }

    /// What the instance's library says of itself, if it can be used.
    pub fn manifest(&self, instance: &str) -> Option<Manifest> {
        self.slot(instance)?.spec().library.manifest().ok().cloned()
    }

    /// The settings that an instance runs with, as they may be shown.
    pub fn settings(&self, instance: &str) -> Option<BTreeMap<String, Value>> {
        let spec = self.slot(instance)?.spec();
        let schema = spec.library.manifest().map(|manifest| &manifest.settings).unwrap_or(&Value::Null);
        Some(spec.written.shown_settings(schema))
    }

    /// Stops all instances at once. Returns when they have stopped, or at the deadline without those that have not.
    pub async fn stop(&self, deadline: Duration) {
        let end = Instant::now() + deadline;
        self.end.send_replace(Some(end));
        let members = self.members.load_full();
        let supervisors = members.values().filter_map(|member| member.runner()).map(|runner| runner.task);
        if timeout_at(end, join_all(supervisors)).await.is_err() {
            let late = members.values().map(|member| &member.slot).filter(|slot| slot.state() == State::Stopping);
            for name in late.map(|slot| &slot.name) {
                tracing::error!(plugin.name = %name, "plugin {name}: it did not stop in time and is left behind");
            }
        }
    }
}
