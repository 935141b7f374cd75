//! The wake-up fan-out. After a commit its frames are encoded once; each room's are joined into one piece of bytes, shared by all who hear
//! that room, and all of them into one for those who hear everything. A piece says which number came before it, so a subscriber sees in one
//! comparison whether it missed something, and then reads the log.

use crate::store::{Kind, NewEvent};
use bytes::{Bytes, BytesMut};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Notify, broadcast, watch};

/// Pieces that wait for each subscriber, and pieces that a channel keeps for those who fell behind that; who is further behind reads the
/// log.
const WAITING: usize = 64;
const PIECES: usize = 1024;
/// A larger piece carries no bytes: its readers take the log.
const LARGEST_PIECE: usize = 256 * 1024;
/// Bytes that a channel keeps, and all of them together.
const KEPT: usize = 4 * 1024 * 1024;
const KEPT_BY_ALL: usize = 64 * 1024 * 1024;

/// Events that are not stored, by name; their bits stand above those of stored kinds.
pub const EPHEMERAL: [&str; 4] = ["typing", "presence_joined", "presence_left", "stream"];
const FIRST_EPHEMERAL_BIT: i64 = 40;
const OTHER_EPHEMERAL_BIT: i64 = 62;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A room, with what is of no room.
    Room(i64),
    All,
}

/// What subscribers get.
#[derive(Debug)]
pub struct Piece {
    /// None: live only, without a number.
    pub span: Option<Span>,
    /// Without bytes: read the log.
    pub bytes: Bytes,
    /// Where each frame is, for those who want only some; left out for rooms, whose readers want all.
    pub frames: Vec<Frame>,
    /// The room's end is in it.
    pub is_last: bool,
}

/// Durable events: all between `previous`, which is not in it, and `last`.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub previous: i64,
    pub first: i64,
    pub last: i64,
}

/// An event inside a piece, by what readers choose by.
#[derive(Debug, Clone)]
pub struct Frame {
    pub seq: i64,
    pub room: Option<i64>,
    /// Number of its kind, as a bit of a mask.
    pub bit: i64,
    pub place: Range<usize>,
}

struct Channel {
    /// Weak: a subscriber that does not listen keeps nothing alive.
    sender: broadcast::Sender<Weak<Piece>>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// Number of the last event published here; None before the first, when it is not known.
    last: Option<i64>,
    was_used: bool,
}

struct Kept {
    /// Number of the last event up to here; it rises from piece to piece.
    last: i64,
    piece: Arc<Piece>,
}

/// What a channel has for one who stands at a number.
pub enum Recent {
    /// The next durable events.
    Piece(Arc<Piece>),
    /// Nothing has happened since.
    Nothing,
    /// It has let that go, if it ever had it: the log has it.
    Gone,
}

#[derive(Default)]
struct State {
    channels: HashMap<Topic, Channel>,
    /// Number of the last event published anywhere.
    head: Option<i64>,
    kept_bytes: usize,
}

/// See the module's text.
#[derive(Default)]
pub struct Bus {
    state: Mutex<State>,
    queues: Mutex<HashMap<String, Arc<Notify>>>,
    /// The heartbeat's frame, at each beat: one clock for all streams.
    beats: watch::Sender<Bytes>,
    published: AtomicU64,
    lags: AtomicU64,
    behind: AtomicUsize,
}

/// A stream that fell behind, until it has caught up.
pub struct Behind(Arc<Bus>);

impl Behind {
    pub fn new(bus: &Arc<Bus>) -> Self {
        bus.lags.fetch_add(1, Ordering::Relaxed);
        bus.behind.fetch_add(1, Ordering::Relaxed);
        Self(bus.clone())
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.0.behind.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hears one topic.
pub struct Subscription {
    receiver: broadcast::Receiver<Weak<Piece>>,
    topic: Topic,
    bus: Arc<Bus>,
}

impl Bus {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(self: &Arc<Self>, topic: Topic) -> Subscription {
        let mut state = self.state();
        let last = state.head;
        let receiver = state.channels.entry(topic).or_insert_with(|| Channel::new(last)).sender.subscribe();
        Subscription { receiver, topic, bus: self.clone() }
    }

    /// Called by the writer after each commit, in the order of the log.
    pub(crate) fn publish(&self, events: &[NewEvent]) {
        let mut state = self.state();
        let Some(last) = events.last() else { return };
        self.published.fetch_add(events.len() as u64, Ordering::Relaxed);
        state.head = Some(last.seq);
        let heard = |room| state.channels.contains_key(&Topic::Room(room));
        let all = state.channels.contains_key(&Topic::All);
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for event in events.iter().filter(|event| all || event.room.is_none_or(heard)) {
            let begin = bytes.len();
            write_frame(&mut bytes, event.kind, event.seq, &event.json);
            let (seq, room, bit) = (event.seq, event.room, event.kind as i64);
            frames.push(Frame { seq, room, bit, place: begin..bytes.len() });
        }
        let bytes = Bytes::from(bytes);
        for (room, frames) in by_room(&frames, &state.channels) {
            let ends = |frame: &&Frame| frame.bit == Kind::RoomDeleted as i64;
            let is_last = frames.iter().any(ends);
            state.send(Topic::Room(room), Published { bytes: gather(&bytes, &frames), is_last, ..span_of(&frames) });
        }
        if all {
            let every: Vec<&Frame> = frames.iter().collect();
            let published = Published { bytes, ..span_of(&every) };
            state.send(Topic::All, Published { frames, ..published });
        }
    }

    /// Something that is not stored; dropped when nobody listens.
    pub fn publish_ephemeral(&self, room: i64, event: &str, json: &str) {
        let mut state = self.state();
        let topics = [Topic::Room(room), Topic::All].into_iter().filter(|topic| state.channels.contains_key(topic));
        let topics: Vec<Topic> = topics.collect();
        if topics.is_empty() {
            return;
        }
        let bytes = Bytes::from(format!("event:{event}\ndata:{json}\n\n"));
        let frame = Frame { seq: 0, room: Some(room), bit: ephemeral_bit(event), place: 0..bytes.len() };
        for topic in topics {
            state.send(topic, Published { bytes: bytes.clone(), frames: vec![frame.clone()], ..Published::default() });
        }
    }

    /// Streams open now.
    pub fn subscribers(&self) -> usize {
        self.state().channels.values().map(|channel| channel.sender.receiver_count()).sum()
    }

    /// Durable events told so far.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// How often a stream fell behind.
    pub fn lags(&self) -> u64 {
        self.lags.load(Ordering::Relaxed)
    }

    /// Streams that are behind now.
    pub fn behind(&self) -> usize {
        self.behind.load(Ordering::Relaxed)
    }

    /// The frame of each heartbeat, without a number.
    pub fn beats(&self) -> watch::Receiver<Bytes> {
        self.beats.subscribe()
    }

    /// The next heartbeat of all streams. What no channel sent since the last one is nobody's to wait for any more.
    pub fn beat(&self, frame: Bytes) {
        let mut state = self.state();
        let mut freed = 0;
        for channel in state.channels.values_mut() {
            if !std::mem::take(&mut channel.was_used) {
                freed += channel.forget();
            }
        }
        state.kept_bytes -= freed;
        drop(state);
        self.beats.send_replace(frame);
    }

    /// Wakes whoever hands out the instance's jobs.
    pub fn wake_queue(&self, instance: &str) {
        self.queue(instance).notify_one();
    }

    /// The bell of an instance's queue.
    pub fn queue(&self, instance: &str) -> Arc<Notify> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = queues.get(instance) {
            return bell.clone();
        }
        queues.entry(instance.into()).or_default().clone()
    }
}

/// A piece before its channel says what came before it.
#[derive(Default)]
struct Published {
    /// The first and the last number.
    numbers: Option<(i64, i64)>,
    bytes: Bytes,
    frames: Vec<Frame>,
    is_last: bool,
}

fn span_of(frames: &[&Frame]) -> Published {
    let numbers = frames.first().zip(frames.last()).map(|(first, last)| (first.seq, last.seq));
    Published { numbers, ..Published::default() }
}

impl State {
    fn send(&mut self, topic: Topic, published: Published) {
        let Some(channel) = self.channels.get_mut(&topic) else { return };
        let Published { numbers, mut bytes, mut frames, is_last } = published;
        let span = numbers.map(|(first, last)| {
            // Unknown: a number that no reader has, so that each compares and reads the log.
            Span { previous: channel.last.replace(last).unwrap_or(i64::MAX), first, last }
        });
        if bytes.len() > LARGEST_PIECE {
            (bytes, frames) = (Bytes::new(), Vec::new());
        }
        self.kept_bytes -= channel.make_place();
        self.kept_bytes += bytes.len();
        channel.keep(Arc::new(Piece { span, bytes, frames, is_last }));
        if self.kept_bytes > KEPT_BY_ALL {
            self.kept_bytes = 0;
            for channel in self.channels.values_mut() {
                channel.forget();
            }
        }
    }
}

impl Channel {
    fn new(last: Option<i64>) -> Self {
        let sender = broadcast::channel(WAITING).0;
        Self { sender, kept: VecDeque::new(), kept_bytes: 0, last, was_used: false }
    }

    /// Answers the bytes that were let go.
    fn make_place(&mut self) -> usize {
        let before = self.kept_bytes;
        while self.kept.len() >= PIECES || self.kept_bytes > KEPT - LARGEST_PIECE {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.piece.bytes.len();
        }
        before - self.kept_bytes
    }

    fn keep(&mut self, piece: Arc<Piece>) {
        self.kept_bytes += piece.bytes.len();
        self.was_used = true;
        let _ = self.sender.send(Arc::downgrade(&piece));
        self.kept.push_back(Kept { last: self.last.unwrap_or(0), piece });
    }

    fn recent(&self, cursor: i64) -> Recent {
        match self.last {
            Some(last) if last <= cursor => return Recent::Nothing,
            Some(_) => {}
            None => return Recent::Gone,
        }
        let next = self.kept.partition_point(|kept| kept.last <= cursor);
        let fits = |piece: &&Kept| {
            piece.piece.span.is_some_and(|span| span.previous <= cursor && span.first > cursor)
                && !piece.piece.bytes.is_empty()
        };
        self.kept.get(next).filter(fits).map_or(Recent::Gone, |kept| Recent::Piece(kept.piece.clone()))
    }

    fn forget(&mut self) -> usize {
        self.kept = VecDeque::new();
        std::mem::take(&mut self.kept_bytes)
    }
}

impl Subscription {
    /// What comes next behind the event numbered `cursor`.
    pub fn recent(&self, cursor: i64) -> Recent {
        self.bus.state().channels.get(&self.topic).map_or(Recent::Gone, |channel| channel.recent(cursor))
    }

    /// None: pieces were missed, read the log. Ends never: the bus lives as long as the host.
    pub async fn next(&mut self) -> Option<Arc<Piece>> {
        self.receiver.recv().await.ok()?.upgrade()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.bus.state();
        if state.channels.get(&self.topic).is_some_and(|channel| channel.sender.receiver_count() <= 1) {
            let freed = state.channels.remove(&self.topic).map_or(0, |channel| channel.kept_bytes);
            state.kept_bytes -= freed;
        }
    }
}

/// Each room's frames that somebody hears; those of no room are every room's.
fn by_room<'a>(frames: &'a [Frame], channels: &HashMap<Topic, Channel>) -> HashMap<i64, Vec<&'a Frame>> {
    let mut rooms: HashMap<i64, Vec<&Frame>> = HashMap::new();
    for frame in frames {
        match frame.room {
            Some(room) if channels.contains_key(&Topic::Room(room)) => rooms.entry(room).or_default().push(frame),
            Some(_) => {}
            None => {
                for topic in channels.keys() {
                    if let Topic::Room(room) = topic {
                        rooms.entry(*room).or_default().push(frame);
                    }
                }
            }
        }
    }
    rooms
}

/// The frames' bytes in a row: shared where they lie so already and little else would be kept with them, else copied.
pub fn gather(bytes: &Bytes, frames: &[&Frame]) -> Bytes {
    let wanted: usize = frames.iter().map(|frame| frame.place.len()).sum();
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Bytes::new() };
    let reach = first.place.start..last.place.end;
    if reach.len() == wanted && wanted >= bytes.len() / 2 {
        return bytes.slice(reach);
    }
    let mut joined = BytesMut::with_capacity(wanted);
    frames.iter().for_each(|frame| joined.extend_from_slice(&bytes[frame.place.clone()]));
    joined.freeze()
}

/// The bit of an event that is not stored.
pub fn ephemeral_bit(event: &str) -> i64 {
    let known = EPHEMERAL.iter().position(|name| *name == event);
    known.map_or(OTHER_EPHEMERAL_BIT, |index| FIRST_EPHEMERAL_BIT + index as i64)
}

/// One event in the form of server-sent events. JSON has no raw newlines, so one `data` line holds it. No blank after the colon: simple
/// readers of the chat server that this API follows take what stands right behind it.
pub fn write_frame(bytes: &mut Vec<u8>, kind: Kind, seq: i64, json: &str) {
    use std::io::Write;
    let _ = write!(bytes, "id:{seq}\nevent:{}\ndata:{json}\n\n", kind.name());
}
