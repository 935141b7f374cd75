//! `arcuate queue cleanup`: removes the jobs that are kept longer than they need be, portion by portion.

use super::progress::Progress;
use super::session::Desk;
use super::table::{Fit, Table};
use super::view::{View, counted, field};
use crate::admin::{at_the_command_line, retention};
use crate::config::Config;
use crate::error::Result;
use serde_json::{Value, json};

pub(super) const QUEUE_CLEANUP: &str = "\
Example:
  arcuate queue cleanup

They also go by themselves, once an hour; how long jobs are kept is for [queue]
keep_completed_days and keep_dead_days to say.
JSON: {affected, completed, failed, flushed, keep_completed_days,
keep_dead_days}; 0 days are for ever";

/// By state: what is counted, and for how long it is kept.
const STATES: [(&str, &str); 3] =
    [("completed", "keep_completed_days"), ("failed", "keep_dead_days"), ("flushed", "keep_dead_days")];

pub(super) async fn clean_up(desk: &Desk, config: &Config, view: &View) -> Result<String> {
    let (mut sums, mut progress) = ([0; STATES.len()], Progress::new(view));
    loop {
        let mut done = match desk {
            Desk::Host(host) => host.post("queue/cleanup", &json!({})).await,
            Desk::Rest(rest) => retention::clean_up(&rest.store, &config.queue, &at_the_command_line()).await,
        }?;
        for (sum, (state, _)) in sums.iter_mut().zip(STATES) {
            *sum += done[state].as_u64().unwrap_or_default();
            done[state] = (*sum).into();
        }
        let affected: u64 = sums.iter().sum();
        if done["more"] != true {
            drop(progress);
            done["affected"] = affected.into();
            return Ok(if view.json { View::json(&done) } else { told(&done, affected, view) });
        }
        progress.tell(|| format!("{} removed so far", counted(affected, "job")));
    }
}

fn told(done: &Value, affected: u64, view: &View) -> String {
    let columns = [("STATE", Fit::Whole), ("REMOVED", Fit::Whole), ("KEPT FOR", Fit::Whole)];
    let mut table = Table::new(&columns, "");
    for (state, days) in STATES {
        let kept = match done[days].as_u64() {
            Some(0) => "ever".into(),
            days => counted(days.unwrap_or_default(), "day"),
        };
        table.row([state.into(), field(done, state).into(), kept.into()], "");
    }
    format!("{}{} removed\n", table.render(view), counted(affected, "job"))
}
