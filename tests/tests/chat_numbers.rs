//! The numbers of the log from outside: what takes one, that they rise with the times, that none is given twice, and what is left of a
//! message that is deleted.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::wait::soon;
use reqwest::Method;
use serde_json::{Value, json};

async fn general(host: &Host) -> String {
    host.get("/api/v1/rooms").await.ok()[0]["id"].as_str().expect("a room").to_owned()
}

fn seq(message: &Value) -> i64 {
    message["seq"].as_i64().unwrap_or_else(|| panic!("no number: {message}"))
}

fn created(message: &Value) -> String {
    message["created_at"].as_str().unwrap_or_else(|| panic!("no time: {message}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_taken_by_events_alone_and_never_given_again() {
    let mut host = Host::start("").await;
    let general = general(&host).await;
    assert_eq!(seq(&host.say(&general, "first of all").await), 1, "the first room took none");
    let dm = json!({ "sender": "ada", "recipient": "bob", "content": "hi" });
    assert_eq!(seq(&host.post("/api/v1/dm", &dm).await.ok()["message"]), 2, "nor did their room");
    let made = host.post("/api/v1/rooms", &json!({ "name": "room" })).await.ok();
    let (room, key) = (made["id"].as_str().expect("an id"), made["admin_key"].as_str().expect("a key"));
    let last = host.say(room, "fourth: making the room was the third").await;
    assert_eq!(seq(&last), 4);
    let reading = json!({ "sender": "bob", "last_read_seq": 4 });
    let read = async || host.client().ask(Method::PUT, &format!("/api/v1/rooms/{room}/read")).json(&reading).await.ok();
    read().await;
    read().await;
    assert_eq!(seq(&host.say(room, "the position moved once").await), 6);
    host.client().ask(Method::DELETE, &format!("/api/v1/rooms/{room}")).token(key).await.ok();
    let newest = host.say(&general, "soon gone").await;
    assert_eq!(seq(&newest), 8);
    let place = format!("/api/v1/rooms/{general}/messages/{}?sender=ada", newest["id"].as_str().expect("an id"));
    host.client().ask(Method::DELETE, &place).await.ok();
    host.kill_9();
    host.start_again().await;
    let next = host.say(&general, "after all that").await;
    assert!(seq(&next) > 9, "{next}");
    assert!(created(&next) > created(&newest), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_rise_strictly_with_numbers_over_all_rooms() {
    const WRITERS: usize = 8;
    const EACH: usize = 20;
    let host = Host::start("").await;
    let rooms = [host.room("one").await, host.room("two").await];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, rooms) = (host.client().clone(), rooms.clone());
            tokio::spawn(async move {
                for number in 0..EACH {
                    let room = &rooms[(writer + number) % rooms.len()];
                    let said = json!({ "sender": "ada", "content": "x", "room_ids": rooms, "recipient": "bob" });
                    let path = match writer {
                        0 => "/api/v1/broadcast".to_owned(),
                        1 => "/api/v1/dm".to_owned(),
                        _ => format!("/api/v1/rooms/{room}/messages"),
                    };
                    client.post(&path, &said).await.ok();
                }
            })
        })
        .collect();
    for writer in writers {
        soon("a writer", writer).await.expect("it writes");
    }
    let events = host.get("/api/v1/activity?limit=500").await.ok()["events"].clone();
    let events = events.as_array().expect("a list of events");
    assert_eq!(events.len(), (WRITERS + 1) * EACH, "a broadcast is two");
    for pair in events.windows(2) {
        assert!(seq(&pair[0]) > seq(&pair[1]) && created(&pair[0]) > created(&pair[1]), "{pair:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_message_is_shown_by_nothing() {
    let host = Host::start("").await;
    let made = host.post("/api/v1/rooms", &json!({ "name": "room" })).await.ok();
    let (room, key) = (made["id"].as_str().expect("an id"), made["admin_key"].as_str().expect("a key"));
    let messages = format!("/api/v1/rooms/{room}/messages");
    let root = host.say(room, "root").await;
    let secret = json!({ "sender": "ada", "content": "@bob the secretword", "metadata": { "k": "secretword" }, "reply_to": root["id"] });
    let secret = host.post(&messages, &secret).await.ok();
    let place = format!("{messages}/{}", secret["id"].as_str().expect("an id"));
    let below = json!({ "sender": "ada", "content": "below", "reply_to": secret["id"] });
    let below = host.post(&messages, &below).await.ok();
    let ask = |method, path: &str| host.client().ask(method, path);
    let edited = json!({ "sender": "ada", "content": "@bob the secretword, again" });
    ask(Method::PUT, &place).json(&edited).await.ok();
    ask(Method::POST, &format!("{place}/pin")).token(key).await.ok();
    host.post(&format!("{place}/reactions"), &json!({ "sender": "bob", "emoji": "👍" })).await.ok();

    let mut replay = Stream::open(host.client(), room, "?after=0", &[]).await;
    let events = replay.until(|event| event.name == "reaction_added").await;
    for event in events.iter().filter(|event| ["message_edited", "message_pinned"].contains(&&*event.name)) {
        assert_eq!(event.data["seq"], secret["seq"], "the message's own number");
        assert!(event.id > secret["seq"].as_i64(), "behind its event's");
    }
    let added = events.last().expect("an event");
    assert_eq!(added.data["seq"].as_i64(), added.id, "what has no number of its own has the event's");
    let searched = "/api/v1/search?q=secretword";
    assert_eq!(host.get(searched).await.ok()["count"], 1);

    ask(Method::DELETE, &format!("{place}?sender=ada")).await.ok();
    let root_thread = format!("{messages}/{}/thread", root["id"].as_str().expect("an id"));
    for path in [
        "/api/v1/activity",
        "/api/v1/mentions?target=bob",
        "/api/v1/mentions/unread?target=bob",
        "/api/v1/unread?sender=bob",
        "/api/v1/rooms",
        &messages,
        &format!("/api/v1/rooms/{room}/pins"),
        &format!("/api/v1/rooms/{room}/reactions"),
        &format!("/api/v1/rooms/{room}/export?include_metadata=true"),
        &format!("/api/v1/rooms/{room}/export?format=csv"),
        &format!("/api/v1/rooms/{room}/export?format=markdown"),
        &root_thread,
    ] {
        let answer = host.get(path).await;
        assert_eq!(answer.status, 200, "{answer}");
        assert!(!answer.text.contains("secretword") && !answer.text.contains("👍"), "{answer}");
    }
    assert_eq!(host.get(searched).await.ok()["count"], 0);
    assert_eq!(host.get("/api/v1/mentions/unread?target=bob").await.ok()["total_unread"], 0);
    let stats = host.get("/api/v1/stats").await.ok();
    assert_eq!((&stats["messages"], &stats["pins"], &stats["reactions"]), (&json!(2), &json!(0), &json!(0)), "{stats}");
    let below_thread = format!("{messages}/{}/thread", below["id"].as_str().expect("an id"));
    let thread = host.get(&below_thread).await.ok();
    assert_eq!((&thread["root"]["id"], &thread["root"]["reply_to"]), (&below["id"], &secret["id"]), "it is a root now");
    for path in ["thread", "edits", "reactions"] {
        host.get(&format!("{place}/{path}")).await.refused(404, "Message not found in this room");
    }
    for mut stream in [
        Stream::open(host.client(), room, "?after=0", &[]).await,
        Stream::open_all(host.client(), "?after=0", &[]).await,
    ] {
        let events = stream.until(|event| event.name == "message_deleted").await;
        assert!(!format!("{events:?}").contains("secretword"), "{events:#?}");
        let emptied = events.iter().filter(|event| event.data["deleted"] == true).map(|event| &*event.name);
        assert_eq!(emptied.collect::<Vec<_>>(), ["message", "message_edited", "message_pinned"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_whose_payload_has_no_number_carry_their_own() {
    let host = Host::start("").await;
    let made = host.post("/api/v1/rooms", &json!({ "name": "room" })).await.ok();
    let (room, key) = (made["id"].as_str().expect("an id"), made["admin_key"].as_str().expect("a key"));
    let place = format!("/api/v1/rooms/{room}");
    let said = host.say(room, "x").await;
    let message = format!("{place}/messages/{}", said["id"].as_str().expect("an id"));
    let ask = |method, path: String| host.client().ask(method, &path).header("x-admin-key", key);
    ask(Method::PUT, message.clone()).json(&json!({ "sender": "ada", "content": "y" })).await.ok();
    ask(Method::POST, format!("{message}/pin")).await.ok();
    ask(Method::DELETE, format!("{message}/pin")).await.ok();
    let reaction = json!({ "sender": "bob", "emoji": "👍" });
    host.post(&format!("{message}/reactions"), &reaction).await.ok();
    host.post(&format!("{message}/reactions"), &reaction).await.ok();
    let file = json!({ "sender": "ada", "filename": "a", "data": "YQ==" });
    let file = host.post(&format!("{place}/files"), &file).await.ok();
    ask(Method::DELETE, format!("{place}/files/{}", file["id"].as_str().expect("an id"))).await.ok();
    ask(Method::PUT, place.clone()).json(&json!({ "description": "d" })).await.ok();
    ask(Method::POST, format!("{place}/archive")).await.ok();
    ask(Method::POST, format!("{place}/unarchive")).await.ok();
    ask(Method::PUT, format!("{place}/read"))
        .json(&json!({ "sender": "bob", "last_read_seq": said["seq"] }))
        .await
        .ok();
    ask(Method::PUT, format!("{place}/bookmark")).json(&json!({ "sender": "bob" })).await.ok();
    ask(Method::DELETE, format!("{place}/bookmark?sender=bob")).await.ok();
    ask(Method::PUT, "/api/v1/profiles/bob".into()).json(&json!({ "bio": "b" })).await.ok();
    assert_eq!(ask(Method::DELETE, "/api/v1/profiles/bob".into()).await.status, 204);
    ask(Method::DELETE, format!("{message}?sender=ada")).await.ok();
    let mut stream = Stream::open_all(host.client(), "?after=0", &[]).await;
    let events = stream.until(|event| event.name == "message_deleted").await;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=18).map(Some).collect::<Vec<_>>(), "{events:#?}");
    for event in events {
        let has_its_own = ["message_edited", "message_pinned"].contains(&&*event.name);
        let wanted = if has_its_own { said["seq"].as_i64() } else { event.id };
        assert_eq!(event.data["seq"].as_i64(), wanted, "{event:?}");
    }
}
