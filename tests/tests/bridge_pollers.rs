//! The host's own bridge API as a poller and an operator use it: take, confirm, answer, look.

use arcuate_tests::client::{Answer, Client};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

const API: &str = "/api/v1/?action=";
const CONFIG: &str = r#"
[bridge]
api_key = "poller"
admin_key = "operator"
[[routes]]
from = "bridge"
to = "inbox"
"#;

/// With the poller's key.
fn poller(host: &Host) -> Client {
    host.client().with_token("poller")
}

async fn inbox(host: &Host, rest: &str) -> Vec<Value> {
    let data = poller(host).get(&format!("{API}inbox{rest}")).await.data();
    data["messages"].as_array().expect("a list of messages").clone()
}

async fn answer(host: &Host, body: Value) -> Answer {
    poller(host).post(&format!("{API}outbox"), &body).await
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["message"].as_str().expect("a text")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_asked_for_and_named_where_none_is_set() {
    let with_key = [("GET", "inbox", "api_key"), ("POST", "ack", "api_key"), ("POST", "outbox", "api_key")];
    let with_key = with_key.into_iter().chain([("GET", "outbox", "api_key"), ("GET", "sessions", "admin_key")]);
    let with_key: Vec<_> = with_key.chain([("GET", "session_messages&session_id=s", "admin_key")]).collect();
    let (open, closed) = (Host::start(CONFIG).await, Host::start("").await);
    for (method, action, key) in with_key {
        let ask =
            |host: &Host| host.client().ask(method.parse().expect("a method"), &format!("{API}{action}")).body("{}");
        ask(&closed).await.failed(401, key);
        ask(&closed).token("poller").await.failed(401, "config.toml");
        ask(&open).await.failed(401, "Authorization: Bearer");
        ask(&open).token("wrong").await.failed(401, "Invalid");
        ask(&open).header("authorization", "Basic cG9sbGVyOg==").await.failed(401, "Bearer");
        let other = if key == "api_key" { "operator" } else { "poller" };
        ask(&open).token(other).await.failed(401, "Invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_takes_what_it_is_given() {
    let host = Host::start(CONFIG).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let mut ids = Vec::new();
    let texts_said = ["it's <b>&amp;</b>", "two", "three", "four", "five"];
    for text in texts_said {
        ids.push(json!(visitor.say(text).await.id));
    }
    let probe = poller(&host).get(&format!("{API}inbox&limit=0")).await.data();
    assert_eq!((&probe["messages"], &probe["pagination"]["total"]), (&json!([]), &json!(5)), "a probe takes nothing");
    assert_eq!(probe["pagination"], json!({ "total": 5, "limit": 0, "offset": 0, "has_more": true }));

    let data = poller(&host).get(&format!("{API}inbox&limit=2")).await.data();
    let first = data["messages"].as_array().expect("messages");
    assert_eq!(texts(first), ["it&#039;s &lt;b&gt;&amp;amp;&lt;/b&gt;", "two"], "escaped once");
    assert_eq!(data["pagination"], json!({ "total": 5, "limit": 2, "offset": 0, "has_more": true }));
    let message = &first[0];
    assert_eq!((&message["id"], &message["session_id"]), (&ids[0], &json!("session_1")));
    assert!(message["uid"].as_str().is_some_and(|uid| uid.len() == 16) && message["timestamp"].is_string());
    assert_eq!(texts(&inbox(&host, "&offset=1&limit=1").await), ["four"], "behind what is left out");
    let since = message["timestamp"].as_str().expect("a time");
    assert_eq!(texts(&inbox(&host, &format!("&since={since}")).await), ["three", "five"]);
    assert!(inbox(&host, "").await.is_empty());
    for wrong in ["limit=x", "offset=x", "since=soon", "ack=yes"] {
        let name = wrong.split_once('=').map(|(name, _)| name).expect("a name");
        poller(&host).get(&format!("{API}inbox&{wrong}")).await.failed(400, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_gives_a_hundred_at_most() {
    let host = Host::start(CONFIG).await;
    let visitor = Visitor::new(host.client(), "session_1");
    for number in 0..103 {
        visitor.say(&number.to_string()).await;
    }
    assert_eq!(inbox(&host, "&limit=1000").await.len(), 100);
    assert_eq!(texts(&inbox(&host, "&limit=1000").await), ["100", "101", "102"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leased_messages_are_held_until_they_are_confirmed() {
    let mut host = Host::start(CONFIG).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(visitor.say(text).await.id);
    }
    assert_eq!(texts(&inbox(&host, "&ack=manual&limit=2").await), ["one", "two"]);
    assert_eq!(texts(&inbox(&host, "&ack=manual").await), ["three"], "the others are held");
    assert!(inbox(&host, "&ack=manual").await.is_empty() && inbox(&host, "").await.is_empty());
    host.kill_9();
    host.start_again().await;
    assert!(inbox(&host, "&ack=manual").await.is_empty(), "a lease outlives the host");

    let ack = async |ids: Value| poller(&host).post(&format!("{API}ack"), &json!({ "ids": ids })).await;
    assert_eq!(ack(json!([ids[0], ids[1].to_string(), 999_999])).await.data()["acked"], 2, "also as text");
    assert_eq!(ack(json!([ids[0]])).await.data()["acked"], 0, "once");
    let body = json!({ "session_id": "session_1", "response": "to three", "message_id": ids[2] });
    answer(&host, body).await.data();
    assert_eq!(ack(json!([ids[2]])).await.data()["acked"], 0, "the answer has confirmed it");
    for wrong in [json!("1"), json!([1.5]), json!(["x"]), json!(null), json!(vec![1; 1001])] {
        ack(wrong).await.failed(400, "ids");
    }
    let waiting = host.operator().get("/api/v1/admin/queue?plugin=inbox").await.ok();
    let states: Vec<_> = waiting["jobs"].as_array().expect("jobs").iter().map(|job| job["state"].clone()).collect();
    assert_eq!(states, ["completed", "completed", "completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_that_ends_gives_the_message_again() {
    let host = Host::start(&CONFIG.replace("[bridge]", "[bridge]\nack_seconds = 0.3")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let id = visitor.say("again and again").await.id;
    for time in 1..=3 {
        let look = async || Some(inbox(&host, "&ack=manual").await).filter(|messages| !messages.is_empty());
        let messages = until_async("the lease ends", PATIENCE, look).await;
        assert_eq!((messages.len(), &messages[0]["id"]), (1, &json!(id)), "time {time}");
    }
    // Who confirms late has confirmed all the same.
    let acked = poller(&host).post(&format!("{API}ack"), &json!({ "ids": [id] })).await.data();
    assert_eq!(acked["acked"], 1);
    visitor.say("the next").await;
    let look = async || Some(inbox(&host, "&ack=manual").await).filter(|messages| !messages.is_empty());
    for _ in 0..2 {
        assert_eq!(
            texts(&until_async("the next one", PATIENCE, look).await),
            ["the next"],
            "the first never came again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_reach_the_visitor_once_per_key() {
    let mut host = Host::start(CONFIG).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let asked = visitor.say("Hello?").await.id;
    let body =
        json!({ "session_id": "session_1", "response": "<It's \"me\" & you>", "message_id": asked, "timestamp": 1 });
    let post = |host: &Host, body: &Value, key: &str| {
        poller(host).post(&format!("{API}outbox"), body).header("idempotency-key", key)
    };
    let first = post(&host, &body, "key 1").await.data();
    assert_eq!(first["session_id"], "session_1");
    host.kill_9();
    host.start_again().await;
    let again = post(&host, &body, "key 1").await.data();
    assert_eq!((&again["response_id"], &again["timestamp"]), (&first["response_id"], &first["timestamp"]));
    post(&host, &body, "key 2").await.data();
    answer(&host, json!({ "session_id": "session_1", "response": "unasked", "message_id": "0" })).await.data();
    let heard = visitor.hears(3).await;
    assert_eq!((heard[0].text.as_str(), heard[0].asked), ("<It's \"me\" & you>", Some(asked)));
    assert_eq!((Some(heard[0].id), heard[2].asked), (first["response_id"].as_i64(), None));

    post(&host, &body, &"k".repeat(256)).await.failed(400, "Idempotency-Key");
    answer(&host, json!({ "session_id": "never_seen", "response": "x" }))
        .await
        .failed(400, "Invalid or expired session");
    answer(&host, json!({ "session_id": "session_1", "response": " " })).await.failed(400, "response");
    answer(&host, json!({ "session_id": "session_1", "response": "é".repeat(10_001) })).await.failed(400, "response");
    answer(&host, json!({ "session_id": "session_1", "response": "x", "message_id": [] }))
        .await
        .failed(400, "message_id");
    answer(&host, json!({ "response": "x" })).await.failed(400, "session_id");
    assert_eq!(visitor.answers().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_all_sessions_are_read_in_order() {
    let host = Host::start(CONFIG).await;
    for session in ["a", "b", "a", "c", "b"] {
        Visitor::new(host.client(), session).say("?").await;
        answer(&host, json!({ "session_id": session, "response": format!("<{session}>") })).await.data();
    }
    let outbox = async |rest: &str| {
        let data = poller(&host).get(&format!("{API}outbox{rest}")).await.data();
        data["responses"].as_array().expect("responses").clone()
    };
    let all = outbox("").await;
    let sessions: Vec<_> = all.iter().map(|response| response["session_id"].as_str().expect("a session")).collect();
    assert_eq!(sessions, ["a", "b", "a", "c", "b"]);
    assert_eq!((&all[0]["response"], all[0]["timestamp"].is_string()), (&json!("&lt;a&gt;"), true));
    assert_eq!(outbox("&plain=1").await[0]["response"], "<a>");
    let (second, page) = (all[1]["id"].clone(), outbox("&limit=2").await);
    assert_eq!(page, all[..2]);
    assert_eq!(outbox(&format!("&after={second}")).await, all[2..]);
    poller(&host).get(&format!("{API}outbox&after=x")).await.failed(400, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_sees_sessions_and_what_was_said() {
    let host = Host::start(&CONFIG.replace("[bridge]", "[bridge]\nsession_timeout_seconds = 1000")).await;
    for session in ["a", "b", "c"] {
        Visitor::new(host.client(), session).say(&format!("<{session}>")).await;
    }
    answer(&host, json!({ "session_id": "b", "response": "it's" })).await.data();
    host.post(&format!("{API}session_response"), &json!({ "session_id": "a" })).await.data();
    let operator = host.client().with_token("operator");
    let sessions = async |rest: &str| operator.get(&format!("{API}sessions{rest}")).await.data();
    let listed = sessions("").await;
    assert_eq!(listed["pagination"], json!({ "total": 3, "limit": 50, "offset": 0, "has_more": false }));
    let ids = |data: &Value| {
        let list = data["sessions"].as_array().expect("sessions").iter();
        list.map(|session| session["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&listed), ["a", "c", "b"], "latest sign of life first");
    let b = &listed["sessions"][2];
    assert_eq!((&b["message_count"], &b["response_count"], &b["active"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!((&b["ip_address"], &b["metadata"]), (&json!("127.0.0.1"), &json!({})));
    assert_eq!(ids(&sessions("&limit=2&offset=1&active=false").await), ["c", "b"]);
    assert_eq!(sessions("&limit=2").await["pagination"]["has_more"], true);
    operator.get(&format!("{API}sessions&active=perhaps")).await.failed(400, "active");

    let said = operator.get(&format!("{API}session_messages&session_id=b")).await.data();
    assert_eq!((&said["session"]["id"], &said["session"]["uid"]), (&json!("b"), &b["uid"]));
    assert_eq!((&said["messages"][0]["message"], &said["messages"][1]), (&json!("&lt;b&gt;"), &Value::Null));
    assert_eq!((&said["responses"][0]["response"], &said["responses"][1]), (&json!("it&#039;s"), &Value::Null));
    let plain = operator.get(&format!("{API}session_messages&session_id=b&plain=1")).await.data();
    assert_eq!((&plain["messages"][0]["message"], &plain["responses"][0]["response"]), (&json!("<b>"), &json!("it's")));
    operator.get(&format!("{API}session_messages&session_id=never_seen")).await.failed(404, "not found");
    operator.get(&format!("{API}session_messages")).await.failed(400, "session_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_was_idle_is_inactive_and_still_answered() {
    let host = Host::start(&CONFIG.replace("[bridge]", "[bridge]\nsession_timeout_seconds = 1")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let uid = visitor.say("Hello?").await.uid;
    let operator = host.client().with_token("operator");
    let idle = async || {
        let data = operator.get(&format!("{API}sessions")).await.data();
        (data["sessions"] == json!([])).then_some(())
    };
    until_async("the session is inactive", PATIENCE, idle).await;
    let all = operator.get(&format!("{API}sessions&active=false")).await.data();
    assert_eq!((&all["sessions"][0]["id"], &all["sessions"][0]["active"]), (&json!("session_1"), &json!(false)));
    answer(&host, json!({ "session_id": "session_1", "response": "at last" })).await.data();
    assert_eq!(visitor.hears(1).await[0].text, "at last");
    assert_eq!(visitor.say("Thanks").await.uid, uid, "never forgotten");
}
