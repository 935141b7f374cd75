//! What endpoints get, and what becomes of deliveries that go wrong: signatures, schedule, rest, addresses.

use crate::webhooks::{IMPATIENT, OwnedRoom};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::receiver::{Post, Receiver};
use arcuate_tests::wait::{PATIENCE, until_async};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::json;
use sha2::Sha256;

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signed as the chat API says, and as Standard Webhooks says.
fn assert_signed(post: &Post, secret: &str, decoded: &[u8]) {
    let expected = format!("sha256={}", hex(&hmac(secret.as_bytes(), &post.body)));
    assert_eq!(post.header("x-chat-signature"), expected);
    let mut signed = format!("{}.{}.", post.header("webhook-id"), post.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&post.body);
    assert_eq!(post.header("webhook-signature"), format!("v1,{}", STANDARD.encode(hmac(decoded, &signed))));
}

#[tokio::test(flavor = "multi_thread")]
async fn message_is_posted_signed_with_the_headers_of_both_kinds() {
    let (plain, standard, open) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let host = Host::start(IMPATIENT).await;
    let room = OwnedRoom::new(&host, "lab & \"co\"").await;
    let id = room.hook(&json!({ "url": plain.url(), "secret": "s3cret", "events": "message" })).await;
    room.hook(&json!({ "url": standard.url(), "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" })).await;
    room.hook(&json!({ "url": open.url() })).await;
    let message = room.say("Grüße, \"World\" 👋").await;

    let post = plain.until(1).await.remove(0);
    let body = post.json();
    let expected = json!({ "event": "message", "room_id": room.id, "room_name": "lab & \"co\"", "data": message,
        "timestamp": body["timestamp"] });
    assert_eq!(body, expected);
    assert!(body["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{body}");
    let shown = ["x-chat-event", "x-chat-webhook-id", "content-type"].map(|name| post.header(name));
    assert_eq!(shown, ["message", id.as_str(), "application/json"]);
    assert!(post.header("user-agent").starts_with("Arcuate/"), "{post:?}");
    assert_eq!(post.header("idempotency-key"), post.header("webhook-id"));
    assert!(post.header("webhook-timestamp").parse::<u64>().is_ok(), "{post:?}");
    assert_signed(&post, "s3cret", b"s3cret");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    assert_signed(&standard.until(1).await[0], secret, &key);
    let unsigned = open.until(1).await.remove(0);
    assert_eq!((unsigned.header("x-chat-signature"), unsigned.header("webhook-signature")), ("", ""));
    assert_eq!(unsigned.path, "/hook");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_gets_what_its_filter_names_in_order() {
    let (some, all, host) = (Receiver::start().await, Receiver::start().await, Host::start(IMPATIENT).await);
    let (room, other) = (OwnedRoom::new(&host, "lab").await, OwnedRoom::new(&host, "other").await);
    room.hook(&json!({ "url": some.url(), "events": "webhook_disabled,file_uploaded" })).await;
    room.hook(&json!({ "url": all.url() })).await;
    other.say("elsewhere").await;
    for text in 0..20 {
        room.say(&text.to_string()).await;
    }
    let texts: Vec<_> = all.until(20).await.iter().map(|post| post.json()["data"]["content"].clone()).collect();
    assert_eq!(texts, (0..20).map(|text| json!(text.to_string())).collect::<Vec<_>>());
    assert_eq!(some.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_delivery_is_tried_by_the_schedule_then_a_dead_letter() {
    let receiver = Receiver::answering(|_, _| StatusCode::INTERNAL_SERVER_ERROR.into_response()).await;
    let host = Host::start(IMPATIENT).await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": receiver.url() })).await;
    room.say("hello").await;
    let tries = room.until_tried(&id, 3).await;
    let posts = receiver.posts();
    assert_eq!((tries.len(), posts.len()), (3, 3));
    assert!(posts.iter().all(|post| post.body == posts[0].body), "the bytes are the same on every attempt");
    let ids: Vec<_> = posts.iter().map(|post| post.header("webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == tries[0]["delivery_group"]), "{ids:?}");
    let failed = host.operator().get("/api/v1/admin/queue?state=failed&kind=webhook").await.ok();
    assert_eq!(failed["jobs"][0]["id"], tries[0]["delivery_group"]);
    // The lane goes on.
    room.say("next").await;
    room.until_tried(&id, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_is_given_as_the_endpoint_asks() {
    let receiver = Receiver::answering(|_, before| match before {
        0 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0.05")]).into_response(),
        1 => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0.05")]).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    // By the schedule nothing would come for an hour.
    let host = Host::start("[plugins.webhook.settings]\nschedule = [3600, 3600]\n").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": receiver.url() })).await;
    room.say("hello").await;
    let tries = room.until_tried(&id, 3).await;
    let codes: Vec<_> = tries.iter().map(|row| row["status_code"].clone()).collect();
    assert_eq!(codes, [json!(204), json!(503), json!(429)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_that_is_gone_is_disabled_and_its_room_hears_it() {
    let gone = Receiver::answering(|_, _| StatusCode::GONE.into_response()).await;
    let (other, host) = (Receiver::start().await, Host::start(IMPATIENT).await);
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": gone.url() })).await;
    room.hook(&json!({ "url": other.url(), "events": "webhook_disabled" })).await;
    room.say("hello").await;
    let told = other.until(1).await.remove(0).json();
    assert_eq!((&told["data"]["webhook_id"], &told["data"]["reason"]), (&json!(id), &json!("gone")));
    let listed = room.ask(Method::GET, "webhooks").await.ok();
    assert_eq!((&listed[1]["id"], &listed[1]["active"]), (&json!(id), &json!(false)));
    room.say("unheard").await;
    room.send(Method::PUT, &format!("webhooks/{id}"), &json!({ "active": true })).await.ok();
    room.say("heard again").await;
    let posts = gone.until(2).await;
    assert_eq!(posts[1].json()["data"]["content"], "heard again");
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_endpoint_loses_what_waits_for_it() {
    let receiver = Receiver::answering(|_, _| StatusCode::BAD_GATEWAY.into_response()).await;
    let host = Host::start("[plugins.webhook.settings]\nschedule = [3600]\n").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": receiver.url() })).await;
    for text in ["a", "b", "c"] {
        room.say(text).await;
    }
    room.until_tried(&id, 1).await;
    room.send(Method::PUT, &format!("webhooks/{id}"), &json!({ "active": false })).await.ok();
    let flushed = host.operator().get("/api/v1/admin/queue?state=flushed&kind=webhook").await.ok();
    assert_eq!(flushed["jobs"].as_array().map(Vec::len), Some(3));
    let waiting = host.operator().get("/api/v1/admin/queue?state=pending").await.ok();
    assert_eq!(waiting["jobs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let target = Receiver::start().await;
    let place = target.url();
    let moved = Receiver::answering(move |_, _| {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place.clone())]).into_response()
    })
    .await;
    let host = Host::start(IMPATIENT).await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": moved.url() })).await;
    room.say("hello").await;
    let tries = room.until_tried(&id, 3).await;
    assert_eq!(tries[0]["status_code"], 307);
    assert!(tries[0]["error_message"].as_str().is_some_and(|text| text.contains("redirects")), "{}", tries[0]);
    assert_eq!(target.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_inner_networks_are_refused_in_every_form() {
    let inner = Receiver::start().await;
    let host = Host::start("[plugins.webhook.settings]\nallow_networks = []\n").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let port = inner.url().rsplit(':').next().expect("a port").to_owned();
    let forms = [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
    ];
    let mut hooks = Vec::new();
    for form in forms {
        hooks.push((form, room.hook(&json!({ "url": format!("http://{form}:{port}") })).await));
    }
    room.say("hello").await;
    for (form, id) in hooks {
        let tries = room.until_tried(&id, 1).await;
        assert_eq!((&tries[0]["status"], &tries[0]["status_code"]), (&json!("failed"), &json!(null)), "{form}");
        let why = tries[0]["error_message"].as_str().expect("a reason");
        assert!(why.contains("not called"), "{form}: {why}");
    }
    assert_eq!(inner.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_metadata_is_refused_although_the_network_is_allowed() {
    let host = Host::start("[plugins.webhook.settings]\nallow_networks = [\"0.0.0.0/0\", \"::/0\"]\n").await;
    let room = OwnedRoom::new(&host, "lab").await;
    let id = room.hook(&json!({ "url": "http://169.254.169.254/latest/meta-data/" })).await;
    room.say("hello").await;
    let tries = room.until_tried(&id, 1).await;
    assert!(tries[0]["error_message"].as_str().is_some_and(|text| text.contains("metadata")), "{}", tries[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_wait_while_the_plugin_is_disabled() {
    let receiver = Receiver::start().await;
    let mut host = Setup::new("[plugins.webhook]\nenabled = false\n").steady_port().start().await;
    let id = {
        let room = OwnedRoom::new(&host, "lab").await;
        room.hook(&json!({ "url": receiver.url() })).await;
        room.say("patience").await;
        room.id
    };
    let pending = || async {
        let jobs = host.operator().get("/api/v1/admin/queue?state=pending&kind=webhook").await.ok();
        (jobs["jobs"].as_array().map(Vec::len) == Some(1)).then_some(())
    };
    until_async("the delivery waits", PATIENCE, pending).await;
    host.terminate().await;
    host.configure(|config| config["plugins"]["webhook"]["enabled"] = toml_edit::value(true));
    host.start_again().await;
    let post = receiver.until(1).await.remove(0).json();
    assert_eq!((&post["room_id"], &post["data"]["content"]), (&json!(id), &json!("patience")));
}
