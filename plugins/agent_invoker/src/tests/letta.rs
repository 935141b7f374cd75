//! The backend `letta`: what the server is asked, in which order, and that nobody's block lies there in another's turn.

use super::agent::{Agent, Request, Step, answer, done, event, json as said, stream_head};
use super::asking;
use crate::AgentInvoker;
use plugin_api::testing::FakeHost;
use plugin_api::{Job, Outcome, Plugin, Work};
use serde_json::{Value, json};

pub(super) const ATTACH: &str = "PATCH /v1/agents/agent-1/core-memory/blocks/attach/block-1";
pub(super) const DETACH: &str = "PATCH /v1/agents/agent-1/core-memory/blocks/detach/block-1";
pub(super) const TURN: &str = "POST /v1/agents/agent-1/messages";
pub(super) const LOOK: &str = "GET /v1/agents/agent-1/messages?order=desc&limit=100";

pub(super) fn ok() -> Vec<Step> {
    said(&json!({"id": "agent-1"}))
}

/// A whole turn's answer.
pub(super) fn speaks(text: &str) -> Vec<Step> {
    vec![
        stream_head(),
        event(&json!({"message_type": "ping"})),
        event(&json!({"message_type": "reasoning_message", "id": "m-1", "reasoning": "hm"})),
        event(&json!({"message_type": "assistant_message", "id": "m-2", "content": text})),
        event(&json!({"message_type": "stop_reason", "stop_reason": "end_turn"})),
        event(&json!({"message_type": "usage_statistics", "total_tokens": 3})),
        done(),
    ]
}

/// What was said there, newest first.
pub(super) fn history(otid: &str, text: &str) -> Vec<Step> {
    said(&json!([
        {"id": "message-2", "message_type": "assistant_message", "content": text},
        {"id": "message-1", "message_type": "user_message", "content": "hi", "otid": otid},
    ]))
}

/// An instance that knows its people already: user-1 has block-1, user-2 block-2.
pub(super) async fn acquainted(agent: &Agent, further: Value) -> (FakeHost, AgentInvoker) {
    let (fake, invoker) = asking(agent, "letta", further);
    for number in 1..=2 {
        let server = format!("{} agent-1", agent.url());
        let kept =
            json!({"server": server, "identity": format!("identity-{number}"), "block": format!("block-{number}")});
        fake.host().put(&format!("letta.user.user-{number}"), &kept).await.unwrap();
    }
    (fake, invoker)
}

pub(super) fn turn_of(fake: &FakeHost, user: &str, conversation: &str) -> Job {
    let mut job = fake.turn("hi");
    let Work::AgentTurn(turn) = &mut job.work else { unreachable!() };
    (turn.user.id, turn.conversation_id) = (user.into(), conversation.into());
    job
}

pub(super) fn asked(agent: &Agent) -> Vec<String> {
    agent.requests().iter().map(Request::what).map(Into::into).collect()
}

#[tokio::test]
async fn first_turn_makes_a_person_known_and_later_ones_do_not() {
    let made = |id: &str| said(&json!({"id": id}));
    let scripts = [made("identity-1"), made("block-1"), ok(), speaks("hello"), ok(), ok(), speaks("again"), ok()];
    let agent = Agent::playing(scripts).await;
    let (fake, invoker) = asking(&agent, "letta", json!({"api_key": "k3y"}));
    let job = fake.turn("hi");
    assert_eq!(invoker.handle(job.clone()).await, Outcome::reply("hello"));
    let requests = agent.requests();
    assert_eq!(asked(&agent), ["POST /v1/identities/", "POST /v1/blocks/", ATTACH, TURN, DETACH]);
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Bearer k3y"));
        assert_eq!(request.header("idempotency-key"), Some(job.id.as_str()));
        // Without it the real server refuses to stream: the test has no other way to know.
        assert_eq!(request.header("x-stainless-package-version"), Some("1.6.5"));
    }
    assert_eq!(requests[0].body, json!({"identifier_key": "user-1", "name": "Web User", "identity_type": "user"}));
    let block = &requests[1].body;
    assert_eq!(block["label"], "user_user-1");
    assert!(block["value"].as_str().is_some_and(|value| value.contains("@web_user_1")), "{block}");
    let message = json!({"role": "user", "content": "hi", "otid": job.id, "sender_id": "identity-1"});
    let turn = json!({
        "messages": [message], "streaming": true, "background": true, "include_pings": true, "stream_tokens": true
    });
    assert_eq!(requests[3].body, turn);

    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("again"));
    assert_eq!(asked(&agent)[5..], [ATTACH, TURN, DETACH]);
    assert_eq!(fake.value("letta.attached"), None);
}

#[tokio::test]
async fn answer_in_several_messages_is_shown_and_joined() {
    let assistant =
        |id: &str, text: &str| event(&json!({"message_type": "assistant_message", "id": id, "content": text}));
    let script = vec![
        stream_head(),
        assistant("a", "Let "),
        assistant("a", "me look."),
        event(&json!({"message_type": "tool_call_message", "id": "b"})),
        assistant("c", "It is open."),
        done(),
    ];
    let agent = Agent::playing([ok(), script, ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({"stream": false})).await;
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("Let me look.\n\nIt is open."));
    let shown: String = fake.deltas().into_iter().map(|(_, text)| text).collect();
    assert_eq!(shown, "Let me look.\n\nIt is open.");
    assert_eq!(agent.requests()[1].body["stream_tokens"], false);
}

#[tokio::test]
async fn block_that_is_there_already_and_one_that_is_gone_are_as_wanted() {
    let agent = Agent::playing([answer(409, "", "{}"), speaks("hello"), answer(404, "", "{}")]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hello"));
    assert_eq!(fake.value("letta.attached"), None);
}

#[tokio::test]
async fn turns_of_different_people_do_not_overlap_and_those_of_one_person_do() {
    let gated = || {
        let mut script = speaks("hello");
        script.insert(0, Step::Gate);
        script
    };
    let agent = Agent::playing([ok(), gated(), gated(), ok(), ok(), speaks("hello"), ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    let first = invoker.handle(turn_of(&fake, "user-1", "a"));
    let same = invoker.handle(turn_of(&fake, "user-1", "b"));
    let other = invoker.handle(turn_of(&fake, "user-2", "c"));
    let opened = async {
        agent.wait_for_requests(3).await;
        // Whatever could come besides has had its chance.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked(&agent), [ATTACH, TURN, TURN], "the same person's turns overlap, another's waits");
        agent.open_gate();
        agent.open_gate();
    };
    let (first, same, other, ()) = tokio::join!(first, same, other, opened);
    for outcome in [first, same, other] {
        assert_eq!(outcome, Outcome::reply("hello"));
    }
    let (attach, detach) = (ATTACH.replace("block-1", "block-2"), DETACH.replace("block-1", "block-2"));
    assert_eq!(asked(&agent)[3..], [DETACH.to_owned(), attach, TURN.to_owned(), detach]);
}

#[tokio::test]
async fn block_that_a_crash_left_attached_is_taken_off_before_anothers() {
    let agent = Agent::playing([ok(), ok(), speaks("hello"), ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    let left = json!({"server": format!("{} agent-1", agent.url()), "block": "block-2"});
    fake.host().put("letta.attached", &left).await.unwrap();
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hello"));
    assert_eq!(asked(&agent)[..2], [DETACH.replace("block-1", "block-2"), ATTACH.to_owned()]);
}

#[tokio::test]
async fn block_that_cannot_be_taken_off_keeps_others_out() {
    let agent = Agent::playing([answer(500, "", "{}")]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    let left = json!({"server": format!("{} agent-1", agent.url()), "block": "block-2"});
    fake.host().put("letta.attached", &left).await.unwrap();
    let (why, uncertain, _) = super::retried(invoker.handle(fake.turn("hi")).await);
    assert!(!uncertain && why.contains("detach"), "{why}");
    assert_eq!(agent.requests().len(), 1, "nothing is attached beside it");
}

#[tokio::test]
async fn conversations_of_the_server_need_no_blocks_and_overlap() {
    let made = |id: &str| said(&json!({"id": id}));
    let agent = Agent::playing([made("conv-1"), speaks("hello"), speaks("again")]).await;
    let (fake, invoker) =
        asking(&agent, "letta", json!({"scope": "conversation", "url": format!("{}v1/", agent.url())}));
    let job = fake.turn("hi");
    assert_eq!(invoker.handle(job.clone()).await, Outcome::reply("hello"));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("again"));
    let turn = "POST /v1/conversations/conv-1/messages";
    assert_eq!(asked(&agent), ["POST /v1/conversations/?agent_id=agent-1", turn, turn]);
    assert_eq!(agent.requests()[1].body["messages"], json!([{"role": "user", "content": "hi", "otid": job.id}]));
}
