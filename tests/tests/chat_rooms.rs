//! Rooms from outside: made, listed, shown, refused.

use arcuate_tests::client::Answer;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use reqwest::Method;
use serde_json::{Value, json};

const ROOMS: &str = "/api/v1/rooms";

fn names(rooms: &Value) -> Vec<&str> {
    rooms.as_array().expect("a list of rooms").iter().map(|room| room["name"].as_str().expect("a name")).collect()
}

/// RFC 3339 in UTC with microseconds.
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{text}");
}

/// Where a list goes on, from its `Link` header.
fn next(answer: &Answer) -> Option<&str> {
    let link = answer.header("link");
    let (address, relation) = link.split_once('>')?;
    assert_eq!(relation, "; rel=\"next\"", "{answer}");
    address.strip_prefix('<')
}

#[tokio::test(flavor = "multi_thread")]
async fn general_is_there_from_the_start() {
    let host = Host::start("").await;
    let rooms = host.get(ROOMS).await.ok();
    assert_eq!(names(&rooms), ["general"]);
    let room = &rooms[0];
    assert_eq!((&room["created_by"], &room["message_count"]), (&json!("system"), &json!(0)));
    assert_eq!((&room["last_activity"], room.get("admin_key")), (&Value::Null, None));
    assert_time(&room["created_at"]);
    assert_eq!(room["id"].as_str().map(|id| id.as_bytes()[14]), Some(b'7'), "ids are of version 7");
}

#[tokio::test(flavor = "multi_thread")]
async fn room_made_is_shown_and_its_key_only_once() {
    let host = Host::start("").await;
    let made = host.post(ROOMS, &json!({ "name": "  kitchen ", "description": "to cook", "created_by": "ada" })).await;
    let made = made.ok();
    let key = made["admin_key"].as_str().and_then(|key| key.strip_prefix("chat_")).expect("an admin key");
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let shown = host.get(&format!("{ROOMS}/{}", made["id"].as_str().expect("an id"))).await.ok();
    assert_eq!(
        (&shown["name"], &shown["description"], &shown["created_by"], shown.get("admin_key")),
        (&json!("kitchen"), &json!("to cook"), &json!("ada"), None)
    );
    assert_eq!((&shown["created_at"], &shown["updated_at"]), (&made["created_at"], &made["updated_at"]));
    let plain = host.post(ROOMS, &json!({ "name": "hall", "description": null, "unknown": 1 })).await.ok();
    assert_eq!((&plain["description"], &plain["created_by"]), (&json!(""), &json!("anonymous")));
}

#[tokio::test(flavor = "multi_thread")]
async fn room_shows_its_newest_message() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    host.say(&room, "first").await;
    let long = "ö".repeat(150);
    let message = host.say(&room, &long).await;
    let shown = host.get(&format!("{ROOMS}/{room}")).await.ok();
    assert_eq!((&shown["message_count"], &shown["last_message_sender"]), (&json!(2), &json!("ada")));
    assert_eq!(shown["last_message_preview"], json!("ö".repeat(100)));
    assert_eq!((&shown["last_activity"], &shown["updated_at"]), (&message["created_at"], &message["created_at"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_come_newest_activity_first_then_by_name() {
    let host = Host::start("").await;
    let (b, _a, c) = (host.room("b").await, host.room("a").await, host.room("c").await);
    assert_eq!(names(&host.get(ROOMS).await.ok()), ["a", "b", "c", "general"]);
    host.say(&b, "x").await;
    host.say(&c, "x").await;
    assert_eq!(names(&host.get(ROOMS).await.ok()), ["c", "b", "a", "general"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_paged_by_link_without_gap_or_repeat() {
    let host = Host::start("").await;
    for number in 0..6 {
        host.room(&format!("room {number}")).await;
    }
    let (mut path, mut found) = (format!("{ROOMS}?limit=3"), Vec::new());
    loop {
        let page = host.get(&path).await;
        let rooms = page.ok();
        assert!(names(&rooms).len() <= 3, "{page}");
        found.extend(names(&rooms).into_iter().map(str::to_owned));
        match next(&page) {
            Some(more) => path = more.into(),
            None => break,
        }
    }
    assert_eq!(found, ["general", "room 0", "room 1", "room 2", "room 3", "room 4", "room 5"]);
    assert_eq!(names(&host.get(&format!("{ROOMS}?limit=0")).await.ok()).len(), 1, "clamped");
    assert_eq!(names(&host.get(&format!("{ROOMS}?limit=99999999999999999999&cursor=")).await.ok()).len(), 7, "clamped");
    host.get(&format!("{ROOMS}?limit=many")).await.refused(400, "'limit'");
    host.get(&format!("{ROOMS}?cursor=many")).await.refused(400, "'cursor'");
}

#[tokio::test(flavor = "multi_thread")]
async fn room_of_a_taken_name_is_refused() {
    let host = Host::start("").await;
    host.room("kitchen").await;
    host.post(ROOMS, &json!({ "name": " kitchen " })).await.refused(409, "Room 'kitchen' already exists");
    host.post(ROOMS, &json!({ "name": "general" })).await.refused(409, "Room 'general' already exists");
    host.room("Kitchen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn room_with_wrong_fields_is_refused_with_their_names() {
    let host = Host::start("").await;
    let name = "Room name must be 1-100 characters";
    let too_long = [("description", 2001), ("created_by", 101)];
    for wrong in ["", "  \n", &"é".repeat(101), "a\0b"] {
        host.post(ROOMS, &json!({ "name": wrong })).await.refused(400, name);
    }
    for (field, length) in too_long {
        let text = format!("{field} must be at most {} characters", length - 1);
        host.post(ROOMS, &json!({ "name": "x", field: "é".repeat(length) })).await.refused(400, &text);
    }
    host.post(ROOMS, &json!({})).await.refused(422, "name");
    host.post(ROOMS, &json!({ "name": 5 })).await.refused(422, "name");
    host.post(ROOMS, &json!({ "name": "x", "description": [] })).await.refused(422, "description");
    let fits = json!({ "name": "é".repeat(100), "description": "é".repeat(2000), "created_by": "é".repeat(100) });
    host.post(ROOMS, &fits).await.ok();
    assert_eq!(names(&host.get(ROOMS).await.ok()).len(), 2, "only the right one was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_room_is_not_found_whatever_it_looks_like() {
    let host = Host::start("").await;
    for id in ["01a1fe0d-be23-76e7-9b23-440ad354ad90", "general", "1", "%00", "%F0%9F%98%80", "..%2f..%2fetc"] {
        for path in ["", "/messages", "/stream"] {
            host.get(&format!("{ROOMS}/{id}{path}")).await.refused(404, "Room not found");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_over_the_limit_are_refused_with_the_time_to_wait() {
    let host = Host::start("limits.rooms_per_hour = 2").await;
    host.post(ROOMS, &json!({ "name": "" })).await.is(400);
    let first = host.post(ROOMS, &json!({ "name": "one" })).await;
    let told = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(|name| first.header(name));
    assert_eq!(told, ["2", "1", "0"], "what fails before the limit costs nothing");
    host.post(ROOMS, &json!({ "name": "one" })).await.is(409);
    let refused = host.post(ROOMS, &json!({ "name": "two" })).await;
    refused.refused(429, "Rate limited: max 2 rooms per hour");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds to wait");
    assert!((3500..=3600).contains(&wait), "{refused}");
    let body = refused.json();
    assert_eq!((&body["retry_after_secs"], &body["limit"], &body["remaining"]), (&json!(wait), &json!(2), &json!(0)));
    assert_eq!((refused.header("x-ratelimit-remaining"), refused.header("x-ratelimit-limit")), ("0", "2"));
    host.get(ROOMS).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_room_are_kept_and_shown_where_they_are_set() {
    let host = Host::start("").await;
    let limited = json!({ "name": "lab", "max_messages": 10, "max_message_age_hours": 8760 });
    let made = host.post(ROOMS, &limited).await.ok();
    assert_eq!((&made["max_messages"], &made["max_message_age_hours"]), (&json!(10), &json!(8760)));
    let shown = host.get(&format!("{ROOMS}/{}", made["id"].as_str().expect("an id"))).await.ok();
    assert_eq!((&shown["max_messages"], &shown["max_message_age_hours"]), (&json!(10), &json!(8760)));
    let plain = host.post(ROOMS, &json!({ "name": "hall", "max_messages": null, "max_message_age_hours": null })).await;
    let shown = host.get(&format!("{ROOMS}/{}", plain.ok()["id"].as_str().expect("an id"))).await.ok();
    for absent in ["max_messages", "max_message_age_hours", "archived_at", "bookmarked", "last_message_sender"] {
        assert_eq!((plain.ok().get(absent), shown.get(absent)), (None, None), "{absent}");
    }
    for wrong in [9, 0, -1, 1_000_001, i64::MAX] {
        let refused = host.post(ROOMS, &json!({ "name": "x", "max_messages": wrong })).await;
        refused.refused(400, "max_messages must be between 10 and 1000000");
    }
    for wrong in [0, -1, 8761, i64::MIN] {
        let refused = host.post(ROOMS, &json!({ "name": "x", "max_message_age_hours": wrong })).await;
        refused.refused(400, "max_message_age_hours must be between 1 and 8760 (1 year)");
    }
    for field in ["max_messages", "max_message_age_hours"] {
        for wrong in [json!("10"), json!(10.5), json!([]), json!(true), json!(1e300)] {
            host.post(ROOMS, &json!({ "name": "x", field: wrong })).await.refused(422, field);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_of_other_types_are_listed_only_when_named() {
    let host = Host::start("").await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello").await;
    assert_eq!(names(&host.get(ROOMS).await.ok()), ["general"]);
    assert_eq!(names(&host.get(&format!("{ROOMS}?types=dm,session,applet")).await.ok()), ["general"]);
    let both = host.get(&format!("{ROOMS}?types=%20bridge,dm")).await.ok();
    assert_eq!(names(&both), ["bridge:session_1", "general"]);
    host.get(&format!("{ROOMS}?types=bridges")).await.refused(400, "'types'");
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmarked_rooms_come_first_on_all_pages() {
    let host = Host::start("").await;
    let (a, b, c) = (host.room("a").await, host.room("b").await, host.room("c").await);
    host.say(&b, "x").await;
    host.say(&a, "x").await;
    let bookmark = json!({ "sender": "ada" });
    for room in [&c, &b] {
        host.client().ask(Method::PUT, &format!("{ROOMS}/{room}/bookmark")).json(&bookmark).await.ok();
    }
    let (mut path, mut found) = (format!("{ROOMS}?sender=ada&limit=1"), Vec::new());
    loop {
        let page = host.get(&path).await;
        let room = page.ok()[0].clone();
        found.push((room["name"].as_str().expect("a name").to_owned(), room["bookmarked"].as_bool().expect("a flag")));
        match next(&page) {
            Some(more) => path = more.into(),
            None => break,
        }
    }
    let expected = [("b", true), ("c", true), ("a", false), ("general", false)];
    assert_eq!(found, expected.map(|(name, bookmarked)| (name.to_owned(), bookmarked)));
    assert_eq!(names(&host.get(&format!("{ROOMS}?sender=bob")).await.ok()), ["a", "b", "c", "general"]);
    assert_eq!(host.get(&format!("{ROOMS}?sender=%20")).await.ok()[0].get("bookmarked"), None, "blank is nobody");
    host.get(&format!("{ROOMS}?sender={}", "x".repeat(101))).await.refused(400, "Sender must be 1-100 characters");
}
