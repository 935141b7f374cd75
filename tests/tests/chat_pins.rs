//! Pins: who may set them, what they show, in which order they are listed.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";

/// A room and its key.
async fn keyed_room(host: &Host, name: &str) -> (String, String) {
    let made = host.post("/api/v1/rooms", &json!({ "name": name })).await.ok();
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), text("admin_key"))
}

fn pin_path(message: &Value) -> String {
    let id = |name: &str| message[name].as_str().expect("an id").to_owned();
    format!("/api/v1/rooms/{}/messages/{}/pin", id("room_id"), id("id"))
}

async fn pins(host: &Host, room: &str) -> Value {
    host.get(&format!("/api/v1/rooms/{room}/pins")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_message_shows_when_and_by_whom() {
    let host = Host::start("").await;
    let (room, key) = keyed_room(&host, "room").await;
    let message = host.say(&room, "rules").await;
    let edit = json!({ "sender": "ada", "content": "the rules" });
    let place = pin_path(&message);
    host.client().ask(Method::PUT, place.strip_suffix("/pin").expect("its path")).json(&edit).await.ok();
    assert_eq!(pins(&host, &room).await, json!([]));
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let pinned = host.client().ask(Method::POST, &place).token(&key).await.ok();
    let listed = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok()[0].clone();
    assert_eq!((&pinned["pinned_by"], &pinned["content"]), (&json!("admin"), &json!("the rules")));
    assert!(pinned["pinned_at"].as_str() > message["created_at"].as_str());
    assert_eq!((listed["edit_count"].as_i64(), pinned.get("edit_count")), (Some(1), None));
    let mut without = listed.clone();
    without.as_object_mut().expect("a message").remove("edit_count");
    assert_eq!(pinned, without, "otherwise as the message itself");
    assert_eq!(pins(&host, &room).await, json!([pinned]));
    let event = stream.next_real().await.expect("an event");
    assert_eq!((event.name.as_str(), &event.data), ("message_pinned", &pinned));
    host.client().ask(Method::POST, &place).token(&key).await.refused(409, "Message is already pinned");

    let unpinned = host.client().ask(Method::DELETE, &place).header("x-admin-key", &key).await.ok();
    assert_eq!(unpinned, json!({ "status": "unpinned", "message_id": message["id"], "room_id": room }));
    let event = stream.next_real().await.expect("an event");
    let wanted = json!({ "id": message["id"], "room_id": room, "seq": event.id });
    assert_eq!((event.name.as_str(), event.data), ("message_unpinned", wanted));
    host.client().ask(Method::DELETE, &place).token(&key).await.refused(400, "Message is not pinned");
    assert_eq!(pins(&host, &room).await, json!([]));
    let listed = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok()[0].clone();
    assert_eq!((listed.get("pinned_at"), listed.get("pinned_by")), (None, None));
    host.client().ask(Method::POST, &place).token(&key).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_pin_comes_first_and_pages_lead_on() {
    let host = Host::start("").await;
    let (room, key) = keyed_room(&host, "room").await;
    let mut messages = Vec::new();
    for number in 0..4 {
        messages.push(host.say(&room, &number.to_string()).await);
    }
    for place in [2, 0, 3, 1] {
        host.client().ask(Method::POST, &pin_path(&messages[place])).token(&key).await.ok();
    }
    let texts = |page: &Value| -> Vec<String> {
        page.as_array().expect("a list").iter().map(|pin| pin["content"].as_str().expect("a text").into()).collect()
    };
    assert_eq!(texts(&pins(&host, &room).await), ["1", "3", "0", "2"]);
    let first = host.get(&format!("/api/v1/rooms/{room}/pins?limit=3")).await;
    assert_eq!(texts(&first.ok()), ["1", "3", "0"]);
    let (next, _) = first.header("link").strip_prefix('<').and_then(|link| link.split_once('>')).expect("a next page");
    let last = host.get(next).await;
    assert_eq!((texts(&last.ok()), last.header("link")), (vec!["2".to_owned()], ""));
    // A deleted message takes its pin with it.
    let gone = pin_path(&messages[3]);
    host.operator().ask(Method::DELETE, gone.strip_suffix("/pin").expect("its path")).await.ok();
    assert_eq!(texts(&pins(&host, &room).await), ["1", "0", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_need_the_rooms_key() {
    let host = Host::start("").await;
    let ((room, key), (other, other_key)) = (keyed_room(&host, "room").await, keyed_room(&host, "other").await);
    let (message, elsewhere) = (host.say(&room, "x").await, host.say(&other, "x").await);
    let id = elsewhere["id"].as_str().expect("an id");
    for method in [Method::POST, Method::DELETE] {
        let ask = |path: &str| host.client().ask(method.clone(), path);
        ask(&format!("/api/v1/rooms/nowhere/messages/{UNKNOWN}/pin")).await.is(401);
        ask(&pin_path(&message)).token(&other_key).await.refused(403, "Invalid admin key for this room");
        for nowhere in ["nowhere", UNKNOWN] {
            let path = format!("/api/v1/rooms/{nowhere}/messages/{UNKNOWN}/pin");
            ask(&path).token(&key).await.refused(404, "Room not found");
        }
        for unknown in ["first", UNKNOWN, id] {
            let path = format!("/api/v1/rooms/{room}/messages/{unknown}/pin");
            ask(&path).token(&other_key).await.refused(403, "Invalid admin key for this room");
            ask(&path).token(&key).await.refused(404, "Message not found in this room");
        }
        if method == Method::DELETE {
            ask(&pin_path(&message)).token(&key).await.refused(400, "Message is not pinned");
        }
    }
    host.operator().ask(Method::POST, &pin_path(&message)).await.ok();
    host.get("/api/v1/rooms/nowhere/pins").await.refused(404, "Room not found");
    host.get(&format!("/api/v1/rooms/{room}/pins?limit=x")).await.refused(400, "'limit'");
}
