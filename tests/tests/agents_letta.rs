//! An agent on a Letta server, as its people meet it: each has a memory of their own, nobody's lies there in another's turn, and what goes
//! wrong on the way ends in one answer.

use arcuate_tests::host::Host;
use arcuate_tests::letta::FakeLetta;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::json;

/// So that drills with many failures do not make the instance rest.
const PATIENT: &str = "breaker_failures = 0\n";

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|other| *other == name).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_write_at_once_are_known_once_and_answered_one_after_the_other() {
    let Some(letta) = FakeLetta::start("people_who_write_at_once") else { return };
    letta.misbehave(&json!({"takes": 0.02})).await;
    let host = Host::start(&letta.plugin("")).await;
    let visitors: Vec<_> = (0..5).map(|number| Visitor::new(host.client(), &format!("visitor_{number}"))).collect();
    for round in 1..=2 {
        for visitor in &visitors {
            visitor.say(&format!("Hello from {}", visitor.session)).await;
        }
        for visitor in &visitors {
            let heard = visitor.hears(round).await;
            assert_eq!(heard.last().expect("an answer").text, format!("re: Hello from {}", visitor.session));
        }
    }
    let names = letta.names().await;
    assert_eq!((count(&names, "identity"), count(&names, "block")), (5, 5), "each is made known once");
    assert_eq!((count(&names, "attach"), count(&names, "turn"), count(&names, "detach")), (10, 10, 10));
    assert_eq!(letta.record().await["most_at_once"], 1);
    letta.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_that_goes_wrong_in_any_way_ends_in_one_answer() {
    let Some(letta) = FakeLetta::start("turn_that_goes_wrong_in_any_way") else { return };
    let faults = [
        "fails",
        "busy",
        "hangs",
        "hangs_after_headers",
        "garbage",
        "endless",
        "cut",
        "silent",
        "forgets",
        "reports_an_error",
    ];
    letta.misbehave(&json!({"turn_there": faults})).await;
    let more = format!("{PATIENT}scope = \"conversation\"\ntimeout = 3\nfirst_token_timeout = 0.5");
    let host = Host::start(&letta.plugin(&more)).await;
    let visitors: Vec<_> = faults.iter().map(|fault| Visitor::new(host.client(), fault)).collect();
    for visitor in &visitors {
        visitor.say(&format!("Hello from {}", visitor.session)).await;
    }
    for visitor in &visitors {
        assert_eq!(visitor.hears(1).await[0].text, format!("re: Hello from {}", visitor.session));
    }
    let names = letta.names().await;
    assert_eq!(count(&names, "conversation"), faults.len());
    // Those whose answer was only lost were not asked again.
    assert!(count(&names, "turn_there") < 2 * faults.len(), "{names:?}");
    assert!(host.operator().get("/api/v1/admin/queue?state=failed").await.ok()["jobs"] == json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_around_a_turn_that_go_wrong_leave_no_block_behind() {
    let Some(letta) = FakeLetta::start("calls_around_a_turn") else { return };
    let faults = json!({
        "identity": ["fails", "garbage"], "block": ["busy", "hangs_after_headers"],
        "attach": ["fails", "hangs", "garbage", "endless"], "turn": ["cut", "fails"], "said": ["fails"], "detach": ["fails", null, "busy"]
    });
    letta.misbehave(&faults).await;
    let more = format!("{PATIENT}timeout = 1\nfirst_token_timeout = 1");
    let host = Host::start(&letta.plugin(&more)).await;
    let (first, second) = (Visitor::new(host.client(), "first"), Visitor::new(host.client(), "second"));
    first.say("one").await;
    second.say("two").await;
    assert_eq!(first.hears(1).await[0].text, "re: one");
    assert_eq!(second.hears(1).await[0].text, "re: two");
    let clean = async || (letta.record().await["attached"] == json!(["block-human"])).then_some(());
    until_async("the blocks are off", PATIENCE, clean).await;
    letta.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_is_killed_in_mid_turn_finds_the_answer_and_asks_nothing_twice() {
    let Some(letta) = FakeLetta::start("host_that_is_killed_in_mid_turn") else { return };
    letta.misbehave(&json!({"takes": 0.5})).await;
    let mut host = Host::start(&letta.plugin("on_uncertain = \"fail\"")).await;
    Visitor::new(host.client(), "session_1").say("Hello?").await;
    let asked = async || (count(&letta.names().await, "turn") == 1).then_some(());
    until_async("the agent is asked", PATIENCE, asked).await;
    host.kill_9();
    host.start_again().await;
    assert_eq!(Visitor::new(host.client(), "session_1").hears(1).await[0].text, "re: Hello?");
    assert_eq!(count(&letta.names().await, "turn"), 1);
    letta.assert_clean().await;
}
