//! The store in numbers, kept while things come and go.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

async fn say(host: &Host, room: &str, sender: &str, kind: Option<&str>, reply_to: Option<&Value>) -> Value {
    let body = json!({ "sender": sender, "content": "x", "sender_type": kind, "reply_to": reply_to });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_store_has_one_room_and_nothing_else() {
    let host = Host::start("").await;
    let expected = json!({
        "rooms": 1, "rooms_archived": 0, "messages": 0, "active_senders_1h": 0,
        "by_sender_type": { "agent": 0, "human": 0, "unspecified": 0 },
        "active_by_type_1h": { "agents": 0, "humans": 0 },
        "dms": { "conversations": 0, "messages": 0 }, "files": { "count": 0, "total_bytes": 0 },
        "profiles": 0, "reactions": 0, "pins": 0, "threads": 0, "bookmarks": 0,
        "webhooks": { "outgoing": 0, "outgoing_active": 0, "incoming": 0, "deliveries_24h": 0,
                      "delivery_successes_24h": 0, "delivery_failures_24h": 0 },
    });
    assert_eq!(host.get("/api/v1/stats").await.ok(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_follow_messages_rooms_and_bookmarks() {
    let mut host = Host::start("").await;
    let room = host.room("lab").await;
    let first = say(&host, &room, "ada", Some("human"), None).await;
    say(&host, &room, "bot", Some("agent"), Some(&first["id"])).await;
    say(&host, &room, "bot", Some("agent"), None).await;
    say(&host, &room, "cyd", None, None).await;
    host.client()
        .ask(Method::PUT, &format!("/api/v1/rooms/{room}/bookmark"))
        .json(&json!({ "sender": "ada" }))
        .await
        .ok();
    let totals = host.get("/api/v1/stats").await.ok();
    let sums = ["rooms", "messages", "active_senders_1h", "threads", "bookmarks"].map(|name| totals[name].as_i64());
    assert_eq!(sums, [2, 4, 3, 1, 1].map(Some));
    assert_eq!(totals["by_sender_type"], json!({ "agent": 2, "human": 1, "unspecified": 1 }));
    assert_eq!(totals["active_by_type_1h"], json!({ "agents": 1, "humans": 1 }));
    host.terminate().await;
    host.start_again().await;
    assert_eq!(host.get("/api/v1/stats").await.ok(), totals, "kept over a restart");
}
