//! Instances that come and go while the host runs. A new configuration is checked first, and changes nothing if something in it is wrong;
//! then those that would run otherwise than they do are stopped, started or both. The others notice nothing.

use super::directory;
use super::inspection::{Known, Problem, check_all};
use super::manager::{Manager, Member};
use super::slot::Spec;
use super::status::State;
use super::supervisor::Times;
use crate::config::{Mistake, Plugins};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// Who may change instances; nobody else does meanwhile.
pub struct Turn<'m> {
    manager: &'m Manager,
    _guard: MutexGuard<'m, ()>,
}

/// A configuration that was found right.
pub struct Plan {
    specs: BTreeMap<String, Arc<Spec>>,
    times: Times,
    directory: PathBuf,
    /// What is worth knowing of it.
    pub warnings: Vec<String>,
}

/// What a change did, by the instances' names.
#[derive(Debug, Default, PartialEq)]
pub struct Moves {
    pub started: Vec<String>,
    pub restarted: Vec<String>,
    pub stopped: Vec<String>,
}

/// What a new configuration means for an instance.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Stay,
    Start,
    Restart,
    Stop,
}

impl Step {
    fn between(before: Option<&Spec>, after: &Spec) -> Self {
        let before = before.filter(|before| before.enabled());
        match (before, after.enabled()) {
            (None, true) if after.problem.is_none() => Self::Start,
            (Some(_), false) => Self::Stop,
            (Some(before), true) if after.problem.is_none() && !before.runs_like(after) => Self::Restart,
            _ => Self::Stay,
        }
    }
}

impl Moves {
    fn note(&mut self, step: Step, name: &str) {
        match step {
            Step::Stay => {}
            Step::Start => self.started.push(name.into()),
            Step::Restart => self.restarted.push(name.into()),
            Step::Stop => self.stopped.push(name.into()),
        }
    }
}

impl Member {
    /// Nothing happens to it; what is known of one that cannot run may be new.
    fn stay(&self, spec: &Arc<Spec>) {
        self.slot.remake(spec.clone());
        if !spec.enabled() || spec.problem.is_some() {
            self.slot.judge();
        }
    }
}

impl Manager {
    /// Waits until nobody else changes anything.
    pub async fn turn(&self) -> Turn<'_> {
        Turn { manager: self, _guard: self.turn.lock().await }
    }

    /// Checks a configuration without changing anything. Reads files, so it may block. What was wrong with an instance before, and is
    /// so still, stands in nobody's way, unless it is to be started `afresh`.
    pub fn check(&self, config: &Plugins, afresh: Option<&str>) -> Result<Plan, Vec<Mistake>> {
        let members = self.members.load_full();
        let mut known = Known::default();
        for (name, spec) in members.iter().map(|(name, member)| (name, member.slot.spec())) {
            known.libraries.insert(spec.library.name().into(), spec.library.clone());
            if spec.enabled() && spec.problem.is_none() {
                known.running.insert(name.clone());
            }
        }
        let (mut specs, mut mistakes, mut warnings) = (BTreeMap::new(), Vec::new(), Vec::new());
        for checked in check_all(config, &known) {
            let new = Spec::new(checked);
            let (name, old) =
                (new.written.name.clone(), members.get(&new.written.name).map(|member| member.slot.spec()));
            let was_there = old.as_ref().is_some_and(|old| old.written == new.written);
            let is_afresh = afresh == Some(&*name);
            let spec = match (&new.problem, old) {
                // It goes on with the library and the settings that it has.
                (Some(problem), Some(old)) if was_there && !is_afresh && old.problem.is_none() => {
                    warnings.push(format!("plugin {name} stays as it is: {problem}"));
                    old
                }
                (Some(problem), _) if new.enabled() && (is_afresh || !was_there) => {
                    mistakes.extend(mistakes_of(problem, &new));
                    continue;
                }
                _ => Arc::new(new),
            };
            specs.insert(name, spec);
        }
        mistakes.sort();
        let directory = directory::resolve(config.directory.as_deref());
        if mistakes.is_empty() {
            Ok(Plan { specs, times: Times::of(config), directory, warnings })
        } else {
            Err(mistakes)
        }
    }
}

/// In the words of `check`.
fn mistakes_of(problem: &Problem, spec: &Spec) -> Vec<Mistake> {
    match problem {
        Problem::Settings(mistakes) => mistakes.clone(),
        Problem::Library(text) => {
            vec![Mistake::new(&spec.written.place, format!("plugin {}: {text}", spec.written.name))]
        }
    }
}

impl Turn<'_> {
    /// Makes it so. Returns when what was to stop has stopped, and what was to start has come up or failed for the first time.
    pub async fn apply(&self, plan: Plan) -> Moves {
        let Plan { specs, times, directory, .. } = plan;
        let manager = self.manager;
        manager.times.store(times.into());
        let old = manager.members.load_full();
        let (mut new, mut moves) = (BTreeMap::new(), Moves::default());
        let (mut leaving, mut coming) = (Vec::new(), Vec::new());
        for (name, spec) in &specs {
            let member = old.get(name).cloned();
            let step = Step::between(member.as_ref().map(|member| member.slot.spec()).as_deref(), spec);
            let member = member.unwrap_or_else(|| Member::new(spec.clone()));
            if step == Step::Stay {
                member.stay(spec);
            } else {
                leaving.push((member.clone(), spec.clone()));
            }
            if matches!(step, Step::Start | Step::Restart) {
                coming.push(member.clone());
            }
            moves.note(step, name);
            new.insert(name.clone(), member);
        }
        let gone: Vec<_> = old.iter().filter(|(name, _)| !specs.contains_key(*name)).collect();
        moves
            .stopped
            .extend(gone.iter().filter(|(_, member)| member.slot.spec().enabled()).map(|(name, _)| (*name).clone()));
        let stopped = join_all(leaving.into_iter().map(|(member, spec)| async move {
            member.leave().await;
            member.slot.remake(spec);
        }));
        tokio::join!(stopped, join_all(gone.iter().map(|(_, member)| member.leave())));
        manager.members.store(Arc::new(new));
        manager.warn(&directory);
        for member in &coming {
            self.forgive(&member.slot.name);
        }
        manager.launch(coming.iter()).await;
        manager.sweep_copies();
        moves
    }

    /// Stops an instance and starts it again, with what its library and its settings are now. False: there is none of this name.
    pub async fn restart(&self, plan: &Plan, name: &str) -> bool {
        let members = self.manager.members.load_full();
        let (Some(member), Some(spec)) = (members.get(name), plan.specs.get(name)) else { return false };
        member.leave().await;
        member.slot.remake(spec.clone());
        self.forgive(name);
        self.manager.launch([member].into_iter()).await;
        self.manager.sweep_copies();
        true
    }

    /// Whether an instance that is to run has come to rest, and no time or cause will bring it back.
    pub fn is_at_rest(&self, name: &str) -> bool {
        let at_rest = [State::Quarantined, State::Zombie, State::Rejected, State::Stopped];
        self.manager.state(name).is_some_and(|status| status.enabled && at_rest.contains(&status.state))
    }

    /// What it did to earlier processes is forgotten.
    fn forgive(&self, name: &str) {
        if let Err(error) = self.manager.deaths.lift(name) {
            tracing::warn!(plugin.name = %name, "plugin {name}: it stays on the list of those that ended the process: {error}");
        }
    }
}
