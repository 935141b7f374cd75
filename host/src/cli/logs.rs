//! Logs on stderr: lines for people on a terminal, JSON for machines, as much as `ARCUATE_LOG` says.

use super::report::complain;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "ARCUATE_LOG";
const USUAL: &str = "info";

pub(super) fn init() {
    let asked = std::env::var(VARIABLE).ok().filter(|asked| !asked.is_empty());
    let filter = EnvFilter::try_new(asked.as_deref().unwrap_or(USUAL)).unwrap_or_else(|error| {
        complain(&format!("warning: {VARIABLE}: {error}; `debug` or `arcuate::queue=debug,info` would be right"));
        EnvFilter::new(USUAL)
    });
    let (terminal, plain) =
        (std::io::stderr().is_terminal(), std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal && !plain)
        // Its own complaint about a reader that has gone would go the same way, and panic.
        .log_internal_errors(false);
    if terminal { builder.with_target(false).init() } else { builder.json().flatten_event(true).init() }
}

/// Of a command only that its deed is missing in the record. `doctor` runs several commands in one.
pub(super) fn init_for_commands() {
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("arcuate::store::audit=warn"));
    let builder = builder.with_writer(std::io::stderr).without_time().with_target(false).with_ansi(false);
    let _ = builder.log_internal_errors(false).try_init();
}
