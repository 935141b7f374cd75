//! Bookmarks from outside: set, listed, removed, each once.

use arcuate_tests::client::Asked;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

fn add(host: &Host, room: &str, body: &Value) -> Asked {
    host.client().ask(Method::PUT, &format!("/api/v1/rooms/{room}/bookmark")).json(body)
}

fn remove(host: &Host, room: &str, query: &str) -> Asked {
    host.client().ask(Method::DELETE, &format!("/api/v1/rooms/{room}/bookmark{query}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmark_is_made_once_and_removed_once() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    for created in [true, false] {
        let expected = json!({ "room_id": room, "sender": "ada", "bookmarked": true, "created": created });
        assert_eq!(add(&host, &room, &json!({ "sender": " ada " })).await.ok(), expected);
    }
    assert_eq!(host.get("/api/v1/stats").await.ok()["bookmarks"], 1);
    for removed in [true, false] {
        let expected = json!({ "room_id": room, "sender": "ada", "bookmarked": false, "removed": removed });
        assert_eq!(remove(&host, &room, "?sender=ada").await.ok(), expected);
    }
    for name in ["room_bookmarked", "room_unbookmarked"] {
        let event = stream.next_real().await.expect("an event");
        assert_eq!(event.name, name);
        assert_eq!(event.data, json!({ "room_id": room, "sender": "ada", "seq": event.id }));
    }
    assert_eq!(host.get("/api/v1/stats").await.ok()["bookmarks"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmarks_are_listed_newest_first_and_paged() {
    let host = Host::start("").await;
    let (a, b) = (host.room("a").await, host.room("b").await);
    let message = host.say(&a, "x").await;
    for room in [&b, &a] {
        add(&host, room, &json!({ "sender": "ada" })).await.ok();
    }
    add(&host, &b, &json!({ "sender": "bob" })).await.ok();
    let all = host.get("/api/v1/bookmarks?sender=ada").await.ok();
    assert_eq!((&all["sender"], &all["count"], &all["cursor"]), (&json!("ada"), &json!(2), &Value::Null));
    let first = &all["bookmarks"][0];
    assert_eq!((&first["room_id"], &first["room_name"], &first["description"]), (&json!(a), &json!("a"), &json!("")));
    assert_eq!((&first["message_count"], &first["last_activity"]), (&json!(1), &message["created_at"]));
    assert!(first["created_at"].is_string() && first["bookmarked_at"].is_string(), "{first}");
    assert_eq!((&all["bookmarks"][1]["room_name"], &all["bookmarks"][1]["last_activity"]), (&json!("b"), &Value::Null));
    let page = host.get("/api/v1/bookmarks?sender=ada&limit=1").await.ok();
    let cursor = page["cursor"].as_str().expect("a cursor");
    let rest = host.get(&format!("/api/v1/bookmarks?sender=ada&limit=1&cursor={cursor}")).await.ok();
    assert_eq!((&page["bookmarks"][0], &rest["bookmarks"][0]), (first, &all["bookmarks"][1]));
    assert_eq!((&rest["cursor"], &rest["count"]), (&Value::Null, &json!(1)));
    assert_eq!(host.get("/api/v1/bookmarks?sender=nobody").await.ok()["bookmarks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmark_without_a_sender_or_a_room_is_refused() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    add(&host, &room, &json!({})).await.refused(422, "sender");
    add(&host, &room, &json!({ "sender": 5 })).await.refused(422, "sender");
    for wrong in ["", " ", &"é".repeat(101), "a\0b"] {
        add(&host, &room, &json!({ "sender": wrong })).await.refused(400, "Sender must be 1-100 characters");
    }
    add(&host, "unknown", &json!({ "sender": "ada" })).await.refused(404, "Room not found");
    for query in ["", "?sender=", "?sender=%20"] {
        remove(&host, &room, query).await.refused(400, "sender parameter is required");
        host.get(&format!("/api/v1/bookmarks{query}")).await.refused(400, "sender parameter is required");
    }
    host.get(&format!("/api/v1/bookmarks?sender={}", "x".repeat(101))).await.refused(400, "Sender must be");
    assert_eq!(remove(&host, "unknown", "?sender=ada").await.ok()["removed"], false);
}
