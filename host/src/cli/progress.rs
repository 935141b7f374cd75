//! How far long work has come: one line on stderr that each next one replaces, where somebody looks on and no program reads.

use super::harmless;
use super::view::View;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two lines, so that showing them costs nothing.
const PERIOD: Duration = Duration::from_millis(200);
const CLEAR: &str = "\r\u{1b}[K";

/// The line goes when this is dropped.
pub(super) struct Progress {
    told: Option<Instant>,
    is_visible: bool,
}

impl Progress {
    pub(super) fn new(view: &View) -> Self {
        Self { told: None, is_visible: !view.json && std::io::stderr().is_terminal() }
    }

    /// What is told soon after another line is left out.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let is_soon = self.told.is_some_and(|told| told.elapsed() < PERIOD);
        if self.is_visible && !is_soon {
            self.tell_now(&line());
        }
    }

    /// For what comes before a long silence.
    pub(super) fn tell_now(&mut self, line: &str) {
        if self.is_visible {
            self.told = Some(Instant::now());
            show(&harmless::line(line));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.is_some() {
            show("");
        }
    }
}

/// That nobody may see it is no reason to end.
fn show(line: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{CLEAR}{line}").and_then(|()| stderr.flush());
}
