//! Reactions: put on, taken off, counted by message and by room.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";

fn path(message: &Value) -> String {
    let id = |name: &str| message[name].as_str().expect("an id").to_owned();
    format!("/api/v1/rooms/{}/messages/{}/reactions", id("room_id"), id("id"))
}

async fn react(host: &Host, message: &Value, sender: &str, emoji: &str) -> Value {
    host.post(&path(message), &json!({ "sender": sender, "emoji": emoji })).await.ok()
}

fn summary(emoji: &str, senders: &[&str]) -> Value {
    json!({ "emoji": emoji, "count": senders.len(), "senders": senders })
}

#[tokio::test(flavor = "multi_thread")]
async fn reaction_is_toggled_and_streamed() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let message = host.say(&room, "soup?").await;
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let added = react(&host, &message, " bob ", " 👍 ").await;
    let wanted = json!({
        "id": added["id"], "message_id": message["id"], "room_id": room, "sender": "bob", "emoji": "👍",
        "created_at": added["created_at"],
    });
    assert_eq!(added, wanted);
    assert!(added["created_at"].as_str() > message["created_at"].as_str() && added["id"].is_string());
    let event = stream.next_real().await.expect("an event");
    let mut payload = added.clone();
    payload["seq"] = json!(event.id);
    assert_eq!((event.name.as_str(), &event.data), ("reaction_added", &payload));
    let removed = react(&host, &message, "bob", "👍").await;
    let mut wanted = added.clone();
    wanted["created_at"] = json!("");
    assert_eq!(removed, wanted, "200 both ways, with the same id");
    let event = stream.next_real().await.expect("an event");
    wanted["seq"] = json!(event.id);
    assert_eq!((event.name.as_str(), &event.data), ("reaction_removed", &wanted));
    let listed = host.get(&path(&message)).await.ok();
    assert_eq!(listed, json!({ "message_id": message["id"], "reactions": [], "cursor": null }));
    assert_ne!(react(&host, &message, "bob", "👍").await["id"], added["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_listed_by_first_use() {
    let host = Host::start("").await;
    let (room, other) = (host.room("room").await, host.room("other").await);
    let (first, second) = (host.say(&room, "1").await, host.say(&room, "2").await);
    let elsewhere = host.say(&other, "3").await;
    host.say(&room, "nobody reacts").await;
    for (message, sender, emoji) in [
        (&second, "ann", "zzz"),
        (&first, "bob", "👍"),
        (&first, "ann", "a"),
        (&first, "a,b", "👍"),
        (&elsewhere, "ann", "👍"),
        (&first, "bob", "a"),
        (&second, "bob", "👍"),
    ] {
        react(&host, message, sender, emoji).await;
    }
    let of_first = json!([summary("👍", &["bob", "a,b"]), summary("a", &["ann", "bob"])]);
    assert_eq!(host.get(&path(&first)).await.ok()["reactions"], of_first);
    let of_second = json!([summary("zzz", &["ann"]), summary("👍", &["bob"])]);
    let id = |message: &Value| message["id"].as_str().expect("an id").to_owned();
    let all = host.get(&format!("/api/v1/rooms/{room}/reactions")).await.ok();
    let wanted =
        json!({ "room_id": room, "reactions": { id(&first): of_first, id(&second): of_second }, "cursor": null });
    assert_eq!(all, wanted);

    let page = host.get(&format!("/api/v1/rooms/{room}/reactions?limit=1")).await.ok();
    assert_eq!(page["reactions"], json!({ id(&first): of_first }));
    let cursor = page["cursor"].as_str().expect("another page");
    let page = host.get(&format!("/api/v1/rooms/{room}/reactions?limit=1&cursor={cursor}")).await.ok();
    assert_eq!((&page["reactions"], &page["cursor"]), (&json!({ id(&second): of_second }), &Value::Null));
    let page = host.get(&format!("{}?limit=1", path(&first))).await.ok();
    assert_eq!(page["reactions"], json!([of_first[0]]));
    let cursor = page["cursor"].as_str().expect("another page");
    let page = host.get(&format!("{}?limit=1&cursor={cursor}", path(&first))).await.ok();
    assert_eq!((&page["reactions"], &page["cursor"]), (&json!([of_first[1]]), &Value::Null));

    let message = path(&first);
    let message = message.strip_suffix("/reactions").expect("its path");
    host.client().ask(Method::DELETE, &format!("{message}?sender=ada")).await.ok();
    let left = host.get(&format!("/api/v1/rooms/{room}/reactions")).await.ok();
    assert_eq!(left["reactions"], json!({ id(&second): of_second }), "they go with their message");
}

#[tokio::test(flavor = "multi_thread")]
async fn reaction_is_removed_by_name() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let message = host.say(&room, "x").await;
    react(&host, &message, "bob", "👍").await;
    let ask = |query: &str| host.client().ask(Method::DELETE, &format!("{}{query}", path(&message)));
    ask("?emoji=👍").await.refused(422, "sender");
    ask("?sender=bob").await.refused(422, "emoji");
    for empty in ["?sender=&emoji=👍", "?sender=bob&emoji=", "?sender=%20&emoji=%20"] {
        ask(empty).await.refused(400, "Sender and emoji are required");
    }
    ask("?sender=ann&emoji=👍").await.refused(404, "Reaction not found");
    ask("?sender=bob&emoji=👎").await.refused(404, "Reaction not found");
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    assert_eq!(ask("?sender=%20bob&emoji=👍").await.ok(), json!({ "status": "removed" }));
    assert_eq!(stream.next_real().await.expect("an event").name, "reaction_removed");
    ask("?sender=bob&emoji=👍").await.refused(404, "Reaction not found");
    let unknown = format!("/api/v1/rooms/{room}/messages/{UNKNOWN}/reactions?sender=bob&emoji=x");
    host.client().ask(Method::DELETE, &unknown).await.refused(404, "Message not found in this room");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_reactions_are_refused() {
    let host = Host::start("").await;
    let (room, other) = (host.room("room").await, host.room("other").await);
    let (message, elsewhere) = (host.say(&room, "x").await, host.say(&other, "x").await);
    let post = async |body: Value| host.post(&path(&message), &body).await;
    for emoji in ["", " \n"] {
        post(json!({ "sender": "bob", "emoji": emoji })).await.refused(400, "Emoji must not be empty");
    }
    for emoji in [&"x".repeat(33), &"👍".repeat(33)] {
        post(json!({ "sender": "bob", "emoji": emoji })).await.refused(400, "Emoji too long (max 32 characters)");
    }
    post(json!({ "sender": "bob", "emoji": "a\0" })).await.refused(400, "NUL");
    for sender in ["", " ", "a\0", &"x".repeat(101)] {
        post(json!({ "sender": sender, "emoji": "x" })).await.refused(400, "Sender must be 1-100 characters");
    }
    for (body, field) in [
        (json!({ "emoji": "x" }), "sender"),
        (json!({ "sender": "bob" }), "emoji"),
        (json!({ "sender": 1, "emoji": "x" }), "sender"),
        (json!({ "sender": "bob", "emoji": null }), "emoji"),
    ] {
        post(body).await.refused(422, field);
    }
    for emoji in [&"x".repeat(32), &"👍".repeat(32)] {
        post(json!({ "sender": "bob", "emoji": emoji })).await.ok();
    }
    let id = elsewhere["id"].as_str().expect("an id");
    for place in [format!("{room}/messages/{id}"), format!("{room}/messages/x"), format!("nowhere/messages/{id}")] {
        let path = format!("/api/v1/rooms/{place}/reactions");
        host.get(&path).await.refused(404, "Message not found in this room");
        let body = json!({ "sender": "bob", "emoji": "x" });
        host.post(&path, &body).await.refused(404, "Message not found in this room");
    }
    host.get("/api/v1/rooms/nowhere/reactions").await.refused(404, "Room not found");
}
