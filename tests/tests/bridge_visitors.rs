//! The host's own bridge API as browsers use it: the page's client, which decodes what it reads, and the widget, which does not.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Answer;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::{Visitor, decode};
use arcuate_tests::wait::{PATIENCE, until_async};
use reqwest::Method;
use serde_json::{Value, json};

const API: &str = "/api/v1/?action=";

async fn post(host: &Host, action: &str, body: Value) -> Answer {
    host.post(&format!("{API}{action}"), &body).await
}

async fn get(host: &Host, rest: &str) -> Answer {
    host.get(&format!("{API}{rest}")).await
}

fn list(data: &Value) -> &Vec<Value> {
    data["responses"].as_array().expect("a list of responses")
}

#[tokio::test(flavor = "multi_thread")]
async fn visitor_is_answered_under_every_address_of_the_api() {
    let host = Host::start("").await;
    for (number, path) in ["/api/v1/", "/api/v1", "/api/v1/index.php"].iter().enumerate() {
        let session = format!("session_{number}");
        let body = json!({ "session_id": session, "message": "Hello", "timestamp": "2026-01-31T12:00:00Z" });
        let data = host.post(&format!("{path}?action=messages"), &body).await.data();
        assert_eq!((&data["session_id"], &data["is_new_user"]), (&json!(session), &json!(true)));
        let uid = data["uid"].as_str().expect("a uid");
        assert!(uid.len() == 16 && uid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uid}");
        assert!(data["message_id"].is_i64() && data["timestamp"].is_string(), "{data}");
        let visitor = Visitor::new(host.client(), &session);
        let heard = visitor.hears(1).await;
        assert_eq!(heard[0].text, format!("[Username: @visitor_{uid}, Bridge ID: {uid}] Hello"));
        assert_eq!(heard[0].asked, data["message_id"].as_i64());
        let second = visitor.say("Still there?").await;
        assert_eq!((second.uid.as_str(), second.is_new_user), (uid, false), "the same person");
        let path = format!("{path}?action=responses&session_id={session}");
        assert_eq!(host.get(&path).await.data()["session_id"], json!(session));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_of_a_visitor_names_its_id_at_the_bridge_and_leaves_its_text_alone() {
    let host = Host::start("").await;
    let visitor = Visitor::new(host.client(), "session_1");
    let tricky = r#"","metadata":{"external_id":""},"x":" \"external_id\":\"\""#;
    for text in ["Hello", tricky] {
        let said = visitor.say(text).await;
        let room = host.get("/api/v1/conversations").await.ok()["conversations"][0]["room_id"].clone();
        let path = format!("/api/v1/rooms/{}/messages", room.as_str().expect("a room"));
        let messages = host.get(&path).await.ok();
        let seq = |message: &&Value| message["seq"].as_i64() == Some(said.id);
        let message = messages.as_array().expect("messages").iter().find(seq).expect("the message");
        assert_eq!(message["content"], text);
        assert_eq!(message["metadata"]["external_id"], said.id.to_string(), "{message}");
        for (field, value) in [("platform", "bridge"), ("conversation", "session_1"), ("platform_user_id", &said.uid)] {
            assert_eq!(message["metadata"][field], value, "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_taken_as_written_and_given_escaped_once() {
    let agent = Agent::start(Manner { reply: str::to_owned, ..Manner::default() }).await;
    let host = Host::start(&agent.plugin("")).await;
    let texts = [
        "  & < > \" ' &amp; &lt;b&gt; &#039;\n\tline two\r\n ",
        "👩‍👩‍👧‍👦 e\u{301} مرحبا שלום",
        "0",
        &"字".repeat(10_000),
        "{text} %s \\n \\u0041",
    ];
    let visitor = Visitor::new(host.client(), "session_1");
    for text in texts {
        visitor.say(text).await;
    }
    let heard = visitor.hears(texts.len()).await;
    assert_eq!(heard.iter().map(|answer| answer.text.as_str()).collect::<Vec<_>>(), texts);
    assert_eq!(agent.calls().iter().map(|call| call.message.as_str()).collect::<Vec<_>>(), texts);
    let escaped = list(&get(&host, "responses&session_id=session_1").await.data())[0]["response"].clone();
    let wanted = "  &amp; &lt; &gt; &quot; &#039; &amp;amp; &amp;lt;b&amp;gt; &amp;#039;\n\tline two\r\n ";
    assert_eq!(escaped, wanted);
    let plain = list(&get(&host, "responses&session_id=session_1&plain=1").await.data())[0]["response"].clone();
    assert_eq!(plain, texts[0]);
    get(&host, "responses&session_id=session_1&plain=perhaps").await.failed(400, "plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_read_on_from_an_id_or_a_time_of_any_form() {
    let host = Host::start("").await;
    let visitor = Visitor::new(host.client(), "session_1");
    for text in ["one", "two", "three"] {
        visitor.say(text).await;
    }
    visitor.hears(3).await;
    let all = list(&get(&host, "responses&session_id=session_1").await.data()).clone();
    let ids = |data: &Value| list(data).iter().map(|answer| answer["id"].as_i64().unwrap()).collect::<Vec<_>>();
    let wanted: Vec<i64> = all.iter().map(|answer| answer["id"].as_i64().expect("an id")).collect();
    assert!(wanted.is_sorted());
    let read = async |rest: String| ids(&get(&host, &format!("responses&session_id=session_1&{rest}")).await.data());
    assert_eq!(read(format!("after={}", wanted[0])).await, wanted[1..]);
    assert_eq!(read(format!("after={}", wanted[2])).await, Vec::<i64>::new());
    let time = all[0]["timestamp"].as_str().expect("a time");
    assert_eq!(read(format!("since={time}")).await, wanted[1..], "exclusive");
    assert_eq!(read(format!("since={}", time.replace('Z', "+00:00"))).await, wanted[1..], "a plus that became a blank");
    assert_eq!(read(format!("since={}", time.replace('Z', "%2B00:00"))).await, wanted[1..]);
    for past in ["2020-01-01T00:00:00Z", "2020-01-01 00:00:00", "2020-01-01%2000:00:00", "1577836800", "1577836800.5"] {
        assert_eq!(read(format!("since={past}")).await, wanted, "{past}");
    }
    for future in ["2999-01-01T00:00:00+01:00", "2999-01-01 00:00:00", "32472144000"] {
        assert_eq!(read(format!("since={future}")).await, Vec::<i64>::new(), "{future}");
    }
    for wrong in ["since=soon", "since=2020-13-01", "after=x", "after=1.5"] {
        let name = wrong.split_once('=').map(|(name, _)| name).expect("a name");
        get(&host, &format!("responses&session_id=session_1&{wrong}")).await.failed(400, name);
    }
    assert_eq!(ids(&get(&host, "responses&session_id=never_seen").await.data()), Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_conversation_is_read_a_hundred_answers_at_a_time() {
    let host = Host::start("").await;
    let visitor = Visitor::new(host.client(), "session_1");
    for number in 0..105 {
        visitor.say(&number.to_string()).await;
    }
    visitor.hears(105).await;
    let page = get(&host, "responses&session_id=session_1").await.data();
    assert_eq!(list(&page).len(), 100, "the oldest first");
    let last = page["responses"][99]["id"].clone();
    assert_eq!(list(&get(&host, &format!("responses&session_id=session_1&after={last}")).await.data()).len(), 5);
}

/// The widget sends a key of its own with everything, names the visitor itself, and expects a bare list of plain texts.
#[tokio::test(flavor = "multi_thread")]
async fn widget_gets_each_answer_once_also_after_a_kill() {
    let agent = Agent::start(Manner { reply: |message| format!("<{message}>"), ..Manner::default() }).await;
    let mut host = Host::start(&agent.plugin("")).await;
    let uid = "00FFaa1122334455";
    let ask = |host: &Host, action: &str, body: Value| {
        host.post(&format!("/api/v1/index.php?action={action}"), &body).token("widget-key")
    };
    let said = ask(&host, "inbox", json!({ "session_id": "w1", "message": "one & 1", "uid": uid })).await.data();
    assert_eq!((&said["uid"], &said["is_new_user"]), (&json!(uid.to_lowercase()), &json!(true)));
    let touched = ask(&host, "session_response", json!({ "session_id": "w1", "uid": uid })).await.data();
    assert_eq!((&touched["session_id"], &touched["active"]), (&json!("w1"), &json!(true)));

    let answers = async |host: &Host| ask(host, "responses", json!({ "session_id": "w1", "uid": uid })).await.data();
    let some = async |host: &Host| Some(answers(host).await).filter(|data| data != &json!([]));
    let first = until_async("the widget's answer", PATIENCE, || some(&host)).await;
    let first = first.as_array().expect("`data` is a list");
    assert_eq!((first.len(), &first[0]["response"]), (1, &json!("<one & 1>")), "plain");
    assert!(first[0]["id"].is_i64() && first[0]["timestamp"].is_string(), "{first:?}");
    host.kill_9();
    host.start_again().await;
    assert_eq!(answers(&host).await, json!([]), "what was handed over stays handed over");
    ask(&host, "inbox", json!({ "session_id": "w1", "message": "two", "uid": "no uid" })).await.data();
    let second = until_async("the next answer", PATIENCE, || some(&host)).await;
    assert_eq!((&second[0]["response"], &second[1]), (&json!("<two>"), &Value::Null), "{second}");
    assert_eq!(agent.calls()[1].user["platform_user_id"], uid.to_lowercase(), "who is no hex is the session's visitor");
    // The other client still reads all of it.
    assert_eq!(Visitor::new(host.client(), "w1").answers().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_in_the_bridges_own_envelope() {
    let host = Host::start("").await;
    let message = |session: Value, message: Value| json!({ "session_id": session, "message": message });
    for session in [json!(""), json!("a b"), json!("ä"), json!("x".repeat(65)), json!(7), json!(null)] {
        post(&host, "messages", message(session, json!("x"))).await.failed(400, "session_id");
    }
    for text in [json!(""), json!(" \n"), json!("字".repeat(10_001)), json!("a\u{0}b"), json!(["x"]), json!(null)] {
        post(&host, "messages", message(json!("s"), text)).await.failed(400, "message");
    }
    post(&host, "messages", json!({ "session_id": "s", "message": "x", "timestamp": "soon" }))
        .await
        .failed(400, "timestamp");
    post(&host, "messages", json!([])).await.failed(400, "object");
    post(&host, "responses", json!({})).await.failed(400, "session_id");
    post(&host, "session_response", json!({ "session_id": "?" })).await.failed(400, "session_id");
    get(&host, "responses").await.failed(400, "session_id");
    get(&host, "responses&session_id=a%20b").await.failed(400, "session_id");
    let raw = |body: &str| host.client().ask(Method::POST, &format!("{API}messages")).body(body);
    raw("{").await.failed(400, "JSON");
    raw("").await.failed(400, "JSON");
    raw(&"x".repeat(10 * 1024 * 1024 + 1)).await.failed(413, "10 MiB");
    raw(&message(json!("plain"), json!("x")).to_string()).header("content-type", "text/plain").await.data();
    for action in ["", "unknown", "Messages"] {
        get(&host, action).await.failed(400, "action");
    }
    host.get("/api/v1/").await.failed(400, "action");
    for (method, action, allowed) in [
        (Method::GET, "messages", "POST"),
        (Method::DELETE, "responses", "GET, POST"),
        (Method::PUT, "inbox", "GET, POST"),
        (Method::GET, "ack", "POST"),
        (Method::POST, "sessions", "GET"),
    ] {
        let refused = host.client().ask(method, &format!("{API}{action}")).await;
        refused.failed(405, "");
        assert_eq!(refused.header("allow"), allowed, "{refused}");
    }
    let sessions = host.get("/api/v1/conversations").await.ok()["conversations"].as_array().map(Vec::len);
    assert_eq!(sessions, Some(1), "only the right one was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_too_fast_are_told_when_to_come_back() {
    let host = Host::start("limits.messages_per_minute = 2\nlimits.api_per_minute = 3").await;
    let body = json!({ "session_id": "s", "message": "x" });
    post(&host, "messages", json!({ "session_id": "s", "message": "" })).await.failed(400, "message");
    post(&host, "messages", body.clone()).await.data();
    post(&host, "inbox", body.clone()).await.data();
    let refused = post(&host, "messages", body).await;
    refused.failed(429, "max 2 messages per minute");
    assert!((1..=60).contains(&refused.header("retry-after").parse().expect("seconds")), "{refused}");
    for _ in 0..3 {
        get(&host, "responses&session_id=s").await.data();
    }
    get(&host, "responses&session_id=s").await.failed(429, "max 3 requests per minute");
    host.get("/api/v1/rooms").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_may_call_it() {
    let host = Host::start("").await;
    let path = format!("{API}messages");
    let preflight = host.client().ask(Method::OPTIONS, &path).header("origin", "https://shop.example");
    let preflight = preflight.header("access-control-request-method", "POST");
    let preflight = preflight.header("access-control-request-headers", "authorization,content-type").await;
    assert_eq!(preflight.status, 200, "{preflight}");
    assert_eq!(preflight.header("access-control-allow-origin"), "https://shop.example");
    assert!(preflight.header("access-control-allow-headers").contains("authorization"), "{preflight}");
    let body = json!({ "session_id": "s", "message": "x" });
    let said = host.post(&path, &body).header("origin", "https://shop.example").await;
    said.data();
    assert_eq!(said.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(said.header("content-type"), "application/json");
}

#[test]
fn visitor_decodes_once() {
    assert_eq!(decode("&amp;lt; &lt;b&gt; &quot;&#039;"), "&lt; <b> \"'");
}
