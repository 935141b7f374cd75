//! Activity over all rooms from outside: shape, filters, pages.

use arcuate_tests::host::Host;
use serde_json::{Value, json};

async fn post(host: &Host, room: &str, sender: &str, content: &str, kind: Option<&str>) -> Value {
    let body = json!({ "sender": sender, "content": content, "sender_type": kind });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

fn contents(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().expect("a list of events");
    assert_eq!(answer["count"], events.len(), "{answer}");
    events.iter().map(|event| event["content"].as_str().expect("a content")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_answers_events_in_the_shape_of_the_api() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let posted = post(&host, &room, "ada", "hello", Some("human")).await;
    let event = json!({ "message_id": posted["id"], "room_id": room, "room_name": "lab", "sender": "ada", "sender_type": "human",
                        "content": "hello", "created_at": posted["created_at"], "seq": posted["seq"], "event_type": "message" });
    assert_eq!(host.get("/api/v1/activity").await.ok(), json!({ "events": [event], "count": 1, "cursor": null }));
    let since = host.get("/api/v1/activity?since=2020-01-01T00:00:00+00:00").await.ok();
    assert_eq!((&since["since"], &since["count"]), (&json!("2020-01-01T00:00:00+00:00"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_is_newest_first_and_filtered() {
    let host = Host::start("").await;
    let (lab, hall) = (host.room("lab").await, host.room("hall").await);
    let mut posted = Vec::new();
    for (room, sender, text, kind) in [
        (&lab, "ada", "1", Some("human")),
        (&hall, "bot", "2", Some("agent")),
        (&lab, "bot", "3", Some("agent")),
        (&hall, "eve", "4", None),
    ] {
        posted.push(post(&host, room, sender, text, kind).await);
    }
    let direct = json!({ "sender": "ada", "recipient": "eve", "content": "5" });
    host.post("/api/v1/dm", &direct).await.ok();
    let (seq, at) = (&posted[1]["seq"], posted[2]["created_at"].as_str().expect("a time"));
    for (filter, expected) in [
        (String::new(), vec!["5", "4", "3", "2", "1"]),
        (format!("after={seq}"), vec!["5", "4", "3"]),
        (format!("since={at}"), vec!["5", "4"]),
        (format!("room_id={hall}"), vec!["4", "2"]),
        (format!("room_id={hall}&sender=eve&after={seq}"), vec!["4"]),
        ("sender=bot".into(), vec!["3", "2"]),
        ("sender_type=agent".into(), vec!["3", "2"]),
        ("exclude_sender=ada,%20eve,".into(), vec!["3", "2"]),
        ("exclude_sender=,".into(), vec!["5", "4", "3", "2", "1"]),
        ("limit=2".into(), vec!["5", "4"]),
        ("limit=-3".into(), vec!["5"]),
        ("limit=99999&after=-7".into(), vec!["5", "4", "3", "2", "1"]),
        ("room_id=nowhere".into(), vec![]),
        ("sender=nobody".into(), vec![]),
        ("since=2100-01-01".into(), vec![]),
    ] {
        assert_eq!(contents(&host.get(&format!("/api/v1/activity?{filter}")).await.ok()), expected, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_is_paged_by_cursor() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    for number in 0..7 {
        post(&host, &room, "ada", &number.to_string(), None).await;
    }
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = host.get(&format!("/api/v1/activity?limit=3&room_id={room}&cursor={cursor}")).await.ok();
        all.extend(contents(&page).into_iter().map(ToOwned::to_owned));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = next.into();
    }
    assert_eq!(all, ["6", "5", "4", "3", "2", "1", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_with_wrong_parameters_is_refused() {
    let host = Host::start("").await;
    for name in ["after", "limit", "since", "cursor"] {
        host.get(&format!("/api/v1/activity?{name}=x")).await.refused(400, &format!("'{name}'"));
    }
    let names = vec!["x"; 51].join(",");
    host.get(&format!("/api/v1/activity?exclude_sender={names}")).await.refused(400, "'exclude_sender'");
    host.get("/api/v1/activity?sender=%00").await.refused(400, "'sender'");
}
