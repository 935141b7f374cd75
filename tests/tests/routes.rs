//! Who answers whom, and what goes out to the platform that something came from.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::guest::{Guest, door_of};
use arcuate_tests::host::Host;
use arcuate_tests::php::PhpBridge;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

const PUB: &str = "[plugins.pub]\nlibrary = \"tcp_chat\"\nenabled = true\n";

fn route(from: &str, to: &str, more: &str) -> String {
    format!("[[routes]]\nfrom = \"{from}\"\nto = \"{to}\"\n{more}\n")
}

/// The rooms of all conversations.
async fn rooms(host: &Host) -> Vec<String> {
    let list = host.get("/api/v1/conversations").await.ok();
    let list = list["conversations"].as_array().expect("a list").clone();
    list.iter().map(|row| row["room_id"].as_str().expect("a room").to_owned()).collect()
}

async fn messages(host: &Host, room: &str) -> Vec<Value> {
    host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok().as_array().expect("messages").clone()
}

/// Nothing waits, runs or has failed.
async fn until_settled(host: &Host) {
    let settled = async || {
        let queue = host.get("/ready").await.ok()["queue"].clone();
        (queue["pending"] == 0 && queue["processing"] == 0 && queue["failed"] == 0).then_some(())
    };
    until_async("the queue is empty", PATIENCE, settled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_route_asks_the_agent_and_echo_shows_what_it_would_read() {
    let agent = Agent::start(Manner::default()).await;
    let routes = route("pub", "assistant", "mode = \"echo\"") + &route("bridge", "assistant", "mode = \"live\"");
    let host = Host::start(&format!("{PUB}{}{routes}", agent.plugin(""))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Is it live?").await;
    assert_eq!(visitor.hears(1).await[0].text, "re: Is it live?");
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("Is it an echo?").await;
    assert_eq!(ada.hears().await, "assistant: Is it an echo?");
    assert_eq!(agent.calls().len(), 1, "an echo asks nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_route_stores_and_nobody_answers() {
    let agent = Agent::start(Manner::default()).await;
    let routes = route("bridge", "assistant", "mode = \"listen\"") + &route("*", "assistant", "");
    let host = Host::start(&format!("{PUB}{}{routes}", agent.plugin(""))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Is anybody there?").await;
    // What comes behind it shows that the first was not only late.
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("I am").await;
    assert_eq!(ada.hears().await, "assistant: re: I am");
    until_settled(&host).await;
    assert!(visitor.answers().await.is_empty());
    assert_eq!(agent.calls().len(), 1);
    let stored = messages(&host, &rooms(&host).await[1]).await;
    assert_eq!((stored.len(), &stored[0]["content"]), (1, &json!("Is anybody there?")));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_route_that_matches_counts() {
    let agent = Agent::start(Manner::default()).await;
    let other = "[plugins.other]\nlibrary = \"agent_invoker\"\nenabled = true\n[plugins.other.settings]\n\
                 backend = \"echo\"\nprompt_format = \"other: {text}\"\n";
    let routes = route("pub", "other", "") + &route("*", "assistant", "") + &route("bridge", "other", "");
    let host = Host::start(&format!("{PUB}{other}{}{routes}", agent.plugin(""))).await;
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("Who are you?").await;
    assert_eq!(ada.hears().await, "other: other: Who are you?");
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("And you?").await;
    assert_eq!(visitor.hears(1).await[0].text, "re: And you?", "`*` stands before its own route");
}

#[tokio::test(flavor = "multi_thread")]
async fn source_without_a_route_is_warned_of_and_stored() {
    let host = Host::start(&format!("{PUB}{}", route("bridge", "assistant", ""))).await;
    let told = host.stdout() + &host.log();
    assert!(told.contains("no route from pub: messages are stored, nobody answers"), "{told}");
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("Hello?").await;
    let stored = async || rooms(&host).await.pop();
    let room = until_async("the message is stored", PATIENCE, stored).await;
    assert_eq!(messages(&host, &room).await.len(), 1);
    until_settled(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inbox_takes_what_its_route_says_and_its_answer_goes_out() {
    let routes = route("pub", "assistant", "") + &route("bridge", "inbox", "");
    let host = Host::start(&format!("bridge.api_key = \"poller\"\n{PUB}{routes}")).await;
    let (visitor, mut ada) =
        (Visitor::new(host.client(), "session_1"), Guest::enter(door_of(&host, "pub").await, "Ada").await);
    let asked = visitor.say("Question?").await.id;
    ada.say("Hello").await;
    ada.hears().await;
    let poller = host.client().with_token("poller");
    let data = poller.get("/api/v1/?action=inbox").await.data();
    assert_eq!((&data["messages"][0]["id"], &data["messages"][1]), (&json!(asked), &Value::Null), "{data}");
    let body = json!({ "session_id": "session_1", "response": "Answer!", "message_id": asked });
    poller.post("/api/v1/?action=outbox", &body).await.data();
    let heard = visitor.hears(1).await;
    assert_eq!((heard[0].text.as_str(), heard[0].asked), ("Answer!", Some(asked)));
}

/// An operator speaks in a room that belongs to a platform.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_others_go_to_the_platform_and_what_came_from_it_never_does() {
    let agent = Agent::start(Manner::default()).await;
    let bridge = PhpBridge::start("an operator's words to a PHP bridge").await;
    let plugin = bridge.as_ref().map(|bridge| bridge.plugin("")).unwrap_or_default();
    let routes = route("*", "assistant", "");
    let host = Host::start(&format!("{PUB}{plugin}{}{routes}", agent.plugin(""))).await;
    let mut visitors = vec![Visitor::new(host.client(), "native_1")];
    visitors.extend(bridge.as_ref().map(|bridge| bridge.visitor("web_1")));
    for visitor in &visitors {
        visitor.say("Hello?").await;
        visitor.hears(1).await;
    }
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("Hello?").await;
    assert_eq!(ada.hears().await, "assistant: re: Hello?");

    let rooms = rooms(&host).await;
    assert_eq!(rooms.len(), visitors.len() + 1);
    for room in &rooms {
        let question = messages(&host, room).await[0]["id"].clone();
        let words = json!({ "sender": "operator", "content": "I'm <here> now", "reply_to": question });
        host.post(&format!("/api/v1/rooms/{room}/messages"), &words).await.ok();
    }
    assert_eq!(ada.hears().await, "operator: I'm <here> now");
    for visitor in &visitors {
        let heard = visitor.hears(2).await;
        assert_eq!((heard[1].text.as_str(), heard[1].asked), ("I'm <here> now", heard[0].asked), "{}", visitor.session);
    }
    until_settled(&host).await;
    for room in &rooms {
        let stored = messages(&host, room).await;
        let texts: Vec<_> = stored.iter().map(|message| message["content"].as_str().expect("a text")).collect();
        assert_eq!(texts, ["Hello?", "re: Hello?", "I'm <here> now"]);
        assert_eq!(stored[0]["sender_type"], "human");
        assert_eq!((&stored[1]["sender"], &stored[1]["reply_to"]), (&json!("assistant"), &stored[0]["id"]));
    }
    assert_eq!(agent.calls().len(), rooms.len(), "an operator's words ask nobody");
    if let Some(bridge) = &bridge {
        let said = bridge.session("web_1").await;
        let counts = ["messages", "responses"].map(|list| said[list].as_array().map(Vec::len));
        assert_eq!(counts, [Some(1), Some(2)], "nothing came back to where it came from: {said:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_is_told_who_asks_and_what_was_said_before() {
    let agent = Agent::start(Manner::default()).await;
    let plugin = agent.plugin("history = 2").replace("\"{text}\"", "\"{username}@{Platform}: {text}\"");
    let host = Host::start(&plugin).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let mut uid = String::new();
    for (number, text) in ["one", "two", "three"].iter().enumerate() {
        uid = visitor.say(text).await.uid;
        visitor.hears(number + 1).await;
    }
    let call = agent.calls().pop().expect("a call");
    let prompt = |text: &str| format!("visitor_{uid}@Bridge: {text}");
    assert_eq!(call.message, prompt("three"));
    let user = &call.user;
    assert_eq!((&user["username"], &user["platform"]), (&json!(format!("visitor_{uid}")), &json!("bridge")));
    assert_eq!((&user["platform_user_id"], user["id"].is_string()), (&json!(uid), true));
    let history = json!([
        { "role": "user", "content": prompt("two") },
        { "role": "assistant", "content": format!("re: {}", prompt("two")) },
    ]);
    assert_eq!(call.history, history);
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_listed_by_platform_and_page_and_are_no_ordinary_rooms() {
    let host = Host::start(&format!("{PUB}{}", route("*", "assistant", ""))).await;
    for number in 0..5 {
        Visitor::new(host.client(), &format!("session_{number}")).say("Hello").await;
    }
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("Hello").await;
    ada.hears().await;
    assert_eq!(host.get("/api/v1/rooms").await.ok().as_array().map(Vec::len), Some(1), "general alone");
    let list = async |rest: &str| host.get(&format!("/api/v1/conversations{rest}")).await.ok();
    let ids = |page: &Value| {
        let rows = page["conversations"].as_array().expect("a list").iter();
        rows.map(|row| row["external_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let all = list("").await;
    let wanted = ["ada", "session_4", "session_3", "session_2", "session_1", "session_0"];
    assert_eq!((ids(&all), &all["cursor"]), (wanted.map(str::to_owned).to_vec(), &Value::Null), "newest first");
    assert_eq!(ids(&list("?platform=pub").await), ["ada"]);
    assert_eq!(ids(&list("?platform=elsewhere").await), Vec::<String>::new());
    let user = all["conversations"][1]["user"]["id"].as_str().expect("a person");
    assert_eq!(ids(&list(&format!("?user={user}")).await), ["session_4"]);
    assert_eq!(ids(&list("?user=nobody").await), Vec::<String>::new());
    let first = list("?limit=4").await;
    let rest = list(&format!("?limit=4&cursor={}", first["cursor"].as_str().expect("more"))).await;
    assert_eq!([ids(&first), ids(&rest)].concat(), wanted);
    assert_eq!(rest["cursor"], Value::Null);
    host.get("/api/v1/conversations?cursor=x").await.refused(400, "'cursor'");
}
