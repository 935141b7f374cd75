//! The door to the plugins for the rest of the host: finds and checks them, starts and stops them, passes jobs and requests on, and says
//! how they are.

use super::copies::Copies;
use super::directory;
use super::inspection::{Problem, check_all};
use super::life::{HandleError, Life};
use super::slot::Slot;
use super::status::{InstanceStatus, State};
use super::supervisor::{Supervisor, Times};
use super::{HostApi, Observer};
use crate::config;
use futures_util::future::join_all;
use plugin_api::{Job, Manifest, Outcome, Request, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// What `start` waits beyond the instances' own deadline, which begins a little later.
const START_GRACE: Duration = Duration::from_millis(500);

pub struct Manager {
    slots: BTreeMap<String, Arc<Slot>>,
    copies: Arc<Copies>,
    times: Times,
    /// When everything must have stopped, once the host ends.
    end: watch::Sender<Option<Instant>>,
    supervisors: Mutex<Vec<JoinHandle<()>>>,
}

impl Manager {
    /// Finds and checks the plugins. No code of theirs runs; what is wrong is in `states` and in the log. `data_dir` must belong to this
    /// process alone: copies of libraries that it does not use are removed there.
    pub fn new(config: &config::Plugins, data_dir: &Path) -> Arc<Self> {
        let slots = check_all(config).into_iter().map(|checked| {
            let (settings, problem) = match checked.settings {
                Ok(settings) => (settings, None),
                Err(problem) => (Value::Null, Some(problem)),
            };
            let slot = Slot::new(&checked.instance.name, checked.instance.enabled, checked.library, settings);
            match problem {
                None => slot.enter(State::Checked),
                Some(Problem::Library(text)) => slot.rejected(&text),
                Some(problem @ Problem::Settings(_)) => slot.unfit(&problem.to_string()),
            }
            (checked.instance.name.clone(), Arc::new(slot))
        });
        let manager = Self {
            slots: slots.collect(),
            copies: Arc::new(Copies::new(data_dir)),
            times: Times { start: config.start, stop: config.stop, restart_base: config.restart_base },
            end: watch::Sender::new(None),
            supervisors: Mutex::default(),
        };
        manager.warn(&directory::resolve(config.directory.as_deref()));
        Arc::new(manager)
    }

    /// Loading is full trust, so those who could change what is loaded are named.
    fn warn(&self, directory: &Path) {
        let mut paths = vec![directory.to_owned(), self.copies.folder().to_owned()];
        paths.extend(self.startable().map(|slot| slot.library.path()));
        paths.sort();
        paths.dedup();
        for warning in directory::warnings(paths.iter().map(AsRef::as_ref)) {
            tracing::warn!("plugins: {warning}");
        }
    }

    /// Enabled, and nothing known against it.
    fn startable(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values().filter(|slot| slot.enabled && slot.state() == State::Checked)
    }

    /// Starts every enabled instance that passed the checks, all at once, and keeps them running on the caller's runtime. Returns when
    /// each has come up or failed for the first time, or after the start deadline. To be called once.
    pub async fn start(self: &Arc<Self>, api: Arc<dyn HostApi>, observer: Arc<dyn Observer>) {
        let started: Vec<_> = self.startable().cloned().collect();
        let supervisors = started.iter().map(|slot| Supervisor {
            slot: slot.clone(),
            copies: self.copies.clone(),
            times: self.times,
            api: api.clone(),
            observer: observer.clone(),
            end: self.end.subscribe(),
        });
        let tasks: Vec<_> = supervisors.map(|supervisor| tokio::spawn(supervisor.run())).collect();
        self.supervisors.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
        let all = join_all(started.iter().map(|slot| slot.settled()));
        let _ = timeout(self.times.start + START_GRACE, all).await;
        if let Err(error) = self.copies.sweep() {
            tracing::warn!("plugins: old copies in {} cannot be removed: {error}", self.copies.folder().display());
        }
    }

    fn life(&self, instance: &str) -> Result<Arc<Life>, HandleError> {
        self.slots.get(instance).and_then(|slot| slot.life()).ok_or(HandleError::NotRunning)
    }

    /// Gives a job to an instance. At the deadline, or when the future is dropped, the plugin's work on it is cancelled, and what it
    /// says later is ignored.
    pub async fn handle(&self, instance: &str, job: &Job, deadline: Duration) -> Result<Outcome, HandleError> {
        self.life(instance)?.handle(job, deadline).await
    }

    /// Gives a request to an instance, as `handle` does a job. Its panics count for nothing but the request.
    pub async fn http(&self, instance: &str, request: Request, deadline: Duration) -> Result<Response, HandleError> {
        self.life(instance)?.http(request, deadline).await
    }

    /// All instances of the config, by name.
    pub fn states(&self) -> Vec<InstanceStatus> {
        self.slots.values().map(|slot| slot.status()).collect()
    }

    /// One of `states`.
    pub fn state(&self, instance: &str) -> Option<InstanceStatus> {
        self.slots.get(instance).map(|slot| slot.status())
    }

    /// What the instance's library says of itself, if it can be used.
    pub fn manifest(&self, instance: &str) -> Option<&Manifest> {
        self.slots.get(instance)?.library.manifest().ok()
    }

    /// Stops all instances at once. Returns when they have stopped, or at the deadline without those that have not.
    pub async fn stop(&self, deadline: Duration) {
        let end = Instant::now() + deadline;
        self.end.send_replace(Some(end));
        let supervisors = std::mem::take(&mut *self.supervisors.lock().unwrap_or_else(PoisonError::into_inner));
        if timeout_at(end, join_all(supervisors)).await.is_err() {
            let late = self.slots.values().filter(|slot| slot.state() == State::Stopping);
            for name in late.map(|slot| &slot.name) {
                tracing::error!(plugin.name = %name, "plugin {name}: it did not stop in time and is left behind");
            }
        }
    }
}
