//! `arcuate tail`: the log of a running host as it grows, one line per event. It stands at a number of the log, so that it misses nothing
//! when the connection or the host goes away and comes back.

mod line;

use super::client::Client;
use super::report::complain;
use super::session::{Found, find, running};
use super::view::{View, encoded, field, items};
use super::watching_args::Tail;
use crate::bridge::conversations::conversation_id;
use crate::clock;
use crate::config::Config;
use crate::error::{Error, Result};
use eventsource_stream::{Event, Eventsource};
use futures_util::StreamExt;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use line::Lines;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Streams beat every 15 seconds; one that is silent for longer is lost.
const SILENCE: Duration = Duration::from_secs(50);
/// Before the host is looked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// How old a beat may be before somebody is told, in seconds.
const LATE: i64 = 3;
/// Rows of a list that are asked for at once.
const PAGE: &str = "limit=1000";

/// Where it stands, and what it is asked to show.
struct Follower<'v> {
    view: &'v View,
    /// Everything up to this event of the log was shown.
    cursor: Option<i64>,
    /// The rest of the stream's address.
    filter: String,
    lines: Lines<'v>,
    was_late: bool,
}

/// Why a stream was left.
enum Left {
    /// The other side or the network.
    Lost,
    /// Nobody reads any more.
    Unread,
}

pub(super) async fn run(command: &Tail, config: &Config, view: &View) -> Result<String> {
    tokio::select! {
        ended = follow(command, config, view) => ended?,
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(String::new())
}

async fn follow(command: &Tail, config: &Config, view: &View) -> Result<()> {
    let Found::Host(mut host) = find(config).await? else {
        let text = format!("no host runs, so nothing happens; `{}` starts one", view.command("serve"));
        return Err(Error::Unavailable(text));
    };
    let cursor = command.since.map(|since| i64::try_from(since).unwrap_or(i64::MAX));
    let filter = filter(command, &host, view).await?;
    let mut follower = Follower { view, cursor, filter, lines: Lines::new(view), was_late: false };
    let mut is_first = true;
    loop {
        match host.open(&follower.path()).await {
            Ok(body) => {
                if !is_first {
                    complain("the host is back");
                }
                is_first = false;
                match follower.listen(&host, body).await? {
                    Left::Unread => return Ok(()),
                    Left::Lost => complain("the host went away; waiting for it to come back, Ctrl-C ends this"),
                }
            }
            // It may be about to end, or to begin.
            Err(Error::Unavailable(_)) if !is_first => {}
            Err(error) => return Err(error),
        }
        host = found_again(config).await;
    }
}

/// Without a try to take the lock, which could be in a starting host's way.
async fn found_again(config: &Config) -> Client {
    loop {
        sleep(AGAIN).await;
        if let Ok(Some(host)) = running(config) {
            return host;
        }
    }
}

/// `&rooms=…&events=…`
async fn filter(command: &Tail, host: &Client, view: &View) -> Result<String> {
    let room = match (&command.room, &command.conversation) {
        (Some(room), _) if is_id(room) => Some(room.clone()),
        (Some(name), _) => Some(room_named(name, host, view).await?),
        (None, Some(id)) => Some(room_of(id, host, view).await?),
        (None, None) => None,
    };
    let rooms = room.map(|room| format!("&rooms={}", encoded(&room))).unwrap_or_default();
    let kinds = command.kinds.join(",");
    let kinds = if kinds.is_empty() { kinds } else { format!("&events={}", encoded(&kinds)) };
    Ok(rooms + &kinds)
}

/// 36 characters, as ids are written.
fn is_id(room: &str) -> bool {
    room.len() == 36 && room.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Its id. Rooms can be asked for by that alone, so this goes through them page by page.
async fn room_named(name: &str, host: &Client, view: &View) -> Result<String> {
    let mut path = format!("rooms?{PAGE}");
    loop {
        let page = host.get(&path).await?;
        if let Some(room) = items(&page, "rooms").iter().find(|room| room["name"] == name) {
            return Ok(field(room, "id"));
        }
        let Some(cursor) = page["cursor"].as_str() else {
            let list = view.command("rooms list");
            return Err(Error::NotFound(format!("no room has the name {name}; `{list}` shows them")));
        };
        path = format!("rooms?{PAGE}&cursor={}", encoded(cursor));
    }
}

/// The room of a conversation.
async fn room_of(id: &str, host: &Client, view: &View) -> Result<String> {
    // What is no id is nobody's path either.
    let found = match conversation_id(id) {
        Ok(id) => host.get(&format!("conversations/{id}")).await,
        Err(unknown) => Err(unknown),
    };
    match found {
        Ok(conversation) => Ok(field(&conversation, "room_id")),
        Err(Error::NotFound(_)) => {
            let list = view.command("conversations list");
            Err(Error::NotFound(format!("no conversation has the id {id}; `{list}` shows them")))
        }
        Err(error) => Err(error),
    }
}

impl Follower<'_> {
    fn path(&self) -> String {
        // An empty cursor is none.
        let cursor = self.cursor.map(|cursor| cursor.to_string()).unwrap_or_default();
        format!("/api/v1/stream?after={cursor}{}", self.filter)
    }

    async fn listen(&mut self, host: &Client, body: Incoming) -> Result<Left> {
        let mut events = BodyDataStream::new(body).eventsource();
        loop {
            let Ok(Some(Ok(event))) = timeout(SILENCE, events.next()).await else { return Ok(Left::Lost) };
            let seq = event.id.parse::<i64>().ok();
            // Its last number stays with what comes without one.
            let is_new = seq.is_some() && seq != self.cursor;
            self.cursor = seq.or(self.cursor);
            let data = serde_json::from_str::<Value>(&event.data).unwrap_or_default();
            if !self.tell(host, &event, seq.filter(|_| is_new), &data).await? {
                return Ok(Left::Unread);
            }
        }
    }

    /// False: nobody reads any more.
    async fn tell(&mut self, host: &Client, event: &Event, seq: Option<i64>, data: &Value) -> Result<bool> {
        match event.event.as_str() {
            "heartbeat" => {
                self.beat(data);
                return Ok(true);
            }
            "reset" => complain("the log does not have all that was asked for; this goes on with what it has"),
            _ => {}
        }
        let line = if self.view.json {
            View::json(&json!({ "seq": seq, "event": event.event, "data": data }))
        } else {
            self.lines.line(host, &event.event, seq, data).await
        };
        write(&line)
    }

    /// A beat that is old when it is read waited behind much else.
    fn beat(&mut self, data: &Value) {
        let time = data["time"].as_str().and_then(clock::parse).unwrap_or_else(clock::now);
        let seconds = (clock::now() - time) / 1_000_000;
        let is_late = seconds >= LATE;
        if is_late {
            complain(&format!("this is {seconds} s behind what happens; --room or --kinds would make it less"));
        } else if self.was_late {
            complain("this has caught up");
        }
        self.was_late = is_late;
    }
}

fn write(line: &str) -> Result<bool> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::Unavailable(format!("cannot write to stdout: {error}"))),
    }
}
