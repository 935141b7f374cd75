//! Hooks by which other programs post: made and kept by a room's owner, used by whoever has the token.

use crate::webhooks::{OwnedRoom, assert_guarded};
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

async fn hook(room: &OwnedRoom<'_>, name: &str) -> Value {
    room.send(Method::POST, "incoming-webhooks", &json!({ "name": name, "created_by": "ada" })).await.ok()
}

fn url(hook: &Value) -> &str {
    hook["url"].as_str().expect("a URL")
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_is_made_listed_changed_and_deleted() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let made = hook(&room, " builds ").await;
    let (id, token) = (made["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
    assert!(token.len() == 36 && token.starts_with("whk_"), "{token}");
    let expected = json!({ "id": id, "room_id": room.id, "name": "builds", "token": token, "created_by": "ada",
        "created_at": made["created_at"], "active": true, "url": format!("/api/v1/hook/{token}") });
    assert_eq!(made, expected);
    let newer = room.send(Method::POST, "incoming-webhooks", &json!({ "name": "alarms" })).await.ok();
    assert_eq!(newer["created_by"], "anonymous");
    assert_eq!(room.ask(Method::GET, "incoming-webhooks").await.ok(), json!([newer, made]));
    let path = format!("incoming-webhooks/{id}");
    let changed = room.send(Method::PUT, &path, &json!({ "name": "deploys", "active": false })).await.ok();
    assert_eq!(changed, json!({ "updated": true, "id": id }));
    let listed = room.ask(Method::GET, "incoming-webhooks").await.ok();
    assert_eq!((&listed[1]["name"], &listed[1]["active"]), (&json!("deploys"), &json!(false)));
    assert_eq!(room.ask(Method::DELETE, &path).await.ok(), json!({ "deleted": true, "id": id }));
    room.ask(Method::DELETE, &path).await.refused(404, "Incoming webhook not found");
    host.post(url(&made), &json!({ "content": "x" })).await.refused(404, "Invalid webhook token");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_asks_for_the_rooms_key() {
    let host = Host::start("").await;
    let (room, other) = (OwnedRoom::new(&host, "lab").await, OwnedRoom::new(&host, "other").await);
    let (name, made) = (json!({ "name": "builds" }), hook(&room, "builds").await);
    let path = format!("incoming-webhooks/{}", made["id"].as_str().expect("an id"));
    other.send(Method::PUT, &path, &name).await.refused(404, "Incoming webhook not found");
    other.ask(Method::DELETE, &path).await.refused(404, "Incoming webhook not found");
    room.ask(Method::DELETE, "incoming-webhooks/no-id").await.refused(404, "Incoming webhook not found");
    assert_guarded(&room, &Method::POST, "incoming-webhooks", Some(&name)).await;
    assert_guarded(&room, &Method::GET, "incoming-webhooks", None).await;
    assert_guarded(&room, &Method::PUT, &path, Some(&name)).await;
    assert_guarded(&room, &Method::DELETE, &path, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_of_a_hook_are_refused() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let path = format!("incoming-webhooks/{}", hook(&room, "builds").await["id"].as_str().expect("an id"));
    for name in ["", "  ", &"x".repeat(101), "a\0"] {
        let body = json!({ "name": name });
        room.send(Method::POST, "incoming-webhooks", &body).await.refused(400, "Name must be 1-100 characters");
        room.send(Method::PUT, &path, &body).await.refused(400, "Name must be 1-100 characters");
    }
    room.send(Method::POST, "incoming-webhooks", &json!({})).await.refused(422, "name");
    room.send(Method::POST, "incoming-webhooks", &json!({ "name": 1 })).await.refused(422, "name");
    room.send(Method::PUT, &path, &json!({ "active": 1 })).await.refused(422, "active");
    for nothing in [json!({}), json!({ "name": null })] {
        room.send(Method::PUT, &path, &nothing).await.refused(400, "No fields to update");
    }
    let long = json!({ "name": "a", "created_by": "x".repeat(101) });
    room.send(Method::POST, "incoming-webhooks", &long).await.refused(400, "created_by");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_through_a_hook_is_one_like_any_other() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let made = hook(&room, "builds").await;
    let mut stream = Stream::try_open(host.client(), &room.id, 0).await.expect("a stream");
    let plain = host.post(url(&made), &json!({ "content": " green " })).await.ok();
    let shown = (&plain["sender"], &plain["content"], &plain["sender_type"], &plain["metadata"]);
    assert_eq!(shown, (&json!("builds"), &json!("green"), &json!("agent"), &json!({})));
    let body = json!({ "content": "red", "sender": "ci", "sender_type": "human", "metadata": { "build": 42 } });
    let named = host.post(url(&made), &body).await.ok();
    let shown = (&named["sender"], &named["sender_type"], &named["metadata"]["build"]);
    assert_eq!(shown, (&json!("ci"), &json!("human"), &json!(42)));
    let long = host.post(url(&made), &json!({ "content": "x", "sender": "y".repeat(101) })).await.ok();
    assert_eq!(long["sender"], "builds", "a sender that is too long is passed over");
    for expected in [&plain, &named, &long] {
        let event = loop {
            let event = stream.next_real().await.expect("an event");
            if event.name == "message" {
                break event;
            }
        };
        assert_eq!(event.id, expected["seq"].as_i64());
    }
    let listed = host.get(&room.path("messages")).await.ok();
    assert_eq!(listed, json!([plain, named, long]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_posts_through_a_hook_are_refused_in_order() {
    let host = Host::start("").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let made = hook(&room, "builds").await;
    let post = |body: Value| host.post(url(&made), &body);
    for content in ["", "  ", &"x".repeat(10_001), "a\0b"] {
        post(json!({ "content": content })).await.refused(400, "Content must be 1-10000 characters");
    }
    post(json!({})).await.refused(422, "content");
    post(json!({ "content": 1 })).await.refused(422, "content");
    post(json!({ "content": "x", "sender": 1 })).await.refused(422, "sender");
    post(json!({ "content": "x", "sender_type": "y".repeat(101) })).await.refused(400, "sender_type");
    post(json!({ "content": "x", "metadata": "y".repeat(70_000) })).await.refused(400, "metadata");
    host.client().ask(Method::POST, url(&made)).body("x").await.refused(415, "application/json");
    // The token comes first, whatever else is wrong.
    for token in ["whk_00000000000000000000000000000000", "nonsense", "%F0%9F%91%8B"] {
        host.client()
            .ask(Method::POST, &format!("/api/v1/hook/{token}"))
            .body("x")
            .await
            .refused(404, "Invalid webhook token");
    }
    let path = format!("incoming-webhooks/{}", made["id"].as_str().expect("an id"));
    room.send(Method::PUT, &path, &json!({ "active": false })).await.ok();
    post(json!({})).await.refused(403, "This incoming webhook is disabled");
    assert_eq!(host.get(&room.path("messages")).await.ok(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_counts_by_hook_and_by_address_for_wrong_tokens() {
    let host = Host::start("[limits]\nincoming_webhooks_per_minute = 2\n").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let (first, second) = (hook(&room, "a").await, hook(&room, "b").await);
    let good = json!({ "content": "x" });
    host.post(url(&first), &json!({})).await.refused(422, "content");
    let allowed = host.post(url(&first), &good).await;
    assert_eq!(
        (allowed.status, allowed.header("x-ratelimit-limit"), allowed.header("x-ratelimit-remaining")),
        (200, "2", "1")
    );
    host.post(url(&first), &good).await.ok();
    let over = host.post(url(&first), &good).await;
    over.refused(429, "Rate limited: max 2 messages per minute per webhook");
    assert!(!over.header("retry-after").is_empty(), "{over}");
    host.post(url(&second), &good).await.ok();
    for status in [404, 404, 429] {
        assert_eq!(host.post("/api/v1/hook/whk_wrong", &good).await.status, status);
    }
    host.post(url(&second), &good).await.ok();
}
