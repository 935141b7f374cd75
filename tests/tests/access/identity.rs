//! A token gives an identity: what its owner does is done in that name and no other.

use super::{enter, general, token_host};
use arcuate_tests::client::Client;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn sender_is_the_tokens_own_or_left_out() {
    let host = token_host().await;
    let ada = enter(&host, "Ada Lovelace", &["write"]).await;
    let messages = format!("/api/v1/rooms/{}/messages", general(&ada).await);
    for sender in [json!(null), json!(""), json!("  "), json!("Ada Lovelace"), json!(" Ada Lovelace ")] {
        let message = ada.post(&messages, &json!({ "sender": sender, "content": "x" })).await.ok();
        assert_eq!(message["sender"], "Ada Lovelace");
    }
    assert_eq!(ada.post(&messages, &json!({ "content": "x" })).await.ok()["sender"], "Ada Lovelace");
    for sender in ["bob", "ada lovelace", "Ada", "Ada Lovelace\0", &"a".repeat(10_000)] {
        let answer = ada.post(&messages, &json!({ "sender": sender, "content": "x" })).await;
        answer.refused(403, "`sender` must be 'Ada Lovelace'");
    }
    ada.post(&messages, &json!({ "sender": 5, "content": "x" })).await.refused(422, "sender");
    let shown = ada.get(&messages).await.ok();
    assert_eq!(shown.as_array().map(Vec::len), Some(6), "nothing was written in another name");
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_is_only_a_filter_where_messages_are_read() {
    let host = token_host().await;
    let (ada, bob) = (enter(&host, "ada", &["write"]).await, enter(&host, "bob", &["read"]).await);
    let messages = format!("/api/v1/rooms/{}/messages", general(&ada).await);
    ada.post(&messages, &json!({ "content": "hello" })).await.ok();
    let shown = bob.get(&format!("{messages}?sender=ada")).await.ok();
    assert_eq!(shown[0]["sender"], "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_acts_as_anybody_but_has_to_say_whom() {
    let host = token_host().await;
    let operator = host.operator();
    let messages = format!("/api/v1/rooms/{}/messages", general(&operator).await);
    let message = operator.post(&messages, &json!({ "sender": "bob", "content": "x" })).await.ok();
    assert_eq!(message["sender"], "bob");
    operator.post(&messages, &json!({ "content": "x" })).await.refused(422, "sender");
    operator.post(&messages, &json!({ "sender": " ", "content": "x" })).await.refused(400, "Sender must be 1-100");
}

#[tokio::test(flavor = "multi_thread")]
async fn reader_cannot_write() {
    let host = token_host().await;
    let reader = enter(&host, "ada", &["read"]).await;
    let messages = format!("/api/v1/rooms/{}/messages", general(&reader).await);
    reader.post(&messages, &json!({ "content": "x" })).await.refused(403, "'write'");
    reader.post("/api/v1/rooms", &json!({ "name": "x" })).await.refused(403, "'write'");
    assert_eq!(reader.get(&messages).await.ok(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn room_key_comes_in_its_own_header() {
    let host = token_host().await;
    let (ada, bob) = (enter(&host, "ada", &["write"]).await, enter(&host, "bob", &["write"]).await);
    let admin = enter(&host, "eve", &["admin"]).await;
    let made = ada.post("/api/v1/rooms", &json!({ "name": "lab" })).await.ok();
    let (id, key) = (made["id"].as_str().expect("an id"), made["admin_key"].as_str().expect("a key"));
    let path = format!("/api/v1/rooms/{id}");
    let change = |client: &Client, text: &str| client.ask(Method::PUT, &path).json(&json!({ "description": text }));
    change(&bob, "1").await.refused(401, "X-Admin-Key");
    change(&bob, "2").header("x-admin-key", "chat_0").await.refused(403, "Invalid admin key for this room");
    assert_eq!(change(&bob, "3").header("x-admin-key", key).await.ok()["description"], "3");
    assert_eq!(change(&admin, "4").await.ok()["description"], "4");
    assert_eq!(change(&host.operator(), "5").await.ok()["description"], "5");
    // As a bearer token it is no access token.
    change(&host.client().with_token(key), "6").await.refused(401, "unknown");
    assert_eq!(ada.get(&path).await.ok()["description"], "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_is_its_owners_alone() {
    let host = token_host().await;
    let (ada, bob) = (enter(&host, "ada", &["write"]).await, enter(&host, "bob", &["admin"]).await);
    let change = json!({ "display_name": "Ada" });
    let put = |client: &Client| client.ask(Method::PUT, "/api/v1/profiles/ada").json(&change);
    put(&ada).await.ok();
    put(&bob).await.refused(403, "'bob'");
    bob.ask(Method::DELETE, "/api/v1/profiles/ada").await.refused(403, "'bob'");
    assert_eq!(bob.get("/api/v1/profiles/ada").await.ok()["display_name"], "Ada");
    assert_eq!(ada.ask(Method::DELETE, "/api/v1/profiles/ada").await.status, 204);
}

/// Where `sender` says whose messages are looked for.
const FILTERED: [&str; 4] =
    ["/api/v1/rooms/{id}/messages", "/api/v1/search", "/api/v1/activity", "/api/v1/rooms/{id}/export"];

/// What a field of a body looks like; references are followed.
fn has_field(document: &Value, operation: &Value, field: &str) -> bool {
    let mut schema = operation.pointer("/requestBody/content/application~1json/schema");
    while let Some(reference) = schema.and_then(|schema| schema["$ref"].as_str()) {
        schema = document.pointer(reference.trim_start_matches('#'));
    }
    schema.is_some_and(|schema| schema["properties"].get(field).is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_in_anothers_name_by_any_operation() {
    let host = token_host().await;
    let ada = enter(&host, "ada", &["admin"]).await;
    let room = general(&ada).await;
    let said = ada.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "content": "hello" })).await.ok();
    let message = said["id"].as_str().expect("an id");
    let document = host.get("/openapi.json").await.ok();
    let (mut bodies, mut queries) = (0, 0);
    for (path, operations) in document["paths"].as_object().expect("paths") {
        // Visitors and hooks have no token: the one who holds the hook's says whose words they are.
        if path.starts_with("/api/v1/hook/") || path.contains("/admin/") {
            continue;
        }
        let filled = path.replacen("{id}", &room, 1).replace("{message_id}", message);
        let filled: String = filled
            .split('/')
            .map(|part| if part.starts_with('{') { message } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for (method, operation) in operations.as_object().expect("operations") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            if has_field(&document, operation, "sender") {
                let mut body =
                    operation.pointer("/requestBody/content/application~1json/example").cloned().expect("an example");
                body["sender"] = "bob".into();
                let answer = ada.ask(method.clone(), &filled).json(&body).await;
                answer.refused(403, "`sender` must be 'ada'");
                bodies += 1;
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default();
                let is_filter = method == Method::GET && FILTERED.contains(&path.as_str());
                if parameter["in"] != "query" || !["sender", "target"].contains(&name) || is_filter {
                    continue;
                }
                // Of a stream only the head, because it does not end.
                let method = if path.ends_with("/stream") { Method::HEAD } else { method.clone() };
                let answer = ada.ask(method, &format!("{filled}?emoji=x&{name}=bob")).await;
                assert_eq!(answer.status, 403, "{answer}");
                queries += 1;
            }
        }
    }
    assert!(bodies >= 8 && queries >= 9, "{bodies} bodies and {queries} queries name a sender");
    let shown = ada.get(&format!("/api/v1/rooms/{room}/messages?sender=bob")).await.ok();
    assert_eq!(shown, json!([]));
}
