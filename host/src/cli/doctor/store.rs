//! The store and what waits in it.

use super::Findings;
use crate::cli::ago;
use crate::cli::backup::size;
use crate::cli::view::{View, counted, shell};
use crate::clock;
use crate::config::{AuthMode, Config};
use crate::store::State;
use crate::store::health::{Health, Integrity, Pause, examine};
use std::cmp::Ordering;

/// The log is taken over every 64 MB; far beyond that, something keeps it from being.
const LONG_LOG: u64 = 512 * 1024 * 1024;
/// Older work means that somebody waits for an answer.
const LONG_WAIT: i64 = 3600 * 1_000_000;
/// What clocks may differ.
const AHEAD: i64 = 60 * 1_000_000;

pub(super) fn look(findings: &mut Findings, config: &Config, thorough: bool, view: &View) {
    let path = config.store.path.display();
    let health = match examine(&config.store.path, thorough) {
        Ok(health) => health,
        Err(error) => {
            let advice = "run this as the user that runs the host; if the file is damaged, restore a backup";
            return findings.problem("store", format!("{path} cannot be read: {error}"), advice);
        }
    };
    schema(findings, &health, view);
    integrity(findings, &health, view);
    if health.log_bytes > LONG_LOG {
        let text = format!("the write-ahead log beside the store has {}", size(health.log_bytes));
        findings.warning("store", text, "something reads the store for very long; end it, or restart the host");
    }
    clock(findings, &health);
    if config.auth.mode == AuthMode::Token && !health.has_tokens {
        let make = view.command("tokens create NAME --scope write");
        findings.warning(
            "tokens",
            "there are no access tokens, so nobody but the operator gets in",
            format!("`{make}`"),
        );
    }
    queue(findings, &health, view);
}

fn schema(findings: &mut Findings, health: &Health, view: &View) {
    let Health { schema, known, .. } = health;
    let text = format!("the store's schema has version {schema}, this program works with {known}");
    match schema.cmp(known) {
        Ordering::Less => findings.warning(
            "store",
            text,
            format!("`{}` first; the next start upgrades it", view.command("backup FILE")),
        ),
        _ => findings.ok("store", text),
    }
}

fn integrity(findings: &mut Findings, health: &Health, view: &View) {
    match &health.integrity {
        Integrity::Sound => findings.ok("store", "its file is sound"),
        Integrity::Unknown => {
            let thorough = view.command("doctor --thorough");
            findings.warning(
                "store",
                "its file is too large to be looked through at once",
                format!("`{thorough}` takes the time"),
            );
        }
        Integrity::Damaged(what) => {
            let restore = view.command("restore FILE --force");
            let advice = format!("stop the host, then put a backup in its place: `{restore}`; and look at the disk");
            findings.problem("store", format!("its file is damaged: {what}"), advice);
        }
    }
}

/// Messages' times never go back, so a clock that was wrong once shows for long.
fn clock(findings: &mut Findings, health: &Health) {
    let ahead = health.newest_message.map_or(0, |newest| newest - clock::now());
    if ahead > AHEAD {
        let text = format!("the newest message is {} s ahead of this machine's clock", ahead / 1_000_000);
        findings.warning("clock", text, "one of the two is wrong: set the clock by NTP");
    } else {
        findings.ok("clock", format!("it is {}", clock::format(clock::now())));
    }
}

fn queue(findings: &mut Findings, health: &Health, view: &View) {
    let before = findings.0.len();
    for (instance, count) in health.in_state(State::Failed) {
        let last = health.last_deaths.get(instance).map(|error| format!("; newest error: {error}"));
        let list = view.command(&format!("queue list --state failed --plugin {instance}"));
        let retry = view.command(&format!("queue retry --state failed --plugin {instance}"));
        let text =
            format!("{} of {instance}{}", counted(count.unsigned_abs(), "dead letter"), last.unwrap_or_default());
        findings.warning("queue", text, format!("`{list}` shows why; `{retry}` once that is mended"));
    }
    for Pause { instance, lane, at, by, reason } in &health.pauses {
        let what =
            if lane.is_empty() { format!("all work of {instance}") } else { format!("lane {lane} of {instance}") };
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let since = ago::long(&clock::format(*at), clock::now());
        let only = if lane.is_empty() { String::new() } else { format!(" --lane {}", shell(lane)) };
        let resume = view.command(&format!("queue resume --plugin {instance}{only}"));
        findings.warning(
            "queue",
            format!("{what} is paused by {by} since {since}{why}"),
            format!("`{resume}` lets it go on"),
        );
    }
    for ((instance, state), made) in &health.oldest {
        let age = clock::now() - made;
        if *state == State::Pending && age > LONG_WAIT {
            let since = ago::age(&clock::format(*made), clock::now());
            let list = view.command(&format!("queue list --state pending --plugin {instance}"));
            let text = format!("the oldest job of {instance} has waited for {since}");
            findings.warning("queue", text, format!("`{list}`; is the plugin running, and what it talks to?"));
        }
    }
    if findings.0.len() == before {
        let waiting: i64 = health.in_state(State::Pending).map(|(_, count)| count).sum();
        findings.ok("queue", format!("no dead letters, {} waiting", counted(waiting.unsigned_abs(), "job")));
    }
}
