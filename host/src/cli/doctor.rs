//! `arcuate doctor`: what is wrong with this set-up, and what to do about it. It looks at the configuration, the store, the machine and,
//! where one runs, the host, and changes nothing.

mod exposure;
mod machine;
mod running;
mod secrets;
mod store;

use super::report::{Exit, Report};
use super::session::{Found, Unfound, find};
use super::table::{Fit, Shown, Table, Tone};
use super::view::{View, counted};
use super::watching_args::Doctor;
use super::{check, wait};
use crate::config::{Loaded, Mistake};
use crate::error::Result;
use crate::store::backup::refuse_cut_off;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Problem,
    Warning,
    Ok,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    check: &'static str,
    level: Level,
    text: String,
    /// What to do; empty where nothing is to be done.
    advice: String,
}

/// In the order in which they were looked at.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Ok => "ok",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Problem => Tone::Bad,
            Self::Warning => Tone::Busy,
            Self::Ok => Tone::Good,
        }
    }
}

impl Findings {
    fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(check, Level::Ok, text, "");
    }

    fn warning(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Level::Warning, text, advice);
    }

    fn problem(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Level::Problem, text, advice);
    }

    fn add(&mut self, check: &'static str, level: Level, text: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { check, level, text: text.into(), advice: advice.into() });
    }

    fn count(&self, level: Level) -> u64 {
        self.0.iter().filter(|finding| finding.level == level).count() as u64
    }
}

pub(super) fn run(command: &Doctor, loaded: Result<Loaded, Vec<Mistake>>, view: &View) -> Report {
    let mut findings = Findings::default();
    let mut host = None;
    match &loaded {
        Ok(loaded) => {
            let unfit = configuration(&mut findings, loaded, view);
            exposure::look(&mut findings, loaded);
            let looked = wait(async {
                host = surroundings(&mut findings, loaded, &unfit, command.thorough, view).await;
                Ok(String::new())
            });
            if let Err(error) = looked {
                findings.problem("machine", error.to_string(), "");
            }
        }
        Err(mistakes) => mistaken(&mut findings, mistakes, view),
    }
    machine::limits(&mut findings, host);
    machine::clock(&mut findings, Path::new(machine::TIME_SERVICE));
    report(findings, view)
}

/// Answers the instances whose trouble is told with it, and what that is.
fn configuration(findings: &mut Findings, loaded: &Loaded, view: &View) -> BTreeMap<String, String> {
    let found = check::inspect(loaded);
    mistaken(findings, &found.mistakes, view);
    for warning in &found.warnings {
        findings.warning("config", warning.to_string(), format!("mend that place, then `{}`", view.command("check")));
    }
    if found.mistakes.is_empty() && found.warnings.is_empty() {
        let origin = loaded.origin.as_deref();
        let name = origin.map_or_else(|| "the defaults".into(), |path| path.display().to_string());
        findings.ok("config", format!("{name}: no mistakes"));
    }
    found.unfit
}

fn mistaken(findings: &mut Findings, mistakes: &[Mistake], view: &View) {
    for mistake in mistakes {
        findings.problem("config", mistake.to_string(), format!("mend that place, then `{}`", view.command("check")));
    }
}

/// The store, the disk below it, and the host that has it or could have it. Answers the pid of one that runs.
async fn surroundings(
    findings: &mut Findings,
    loaded: &Loaded,
    unfit: &BTreeMap<String, String>,
    thorough: bool,
    view: &View,
) -> Option<u32> {
    let config = &loaded.config;
    if let Err(error) = refuse_cut_off(&config.store.path) {
        // Nothing below can be seen before that.
        let advice = format!("`{}` finishes it as well", view.command("serve"));
        findings.problem("store", error.to_string(), advice);
        machine::disk(findings, config);
        return None;
    }
    let found = find(config).await;
    match &found {
        Err(unfound) => findings.problem("host", unfound.to_string(), what_to_do(unfound)),
        Ok(Found::Host(host)) => running::look(findings, host, unfit, view).await,
        Ok(Found::Rest(_)) => {
            findings.warning("host", "no host runs", format!("`{}` starts it", view.command("serve")));
            machine::port(findings, config);
        }
        Ok(Found::NoStore) => machine::port(findings, config),
    }
    machine::disk(findings, config);
    match &found {
        Ok(Found::NoStore) => {
            let path = config.store.path.display();
            findings.ok("store", format!("there is none at {path} yet; the first start makes it"));
        }
        _ => store::look(findings, config, thorough, view),
    }
    match found {
        Ok(Found::Host(host)) => Some(host.pid()),
        _ => None,
    }
}

/// Only what holds the store and says nothing may have to be ended.
fn what_to_do(unfound: &Unfound) -> &'static str {
    match unfound {
        Unfound::Silent(_) => {
            "if that process hangs, end it; its lock goes with it, and the next start goes on where it was"
        }
        Unfound::Token(_) => {
            "the host itself goes on: run this as the user that runs it, with the configuration that it has"
        }
        Unfound::Store(_) => {
            "run this as the user that runs the host; that user must be able to enter the store's folder"
        }
    }
}

fn report(findings: Findings, view: &View) -> Report {
    let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
    let exit = if problems == 0 { Exit::Done } else { Exit::Failed };
    let stdout = if view.json { View::json(&shown(&findings)) } else { table(findings, problems, warnings, view) };
    Report { stdout, stderr: Vec::new(), exit }
}

fn shown(findings: &Findings) -> Value {
    let list = findings.0.iter().map(|finding| {
        json!({
            "check": finding.check,
            "level": finding.level.name(),
            "text": finding.text,
            "advice": Some(&finding.advice).filter(|advice| !advice.is_empty()),
        })
    });
    json!({
        "ok": findings.count(Level::Problem) == 0,
        "problems": findings.count(Level::Problem),
        "warnings": findings.count(Level::Warning),
        "findings": list.collect::<Vec<_>>(),
    })
}

/// The worst first.
fn table(mut findings: Findings, problems: u64, warnings: u64, view: &View) -> String {
    findings.0.sort_by_key(|finding| finding.level);
    let mut table = Table::new(&[("LEVEL", Fit::Whole), ("CHECK", Fit::Whole)], "WHAT").with_whole_notes();
    for finding in &findings.0 {
        let advice = if finding.advice.is_empty() { String::new() } else { format!(" — {}", finding.advice) };
        let level = Shown::toned(finding.level.name(), finding.level.tone());
        table.row([level, finding.check.into()], &format!("{}{advice}", finding.text));
    }
    let sum = match (problems, warnings) {
        (0, 0) => "all is well".into(),
        (0, warnings) => counted(warnings, "warning"),
        (problems, 0) => counted(problems, "problem"),
        (problems, warnings) => format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning")),
    };
    format!("{}\n{sum}\n", table.render(view))
}
