//! `arcuate queue`: asks the host or the store at rest, and shows what came back.

use super::args::{Page, Queue, QueueDelete, QueueFlush, QueueList, QueueRetry, Which};
use super::confirm::{confirm, somebody_is_there};
use super::queue_view;
use super::session::Desk;
use super::turns;
use super::view::{Filters, View, counted, items};
use crate::admin::queue::{self, Selection};
use crate::error::Result;
use crate::http::Params;
use crate::store::State;
use serde_json::Value;

/// Jobs that are counted before somebody is asked about them.
const COUNTED: u32 = 1000;

/// What operators do with jobs.
#[derive(Clone, Copy)]
enum Deed {
    Retry,
    Flush,
    Delete,
}

pub(super) async fn run(command: &Queue, desk: &Desk, view: &View) -> Result<String> {
    match command {
        Queue::List(asked) => list(asked, desk, view).await,
        Queue::Show { id } => show(id, desk, view).await,
        Queue::Retry(asked) => retry(asked, desk, view).await,
        Queue::Flush(asked) => flush(asked, desk, view).await,
        Queue::Delete(asked) => delete(asked, desk, view).await,
        Queue::Cancel(asked) => turns::cancel(asked, desk, view).await,
    }
}

async fn list(asked: &QueueList, desk: &Desk, view: &View) -> Result<String> {
    let filters = filters(&asked.page, asked.state.as_ref(), &asked.which);
    let page = page(desk, &filters).await?;
    Ok(if view.json { View::json(&page) } else { queue_view::list(&page, asked, &filters, view) })
}

fn filters(page: &Page, state: Option<&String>, which: &Which) -> Filters {
    Filters::new(page).and("state", state).and("plugin", which.plugin.as_ref()).and("kind", which.kind.as_ref())
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
    let done = deed(Deed::Retry, &selection, desk).await?;
    Ok(told(&done, view, |jobs| match desk {
        Desk::Host(_) => format!("{jobs} will run again"),
        Desk::Rest(_) => format!("{jobs} will run again when the host starts"),
    }))
}

async fn flush(asked: &QueueFlush, desk: &Desk, view: &View) -> Result<String> {
    if !asked.yes && somebody_is_there() {
        let pending = State::Pending.name().to_owned();
        let all = Page { limit: COUNTED, cursor: None };
        let waiting = page(desk, &filters(&all, Some(&pending), &asked.which)).await?;
        let count = items(&waiting, "jobs").len() as u64;
        let more = if waiting["cursor"].is_null() { "" } else { " or more" };
        // None at this moment: nothing that needs a yes.
        if count > 0 || !more.is_empty() {
            confirm(&format!("Flush {}{more}? What is flushed does not run.", counted(count, "pending job")))?;
        }
    }
    let selection = Selection { all: asked.all, ..of(&asked.which) };
    let done = deed(Deed::Flush, &selection, desk).await?;
    Ok(told(&done, view, |jobs| format!("{jobs} flushed: kept for the record, not run")))
}

async fn delete(asked: &QueueDelete, desk: &Desk, view: &View) -> Result<String> {
    if !asked.yes && somebody_is_there() {
        let jobs = counted(asked.ids.len() as u64, "job");
        confirm(&format!("Delete {jobs} with all that is recorded? There is no way back."))?;
    }
    let selection = Selection { ids: asked.ids.clone(), ..Selection::default() };
    let done = deed(Deed::Delete, &selection, desk).await?;
    Ok(told(&done, view, |jobs| format!("{jobs} deleted")))
}

fn of(which: &Which) -> Selection {
    Selection { plugin: which.plugin.clone(), kind: which.kind.clone(), ..Selection::default() }
}

async fn deed(deed: Deed, selection: &Selection, desk: &Desk) -> Result<Value> {
    match (desk, deed) {
        (Desk::Host(host), Deed::Retry) => host.post("queue/retry", selection).await,
        (Desk::Host(host), Deed::Flush) => host.post("queue/flush", selection).await,
        (Desk::Host(host), Deed::Delete) => host.post("queue/delete", selection).await,
        (Desk::Rest(rest), Deed::Retry) => queue::retry(&rest.store, selection).await,
        (Desk::Rest(rest), Deed::Flush) => queue::flush(&rest.store, selection).await,
        (Desk::Rest(rest), Deed::Delete) => queue::delete(&rest.store, selection).await,
    }
}

fn told(done: &Value, view: &View, tell: impl FnOnce(&str) -> String) -> String {
    if view.json {
        return View::json(done);
    }
    tell(&counted(done["affected"].as_u64().unwrap_or_default(), "job")) + "\n"
}
