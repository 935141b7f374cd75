//! What a room's owner does with its key: change, archive, bring back. Who has no key, or another's, does nothing.

use arcuate_tests::client::Asked;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

const ROOMS: &str = "/api/v1/rooms";

/// A room and its key.
async fn owned(host: &Host, name: &str) -> (String, String) {
    let made = host.post(ROOMS, &json!({ "name": name, "description": "to cook" })).await.ok();
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), text("admin_key"))
}

fn put(host: &Host, (room, key): &(String, String), body: &Value) -> Asked {
    host.client().ask(Method::PUT, &format!("{ROOMS}/{room}")).token(key).json(body)
}

fn turn(host: &Host, (room, key): &(String, String), deed: &str) -> Asked {
    host.client().ask(Method::POST, &format!("{ROOMS}/{room}/{deed}")).header("x-admin-key", key)
}

#[tokio::test(flavor = "multi_thread")]
async fn update_changes_what_is_given_and_keeps_the_rest() {
    let host = Host::start("").await;
    let room = owned(&host, "kitchen").await;
    let mut stream = Stream::open(host.client(), &room.0, "", &[]).await;
    let changed =
        put(&host, &room, &json!({ "name": " galley ", "max_messages": 50, "max_message_age_hours": 24 })).await.ok();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("galley"), &json!("to cook")));
    assert_eq!((&changed["max_messages"], &changed["max_message_age_hours"]), (&json!(50), &json!(24)));
    assert!(changed["updated_at"].as_str() > changed["created_at"].as_str(), "{changed}");
    let event = stream.next_real().await.expect("an event");
    assert_eq!((event.name.as_str(), &event.data["seq"]), ("room_updated", &json!(event.id)));
    for (field, value) in changed.as_object().expect("a room") {
        assert_eq!(&event.data[field], value, "{field}");
    }
    let cleared = put(&host, &room, &json!({ "description": "", "max_messages": null, "name": null })).await.ok();
    assert_eq!((&cleared["name"], &cleared["description"]), (&json!("galley"), &json!("")));
    assert_eq!((cleared.get("max_messages"), &cleared["max_message_age_hours"]), (None, &json!(24)));
    assert_eq!(put(&host, &room, &json!({})).await.ok(), cleared);
    assert_eq!(host.get(&format!("{ROOMS}/{}", room.0)).await.ok(), cleared);
    put(&host, &room, &json!({ "name": "galley" })).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn update_with_wrong_fields_is_refused() {
    let host = Host::start("").await;
    let (room, other) = (owned(&host, "kitchen").await, owned(&host, "hall").await);
    for name in ["", " \t", &"é".repeat(101), "a\0b"] {
        put(&host, &room, &json!({ "name": name })).await.refused(400, "Room name must be 1-100 characters");
    }
    put(&host, &room, &json!({ "description": "x".repeat(2001) })).await.refused(400, "description");
    put(&host, &room, &json!({ "max_messages": 9 })).await.refused(400, "max_messages must be between 10 and 1000000");
    let hours = "max_message_age_hours must be between 1 and 8760 (1 year)";
    put(&host, &room, &json!({ "max_message_age_hours": -5 })).await.refused(400, hours);
    for (field, wrong) in [
        ("name", json!(5)),
        ("description", json!({})),
        ("max_messages", json!("10")),
        ("max_message_age_hours", json!(1.5)),
    ] {
        put(&host, &room, &json!({ field: wrong })).await.refused(422, field);
    }
    put(&host, &room, &json!({ "name": "hall" })).await.refused(409, "A room with that name already exists");
    let path = format!("{ROOMS}/{}", room.0);
    host.client().ask(Method::PUT, &path).json(&json!({})).await.refused(401, "admin key");
    host.client()
        .ask(Method::PUT, &path)
        .token(&other.1)
        .json(&json!({}))
        .await
        .refused(403, "Invalid admin key for this room");
    // Of two keys the bearer token counts.
    let both =
        |bearer, key| host.client().ask(Method::PUT, &path).token(bearer).header("x-admin-key", key).json(&json!({}));
    both(&other.1, &room.1).await.refused(403, "Invalid admin key for this room");
    both(&room.1, &other.1).await.ok();
    host.client().ask(Method::PUT, &path).token(&room.1).body("{}").await.is(415);
    host.client().ask(Method::PUT, &path).token(&room.1).json(&json!([])).await.is(422);
    put(&host, &("general".into(), room.1.clone()), &json!({})).await.refused(404, "Room not found");
    assert_eq!(host.get(&path).await.ok()["name"], "kitchen", "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_room_leaves_the_list_and_goes_on() {
    let host = Host::start("").await;
    let room = owned(&host, "kitchen").await;
    let mut stream = Stream::open(host.client(), &room.0, "", &[]).await;
    turn(&host, &room, "unarchive").await.refused(409, "Room is not archived");
    let archived = turn(&host, &room, "archive").await.ok();
    assert!(archived["archived_at"].is_string(), "{archived}");
    turn(&host, &room, "archive").await.refused(409, "Room is already archived");
    let event = stream.next_real().await.expect("an event");
    assert_eq!((event.name.as_str(), &event.data["archived_at"]), ("room_archived", &archived["archived_at"]));
    let listed = async |query: &str| host.get(&format!("{ROOMS}{query}")).await.ok().as_array().map(Vec::len);
    assert_eq!((listed("").await, listed("?include_archived=true").await), (Some(1), Some(2)));
    host.get(&format!("{ROOMS}?include_archived=maybe")).await.refused(400, "'include_archived'");
    host.say(&room.0, "still here").await;
    assert_eq!(stream.next_real().await.expect("an event").content(), "still here");
    assert_eq!(host.get("/api/v1/stats").await.ok()["rooms_archived"], 1);
    let back = turn(&host, &room, "unarchive").await.ok();
    assert_eq!((back.get("archived_at"), listed("").await), (None, Some(2)));
    let event = stream.next_real().await.expect("an event");
    assert_eq!((event.name.as_str(), event.data.get("archived_at")), ("room_unarchived", None));
    assert_eq!(host.get("/api/v1/stats").await.ok()["rooms_archived"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn archiving_needs_the_right_key_or_the_operators() {
    let host = Host::start("").await;
    let (room, other) = (owned(&host, "kitchen").await, owned(&host, "hall").await);
    let path = format!("{ROOMS}/{}/archive", room.0);
    host.client().ask(Method::POST, &path).await.refused(401, "admin key");
    turn(&host, &(room.0.clone(), other.1), "archive").await.refused(403, "Invalid admin key for this room");
    turn(&host, &("x".into(), room.1.clone()), "archive").await.refused(404, "Room not found");
    host.operator().ask(Method::POST, &path).await.ok();
}
