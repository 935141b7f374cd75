//! The backend `http`: its contract, streams, signatures.

use super::agent::{Agent, Step, answer, chunk, done, end, event, json as whole, stream_head};
use super::{asking, instance, retried};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use plugin_api::{Message, Mode, Outcome, Plugin, Work};
use serde_json::json;
use sha2::Sha256;

#[tokio::test]
async fn turn_is_asked_as_the_contract_says() {
    let agent = Agent::playing([whole(&json!({"reply": "hello", "more": 1}))]).await;
    let further = json!({"api_key": "k3y", "prompt_format": "<{text}>"});
    let (fake, invoker) = asking(&agent, "http", further);
    let job = fake.turn("hi {text}");
    assert_eq!(invoker.handle(job.clone()).await, Outcome::reply("hello"));

    let request = agent.requests().remove(0);
    let user = json!({
        "id": "user-1", "username": "web_user_1", "display_name": "Web User", "platform": "web_chat", "platform_user_id": "1"
    });
    let body = json!({
        "job_id": job.id, "conversation": "conversation-1", "user": user, "message": "<hi {text}>", "history": []
    });
    assert_eq!(request.body, body);
    assert!(request.head.starts_with("POST / HTTP/1.1"), "{}", request.head);
    for (name, value) in [
        ("idempotency-key", job.id.as_str()),
        ("authorization", "Bearer k3y"),
        ("content-type", "application/json"),
        ("user-agent", &format!("Arcuate/{}", fake.host().version())),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.header("webhook-id"), None);
}

#[tokio::test]
async fn turn_with_history_sends_what_was_said_before() {
    let agent = Agent::playing([whole(&json!({"reply": "3"}))]).await;
    let (fake, invoker) = asking(&agent, "http", json!({"history": 2, "prompt_format": "@{username} {text}"}));
    let metadata = json!({"platform": "web_chat", "platform_user_id": "1", "username": "ada"});
    let said = |seq, kind: &str, content: &str| Message {
        seq,
        content: content.into(),
        sender_type: Some(kind.into()),
        metadata: if kind == "human" { metadata.clone() } else { json!({}) },
        ..Message::default()
    };
    fake.set_history(vec![
        said(1, "human", "0"),
        said(2, "human", "1"),
        said(3, "agent", "2"),
        said(9, "human", "now"),
    ]);
    let mut job = fake.turn("now");
    let Work::AgentTurn(turn) = &mut job.work else { unreachable!() };
    turn.message.seq = 9;
    invoker.handle(job).await;
    let expected = json!([{"role": "user", "content": "@ada 1"}, {"role": "assistant", "content": "2"}]);
    assert_eq!(agent.requests()[0].body["history"], expected);
}

#[tokio::test]
async fn turn_of_an_echo_route_asks_nobody() {
    let (fake, invoker) = instance(json!({"backend": "http", "url": "http://127.0.0.1:9"})).unwrap();
    let mut job = fake.turn("hi");
    let Work::AgentTurn(turn) = &mut job.work else { unreachable!() };
    turn.mode = Mode::Echo;
    assert_eq!(invoker.handle(job).await, Outcome::reply("[Username: @web_user_1, Web_Chat ID: 1] hi"));
}

#[tokio::test]
async fn question_with_a_secret_is_signed() {
    let agent = Agent::playing([whole(&json!({"reply": "ok"}))]).await;
    let (fake, invoker) = asking(&agent, "http", json!({"secret": "whsec_c2VjcmV0"}));
    let job = fake.turn("hi");
    invoker.handle(job.clone()).await;
    let request = agent.requests().remove(0);
    let timestamp = request.header("webhook-timestamp").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(format!("{}.{timestamp}.", job.id).as_bytes());
    mac.update(&request.raw);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(request.header("webhook-id"), Some(job.id.as_str()));
    assert_eq!(request.header("webhook-signature"), Some(signature.as_str()));
}

#[tokio::test]
async fn stream_is_shown_while_it_grows() {
    let script =
        vec![stream_head(), event(&json!({"delta": "Hel"})), Step::Gate, event(&json!({"delta": "lo"})), done()];
    let agent = Agent::playing([script]).await;
    let (fake, invoker) = asking(&agent, "http", json!({}));
    let job = fake.turn("hi");
    let id = job.id.clone();
    let watching = async {
        fake.wait_for("the first delta", |fake| fake.deltas() == [(id.clone(), "Hel".to_owned())]).await;
        agent.open_gate();
    };
    let (outcome, ()) = tokio::join!(invoker.handle(job), watching);
    assert_eq!(outcome, Outcome::reply("Hello"));
    assert_eq!(fake.deltas(), [(id.clone(), "Hel".to_owned()), (id, "lo".to_owned())]);
}

#[tokio::test]
async fn deltas_that_arrive_together_are_shown_as_one() {
    let script = vec![
        stream_head(),
        chunk("data: {\"delta\": \"a\"}\n\n: ping\n\ndata: {\"delta\": \"b\"}\n\ndata: {\"step\": 3}\n\n"),
        done(),
    ];
    let agent = Agent::playing([script]).await;
    let (fake, invoker) = asking(&agent, "http", json!({}));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("ab"));
    assert_eq!(fake.deltas().len(), 1, "{:?}", fake.deltas());
}

#[tokio::test]
async fn stream_without_done_was_cut_off() {
    for last in [end(), chunk("data: {\"del")] {
        let agent = Agent::playing([vec![stream_head(), event(&json!({"delta": "Hel"})), last]]).await;
        let (fake, invoker) = asking(&agent, "http", json!({}));
        let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
        assert!(uncertain && why.contains("cut off"), "{why}");
    }
}

#[tokio::test]
async fn stream_that_ends_right_behind_done_is_whole() {
    let text = "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream\r\nConnection: close\r\n\r\ndata: {\"delta\": \"hi\"}\n\ndata: [DONE]";
    let agent = Agent::playing([vec![Step::Send(text.into())]]).await;
    let (fake, invoker) = asking(&agent, "http", json!({}));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hi"));
}

#[tokio::test]
async fn answer_of_another_content_type_is_read_all_the_same() {
    let agent = Agent::playing([answer(200, "", r#"{"reply": "hi"}"#)]).await;
    let (fake, invoker) = asking(&agent, "http", json!({"stream": false}));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hi"));
    assert_eq!(agent.requests()[0].header("accept"), Some("application/json"));
}
