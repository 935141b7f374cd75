//! The backend `letta` when something goes wrong: answers that get lost are found, blocks come off whatever happens.

use super::agent::{Agent, Step, answer, chunk, end, event, json as said, stream_head};
use super::letta::{ATTACH, DETACH, LOOK, TURN, acquainted, asked, history, ok, speaks};
use super::{asking, discarded, retried};
use plugin_api::{Outcome, Plugin};
use serde_json::{Value, json};

/// An answer of which a part arrives, and then this.
fn begun(last: Step) -> Vec<Step> {
    vec![stream_head(), event(&json!({"message_type": "assistant_message", "id": "m", "content": "hel"})), last]
}

/// Turns that were taken on and gave no whole answer.
fn lost() -> Vec<Vec<Step>> {
    vec![
        begun(end()),
        begun(chunk("data: {{{\n\n")),
        vec![],
        vec![stream_head(), Step::Hang],
        answer(200, "content-type: text/html\r\n", "<html>"),
        vec![
            stream_head(),
            event(&json!({"message_type": "error_message", "error_type": "x", "message": "no model"})),
            end(),
        ],
    ]
}

const HASTE: &str = r#"{"first_token_timeout": 0.3}"#;

fn haste() -> Value {
    serde_json::from_str(HASTE).unwrap()
}

#[tokio::test]
async fn answer_that_got_lost_is_found_by_its_otid() {
    for script in lost() {
        let agent =
            Agent::playing([ok(), script, history("00000000-0000-7000-8000-000000000001", "hello"), ok()]).await;
        let (fake, invoker) = acquainted(&agent, haste()).await;
        assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hello"));
        assert_eq!(asked(&agent), [ATTACH, TURN, LOOK, DETACH]);
    }
}

#[tokio::test]
async fn answer_that_is_on_its_way_is_waited_for() {
    let otid = "00000000-0000-7000-8000-000000000001";
    let at_work = said(&json!([{"id": "message-1", "message_type": "user_message", "otid": otid}]));
    let agent = Agent::playing([ok(), begun(end()), said(&json!([])), at_work, history(otid, "hello"), ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hello"));
    assert_eq!(asked(&agent), [ATTACH, TURN, LOOK, LOOK, LOOK, DETACH]);
}

#[tokio::test]
async fn answer_that_is_nowhere_is_uncertain_and_the_block_comes_off() {
    let none = || said(&json!([{"id": "message-9", "message_type": "user_message", "otid": "another's"}]));
    // The second page is empty.
    let mut scripts = vec![ok(), begun(end())];
    for _ in 0..3 {
        scripts.extend([none(), said(&json!([]))]);
    }
    scripts.push(ok());
    let agent = Agent::playing(scripts).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
    assert!(uncertain && why.contains("cut off") && why.contains("no answer"), "{why}");
    assert_eq!(asked(&agent)[3], format!("{LOOK}&after=message-9"));
    assert_eq!(asked(&agent).last().unwrap(), DETACH);
}

#[tokio::test]
async fn turn_in_doubt_is_looked_up_before_it_is_asked_again() {
    let agent = Agent::playing([history("00000000-0000-7000-8000-000000000001", "hello"), ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({"on_uncertain": "fail"})).await;
    // As a crash in the middle of the turn has left it.
    let left = json!({"server": format!("{} agent-1", agent.url()), "block": "block-1"});
    fake.host().put("letta.attached", &left).await.unwrap();
    let mut job = fake.turn("hi");
    (job.uncertain, job.rescues) = (true, 1);
    assert_eq!(invoker.handle(job).await, Outcome::reply("hello"));
    assert_eq!(asked(&agent), [LOOK, DETACH]);
    assert_eq!(fake.value("letta.attached"), None);
}

#[tokio::test]
async fn turn_in_doubt_that_the_server_never_got_is_asked_or_given_up_as_the_operator_wants() {
    for (on_uncertain, asks) in [("retry", true), ("fail", false)] {
        let agent = Agent::playing([said(&json!([])), ok(), speaks("hello"), ok()]).await;
        let (fake, invoker) = acquainted(&agent, json!({"on_uncertain": on_uncertain})).await;
        let mut job = fake.turn("hi");
        (job.uncertain, job.attempt) = (true, 2);
        let outcome = invoker.handle(job).await;
        match asks {
            true => assert_eq!(outcome, Outcome::reply("hello")),
            false => assert!(discarded(outcome).contains("on_uncertain")),
        }
        assert_eq!(asked(&agent).len(), if asks { 4 } else { 1 });
    }
}

#[tokio::test]
async fn block_comes_off_after_each_refusal() {
    for (status, retries) in [(429, true), (500, true), (503, true), (401, false), (404, false), (422, false)] {
        let agent = Agent::playing([ok(), answer(status, "retry-after: 7\r\n", "{}"), ok()]).await;
        let (fake, invoker) = acquainted(&agent, json!({"on_uncertain": "fail"})).await;
        let outcome = invoker.handle(fake.turn("hi")).await;
        match retries {
            true => assert_eq!(retried(outcome).2, Some(7000), "{status}"),
            false => drop(discarded(outcome)),
        }
        assert_eq!(asked(&agent), [ATTACH, TURN, DETACH], "{status}");
        assert_eq!(fake.value("letta.attached"), None);
    }
}

#[tokio::test]
async fn turn_that_is_cancelled_leaves_the_server_and_takes_its_block_along() {
    let agent = Agent::playing([ok(), begun(Step::Hang), ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    tokio::select! {
        outcome = invoker.handle(fake.turn("hi")) => panic!("{outcome:?}"),
        () = fake.wait_for("a delta", |fake| !fake.deltas().is_empty()) => {}
    }
    agent.was_left().await;
    invoker.stop().await;
    assert_eq!(asked(&agent), [ATTACH, TURN, DETACH]);
    assert_eq!(fake.value("letta.attached"), None);
}

#[tokio::test]
async fn attaching_that_goes_wrong_asks_nothing() {
    let head = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_vec());
    let flood = Step::Send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
    let endless = Step::Flood(format!("1000\r\n{}\r\n", "x".repeat(4096)).into());
    for script in [
        vec![Step::Hang],
        vec![head, Step::Hang],
        vec![],
        answer(500, "", ""),
        answer(200, "", "<html>"),
        vec![flood, endless],
    ] {
        let agent = Agent::playing([script, ok()]).await;
        let (fake, invoker) = acquainted(&agent, json!({"timeout": 0.5, "on_uncertain": "fail"})).await;
        let (_, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
        assert!(!uncertain);
        invoker.stop().await;
        assert_eq!(asked(&agent), [ATTACH, DETACH]);
    }
}

#[tokio::test]
async fn block_that_the_server_lost_is_made_anew() {
    let gone = || answer(404, "", r#"{"detail": "not found"}"#);
    let made = |id: &str| said(&json!({"id": id}));
    let scripts = [gone(), gone(), gone(), made("block-7"), ok(), speaks("hello"), ok()];
    let agent = Agent::playing(scripts).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    let job = fake.turn("hi");
    let (why, uncertain, _) = retried(invoker.handle(job.clone()).await);
    assert!(!uncertain && why.contains("makes a new one"), "{why}");
    assert_eq!(invoker.handle(job).await, Outcome::reply("hello"));
    assert_eq!(asked(&agent)[..4], [ATTACH, DETACH, "GET /v1/blocks/block-1", "POST /v1/blocks/"]);
}

#[tokio::test]
async fn agent_that_the_server_does_not_know_is_a_setting_to_fix() {
    let gone = || answer(404, "", r#"{"detail": "not found"}"#);
    let agent = Agent::playing([gone(), gone(), ok()]).await;
    let (fake, invoker) = acquainted(&agent, json!({})).await;
    let why = discarded(invoker.handle(fake.turn("hi")).await);
    assert!(why.contains("agent_id") && fake.health().is_some_and(|(degraded, _)| degraded), "{why}");
}

#[tokio::test]
async fn identity_that_is_there_already_is_used() {
    let made = |id: &str| said(&json!({"id": id}));
    let found = said(&json!([{"id": "identity-9"}]));
    let scripts = [answer(409, "", "{}"), found, made("block-1"), ok(), speaks("hello"), ok()];
    let agent = Agent::playing(scripts).await;
    let (fake, invoker) = asking(&agent, "letta", json!({}));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hello"));
    assert_eq!(asked(&agent)[1], "GET /v1/identities/?identifier_key=user-1");
    assert_eq!(agent.requests()[4].body["messages"][0]["sender_id"], "identity-9");
}

#[tokio::test]
async fn server_that_is_none_makes_no_sense_and_says_what_to_check() {
    let agent = Agent::playing([answer(200, "content-type: text/html\r\n", "<html>")]).await;
    let (fake, invoker) = asking(&agent, "letta", json!({}));
    let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
    assert!(!uncertain && why.contains("check that url"), "{why}");
}

#[tokio::test]
async fn conversation_that_the_server_lost_is_made_anew() {
    let made = |id: &str| said(&json!({"id": id}));
    let agent = Agent::playing([made("conv-1"), answer(404, "", "{}"), made("conv-2"), speaks("hello")]).await;
    let (fake, invoker) = asking(&agent, "letta", json!({"scope": "conversation"}));
    let job = fake.turn("hi");
    let (why, uncertain, _) = retried(invoker.handle(job.clone()).await);
    assert!(!uncertain && why.contains("makes a new one"), "{why}");
    assert_eq!(invoker.handle(job).await, Outcome::reply("hello"));
    assert_eq!(asked(&agent)[3], "POST /v1/conversations/conv-2/messages");
}
