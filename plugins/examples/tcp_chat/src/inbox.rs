//! Gives what people say to the host. A line of TCP has no id of its own, so the inbox numbers them: the number is the message's
//! `external_id`, and the counter is stored in the very transaction that stores the messages. After a crash both are there or neither is,
//! so no number is ever given to two lines, and no line is stored twice.

use crate::people::Name;
use plugin_api::{Batch, Host, Incoming, IncomingMessage, Ingested, Result};
use serde_json::json;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Key of the stored counter.
const NEXT: &str = "next_number";
/// Lines that are stored together; whoever speaks while the host writes joins the next batch.
const BATCH: usize = 100;
const RETRY: Duration = Duration::from_millis(500);

/// A line that somebody said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub name: Name,
    pub text: String,
}

/// The number of the next line, as stored.
pub(crate) async fn next_number(host: &Host) -> Result<u64> {
    Ok(host.get(NEXT).await?.unwrap_or(1))
}

/// Runs until nobody is there to speak any more. `_open` is dropped at the end, which tells `stop` that all is stored.
pub(crate) async fn keep(
    host: Host,
    mut inbox: mpsc::Receiver<Said>,
    mut next: u64,
    healthy: String,
    _open: watch::Sender<()>,
) -> Result<()> {
    let mut lines = Vec::new();
    while inbox.recv_many(&mut lines, BATCH).await > 0 {
        store(&host, batch(&host, &lines, next), &healthy).await;
        next += lines.len() as u64;
        lines.clear();
    }
    Ok(())
}

fn batch(host: &Host, lines: &[Said], next: u64) -> Batch {
    let message = |(number, said): (u64, &Said)| {
        Incoming::Message(Box::new(IncomingMessage {
            external_id: number.to_string(),
            conversation: said.name.id.clone(),
            platform_user_id: said.name.id.clone(),
            username: said.name.id.clone(),
            display_name: said.name.display.clone(),
            content: said.text.clone(),
            ..IncomingMessage::default()
        }))
    };
    Batch {
        // Two instances are two chats: `ada` here need not be `ada` there.
        platform: host.instance().into(),
        items: (next..).zip(lines).map(message).collect(),
        puts: vec![(NEXT.into(), json!(next + lines.len() as u64))],
    }
}

/// Tries until it is stored. The same numbers again and again: if an answer of the host got lost, they are duplicates and change nothing.
async fn store(host: &Host, batch: Batch, healthy: &str) {
    let mut troubled = false;
    loop {
        match host.ingest(batch.clone()).await {
            Ok(results) => {
                tell(&results, troubled);
                if troubled {
                    host.healthy(healthy);
                }
                return;
            }
            Err(error) => {
                host.degraded(&format!("what people say cannot be stored: {error}"));
                troubled = true;
                if !host.sleep(RETRY).await {
                    tracing::error!(lines.lost = batch.items.len(), %error, "stopped before the last lines could be stored");
                    return;
                }
            }
        }
    }
}

/// What an operator should know about lines that did not become messages.
fn tell(results: &[Ingested], again: bool) {
    for result in results {
        match result {
            Ingested::Rejected { why } => tracing::warn!(reason = why, "the host took a line for a dead letter"),
            Ingested::Duplicate if !again => {
                tracing::error!("a line's number was taken: the counter is older than the messages")
            }
            Ingested::Duplicate | Ingested::New { .. } => {}
        }
    }
}
