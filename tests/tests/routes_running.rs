//! A turn while it runs: its room sees that the agent types, and an operator can end it.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn agent_types_while_its_turn_runs_and_not_after_it() {
    let agent = Agent::start(Manner::default()).await;
    let routes = "[[routes]]\nfrom = \"room:general\"\nto = \"assistant\"\ntrigger = \"mention\"\n";
    let host = Host::start(&(agent.plugin("") + routes)).await;
    let room = host.get("/api/v1/rooms").await.ok()[0]["id"].as_str().expect("a room").to_owned();
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    agent.hold();
    host.say(&room, "@assistant?").await;
    let typing = json!({ "sender": "assistant", "room_id": room });
    for _ in 0..2 {
        let seen = stream.until(|event| event.name == "typing").await;
        assert_eq!(seen.last().map(|event| &event.data), Some(&typing), "told again while it lasts");
    }
    agent.release();
    stream.until(|event| event.content() == "re: @assistant?").await;
    host.say(&room, "thanks").await;
    let after = stream.until(|event| event.content() == "thanks").await;
    assert_eq!(after.len(), 1, "nobody types any more: {after:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_turn_has_failed_and_its_conversation_goes_on() {
    let agent = Agent::start(Manner::default()).await;
    let apology = "[[routes]]\nfrom = \"bridge\"\nto = \"assistant\"\napology = \"Sorry.\"\n";
    let host = Host::start(&(agent.plugin("") + apology)).await;
    let operator = host.operator();
    let visitor = Visitor::new(host.client(), "session_1");
    agent.hold();
    visitor.say("one").await;
    until_async("the agent is asked", PATIENCE, || async { (agent.calls().len() == 1).then_some(()) }).await;
    let jobs = operator.get("/api/v1/admin/queue?kind=agent_turn").await.ok()["jobs"].clone();
    let id = jobs[0]["id"].as_str().expect("a job").to_owned();
    let path = format!("/api/v1/admin/queue/{id}/cancel");
    assert_eq!(operator.post(&path, &json!({})).await.ok(), json!({ "affected": 1 }));
    let job = operator.get(&format!("/api/v1/admin/queue/{id}")).await.ok();
    assert_eq!((&job["state"], &job["last_error"]), (&json!("failed"), &json!("cancelled by an operator")));
    until_async("the agent's caller hung up", PATIENCE, || async { (agent.running() == 0).then_some(()) }).await;
    agent.release();
    visitor.say("two").await;
    let heard = visitor.hears(1).await;
    assert_eq!(heard[0].text, "re: two", "neither an answer to the first nor an apology");
    operator.post(&path, &json!({})).await.refused(409, "has ended already");
    let unknown = "/api/v1/admin/queue/01a1fe0d-be23-76e7-9b23-440ad354ad90/cancel";
    operator.post(unknown, &Value::Null).await.refused(404, "no job has the id");
}
