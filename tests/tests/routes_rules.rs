//! The rules of a route: bursts that become one turn, turns that wait for their minute, people who are not heard, and an apology where no
//! answer comes.

use arcuate_tests::agent::{Agent, Fault, Manner};
use arcuate_tests::guest::{Guest, door_of};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

fn from_bridge(more: &str) -> String {
    format!("[[routes]]\nfrom = \"bridge\"\nto = \"assistant\"\n{more}\n")
}

async fn turns(host: &Host, state: &str) -> Vec<Value> {
    let path = format!("/api/v1/admin/queue?kind=agent_turn&state={state}");
    host.operator().get(&path).await.ok()["jobs"].as_array().expect("jobs").clone()
}

async fn until_turns(host: &Host, state: &str, count: usize) -> Vec<Value> {
    let look = || async {
        let found = turns(host, state).await;
        (found.len() == count).then_some(found)
    };
    until_async(&format!("{count} turns are {state}"), PATIENCE, look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn burst_becomes_one_turn_with_all_its_texts_in_order() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(agent.plugin("") + &from_bridge("merge_window_ms = 1500"))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let mut last = 0;
    for text in ["I have", "a question", "about soup"] {
        last = visitor.say(text).await.id;
    }
    let heard = visitor.hears(1).await;
    assert_eq!((heard[0].text.as_str(), heard[0].asked), ("re: I have\na question\nabout soup", Some(last)));
    let calls = agent.calls();
    assert_eq!((calls.len(), calls[0].history.clone()), (1, json!([])), "what is asked is no history yet");
    assert_eq!(turns(&host, "completed").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_while_a_turn_runs_become_the_next_one() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(agent.plugin("") + &from_bridge("merge_window_ms = 20"))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    agent.hold();
    visitor.say("one").await;
    until_turns(&host, "processing", 1).await;
    for text in ["two", "three", "four"] {
        visitor.say(text).await;
    }
    assert_eq!(turns(&host, "pending").await.len(), 1);
    agent.release();
    let heard = visitor.hears(2).await;
    assert_eq!(heard[1].text, "re: two\nthree\nfour");
    assert_eq!(agent.calls()[1].history.as_array().map(Vec::len), Some(2), "the first question and its answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_beyond_the_minutes_number_waits_and_other_conversations_do_not() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(agent.plugin("") + &from_bridge("max_turns_per_minute = 2"))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    for text in ["one", "two", "three"] {
        visitor.say(text).await;
    }
    visitor.hears(2).await;
    let other = Visitor::new(host.client(), "session_2");
    other.say("hello").await;
    other.hears(1).await;
    let waiting = until_turns(&host, "pending", 1).await;
    assert_eq!((&waiting[0]["attempts"], &waiting[0]["last_error"]), (&json!(0), &Value::Null), "{waiting:?}");
    assert!(waiting[0]["next_at"].as_str() > waiting[0]["created_at"].as_str(), "{waiting:?}");
    assert_eq!(visitor.answers().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_person_is_told_once_and_never_reaches_the_agent() {
    let agent = Agent::start(Manner::default()).await;
    let plugin = "[plugins.pub]\nlibrary = \"tcp_chat\"\nenabled = true\n";
    let routes = "[[routes]]\nfrom = \"pub\"\nto = \"assistant\"\ndeny = [\"mal*\"]\nrefusal = \"Not for you.\"\n";
    let host = Host::start(&format!("{plugin}{}{routes}", agent.plugin(""))).await;
    let door = door_of(&host, "pub").await;
    let mut mallory = Guest::enter(door, "mallory").await;
    mallory.say("Let me in").await;
    assert_eq!(mallory.hears().await, "assistant: Not for you.");
    mallory.say("Let me in now").await;
    let mut ada = Guest::enter(door, "ada").await;
    ada.say("Hello").await;
    assert_eq!(ada.hears().await, "assistant: re: Hello");
    let stored = || async {
        let rows = host.get("/api/v1/conversations").await.ok()["conversations"].clone();
        let rows = rows.as_array().expect("a list").clone();
        let room = rows.iter().find(|row| row["external_id"] == "mallory")?["room_id"].as_str()?.to_owned();
        let said = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok();
        let said = said.as_array().expect("messages").iter().map(|message| message["content"].clone());
        let said: Vec<Value> = said.collect();
        (said.len() >= 3).then_some(said)
    };
    let said = until_async("both of Mallory's lines are stored", PATIENCE, stored).await;
    assert_eq!(said, ["Let me in", "Not for you.", "Let me in now"]);
    assert_eq!(agent.calls().len(), 1, "Ada's alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refused_people_say_in_a_room_is_no_agents_history() {
    let agent = Agent::start(Manner::default()).await;
    let routes =
        "[[routes]]\nfrom = \"room:general\"\nto = \"assistant\"\nallow = [\"ada\"]\nrefusal = \"Members only.\"\n";
    let host = Host::start(&(agent.plugin("") + routes)).await;
    let room = host.get("/api/v1/rooms").await.ok()[0]["id"].as_str().expect("a room").to_owned();
    let path = format!("/api/v1/rooms/{room}/messages");
    host.post(&path, &json!({ "sender": "mallory", "content": "obey me" })).await.ok();
    host.say(&room, "Is it soup?").await;
    let look = || async { (!agent.calls().is_empty()).then(|| agent.calls()) };
    let calls = until_async("the agent is asked", PATIENCE, look).await;
    assert_eq!((calls[0].message.as_str(), &calls[0].history), ("Is it soup?", &json!([])));
    let said = host.get(&path).await.ok();
    assert_eq!((&said[1]["content"], &said[1]["reply_to"]), (&json!("Members only."), &said[0]["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn apology_is_said_once_where_no_answer_comes() {
    let agent = Agent::start(Manner { plan: [Some(Fault::Fails); 8].into(), ..Manner::default() }).await;
    let config =
        format!("[queue]\nmax_attempts = 2\n{}{}", agent.plugin(""), from_bridge("apology = \"Sorry, not now.\""));
    let host = Host::start(&config).await;
    let visitor = Visitor::new(host.client(), "session_1");
    let asked = visitor.say("Is it soup?").await.id;
    let heard = visitor.hears(1).await;
    assert_eq!((heard[0].text.as_str(), heard[0].asked), ("Sorry, not now.", Some(asked)));
    let dead = until_turns(&host, "failed", 1).await;
    assert_eq!(agent.calls().len(), 2, "it was tried as often as it may be");
    host.operator().post("/api/v1/admin/queue/retry", &json!({ "ids": [dead[0]["id"]] })).await.ok();
    until_async("it has failed again", PATIENCE, || async { (agent.calls().len() == 4).then_some(()) }).await;
    until_turns(&host, "failed", 1).await;
    assert_eq!(visitor.answers().await.len(), 1);
    agent.behave();
    host.operator().post("/api/v1/admin/queue/retry", &json!({ "ids": [dead[0]["id"]] })).await.ok();
    assert_eq!(visitor.hears(2).await[1].text, "re: Is it soup?");
}
