//! A chat over plain TCP, and the example of the guide `docs/writing-a-plugin.md`. People connect with netcat; their first line is their
//! name, every further line a message, and answers come back as lines.
//!
//! `door.rs` lets people in, `visit.rs` is one connection, `inbox.rs` gives what they say to the host, `people.rs` knows who is there to be
//! answered. There are no passwords: who says a name is that person, so this is for people who trust each other.

mod door;
#[cfg(test)]
mod guide;
mod inbox;
mod lines;
mod people;
mod settings;
#[cfg(test)]
mod tests;
mod visit;

use jiff::Timestamp;
use people::People;
use plugin_api::{Delivery, Error, Host, Job, Limits, Message, Outcome, Plugin, Result, Work, async_trait};
use settings::Settings;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use visit::Visit;

/// Lines that may wait for the host. When it is full, nobody is read until there is room.
const INBOX: usize = 64;

/// One instance: one door.
struct TcpChat {
    host: Host,
    settings: Arc<Settings>,
    people: Arc<People>,
    /// Closed when the inbox has given its last line to the host.
    inbox_open: OnceLock<watch::Receiver<()>>,
}

#[async_trait]
impl Plugin for TcpChat {
    type Settings = Settings;

    fn new(settings: Settings, host: Host) -> Result<Self> {
        settings.check()?;
        Ok(Self { host, settings: Arc::new(settings), people: Arc::default(), inbox_open: OnceLock::new() })
    }

    fn limits(&self) -> Limits {
        // The host's deadline lies behind the plugin's own, so that a slow reader is told as such.
        let job_timeout = self.settings.write_timeout() + Duration::from_secs(5);
        Limits { job_timeout_ms: job_timeout.as_millis().try_into().unwrap_or(u64::MAX), ..Limits::default() }
    }

    async fn start(&self) -> Result<()> {
        let listen = &self.settings.listen;
        let listener = TcpListener::bind(listen.as_str())
            .await
            .map_err(|error| Error::new(format!("listen: {listen} cannot be listened on: {error}")))?;
        let listening = format!("listening on {}", listener.local_addr()?);
        let next = inbox::next_number(&self.host).await?;

        let (said, inbox) = mpsc::channel(INBOX);
        let (open, watched) = watch::channel(());
        // `start` is called once.
        let _ = self.inbox_open.set(watched);
        let visit =
            Visit { host: self.host.clone(), settings: self.settings.clone(), people: self.people.clone(), said };
        self.host.spawn("inbox", inbox::keep(self.host.clone(), inbox, next, listening.clone(), open));
        self.host.spawn("door", door::keep(listener, visit));
        self.host.healthy(&listening);
        Ok(())
    }

    async fn handle(&self, job: Job) -> Outcome {
        match &job.work {
            Work::Deliver(delivery) => self.deliver(delivery).await,
            _ => Outcome::discard("this plugin delivers only"),
        }
    }

    async fn stop(&self) {
        // Door and visits end by themselves when the host is stopping; then the inbox is emptied.
        if let Some(open) = self.inbox_open.get() {
            let _ = open.clone().changed().await;
        }
    }
}

impl TcpChat {
    async fn deliver(&self, delivery: &Delivery) -> Outcome {
        let name = &delivery.external_id;
        let Some(connection) = self.people.find(name) else {
            return self.wait_for(name, &delivery.message);
        };
        match connection.say(&shown(&delivery.message)).await {
            Ok(()) => Outcome::done(),
            // Part of it may have been read. Somebody who reads a line twice is better off than somebody who misses it.
            Err(error) => Outcome::retry(format!("{name} stopped reading: {error}")).uncertain(),
        }
    }

    /// Nobody is there: the host's queue keeps the message, in order, and counts no attempt.
    fn wait_for(&self, name: &str, message: &Message) -> Outcome {
        let keep = self.settings.keep();
        if age(message) > keep {
            return Outcome::discard(format!("{name} did not come back within {} h", self.settings.keep_hours));
        }
        Outcome::snooze(self.settings.away(), format!("{name} is away"))
    }
}

/// A message as lines of a terminal: no control characters, which could do anything there.
fn shown(message: &Message) -> String {
    let clean = |text: &str| text.replace(|letter: char| letter.is_control() && letter != '\t', "");
    let sender = clean(&message.sender);
    message.content.lines().map(|line| format!("{sender}: {}\n", clean(line))).collect()
}

/// None of a message whose time cannot be read, which then waits for ever rather than be lost.
fn age(message: &Message) -> Duration {
    let created = message.created_at.parse().unwrap_or_else(|_| Timestamp::now());
    Timestamp::now().duration_since(created).try_into().unwrap_or_default()
}

plugin_api::export_plugin!(TcpChat);
