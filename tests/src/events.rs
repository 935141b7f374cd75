//! A reader of a room's stream, exact to the line: what browsers' `EventSource` would make of it, and what it would not show.

use crate::client::Client;
use crate::wait::soon;
use reqwest::Response;
use serde_json::Value;

/// One event as it came over the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its `id:` line.
    pub id: Option<i64>,
    pub name: String,
    pub data: Value,
}

/// An open stream.
#[derive(Debug)]
pub struct Stream {
    response: Response,
    /// Bytes that are no whole event yet.
    held: Vec<u8>,
    /// The value of the `retry:` line.
    pub retry: Option<u64>,
}

impl Stream {
    /// Opens `/api/v1/rooms/{room}/stream` with this query and these headers.
    pub async fn open(client: &Client, room: &str, query: &str, headers: &[(&str, &str)]) -> Self {
        Self::open_path(client, &format!("/api/v1/rooms/{room}/stream{query}"), headers).await
    }

    /// The same for `/api/v1/stream`.
    pub async fn open_all(client: &Client, query: &str, headers: &[(&str, &str)]) -> Self {
        Self::open_path(client, &format!("/api/v1/stream{query}"), headers).await
    }

    async fn open_path(client: &Client, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::of(client.open(path, headers).await)
    }

    /// What was answered, if it is a stream.
    pub fn of(response: Response) -> Self {
        let head = (response.status().as_u16(), response.headers().get("content-type").cloned());
        assert_eq!(head, (200, Some("text/event-stream".parse().expect("a header"))), "{response:?}");
        Self { response, held: Vec::new(), retry: None }
    }

    /// None where nobody serves.
    pub async fn try_open(client: &Client, room: &str, after: i64) -> Option<Self> {
        let after = after.to_string();
        let path = format!("/api/v1/rooms/{room}/stream");
        let response = client.try_open(&path, &[("last-event-id", after.as_str())]).await?;
        (response.status() == 200).then_some(Self { response, held: Vec::new(), retry: None })
    }

    /// The next event of any kind; None at the end of the stream, also at one that was cut off.
    pub async fn next(&mut self) -> Option<Event> {
        soon("an event of the stream", self.read()).await
    }

    /// The next one that says more than that the stream lives.
    pub async fn next_real(&mut self) -> Option<Event> {
        loop {
            match self.next().await {
                Some(event) if event.name == "heartbeat" => {}
                other => return other,
            }
        }
    }

    /// Real events up to and including the first for which `last` holds.
    pub async fn until(&mut self, last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next_real().await;
            let event = event.unwrap_or_else(|| panic!("the stream ended early, after {events:#?}"));
            let is_last = last(&event);
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some(at) = self.held.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.held.drain(..at + 2).collect();
                if let Some(event) = self.event(&String::from_utf8(block).expect("a stream is UTF-8")) {
                    return Some(event);
                }
            }
            self.held.extend(self.response.chunk().await.ok().flatten()?);
        }
    }

    /// None for a block that is no event, such as the one of `retry:`.
    fn event(&mut self, block: &str) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, None, None);
        for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            let (field, value) = line.split_once(':').unwrap_or_else(|| panic!("a line that is no field: {line:?}"));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => id = Some(value.parse().expect("an id is a number")),
                "event" => name = Some(value.to_owned()),
                "data" => data = Some(serde_json::from_str(value).expect("data is JSON")),
                "retry" => self.retry = Some(value.parse().expect("milliseconds")),
                _ => panic!("an unknown field: {line:?}"),
            }
        }
        Some(Event { id, name: name?, data: data.expect("an event has data") })
    }
}

impl Event {
    /// The text of a message.
    pub fn content(&self) -> &str {
        self.data["content"].as_str().unwrap_or_default()
    }
}
