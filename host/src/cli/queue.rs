//! `arcuate queue`: asks the host or the store at rest, and shows what came back.

use super::args::Page;
use super::confirm::{confirm, somebody_is_there};
use super::progress::Progress;
use super::queue_args::{
    Holding, Queue, QueueDelete, QueueFlush, QueueList, QueuePause, QueuePrioritize, QueueResume, QueueRetry, Which,
};
use super::queue_cleanup;
use super::queue_view;
use super::session::Desk;
use super::turns;
use super::view::{Filters, View, counted, items, shell};
use crate::admin::queue_filter::Selection;
use crate::admin::queue_pauses::{self, Held};
use crate::admin::{at_the_command_line, queue, queue_deeds};
use crate::config::Config;
use crate::error::Result;
use crate::http::Params;
use crate::store::State;
use serde_json::{Value, json};

/// Jobs that are counted before somebody is asked about them.
const COUNTED: u32 = 1000;
/// Jobs of one request: it is answered long before anybody stops waiting.
const PORTION: usize = 1000;

/// What operators do with jobs.
#[derive(Clone, Copy)]
enum Deed {
    Retry,
    Flush,
    Delete,
    Prioritize,
}

pub(super) async fn run(command: &Queue, desk: &Desk, config: &Config, view: &View) -> Result<String> {
    match command {
        Queue::List(asked) => list(asked, desk, view).await,
        Queue::Show { id } => show(id, desk, view).await,
        Queue::Retry(asked) => retry(asked, desk, view).await,
        Queue::Flush(asked) => flush(asked, desk, view).await,
        Queue::Delete(asked) => delete(asked, desk, view).await,
        Queue::Prioritize(asked) => prioritize(asked, desk, view).await,
        Queue::Pause(asked) => pause(asked, desk, config, view).await,
        Queue::Resume(asked) => resume(asked, desk, config, view).await,
        Queue::Paused => paused(desk, view).await,
        Queue::Cleanup => queue_cleanup::clean_up(desk, config, view).await,
        Queue::Cancel(asked) => turns::cancel(asked, desk, view).await,
    }
}

async fn list(asked: &QueueList, desk: &Desk, view: &View) -> Result<String> {
    let filters = filters(&asked.page, asked.state.as_ref(), &asked.which);
    let page = page(desk, &filters).await?;
    Ok(if view.json { View::json(&page) } else { queue_view::list(&page, asked, &filters, view) })
}

fn filters(page: &Page, state: Option<&String>, which: &Which) -> Filters {
    Filters::new(page)
        .and("state", state)
        .and("plugin", which.plugin.as_ref())
        .and("kind", which.kind.as_ref())
        .and("lane", which.lane.as_ref())
        .and("older_than", which.older_than.as_ref())
        .and("newer_than", which.newer_than.as_ref())
        .and("error", which.error.as_ref())
}

async fn page(desk: &Desk, filters: &Filters) -> Result<Value> {
    let query = filters.query();
    match desk {
        Desk::Host(host) => host.get(&format!("queue?{query}")).await,
        Desk::Rest(rest) => queue::list(&rest.store, &Params::parse(&query)?).await,
    }
}

async fn show(id: &str, desk: &Desk, view: &View) -> Result<String> {
    // What is no id is nobody's path either.
    let id = queue::job_id(id)?.to_string();
    let job = match desk {
        Desk::Host(host) => host.get(&format!("queue/{id}")).await,
        Desk::Rest(rest) => queue::show(&rest.store, &id).await,
    }?;
    Ok(if view.json { View::json(&job) } else { queue_view::show(&job, view) })
}

async fn retry(asked: &QueueRetry, desk: &Desk, view: &View) -> Result<String> {
    let selection = Selection { ids: asked.ids.clone(), state: asked.state.clone(), ..of(&asked.which) };
    let done = deed(Deed::Retry, &selection, desk, view).await?;
    Ok(told(&done, view, |jobs| match desk {
        Desk::Host(_) => format!("{jobs} will run again"),
        Desk::Rest(_) => format!("{jobs} will run again when the host starts"),
    }))
}

async fn flush(asked: &QueueFlush, desk: &Desk, view: &View) -> Result<String> {
    if !asked.yes && somebody_is_there() {
        let pending = State::Pending.name().to_owned();
        ask(desk, &pending, &asked.which, |jobs| format!("Flush {jobs}? What is flushed does not run.")).await?;
    }
    let selection = Selection { all: asked.all, ..of(&asked.which) };
    let done = deed(Deed::Flush, &selection, desk, view).await?;
    Ok(told(&done, view, |jobs| format!("{jobs} flushed: kept for the record, not run")))
}

async fn delete(asked: &QueueDelete, desk: &Desk, view: &View) -> Result<String> {
    let question = |jobs: &str| format!("Delete {jobs} with all that is recorded? There is no way back.");
    if !asked.yes && somebody_is_there() {
        match &asked.state {
            Some(state) => ask(desk, state, &asked.which, question).await?,
            None => confirm(&question(&counted(asked.ids.len() as u64, "job")))?,
        }
    }
    let selection = Selection { ids: asked.ids.clone(), state: asked.state.clone(), ..of(&asked.which) };
    let done = deed(Deed::Delete, &selection, desk, view).await?;
    Ok(told(&done, view, |jobs| format!("{jobs} deleted")))
}

async fn prioritize(asked: &QueuePrioritize, desk: &Desk, view: &View) -> Result<String> {
    let priority = Some(asked.priority.clone());
    let selection = Selection { ids: asked.ids.clone(), priority, ..of(&asked.which) };
    let done = deed(Deed::Prioritize, &selection, desk, view).await?;
    Ok(told(&done, view, |jobs| format!("{jobs} with {} priority from now on", asked.priority)))
}

async fn pause(asked: &QueuePause, desk: &Desk, config: &Config, view: &View) -> Result<String> {
    let held = Held { reason: asked.reason.clone(), ..held(&asked.held) };
    let done = match desk {
        Desk::Host(host) => host.post("queue/pause", &held).await,
        Desk::Rest(rest) => queue_pauses::pause(&rest.store, config, &held, &at_the_command_line()).await,
    }?;
    if view.json {
        return Ok(View::json(&done));
    }
    let what = what(&held);
    let resume = view.command(&format!("queue resume{}", options(&held)));
    Ok(match done["affected"].as_u64() {
        Some(0) => format!("{what} was paused already\n"),
        _ => format!("{what} is paused: jobs wait, what runs ends; to go on: {resume}\n"),
    })
}

async fn resume(asked: &QueueResume, desk: &Desk, config: &Config, view: &View) -> Result<String> {
    let held = held(&asked.held);
    let done = match desk {
        Desk::Host(host) => host.post("queue/resume", &held).await,
        Desk::Rest(rest) => queue_pauses::resume(&rest.store, config, &held, &at_the_command_line()).await,
    }?;
    if view.json {
        return Ok(View::json(&done));
    }
    let what = what(&held);
    Ok(match done["affected"].as_u64() {
        Some(0) => format!("{what} was not paused\n"),
        _ => format!("{what} goes on\n"),
    })
}

async fn paused(desk: &Desk, view: &View) -> Result<String> {
    let listed = match desk {
        Desk::Host(host) => host.get("queue/paused").await,
        Desk::Rest(rest) => queue_pauses::list(&rest.store).await,
    }?;
    Ok(if view.json { View::json(&listed) } else { queue_view::paused(&listed, view) })
}

fn held(holding: &Holding) -> Held {
    Held { plugin: holding.plugin.clone(), lane: holding.lane.clone(), reason: String::new() }
}

fn what(held: &Held) -> String {
    match &held.lane {
        Some(lane) => format!("lane {lane} of {}", held.plugin),
        None => held.plugin.clone(),
    }
}

fn options(held: &Held) -> String {
    let lane = held.lane.as_ref().map(|lane| format!(" --lane {}", shell(lane))).unwrap_or_default();
    format!(" --plugin {}{lane}", shell(&held.plugin))
}

/// Whether somebody wants that, told how many jobs it is about.
async fn ask(desk: &Desk, state: &str, which: &Which, question: impl Fn(&str) -> String) -> Result<()> {
    let (all, state) = (Page { limit: COUNTED, cursor: None }, state.to_owned());
    let found = page(desk, &filters(&all, Some(&state), which)).await?;
    let count = items(&found, "jobs").len() as u64;
    let more = if found["cursor"].is_null() { "" } else { " or more" };
    // None at this moment: nothing that needs a yes.
    if count > 0 || !more.is_empty() {
        confirm(&question(&format!("{}{more}", counted(count, &format!("{state} job")))))?;
    }
    Ok(())
}

fn of(which: &Which) -> Selection {
    let Which { plugin, kind, lane, older_than, newer_than, error } = which.clone();
    Selection { plugin, kind, lane, older_than, newer_than, error, ..Selection::default() }
}

/// By ids at once; by filters a portion at a time, and told how far it is.
async fn deed(deed: Deed, selection: &Selection, desk: &Desk, view: &View) -> Result<Value> {
    if !selection.ids.is_empty() {
        return once(deed, selection, desk).await;
    }
    let mut portion = Selection { limit: Some(PORTION), ..selection.clone() };
    let (mut affected, mut progress) = (0, Progress::new(view));
    loop {
        let done = once(deed, &portion, desk).await?;
        affected += done["affected"].as_u64().unwrap_or_default();
        let Some(cursor) = done["cursor"].as_str() else { break };
        portion.cursor = Some(cursor.to_owned());
        progress.tell(|| format!("{} so far", counted(affected, "job")));
    }
    Ok(json!({ "affected": affected }))
}

async fn once(deed: Deed, selection: &Selection, desk: &Desk) -> Result<Value> {
    let rest = match desk {
        Desk::Host(host) => return host.post(&format!("queue/{}", deed.name()), selection).await,
        Desk::Rest(rest) => rest,
    };
    let (store, actor) = (&rest.store, at_the_command_line());
    match deed {
        Deed::Retry => queue_deeds::retry(store, selection, &actor).await,
        Deed::Flush => queue_deeds::flush(store, selection, &actor).await,
        Deed::Delete => queue_deeds::delete(store, selection, &actor).await,
        Deed::Prioritize => queue_deeds::prioritize(store, selection, &actor).await,
    }
}

impl Deed {
    /// As the admin API calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Flush => "flush",
            Self::Delete => "delete",
            Self::Prioritize => "prioritize",
        }
    }
}

fn told(done: &Value, view: &View, tell: impl FnOnce(&str) -> String) -> String {
    if view.json {
        return View::json(done);
    }
    tell(&counted(done["affected"].as_u64().unwrap_or_default(), "job")) + "\n"
}
