//! What ends with rooms and people, and what must not be stopped by them: sessions of two, a room that fails, pauses, minutes that are
//! counted, and deeds whose client has gone.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Client;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until, until_async};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::process::Command;

const API: &str = "/api/v1/?action=";
const KEYS: &str = "[bridge]\napi_key = \"poller\"\nadmin_key = \"operator\"\n";
const INBOX: &str = "[[routes]]\nfrom = \"bridge\"\nto = \"inbox\"\n";
const ADA: &str = "a00000000000000a";
const BOB: &str = "b00000000000000b";

/// A widget says who its visitor is.
async fn write(host: &Host, session: &str, uid: &str) {
    let body = json!({ "session_id": session, "message": format!("hello from {uid}"), "uid": uid });
    host.post(&format!("{API}inbox"), &body).await.data();
}

async fn clear(host: &Host) -> Value {
    let client = host.client().with_token("operator");
    client.post(&format!("{API}clear_data"), &json!({ "confirm": true })).await.data()
}

async fn person(operator: &Client, uid: &str) -> String {
    let listed = operator.get("/api/v1/admin/users?limit=1000").await.ok();
    let mut people = listed["users"].as_array().expect("people").iter();
    let found = people.find(|person| person["profiles"].to_string().contains(uid)).expect("the person");
    found["id"].as_str().expect("an id").to_owned()
}

fn store(host: &Host) -> Connection {
    let store = Connection::open(host.store()).expect("the store opens");
    store.busy_timeout(PATIENCE).expect("a time-out");
    store
}

fn number(host: &Host, sql: &str) -> i64 {
    store(host).query_row(sql, [], |row| row.get(0)).expect("a number")
}

async fn until_none(host: &Host, what: &str, rows: &str) {
    let sql = format!("select count(*) from {rows}");
    until(what, || (number(host, &sql) == 0).then_some(())).await;
}

/// What a poll says: how many there are, and the paging.
async fn poll(host: &Host, rest: &str) -> (usize, Value, Value) {
    let data = host.client().with_token("poller").get(&format!("{API}inbox{rest}")).await.data();
    let paging = &data["pagination"];
    (data["messages"].as_array().expect("messages").len(), paging["total"].clone(), paging["has_more"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn session_of_two_visitors_ends_whole_and_stops_neither_other_rooms_nor_the_inbox() {
    let host = Host::start(&format!("{KEYS}{INBOX}")).await;
    for (session, uid) in [("shared", ADA), ("shared", BOB), ("shared", ADA), ("other", ADA)] {
        write(&host, session, uid).await;
    }
    assert_eq!(clear(&host).await["cleared_messages"], 4);
    until_none(&host, "the rooms are gone with all their rows", "rooms where type = 'deleted'").await;
    assert_eq!(number(&host, "select count(*) from platform_profiles"), 0, "nobody is left over");
    assert_eq!(number(&host, "select count(*) from users"), 0);
    assert_eq!(poll(&host, "").await, (0, json!(0), json!(false)));
    write(&host, "new", BOB).await;
    assert_eq!(poll(&host, "&ack=manual").await, (1, json!(1), json!(false)));

    // The same people again, now one: what they wrote under both names goes with them.
    for (session, uid) in [("again", ADA), ("again", BOB), ("alone", BOB)] {
        write(&host, session, uid).await;
    }
    let operator = host.operator();
    let (ada, bob) = (person(&operator, ADA).await, person(&operator, BOB).await);
    operator.post(&format!("/api/v1/admin/users/{ada}/merge"), &json!({ "into": bob })).await.ok();
    let gone = operator.post(&format!("/api/v1/admin/users/{bob}/forget"), &json!({})).await.ok();
    assert_eq!((&gone["done"], &gone["removed"]["profiles"]), (&json!(true), &json!(2)), "{gone}");
    assert_eq!(number(&host, "select (select count(*) from users) + (select count(*) from conversation_people)"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn room_whose_rows_cannot_go_stands_in_no_way_and_goes_once_it_can() {
    let host = Host::start(&format!("{KEYS}{INBOX}")).await;
    write(&host, "first", ADA).await;
    let first = number(&host, "select max(key) from rooms");
    let trigger = format!(
        "create trigger stays before delete on events when old.room = {first} begin select raise(abort, 'a fault'); end"
    );
    store(&host).execute_batch(&trigger).expect("a fault in the store");
    write(&host, "second", BOB).await;
    clear(&host).await;
    until_none(&host, "the second room is gone", &format!("rooms where type = 'deleted' and key <> {first}")).await;
    assert_eq!(number(&host, "select count(*) from rooms where type = 'deleted'"), 1);
    until("the log says why the first stays", || host.log().contains("a fault").then_some(())).await;
    write(&host, "third", BOB).await;
    let taken = async || Some(poll(&host, "").await).filter(|(count, ..)| *count == 1);
    let (_, _, more) = until_async("what comes later is given", PATIENCE, taken).await;
    assert_eq!((more, poll(&host, "").await), (json!(false), (0, json!(0), json!(false))));
    store(&host).execute_batch("drop trigger stays").expect("the fault is gone");
    until_none(&host, "the first goes too", "rooms where type = 'deleted'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_whose_lease_has_ended_is_counted_as_waiting() {
    let keys = KEYS.replace("[bridge]", "[bridge]\nack_seconds = 0.2");
    let host = Host::start(&format!("{keys}{INBOX}")).await;
    write(&host, "session", ADA).await;
    assert_eq!(poll(&host, "&ack=manual").await, (1, json!(1), json!(false)));
    let counted = async || Some(poll(&host, "&limit=0").await).filter(|(_, total, _)| *total == 1);
    assert_eq!(until_async("its lease ends", PATIENCE, counted).await, (0, json!(1), json!(true)));
    assert_eq!(poll(&host, "").await, (1, json!(1), json!(false)));
    assert_eq!(poll(&host, "&limit=0").await, (0, json!(0), json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_of_a_conversation_ends_with_it() {
    let host = Host::start(KEYS).await;
    for session in ["one", "two"] {
        write(&host, session, ADA).await;
    }
    let listed = host.get("/api/v1/conversations").await.ok();
    for conversation in listed["conversations"].as_array().expect("conversations") {
        let pause = json!({ "plugin": "assistant", "lane": conversation["id"] });
        host.operator().post("/api/v1/admin/queue/pause", &pause).await.ok();
    }
    host.operator().post("/api/v1/admin/queue/pause", &json!({ "plugin": "webhook" })).await.ok();
    clear(&host).await;
    until_none(&host, "only the plugin's pause is left", "queue_pauses where lane <> ''").await;
    assert_eq!(number(&host, "select count(*) from queue_pauses"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_person_leaves_no_id_where_refusals_are_counted_and_old_counts_go_by_themselves() {
    let refusing = "[[routes]]\nfrom = \"bridge\"\nto = \"assistant\"\ndeny = [\"a*\"]\nrefusal = \"Not for you.\"\n";
    let mut host = Host::start(&format!("{KEYS}{refusing}")).await;
    for (session, uid) in [("shared", BOB), ("shared", ADA), ("alone", ADA)] {
        write(&host, session, uid).await;
    }
    let named = format!("select count(*) from turn_windows where lane like '%{ADA}%'");
    assert_eq!(number(&host, &named), 2);
    let ada = person(&host.operator(), ADA).await;
    host.operator().post(&format!("/api/v1/admin/users/{ada}/forget"), &json!({})).await.ok();
    assert_eq!(number(&host, &named), 0, "not even where somebody else goes on");

    write(&host, "shared", ADA).await;
    assert_eq!(number(&host, &named), 1);
    host.kill_9();
    store(&host).execute("update turn_windows set began = 0", []).expect("a minute ago");
    host.start_again().await;
    until_none(&host, "what was counted is gone with its minute", "turn_windows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_goes_on_and_is_recorded_when_the_one_who_asked_has_gone() {
    let host = Host::start(&format!("{KEYS}{INBOX}")).await;
    for session in 0..60 {
        write(&host, &format!("session_{session}"), ADA).await;
    }
    let operator = host.operator();
    let ada = person(&operator, ADA).await;
    let asked = operator.post(&format!("/api/v1/admin/users/{ada}/forget"), &json!({}));
    let begun = || (number(&host, "select count(*) from audit where action = 'users.forget'") == 1).then_some(());
    tokio::select! {
        answer = asked.attempt() => panic!("it was answered before it was recorded: {answer:?}"),
        () = until("it is recorded as it begins", begun) => {}
    }
    let removed = "select max(detail ->> '$.removed.conversations') from audit where action = 'users.forget'";
    let seen = number(&host, removed);
    until("it goes on all the same", || (number(&host, removed) >= (seen + 3).min(60)).then_some(())).await;

    // One request works for two seconds; whoever wants it done asks again.
    let asks = async || {
        let answer = operator.post(&format!("/api/v1/admin/users/{ada}/forget"), &json!({})).await;
        (answer.status == 404 || answer.ok()["done"] == true).then_some(())
    };
    until_async("all of it is gone", PATIENCE, asks).await;
    operator.get(&format!("/api/v1/admin/users/{ada}")).await.refused(404, "nobody has the id");
    let ended = "select count(*) from audit where action = 'users.forget' and outcome = 'done' and detail not like '%unfinished%'";
    assert!(number(&host, ended) >= 1, "and the record says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_that_is_cut_off_says_how_far_it_came_and_the_next_one_ends_it() {
    let host = Host::start(&format!("{KEYS}{INBOX}")).await;
    for session in 0..120 {
        write(&host, &format!("session_{session:03}"), ADA).await;
    }
    let last = number(&host, "select key from rooms order by key limit 1 offset 60");
    let trigger = format!(
        "create trigger stays before update of type on rooms when old.key > {last} begin select raise(abort, 'a fault'); end"
    );
    store(&host).execute_batch(&trigger).expect("a fault in the store");
    let operator = host.client().with_token("operator");
    operator.post(&format!("{API}clear_data"), &json!({ "confirm": true })).await.failed(500, "");
    let left = number(&host, "select count(*) from conversations where instance = 'bridge'");
    let told = "select count(*) from audit where action = 'bridge.clear_data' and detail ->> '$.unfinished' = 1";
    let cleared = "select sum(detail ->> '$.cleared_sessions') from audit where outcome = 'done'";
    assert_eq!((left, number(&host, told), number(&host, cleared)), (70, 1, 50), "what is recorded is true");

    store(&host).execute_batch("drop trigger stays").expect("the fault is gone");
    assert_eq!(clear(&host).await["cleared_sessions"], 70, "the rest");
    assert_eq!(number(&host, cleared), 120);
    until_none(&host, "all rows go", "rooms where type in ('deleted', 'bridge')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_words_are_in_no_backup_from_then_on() {
    const WORDS: &str = "the key lies under the third stone";
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let visitor = Visitor::new(host.client(), "session_1");
    for _ in 0..40 {
        visitor.say(WORDS).await;
    }
    visitor.hears(40).await;
    let message = host.say(&room, WORDS).await;
    host.say(&room, "something else").await;
    let operator = host.operator();
    let listed = operator.get("/api/v1/admin/users").await.ok();
    let id = listed["users"][0]["id"].as_str().expect("a person");
    let forget = || async {
        let told = operator.post(&format!("/api/v1/admin/users/{id}/forget"), &json!({})).await.ok();
        (told["done"] == true).then_some(())
    };
    until_async("the person is forgotten", PATIENCE, forget).await;
    let path = format!("/api/v1/rooms/{room}/messages/{}?sender=ada", message["id"].as_str().expect("an id"));
    host.client().ask(reqwest::Method::DELETE, &path).await.ok();
    let backup = host.folder().join("monday.db");
    let setup = host.setup();
    let told = Command::new(setup.program()).current_dir(setup.folder()).args(["backup", "monday.db"]).output();
    assert!(told.expect("the program runs").status.success());
    let bytes = std::fs::read(backup).expect("the backup");
    let found = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    assert!(found("something else") && !found(WORDS), "what was deleted goes into no backup");
}

#[tokio::test(flavor = "multi_thread")]
async fn turn_that_runs_ends_with_its_room() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&(KEYS.to_owned() + &agent.plugin(""))).await;
    agent.hold();
    Visitor::new(host.client(), "session_1").say("Hello?").await;
    until_async("the agent is asked", PATIENCE, || async { (agent.calls().len() == 1).then_some(()) }).await;
    clear(&host).await;
    until_async("the agent's caller hung up", PATIENCE, || async { (agent.running() == 0).then_some(()) }).await;
    let failed = host.operator().get("/api/v1/admin/queue?state=failed").await.ok();
    assert_eq!(failed["jobs"], json!([]), "nobody has to look into it");
}
