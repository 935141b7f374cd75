//! Instances that come and go while the host runs. A new configuration is checked first, and changes nothing if something in it is wrong;
//! then those that would run otherwise than they do are stopped, started or both. The others notice nothing. One that ran, and does not come
//! up as it is to run now, goes on as it was.

use super::directory;
use super::inspection::{Known, Problem, check_all};
use super::manager::{Manager, Member};
use super::spec::Spec;
use super::status::State;
use super::supervisor::Times;
use super::targets::wrong_targets;
use crate::config::{Config, Mistake};
use futures_util::future::join_all;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::MutexGuard;
use utoipa::ToSchema;

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
    /// Those that did not come up as they were to.
    pub failed: Vec<FailedInstance>,
}

/// An instance that did not come up as it was to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FailedInstance {
    #[schema(example = "assistant")]
    pub name: String,
    /// Where it is now.
    pub state: State,
    /// Why, and whether it goes on with its earlier settings.
    pub reason: String,
}

/// One that is to come up, and what it was made of when it ran last, if it did until now.
struct Coming {
    member: Arc<Member>,
    earlier: Option<Arc<Spec>>,
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

    fn fail(&mut self, failed: FailedInstance) {
        self.started.retain(|name| *name != failed.name);
        self.restarted.retain(|name| *name != failed.name);
        self.failed.push(failed);
    }
}

impl Coming {
    fn new(member: &Arc<Member>) -> Self {
        let earlier = member.slot.life().map(|_| member.slot.spec());
        Self { member: member.clone(), earlier }
    }

    /// Why it did not come up, if it did not.
    fn failure(&self) -> Option<FailedInstance> {
        const DOWN: [State; 4] = [State::Failed, State::Rejected, State::Quarantined, State::Zombie];
        let status = self.member.slot.status();
        let reason = status.last_error.map(|word| word.text).or(status.reason).unwrap_or_default();
        DOWN.contains(&status.state).then_some(FailedInstance { name: status.name, state: status.state, reason })
    }

    /// What it was made of, if that is something else than what it is made of now.
    fn way_back(&self) -> Option<&Arc<Spec>> {
        self.earlier.as_ref().filter(|earlier| !earlier.runs_like(&self.member.slot.spec()))
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
    pub fn check(&self, config: &Config, afresh: Option<&str>) -> Result<Plan, Vec<Mistake>> {
        let (routed, config) = (config, &config.plugins);
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
        mistakes.extend(wrong_targets(routed, |name| specs.get(name)?.library.manifest().ok()));
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
            if matches!(step, Step::Start | Step::Restart) {
                coming.push(Coming::new(&member));
            }
            if step == Step::Stay {
                member.stay(spec);
            } else {
                leaving.push((member.clone(), spec.clone()));
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
        self.bring(coming, &mut moves).await;
        manager.sweep_copies();
        moves
    }

    /// Stops an instance and starts it again, with what its library and its settings are now. None: there is none of this name.
    pub async fn restart(&self, plan: &Plan, name: &str) -> Option<Moves> {
        let members = self.manager.members.load_full();
        let (member, spec) = (members.get(name)?, plan.specs.get(name)?);
        let coming = Coming::new(member);
        member.leave().await;
        member.slot.remake(spec.clone());
        let mut moves = Moves { restarted: vec![name.into()], ..Moves::default() };
        self.bring(vec![coming], &mut moves).await;
        self.manager.sweep_copies();
        Some(moves)
    }

    /// Starts these. Those that ran until now, and do not come up as they are to run, run again as they did: there are never two of one.
    async fn bring(&self, coming: Vec<Coming>, moves: &mut Moves) {
        coming.iter().for_each(|coming| self.forgive(&coming.member.slot.name));
        self.manager.launch(coming.iter().map(|coming| &coming.member)).await;
        let down = coming.iter().filter_map(|coming| Some((coming, coming.failure()?)));
        for failed in join_all(down.map(|(coming, failed)| self.go_back(coming, failed))).await {
            moves.fail(failed);
        }
    }

    /// What to tell of one that did not come up.
    async fn go_back(&self, coming: &Coming, failed: FailedInstance) -> FailedInstance {
        let (Some(earlier), slot) = (coming.way_back(), &coming.member.slot) else { return failed };
        coming.member.leave().await;
        let wanted = slot.spec();
        let reason = format!("stays with its earlier settings: {}", failed.reason);
        slot.remake(Arc::new(earlier.kept_because(&reason)));
        self.manager.launch([&coming.member].into_iter()).await;
        if coming.failure().is_none() {
            let name = &failed.name;
            tracing::warn!(plugin.name = %name, "plugin {name}: {reason}");
            return FailedInstance { state: slot.status().state, reason, ..failed };
        }
        // Neither will do: then it is tried again as it is to run.
        coming.member.leave().await;
        slot.remake(wanted);
        self.manager.launch([&coming.member].into_iter()).await;
        coming.failure().unwrap_or(failed)
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
