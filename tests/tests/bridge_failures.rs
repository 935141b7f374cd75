//! A PHP bridge that goes wrong in each way: what its visitors say is answered once all the same.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::disk::Disk;
use arcuate_tests::host::Host;
use arcuate_tests::php::PhpBridge;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use serde_json::{Value, json};

const ROUTE: &str = "[[routes]]\nfrom = \"web_chat\"\nto = \"assistant\"\n";
const KINDS: [&str; 9] =
    ["500", "429", "hang", "garbage", "cut", "drop_after", "hang_after", "garbage_after", "cut_after"];

async fn until_settled(host: &Host) {
    let settled = async || {
        let queue = host.get("/ready").await.ok()["queue"].clone();
        (queue["pending"] == 0 && queue["processing"] == 0).then_some(())
    };
    until_async("the queue is empty", PATIENCE, settled).await;
}

/// The first request of this action goes wrong in each way.
async fn goes_wrong(test: &str, action: &str, quirks: &[&str]) {
    let Some(bridge) = PhpBridge::start_faulty(test).await else { return };
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin("timeout = 1"), agent.plugin(""))).await;
    for kind in KINDS {
        let visitor = bridge.visitor(kind);
        // Nothing is taken, until the one poll that takes it goes wrong.
        let busy = json!({ "rate": 1, "kinds": ["429"], "actions": ["inbox"], "retry_after": 0 });
        bridge.misbehave(&busy);
        until("no poll is answered", || bridge.counts()["faults"]["inbox"]["429"].as_u64().map(drop)).await;
        visitor.say(&format!("It's <{kind}> & so on")).await;
        let plan = json!({ action: [kind] });
        bridge.misbehave(&json!({ "plan": plan, "hang_seconds": 2, "retry_after": 0, "quirks": quirks }));
        let heard = visitor.hears(1).await;
        assert_eq!(heard[0].text, format!("re: It's <{kind}> & so on"));
        let counted = || bridge.counts()["faults"][action][kind].as_u64().map(drop);
        until("the fault has happened", counted).await;
        until_settled(&host).await;
        let said = bridge.session(kind).await;
        assert_eq!(said["responses"].as_array().map(Vec::len), Some(1), "answered once: {said:#}");
    }
    agent.assert_one_key_per_message();
    assert_eq!(agent.calls().len(), KINDS.len(), "each was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_lose_a_poll_ends_in_one_answer() {
    goes_wrong("faults of a bridge's inbox", "inbox", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_lose_a_delivery_ends_in_one_answer() {
    goes_wrong("faults of a bridge's outbox", "outbox", &[]).await;
}

/// As most bridges are: whoever posts again has to look first.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_lose_a_delivery_ends_in_one_answer_at_a_bridge_that_knows_no_keys() {
    goes_wrong("faults of an outbox without keys", "outbox", &["no_keys"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_between_a_delivery_and_its_receipt_doubles_nothing_at_a_bridge_that_knows_no_keys() {
    let Some(bridge) = PhpBridge::start_faulty("a kill in the middle of a delivery").await else { return };
    // A long answer, which goes out in parts: the second one arrives, and nobody is told.
    let reply = |message: &str| format!("{message} {}", "word ".repeat(5000));
    let agent = Agent::start(Manner { reply, ..Manner::default() }).await;
    let plan = json!({ "outbox": ["ok", "hang_after"] });
    bridge.misbehave(&json!({ "plan": plan, "hang_seconds": 3, "quirks": ["no_keys"] }));
    let mut host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;
    let visitor = bridge.visitor("session_1");
    visitor.say("Tell me").await;
    visitor.hears(2).await;
    host.kill_9();
    host.start_again().await;
    let parts = visitor.hears(3).await;
    until_settled(&host).await;
    assert_eq!(visitor.answers().await, parts, "three parts, and no more");
    let whole: Vec<&str> = parts.iter().flat_map(|part| part.text.split_whitespace()).collect();
    assert_eq!(whole, reply("Tell me").split_whitespace().collect::<Vec<_>>());
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_odd_bridges_are_read_and_broken_ones_kept() {
    let Some(bridge) = PhpBridge::start_faulty("quirks of a bridge").await else { return };
    let agent = Agent::start(Manner::default()).await;
    bridge.misbehave(&json!({ "quirks": ["string_ids", "null_uid", "bad_row"] }));
    let host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;
    let visitor = bridge.visitor("session_1");
    for (number, text) in ["one", "two"].iter().enumerate() {
        visitor.say(text).await;
        visitor.hears(number + 1).await;
    }
    let user = &agent.calls()[1].user;
    assert_eq!(user["platform_user_id"], "session_1", "without a uid the session stands for the visitor");
    let dead = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
    let dead = dead["jobs"].as_array().expect("jobs");
    assert_eq!((dead.len(), &dead[0]["kind"]), (1, &json!("ingest")), "the same row is kept once: {dead:#?}");
    let id = dead[0]["id"].as_str().expect("an id");
    let shown = host.operator().get(&format!("/api/v1/admin/queue/{id}")).await.ok();
    assert_eq!(shown["payload"]["session_id"], 17, "with what came: {shown:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bridge_with_another_key_is_told_with_the_setting_to_mend() {
    let Some(bridge) = PhpBridge::start("a wrong key for a bridge").await else { return };
    let plugin = bridge.plugin("").replace("poller-key", "no-such-key");
    let host = Host::start(&format!("plugins.restart_base_seconds = 60\n{plugin}{ROUTE}")).await;
    let status = host.operator().get("/api/v1/admin/plugins/web_chat").await.ok();
    assert_eq!(status["state"], "Failed", "{status:#}");
    let reason = status["reason"].as_str().expect("a reason");
    assert!(reason.contains("`api_key`") && !reason.contains("no-such-key"), "{reason}");
    assert!(!host.log().contains("no-such-key"), "a key is in the log");
    host.get("/ready").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_the_bridge_has_forgotten_leaves_a_dead_letter_that_says_so() {
    let Some(bridge) = PhpBridge::start("a forgotten session").await else { return };
    let agent = Agent::start(Manner::default()).await;
    agent.hold();
    let host = Host::start(&format!("{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;
    let visitor = bridge.visitor("session_1");
    visitor.say("Hello?").await;
    until("the agent is asked", || (!agent.calls().is_empty()).then_some(())).await;
    bridge.forget_everything().await;
    agent.release();
    let failed = async || {
        let jobs = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
        jobs["jobs"].as_array().expect("jobs").first().cloned()
    };
    let dead: Value = until_async("the delivery has failed", PATIENCE, failed).await;
    assert_eq!((&dead["kind"], &dead["attempts"]), (&json!("deliver"), &json!(1)));
    assert!(dead["last_error"].as_str().is_some_and(|error| error.contains("Invalid or expired session")), "{dead:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn page_taken_while_the_disk_is_full_is_answered_when_there_is_space_also_after_a_kill() {
    let Some(bridge) = PhpBridge::start("a page on a full disk").await else { return };
    let Some(disk) = Disk::mount("a page on a full disk", 300) else { return };
    let agent = Agent::start(Manner::default()).await;
    let store = format!("[store]\npath = \"{}\"\n", disk.path().join("arcuate.db").display());
    let mut host = Host::start(&format!("{store}{}{}{ROUTE}", bridge.plugin(""), agent.plugin(""))).await;
    let visitor = bridge.visitor("session_1");
    visitor.say("before").await;
    visitor.hears(1).await;
    until_settled(&host).await;
    for (number, kill) in [false, true].into_iter().enumerate() {
        disk.fill();
        let room = host.get("/api/v1/rooms").await.ok()[0]["id"].as_str().expect("a room").to_owned();
        let words = json!({ "sender": "ada", "content": "x".repeat(5000) });
        while host.post(&format!("/api/v1/rooms/{room}/messages"), &words).await.status == 200 {}
        visitor.say(&format!("while it is full {number}")).await;
        let troubled = async || {
            let status = host.operator().get("/api/v1/admin/plugins/web_chat").await.ok();
            status["reason"].as_str().is_some_and(|reason| reason.contains("cannot store messages")).then_some(())
        };
        until_async("the plugin says what is wrong", PATIENCE, troubled).await;
        if kill {
            host.kill_9();
        }
        disk.empty();
        if kill {
            host.start_again().await;
        }
        visitor.hears(number + 2).await;
    }
    until_settled(&host).await;
    let texts: Vec<String> = visitor.answers().await.into_iter().map(|answer| answer.text).collect();
    assert_eq!(texts, ["re: before", "re: while it is full 0", "re: while it is full 1"]);
    assert_eq!(agent.calls().len(), 3);
}
