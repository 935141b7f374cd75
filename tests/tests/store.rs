//! The store under a host: one host at a time, a disk that fills up, a schema from the future, and an end in good order.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Answer;
use arcuate_tests::disk::Disk;
use arcuate_tests::events::Stream;
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::Path;

/// A store at this place, and no plugins.
fn alone(store: &Path) -> String {
    format!(
        "routes = []\n[store]\npath = \"{}\"\n[plugins.assistant]\nenabled = false\n[plugins.webhook]\nenabled = false\n",
        store.display()
    )
}

async fn post(host: &Host, room: &str, text: &str) -> Answer {
    host.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "sender": "ada", "content": text })).await
}

/// Numbers and texts of a room.
async fn stored(host: &Host, room: &str) -> Vec<(i64, String)> {
    let messages = host.get(&format!("/api/v1/rooms/{room}/messages?limit=500")).await.ok();
    let both = |message: &Value| Some((message["seq"].as_i64()?, message["content"].as_str()?.to_owned()));
    messages.as_array().expect("messages").iter().map(|message| both(message).expect("number and text")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn second_host_on_a_store_is_refused_and_told_who_has_it() {
    let mut first = Host::start("").await;
    let second = Setup::new(&alone(&first.store()));
    let refused = second.refuse().await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("pid {}", first.pid())), "{refused:?}");
    assert!(!refused.stdout.contains("listening on"), "{refused:?}");
    first.get("/ready").await.ok();
    first.kill_9();
    // What a killed host left behind keeps nobody out.
    second.start().await.get("/ready").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_port_is_told_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let setup = Setup::new(&format!("server.bind = \"{address}\""));
    let refused = setup.refuse().await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("cannot listen on {address}")), "{refused:?}");
    assert!(!setup.folder().join("data").exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_of_a_newer_host_or_of_another_program_is_refused_with_words_and_left_alone() {
    let mut host = Host::start("").await;
    let room = host.room("room").await;
    host.say(&room, "precious").await;
    assert!(host.terminate().await.0.success());
    let store = host.store();
    let set = |version: u32| {
        let connection = Connection::open(&store).expect("the store can be opened");
        connection.pragma_update(None, "user_version", version).expect("the version is set");
    };
    let version = Connection::open(&store).expect("the store can be opened");
    let version: u32 = version.pragma_query_value(None, "user_version", |row| row.get(0)).expect("its version");
    set(99);
    let newer = Setup::new(&alone(&store)).refuse().await;
    assert_eq!(newer.status.code(), Some(1), "{newer:?}");
    assert!(newer.stderr.contains("version 99") && newer.stderr.contains("newer Arcuate"), "{newer:?}");
    set(version);
    host.start_again().await;
    assert_eq!(stored(&host, &room).await.len(), 1, "it was left as it was");

    let foreign = host.folder().join("foreign.db");
    Connection::open(&foreign).expect("a database").execute_batch("create table recipes (name)").expect("a table");
    let other = Setup::new(&alone(&foreign)).refuse().await;
    assert!(other.status.code() == Some(1) && other.stderr.contains("another program"), "{other:?}");
    let text = host.folder().join("text.db");
    fs::write(&text, "Dear diary, ".repeat(1000)).expect("a file");
    let damaged = Setup::new(&alone(&text)).refuse().await;
    assert!(damaged.status.code() == Some(1) && damaged.stderr.contains("text.db"), "{damaged:?}");
    assert!(fs::read_to_string(&text).expect("the file").starts_with("Dear diary"), "it was left as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_with_the_reason_and_takes_messages_again_when_there_is_space() {
    let Some(disk) = Disk::mount("a full disk", 24) else { return };
    let mut host = Host::start(&alone(&disk.path().join("arcuate.db"))).await;
    let room = host.room("room").await;
    let mut acknowledged = Vec::new();
    let mut numbers = 0..;
    let mut write = async |host: &Host| {
        let text = format!("{} {}", numbers.next().expect("a number"), "x".repeat(500));
        let answer = post(host, &room, &text).await;
        if answer.status == 200 {
            acknowledged.push((answer.json()["seq"].as_i64().expect("a number"), text));
        }
        answer
    };
    for _ in 0..10 {
        write(&host).await.ok();
    }
    for round in 0..3 {
        disk.fill();
        let refused = loop {
            let answer = write(&host).await;
            if answer.status != 200 {
                break answer;
            }
        };
        refused.refused(503, "the disk that holds the store is full");
        assert!(!refused.header("retry-after").is_empty(), "{refused}");
        let visitor = Visitor::new(host.client(), "session_1");
        visitor.message("Hello?").await.failed(503, "full");
        let ready = host.get("/ready").await.is(503);
        assert!(ready["error"].as_str().is_some_and(|text| text.contains("full")), "{ready:#}");
        host.get("/health").await.ok();
        host.get("/api/v1/rooms").await.ok();

        disk.empty();
        let again = async || (host.get("/ready").await.status == 200).then_some(());
        until_async("the host is ready again, by itself", PATIENCE, again).await;
        write(&host).await.ok();
        if round == 1 {
            host.kill_9();
            host.start_again().await;
        }
    }
    assert_eq!(stored(&host, &room).await, acknowledged, "what was acknowledged is there, and nothing else");
    let numbers: Vec<i64> = acknowledged.iter().map(|(seq, _)| *seq).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_cannot_be_written_waits_for_space_and_is_not_asked_for_again() {
    let Some(disk) = Disk::mount("an answer on a full disk", 200) else { return };
    let agent = Agent::start(Manner::default()).await;
    agent.hold();
    let store = format!("[store]\npath = \"{}\"\n", disk.path().join("arcuate.db").display());
    let host = Host::start(&format!("{store}{}", agent.plugin(""))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    until("the agent is asked", || (!agent.calls().is_empty()).then_some(())).await;
    disk.fill();
    let room = host.get("/api/v1/conversations").await.ok()["conversations"][0]["room_id"].clone();
    while post(&host, room.as_str().expect("a room"), "filler").await.status == 200 {}
    agent.release();
    let waits = || host.log().contains("an outcome waits to be written").then_some(());
    until("the outcome waits", waits).await;
    disk.empty();
    let answered = async || visitor.answers().await.into_iter().find(|answer| answer.text != "filler");
    let answer = until_async("the answer comes", PATIENCE, answered).await;
    assert_eq!(answer.text, "re: Hello?");
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn store_of_the_version_before_is_served_with_all_that_was_in_it() {
    let setup = Setup::new("");
    let path = setup.folder().join("data/arcuate.db");
    fs::create_dir_all(path.parent().expect("a folder")).expect("the store's folder");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/data/store_1.db"), &path).expect("a store of the version before");
    let host = setup.start().await;
    let rooms = host.get("/api/v1/rooms").await.ok();
    let sizes: Vec<_> =
        rooms.as_array().expect("rooms").iter().map(|room| (&room["name"], &room["message_count"])).collect();
    assert_eq!(sizes, [(&json!("lab"), &json!(300)), (&json!("general"), &json!(302))]);
    let (lab, general) = (rooms[0]["id"].as_str().expect("an id"), rooms[1]["id"].as_str().expect("an id"));

    let messages = host.get(&format!("/api/v1/rooms/{general}/messages?after=0&limit=2")).await.ok();
    assert_eq!((&messages[0]["metadata"], &messages[1]["reply_to"]), (&json!({ "mood": "fine" }), &messages[0]["id"]));
    let unread = host.get("/api/v1/unread?sender=ada").await.ok();
    assert_eq!(unread["total_unread"], 602 - 201, "all but her own");
    let mentions = host.get("/api/v1/mentions?target=CI%20Bot").await.ok();
    assert_eq!((&mentions["count"], &mentions["mentions"][0]["seq"]), (&json!(1), &json!(2)));
    assert_eq!(host.get("/api/v1/mentions/unread?target=bob").await.ok()["total_unread"], 1);
    let found = host.get("/api/v1/search?q=%22note%20296%22").await.ok();
    assert_eq!((&found["count"], &found["results"][0]["sender"]), (&json!(1), &json!("cyd")));
    let stats = host.get("/api/v1/stats").await.ok();
    assert_eq!([&stats["rooms"], &stats["messages"], &stats["threads"]], [&json!(2), &json!(610), &json!(5)]);
    assert_eq!(stats["by_sender_type"], json!({ "agent": 5, "human": 5, "unspecified": 600 }));
    let people = host.get(&format!("/api/v1/rooms/{lab}/participants")).await.ok();
    let counts = people.as_array().expect("people").iter().filter_map(|person| person["message_count"].as_i64());
    assert_eq!(counts.sum::<i64>(), 300);
    let thread = format!("/api/v1/rooms/{general}/messages/{}/thread", messages[1]["id"].as_str().expect("an id"));
    assert_eq!(host.get(&thread).await.ok()["root"]["seq"], 2);
    let conversations = host.operator().get("/api/v1/admin/conversations").await;
    assert_eq!(conversations.json().to_string().matches("\"s0\"").count(), 1, "{conversations:?}");

    // It goes on where it was: with the next number, for whoever reads from an old cursor too.
    let mut stream = Stream::open(host.client(), lab, "?after=602", &[]).await;
    let posted = host.say(lab, "hello @bob").await;
    assert!(posted["seq"].as_i64() > Some(611), "{posted}");
    let seqs =
        [stream.next_real().await, stream.next_real().await].map(|event| event.expect("an event").data["seq"].clone());
    assert_eq!(seqs, [json!(603), posted["seq"].clone()]);
    let first = messages[0]["id"].as_str().expect("an id");
    let delete = format!("/api/v1/rooms/{general}/messages/{first}?sender=ada");
    host.client().ask(reqwest::Method::DELETE, &delete).await.ok();
    assert_eq!(host.get("/api/v1/mentions?target=bob").await.ok()["count"], 1, "the new one alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_of_the_second_version_is_served_with_all_that_was_in_it() {
    let setup = Setup::new("");
    let path = setup.folder().join("data/arcuate.db");
    fs::create_dir_all(path.parent().expect("a folder")).expect("the store's folder");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/data/store_2.db"), &path).expect("a store of the second version");
    let host = setup.start().await;
    let rooms = host.get("/api/v1/rooms").await.ok();
    let lab = rooms.as_array().expect("rooms").iter().find(|room| room["name"] == "lab").expect("the lab");
    assert_eq!(lab["message_count"], 40, "40 and one for the hook, less one that was deleted");
    let lab = lab["id"].as_str().expect("an id");
    let messages = host.get(&format!("/api/v1/rooms/{lab}/messages?after=0&limit=3")).await.ok();
    assert_eq!((&messages[1]["content"], &messages[1]["edit_count"]), (&json!("note 1, edited"), &json!(1)));
    for (list, expected) in [("pins", 1), ("files", 1), ("read", 1)] {
        let listed = host.get(&format!("/api/v1/rooms/{lab}/{list}")).await.ok();
        assert_eq!(listed.as_array().map(Vec::len), Some(expected), "{list}: {listed}");
    }
    assert_eq!(host.get("/api/v1/dm?sender=bob").await.ok()["conversations"][0]["message_count"], 1);
    assert_eq!(host.get("/api/v1/profiles/ada").await.ok()["display_name"], "Ada");

    // The queue goes on: answered turns are there, and the delivery that nobody took is still due or has failed.
    let queue = host.operator().get("/api/v1/admin/queue?limit=100").await.ok();
    let jobs = queue["jobs"].as_array().expect("jobs");
    let turns = jobs.iter().filter(|job| job["kind"] == "agent_turn" && job["state"] == "completed");
    assert_eq!((turns.count(), jobs.iter().filter(|job| job["kind"] == "webhook").count()), (12, 1), "{queue}");
    let listed = host.operator().get("/api/v1/admin/conversations").await.ok();
    assert_eq!(listed["conversations"].as_array().map(Vec::len), Some(4), "{listed}");
    for conversation in listed["conversations"].as_array().expect("conversations") {
        let user = conversation["user"]["id"].as_str().expect("an id");
        let theirs = host.get(&format!("/api/v1/conversations?user={user}")).await.ok();
        assert!(theirs.to_string().contains(conversation["id"].as_str().expect("an id")), "{theirs}");
    }
    let posted = host.say(lab, "and on it goes").await;
    assert!(posted["seq"].as_i64() > Some(60), "{posted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_of_the_third_version_is_served_with_its_people_and_what_operators_left() {
    let setup = Setup::new("");
    let path = setup.folder().join("data/arcuate.db");
    fs::create_dir_all(path.parent().expect("a folder")).expect("the store's folder");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/data/store_3.db"), &path).expect("a store of the third version");
    let host = setup.start().await;
    let operator = host.operator();
    let people = operator.get("/api/v1/admin/users").await.ok();
    let names = |person: &Value| -> Vec<String> {
        let profiles = person["profiles"].as_array().expect("profiles").iter();
        let ids = profiles.filter_map(|profile| profile["platform_user_id"].as_str());
        ids.filter(|id| !id.starts_with('e')).map(|id| id[..1].to_owned()).collect()
    };
    let listed: Vec<_> =
        people["users"].as_array().expect("people").iter().map(|person| names(person).concat()).collect();
    assert!(["abc", "d", "f"].iter().all(|person| listed.contains(&(*person).into())), "{listed:?}");
    let merged = people["users"].as_array().expect("people").iter().find(|person| names(person).len() == 3);
    let merged = merged.expect("one of three")["id"].as_str().expect("an id").to_owned();
    let shown = operator.get(&format!("/api/v1/admin/users/{merged}")).await.ok();
    assert_eq!(shown["merged"].as_array().map(Vec::len), Some(2), "{shown}");
    let taken = host.get("/api/v1/conversations?state=taken").await.ok();
    assert_eq!(taken["conversations"][0]["external_id"], "with_d", "{taken}");
    let paused = operator.get("/api/v1/admin/queue/paused").await.ok();
    assert!(paused.to_string().contains("cyd is at it"), "{paused}");
    let audit = operator.get("/api/v1/admin/audit?action=users.merge").await.ok();
    assert_eq!(audit.to_string().matches("\"done\"").count(), 2, "{audit}");

    let first = shown["merged"][0]["id"].as_str().expect("an id");
    let split = operator.post(&format!("/api/v1/admin/users/{first}/split"), &json!({})).await.ok();
    assert_eq!((names(&split["users"][0]).concat(), &split["profiles"]), ("a".to_owned(), &json!(1)));
    assert_eq!(names(&operator.get(&format!("/api/v1/admin/users/{merged}")).await.ok()).concat(), "bc");

    // A session of two that had ended, and whose rows could not go.
    let gone = async || {
        let people = operator.get("/api/v1/admin/users").await.ok().to_string();
        let paused = operator.get("/api/v1/admin/queue/paused").await.ok().to_string();
        (!people.contains("e000000000000001") && !paused.contains("of one that ended")).then_some(())
    };
    until_async("what had ended goes at last", PATIENCE, gone).await;
}
