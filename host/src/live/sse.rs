//! Server-sent events of a room or of all: first the log from the reader's cursor, then live. The pieces that the bus sends say what came
//! before them; whenever that is not where the reader stands, the log fills the gap, so nothing is missed or sent twice.

use super::bus::{Behind, Bus, Frame, Piece, Recent, Subscription, Topic, gather, write_frame};
use super::presence::Membership;
use crate::clock;
use crate::error::Result;
use crate::store::{DM_NAME, Kind, Portion, Reached, Scope, Store, Viewer};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde_json::json;
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes read from the log at once, but for the last event: bounds what a slow reader holds.
const PORTION: usize = 32 * 1024;
/// How long a reader waits before it comes again.
const RETRY_MILLISECONDS: u32 = 2000;
/// Rooms that a reader remembers whether it may see.
const REMEMBERED: usize = 1024;

/// A reader of one room or of all.
pub struct Reader {
    store: Store,
    scope: Arc<Scope>,
    stopping: watch::Receiver<bool>,
    beats: watch::Receiver<Bytes>,
    subscription: Subscription,
    /// Everything up to this number was sent, as far as it is this reader's.
    cursor: i64,
    /// The last number that the reader was told.
    told: i64,
    place: Place,
    /// It was live and missed something.
    behind: Option<Behind>,
    /// Sent before anything else.
    greeting: Vec<u8>,
    /// The first heartbeat is still to come.
    is_new: bool,
    is_over: bool,
    /// Rooms that were asked for, of a reader who may not see all.
    visible: HashMap<i64, bool>,
    /// Whom it makes present, as long as it lives.
    _present: Vec<Membership>,
}

/// Where a reader gets its next events from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Messages that are kept below where the log begins.
    Kept {
        below: i64,
    },
    Log,
    Live,
}

/// What a reader gets from the log in one go.
struct Portioned {
    reached: Reached,
    bytes: Vec<u8>,
    /// The last number in them.
    last: Option<i64>,
    is_over: bool,
    oldest: i64,
    head: i64,
}

/// The clock of all streams.
pub async fn keep_time(bus: Arc<Bus>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            _ = ticks.tick() => bus.beat(beat_now()),
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

fn beat_now() -> Bytes {
    format!("event:heartbeat\ndata:{{\"time\":\"{}\"}}\n\n", clock::format(clock::now())).into()
}

/// The head of a stream's answer.
pub fn headers() -> [(header::HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that buffer would hold events back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ]
}

impl Reader {
    /// `after` None: only what happens from now on. `present`: whom it makes present.
    pub async fn new(
        store: Store,
        scope: Scope,
        after: Option<i64>,
        stopping: watch::Receiver<bool>,
        present: Vec<Membership>,
    ) -> Result<Self> {
        // Heard first, read then: what is written in between comes twice to us, and is told apart by its number.
        let topic = match scope {
            Scope::Room(room) => Topic::Room(room),
            Scope::All { .. } => Topic::All,
        };
        let (subscription, beats) = (store.bus().subscribe(topic), store.bus().beats());
        let (head, oldest) = store.read(move |read| Ok((read.head()?, read.oldest_event()?))).await?;
        let mut reader = Self {
            scope: Arc::new(scope),
            stopping,
            beats,
            subscription,
            cursor: after.unwrap_or(head),
            told: 0,
            place: Place::Log,
            behind: None,
            greeting: format!("retry:{RETRY_MILLISECONDS}\n\n").into_bytes(),
            is_new: true,
            is_over: false,
            visible: HashMap::new(),
            _present: present,
            store,
        };
        if reader.cursor > head {
            // A number from another time of this store, or of another one: the reader is told, and goes on from here.
            let reset = json!({ "reason": "ahead", "after": reader.cursor, "oldest_seq": oldest, "head": head });
            write!(reader.greeting, "id:{head}\nevent:reset\ndata:{reset}\n\n").ok();
            (reader.cursor, reader.told) = (head, head);
        }
        if reader.cursor == head {
            reader.place = Place::Live;
        }
        Ok(reader)
    }

    pub fn into_response(self) -> Response {
        (headers(), Body::from_stream(self.stream())).into_response()
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes>> {
        futures_util::stream::unfold(self, |mut reader| async move {
            let bytes = reader.next().await;
            reader.is_over |= bytes.is_err();
            match bytes {
                Ok(bytes) if bytes.is_empty() => None,
                other => Some((other, reader)),
            }
        })
        // Whoever carries it may ask once more at its end.
        .fuse()
    }

    /// The next bytes; none at the end of the room or the host.
    async fn next(&mut self) -> Result<Bytes> {
        while !self.is_over && !*self.stopping.borrow() {
            let mut bytes = std::mem::take(&mut self.greeting);
            if bytes.is_empty() && self.place == Place::Log {
                match self.recent().await? {
                    Some(recent) if !recent.is_empty() => return Ok(recent),
                    Some(_) => continue,
                    None => {}
                }
            }
            if self.place != Place::Live {
                self.catch_up(&mut bytes).await?;
            }
            if self.is_new && self.place == Place::Live && !self.is_over {
                self.is_new = false;
                self.beat(beat_now(), &mut bytes);
            }
            if !bytes.is_empty() {
                return Ok(bytes.into());
            }
            if self.place == Place::Live && !self.is_over {
                self.behind = None;
                let bytes = self.listen().await?;
                if !bytes.is_empty() {
                    return Ok(bytes);
                }
            }
        }
        Ok(Bytes::new())
    }

    /// What happens next; empty where that is nothing for this reader.
    async fn listen(&mut self) -> Result<Bytes> {
        let piece = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stop| *stop) => {
                self.is_over = true;
                return Ok(Bytes::new());
            }
            piece = self.subscription.next() => Some(piece),
            Ok(()) = self.beats.changed() => None,
        };
        if let Some(piece) = piece {
            return self.take(piece).await;
        }
        let frame = self.beats.borrow_and_update().clone();
        if self.cursor <= self.told {
            return Ok(frame);
        }
        let mut bytes = Vec::new();
        self.beat(frame, &mut bytes);
        Ok(bytes.into())
    }

    /// For one who is only a little behind, what the bus still has; None: the log has it.
    async fn recent(&mut self) -> Result<Option<Bytes>> {
        match self.subscription.recent(self.cursor) {
            Recent::Piece(piece) => {
                let bytes = self.select(&piece).await?;
                (self.cursor, self.is_over) = (piece.span.map_or(self.cursor, |span| span.last), piece.is_last);
                Ok(Some(bytes))
            }
            Recent::Nothing => {
                self.place = Place::Live;
                Ok(Some(Bytes::new()))
            }
            Recent::Gone => Ok(None),
        }
    }

    /// What a piece adds for this reader; empty if it has all of it.
    async fn take(&mut self, piece: Option<Arc<Piece>>) -> Result<Bytes> {
        let Some(piece) = piece else {
            self.place = Place::Log;
            self.behind.get_or_insert_with(|| Behind::new(self.store.bus()));
            return Ok(Bytes::new());
        };
        let Some(span) = piece.span else { return self.select(&piece).await };
        if span.last <= self.cursor {
            return Ok(Bytes::new());
        }
        if span.previous > self.cursor || span.first <= self.cursor || piece.bytes.is_empty() {
            self.place = Place::Log;
            return Ok(Bytes::new());
        }
        let bytes = self.select(&piece).await?;
        (self.cursor, self.is_over) = (span.last, piece.is_last);
        Ok(bytes)
    }

    /// The part of a piece that is for this reader: without a copy where that is all of it.
    async fn select(&mut self, piece: &Piece) -> Result<Bytes> {
        let scope = self.scope.clone();
        let last = piece.span.map_or(self.told, |span| span.last);
        let Scope::All { viewer, rooms, kinds } = &*scope else {
            self.told = last;
            return Ok(piece.bytes.clone());
        };
        if rooms.is_none() {
            self.look(viewer, &piece.frames).await?;
        }
        let wanted = |frame: &&Frame| {
            kinds >> frame.bit & 1 == 1
                && frame.room.is_none_or(|room| match rooms {
                    Some(rooms) => rooms.contains(&room),
                    None => self.sees(viewer, room) || ends_publicly(piece, frame),
                })
        };
        let frames: Vec<&Frame> = piece.frames.iter().filter(wanted).collect();
        if frames.len() == piece.frames.len() {
            self.told = last;
            return Ok(piece.bytes.clone());
        }
        if let Some(frame) = frames.last().filter(|_| piece.span.is_some()) {
            self.told = frame.seq;
        }
        Ok(gather(&piece.bytes, &frames))
    }

    /// Whether a room that was looked for is one of theirs.
    fn sees(&self, viewer: &Viewer, room: i64) -> bool {
        *viewer == Viewer::Everyone || self.visible.get(&room).copied().unwrap_or(false)
    }

    /// Asks the store for rooms that this reader met for the first time.
    async fn look(&mut self, viewer: &Viewer, frames: &[Frame]) -> Result<()> {
        if *viewer == Viewer::Everyone {
            return Ok(());
        }
        let unknown = |visible: &HashMap<i64, bool>| {
            let rooms = frames.iter().filter_map(|frame| frame.room);
            rooms.filter(|room| !visible.contains_key(room)).collect::<Vec<i64>>()
        };
        let mut rooms = unknown(&self.visible);
        if self.visible.len() + rooms.len() > REMEMBERED {
            self.visible = HashMap::new();
            rooms = unknown(&self.visible);
        }
        if rooms.is_empty() {
            return Ok(());
        }
        let (asked, viewer) = (rooms.clone(), viewer.clone());
        let seen = self.store.read(move |read| read.visible_among(&asked, &viewer)).await?;
        self.visible.extend(rooms.into_iter().map(|room| (room, seen.contains(&room))));
        Ok(())
    }

    /// One portion of the log, behind `bytes`.
    async fn catch_up(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let (scope, after) = (self.scope.clone(), self.cursor);
        let portion = match self.place {
            Place::Kept { below } => Portion::Messages { after, below },
            _ => Portion::Events { after },
        };
        let Portioned { reached, bytes: events, last, is_over, oldest, head } =
            self.store.read(move |read| read_portion(read, &scope, portion)).await?;
        // Asked after the events were read: what is missing from them was missing then.
        if self.place == Place::Log && after + 1 < oldest {
            let reset = json!({ "reason": "trimmed", "after": after, "oldest_seq": oldest, "head": head });
            write!(bytes, "event:reset\ndata:{reset}\n\n").ok();
            self.place = Place::Kept { below: oldest };
            return Ok(());
        }
        if bytes.is_empty() {
            *bytes = events;
        } else {
            bytes.extend_from_slice(&events);
        }
        (self.cursor, self.told, self.is_over) = (reached.cursor, last.unwrap_or(self.told), is_over);
        if reached.is_end {
            self.place = if matches!(portion, Portion::Events { .. }) { Place::Live } else { Place::Log };
        }
        Ok(())
    }

    /// It has a number where the reader stands further than it was told, so that it comes back to this very place.
    fn beat(&mut self, frame: Bytes, bytes: &mut Vec<u8>) {
        if self.cursor > self.told {
            writeln!(bytes, "id:{}", self.cursor).ok();
            self.told = self.cursor;
        }
        bytes.extend_from_slice(&frame);
    }
}

/// The end of a room that everybody saw. The store does not know its kind any more.
fn ends_publicly(piece: &Piece, frame: &Frame) -> bool {
    let payload = &piece.bytes[frame.place.clone()];
    frame.bit == Kind::RoomDeleted as i64 && !payload.windows(DM_NAME.len()).any(|part| part == DM_NAME.as_bytes())
}

fn read_portion(read: &crate::store::Read<'_>, scope: &Scope, portion: Portion) -> Result<Portioned> {
    let (mut bytes, mut last, mut is_over) = (Vec::new(), None, false);
    let of_room = matches!(scope, Scope::Room(_));
    let mut take = |seq: i64, kind: Kind, json: &str| {
        write_frame(&mut bytes, kind, seq, json);
        last = Some(seq);
        is_over = of_room && kind == Kind::RoomDeleted;
        bytes.len() < PORTION && !is_over
    };
    let reached = read.replay(scope, portion, &mut take)?;
    Ok(Portioned { reached, bytes, last, is_over, oldest: read.oldest_event()?, head: read.head()? })
}
