//! Server-sent events of one room: first the log from the reader's cursor, then live. The pieces that the bus sends say what came before
//! them; whenever that is not where the reader stands, the log fills the gap, so nothing is missed or sent twice.

use super::bus::{Piece, Subscription, write_frame};
use crate::clock;
use crate::error::Result;
use crate::store::Store;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events read from the log at once: bounds what a slow reader holds.
const PAGE: u32 = 100;
/// How long a reader waits before it comes again.
const RETRY_MILLISECONDS: u32 = 2000;

/// A reader of one room.
pub struct Reader {
    pub store: Store,
    pub room: i64,
    pub stopping: watch::Receiver<bool>,
    subscription: Subscription,
    /// Number of the last event sent.
    cursor: i64,
    /// Sent before anything else.
    greeting: Option<String>,
    behind: bool,
    /// When the next heartbeat is due.
    beat: Instant,
}

impl Reader {
    /// `after` None: only what happens from now on.
    pub async fn new(store: Store, room: i64, after: Option<i64>, stopping: watch::Receiver<bool>) -> Result<Self> {
        // Heard first, read then: what is written in between comes twice to us, and is told apart by its number.
        let subscription = store.bus().subscribe(room);
        let (room_head, head, oldest) =
            store.read(move |read| Ok((read.room_head(room)?, read.head()?, read.oldest_event()?))).await?;
        let mut greeting = format!("retry:{RETRY_MILLISECONDS}\n\n");
        let cursor = match after {
            None => room_head,
            // A number from another time of this store, or of another one: the reader is told, and goes on from here.
            Some(after) if after > head => {
                let reset = json!({ "reason": "ahead", "after": after, "oldest_seq": oldest, "head": head });
                greeting += &format!("id:{head}\nevent:reset\ndata:{reset}\n\n");
                head
            }
            Some(after) => after,
        };
        let (behind, beat) = (cursor < head, Instant::now());
        Ok(Self { store, room, stopping, subscription, cursor, greeting: Some(greeting), behind, beat })
    }

    pub fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // Proxies that buffer would hold events back.
            (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        (headers, Body::from_stream(self.stream())).into_response()
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes>> {
        futures_util::stream::unfold(self, |mut reader| async move {
            let bytes = reader.next().await?;
            let failed = bytes.is_err();
            if failed {
                reader.stopping = watch::channel(true).1;
            }
            Some((bytes, reader))
        })
    }

    /// The next bytes; None at the end of the host.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if *self.stopping.borrow() {
            return None;
        }
        if let Some(greeting) = self.greeting.take() {
            return Some(Ok(greeting.into()));
        }
        if self.behind {
            match self.catch_up().await {
                Ok(bytes) if bytes.is_empty() => {}
                other => return Some(other),
            }
        }
        loop {
            let heard = tokio::select! {
                _ = self.stopping.wait_for(|stop| *stop) => return None,
                () = sleep_until(self.beat) => None,
                piece = self.subscription.next() => Some(piece),
            };
            let Some(piece) = heard else { return Some(Ok(self.heartbeat().into())) };
            match self.take(piece).await {
                Ok(bytes) if bytes.is_empty() => {}
                other => return Some(other),
            }
        }
    }

    /// What a piece adds for this reader; empty if it has all of it.
    async fn take(&mut self, piece: Option<Piece>) -> Result<Bytes> {
        match piece {
            Some(Piece::Ephemeral(bytes)) => Ok(bytes),
            Some(Piece::Events { last, .. }) if last <= self.cursor => Ok(Bytes::new()),
            Some(Piece::Events { previous, last, bytes }) if previous <= self.cursor && !bytes.is_empty() => {
                // `previous` below the cursor would mean that a part was seen; pieces never overlap, so it is where the reader stands,
                // or the cursor lies behind it without an event of this room in between.
                self.cursor = last;
                Ok(bytes)
            }
            _ => {
                self.behind = true;
                self.catch_up().await
            }
        }
    }

    /// One page of the log; empty when the reader stands at its end.
    async fn catch_up(&mut self) -> Result<Bytes> {
        let (room, after) = (self.room, self.cursor);
        let events = self.store.read(move |read| read.room_events(room, after, PAGE)).await?;
        self.behind = events.len() == PAGE as usize;
        let mut bytes = Vec::new();
        for event in &events {
            write_frame(&mut bytes, event.kind, event.seq, &event.json);
            self.cursor = event.seq;
        }
        Ok(bytes.into())
    }

    /// The first one comes at once. Its number lets a reader that was sent nothing yet come back to this very place.
    fn heartbeat(&mut self) -> String {
        self.beat = Instant::now() + HEARTBEAT;
        let id = self.cursor;
        format!("id:{id}\nevent:heartbeat\ndata:{{\"time\":\"{}\"}}\n\n", clock::format(clock::now()))
    }
}
