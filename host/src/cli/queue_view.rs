//! Jobs as people see them.

use super::ago;
use super::harmless;
use super::queue_args::QueueList;
use super::table::{Fit, Shown, Table, Tone, pairs};
use super::view::{Filters, View, field, items};
use crate::clock::{self, Micros};
use crate::store::State;
use serde_json::Value;

/// A page of `queue list`.
pub(super) fn list(page: &Value, asked: &QueueList, filters: &Filters, view: &View) -> String {
    let jobs = items(page, "jobs");
    let more = view.more("queue list", filters, page);
    if jobs.is_empty() {
        return if more.is_empty() { none(asked, filters, view) } else { format!("none so far\n{more}") };
    }
    let columns = [
        ("ID", Fit::Whole),
        ("STATE", Fit::Whole),
        ("AGE", Fit::Whole),
        ("PLUGIN", Fit::Cut),
        ("KIND", Fit::Optional),
        ("TRIES", Fit::Optional),
    ];
    let (mut table, now) = (Table::new(&columns, "LAST ERROR"), clock::now());
    for job in jobs {
        let state = field(job, "state");
        let cells = [
            field(job, "id").into(),
            Shown::toned(&state, tone(&state)),
            ago::age(&field(job, "created_at"), now).into(),
            field(job, "plugin").into(),
            field(job, "kind").into(),
            format!("{}/{}", job["attempts"], job["max_attempts"]).into(),
        ];
        table.row(cells, &note(job, now));
    }
    table.render(view) + &more
}

/// An empty list is good news, or a filter that fits nothing.
fn none(asked: &QueueList, filters: &Filters, view: &View) -> String {
    match asked.state.as_deref() {
        _ if !filters.narrow() => "no jobs yet: they come with the messages that people write\n".into(),
        Some(state) if state == State::Failed.name() && asked.page.cursor.is_none() => {
            format!("no failed jobs: nothing needs you; all jobs: {}\n", view.command("queue list"))
        }
        _ => format!("no jobs like that; all jobs: {}\n", view.command("queue list")),
    }
}

/// When a waiting job is tried again, and what went wrong; of a job that is done nobody needs to know.
fn note(job: &Value, now: Micros) -> String {
    let (state, error) = (field(job, "state"), field(job, "last_error"));
    let ahead = ago::ahead(&field(job, "next_at"), now).filter(|_| state == State::Pending.name());
    if job["paused"] == true {
        return if error.is_empty() { "paused".into() } else { format!("paused: {error}") };
    }
    match ahead {
        _ if state == State::Completed.name() => String::new(),
        Some(ahead) if error.is_empty() => format!("due {ahead}"),
        Some(ahead) => format!("again {ahead}: {error}"),
        None => error,
    }
}

fn tone(state: &str) -> Tone {
    match State::from_name(state) {
        Some(State::Completed) => Tone::Good,
        Some(State::Processing) => Tone::Busy,
        Some(State::Failed) => Tone::Bad,
        Some(State::Flushed) => Tone::Faint,
        Some(State::Pending) | None => Tone::Plain,
    }
}

/// `queue paused`.
pub(super) fn paused(listed: &Value, view: &View) -> String {
    let rows = items(listed, "paused");
    if rows.is_empty() {
        return "nothing is paused\n".into();
    }
    let columns = [("PLUGIN", Fit::Whole), ("LANE", Fit::Cut), ("SINCE", Fit::Whole), ("BY", Fit::Optional)];
    let (mut table, now) = (Table::new(&columns, "REASON"), clock::now());
    for row in rows {
        let lane = Some(field(row, "lane")).filter(|lane| !lane.is_empty()).unwrap_or_else(|| "all".into());
        let since = ago::age(&field(row, "paused_at"), now);
        let cells = [field(row, "plugin").into(), lane.into(), since.into(), field(row, "paused_by").into()];
        table.row(cells, &field(row, "reason"));
    }
    table.render(view)
}

/// `queue show`.
pub(super) fn show(job: &Value, view: &View) -> String {
    let now = clock::now();
    let time = |name: &str| Some(field(job, name)).filter(|time| !time.is_empty()).map(|time| ago::long(&time, now));
    let pending = field(job, "state") == State::Pending.name();
    let told = pairs(
        &[
            ("id", field(job, "id")),
            ("kind", field(job, "kind")),
            ("state", field(job, "state")),
            ("plugin", field(job, "plugin")),
            ("lane", field(job, "lane")),
            ("priority", field(job, "priority")),
            ("paused", if job["paused"] == true { "an operator holds it back".into() } else { String::new() }),
            ("attempts", format!("{} of {}", job["attempts"], job["max_attempts"])),
            ("rescues", Some(field(job, "rescues")).filter(|rescues| rescues != "0").unwrap_or_default()),
            ("uncertain", if job["uncertain"] == true { uncertain() } else { String::new() }),
            ("last error", field(job, "last_error")),
            ("created", time("created_at").unwrap_or_default()),
            ("next try", time("next_at").filter(|_| pending).unwrap_or_default()),
            ("started", time("started_at").unwrap_or_default()),
            ("finished", time("finished_at").unwrap_or_default()),
            ("cause", field(job, "cause")),
        ],
        view,
    );
    told + &payload(job) + &attempts(job, view)
}

fn uncertain() -> String {
    "an attempt ended without an outcome, so its effect may have happened".into()
}

fn payload(job: &Value) -> String {
    match &job["payload"] {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::String(text) => format!("\npayload\n{}\n", harmless::line(text)),
        value => format!("\npayload\n{}\n", harmless::pretty(value)),
    }
}

fn attempts(job: &Value, view: &View) -> String {
    let attempts = items(job, "attempts_log");
    if attempts.is_empty() {
        return String::new();
    }
    let columns = [("STARTED", Fit::Whole), ("TOOK", Fit::Whole), ("OUTCOME", Fit::Whole), ("STATUS", Fit::Whole)];
    let (mut table, now) = (Table::new(&columns, "ERROR"), clock::now());
    for attempt in attempts {
        let outcome = field(attempt, "outcome");
        let tone = if outcome == "done" { Tone::Good } else { Tone::Plain };
        let cells = [
            ago::long(&field(attempt, "started_at"), now).into(),
            took(attempt).into(),
            Shown::toned(&outcome, tone),
            field(attempt, "status").into(),
        ];
        table.row(cells, &field(attempt, "error"));
    }
    format!("\n{}", table.render(view))
}

fn took(attempt: &Value) -> String {
    let at = |name: &str| clock::parse(&field(attempt, name));
    match (at("started_at"), at("ended_at")) {
        (Some(start), Some(end)) => format!("{:.3} s", end.saturating_sub(start).max(0) as f64 / 1e6),
        _ => String::new(),
    }
}
