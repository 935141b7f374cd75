//! Plugin instances as people see them.

use super::table::{Fit, Shown, Table, Tone, pairs};
use super::view::{View, field, items};
use super::{ago, harmless};
use crate::clock;
use crate::plugins::InstanceStatus;
use serde_json::{Value, json};

const DISABLED: &str = "disabled";

/// `plugins list`, with the other libraries where they were asked for.
pub(super) fn list(listed: &Value, view: &View) -> String {
    let others = if listed["others"].is_array() { others(items(listed, "others"), view) } else { String::new() };
    instances(items(listed, "plugins"), view) + &others
}

/// `plugins show`.
pub(super) fn show(shown: &Value, view: &View) -> String {
    described(shown, view) + &settings(shown, view)
}

/// What a start found, for people. What is wrong with an instance that is not meant to run can wait until it is.
pub(super) fn started(statuses: &[InstanceStatus], view: &View) -> String {
    let columns = [("PLUGIN", Fit::Whole), ("STATE", Fit::Whole), ("LIBRARY", Fit::Cut)];
    let mut table = Table::new(&columns, "REASON").with_whole_notes();
    for status in statuses {
        let state = if status.enabled { status.state.to_string() } else { DISABLED.into() };
        let version = status.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        let library = format!("{}{version}", status.library);
        let reason = status.reason.as_deref().filter(|_| status.enabled).unwrap_or_default();
        table.row([status.name.clone().into(), Shown::toned(&state, tone(&state)), library.into()], reason);
    }
    table.render(view)
}

/// An instance after a deed, and what else that did.
pub(super) fn changed(answer: &Value) -> String {
    let reason = Some(field(answer, "reason")).filter(|reason| !reason.is_empty() && answer["enabled"] != false);
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let told = format!("{}: {}{reason}", field(answer, "name"), state(answer));
    harmless::line(&told) + "\n" + &deeds(answer)
}

/// `reload`.
pub(super) fn reloaded(answer: &Value) -> String {
    match deeds(answer) {
        nothing if nothing.is_empty() => "nothing has changed\n".into(),
        deeds => deeds,
    }
}

/// A line for each kind of thing that was done.
fn deeds(answer: &Value) -> String {
    let lists = ["changed", "started", "restarted", "stopped"].map(|name| (name, words(&answer[name])));
    let told = lists.iter().filter(|(_, words)| !words.is_empty());
    let mut lines: Vec<_> = told.map(|(name, words)| format!("{name}: {words}")).collect();
    let told_already = |failed: &&Value| failed["name"] == answer["name"] && failed["state"] == answer["state"];
    for failed in items(answer, "failed").iter().filter(|failed| !told_already(failed)) {
        lines.push(format!("failed: {}", failure(failed)));
    }
    for waiting in items(answer, "needs_restart") {
        lines.push(format!("needs a restart of the host: {} ({})", field(waiting, "key"), field(waiting, "why")));
    }
    let warnings = items(answer, "warnings").iter().filter_map(Value::as_str);
    lines.extend(warnings.map(|warning| format!("warning: {warning}")));
    lines.iter().map(|line| harmless::line(line) + "\n").collect()
}

/// "bad: Failed: …", or "assistant stays with its earlier settings: …".
fn failure(failed: &Value) -> String {
    let (name, state, reason) = (field(failed, "name"), field(failed, "state"), field(failed, "reason"));
    match &*state {
        "Running" | "Degraded" => format!("{name} {reason}"),
        _ => format!("{name}: {state}: {reason}"),
    }
}

fn instances(rows: &[Value], view: &View) -> String {
    let columns = [
        ("NAME", Fit::Whole),
        ("STATE", Fit::Whole),
        ("SINCE", Fit::Optional),
        ("LIBRARY", Fit::Cut),
        ("VERSION", Fit::Optional),
        ("JOBS", Fit::Optional),
        ("OLDEST", Fit::Optional),
    ];
    let (mut table, now) = (Table::new(&columns, "REASON").with_whole_notes(), clock::now());
    for row in rows {
        let state = state(row);
        let cells = [
            field(row, "name").into(),
            Shown::toned(&state, tone(&state)),
            ago::age(&field(row, "since"), now).into(),
            field(row, "library").into(),
            field(row, "version").into(),
            field(row, "queue_depth").into(),
            ago::age(&field(row, "oldest_pending_at"), now).into(),
        ];
        // What is wrong with one that is not meant to run can wait until it is.
        let note = if row["enabled"] == false { String::new() } else { field(row, "reason") };
        table.row(cells, &note);
    }
    table.render(view)
}

/// As people call it: whether it is meant to run comes first.
fn state(row: &Value) -> String {
    if row["enabled"] == false { DISABLED.into() } else { field(row, "state") }
}

fn tone(state: &str) -> Tone {
    match state {
        "Running" => Tone::Good,
        "Rejected" | "Failed" | "Quarantined" | "Zombie" => Tone::Bad,
        "Checked" | "Stopped" => Tone::Plain,
        DISABLED => Tone::Faint,
        _ => Tone::Busy,
    }
}

fn others(rows: &[Value], view: &View) -> String {
    if rows.is_empty() {
        return "no other libraries in the plugin directory\n".into();
    }
    let columns = [("OTHER LIBRARY", Fit::Whole), ("VERSION", Fit::Whole), ("FILE", Fit::Cut)];
    let mut table = Table::new(&columns, "REASON").with_whole_notes();
    for row in rows {
        let cells = [field(row, "library").into(), field(row, "version").into(), field(row, "path").into()];
        table.row(cells, &field(row, "reason"));
    }
    format!("\n{}", table.render(view))
}

fn described(shown: &Value, view: &View) -> String {
    let now = clock::now();
    let time = |name: &str| Some(field(shown, name)).filter(|time| !time.is_empty()).map(|time| ago::long(&time, now));
    let reason = field(shown, "reason");
    let word = |name: &str| match &shown[name] {
        word @ Value::Object(_) => {
            // Nothing needs to be said twice.
            let text = Some(field(word, "text")).filter(|text| *text != reason).unwrap_or_default();
            format!("{} {text}", ago::long(&field(word, "at"), now))
        }
        _ => String::new(),
    };
    let number = |name: &str| Some(field(shown, name)).filter(|number| number != "0").unwrap_or_default();
    pairs(
        &[
            ("name", field(shown, "name")),
            ("state", state(shown)),
            ("reason", reason.clone()),
            ("since", time("since").unwrap_or_default()),
            ("library", format!("{} {}", field(shown, "library"), field(shown, "version"))),
            ("about", field(shown, "description")),
            ("roles", words(&shown["roles"])),
            ("platforms", words(&shown["platforms"])),
            ("jobs", jobs(&shown["queue"])),
            ("paused", paused(items(shown, "paused"))),
            ("oldest waits", time("oldest_pending_at").unwrap_or_default()),
            ("limits", limits(&shown["limits"])),
            ("last success", word("last_success")),
            ("last error", word("last_error")),
            ("restarts", number("restarts")),
            ("next restart", time("next_restart").unwrap_or_default()),
            ("threads left", number("threads_left")),
        ],
        view,
    )
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(", ")
}

/// `2 pending, 1 failed`
fn jobs(queue: &Value) -> String {
    let counts = queue.as_object().into_iter().flatten().filter(|(_, count)| **count != json!(0));
    counts.map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// What an operator holds back, and why.
fn paused(rows: &[Value]) -> String {
    let told = rows.iter().map(|row| {
        let lane = Some(field(row, "lane")).filter(|lane| !lane.is_empty()).map(|lane| format!("lane {lane}"));
        let reason = Some(field(row, "reason")).filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{}{reason}", lane.unwrap_or_else(|| "all of it".into()))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn limits(limits: &Value) -> String {
    if limits.is_null() {
        return String::new();
    }
    let seconds = limits["job_timeout_ms"].as_f64().unwrap_or_default() / 1000.0;
    format!("{} at once, {seconds} s each", limits["concurrency"])
}

/// What can be set, from the schema in its manifest, and what is.
fn settings(shown: &Value, view: &View) -> String {
    let Some(properties) = shown["settings_schema"]["properties"].as_object() else { return String::new() };
    let columns = [("SETTING", Fit::Whole), ("VALUE", Fit::Cut), ("DEFAULT", Fit::Optional)];
    let mut table = Table::new(&columns, "ABOUT").with_whole_notes();
    let written = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    for (name, about) in properties {
        let (value, default) = (written(&shown["settings"][name]), written(&about["default"]));
        table.row([name.into(), value.into(), default.into()], &field(about, "description"));
    }
    format!("\n{}", table.render(view))
}
