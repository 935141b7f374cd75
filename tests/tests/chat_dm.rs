//! Direct messages from outside: one room for two people, whatever their names; listed, shown, refused.

use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use serde_json::{Value, json};

const DM: &str = "/api/v1/dm";

async fn send(host: &Host, sender: &str, recipient: &str, content: &str) -> Value {
    host.post(DM, &json!({ "sender": sender, "recipient": recipient, "content": content })).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_have_one_room() {
    let host = Host::start("").await;
    let body = json!({ "sender": " bob ", "recipient": " ada", "content": "  hi \n", "sender_type": "human", "metadata": { "a": 1 } });
    let first = host.post(DM, &body).await.ok();
    let (room, message) = (&first["room_id"], &first["message"]);
    assert_eq!((&first["created"], &message["seq"]), (&json!(true), &json!(1)), "the room takes no number");
    let expected = json!({ "id": message["id"], "room_id": room, "sender": "bob", "content": "  hi \n", "sender_type": "human",
                           "metadata": { "a": 1 }, "created_at": message["created_at"], "seq": 1 });
    assert_eq!(message, &expected, "the content is kept as it is");
    let answer = send(&host, "ada", "bob", "hello").await;
    assert_eq!((&answer["created"], &answer["room_id"]), (&json!(false), room));
    let room = room.as_str().expect("an id");
    let shown = host.get(&format!("{DM}/{room}")).await.ok();
    let expected = json!({ "id": room, "name": "dm:ada:bob", "description": shown["description"], "created_by": "bob",
                           "created_at": shown["created_at"], "updated_at": shown["updated_at"], "message_count": 2,
                           "last_activity": answer["message"]["created_at"], "room_type": "dm" });
    assert_eq!(shown, expected);
    assert_eq!(host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok().as_array().map(Vec::len), Some(2));
    let rooms = host.get("/api/v1/rooms").await.ok();
    assert_eq!(rooms.as_array().map(Vec::len), Some(1), "not among the rooms");
    let mut stream = Stream::open(host.client(), room, "?after=0", &[]).await;
    let event = stream.next_real().await.expect("an event");
    assert_eq!((event.name.as_str(), event.id), ("message", Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_with_odd_names_are_kept_apart() {
    let host = Host::start("").await;
    host.room("dm:a:b").await;
    let pairs = [("a", "b"), ("a:b", "c"), ("a", "b:c"), ("A", "b"), ("%", "b"), ("🤖", "b"), ("a", "_")];
    let mut rooms = Vec::new();
    for (one, other) in pairs {
        let sent = send(&host, one, other, "x").await;
        assert_eq!(sent["created"], true, "{one} and {other}");
        assert_eq!(send(&host, other, one, "y").await["room_id"], sent["room_id"]);
        assert!(!rooms.contains(&sent["room_id"]));
        rooms.push(sent["room_id"].clone());
    }
    let of_c = host.get(&format!("{DM}?sender=c")).await.ok();
    let others: Vec<_> =
        of_c["conversations"].as_array().expect("a list").iter().map(|entry| &entry["other_participant"]).collect();
    assert_eq!(others, ["a:b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_come_newest_first() {
    let host = Host::start("").await;
    let first = send(&host, "ada", "bob", "1").await;
    let second = send(&host, "eve", "ada", "2").await;
    send(&host, "eve", "bob", "3").await;
    let last = send(&host, "bob", "ada", "4").await;
    let answer = host.get(&format!("{DM}?sender=ada")).await.ok();
    let entry = |room: &Value, other: &str, last: &Value, count: i64, created: &Value| {
        json!({ "room_id": room["room_id"], "other_participant": other, "last_message_content": last["message"]["content"],
                "last_message_sender": last["message"]["sender"], "last_message_at": last["message"]["created_at"],
                "message_count": count, "unread_count": 1, "created_at": created })
    };
    let made = |place: usize| &answer["conversations"][place]["created_at"];
    let entries = json!([entry(&first, "bob", &last, 2, made(0)), entry(&second, "eve", &second, 1, made(1))]);
    assert_eq!(answer, json!({ "sender": "ada", "conversations": entries, "count": 2, "cursor": null }));
    let page = host.get(&format!("{DM}?sender=ada&limit=1")).await.ok();
    let cursor = page["cursor"].as_str().expect("a next page");
    let next = host.get(&format!("{DM}?sender=ada&limit=1&cursor={cursor}")).await.ok();
    assert_eq!((&next["conversations"][0]["other_participant"], &next["cursor"]), (&json!("eve"), &Value::Null));
    assert_eq!(host.get(&format!("{DM}?sender=nobody")).await.ok()["conversations"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_direct_messages_are_refused() {
    let host = Host::start("").await;
    let names = "Sender and recipient must be 1-100 characters";
    let send = async |body: Value| host.post(DM, &body).await;
    for wrong in ["", " \n", &"é".repeat(101), "a\0b"] {
        send(json!({ "sender": wrong, "recipient": "bob", "content": "x" })).await.refused(400, names);
        send(json!({ "sender": "ada", "recipient": wrong, "content": "x" })).await.refused(400, names);
    }
    send(json!({ "sender": "ada", "recipient": " ada ", "content": "x" }))
        .await
        .refused(400, "Cannot send a DM to yourself");
    for content in ["", &"é".repeat(10_001), "a\0"] {
        let refused = send(json!({ "sender": "ada", "recipient": "bob", "content": content })).await;
        refused.refused(400, "Content must be 1-10000 characters");
    }
    send(json!({ "recipient": "bob", "content": "x" })).await.refused(422, "sender");
    send(json!({ "sender": "ada", "content": "x" })).await.refused(422, "recipient");
    send(json!({ "sender": "ada", "recipient": 7, "content": "x" })).await.refused(422, "recipient");
    send(json!({ "sender": "ada", "recipient": "bob", "content": null })).await.refused(422, "content");
    let kind = "x".repeat(101);
    send(json!({ "sender": "a", "recipient": "b", "content": "x", "sender_type": kind }))
        .await
        .refused(400, "sender_type");
    let large = "x".repeat(64 * 1024);
    send(json!({ "sender": "a", "recipient": "b", "content": "x", "metadata": large })).await.refused(400, "metadata");
    host.client().post(DM, &json!([])).await.refused(422, "");
    host.get(DM).await.refused(422, "'sender'");
    for wrong in ["", "%20", &"é".repeat(101)] {
        host.get(&format!("{DM}?sender={wrong}")).await.refused(400, "Sender must be 1-100 characters");
    }
    let room = host.room("lab").await;
    for id in [room.as_str(), "nowhere", "01a1fe0d-be23-76e7-9b23-440ad354ad90"] {
        host.get(&format!("{DM}/{id}")).await.refused(404, "DM conversation not found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_messages_over_the_limit_are_refused() {
    let host = Host::start("limits.dms_per_minute = 2").await;
    let body = json!({ "sender": "ada", "recipient": "bob", "content": "x" });
    host.post(DM, &json!({ "sender": "ada", "recipient": "ada", "content": "x" })).await.is(400);
    for left in ["1", "0"] {
        let sent = host.post(DM, &body).await;
        assert_eq!(
            (sent.status, sent.header("x-ratelimit-remaining"), sent.header("x-ratelimit-reset")),
            (200, left, "0")
        );
    }
    host.post(DM, &body).await.refused(429, "Rate limited: max 2 DMs per minute");
    host.get(&format!("{DM}?sender=ada")).await.ok();
}
