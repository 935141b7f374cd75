//! What an instance is made of: as it is written, its library, and the settings that its plugin gets. An operator may change it, and then
//! the next run is made of another one.

use super::inspection::{Checked, Problem};
use super::library::Library;
use super::slot::LONGEST_REASON;
use super::text::clean;
use crate::config::Instance;
use serde_json::Value;
use std::sync::Arc;

/// What an instance is made of.
#[derive(Clone)]
pub(super) struct Spec {
    /// As it is written.
    pub written: Instance,
    pub library: Arc<Library>,
    /// For the plugin, checked and with all secrets in them.
    pub settings: Value,
    /// Why it cannot run.
    pub problem: Option<Problem>,
    /// Why it runs with this although something else is configured by now.
    pub kept: Option<String>,
}

impl Spec {
    pub(super) fn new(checked: Checked<'_>) -> Self {
        let (settings, problem) = match checked.settings {
            Ok(settings) => (settings, None),
            Err(problem) => (Value::Null, Some(problem)),
        };
        Self { written: checked.instance.clone(), library: checked.library, settings, problem, kept: None }
    }

    /// The same, for an instance that could not run as it is configured.
    pub(super) fn kept_because(&self, why: &str) -> Self {
        Self { kept: Some(clean(why, LONGEST_REASON)), ..self.clone() }
    }

    pub(super) fn enabled(&self) -> bool {
        self.written.enabled
    }

    /// Whether an instance of the one would run as one of the other does.
    pub(super) fn runs_like(&self, other: &Self) -> bool {
        (&self.settings, &self.problem) == (&other.settings, &other.problem)
            && self.library.name() == other.library.name()
            && self.library.is_same_code(&other.library)
    }
}
