//! The wake-up fan-out. After a commit each room's frames are joined into one piece of bytes, shared by all its subscribers. A piece says
//! which number came before it, so a subscriber sees in one comparison whether it missed something, and then reads the log.

use crate::store::{Kind, NewEvent};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, broadcast};

/// Pieces that a room keeps for those who are a little behind; who is further behind reads the log.
const PIECES: usize = 64;
/// A larger piece carries no bytes: its readers take the log. Bounds a room's ring to 4 MiB.
const LARGEST_PIECE: usize = 64 * 1024;

/// What subscribers of a room get.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Durable events: everything after `previous` up to `last`. Without bytes: read the log.
    Events { previous: i64, last: i64, bytes: Bytes },
    /// Live only, without a number.
    Ephemeral(Bytes),
}

struct Room {
    sender: broadcast::Sender<Piece>,
    /// Number of the last event published here; None before the first, when it is not known.
    last: Option<i64>,
}

/// See the module's text.
#[derive(Default)]
pub struct Bus {
    rooms: Mutex<HashMap<i64, Room>>,
    queues: Mutex<HashMap<String, Arc<Notify>>>,
}

/// Hears one room.
pub struct Subscription {
    receiver: broadcast::Receiver<Piece>,
    room: i64,
    bus: Arc<Bus>,
}

impl Bus {
    fn rooms(&self) -> MutexGuard<'_, HashMap<i64, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(self: &Arc<Self>, room: i64) -> Subscription {
        let mut rooms = self.rooms();
        let new = || Room { sender: broadcast::channel(PIECES).0, last: None };
        let receiver = rooms.entry(room).or_insert_with(new).sender.subscribe();
        Subscription { receiver, room, bus: self.clone() }
    }

    /// Called by the writer after each commit, in the order of the log.
    pub(crate) fn publish(&self, events: &[NewEvent]) {
        let mut rooms = self.rooms();
        if rooms.is_empty() {
            return;
        }
        let mut joined: HashMap<i64, (i64, Vec<u8>)> = HashMap::new();
        for (room, event) in events.iter().filter_map(|event| event.room.map(|room| (room, event))) {
            if !rooms.contains_key(&room) {
                continue;
            }
            let (last, bytes) = joined.entry(room).or_default();
            *last = event.seq;
            if bytes.len() <= LARGEST_PIECE {
                write_frame(bytes, event.kind, event.seq, &event.json);
            }
        }
        for (key, (last, bytes)) in joined {
            let Some(room) = rooms.get_mut(&key) else { continue };
            let bytes = if bytes.len() > LARGEST_PIECE { Bytes::new() } else { bytes.into() };
            // Unknown: a number that no reader has, so that each compares and reads the log.
            let previous = room.last.replace(last).unwrap_or(i64::MAX);
            let _ = room.sender.send(Piece::Events { previous, last, bytes });
        }
    }

    /// Something that is not stored; dropped when nobody listens.
    pub fn publish_ephemeral(&self, room: i64, event: &str, json: &str) {
        if let Some(room) = self.rooms().get(&room) {
            let _ = room.sender.send(Piece::Ephemeral(format!("event:{event}\ndata:{json}\n\n").into()));
        }
    }

    /// Streams open now.
    pub fn subscribers(&self) -> usize {
        self.rooms().values().map(|room| room.sender.receiver_count()).sum()
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

impl Subscription {
    /// None: pieces were missed, read the log. Ends never: the bus lives as long as the host.
    pub async fn next(&mut self) -> Option<Piece> {
        self.receiver.recv().await.ok()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut rooms = self.bus.rooms();
        if rooms.get(&self.room).is_some_and(|room| room.sender.receiver_count() <= 1) {
            rooms.remove(&self.room);
        }
    }
}

/// One event in the form of server-sent events. JSON has no raw newlines, so one `data` line holds it. No blank after the colon: simple
/// readers of the chat server that this API follows take what stands right behind it.
pub fn write_frame(bytes: &mut Vec<u8>, kind: Kind, seq: i64, json: &str) {
    use std::io::Write;
    let _ = write!(bytes, "id:{seq}\nevent:{}\ndata:{json}\n\n", kind.name());
}
