//! `arcuate check`: every mistake that a start would meet, in the configuration and in what it names, without starting anything.

use super::report::{Exit, Report};
use super::view::View;
use crate::config::{Config, Loaded, Mistake, Place};
use crate::plugins::{Inspection, Problem, inspect_all};
use crate::run::unrouted_text;
use plugin_api::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What was found; mistakes and warnings in order of place.
#[derive(Default)]
pub(super) struct Findings {
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Mistake>,
    /// Instances that cannot run, and why in the words that the host has for it: among the mistakes as well.
    pub unfit: BTreeMap<String, String>,
}

pub(super) fn check(loaded: Result<Loaded, Vec<Mistake>>, view: &View) -> Report {
    let (findings, origin) = match loaded {
        Ok(loaded) => (inspect(&loaded), loaded.origin),
        Err(mistakes) => (Findings { mistakes, ..Findings::default() }, None),
    };
    let Findings { mistakes, warnings, .. } = &findings;
    let exit = if mistakes.is_empty() { Exit::Done } else { Exit::Usage };
    let stdout = match (view.json, exit) {
        (true, _) => View::json(&findings.json()),
        (false, Exit::Done) => well(origin.as_deref()),
        (false, _) => String::new(),
    };
    let told = mistakes.iter().map(ToString::to_string);
    let warned = warnings.iter().map(|warning| format!("warning: {warning}"));
    // The JSON has them already.
    let stderr = if view.json { Vec::new() } else { told.chain(warned).collect() };
    Report { stdout, stderr, exit }
}

fn well(origin: Option<&Path>) -> String {
    match origin {
        Some(path) => format!("{}: ok\n", path.display()),
        None => "the defaults: ok (there is no config.toml here)\n".into(),
    }
}

pub(super) fn inspect(loaded: &Loaded) -> Findings {
    let Loaded { config, warnings, origin } = loaded;
    let (mut mistakes, mut warnings, mut unfit) = (Vec::new(), warnings.clone(), BTreeMap::new());
    for inspection in inspect_all(&config.plugins).iter().filter(|inspection| inspection.enabled) {
        let place = place_of(config, &inspection.name, origin.as_deref());
        unfit.extend(inspection.problem.as_ref().map(|problem| (inspection.name.clone(), problem.to_string())));
        match &inspection.problem {
            Some(Problem::Settings(wrong)) => mistakes.extend(wrong.iter().cloned()),
            Some(Problem::Library(text)) => {
                mistakes.push(Mistake::new(&place, format!("plugin {}: {text}", inspection.name)));
            }
            None => {}
        }
        if is_unrouted(config, inspection) {
            warnings.push(Mistake::new(&place, unrouted_text(&inspection.name)));
        }
    }
    mistakes.sort();
    warnings.sort();
    Findings { mistakes, warnings, unfit }
}

/// The instance's table. One that nobody wrote stands in no line: then the file as a whole is where it would be changed.
fn place_of(config: &Config, instance: &str, origin: Option<&Path>) -> Place {
    let place = config.plugins.instances.get(instance).map_or(Place::Defaults, |instance| instance.place.clone());
    match (place, origin) {
        (Place::Defaults, Some(path)) => Place::File(path.display().to_string().into()),
        (place, _) => place,
    }
}

fn is_unrouted(config: &Config, inspection: &Inspection) -> bool {
    inspection.manifest.as_ref().is_some_and(|manifest| {
        manifest.roles.contains(&Role::Source) && config.unrouted(&inspection.name, &manifest.platforms)
    })
}

impl Findings {
    fn json(&self) -> Value {
        let list = |found: &[Mistake]| found.iter().map(Mistake::json).collect::<Value>();
        json!({
            "ok": self.mistakes.is_empty(),
            "mistakes": list(&self.mistakes),
            "warnings": list(&self.warnings),
        })
    }
}
