//! Messages that are edited and deleted: by whom, what is left of them, and what listeners and platforms hear.

use arcuate_tests::client::Answer;
use arcuate_tests::events::Stream;
use arcuate_tests::guest::{Guest, door_of};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";

fn path(message: &Value) -> String {
    let id = |name: &str| message[name].as_str().expect("an id").to_owned();
    format!("/api/v1/rooms/{}/messages/{}", id("room_id"), id("id"))
}

/// A room and its key.
async fn keyed_room(host: &Host, name: &str) -> (String, String) {
    let made = host.post("/api/v1/rooms", &json!({ "name": name })).await.ok();
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), text("admin_key"))
}

async fn edit(host: &Host, path: &str, body: Value) -> Answer {
    host.client().ask(Method::PUT, path).json(&body).await
}

async fn delete(host: &Host, path: &str) -> Answer {
    host.client().ask(Method::DELETE, path).await
}

async fn contents(host: &Host, room: &str) -> Vec<String> {
    let list = host.get(&format!("/api/v1/rooms/{room}/messages?limit=500")).await.ok();
    list.as_array().expect("a list").iter().map(|message| message["content"].as_str().expect("a text").into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_message_shows_its_new_text_and_keeps_the_old_ones() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let metadata = json!({ "mood": "calm" });
    let body = json!({ "sender": "ada", "content": "one", "metadata": metadata, "sender_type": "human" });
    let posted = host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok();
    assert_eq!((posted.get("edited_at"), posted.get("edit_count")), (None, None));
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let edited =
        edit(&host, &path(&posted), json!({ "sender": " ada ", "content": " two ", "metadata": null })).await.ok();
    let mut wanted = posted.clone();
    (wanted["content"], wanted["edit_count"], wanted["edited_at"]) =
        (json!("two"), json!(1), edited["edited_at"].clone());
    assert_eq!(edited, wanted, "all else stays, also its number");
    assert!(edited["edited_at"].as_str() > posted["created_at"].as_str());
    let event = stream.next_real().await.expect("an event");
    assert_eq!((event.name.as_str(), &event.data), ("message_edited", &edited));
    assert!(event.id > posted["seq"].as_i64(), "the event has a number of its own");
    let again = edit(&host, &path(&posted), json!({ "sender": "ada", "content": "three", "metadata": [1] })).await.ok();
    assert_eq!((&again["metadata"], &again["edit_count"]), (&json!([1]), &json!(2)));
    assert_eq!(contents(&host, &room).await, ["three"]);

    let history = host.get(&format!("{}/edits", path(&posted))).await.ok();
    assert_eq!(history["edit_count"], 2);
    assert_eq!((&history["message_id"], &history["current_content"]), (&posted["id"], &json!("three")));
    assert_eq!(history["cursor"], Value::Null);
    let first = &history["edits"][0];
    let wanted = json!({
        "id": first["id"], "message_id": posted["id"], "previous_content": "one",
        "edited_at": edited["edited_at"], "editor": "ada",
    });
    assert_eq!(*first, wanted);
    assert_eq!(history["edits"][1]["previous_content"], "two");
    assert!(first["id"].is_string() && first["id"] != history["edits"][1]["id"]);
    let page = host.get(&format!("{}/edits?limit=1", path(&posted))).await.ok();
    let cursor = page["cursor"].as_str().expect("another page");
    let next = host.get(&format!("{}/edits?limit=1&cursor={cursor}", path(&posted))).await.ok();
    assert_eq!(
        (&next["edits"][0], &next["cursor"], &next["edit_count"]),
        (&history["edits"][1], &Value::Null, &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unedited_message_has_an_empty_history() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let posted = host.say(&room, "x").await;
    let history = host.get(&format!("{}/edits", path(&posted))).await.ok();
    let wanted =
        json!({ "message_id": posted["id"], "current_content": "x", "edits": [], "edit_count": 0, "cursor": null });
    assert_eq!(history, wanted);
    for (room, message) in
        [(room.as_str(), UNKNOWN), (room.as_str(), "first"), ("nowhere", UNKNOWN), (UNKNOWN, UNKNOWN)]
    {
        let path = format!("/api/v1/rooms/{room}/messages/{message}");
        host.get(&format!("{path}/edits")).await.refused(404, "Message not found in this room");
    }
    host.get(&format!("{}/edits?limit=x", path(&posted))).await.refused(400, "'limit'");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sender_edits_and_mistakes_are_told_in_order() {
    let host = Host::start("").await;
    let (room, other) = (host.room("room").await, host.room("other").await);
    let posted = host.say(&room, "mine").await;
    let place = path(&posted);
    edit(&host, &place, json!({ "sender": "bob", "content": "yours" }))
        .await
        .refused(403, "Only the original sender can edit this message");
    let body = json!({ "sender": "ada", "content": "new" });
    let elsewhere = format!("/api/v1/rooms/{other}/messages/{}", posted["id"].as_str().expect("an id"));
    for unknown in [
        elsewhere,
        format!("/api/v1/rooms/{room}/messages/{UNKNOWN}"),
        format!("/api/v1/rooms/{room}/messages/x"),
        format!("/api/v1/rooms/nowhere/messages/{UNKNOWN}"),
    ] {
        edit(&host, &unknown, body.clone()).await.refused(404, "Message not found");
        edit(&host, &unknown, json!({ "sender": "", "content": "new" }))
            .await
            .refused(400, "Sender must be 1-100 characters");
    }
    for sender in ["", " ", "a\0", &"é".repeat(101)] {
        edit(&host, &place, json!({ "sender": sender, "content": "x" }))
            .await
            .refused(400, "Sender must be 1-100 characters");
    }
    for content in ["", "\n", "a\0", &"é".repeat(10_001)] {
        edit(&host, &place, json!({ "sender": "ada", "content": content }))
            .await
            .refused(400, "Content must be 1-10000 characters");
    }
    edit(&host, &place, json!({ "sender": "ada", "content": "x", "metadata": "x".repeat(70_000) }))
        .await
        .refused(400, "metadata");
    for (body, field) in [
        (json!({ "content": "x" }), "sender"),
        (json!({ "sender": null, "content": "x" }), "sender"),
        (json!({ "sender": "ada" }), "content"),
        (json!({ "sender": "ada", "content": 1 }), "content"),
    ] {
        edit(&host, &place, body).await.refused(422, field);
    }
    host.client().ask(Method::PUT, &place).body("{}").await.refused(415, "application/json");
    assert_eq!(contents(&host, &room).await, ["mine"]);
    edit(&host, &place, json!({ "sender": "ada", "content": "é".repeat(10_000) })).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_message_is_gone_and_its_events_are_empty() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let (first, second) = (host.say(&room, "secret").await, host.say(&room, "other").await);
    edit(&host, &path(&first), json!({ "sender": "ada", "content": "more secret" })).await.ok();
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let deleted = delete(&host, &format!("{}?sender=ada", path(&first))).await.ok();
    assert_eq!(deleted, json!({ "deleted": true }));
    let event = stream.next_real().await.expect("an event");
    let wanted = json!({ "id": first["id"], "room_id": room, "seq": event.id });
    assert_eq!((event.name.as_str(), event.data), ("message_deleted", wanted));
    assert_eq!(contents(&host, &room).await, ["other"]);
    host.get(&format!("{}/edits", path(&first))).await.is(404);
    delete(&host, &format!("{}?sender=ada", path(&first))).await.refused(404, "Message not found");
    let mut replay = Stream::open(host.client(), &room, "?after=0", &[]).await;
    let events = replay.until(|event| event.name == "message_deleted").await;
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["room_created", "message", "message", "message_edited", "message_deleted"]);
    for place in [1, 3] {
        let data = &events[place].data;
        assert_eq!((&data["content"], &data["metadata"], &data["deleted"]), (&json!(""), &json!({}), &json!(true)));
        assert_eq!(data["id"], first["id"]);
    }
    assert_eq!(events[2].data, second, "the others stay as they were");
    let next = host.say(&room, "next").await;
    assert!(next["seq"].as_i64() > event.id, "numbers are never given again");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_deleted_by_their_sender_or_with_the_rooms_key() {
    let host = Host::start("").await;
    let ((room, key), (_, other_key)) = (keyed_room(&host, "room").await, keyed_room(&host, "other").await);
    let mut posted = Vec::new();
    for number in 0..5 {
        posted.push(path(&host.say(&room, &number.to_string()).await));
    }
    let ask = |place: &str| host.client().ask(Method::DELETE, place);
    ask(&posted[0]).await.refused(400, "Sender query parameter required (or use room admin key)");
    ask(&format!("{}?sender=", posted[0])).await.refused(400, "Sender query parameter required");
    ask(&format!("{}?sender=bob", posted[0])).await.refused(403, "Only the original sender can delete this message");
    ask(&posted[0]).token(&other_key).await.refused(400, "Sender query parameter required (or use room admin key)");
    let wrong_key = ask(&format!("{}?sender=bob", posted[0])).token("chat_wrong").await;
    wrong_key.refused(403, "Only the original sender can delete this message");
    ask(&format!("{}?sender=ada", posted[0])).token(&other_key).await.ok();
    ask(&posted[1]).token(&key).await.ok();
    ask(&posted[2]).header("x-admin-key", &key).await.ok();
    ask(&format!("{}?sender=bob", posted[3])).header("x-admin-key", &key).await.ok();
    host.operator().ask(Method::DELETE, &posted[4]).await.ok();
    assert!(contents(&host, &room).await.is_empty());
    for place in [
        format!("/api/v1/rooms/{room}/messages/x?sender=ada"),
        format!("/api/v1/rooms/x/messages/{UNKNOWN}?sender=ada"),
    ] {
        ask(&place).await.refused(404, "Message not found");
    }
    ask(&format!("/api/v1/rooms/{room}/messages/{UNKNOWN}?sender={}", "x".repeat(101))).await.refused(400, "Sender");
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_that_waits_shows_the_edited_text_and_fails_once_its_message_is_deleted() {
    const PUB: &str =
        "[plugins.pub]\nlibrary = \"tcp_chat\"\nenabled = true\n[plugins.pub.settings]\naway_seconds = 0.05\n";
    let host = Host::start(PUB).await;
    let door = door_of(&host, "pub").await;
    let mut ada = Guest::enter(door, "Ada").await;
    ada.say("back soon").await;
    let conversation = async || {
        let list = host.get("/api/v1/conversations").await.ok();
        list["conversations"][0]["room_id"].as_str().map(ToOwned::to_owned)
    };
    let room = until_async("the conversation is there", PATIENCE, conversation).await;
    drop(ada);
    let say = async |text: &str| host.say(&room, text).await;
    let question = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok()[0].clone();
    let answer = json!({ "sender": "ada", "content": "draft", "reply_to": question["id"] });
    let edited = host.post(&format!("/api/v1/rooms/{room}/messages"), &answer).await.ok();
    let away = async || {
        let jobs = host.operator().get("/api/v1/admin/queue?state=pending&plugin=pub").await.ok();
        jobs["jobs"][0]["last_error"].as_str().is_some_and(|why| why.contains("away")).then_some(())
    };
    until_async("the delivery waits for the guest", PATIENCE, away).await;
    let (deleted, kept) = (say("mistake").await, say("and on").await);
    edit(&host, &path(&edited), json!({ "sender": "ada", "content": "final" })).await.ok();
    delete(&host, &format!("{}?sender=ada", path(&deleted))).await.ok();
    let mut ada = Guest::enter(door, "Ada").await;
    assert_eq!(ada.hears().await, "ada: final");
    assert_eq!(ada.hears().await, "ada: and on");
    let failed = host.operator().get("/api/v1/admin/queue?state=failed&plugin=pub").await.ok();
    assert_eq!(failed["jobs"][0]["last_error"], "the message was deleted before it was its turn", "{failed}");
    assert_eq!(failed["jobs"].as_array().map(Vec::len), Some(1));
    assert!(kept["seq"].as_i64() > deleted["seq"].as_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_messages_do_not_block_the_inbox_of_pollers() {
    let inbox = "[bridge]\napi_key = \"poller\"\n[[routes]]\nfrom = \"bridge\"\nto = \"inbox\"\n";
    let host = Host::start(inbox).await;
    let visitor = Visitor::new(host.client(), "session_1");
    for text in ["one", "two", "three"] {
        visitor.say(text).await;
    }
    let poller = host.client().with_token("poller");
    let leased = poller.get("/api/v1/?action=inbox&limit=1&ack=manual").await;
    let listed = host.get("/api/v1/conversations").await.ok();
    let room = listed["conversations"][0]["room_id"].as_str().expect("a room").to_owned();
    let list = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok();
    for message in list.as_array().expect("messages").iter().take(2) {
        host.operator().ask(Method::DELETE, &path(message)).await.ok();
    }
    let data = poller.get("/api/v1/?action=inbox&limit=1").await.data();
    assert_eq!(data["messages"][0]["message"], "three", "{data} (leased before: {leased})");
    assert_eq!(data["pagination"]["total"], 1, "what was deleted is not counted: {data}");
}
