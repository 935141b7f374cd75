//! `arcuate queue cancel`: ends a turn of an agent that runs.

use super::session::Desk;
use super::view::View;
use crate::admin::{queue, turns};
use crate::error::Result;
use clap::Args;
use serde_json::json;

/// The argument of `queue cancel`.
#[derive(Debug, Args)]
pub(super) struct QueueCancel {
    /// The turn's job, by its id
    pub id: String,
}

pub(super) const QUEUE_CANCEL: &str = "\
Example:
  arcuate queue cancel 0198c0de-7a7c-7b10-8000-1c2d3e4f5a6b

The agent's work on it ends, and its conversation goes on.  JSON: {affected}";

pub(super) async fn cancel(asked: &QueueCancel, desk: &Desk, view: &View) -> Result<String> {
    // What is no id is nobody's path either.
    let id = queue::job_id(&asked.id)?.to_string();
    let done = match desk {
        Desk::Host(host) => host.post(&format!("queue/{id}/cancel"), &json!({})).await,
        Desk::Rest(rest) => turns::cancel_at_rest(&rest.store, &id).await,
    }?;
    Ok(if view.json { View::json(&done) } else { "turn cancelled: it has failed and is kept for the record\n".into() })
}
