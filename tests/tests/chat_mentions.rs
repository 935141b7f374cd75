//! Mentions from outside: found as words, counted against read positions.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(host: &Host, room: &str, sender: &str, content: &str) -> Value {
    let body = json!({ "sender": sender, "content": content });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

fn contents(answer: &Value) -> Vec<&str> {
    let mentions = answer["mentions"].as_array().expect("a list of mentions");
    assert_eq!(answer["count"], mentions.len(), "{answer}");
    mentions.iter().map(|hit| hit["content"].as_str().expect("a content")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mentions_are_words_of_others_newest_first() {
    let host = Host::start("").await;
    let (lab, hall) = (host.room("lab").await, host.room("hall").await);
    let first = post(&host, &lab, "ada", "hi @bob, and @bob again").await;
    post(&host, &lab, "ada", "@bobby a@bob.example @bob-2").await;
    post(&host, &lab, "bob", "I am @bob").await;
    let second = post(&host, &hall, "eve", "(@Bob) @CI Bot!").await;
    let answer = host.get("/api/v1/mentions?target=bob").await.ok();
    let hit = |room: &str, name: &str, posted: &Value| {
        json!({ "message_id": posted["id"], "room_id": room, "room_name": name, "sender": posted["sender"],
                "content": posted["content"], "created_at": posted["created_at"], "seq": posted["seq"] })
    };
    let hits = [hit(&hall, "hall", &second), hit(&lab, "lab", &first)];
    assert_eq!(answer, json!({ "target": "bob", "mentions": hits, "count": 2, "cursor": null }));
    for (query, expected) in [
        ("target=BOB".to_owned(), vec!["(@Bob) @CI Bot!", "I am @bob", "hi @bob, and @bob again"]),
        ("target=%20CI%20Bot%20".into(), vec!["(@Bob) @CI Bot!"]),
        (format!("target=bob&room_id={lab}"), vec!["hi @bob, and @bob again"]),
        (format!("target=bob&after={}", first["seq"]), vec!["(@Bob) @CI Bot!"]),
        ("target=bob&room_id=nowhere".into(), vec![]),
        ("target=bob&limit=1".into(), vec!["(@Bob) @CI Bot!"]),
        ("target=%25".into(), vec![]),
        ("target=nobody".into(), vec![]),
    ] {
        assert_eq!(contents(&host.get(&format!("/api/v1/mentions?{query}")).await.ok()), expected, "{query}");
    }
    let page = host.get("/api/v1/mentions?target=bob&limit=1").await.ok();
    let cursor = page["cursor"].as_str().expect("a next page");
    let page = host.get(&format!("/api/v1/mentions?target=bob&limit=1&cursor={cursor}")).await.ok();
    assert_eq!((contents(&page), &page["cursor"]), (vec!["hi @bob, and @bob again"], &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_mentions_are_counted_behind_the_read_position() {
    let host = Host::start("").await;
    let (lab, hall) = (host.room("lab").await, host.room("hall").await);
    let mut seqs = Vec::new();
    for (room, sender, text) in [
        (&lab, "ada", "@bob 1"),
        (&hall, "ada", "@bob 2"),
        (&lab, "ada", "@bob 3 @bob"),
        (&lab, "bob", "@bob"),
        (&lab, "ada", "x"),
    ] {
        seqs.push(post(&host, room, sender, text).await["seq"].clone());
    }
    let unread = async || host.get("/api/v1/mentions/unread?target=bob").await.ok();
    let in_lab =
        json!({ "room_id": lab, "room_name": "lab", "mention_count": 2, "oldest_seq": seqs[0], "newest_seq": seqs[2] });
    let in_hall = json!({ "room_id": hall, "room_name": "hall", "mention_count": 1, "oldest_seq": seqs[1], "newest_seq": seqs[1] });
    assert_eq!(
        unread().await,
        json!({ "target": "bob", "rooms": [in_lab, in_hall], "total_unread": 3, "cursor": null })
    );
    let read = json!({ "sender": "bob", "last_read_seq": seqs[0] });
    host.client().ask(Method::PUT, &format!("/api/v1/rooms/{lab}/read")).json(&read).await.ok();
    let now = unread().await;
    assert_eq!((&now["total_unread"], &now["rooms"][0]["oldest_seq"]), (&json!(2), &seqs[2]));
    let page = host.get("/api/v1/mentions/unread?target=bob&limit=1").await.ok();
    let cursor = page["cursor"].as_str().expect("a next page");
    let next = host.get(&format!("/api/v1/mentions/unread?target=bob&limit=1&cursor={cursor}")).await.ok();
    assert_eq!((&page["rooms"][0]["room_name"], &next["rooms"][0]["room_name"]), (&json!("lab"), &json!("hall")));
    assert_eq!((&next["total_unread"], &next["cursor"]), (&json!(2), &Value::Null));
    let nobody = host.get("/api/v1/mentions/unread?target=nobody").await.ok();
    assert_eq!(nobody, json!({ "target": "nobody", "rooms": [], "total_unread": 0, "cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn mentions_with_wrong_parameters_are_refused() {
    let host = Host::start("").await;
    for path in ["/api/v1/mentions", "/api/v1/mentions/unread"] {
        host.get(path).await.refused(422, "'target'");
        for empty in ["", "%20"] {
            let refused = host.get(&format!("{path}?target={empty}")).await;
            refused.refused(400, "Query parameter 'target' must not be empty");
        }
        let refused = host.get(&format!("{path}?target={}", "é".repeat(201))).await;
        refused.refused(400, "Target name too long (max 200 characters)");
        host.get(&format!("{path}?target={}", "é".repeat(200))).await.ok();
        host.get(&format!("{path}?target=a%00")).await.refused(400, "'target'");
        for name in ["limit", "cursor"] {
            host.get(&format!("{path}?target=a&{name}=x")).await.refused(400, &format!("'{name}'"));
        }
    }
    host.get("/api/v1/mentions?target=a&after=x").await.refused(400, "'after'");
}
