//! The plugin of the guide, loaded by a real host and talked to over TCP.

use arcuate_tests::agent::{Agent, Fault, Manner};
use arcuate_tests::guest::{Guest, door_of};
use arcuate_tests::host::Host;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use serde_json::{Value, json};

const CHAT: &str = r#"
[plugins.pub]
library = "tcp_chat"
enabled = true
[plugins.pub.settings]
away_seconds = 0.05
[[routes]]
from = "pub"
to = "assistant"
"#;

/// Everything that is stored of a guest's conversation, and its room.
async fn stored(host: &Host, name: &str) -> (String, Vec<String>) {
    let list = host.get("/api/v1/conversations").await.ok();
    let list = list["conversations"].as_array().expect("a list");
    let found = list.iter().find(|row| row["external_id"] == name).unwrap_or_else(|| panic!("no {name} in {list:?}"));
    let room = found["room_id"].as_str().expect("a room").to_owned();
    let messages = host.get(&format!("/api/v1/rooms/{room}/messages?limit=500")).await.ok();
    let text = |message: &Value| message["content"].as_str().expect("a text").to_owned();
    (room, messages.as_array().expect("messages").iter().map(text).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_answered_each_in_their_own_conversation() {
    let host = Host::start(CHAT).await;
    let door = door_of(&host, "pub").await;
    let (mut ada, mut bob) = (Guest::enter(door, "Ada").await, Guest::enter(door, "bob").await);
    ada.say("What is the <time>?").await;
    bob.say("And the day?").await;
    assert_eq!(ada.hears().await, "assistant: [Username: @ada, Pub ID: ada] What is the <time>?");
    assert_eq!(bob.hears().await, "assistant: [Username: @bob, Pub ID: bob] And the day?");
    ada.say("👋").await;
    assert_eq!(ada.hears().await, "assistant: [Username: @ada, Pub ID: ada] 👋");

    let (room, _) = stored(&host, "ada").await;
    let words = json!({ "sender": "operator", "content": "Closing time.\nPlease drink up." });
    host.post(&format!("/api/v1/rooms/{room}/messages"), &words).await.ok();
    assert_eq!(ada.hears().await, "operator: Closing time.");
    assert_eq!(ada.hears().await, "operator: Please drink up.");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_waits_for_a_guest_who_is_away() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&format!("{CHAT}{}", agent.plugin(""))).await;
    let door = door_of(&host, "pub").await;
    let mut ada = Guest::enter(door, "Ada").await;
    ada.say("I am off").await;
    drop(ada);
    until("the agent is asked", || (!agent.calls().is_empty()).then_some(())).await;
    let waits = async || {
        let jobs = host.operator().get("/api/v1/admin/queue?state=pending&plugin=pub").await.ok();
        jobs["jobs"][0]["last_error"].as_str().is_some_and(|why| why.contains("ada is away")).then_some(())
    };
    until_async("the answer waits", PATIENCE, waits).await;
    assert_eq!(Guest::enter(door, "Ada").await.hears().await, "assistant: re: I am off");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_in_the_middle_of_a_turn_doubles_nothing() {
    let agent = Agent::start(Manner::default()).await;
    let mut host = Host::start(&format!("{CHAT}{}", agent.plugin(""))).await;
    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    ada.say("one").await;
    assert_eq!(ada.hears().await, "assistant: re: one");
    // The work is done and nobody hears of it.
    agent.change(|manner| manner.plan.push_back(Some(Fault::HangsAfter)));
    ada.say("two").await;
    let only_the_turn_runs = async || {
        let queue = host.get("/ready").await.ok()["queue"].clone();
        (queue["processing"] == 1 && queue["pending"] == 0 && agent.calls().len() == 2).then_some(())
    };
    until_async("the second turn runs, and all else is settled", PATIENCE, only_the_turn_runs).await;
    host.kill_9();
    ada.is_left().await;
    host.start_again().await;

    let mut ada = Guest::enter(door_of(&host, "pub").await, "Ada").await;
    assert_eq!(ada.hears().await, "assistant: re: two");
    ada.say("three").await;
    assert_eq!(ada.hears().await, "assistant: re: three");
    let asked: Vec<String> = agent.calls().into_iter().map(|call| call.message).collect();
    assert_eq!(asked, ["one", "two", "two", "three"]);
    agent.assert_one_key_per_message();
    assert_eq!(stored(&host, "ada").await.1, ["one", "re: one", "two", "re: two", "three", "re: three"]);
}
