//! The backend `openai`: chat completions, streamed and whole.

use super::agent::{Agent, Step, done, end, event, json as whole, stream_head};
use super::{asking, retried};
use plugin_api::{Outcome, Plugin};
use serde_json::{Value, json};
use std::time::Duration;

fn delta(delta: Value) -> Step {
    event(&json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]}))
}

fn finish() -> Step {
    event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
}

async fn outcome(script: Vec<Step>, further: Value) -> Outcome {
    let agent = Agent::playing([script]).await;
    let (fake, invoker) = asking(&agent, "openai", further);
    invoker.handle(fake.turn("hi")).await
}

#[tokio::test]
async fn completion_streamed_is_asked_and_shown() {
    let script = vec![
        stream_head(),
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "Hel"})),
        delta(json!({"content": "lo"})),
        finish(),
        event(&json!({"choices": [], "usage": {"total_tokens": 9}})),
        done(),
    ];
    let agent = Agent::playing([script]).await;
    let (fake, invoker) = asking(&agent, "openai", json!({"api_key": "k3y", "system_prompt": "be kind"}));
    let job = fake.turn("hi");
    assert_eq!(invoker.handle(job.clone()).await, Outcome::reply("Hello"));
    let shown: String = fake.deltas().into_iter().map(|(_, delta)| delta).collect();
    assert_eq!(shown, "Hello");

    let request = agent.requests().remove(0);
    let messages = json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]);
    assert_eq!(request.body, json!({"model": "m", "stream": true, "messages": messages}));
    assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("authorization"), Some("Bearer k3y"));
    assert_eq!(request.header("idempotency-key"), Some(job.id.as_str()));
}

#[tokio::test]
async fn completion_whole_is_the_answer() {
    let body = json!({"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]});
    assert_eq!(outcome(whole(&body), json!({"stream": false})).await, Outcome::reply("Hello"));
    // A server that does not know how to stream.
    assert_eq!(outcome(whole(&body), json!({})).await, Outcome::reply("Hello"));
}

#[tokio::test]
async fn completion_without_content_is_a_failed_attempt() {
    let body = json!({"choices": [{"message": {"role": "assistant", "content": null}}]});
    let (why, uncertain, _) = retried(outcome(whole(&body), json!({})).await);
    assert!(why.contains("empty") && !uncertain, "{why}");
    let (why, ..) = retried(outcome(vec![stream_head(), finish(), done()], json!({})).await);
    assert!(why.contains("empty"), "{why}");
}

#[tokio::test]
async fn stream_with_a_finish_reason_needs_no_done() {
    let said = || vec![stream_head(), delta(json!({"content": "hi"})), finish()];
    for last in [Some(end()), None, Some(Step::Hang)] {
        let script = said().into_iter().chain(last).collect();
        assert_eq!(outcome(script, json!({})).await, Outcome::reply("hi"));
    }
}

#[tokio::test]
async fn stream_without_finish_reason_and_done_was_cut_off() {
    let (why, uncertain, _) =
        retried(outcome(vec![stream_head(), delta(json!({"content": "h"})), end()], json!({})).await);
    assert!(uncertain && why.contains("cut off"), "{why}");
}

#[tokio::test]
async fn stream_with_an_error_fails_with_its_text() {
    let script = vec![
        stream_head(),
        delta(json!({"content": "h"})),
        event(&json!({"error": {"message": "overloaded"}})),
        done(),
    ];
    let (why, uncertain, _) = retried(outcome(script, json!({})).await);
    assert!(uncertain && why.contains("overloaded"), "{why}");
}

#[tokio::test]
async fn server_that_is_silent_is_late_by_the_first_token() {
    for script in [vec![Step::Hang], vec![stream_head(), delta(json!({"role": "assistant"})), Step::Hang]] {
        let agent = Agent::playing([script]).await;
        let (fake, invoker) = asking(&agent, "openai", json!({"first_token_timeout": 0.2}));
        let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
        assert!(uncertain && why.contains("first_token_timeout"), "{why}");
        agent.was_left().await;
    }
}

#[tokio::test]
async fn server_that_thinks_or_is_slow_is_not_late() {
    let slow = Step::Pause(Duration::from_millis(600));
    let script = vec![
        stream_head(),
        delta(json!({"reasoning_content": "hm"})),
        slow.clone(),
        delta(json!({"content": "slow"})),
        slow,
        delta(json!({"content": "ly"})),
        done(),
    ];
    assert_eq!(outcome(script, json!({"first_token_timeout": 0.5})).await, Outcome::reply("slowly"));
}
