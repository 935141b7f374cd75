//! What is kept about messages, against what counting them says, through any mixture of posts, edits and deletions; and stores of older
//! versions, whose counts are made when they are opened.

use super::*;
use crate::ids::{MessageId, RoomId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// A message of the model: number, id, sender.
type Known = (i64, MessageId, String);

fn open(path: &Path) -> Store {
    let options = Options { path: path.into(), full_durability: false, readers: 1, existing: false };
    Store::open(&options, Arc::default()).expect("the store opens").0
}

async fn room(store: &Store, name: &str) -> RoomRef {
    let room = NewRoom { name: name.into(), created_by: "me".into(), ..NewRoom::default() };
    let made = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room is made");
    let id = made.id;
    store.read(move |read| read.visible_room(id, &Viewer::Everyone)).await.expect("the room is there")
}

async fn post(store: &Store, room: RoomId, sender: &str) -> Known {
    let draft = Draft::new(room, sender, "hello @bob", &serde_json::json!({}), Some("agent")).expect("a draft");
    let posted = store.write(move |tx| tx.post_message(&draft, None, &Viewer::Everyone)).await.expect("posted");
    (posted.seq, posted.id, sender.into())
}

async fn delete(store: &Store, room: RoomRef, id: MessageId) {
    let deleted = store.write(move |tx| {
        let row = tx.read().message(&room, id)?.expect("the message is there");
        tx.delete_message(&room, &row, Deletion::Asked)
    });
    deleted.await.expect("deleted");
}

async fn counted(store: &Store, count: Count) -> i64 {
    store.read(move |read| read.count(count)).await.expect("a count")
}

async fn check(store: &Store, room: RoomRef, known: &[Known], random: &mut StdRng) {
    let head = store.read(|read| read.head()).await.unwrap();
    for reader in ["ann", "bob", "cyd", "nobody"] {
        for after in [0, head, random.random_range(0..=head), random.random_range(0..=head)] {
            let expected = known.iter().filter(|(seq, _, sender)| *seq > after && sender != reader).count() as i64;
            let kept = store.read(move |read| read.unread(room.key, after, reader)).await.unwrap();
            assert_eq!(kept, expected, "unread of {reader} after {after}");
        }
    }
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    known.iter().for_each(|(_, _, sender)| *expected.entry(sender.clone()).or_default() += 1);
    let participants = store.read(move |read| {
        let mut statement = read.prepare("select sender, message_count from participants where room = ?1")?;
        let rows = statement.query_map([room.key], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql_error)?;
        rows.collect::<rusqlite::Result<BTreeMap<String, i64>>>().map_err(sql_error)
    });
    assert_eq!(participants.await.unwrap(), expected, "participants");
    let id = room.id;
    let row = store.read(move |read| read.room(id)).await.unwrap().unwrap();
    assert_eq!((row.message_count, row.last_seq), (known.len() as i64, known.last().map(|known| known.0)), "the room");
}

/// Every statement of messages that change and of the counts.
pub(super) async fn use_messages(store: &Store) {
    let lab = room(store, "plans").await;
    for _ in 0..3 {
        let (_, id, _) = post(store, lab.id, "ann").await;
        store.write(move |tx| tx.edit_message(&lab, id, "ann", "more @words", None)).await.unwrap();
        delete(store, lab, id).await;
        post(store, lab.id, "bob").await;
    }
    store.read(move |read| Ok((read.unread(lab.key, 4, "bob")?, read.active_senders(0)?))).await.unwrap();
    counted(store, Count::Messages).await;
}

#[tokio::test]
async fn counts_stay_true_through_posts_and_deletions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let (lab, other) = (room(&store, "lab").await, room(&store, "other").await);
    let mut random = StdRng::seed_from_u64(7);
    let (mut known, mut others): (Vec<Known>, i64) = (Vec::new(), 0);
    for step in 0..1500 {
        let sender = ["ann", "bob", "cyd"][random.random_range(0..3)];
        match random.random_range(0..10) {
            0..=5 => known.push(post(&store, lab.id, sender).await),
            6..=7 => {
                post(&store, other.id, sender).await;
                others += 1;
            }
            _ if known.is_empty() => {}
            _ => {
                // Mostly the oldest, as retention does; sometimes any, sometimes the newest.
                let place = match random.random_range(0..4) {
                    0 => random.random_range(0..known.len()),
                    1 => known.len() - 1,
                    _ => 0,
                };
                delete(&store, lab, known.remove(place).1).await;
            }
        }
        if step % 50 == 0 {
            check(&store, lab, &known, &mut random).await;
        }
    }
    check(&store, lab, &known, &mut random).await;
    assert_eq!(counted(&store, Count::Messages).await, known.len() as i64 + others);
    assert_eq!(counted(&store, Count::AgentMessages).await, known.len() as i64 + others);
}

#[tokio::test]
async fn deleted_message_leaves_its_events_empty() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let lab = room(&store, "lab").await;
    let (seq, id, _) = post(&store, lab.id, "ann").await;
    let edited = store.write(move |tx| tx.edit_message(&lab, id, "ann", "secret words", None)).await.unwrap();
    assert_eq!((edited.edit_count, edited.seq), (1, seq));
    let events = store.read(move |read| read.room_events(lab.key, 0, 10)).await.unwrap();
    assert!(events[1].json.contains("hello @bob"), "the log gives the message as it was: {}", events[1].json);
    assert!(events[2].json.contains("secret words"), "{}", events[2].json);
    delete(&store, lab, id).await;
    let events = store.read(move |read| read.room_events(lab.key, 0, 10)).await.unwrap();
    let names: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names, ["room_created", "message", "message_edited", "message_deleted"]);
    for event in &events[1..3] {
        let message = Message::from_json(&event.json).unwrap();
        assert!(message.deleted && message.content.is_empty() && message.metadata.get() == "{}", "{}", event.json);
    }
    let left = "select (select count(*) from mentions) + (select count(*) from edits) + (select count(*) from messages_search)";
    assert_eq!(store.read(move |read| read.number(left, [])).await.unwrap(), 0, "nothing else is left of it");
}

#[tokio::test]
async fn store_of_the_version_before_opens_with_its_data_and_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arcuate.db");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/store_1.db"), &path).unwrap();
    let store = open(&path);
    let rooms = store.read(|read| read.rooms(&RoomQuery::ordinary(10))).await.unwrap();
    let rooms: Vec<_> = rooms.into_iter().map(|listed| listed.row).collect();
    let sizes: Vec<_> = rooms.iter().map(|room| (room.name.as_str(), room.message_count)).collect();
    assert_eq!(sizes, [("lab", 300), ("general", 302)]);
    assert_eq!((counted(&store, Count::Messages).await, counted(&store, Count::Rooms).await), (610, 2));
    let mut random = StdRng::seed_from_u64(1);
    for row in &rooms {
        let id = row.id;
        let room = store.read(move |read| read.visible_room(id, &Viewer::Everyone)).await.unwrap();
        let known = store.read(move |read| read.messages(room.key, &MessageQuery::oldest(500))).await.unwrap();
        let known: Vec<Message> = serde_json::from_str(&known.json).unwrap();
        let mut known: Vec<Known> =
            known.into_iter().map(|message| (message.seq, message.id, message.sender)).collect();
        check(&store, room, &known, &mut random).await;
        known.push(post(&store, id, "ann").await);
        delete(&store, room, known.remove(0).1).await;
        check(&store, room, &known, &mut random).await;
    }
    let mentions = "select count(*) from mentions where word in ('bob', 'ci')";
    assert_eq!(
        store.read(move |read| read.number(mentions, [])).await.unwrap(),
        2,
        "bob in two new messages; one of the old went"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_sees_one_state_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let lab = room(&store, "lab").await;
    post(&store, lab.id, "ann").await;
    let (half, halfway) = tokio::sync::oneshot::channel();
    let (written, go_on) = std::sync::mpsc::channel();
    let reading = tokio::spawn({
        let store = store.clone();
        async move {
            let query = move |read: &Read<'_>| {
                let before = (read.head()?, read.count(Count::Messages)?);
                half.send(()).expect("somebody waits for it");
                go_on.recv().expect("something was written");
                Ok((before, (read.head()?, read.count(Count::Messages)?)))
            };
            store.read(query).await
        }
    });
    halfway.await.unwrap();
    let (newer, ..) = post(&store, lab.id, "ann").await;
    written.send(()).unwrap();
    let (before, after) = reading.await.unwrap().unwrap();
    assert_eq!(before, after, "what is written meanwhile is not in it");
    assert_eq!(store.read(|read| read.head()).await.unwrap(), newer, "the next one sees it");
    let panics = store.read(|read| -> Result<i64> { panic!("on purpose, at {:?}", read.head()) });
    assert!(panics.await.is_err());
    let (newest, ..) = post(&store, lab.id, "ann").await;
    assert_eq!(store.read(|read| read.head()).await.unwrap(), newest, "a panic holds nobody at an old state");
}

#[tokio::test]
async fn sender_keeps_the_type_that_was_said_before_in_the_same_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let lab = room(&store, "lab").await;
    let said = [Some("agent"), None].map(|kind| Draft::new(lab.id, "ann", "hello", &serde_json::json!({}), kind).ok());
    store.write(move |tx| tx.broadcast(&said, &Viewer::Everyone)).await.unwrap();
    assert_eq!(store.read(|read| read.active_senders(0)).await.unwrap(), (1, 0, 1));
}
