//! A disk that fails under the store: whoever writes is told, nothing is acknowledged that is not on it, and when it works again so does
//! the host. A disk that is full: `store.rs`.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Answer;
use arcuate_tests::disk::Disk;
use arcuate_tests::faulty_disk::{Call, FaultyDisk};
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::process::Command;

/// Everything that can go wrong at the moment of a write, and what is said of it.
const FAULTS: [(Call, Errno, &str); 4] = [
    (Call::Sync, Errno::IO, "the disk that holds the store failed"),
    (Call::Write, Errno::IO, "the disk that holds the store failed"),
    (Call::Write, Errno::ROFS, "the disk that holds the store failed"),
    (Call::Write, Errno::NOSPC, "the disk that holds the store is full"),
];

async fn post(host: &Host, room: &str, text: &str) -> Answer {
    host.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "sender": "ada", "content": text })).await
}

async fn texts(host: &Host, room: &str) -> Vec<String> {
    let messages = host.get(&format!("/api/v1/rooms/{room}/messages?limit=500")).await.ok();
    let text = |message: &Value| message["content"].as_str().expect("a text").to_owned();
    messages.as_array().expect("messages").iter().map(text).collect()
}

async fn until_ready(host: &Host) {
    let again = async || (host.get("/ready").await.status == 200).then_some(());
    until_async("the host is ready again, by itself", PATIENCE, again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_that_fails_refuses_with_the_reason_and_takes_messages_again_without_a_restart() {
    let Some(disk) = FaultyDisk::new("a disk that fails") else { return };
    let mut host = disk.under(Setup::new("")).start().await;
    let room = host.room("room").await;
    let mut acknowledged = vec!["before".to_owned()];
    post(&host, &room, "before").await.ok();
    for (number, (call, error, reason)) in FAULTS.into_iter().enumerate() {
        disk.fail(call, error);
        for attempt in 0..3 {
            let refused = post(&host, &room, &format!("refused {number} {attempt}")).await;
            refused.refused(503, reason);
            assert!(!refused.header("retry-after").is_empty(), "{refused}");
        }
        Visitor::new(host.client(), "session_1").message("Hello?").await.failed(503, "the disk that holds the store");
        let ready = host.get("/ready").await.is(503);
        assert!(ready["error"].as_str().is_some_and(|text| text.contains(reason)), "{call:?} {error}: {ready:#}");
        host.get("/health").await.ok();
        assert_eq!(texts(&host, &room).await, acknowledged, "reads go on, and show what is stored: {call:?} {error}");

        disk.mend();
        until_ready(&host).await;
        let text = format!("after {number}");
        post(&host, &room, &text).await.ok();
        acknowledged.push(text);
        if number % 2 == 0 {
            host.kill_9();
            host.start_again().await;
        }
        assert_eq!(texts(&host, &room).await, acknowledged, "what was acknowledged and nothing else: {call:?} {error}");
    }
    assert!(!host.log().contains("panicked"), "a panic is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_cannot_be_synced_waits_for_the_disk_and_is_not_asked_for_again() {
    let Some(disk) = FaultyDisk::new("an answer on a disk that fails") else { return };
    let agent = Agent::start(Manner::default()).await;
    agent.hold();
    let host = disk.under(Setup::new(&agent.plugin(""))).start().await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    until("the agent is asked", || (!agent.calls().is_empty()).then_some(())).await;
    disk.fail(Call::Sync, Errno::IO);
    agent.release();
    until("the outcome waits", || host.log().contains("an outcome waits to be written").then_some(())).await;
    assert_eq!(visitor.answers().await, [], "nobody sees an answer that is not stored");
    disk.mend();
    assert_eq!(visitor.hears(1).await[0].text, "re: Hello?");
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn store_on_a_read_only_disk_refuses_the_start_with_words_and_starts_when_it_can_be_written() {
    let Some(disk) = Disk::mount("a read-only store", 24) else { return };
    let store = disk.path().join("data/arcuate.db");
    let no_plugins = "routes = []\n[plugins.assistant]\nenabled = false\n[plugins.webhook]\nenabled = false\n";
    let config = format!("{no_plugins}[store]\npath = \"{}\"\n", store.display());
    let mut host = Host::start(&config).await;
    let room = host.room("room").await;
    post(&host, &room, "kept").await.ok();
    assert!(host.terminate().await.0.success());
    disk.set_read_only(true);
    let refused = host.setup().refuse().await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
    assert!(refused.stderr.contains(&store.display().to_string()), "{refused:?}");
    assert!(!refused.stdout.contains("listening on"), "{refused:?}");
    let backup = |name| {
        let setup = host.setup();
        let run = Command::new(setup.program()).current_dir(setup.folder()).args(["backup", name]).output();
        run.expect("the program runs")
    };
    let told = backup("aside.db");
    assert!(told.status.success(), "what is there can be saved: {told:?}");
    disk.set_read_only(false);
    host.start_again().await;
    assert_eq!(texts(&host, &room).await, ["kept"]);
}
