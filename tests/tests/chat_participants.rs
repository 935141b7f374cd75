//! Participants of a room from outside, with what their profiles say.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(host: &Host, room: &str, sender: &str, kind: Option<&str>) -> Value {
    let body = json!({ "sender": sender, "content": "x", "sender_type": kind });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn participants_come_newest_first_with_their_profiles() {
    let host = Host::start("").await;
    let room = host.room("lab").await;
    let path = format!("/api/v1/rooms/{room}/participants");
    assert_eq!(host.get(&path).await.ok(), json!([]));
    let first = post(&host, &room, "ada", Some("human")).await;
    let bot = post(&host, &room, "bot", None).await;
    let last = post(&host, &room, "ada", None).await;
    let profile =
        json!({ "display_name": "The Bot", "sender_type": "agent", "bio": "b", "avatar_url": "u", "status_text": "s" });
    let ada = json!({ "sender": "ada", "sender_type": "human", "message_count": 2,
                      "first_seen": first["created_at"], "last_seen": last["created_at"] });
    let mut expected =
        json!({ "sender": "bot", "message_count": 1, "first_seen": bot["created_at"], "last_seen": bot["created_at"] });
    assert_eq!(host.get(&path).await.ok(), json!([ada, expected]));
    host.client().ask(Method::PUT, "/api/v1/profiles/bot").json(&profile).await.ok();
    for (name, value) in profile.as_object().expect("fields") {
        expected[name] = value.clone();
    }
    assert_eq!(host.get(&path).await.ok(), json!([ada, expected]));
    host.client().ask(Method::PUT, "/api/v1/profiles/ada").json(&json!({ "sender_type": "agent" })).await.ok();
    assert_eq!(host.get(&path).await.ok()[0]["sender_type"], "agent", "the profile's type comes first");
    let page = host.get(&format!("{path}?limit=1")).await;
    assert_eq!(page.ok().as_array().map(Vec::len), Some(1));
    let next =
        page.header("link").strip_prefix('<').and_then(|link| link.split_once('>')).expect("a link").0.to_owned();
    assert_eq!(host.get(&next).await.ok(), json!([expected]));
}

#[tokio::test(flavor = "multi_thread")]
async fn participants_of_an_unknown_room_are_not_found() {
    let host = Host::start("").await;
    for nowhere in ["nowhere", "01a1fe0d-be23-76e7-9b23-440ad354ad90"] {
        host.get(&format!("/api/v1/rooms/{nowhere}/participants")).await.refused(404, "Room not found");
    }
    let room = host.room("lab").await;
    for name in ["limit", "cursor"] {
        let refused = host.get(&format!("/api/v1/rooms/{room}/participants?{name}=x")).await;
        refused.refused(400, &format!("'{name}'"));
    }
}
