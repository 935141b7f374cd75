//! Threads, from wherever in them one looks, through deletions and over pages.

use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";

async fn reply(host: &Host, room: &str, text: &str, to: &Value) -> Value {
    let body = json!({ "sender": "ada", "content": text, "reply_to": to["id"] });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

fn path(message: &Value) -> String {
    let id = |name: &str| message[name].as_str().expect("an id").to_owned();
    format!("/api/v1/rooms/{}/messages/{}", id("room_id"), id("id"))
}

async fn thread(host: &Host, message: &Value, query: &str) -> Value {
    host.get(&format!("{}/thread{query}", path(message))).await.ok()
}

/// Texts and depths of the replies.
fn replies(thread: &Value) -> Vec<(String, i64)> {
    let list = thread["replies"].as_array().expect("a list").iter();
    list.map(|reply| (reply["content"].as_str().expect("a text").into(), reply["depth"].as_i64().expect("a depth")))
        .collect()
}

fn wanted(replies: &[(&str, i64)]) -> Vec<(String, i64)> {
    replies.iter().map(|(text, depth)| ((*text).to_owned(), *depth)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn thread_is_the_same_from_each_of_its_messages() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let root = host.say(&room, "root").await;
    host.say(&room, "beside").await;
    let a = reply(&host, &room, "a", &root).await;
    let b = reply(&host, &room, "b", &root).await;
    let ab = reply(&host, &room, "a.b", &a).await;
    let abc = reply(&host, &room, "a.b.c", &ab).await;
    let bc = reply(&host, &room, "b.c", &b).await;
    let all = wanted(&[("a", 1), ("b", 1), ("a.b", 2), ("a.b.c", 3), ("b.c", 2)]);
    for message in [&root, &a, &b, &ab, &abc, &bc] {
        let thread = thread(&host, message, "").await;
        assert_eq!((&thread["root"], replies(&thread)), (&root, all.clone()), "in the order of their numbers");
        assert_eq!((&thread["total_replies"], &thread["cursor"]), (&json!(5), &Value::Null));
    }
    let mut deep = abc.clone();
    deep["depth"] = json!(3);
    assert_eq!(thread(&host, &root, "").await["replies"][3], deep, "a whole message and its depth");
    let alone = thread(&host, &host.say(&room, "alone").await, "").await;
    assert_eq!((&alone["replies"], &alone["total_replies"]), (&json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_splits_a_thread_at_what_is_gone() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let root = host.say(&room, "root").await;
    let middle = reply(&host, &room, "middle", &root).await;
    let leaf = reply(&host, &room, "leaf", &middle).await;
    let below = reply(&host, &room, "below", &leaf).await;
    host.client().ask(Method::DELETE, &format!("{}?sender=ada", path(&middle))).await.ok();
    let lower = thread(&host, &below, "").await;
    assert_eq!((&lower["root"], replies(&lower)), (&leaf, wanted(&[("below", 1)])), "the topmost that is left");
    assert_eq!(lower["root"]["reply_to"], middle["id"], "it still says what it answered");
    assert_eq!(thread(&host, &root, "").await["total_replies"], 0);
    host.get(&format!("{}/thread", path(&middle))).await.refused(404, "Message not found in this room");
}

#[tokio::test(flavor = "multi_thread")]
async fn thread_is_read_in_pages() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    let root = host.say(&room, "root").await;
    let mut above = root.clone();
    for number in 1..=5 {
        above = reply(&host, &room, &number.to_string(), &above).await;
    }
    let (mut found, mut query) = (Vec::new(), Some("?limit=2".to_owned()));
    while let Some(asked) = query {
        let page = thread(&host, &above, &asked).await;
        assert_eq!((&page["root"], &page["total_replies"]), (&root, &json!(5)), "on every page");
        found.push(replies(&page));
        query = page["cursor"].as_str().map(|cursor| format!("?limit=2&cursor={cursor}"));
    }
    assert_eq!(found, [wanted(&[("1", 1), ("2", 2)]), wanted(&[("3", 3), ("4", 4)]), wanted(&[("5", 5)])]);
    assert_eq!(replies(&thread(&host, &root, "?limit=0").await).len(), 1, "clamped");
    assert_eq!(replies(&thread(&host, &root, "?limit=99999").await).len(), 5, "clamped");
    for wrong in ["?limit=x", "?cursor=x"] {
        host.get(&format!("{}/thread{wrong}", path(&root))).await.is(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_rooms_and_messages_are_told_apart() {
    let host = Host::start("").await;
    let (room, other) = (host.room("room").await, host.room("other").await);
    let message = host.say(&other, "elsewhere").await;
    let id = message["id"].as_str().expect("an id");
    for nowhere in ["nowhere", UNKNOWN] {
        host.get(&format!("/api/v1/rooms/{nowhere}/messages/{id}/thread")).await.refused(404, "Room not found");
    }
    for unknown in ["first", UNKNOWN, id] {
        let path = format!("/api/v1/rooms/{room}/messages/{unknown}/thread");
        host.get(&path).await.refused(404, "Message not found in this room");
    }
}
