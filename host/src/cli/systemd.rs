//! What a service manager wants to know: that the host serves, that it lives, that it ends. Without one nothing of this happens.

use crate::Started;
use crate::plugins::State;
use sd_notify::{NotifyState, notify, watchdog_enabled};

/// The host serves. From now on it also says that it lives, if somebody counts on that.
pub(super) fn ready(started: &Started) {
    say(&[NotifyState::Ready, NotifyState::Status(&status(started))]);
    if let Some(patience) = watchdog_enabled() {
        // From the runtime that everything else runs on: one that hangs says nothing.
        tokio::spawn(async move {
            let mut beats = tokio::time::interval(patience / 3);
            loop {
                beats.tick().await;
                say(&[NotifyState::Watchdog]);
            }
        });
    }
}

pub(super) fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("letting running jobs end")]);
}

/// One line for `systemctl status`.
fn status(started: &Started) -> String {
    let enabled: Vec<_> = started.plugins.iter().filter(|plugin| plugin.enabled).collect();
    let running = enabled.iter().filter(|plugin| matches!(plugin.state, State::Running | State::Degraded)).count();
    format!("listening on http://{}, {running} of {} plugins running", started.address, enabled.len())
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        tracing::warn!("the service manager cannot be told how the host is: {error}");
    }
}
