//! The end of a room: at once for everybody, and in the end nothing is left of it, whatever happens in between.

use arcuate::auth::digest;
use arcuate::store::{Draft, NewRoom, Options, Store, Viewer};
use arcuate_tests::client::Asked;
use arcuate_tests::events::Stream;
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::until_is;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const ROOMS: &str = "/api/v1/rooms";

fn delete(host: &Host, room: &str, key: &str) -> Asked {
    host.client().ask(Method::DELETE, &format!("{ROOMS}/{room}")).token(key)
}

/// Rows of a table; the host may be running.
fn count(store: &Path, sql: &str) -> i64 {
    let connection = Connection::open(store).expect("the store opens");
    connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Waits until nothing but the event of its end is left of the first room that was made.
async fn until_purged(store: &Path, room: i64) {
    let rooms = format!("select count(*) from rooms where key = {room}");
    until_is(|| count(store, &rooms), |left| *left == 0).await;
    assert_eq!(count(store, &format!("select count(*) from events where room = {room}")), 1);
    assert_eq!(count(store, &format!("select kind from events where room = {room}")), 12);
    for table in ["messages", "participants", "participant_blocks", "message_gaps", "room_state", "bookmarks"] {
        assert_eq!(count(store, &format!("select count(*) from {table} where room = {room}")), 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_room_is_unknown_at_once_and_its_name_is_free() {
    let host = Host::start("").await;
    let made = host.post(ROOMS, &json!({ "name": "kitchen" })).await.ok();
    let (room, key) = (made["id"].as_str().expect("an id"), made["admin_key"].as_str().expect("a key"));
    host.say(room, "secret soup").await;
    host.client().ask(Method::PUT, &format!("{ROOMS}/{room}/bookmark")).json(&json!({ "sender": "ada" })).await.ok();
    let mut stream = Stream::open(host.client(), room, "", &[]).await;
    host.client().ask(Method::DELETE, &format!("{ROOMS}/{room}")).await.refused(401, "admin key");
    delete(&host, room, "chat_wrong").await.refused(403, "Invalid admin key for this room");
    delete(&host, "unknown", key).await.refused(404, "Room not found");
    assert_eq!(delete(&host, room, key).await.ok(), json!({ "deleted": true }));
    let event = stream.next_real().await.expect("an event");
    assert_eq!(event.name, "room_deleted");
    assert_eq!(event.data, json!({ "id": room, "room_id": room, "name": "kitchen", "seq": event.id }));
    for path in ["", "/messages", "/stream", "/export"] {
        host.get(&format!("{ROOMS}/{room}{path}")).await.refused(404, "Room not found");
    }
    let words = json!({ "sender": "ada", "content": "x" });
    host.post(&format!("{ROOMS}/{room}/messages"), &words).await.refused(404, "Room not found");
    delete(&host, room, key).await.refused(404, "Room not found");
    assert_eq!(host.get("/api/v1/bookmarks?sender=ada").await.ok()["count"], 0);
    let totals = host.get("/api/v1/stats").await.ok();
    assert_eq!((&totals["rooms"], &totals["messages"], &totals["bookmarks"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(totals["by_sender_type"], json!({ "agent": 0, "human": 0, "unspecified": 0 }));
    host.room("kitchen").await;
    until_purged(&host.store(), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visitor_of_a_deleted_room_gets_a_new_one() {
    let host = Host::start("").await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello").await;
    visitor.hears(1).await;
    let conversations = host.operator().get("/api/v1/admin/conversations").await.ok();
    let room = conversations["conversations"][0]["room_id"].as_str().expect("a room").to_owned();
    host.operator().ask(Method::DELETE, &format!("{ROOMS}/{room}")).await.ok();
    let conversations = host.operator().get("/api/v1/admin/conversations").await.ok();
    assert_eq!(conversations["conversations"], json!([]));
    until_purged(&host.store(), 2).await;
    assert_eq!(count(&host.store(), "select count(*) from conversations"), 0);
    assert_eq!(count(&host.store(), "select count(*) from bridge_responses"), 0);
    visitor.say("Hello again").await;
    let conversations = host.operator().get("/api/v1/admin/conversations").await.ok();
    assert_ne!(conversations["conversations"][0]["room_id"], Value::from(room));
}

/// A room with so many messages, made before the host starts.
async fn fill(store: &Path, messages: usize) {
    let options = Options { path: store.into(), full_durability: false, readers: 1, existing: false };
    let (store, _) = Store::open(&options, Arc::default()).expect("the store opens");
    store.write(|tx| tx.seed_general()).await.expect("a first room");
    let admin_key = digest("chat_key").to_vec();
    let room = NewRoom { name: "large".into(), created_by: "me".into(), admin_key, ..NewRoom::default() };
    let room = store.write(move |tx| tx.create_room(&room, |_| "{}".into())).await.expect("a room").id;
    let fill = store.write(move |tx| {
        for number in 0..messages {
            let draft =
                Draft::new(room, &format!("sender {}", number % 600), "soup for @bob", &json!({}), Some("agent"))?;
            tx.post_message(&draft, None, &Viewer::Everyone)?;
        }
        Ok(())
    });
    fill.await.expect("messages");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_goes_on_after_a_kill() {
    let setup = Setup::new("");
    let store = setup.folder().join("data/arcuate.db");
    fill(&store, 4000).await;
    let mut host = setup.start().await;
    let rooms = host.get(ROOMS).await.ok();
    assert_eq!((&rooms[0]["name"], &rooms[0]["message_count"]), (&json!("large"), &json!(4000)));
    let room = rooms[0]["id"].as_str().expect("an id").to_owned();
    delete(&host, &room, "chat_key").await.ok();
    host.kill_9();
    assert!(count(&store, "select count(*) from messages") > 0, "it was killed in the middle");
    host.start_again().await;
    host.get(&format!("{ROOMS}/{room}")).await.refused(404, "Room not found");
    let general = host.get(ROOMS).await.ok()[0]["id"].as_str().expect("an id").to_owned();
    host.say(&general, "posts go on").await;
    until_purged(&store, 2).await;
    let totals = host.get("/api/v1/stats").await.ok();
    assert_eq!((&totals["messages"], &totals["rooms"]), (&json!(1), &json!(1)));
    assert_eq!(totals["by_sender_type"], json!({ "agent": 0, "human": 0, "unspecified": 1 }));
    assert_eq!(count(&store, "select count(*) from messages_search"), 1);
    assert_eq!(count(&store, "select count(*) from mentions"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn general_that_was_deleted_stays_deleted() {
    let mut host = Host::start("").await;
    let general = host.get(ROOMS).await.ok()[0]["id"].as_str().expect("an id").to_owned();
    host.operator().ask(Method::DELETE, &format!("{ROOMS}/{general}")).await.ok();
    host.terminate().await;
    host.start_again().await;
    assert_eq!(host.get(ROOMS).await.ok(), json!([]));
}
