//! Who speaks first: a message to somebody on a platform.

use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use serde_json::{Value, json};

const SEND: &str = "/api/v1/send";
/// Nobody answers, so that what is heard is what was sent.
const LISTEN: &str = "[[routes]]\nfrom = \"bridge\"\nto = \"assistant\"\nmode = \"listen\"\n";

fn to(uid: &str, content: &str) -> Value {
    json!({ "platform": "bridge", "platform_user_id": uid, "content": content, "sender": "ada" })
}

#[tokio::test(flavor = "multi_thread")]
async fn send_reaches_the_persons_latest_conversation_like_any_message() {
    let host = Host::start(LISTEN).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let said = visitor.say("Hello").await;
    let sent = host.post(SEND, &to(&said.uid, "  Your soup is ready.  ")).await.ok();
    assert_eq!((&sent["sender"], &sent["content"]), (&json!("ada"), &json!("Your soup is ready.")));
    let heard = visitor.hears(1).await;
    assert_eq!((heard[0].text.as_str(), heard[0].asked), ("Your soup is ready.", None));

    let listed = host.get("/api/v1/conversations").await.ok();
    let by_id = json!({ "conversation_id": listed["conversations"][0]["id"], "content": "And hot." });
    let second = host.post(SEND, &by_id).await.ok();
    assert_eq!((&second["sender"], &second["room_id"]), (&json!("operator"), &sent["room_id"]));
    assert_eq!(visitor.hears(2).await[1].text, "And hot.");
    let read =
        host.get(&format!("/api/v1/rooms/{}/messages?after=1", sent["room_id"].as_str().expect("a room"))).await.ok();
    assert_eq!(read, json!([sent, second]), "messages like any others");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeat_with_the_same_key_sends_nothing_again() {
    let mut host = Host::start(LISTEN).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let said = visitor.say("Hello").await;
    let first = host.post(SEND, &to(&said.uid, "once")).header("idempotency-key", "k1").await.ok();
    host.kill_9();
    host.start_again().await;
    let visitor = Visitor::new(host.client(), "session_1");
    let again = host.post(SEND, &to(&said.uid, "once")).header("idempotency-key", "k1").await.ok();
    assert_eq!(again, first);
    let other = host.post(SEND, &to(&said.uid, "something else")).header("idempotency-key", "k1").await;
    other.refused(409, "needs a key of its own");
    host.post(SEND, &to(&said.uid, "once")).header("idempotency-key", "k2").await.ok();
    assert_eq!(visitor.hears(2).await.iter().map(|heard| heard.text.as_str()).collect::<Vec<_>>(), ["once", "once"]);
    let long = host.post(SEND, &to(&said.uid, "x")).header("idempotency-key", &"k".repeat(256)).await;
    long.refused(400, "Idempotency-Key must have 1 to 255 bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn send_to_nobody_is_refused_in_words() {
    let host = Host::start(LISTEN).await;
    let said = Visitor::new(host.client(), "session_1").say("Hello").await;
    host.post(SEND, &to("0000000000000000", "x")).await.refused(404, "has written on bridge yet");
    let elsewhere = json!({ "platform": "web_chat", "platform_user_id": said.uid, "content": "x" });
    host.post(SEND, &elsewhere).await.refused(404, "has written on web_chat yet");
    host.post(SEND, &json!({ "conversation_id": "nobody", "content": "x" }))
        .await
        .refused(404, "no conversation has the id");
    for whom in [
        json!({}),
        json!({ "platform": "bridge" }),
        json!({ "conversation_id": "x", "platform": "bridge", "platform_user_id": "y" }),
    ] {
        let mut body = whom;
        body["content"] = "x".into();
        host.post(SEND, &body).await.refused(400, "either conversation_id, or platform and platform_user_id");
    }
    for content in [String::new(), "  ".into(), "x".repeat(10_001)] {
        host.post(SEND, &to(&said.uid, &content)).await.refused(400, "Content must be 1-10000 characters");
    }
    host.post(SEND, &json!({ "platform": "bridge", "platform_user_id": said.uid })).await.refused(422, "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn send_is_limited_like_messages() {
    let host = Host::start("[limits]\nmessages_per_minute = 3\n").await;
    let said = Visitor::new(host.client(), "session_1").say("Hello").await;
    let first = host.post(SEND, &to(&said.uid, "one")).await;
    assert_eq!((first.status, first.header("x-ratelimit-limit")), (200, "3"));
    host.post(SEND, &to(&said.uid, "two")).await.ok();
    let third = host.post(SEND, &to(&said.uid, "three")).await;
    assert_eq!((third.status, third.header("x-ratelimit-remaining")), (429, "0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_sends_in_its_own_name() {
    let host = Host::start("[auth]\nmode = \"token\"\n").await;
    let said = Visitor::new(host.client(), "session_1").say("Hello").await;
    let make = async |name: &str| {
        let made =
            host.operator().post("/api/v1/admin/tokens", &json!({ "name": name, "scopes": ["write"] })).await.ok();
        host.client().with_token(made["token"].as_str().expect("a token"))
    };
    let (ada, bob) = (make("ada").await, make("bob").await);
    bob.post(SEND, &to(&said.uid, "x")).await.refused(403, "`sender` must be 'bob'");
    let body = json!({ "platform": "bridge", "platform_user_id": said.uid, "content": "x" });
    let sent = ada.post(SEND, &body).header("idempotency-key", "k").await.ok();
    assert_eq!(sent["sender"], "ada");
    let others = bob.post(SEND, &body).header("idempotency-key", "k").await.ok();
    assert_ne!(others["id"], sent["id"], "keys of different callers do not meet");
}
