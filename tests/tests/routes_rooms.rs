//! Agents that live in rooms and direct messages: who is asked there, under which name they answer, and where they stop.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Answer;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

fn route(from: &str, to: &str, more: &str) -> String {
    format!("[[routes]]\nfrom = \"{from}\"\nto = {to}\n{more}\n")
}

/// Another agent beside `assistant`.
fn other(agent: &Agent) -> String {
    agent.plugin("").replace("plugins.assistant", "plugins.other")
}

async fn general(host: &Host) -> String {
    let rooms = host.get("/api/v1/rooms").await.ok();
    rooms[0]["id"].as_str().expect("the room that every store begins with").to_owned()
}

async fn messages(host: &Host, room: &str) -> Vec<Value> {
    host.get(&format!("/api/v1/rooms/{room}/messages?limit=500")).await.ok().as_array().expect("messages").clone()
}

/// Waits for what this sender said, so many times.
async fn said_by(host: &Host, room: &str, sender: &str, count: usize) -> Vec<Value> {
    let look = || async {
        let said: Vec<_> =
            messages(host, room).await.into_iter().filter(|message| message["sender"] == sender).collect();
        (said.len() >= count).then_some(said)
    };
    until_async(&format!("{sender} says {count} things"), PATIENCE, look).await
}

async fn post(host: &Host, room: &str, body: Value) -> Value {
    host.post(&format!("/api/v1/rooms/{room}/messages"), &body).await.ok()
}

async fn write_to(host: &Host, recipient: &str, text: &str) -> Answer {
    host.post("/api/v1/dm", &json!({ "sender": "ada", "recipient": recipient, "content": text })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn post_in_a_routed_room_is_answered_there() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(agent.plugin("") + &route("room:general", "\"assistant\"", ""))).await;
    let (room, elsewhere) = (general(&host).await, host.room("elsewhere").await);
    host.say(&elsewhere, "nobody is asked here").await;
    let question = host.say(&room, "Is it soup?").await;
    let answer = &said_by(&host, &room, "assistant", 1).await[0];
    assert_eq!((&answer["content"], &answer["sender_type"]), (&json!("re: Is it soup?"), &json!("agent")));
    assert_eq!(answer["reply_to"], question["id"]);
    let calls = agent.calls();
    assert_eq!((calls.len(), &calls[0].conversation, calls[0].message.as_str()), (1, &room, "Is it soup?"));
    assert_eq!((&calls[0].user["username"], &calls[0].user["platform"]), (&json!("ada"), &json!("chat")));
    let known = calls[0].user["id"].as_str().expect("an id").to_owned();
    host.say(&room, "And bread?").await;
    said_by(&host, &room, "assistant", 2).await;
    let call = agent.calls().pop().expect("a call");
    assert_eq!(call.user["id"], known.as_str(), "the same person");
    let before = [
        json!({ "role": "user", "content": "Is it soup?" }),
        json!({ "role": "assistant", "content": "re: Is it soup?" }),
    ];
    assert_eq!(call.history, json!(before));
    assert_eq!(messages(&host, &elsewhere).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mention_wakes_the_agents_that_are_named() {
    let (agent, second) = (Agent::start(Manner::default()).await, Agent::start(Manner::default()).await);
    // Answers that name nobody: an agent's words may wake the other one too.
    [&agent, &second].iter().for_each(|agent| agent.change(|manner| manner.reply = |_| "yes".into()));
    let routes = route("room:general", "[\"assistant\", \"other\"]", "trigger = \"mention\"");
    let host = Host::start(&(agent.plugin("") + &other(&second) + &routes)).await;
    let room = general(&host).await;
    for text in ["assistant?", "mail@assistant", "@assistants", "@nobody"] {
        host.say(&room, text).await;
    }
    host.say(&room, "hey @Assistant!").await;
    host.say(&room, "@other and @ASSISTANT").await;
    said_by(&host, &room, "assistant", 2).await;
    said_by(&host, &room, "other", 1).await;
    let asked: Vec<_> = agent.calls().into_iter().map(|call| call.message).collect();
    assert_eq!(asked, ["hey @Assistant!", "@other and @ASSISTANT"]);
    assert_eq!(second.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_message_is_answered_by_the_name_that_it_was_written_to() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(agent.plugin("") + &route("dm:helper", "\"assistant\"", ""))).await;
    write_to(&host, "bob", "not for agents").await.ok();
    let room = write_to(&host, "helper", "Help!").await.ok()["room_id"].as_str().expect("a room").to_owned();
    let answer = &said_by(&host, &room, "helper", 1).await[0];
    assert_eq!((&answer["content"], &answer["metadata"]["agent"]), (&json!("re: Help!"), &json!("assistant")));
    assert_eq!((agent.calls().len(), messages(&host, &room).await.len()), (1, 2), "its own answer asks nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_agent_of_a_list_answers() {
    let (agent, second) = (Agent::start(Manner::default()).await, Agent::start(Manner::default()).await);
    second.change(|manner| manner.reply = |message| format!("other: {message}"));
    let routes = route("bridge", "[\"assistant\", \"other\"]", "");
    let host = Host::start(&(agent.plugin("") + &other(&second) + &routes)).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let asked = visitor.say("Who is there?").await.id;
    let heard = visitor.hears(2).await;
    let mut texts: Vec<_> = heard.iter().map(|answer| answer.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["other: Who is there?", "re: Who is there?"]);
    assert!(heard.iter().all(|answer| answer.asked == Some(asked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_talk_to_each_other_are_stopped_until_a_person_writes() {
    let (agent, second) = (Agent::start(Manner::default()).await, Agent::start(Manner::default()).await);
    agent.change(|manner| manner.reply = |_| "your turn, @other".into());
    second.change(|manner| manner.reply = |_| "yours, @assistant".into());
    let routes = route("room:general", "[\"assistant\", \"other\"]", "trigger = \"mention\"");
    let host = Host::start(&(agent.plugin("") + &other(&second) + &routes)).await;
    let room = general(&host).await;
    host.say(&room, "@assistant, begin").await;
    let note = said_by(&host, &room, "system", 1).await;
    assert_eq!(note[0]["sender_type"], "system");
    let calls = || agent.calls().len() + second.calls().len();
    assert_eq!(calls(), 7, "one turn of a person, six of agents");
    // An agent outside is under the same guard.
    let bot = json!({ "sender": "bot", "content": "@assistant, go on", "sender_type": "agent" });
    post(&host, &room, bot.clone()).await;
    let metrics = host.get("/metrics").await.text;
    assert!(metrics.contains("arcuate_agent_loop_stops_total 1"), "{metrics}");
    assert!(host.log().contains("6 turns in a row"));
    agent.change(|manner| manner.reply = |_| "enough".into());
    host.say(&room, "A person is here").await;
    post(&host, &room, bot).await;
    let look =
        || async { messages(&host, &room).await.iter().any(|message| message["content"] == "enough").then_some(()) };
    until_async("the agent goes on", PATIENCE, look).await;
    assert_eq!((calls(), said_by(&host, &room, "system", 1).await.len()), (8, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_an_agent_ask_nobody_unless_they_name_one() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(agent.plugin("") + &route("room:general", "\"assistant\"", ""))).await;
    let room = general(&host).await;
    for content in ["the build is green", "the build is red, @assistant"] {
        post(&host, &room, json!({ "sender": "ci", "content": content, "sender_type": "agent" })).await;
    }
    said_by(&host, &room, "assistant", 1).await;
    assert_eq!(
        agent.calls().iter().map(|call| call.message.as_str()).collect::<Vec<_>>(),
        ["the build is red, @assistant"]
    );
}
