//! What goes to more than one listener without being a post: broadcasts to several rooms, and who is typing.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use serde_json::{Value, json};

const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";
const PATH: &str = "/api/v1/broadcast";

#[tokio::test(flavor = "multi_thread")]
async fn broadcast_is_a_message_in_each_room() {
    let host = Host::start("").await;
    let (one, two) = (host.room("one").await, host.room("two").await);
    let mut stream = Stream::open(host.client(), &two, "", &[]).await;
    let body = json!({
        "room_ids": [one, UNKNOWN, format!(" {two} "), "", "nowhere"], "sender": " ada ", "content": " dinner ",
        "sender_type": "human", "metadata": { "loud": true },
    });
    let sent = host.post(PATH, &body).await.ok();
    assert_eq!((&sent["sent"], &sent["failed"]), (&json!(2), &json!(3)));
    let results = sent["results"].as_array().expect("results");
    let failed = |id: &str, why: &str| json!({ "room_id": id, "success": false, "error": why });
    assert_eq!(results[1], failed(UNKNOWN, "Room not found"));
    assert_eq!(results[3], failed("", "room_id must not be empty"));
    assert_eq!(results[4], failed("nowhere", "Room not found"));
    for (place, room) in [(0, &one), (2, &two)] {
        let list = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok();
        let message = &list[0];
        let wanted = json!({ "room_id": room, "success": true, "message_id": message["id"] });
        assert_eq!((&results[place], list.as_array().map(Vec::len)), (&wanted, Some(1)));
        assert_eq!((&message["sender"], &message["content"]), (&json!("ada"), &json!("dinner")));
        assert_eq!((&message["sender_type"], &message["metadata"]), (&json!("human"), &json!({ "loud": true })));
    }
    assert_eq!(stream.next_real().await.expect("an event").content(), "dinner");
    let nobody = host.post(PATH, &json!({ "room_ids": ["x"], "sender": "ada", "content": "x" })).await.ok();
    assert_eq!((&nobody["sent"], &nobody["failed"]), (&json!(0), &json!(1)), "200 all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_broadcasts_are_refused() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let with = |change: Value| {
        let mut body = json!({ "room_ids": [room], "sender": "ada", "content": "x" });
        change.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        host.post(PATH, &body)
    };
    with(json!({ "room_ids": [] })).await.refused(400, "room_ids must not be empty");
    with(json!({ "room_ids": vec!["x"; 21] })).await.refused(400, "Broadcast is limited to 20 rooms per call");
    with(json!({ "room_ids": vec!["x"; 20] })).await.ok();
    for sender in ["", " ", "a\0", &"x".repeat(101)] {
        with(json!({ "sender": sender })).await.refused(400, "Sender must be 1-100 characters");
    }
    for content in ["", " ", "a\0", &"x".repeat(10_001)] {
        with(json!({ "content": content })).await.refused(400, "Content must be 1-10000 characters");
    }
    with(json!({ "metadata": "x".repeat(70_000) })).await.refused(400, "metadata");
    with(json!({ "sender_type": "x".repeat(101) })).await.refused(400, "sender_type");
    for (name, wrong) in [
        ("room_ids", json!(null)),
        ("room_ids", json!("x")),
        ("room_ids", json!([1])),
        ("sender", json!(null)),
        ("sender", json!(1)),
        ("content", json!(null)),
        ("sender_type", json!(1)),
    ] {
        with(json!({ name: wrong })).await.refused(422, name);
    }
    let nulls = with(json!({ "sender_type": null, "metadata": null })).await.ok();
    assert_eq!(nulls["sent"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcasts_have_a_limit_of_their_own() {
    let host = Host::start("limits.broadcasts_per_minute = 1\nlimits.messages_per_minute = 1").await;
    let room = host.room("room").await;
    let body = json!({ "room_ids": [room, room], "sender": "ada", "content": "x" });
    host.post(PATH, &json!({ "room_ids": [], "sender": "ada", "content": "x" })).await.is(400);
    let sent = host.post(PATH, &body).await;
    assert_eq!((&sent.ok()["sent"], sent.header("x-ratelimit-limit")), (&json!(2), "1"));
    let refused = host.post(PATH, &body).await;
    refused.refused(429, "Rate limited: max 1 broadcasts per minute");
    assert!(!refused.header("retry-after").is_empty(), "{refused}");
    host.say(&room, "messages are counted apart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_told_once_and_stored_nowhere() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let path = format!("/api/v1/rooms/{room}/typing");
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    for _ in 0..3 {
        assert_eq!(host.post(&path, &json!({ "sender": " ada " })).await.ok(), json!({ "ok": true }));
    }
    host.post(&path, &json!({ "sender": "bob" })).await.ok();
    let after = host.say(&room, "x").await;
    let mut told = Vec::new();
    for event in stream.until(|event| event.name == "message").await {
        told.push((event.name, event.id, event.data));
    }
    let typing = |sender: &str| ("typing".to_owned(), None, json!({ "sender": sender, "room_id": room }));
    assert_eq!(told[..2], [typing("ada"), typing("bob")]);
    assert_eq!((told.len(), told[2].1), (3, after["seq"].as_i64()));
    for sender in ["", " ", "a\0", &"x".repeat(101)] {
        host.post(&path, &json!({ "sender": sender })).await.refused(400, "Sender must be 1-100 characters");
    }
    for sender in [json!(null), json!(1)] {
        host.post(&path, &json!({ "sender": sender })).await.refused(422, "sender");
    }
    for nowhere in ["nowhere", UNKNOWN] {
        let path = format!("/api/v1/rooms/{nowhere}/typing");
        host.post(&path, &json!({ "sender": "ada" })).await.refused(404, "Room not found");
    }
}
