//! What can go wrong between asking and the answer, and what becomes of the turn.

use super::agent::{Agent, Step, answer, chunk, done, event, json as whole, stream_head};
use super::{asking, discarded, instance, retried};
use plugin_api::{Outcome, Plugin};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

async fn outcome(script: Vec<Step>, further: Value) -> Outcome {
    let agent = Agent::playing([script]).await;
    let (fake, invoker) = asking(&agent, "http", further);
    invoker.handle(fake.turn("hi")).await
}

#[tokio::test]
async fn agent_that_is_not_there_is_asked_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?token=t0p", listener.local_addr().unwrap());
    drop(listener);
    let (fake, invoker) =
        instance(json!({"backend": "http", "url": url, "on_uncertain": "fail", "history": 0})).unwrap();
    for turn in 1..=3 {
        assert_eq!(fake.health(), None, "before turn {turn}");
        let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
        assert!(!uncertain && why.contains("cannot be reached") && !why.contains("t0p"), "{why}");
    }
    assert!(fake.health().is_some_and(|(degraded, text)| degraded && text.contains("cannot be reached")));
}

#[tokio::test]
async fn each_way_to_go_wrong_is_judged_alike_by_both_dialects() {
    let head = || Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_vec());
    let flood = || {
        let open = Step::Send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
        vec![open, Step::Flood(format!("1000\r\n{}\r\n", "x".repeat(4096)).into())]
    };
    let endless_stream = || vec![stream_head(), Step::Flood(format!("1000\r\n{}\r\n", "x".repeat(4096)).into())];
    for backend in ["http", "openai"] {
        let scripts = [
            (answer(500, "", ""), false),
            (answer(429, "retry-after: 1\r\n", ""), false),
            (answer(200, "", "<html>"), true),
            (vec![], true),
            (vec![Step::Hang], true),
            (vec![head(), Step::Hang], true),
            (vec![stream_head(), Step::Hang], true),
            (flood(), true),
            (endless_stream(), true),
        ];
        for (number, (script, in_doubt)) in scripts.into_iter().enumerate() {
            let agent = Agent::playing([script]).await;
            let (fake, invoker) = asking(&agent, backend, json!({"timeout": 0.5, "first_token_timeout": 0.4}));
            let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
            assert_eq!(uncertain, in_doubt, "{backend}, {number}: {why}");
        }
    }
}

#[tokio::test]
async fn agent_that_speaks_no_tls_is_told_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let (fake, invoker) = instance(json!({"backend": "http", "url": url, "history": 0})).unwrap();
    let server = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(invoker.handle(fake.turn("hi")), server);
    let (why, uncertain, _) = retried(outcome);
    assert!(!uncertain && why.contains("cannot be reached"), "{why}");
}

#[tokio::test]
async fn agent_that_is_busy_is_asked_again_when_it_says() {
    let busy = answer(429, "retry-after: 7\r\n", r#"{"error": "slow down"}"#);
    let (why, uncertain, after) = retried(outcome(busy, json!({"on_uncertain": "fail"})).await);
    assert!(!uncertain && why.contains("(429): slow down"), "{why}");
    assert_eq!(after, Some(7000));
    for status in [500, 503] {
        let (_, uncertain, after) =
            retried(outcome(answer(status, "", "<html>"), json!({"on_uncertain": "fail"})).await);
        assert!(!uncertain && after.is_none());
    }
}

#[tokio::test]
async fn key_refused_is_degraded_until_it_works_again() {
    let refused = answer(401, "", r#"{"error": {"message": "k3y is no key"}}"#);
    let agent = Agent::playing([refused, whole(&json!({"reply": "hi"}))]).await;
    let (fake, invoker) = asking(&agent, "http", json!({"api_key": "k3y"}));
    let why = discarded(invoker.handle(fake.turn("hi")).await);
    assert!(why.contains("api_key") && why.ends_with("*** is no key"), "{why}");
    assert_eq!(fake.health(), Some((true, why)));
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hi"));
    assert!(fake.health().is_some_and(|(degraded, _)| !degraded));
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = Agent::playing([]).await;
    let location = format!("location: {}?token=t0p\r\n", elsewhere.url());
    let why = discarded(outcome(answer(307, &location, ""), json!({})).await);
    assert!(why.contains(&elsewhere.url()) && why.contains("set url") && !why.contains("t0p"), "{why}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn question_refused_for_good_is_given_up_and_the_agent_stays_healthy() {
    let agent = Agent::playing([answer(422, "", r#"{"detail": [{"input": "hi"}]}"#)]).await;
    let (fake, invoker) = asking(&agent, "http", json!({}));
    let outcome = invoker.handle(fake.turn("hi")).await;
    assert!(matches!(outcome, Outcome::Discard { status: Some(422), .. }), "{outcome:?}");
    assert_eq!(fake.health(), None);
}

#[tokio::test]
async fn refusal_that_does_not_end_is_read_for_its_status_only() {
    let head = |status| Step::Send(format!("HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n").into());
    let (_, uncertain, _) = retried(outcome(vec![head(500), Step::Hang], json!({})).await);
    assert!(!uncertain);
    discarded(outcome(vec![head(404), Step::Flood(b"1\r\nx\r\n".to_vec())], json!({})).await);
}

#[tokio::test]
async fn agent_that_hangs_is_left_when_the_turn_is_over() {
    let head = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_vec());
    for script in
        [vec![Step::Hang], vec![head, Step::Hang], vec![stream_head(), event(&json!({"delta": "h"})), Step::Hang]]
    {
        let agent = Agent::playing([script]).await;
        let (fake, invoker) = asking(&agent, "http", json!({"timeout": 0.3}));
        let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
        assert!(uncertain && why.contains("(setting timeout)"), "{why}");
        agent.was_left().await;
    }
}

#[tokio::test]
async fn stream_without_a_word_is_late_by_the_first_token() {
    let script = vec![stream_head(), chunk(": ping\n\n"), Step::Hang];
    let (why, uncertain, _) = retried(outcome(script, json!({"first_token_timeout": 0.2})).await);
    assert!(uncertain && why.contains("first_token_timeout"), "{why}");
}

#[tokio::test]
async fn turn_that_is_cancelled_leaves_the_agent() {
    let agent = Agent::playing([vec![stream_head(), event(&json!({"delta": "h"})), Step::Hang]]).await;
    let (fake, invoker) = asking(&agent, "http", json!({}));
    tokio::select! {
        outcome = invoker.handle(fake.turn("hi")) => panic!("{outcome:?}"),
        () = fake.wait_for("a delta", |fake| !fake.deltas().is_empty()) => {}
    }
    agent.was_left().await;
}

#[tokio::test]
async fn answer_that_makes_no_sense_is_uncertain() {
    let scripts = [
        answer(200, "content-type: text/html\r\n", "<html>welcome</html>"),
        whole(&json!({"answer": "hi"})),
        whole(&json!({"error": "out of order"})),
        vec![stream_head(), chunk("data: {{{\n\n"), done()],
        vec![Step::Send(b"SSH-2.0-x\r\n\r\n".to_vec())],
        vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"rep".to_vec())],
        vec![],
    ];
    for script in scripts {
        let (why, uncertain, _) = retried(outcome(script.clone(), json!({})).await);
        assert!(uncertain && !why.contains("welcome"), "{why}");
        let why = discarded(outcome(script, json!({"on_uncertain": "fail"})).await);
        assert!(why.contains("on_uncertain"), "{why}");
    }
}

#[tokio::test]
async fn answer_that_never_ends_is_bounded() {
    let head = Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let letters = Step::Flood(vec![b'x'; 64 * 1024]);
    let line = Step::Flood(format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into());
    for script in [vec![head, letters], vec![stream_head(), line]] {
        let (why, uncertain, _) = retried(outcome(script, json!({})).await);
        assert!(uncertain && why.contains("2 MiB"), "{why}");
    }
}

#[tokio::test]
async fn answer_that_is_too_long_is_cut_with_a_note() {
    let delta = format!("data: {}\n\n", json!({"delta": "x".repeat(1000)}));
    let endless = Step::Flood(format!("{:x}\r\n{delta}\r\n", delta.len()).into());
    let reply = whole(&json!({"reply": "x".repeat(300_000)}));
    for script in [vec![stream_head(), endless], reply] {
        let Outcome::Done { reply: Some(reply), .. } = outcome(script, json!({})).await else { panic!("no answer") };
        assert!(reply.content.len() <= 256 * 1024 && reply.content.ends_with("the rest was cut.]"));
    }
}

#[tokio::test]
async fn empty_answer_is_a_failed_attempt() {
    for script in [whole(&json!({"reply": " \n"})), vec![stream_head(), done()], answer(200, "", r#"{"reply": ""}"#)] {
        let (why, uncertain, _) = retried(outcome(script, json!({"on_uncertain": "fail"})).await);
        assert!(!uncertain && why.contains("empty"), "{why}");
    }
}

#[tokio::test]
async fn turn_that_may_have_been_done_is_asked_again_only_if_the_operator_wants() {
    let agent = Agent::playing([whole(&json!({"reply": "hi"})), whole(&json!({"reply": "hi"}))]).await;
    let (fake, invoker) = asking(&agent, "http", json!({"on_uncertain": "fail"}));
    let mut job = fake.turn("hi");
    (job.uncertain, job.rescues) = (true, 1);
    assert!(discarded(invoker.handle(job.clone()).await).contains("on_uncertain"));
    assert!(agent.requests().is_empty());
    // What an operator retries begins anew.
    job.rescues = 0;
    assert_eq!(invoker.handle(job.clone()).await, Outcome::reply("hi"));
    assert_eq!(agent.requests().len(), 1);
    let (_, invoker) = asking(&agent, "http", json!({"on_uncertain": "retry"}));
    assert_eq!(invoker.handle(job.clone()).await, Outcome::reply("hi"));
    assert_eq!(agent.requests()[0].header("idempotency-key"), Some(job.id.as_str()));
}

#[tokio::test]
async fn host_that_cannot_show_deltas_spoils_no_answer() {
    let agent = Agent::playing([vec![stream_head(), event(&json!({"delta": "hi"})), done()]]).await;
    let (fake, invoker) = asking(&agent, "http", json!({}));
    fake.fail_next("nobody watches");
    assert_eq!(invoker.handle(fake.turn("hi")).await, Outcome::reply("hi"));
    assert!(fake.deltas().is_empty());
}

#[tokio::test]
async fn host_that_cannot_give_the_history_costs_an_attempt() {
    let agent = Agent::playing([]).await;
    let (fake, invoker) = asking(&agent, "http", json!({"history": 5}));
    fake.fail_next("the store is busy");
    let (why, uncertain, _) = retried(invoker.handle(fake.turn("hi")).await);
    assert!(!uncertain && why.contains("the store is busy"), "{why}");
}
