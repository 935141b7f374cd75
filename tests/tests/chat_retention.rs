//! Limits of rooms, applied when the operator, or in lan mode anybody, asks for it.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RUN: &str = "/api/v1/admin/retention/run";

async fn limited(host: &Host, name: &str, most: i64) -> String {
    let made = host.post("/api/v1/rooms", &json!({ "name": name, "max_messages": most })).await.ok();
    made["id"].as_str().expect("an id").into()
}

async fn run(host: &Host) -> Value {
    host.post(RUN, &json!({})).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_deletes_the_oldest_beyond_the_limit_and_says_how_many() {
    let host = Host::start("").await;
    let (lab, quiet) = (limited(&host, "lab", 10).await, limited(&host, "quiet", 10).await);
    let free = host.room("free").await;
    for number in 0..13 {
        host.say(&lab, &format!("message {number}")).await;
        host.say(&free, "x").await;
    }
    let mut stream = Stream::open(host.client(), &lab, "", &[]).await;
    let none = |room: &str| json!({ "room_id": room, "pruned_by_count": 0, "pruned_by_age": 0, "total": 0 });
    let pruned = json!({ "room_id": lab, "pruned_by_count": 3, "pruned_by_age": 0, "total": 3 });
    assert_eq!(run(&host).await, json!({ "rooms_checked": 2, "total_pruned": 3, "details": [pruned, none(&quiet)] }));
    assert_eq!(
        run(&host).await,
        json!({ "rooms_checked": 2, "total_pruned": 0, "details": [none(&lab), none(&quiet)] })
    );
    let left = host.get(&format!("/api/v1/rooms/{lab}/messages")).await.ok();
    assert_eq!((left.as_array().map(Vec::len), &left[0]["content"]), (Some(10), &json!("message 3")));
    for _ in 0..3 {
        let event = stream.next_real().await.expect("an event");
        assert_eq!((event.name.as_str(), &event.data["reason"]), ("message_deleted", &json!("retention")));
    }
    let totals = host.get("/api/v1/stats").await.ok();
    assert_eq!(totals["messages"], 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_at_once_delete_each_message_once() {
    let host = Host::start("").await;
    let lab = limited(&host, "lab", 10).await;
    for _ in 0..30 {
        host.say(&lab, "x").await;
    }
    let (first, second) = tokio::join!(run(&host), run(&host));
    let pruned = |answer: &Value| answer["total_pruned"].as_i64().expect("a number");
    assert_eq!(pruned(&first) + pruned(&second), 20, "{first} {second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_without_limits_finds_nothing() {
    let host = Host::start("").await;
    host.room("free").await;
    assert_eq!(run(&host).await, json!({ "rooms_checked": 0, "total_pruned": 0, "details": [] }));
    host.get(RUN).await.is(405);
}

/// Twenty rooms get so many messages each, ten of which may stay.
const SAID: i64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn long_sweep_makes_nobody_wait_and_leaves_everything_in_step() {
    let host = Host::start("[store]\ndurability = \"normal\"").await;
    let client = host.client().clone().keeping_connections();
    let made = client.post("/api/v1/rooms", &json!({ "name": "owned", "max_messages": 10 })).await.ok();
    let (owned, key) = (made["id"].as_str().expect("an id").to_owned(), made["admin_key"].as_str().expect("a key"));
    let mut rooms = vec![owned.clone()];
    for number in 1..20 {
        rooms.push(limited(&host, &format!("room {number}"), 10).await);
    }
    let before = host.say(&host.room("free").await, "first").await;
    for number in 0..SAID {
        let body = json!({ "room_ids": rooms, "sender": "ada", "content": format!("kettle {number}") });
        assert_eq!(client.post("/api/v1/broadcast", &body).await.ok()["sent"], 20);
    }
    let oldest = host.get(&format!("/api/v1/rooms/{owned}/messages?after=0&limit=1")).await.ok();
    let pinned = oldest[0]["id"].as_str().expect("an id");
    let pin = format!("/api/v1/rooms/{owned}/messages/{pinned}/pin");
    client.post(&pin, &json!({})).header("x-admin-key", key).await.ok();

    let free = before["room_id"].as_str().expect("an id");
    let sweep = async {
        let begun = Instant::now();
        (run(&host).await, begun.elapsed())
    };
    tokio::pin!(sweep);
    let (mut posts, mut slowest) = (0, Duration::ZERO);
    let (swept, lasted) = loop {
        let begun = Instant::now();
        let post =
            client.post(&format!("/api/v1/rooms/{free}/messages"), &json!({ "sender": "bob", "content": "tea" }));
        let posting = async { post.await.ok() };
        tokio::pin!(posting);
        tokio::select! {
            swept = &mut sweep => {
                posting.await;
                break swept;
            }
            _ = &mut posting => (posts, slowest) = (posts + 1, slowest.max(begun.elapsed())),
        }
    };
    // One message is pinned, and so neither counted nor deleted.
    assert_eq!((&swept["rooms_checked"], &swept["total_pruned"]), (&json!(20), &json!(20 * (SAID - 10) - 1)));
    assert!(posts >= 10 && slowest < lasted / 2, "{posts} posts within {lasted:?}, the slowest took {slowest:?}");

    let found = host.get("/api/v1/search?q=kettle&limit=200").await.ok();
    assert_eq!((&found["count"], &found["has_more"]), (&json!(200), &json!(true)), "{found}");
    assert_eq!(host.get("/api/v1/search?q=%22kettle%201%22").await.ok()["count"], 0, "what is gone is not found");
    assert_eq!(host.get(&format!("/api/v1/search?q=%22kettle%200%22&room_id={owned}")).await.ok()["count"], 1);
    let unread = host.get("/api/v1/unread?sender=cyd").await.ok();
    assert_eq!(unread["total_unread"], 20 * 10 + 1 + 1 + posts + 1, "{unread}");
    let pins = host.get(&format!("/api/v1/rooms/{owned}/pins")).await.ok();
    assert_eq!(pins[0]["id"], pinned);
    let mut stream = Stream::open(host.client(), &owned, "?after=0", &[]).await;
    let mut left = 0;
    // The room itself, its messages, the pin, and those that went.
    for _ in 0..1 + SAID + 1 + SAID - 11 {
        let event = stream.next_real().await.expect("an event");
        match event.name.as_str() {
            "message" if event.data["deleted"] == true => assert_eq!(event.data["content"], "", "{event:?}"),
            "message" => left += 1,
            "message_deleted" => assert_eq!(event.data["reason"], "retention"),
            _ => {}
        }
    }
    assert_eq!(left, 11, "those that are there, and only those, are said in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_by_the_operator_is_recorded_and_that_of_strangers_is_not() {
    let host = Host::start("").await;
    let recorded = async || {
        let page = host.operator().get("/api/v1/admin/audit?action=retention.run").await.ok();
        page["deeds"].as_array().expect("deeds").len()
    };
    host.post(RUN, &json!({})).await.ok();
    assert_eq!(recorded().await, 0);
    host.operator().post(RUN, &json!({})).await.ok();
    assert_eq!(recorded().await, 1);
}
