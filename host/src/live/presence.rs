//! Who is there: people and agents whose streams are open, counted by connection. It lives in memory, as long as the connections do.

use super::bus::Bus;
use crate::clock::{self, Micros};
use crate::error::{Error, Result};
use crate::ids::RoomId;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// People in rooms at most, over all rooms.
const MOST: usize = 200_000;
/// Joins and leaves that may wait for whoever takes them further.
const WAITING: usize = 10_000;

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Rises with each who joins.
    pub number: u64,
    pub room: i64,
    pub room_id: RoomId,
    pub sender: Arc<str>,
    pub sender_type: Option<String>,
    /// Of the first of their connections.
    pub connected_at: Micros,
    connections: usize,
}

/// Somebody came to a room or left it, as streams show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub room: i64,
    pub event: &'static str,
    pub json: String,
}

#[derive(Default)]
struct Held {
    last: u64,
    people: BTreeMap<u64, Present>,
    numbers: HashMap<(i64, Arc<str>), u64>,
    rooms: HashMap<i64, BTreeSet<u64>>,
    changes: Option<mpsc::Sender<Change>>,
}

/// See the module's text.
pub struct Presence {
    held: Mutex<Held>,
    bus: Arc<Bus>,
}

/// Keeps somebody present until it is dropped.
pub struct Membership {
    presence: Arc<Presence>,
    number: u64,
}

impl Presence {
    pub fn new(bus: Arc<Bus>) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), bus })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins and leaves from now on, for one who takes them further; who falls far behind loses the newest.
    pub fn changes(&self) -> mpsc::Receiver<Change> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.held().changes = Some(sender);
        receiver
    }

    /// One more connection of `sender` in the room.
    pub fn join(
        self: &Arc<Self>,
        room: i64,
        room_id: RoomId,
        sender: &str,
        sender_type: Option<&str>,
    ) -> Result<Membership> {
        let mut held = self.held();
        let name = (room, Arc::from(sender));
        if let Some(number) = held.numbers.get(&name).copied() {
            if let Some(present) = held.people.get_mut(&number) {
                present.connections += 1;
                present.sender_type = sender_type.map(Into::into).or(present.sender_type.take());
            }
            return Ok(Membership { presence: self.clone(), number });
        }
        if held.people.len() >= MOST {
            return Err(Error::Unavailable("too many are present in rooms; stream without `sender`".into()));
        }
        held.last += 1;
        let (number, sender) = (held.last, name.1.clone());
        let sender_type = sender_type.map(ToOwned::to_owned);
        let json = json!({ "sender": *sender, "sender_type": sender_type, "room_id": room_id });
        let connected_at = clock::now();
        let present = Present { number, room, room_id, sender, sender_type, connected_at, connections: 1 };
        held.people.insert(number, present);
        held.numbers.insert(name, number);
        held.rooms.entry(room).or_default().insert(number);
        self.tell(&held, room, "presence_joined", json.to_string());
        Ok(Membership { presence: self.clone(), number })
    }

    /// Who joined a room behind `after`, in the order in which they did, and how many there are in all.
    pub fn in_room(&self, room: i64, after: u64, limit: usize) -> (Vec<Present>, usize) {
        let held = self.held();
        let Some(numbers) = held.rooms.get(&room) else { return (Vec::new(), 0) };
        let page = numbers.range(after.saturating_add(1)..).take(limit);
        (page.filter_map(|number| held.people.get(number)).cloned().collect(), numbers.len())
    }

    /// Rooms in which somebody is.
    pub fn rooms(&self) -> Vec<i64> {
        self.held().rooms.keys().copied().collect()
    }

    /// The same over all rooms, or these, and how many different people there are.
    pub fn everywhere(&self, rooms: Option<&HashSet<i64>>, after: u64, limit: usize) -> (Vec<Present>, usize) {
        let held = self.held();
        let seen = |present: &&Present| rooms.is_none_or(|rooms| rooms.contains(&present.room));
        let page = held.people.range(after.saturating_add(1)..).map(|(_, present)| present).filter(seen).take(limit);
        let page = page.cloned().collect();
        let people: HashSet<&str> = held.people.values().filter(seen).map(|present| &*present.sender).collect();
        (page, people.len())
    }

    fn leave(&self, number: u64) {
        let mut held = self.held();
        let Some(present) = held.people.get_mut(&number) else { return };
        present.connections -= 1;
        if present.connections > 0 {
            return;
        }
        let Some(Present { room, room_id, sender, .. }) = held.people.remove(&number) else { return };
        let json = json!({ "sender": *sender, "room_id": room_id });
        held.numbers.remove(&(room, sender));
        if let Some(numbers) = held.rooms.get_mut(&room) {
            numbers.remove(&number);
            if numbers.is_empty() {
                held.rooms.remove(&room);
            }
        }
        self.tell(&held, room, "presence_left", json.to_string());
    }

    /// Under the lock, so that a join and a leave are heard in the order in which they were.
    fn tell(&self, held: &Held, room: i64, event: &'static str, json: String) {
        self.bus.publish_ephemeral(room, event, &json);
        if let Some(changes) = &held.changes
            && changes.try_send(Change { room, event, json }).is_err()
        {
            tracing::warn!("too many joins and leaves at once: one was not taken further");
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.presence.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(page: (Vec<Present>, usize)) -> (Vec<String>, usize) {
        (page.0.iter().map(|present| present.sender.to_string()).collect(), page.1)
    }

    #[tokio::test]
    async fn presence_counts_connections_and_tells_of_the_first_and_the_last() {
        let presence = Presence::new(Arc::default());
        let mut changes = presence.changes();
        let (id, other) = (RoomId::new(), RoomId::new());
        let first = presence.join(1, id, "ada", None).unwrap();
        let second = presence.join(1, id, "ada", Some("human")).unwrap();
        let elsewhere = presence.join(2, other, "ada", None).unwrap();
        let bob = presence.join(1, id, "bob", None).unwrap();
        assert_eq!(names(presence.in_room(1, 0, 10)), (vec!["ada".into(), "bob".into()], 2));
        assert_eq!(presence.in_room(1, 0, 10).0[0].sender_type.as_deref(), Some("human"));
        assert_eq!(names(presence.in_room(1, 1, 10)).0, ["bob"], "behind the first");
        assert_eq!(presence.everywhere(None, 0, 10).1, 2);
        assert_eq!(names(presence.everywhere(Some(&HashSet::from([2])), 0, 10)), (vec!["ada".into()], 1));
        drop(first);
        assert_eq!(presence.in_room(1, 0, 10).1, 2);
        drop((second, elsewhere, bob));
        assert_eq!((presence.in_room(1, 0, 10).1, presence.rooms().len()), (0, 0));
        let mut told = Vec::new();
        while let Ok(change) = changes.try_recv() {
            told.push((change.room, change.event));
        }
        let (joined, left) = ("presence_joined", "presence_left");
        assert_eq!(told, [(1, joined), (2, joined), (1, joined), (1, left), (2, left), (1, left)]);
    }
}
