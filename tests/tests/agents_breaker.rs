//! The circuit breaker: an agent that fails in a row is left in peace, turns wait instead of being used up, and its next answer ends that.

use arcuate_tests::agent::{Agent, Fault, Manner};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use std::time::{Duration, Instant};

async fn state(host: &Host) -> (String, String) {
    let plugins = host.operator().get("/api/v1/admin/plugins").await.ok();
    let plugin =
        plugins["plugins"].as_array().expect("plugins").iter().find(|plugin| plugin["name"] == "assistant").cloned();
    let plugin = plugin.expect("the assistant");
    let text = |key: &str| plugin[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_that_fails_in_a_row_rests_and_its_answer_ends_the_rest() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("breaker_failures = 3\nbreaker_seconds = 1")).await;
    agent.change(|manner| manner.plan.extend([Some(Fault::Fails); 3]));
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    let resting = async || {
        let (state, reason) = state(&host).await;
        (state == "Degraded" && reason.contains("none is asked for 1 s")).then_some(reason)
    };
    let reason = until_async("it rests", PATIENCE, resting).await;
    assert!(reason.contains("3 turns in a row failed") && reason.contains("(500)"), "{reason}");
    let begun = Instant::now();
    let other = Visitor::new(host.client(), "session_2");
    other.say("And me?").await;
    assert_eq!(agent.calls().len(), 3, "nobody is asked while it rests");
    assert_eq!(visitor.hears(1).await[0].text, "re: Hello?");
    assert_eq!(other.hears(1).await[0].text, "re: And me?");
    // Less than the rest by what it took to see it.
    assert!(begun.elapsed() > Duration::from_millis(100), "it was asked too early");
    assert_eq!(agent.calls().len(), 5);
    assert_eq!(state(&host).await.0, "Running");
}

#[tokio::test(flavor = "multi_thread")]
async fn breaker_that_is_off_uses_the_attempts_up() {
    let agent = Agent::start(Manner::default()).await;
    let more = "breaker_failures = 0\nbreaker_seconds = 600";
    let host = Host::start(&format!("queue.max_attempts = 8\n{}", agent.plugin(more))).await;
    agent.change(|manner| manner.plan.extend([Some(Fault::Fails); 8]));
    Visitor::new(host.client(), "session_1").say("Hello?").await;
    let failed = async || {
        let jobs = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
        jobs["jobs"].get(0).cloned()
    };
    let job = until_async("the turn is given up", PATIENCE, failed).await;
    assert_eq!((job["attempts"].as_i64(), agent.calls().len()), (Some(8), 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_turn_tries_the_agent_after_a_rest_and_the_others_lose_no_attempt() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("breaker_failures = 1\nbreaker_seconds = 1")).await;
    agent.change(|manner| manner.plan.push_back(Some(Fault::Fails)));
    let visitors: Vec<_> = (0..6).map(|n| Visitor::new(host.client(), &format!("session_{n}"))).collect();
    visitors[0].say("Hello?").await;
    until_async("it rests", PATIENCE, async || (state(&host).await.0 == "Degraded").then_some(())).await;
    agent.hold();
    for visitor in &visitors[1..] {
        visitor.say("And me?").await;
    }
    let standing_back = async || {
        let jobs = host.operator().get("/api/v1/admin/queue?state=pending&error=find%20out").await.ok();
        (jobs["jobs"].as_array().map(Vec::len) == Some(5)).then_some(())
    };
    until_async("five turns stand back for the one that tries", PATIENCE, standing_back).await;
    assert_eq!(agent.calls().len(), 2, "one failed, one tries");
    agent.release();
    for visitor in &visitors {
        visitor.hears(1).await;
    }
    let jobs = host.operator().get("/api/v1/admin/queue?kind=agent_turn").await.ok();
    let attempts = jobs["jobs"].as_array().expect("jobs").iter().filter_map(|job| job["attempts"].as_i64());
    assert_eq!(attempts.sum::<i64>(), 6 + 1, "standing back is no attempt: {jobs:#}");
}
