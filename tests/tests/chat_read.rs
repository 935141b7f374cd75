//! Read positions from outside: they only move forward, and say so once.

use arcuate_tests::client::Asked;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

fn read(room: &str) -> String {
    format!("/api/v1/rooms/{room}/read")
}

fn put(host: &Host, room: &str, body: &Value) -> Asked {
    host.client().ask(Method::PUT, &read(room)).json(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn position_moves_forward_only() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let mark = async |seq: i64| put(&host, &room, &json!({ "sender": " ada ", "last_read_seq": seq })).await.ok();
    let first = mark(5).await;
    let expected = json!({ "room_id": room, "sender": "ada", "last_read_seq": 5, "updated_at": first["updated_at"] });
    assert_eq!(first, expected);
    assert_eq!((mark(3).await, mark(5).await), (first.clone(), first.clone()), "never back, and not touched");
    let far = mark(i64::MAX).await;
    assert_eq!(far["last_read_seq"], i64::MAX, "stored as given");
    assert!(far["updated_at"].as_str() > first["updated_at"].as_str());
    let other = put(&host, &room, &json!({ "sender": "bob", "last_read_seq": 0 })).await.ok();
    assert_eq!(host.get(&read(&room)).await.ok(), json!([other, far]), "newest first");
    let page = host.get(&format!("{}?limit=1", read(&room))).await;
    assert_eq!(page.ok(), json!([other]));
    let link = page.header("link");
    let next = link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("a link").0.to_owned();
    let last = host.get(&next).await;
    assert_eq!((last.ok(), last.header("link")), (json!([far]), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn event_is_sent_when_the_position_moved() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let mut stream = Stream::open(host.client(), &room, "?after=1", &[]).await;
    let mut positions = Vec::new();
    for seq in [2, 1, 2, 7] {
        positions.push(put(&host, &room, &json!({ "sender": "ada", "last_read_seq": seq })).await.ok());
    }
    for position in [&positions[0], &positions[3]] {
        let event = stream.next_real().await.expect("an event");
        assert_eq!(event.name, "read_position_updated");
        let mut expected = position.clone();
        expected["seq"] = json!(event.id);
        assert_eq!(event.data, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn body_counts_whatever_its_content_type() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let body = json!({ "sender": "ada", "last_read_seq": 1 }).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
        let asked = host.client().ask(Method::PUT, &read(&room)).header("content-type", kind);
        asked.body(body.clone()).await.ok();
    }
    host.client().ask(Method::PUT, &read(&room)).body(body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_are_refused() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let ask = || host.client().ask(Method::PUT, &read(&room));
    ask().body("{").await.refused(400, "not JSON");
    ask().await.refused(400, "not JSON");
    put(&host, &room, &json!({ "last_read_seq": 1 })).await.refused(422, "sender");
    put(&host, &room, &json!({ "sender": null, "last_read_seq": 1 })).await.refused(422, "sender");
    put(&host, &room, &json!({ "sender": 7, "last_read_seq": 1 })).await.refused(422, "sender");
    put(&host, &room, &json!({ "sender": "ada" })).await.refused(422, "last_read_seq");
    for wrong in [json!("5"), json!(1.5), json!(null), json!([1]), json!(u64::MAX)] {
        put(&host, &room, &json!({ "sender": "ada", "last_read_seq": wrong })).await.refused(422, "last_read_seq");
    }
    for sender in ["", " ", &"é".repeat(101), "a\0b"] {
        let refused = put(&host, &room, &json!({ "sender": sender, "last_read_seq": 1 })).await;
        refused.refused(400, "Sender must be 1-100 characters");
    }
    put(&host, &room, &json!({ "sender": "ada", "last_read_seq": -1 }))
        .await
        .refused(400, "last_read_seq must be non-negative");
    for nowhere in ["nowhere", "01a1fe0d-be23-76e7-9b23-440ad354ad90"] {
        put(&host, nowhere, &json!({ "sender": "ada", "last_read_seq": 1 })).await.refused(404, "Room not found");
        host.get(&read(nowhere)).await.refused(404, "Room not found");
    }
    assert_eq!(host.get(&read(&room)).await.ok(), json!([]), "nothing was stored");
    for name in ["limit", "cursor"] {
        host.get(&format!("{}?{name}=x", read(&room))).await.refused(400, &format!("'{name}'"));
    }
}
