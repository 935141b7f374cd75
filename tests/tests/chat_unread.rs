//! Unread counts from outside: all ordinary rooms, one's own direct messages, and nobody else's.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(host: &Host, room: &str, sender: &str) -> i64 {
    let body = json!({ "sender": sender, "content": "x" });
    let posted = host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok();
    posted["seq"].as_i64().expect("a number")
}

async fn unread(host: &Host, sender: &str) -> Value {
    host.get(&format!("/api/v1/unread?sender={sender}")).await.ok()
}

/// Name and count of each room.
fn counts(answer: &Value) -> Vec<(&str, i64)> {
    let rooms = answer["rooms"].as_array().expect("a list of rooms").iter();
    let counts: Vec<_> = rooms
        .map(|room| (room["room_name"].as_str().expect("a name"), room["unread_count"].as_i64().expect("a count")))
        .collect();
    assert_eq!(answer["total_unread"], counts.iter().map(|(_, count)| count).sum::<i64>(), "{answer}");
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_lists_all_rooms_by_name() {
    let host = Host::start("").await;
    let (lab, hall) = (host.room("lab").await, host.room("hall").await);
    let general = host.get("/api/v1/rooms").await.ok();
    let general =
        general.as_array().expect("rooms").iter().find(|room| room["name"] == "general").expect("it is there")["id"]
            .clone();
    let first = post(&host, &lab, "ada").await;
    let last = post(&host, &lab, "eve").await;
    let room = |id: &Value, name: &str, unread: i64, read: i64, latest: i64| json!({ "room_id": id, "room_name": name, "unread_count": unread, "last_read_seq": read, "latest_seq": latest });
    let rooms = |unread: i64, read: i64| {
        json!([
            room(&general, "general", 0, 0, 0),
            room(&json!(hall), "hall", 0, 0, 0),
            room(&json!(lab), "lab", unread, read, last)
        ])
    };
    assert_eq!(
        unread(&host, "bob").await,
        json!({ "sender": "bob", "rooms": rooms(2, 0), "total_unread": 2, "cursor": null })
    );
    assert_eq!(counts(&unread(&host, "eve").await)[2], ("lab", 1), "one's own messages are not unread");
    let read = json!({ "sender": "bob", "last_read_seq": first });
    host.client().ask(Method::PUT, &format!("/api/v1/rooms/{lab}/read")).json(&read).await.ok();
    let answer = unread(&host, "bob").await;
    assert_eq!(answer["rooms"], rooms(1, first));
    assert_eq!(counts(&answer)[2], ("lab", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_shows_direct_messages_to_their_two_alone() {
    let host = Host::start("").await;
    let direct = json!({ "sender": "ada", "recipient": "bob", "content": "x" });
    host.post("/api/v1/dm", &direct).await.ok();
    assert_eq!(counts(&unread(&host, "bob").await), [("dm:ada:bob", 1), ("general", 0)]);
    assert_eq!(counts(&unread(&host, "ada").await), [("dm:ada:bob", 0), ("general", 0)]);
    assert_eq!(counts(&unread(&host, "eve").await), [("general", 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_is_paged_and_its_total_is_of_all() {
    let host = Host::start("").await;
    for name in ["a", "b", "c"] {
        let room = host.room(name).await;
        post(&host, &room, "ada").await;
    }
    let page = host.get("/api/v1/unread?sender=bob&limit=3").await.ok();
    assert_eq!((&page["total_unread"], page["rooms"].as_array().map(Vec::len)), (&json!(3), Some(3)));
    let cursor = page["cursor"].as_str().expect("a next page");
    let next = host.get(&format!("/api/v1/unread?sender=bob&limit=3&cursor={cursor}")).await.ok();
    assert_eq!((&next["rooms"][0]["room_name"], &next["cursor"]), (&json!("general"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_with_wrong_parameters_is_refused() {
    let host = Host::start("").await;
    host.get("/api/v1/unread").await.refused(422, "'sender'");
    for empty in ["", "%20"] {
        host.get(&format!("/api/v1/unread?sender={empty}")).await.refused(400, "Sender parameter is required");
    }
    host.get(&format!("/api/v1/unread?sender={}", "é".repeat(101)))
        .await
        .refused(400, "Sender must be 1-100 characters");
    for name in ["limit", "cursor"] {
        host.get(&format!("/api/v1/unread?sender=a&{name}=x")).await.refused(400, &format!("'{name}'"));
    }
}
