//! The log in portions: what a room's readers and readers of all rooms get, whatever they narrow it to and whoever they are.

use super::*;
use crate::ids::RoomId;
use crate::live::sse::Reader;
use axum::body::BodyDataStream;
use futures_util::StreamExt;
use rusqlite::params;
use tokio::sync::watch;

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

/// A room of direct messages between ann and bob.
async fn dm(store: &Store) -> RoomRef {
    let id = RoomId::new();
    let make = move |tx: &mut Tx<'_>| {
        let room = NewRoom { name: "dm:ann:bob".into(), created_by: "ann".into(), ..NewRoom::default() };
        let key = tx.insert_room(id, "dm", &room).map_err(sql_error)?;
        let sql = "insert into dms (room, low, high) values (?1, 'ann', 'bob')";
        tx.connection.execute(sql, [key]).map_err(sql_error)?;
        tx.read().visible_room(id, &Viewer::Everyone)
    };
    store.write(make).await.expect("a room of direct messages is made")
}

async fn post(store: &Store, room: &RoomRef) -> i64 {
    let draft = Draft::new(room.id, "ann", "hello", &serde_json::json!({}), None).expect("a draft");
    store.write(move |tx| tx.post_message(&draft, None, &Viewer::Everyone)).await.expect("posted").seq
}

/// An event of no room.
async fn profile(store: &Store) -> i64 {
    store.write(|tx| tx.record(None, Kind::ProfileUpdated, |_| "{}".into())).await.expect("recorded")
}

/// Numbers of all that the reader is given, in portions of `size`.
async fn numbers(store: &Store, scope: &Scope, size: usize) -> Vec<i64> {
    let (mut numbers, mut after) = (Vec::new(), 0);
    loop {
        let scope = scope.clone();
        let (portion, reached) = store
            .read(move |read| {
                let mut portion = Vec::new();
                let mut take = |seq: i64, _: Kind, json: &str| {
                    assert!(json.starts_with('{'), "{json}");
                    portion.push(seq);
                    portion.len() < size
                };
                let reached = read.replay(&scope, Portion::Events { after }, &mut take)?;
                Ok((portion, reached))
            })
            .await
            .expect("a portion");
        assert!(portion.last().is_none_or(|last| *last <= reached.cursor) && reached.cursor >= after);
        numbers.extend(portion);
        after = reached.cursor;
        if reached.is_end {
            return numbers;
        }
    }
}

fn all(viewer: &str, rooms: Option<Vec<i64>>, kinds: &[Kind]) -> Scope {
    let viewer = if viewer.is_empty() { Viewer::Everyone } else { Viewer::Person(viewer.into()) };
    let kinds = kinds.iter().fold(0, |kinds, kind| kinds | 1 << *kind as i64);
    Scope::All { viewer, rooms, kinds: if kinds == 0 { i64::MAX } else { kinds } }
}

/// Every statement of streams.
pub(super) async fn use_streams(store: &Store) {
    let lab = room(store, "streams").await;
    post(store, &lab).await;
    for scope in [Scope::Room(lab.key), all("ann", Some(vec![lab.key]), &[])] {
        for portion in [Portion::Events { after: 0 }, Portion::Messages { after: 0, below: 1000 }] {
            let scope = scope.clone();
            store.read(move |read| read.replay(&scope, portion, &mut |_, _, _| true)).await.unwrap();
        }
    }
    let seen = store.read(move |read| read.visible_among(&[lab.key, 999], &Viewer::Nobody)).await.unwrap();
    assert_eq!(seen, [lab.key]);
}

#[tokio::test]
async fn portions_give_each_reader_theirs_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let (lab, other, secret) = (room(&store, "lab").await, room(&store, "other").await, dm(&store).await);
    let (mut labs, mut others, mut secrets, mut profiles) = (vec![1], vec![2], Vec::new(), Vec::new());
    for round in 0..300 {
        labs.push(post(&store, &lab).await);
        if round % 2 == 0 {
            others.push(post(&store, &other).await);
        }
        if round % 3 == 0 {
            secrets.push(post(&store, &secret).await);
            profiles.push(profile(&store).await);
        }
    }
    let sorted = |lists: &[&Vec<i64>]| {
        let mut sorted: Vec<i64> = lists.iter().flat_map(|list| list.iter().copied()).collect();
        sorted.sort_unstable();
        sorted
    };
    for size in [1, 7, usize::MAX] {
        assert_eq!(numbers(&store, &Scope::Room(lab.key), size).await, sorted(&[&labs, &profiles]));
        let everything = sorted(&[&labs, &others, &secrets, &profiles]);
        assert_eq!(numbers(&store, &all("", None, &[]), size).await, everything);
        assert_eq!(numbers(&store, &all("bob", None, &[]), size).await, everything, "one of the two");
        assert_eq!(numbers(&store, &all("eve", None, &[]), size).await, sorted(&[&labs, &others, &profiles]));
        let named = all("eve", Some(vec![other.key, 999]), &[]);
        assert_eq!(numbers(&store, &named, size).await, sorted(&[&others, &profiles]));
        assert_eq!(numbers(&store, &all("", Some(vec![999]), &[]), size).await, profiles);
        assert_eq!(numbers(&store, &all("", None, &[Kind::RoomCreated]), size).await, [1, 2]);
    }
}

#[tokio::test]
async fn portion_of_all_rooms_ends_after_a_span_however_little_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let lab = room(&store, "lab").await;
    // As if most of the log had gone with its rooms.
    let far = move |tx: &mut Tx<'_>| {
        let sql = "insert into events (seq, room, kind, data) values (?1, ?2, 12, '{}')";
        tx.connection.execute(sql, params![70_000, lab.key + 1]).map_err(sql_error)?;
        Ok(())
    };
    store.write(far).await.unwrap();
    let scope = all("eve", None, &[Kind::RoomDeleted]);
    let first = Portion::Events { after: 0 };
    let narrowed = scope.clone();
    let reached = store.read(move |read| read.replay(&narrowed, first, &mut |_, _, _| true)).await.unwrap();
    assert_eq!(reached, Reached { cursor: 20_000, is_end: false });
    assert_eq!(numbers(&store, &scope, 1).await, [70_000], "a room that is gone is known by its end");
    assert_eq!(numbers(&store, &Scope::Room(lab.key + 1), 1).await, [70_000]);
}

/// A reader's bytes, as its connection takes them.
async fn read(store: &Store, scope: Scope, after: i64) -> BodyDataStream {
    // A host that never stops.
    let stopping = Box::leak(Box::new(watch::Sender::new(false))).subscribe();
    let reader = Reader::new(store.clone(), scope, Some(after), stopping, Vec::new()).await.expect("a reader");
    reader.into_response().into_body().into_data_stream()
}

/// Everything up to the first bytes that have `last` in them; to the end of the stream if it is empty.
async fn sent(body: &mut BodyDataStream, last: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while let Some(bytes) = body.next().await {
            text += std::str::from_utf8(&bytes.expect("bytes")).expect("UTF-8");
            if !last.is_empty() && text.contains(last) {
                return;
            }
        }
        assert!(last.is_empty(), "ended before {last}");
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("bytes in time");
    text
}

fn names(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("event:")).filter(|name| *name != "heartbeat").collect()
}

#[tokio::test]
async fn end_of_a_room_ends_its_streams_live_and_for_those_who_lag() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let lab = room(&store, "lab").await;
    let mut live = read(&store, Scope::Room(lab.key), 0).await;
    let mut all = read(&store, all("", None, &[]), 0).await;
    sent(&mut live, "heartbeat").await;
    sent(&mut all, "heartbeat").await;
    // One that takes nothing until the room is gone.
    let mut lagging = read(&store, Scope::Room(lab.key), 0).await;
    post(&store, &lab).await;
    store.write(move |tx| tx.record(Some(lab.key), Kind::RoomDeleted, |_| "{}".into())).await.unwrap();
    assert_eq!(names(&sent(&mut live, "").await), ["message", "room_deleted"]);
    assert_eq!(names(&sent(&mut lagging, "").await), ["room_created", "message", "room_deleted"]);
    profile(&store).await;
    assert_eq!(names(&sent(&mut all, "profile_updated").await), ["message", "room_deleted", "profile_updated"]);
}

#[tokio::test]
async fn trimmed_log_is_told_and_the_messages_that_are_kept_follow() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let (lab, other) = (room(&store, "lab").await, room(&store, "other").await);
    let (kept, elsewhere) = (post(&store, &lab).await, post(&store, &other).await);
    profile(&store).await;
    let newest = post(&store, &lab).await;
    let floor = newest - 1;
    // As trimming does: what is no message goes, and it is noted up to where.
    let trim = move |tx: &mut Tx<'_>| {
        tx.connection.execute("delete from events where seq <= ?1 and kind <> 1", [floor]).map_err(sql_error)?;
        let sql = "insert into counts (name, value) values ('log_floor', ?1)";
        tx.connection.execute(sql, [floor]).map_err(sql_error)?;
        tx.read().oldest_event()
    };
    let oldest = store.write(trim).await.unwrap();
    let reset =
        format!("event:reset\ndata:{{\"after\":1,\"head\":{newest},\"oldest_seq\":{oldest},\"reason\":\"trimmed\"}}");
    for (scope, wanted) in
        [(Scope::Room(lab.key), vec![kept, newest]), (all("", None, &[]), vec![kept, elsewhere, newest])]
    {
        let text = sent(&mut read(&store, scope, 1).await, "heartbeat").await;
        assert!(text.contains(&reset), "{text}");
        let ids: Vec<i64> =
            text.lines().filter_map(|line| line.strip_prefix("id:")).map(|id| id.parse().unwrap()).collect();
        assert_eq!(ids, wanted, "{text}");
    }
    let text = sent(&mut read(&store, Scope::Room(lab.key), floor).await, "heartbeat").await;
    assert_eq!(names(&text), ["message"], "the log reaches back to this one's place");
}

/// Somebody who may not see a room hears nothing of it live either.
#[tokio::test]
async fn direct_messages_are_live_for_their_two_people_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let (lab, secret) = (room(&store, "lab").await, dm(&store).await);
    let (mut bob, mut eve) =
        (read(&store, all("bob", None, &[]), 0).await, read(&store, all("eve", None, &[]), 0).await);
    sent(&mut bob, "heartbeat").await;
    sent(&mut eve, "heartbeat").await;
    let private = post(&store, &secret).await;
    store.bus().publish_ephemeral(secret.key, "typing", "{}");
    profile(&store).await;
    let public = post(&store, &lab).await;
    let last = format!("id:{public}\n");
    let (bobs, eves) = (sent(&mut bob, &last).await, sent(&mut eve, &last).await);
    assert_eq!(names(&bobs), ["message", "typing", "profile_updated", "message"]);
    let end = move |tx: &mut Tx<'_>| {
        tx.connection.execute("update rooms set type = 'deleted' where type = 'dm'", []).map_err(sql_error)?;
        tx.record(Some(secret.key), Kind::RoomDeleted, |_| r#"{"name":"dm:ann:bob"}"#.into())
    };
    store.write(end).await.unwrap();
    let last = format!("id:{}\n", post(&store, &lab).await);
    assert_eq!(names(&sent(&mut bob, &last).await), ["room_deleted", "message"]);
    assert_eq!(names(&sent(&mut eve, &last).await), ["message"]);
    let mut later = read(&store, all("eve", None, &[]), public).await;
    assert_eq!(names(&sent(&mut later, &last).await), ["message"], "nor in replay");
    assert_eq!(names(&eves), ["profile_updated", "message"]);
    assert!(bobs.contains(&format!("id:{private}\n")) && !eves.contains(&secret.id.to_string()));
}

#[tokio::test]
async fn room_of_direct_messages_is_there_for_its_two_people_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("arcuate.db"));
    let id = dm(&store).await.id;
    let person = |name: &str| Viewer::Person(name.into());
    for (viewer, sees) in [
        (person("ann"), true),
        (person("bob"), true),
        (Viewer::Everyone, true),
        (person("eve"), false),
        (person("Ann"), false),
        (person(""), false),
        (Viewer::Nobody, false),
    ] {
        let asked = viewer.clone();
        let found = store.read(move |read| read.visible_room(id, &asked)).await;
        let unknown = matches!(found, Err(Error::NotFound(_)));
        assert_eq!((found.is_ok(), unknown), (sees, !sees), "{viewer:?}");
    }
}
