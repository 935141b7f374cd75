//! A plugin directory of its own with instances that go wrong, beside a steady one that has to go on whatever the others do.

use crate::artifacts::artifacts;
use crate::recorder::Recorder;
use crate::wait::{soon, until_is};
use arcuate::config::{self, Plugins};
use arcuate::plugins::{HandleError, InstanceStatus, Manager, State};
use plugin_api::{Job, Outcome, Work};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The instance that nothing is wrong with.
const STEADY: &str = "steady";
/// A deadline that no test wants to see.
const AMPLE: Duration = Duration::from_secs(600);

/// Builds a place; `start` brings it to life.
#[derive(Debug)]
pub struct Workshop {
    folder: TempDir,
    instances: String,
    start_seconds: f64,
    stop_seconds: f64,
}

impl Workshop {
    /// With the steady instance and the library `misbehaving`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("plugins")).expect("a folder in it");
        let new = Self { folder, instances: String::new(), start_seconds: 10.0, stop_seconds: 0.2 };
        new.put("misbehaving").instance(STEADY, "misbehaving", "")
    }

    /// An instance with these settings, as TOML.
    #[must_use]
    pub fn instance(mut self, name: &str, library: &str, settings: &str) -> Self {
        let table = format!("[plugins.{name}]\nlibrary = \"{library}\"\n[plugins.{name}.settings]\n{settings}\n");
        self.instances.push_str(&table);
        self
    }

    /// An instance of `misbehaving` named `odd` that goes wrong in this way.
    #[must_use]
    pub fn odd(self, way: &str, more: &str) -> Self {
        self.instance("odd", "misbehaving", &format!("way = \"{way}\"\n{more}"))
    }

    #[must_use]
    pub fn start_seconds(self, start_seconds: f64) -> Self {
        Self { start_seconds, ..self }
    }

    #[must_use]
    pub fn stop_seconds(self, stop_seconds: f64) -> Self {
        Self { stop_seconds, ..self }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the library of this name lies or would lie.
    pub fn path(&self, library: &str) -> PathBuf {
        self.folder.path().join("plugins").join(format!("lib{library}.so"))
    }

    /// Puts a library of the workspace into the plugin directory.
    #[must_use]
    pub fn put(self, library: &str) -> Self {
        symlink(artifacts().library(library), self.path(library)).expect("the library is linked");
        self
    }

    /// Puts bytes there under a library's name, with an instance of that name.
    #[must_use]
    pub fn put_bytes(self, library: &str, bytes: &[u8]) -> Self {
        fs::write(self.path(library), bytes).expect("the file is written");
        self.instance(library, library, "")
    }

    pub fn config(&self) -> Plugins {
        let Self { start_seconds, stop_seconds, .. } = self;
        let mut text = String::from("routes = []\n[plugins]\ndirectory = \"plugins\"\nrestart_base_seconds = 0.01\n");
        let _ = writeln!(text, "start_seconds = {start_seconds:?}\nstop_seconds = {stop_seconds:?}");
        let _ = writeln!(
            text,
            "[plugins.assistant]\nenabled = false\n[plugins.webhook]\nenabled = false\n{}",
            self.instances
        );
        let path = self.folder.path().join("config.toml");
        config::from_text(&path, &text, [("", ""); 0]).expect("the configuration is right").config.plugins
    }

    pub async fn start(self) -> Open {
        self.start_with(Recorder::new()).await
    }

    pub async fn start_with(self, recorder: Recorder) -> Open {
        let manager = Manager::new(&self.config(), &self.folder.path().join("data"));
        let recorder = Arc::new(recorder);
        soon("all instances have started or failed", manager.start(recorder.clone(), recorder.clone())).await;
        Open { workshop: self, manager, recorder }
    }
}

impl Default for Workshop {
    fn default() -> Self {
        Self::new()
    }
}

/// A workshop at work.
pub struct Open {
    pub workshop: Workshop,
    pub manager: Arc<Manager>,
    pub recorder: Arc<Recorder>,
}

impl Open {
    pub fn status(&self, instance: &str) -> InstanceStatus {
        self.manager.state(instance).unwrap_or_else(|| panic!("no instance {instance}"))
    }

    /// Waits until an instance is in this state.
    pub async fn until(&self, instance: &str, state: State) -> InstanceStatus {
        until_is(|| self.status(instance), |status| status.state == state).await
    }

    /// Waits until the instance runs for this many times.
    pub async fn until_runs(&self, instance: &str, times: usize) {
        until_is(|| (self.recorder.runs(instance), self.status(instance)), |(runs, _)| *runs == times).await;
    }

    /// Has an instance do a job in this way.
    pub async fn job(&self, instance: &str, way: &str) -> Result<Outcome, HandleError> {
        self.job_within(instance, way, AMPLE).await
    }

    pub async fn job_within(&self, instance: &str, way: &str, deadline: Duration) -> Result<Outcome, HandleError> {
        soon("a job ends", self.manager.handle(instance, &job(way), deadline)).await
    }

    /// The steady instance has come up once, never left, and works.
    pub async fn assert_goes_on(&self) {
        self.until_runs(STEADY, 1).await;
        assert_eq!(self.job(STEADY, "well").await, Ok(Outcome::reply("run 1")));
        let status = self.status(STEADY);
        assert_eq!((status.state, status.threads_left), (State::Running, 0), "{status:#?}");
    }

    /// Everything stops, the steady instance in good order.
    pub async fn stop(&self) {
        soon("all instances stop", self.manager.stop(Duration::from_secs(5))).await;
        assert_eq!(self.status(STEADY).state, State::Stopped);
    }
}

/// A job that is to be done in this way.
pub fn job(way: &str) -> Job {
    let payload: Value = json!(way);
    Job { id: "1".into(), attempt: 1, rescues: 0, uncertain: false, timeout_ms: 0, work: Work::Task { payload } }
}
