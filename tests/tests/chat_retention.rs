//! Limits of rooms, applied when the operator, or in lan mode anybody, asks for it.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use serde_json::{Value, json};

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
