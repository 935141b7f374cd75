//! One person on several platforms, and all that is known of them: merged, split, exported, forgotten.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::client::Client;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use serde_json::{Value, json};

const STRANGER: &str = "01a1fe12-f718-72ac-b4e1-af03b3e000f6";

/// Visitors who were answered, and the ids of the people they are.
async fn visited<const N: usize>(host: &Host) -> ([Visitor; N], [String; N]) {
    let visitors = std::array::from_fn(|number| Visitor::new(host.client(), &format!("session_{number}")));
    let mut uids = Vec::new();
    for visitor in &visitors {
        uids.push(visitor.say(&format!("Hello from {}", visitor.session)).await.uid);
        visitor.hears(1).await;
    }
    let listed = host.operator().get("/api/v1/admin/users").await.ok();
    let users = listed["users"].as_array().expect("people");
    let id = |uid: &String| {
        let user = users.iter().find(|user| user["profiles"][0]["platform_user_id"] == **uid).expect("a person");
        user["id"].as_str().expect("an id").to_owned()
    };
    let ids: Vec<_> = uids.iter().map(id).collect();
    (visitors, ids.try_into().expect("as many people as visitors"))
}

fn path(id: &str, deed: &str) -> String {
    format!("/api/v1/admin/users/{id}{deed}")
}

async fn lines(client: &Client, id: &str) -> Vec<Value> {
    let answer = client.get(&path(id, "/export")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{answer}");
    answer.text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn of<'v>(lines: &'v [Value], kind: &str) -> Vec<&'v Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_person_has_it_all_and_a_split_gives_it_back() {
    let host = Host::start("").await;
    let (_, [ada, bob]) = visited::<2>(&host).await;
    let operator = host.operator();
    let merged = operator.post(&path(&ada, "/merge"), &json!({ "into": bob })).await.ok();
    assert_eq!((&merged["merged"], &merged["profiles"], &merged["user"]["id"]), (&json!(ada), &json!(1), &json!(bob)));
    assert_eq!(merged["user"]["profiles"].as_array().map(Vec::len), Some(2));
    let shown = operator.get(&path(&ada, "")).await.ok();
    assert_eq!((&shown["id"], &shown["merged"][0]["id"]), (&json!(bob), &json!(ada)), "the old id leads there");
    for id in [&ada, &bob] {
        let theirs = host.get(&format!("/api/v1/conversations?user={id}")).await.ok();
        assert_eq!(theirs["conversations"].as_array().map(Vec::len), Some(2), "{theirs}");
        assert_eq!(theirs["conversations"][0]["user"]["id"], json!(bob));
    }
    operator
        .post(&path(&ada, "/merge"), &json!({ "into": bob }))
        .await
        .refused(409, &format!("was merged into {bob} already"));

    let split = operator.post(&path(&ada, "/split"), &json!({})).await.ok();
    assert_eq!((&split["users"][0]["id"], &split["profiles"]), (&json!(ada), &json!(1)));
    assert_eq!(operator.get(&path(&ada, "")).await.ok()["profiles"].as_array().map(Vec::len), Some(1));
    operator.post(&path(&bob, "/split"), &json!({})).await.refused(409, "nobody was merged into");

    operator.post(&path(&bob, "/merge"), &json!({ "into": bob })).await.refused(400, "name two");
    operator.post(&path(STRANGER, "/merge"), &json!({ "into": bob })).await.refused(404, "nobody has the id");
    operator.post(&path(&ada, "/merge"), &json!({})).await.refused(422, "into");
    operator
        .post(&path(&ada, "/split"), &json!({ "platform": "bridge" }))
        .await
        .refused(400, "platform_user_id together");
    operator.get(&path("nobody", "")).await.refused(404, "nobody has the id nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_knows_a_merged_person_from_their_other_conversation() {
    let agent = Agent::start(Manner::default()).await;
    let host = Host::start(&agent.plugin("")).await;
    let ([first, _], [ada, bob]) = visited::<2>(&host).await;
    host.operator().post(&path(&ada, "/merge"), &json!({ "into": bob })).await.ok();
    first.say("Do you know me?").await;
    first.hears(2).await;
    let calls = agent.calls();
    let history = calls.last().expect("a call").history.to_string();
    assert!(history.contains("Hello from session_0") && history.contains("Hello from session_1"), "{history}");
    assert_eq!(calls.last().expect("a call").user["id"], json!(bob), "the person who stays");
    assert_eq!(calls[1].history, json!([]), "before that each conversation stood by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn export_has_everything_of_one_person_and_nothing_of_another() {
    let host = Host::start("").await;
    let ([visitor, _], [ada, bob]) = visited::<2>(&host).await;
    for number in 0..30 {
        visitor.say(&format!("word {number}")).await;
    }
    visitor.hears(31).await;
    let lines = lines(&host.operator(), &ada).await;
    assert_eq!((&lines[0]["kind"], &lines[0]["id"]), (&json!("person"), &json!(ada)));
    let messages = of(&lines, "message");
    let own = messages.iter().filter(|line| line["own"] == true).count();
    assert_eq!((messages.len(), own, of(&lines, "conversation").len(), of(&lines, "profile").len()), (62, 31, 1, 1));
    assert!(messages[0]["message"]["created_at"].is_string() && of(&lines, "conversation")[0]["theirs_alone"] == true);
    assert_eq!(of(&lines, "job").len(), 31, "the agent's turns");
    let end = lines.last().expect("a last line");
    assert_eq!(*end, json!({ "kind": "end", "conversations": 1, "messages": 62, "files": 0, "jobs": 31 }));
    assert!(!lines.iter().any(|line| line.to_string().contains("session_1")), "nothing of the other one");
    host.operator().get(&path(STRANGER, "/export")).await.refused(404, "nobody has the id");
    host.get(&path(&bob, "/export")).await.refused(401, "operator's token");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_person_is_gone_and_who_writes_again_is_new() {
    let host = Host::start("").await;
    let ([visitor, other], [ada, _]) = visited::<2>(&host).await;
    let mine = host.get(&format!("/api/v1/conversations?user={ada}")).await.ok();
    let room = mine["conversations"][0]["room_id"].as_str().expect("a room").to_owned();
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let done = host.operator().post(&path(&ada, "/forget"), &json!({})).await.ok();
    assert_eq!(done["removed"], json!({ "conversations": 1, "messages": 2, "files": 0, "profiles": 1 }));
    assert!(
        done["done"] == true && done["not_covered"][0].as_str().is_some_and(|text| text.contains("Letta")),
        "{done}"
    );

    let ended = stream.until(|event| event.name == "room_deleted").await.pop().expect("an event");
    assert_eq!(ended.data["name"], json!(null), "it does not say whose it was");
    host.get(&format!("/api/v1/rooms/{room}")).await.refused(404, "Room not found");
    host.operator().get(&path(&ada, "")).await.refused(404, "nobody has the id");
    host.operator().post(&path(&ada, "/forget"), &json!({})).await.refused(404, "nobody has the id");
    assert_eq!(host.get("/api/v1/search?q=session_0").await.ok()["count"], 0);
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    let left = "select (select count(*) from events where data like '%session_0%')
                     + (select count(*) from messages where json like '%session_0%')
                     + (select count(*) from rooms where name like '%session_0%')";
    assert_eq!(store.query_row(left, [], |row| row.get::<_, i64>(0)).expect("a number"), 0);

    assert!(visitor.say("I am back").await.is_new_user);
    assert_eq!(other.answers().await.len(), 1, "the other one keeps their answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn deeds_about_people_are_recorded_with_who_did_them() {
    let host = Host::start("").await;
    let (_, [ada, bob]) = visited::<2>(&host).await;
    let operator = host.operator();
    operator.post(&path(&ada, "/merge"), &json!({ "into": bob })).await.ok();
    operator.post(&path(&ada, "/forget"), &json!({})).await.refused(409, "forget that one, or split it first");
    operator.post(&path(&ada, "/split"), &json!({})).await.ok();
    lines(&operator, &ada).await;
    operator.post(&path(&ada, "/forget"), &json!({})).await.ok();
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    let mut statement = store.prepare("select action, outcome, actor, origin from audit order by key").expect("SQL");
    let rows = statement.query_map([], |row| {
        let texts: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        Ok(texts.join(" "))
    });
    let rows: Vec<_> = rows.expect("rows").map(|row| row.expect("a row")).collect();
    let expected =
        ["users.merge done", "users.forget refused", "users.split done", "users.export done", "users.forget done"];
    assert_eq!(rows, expected.map(|deed| format!("{deed} operator 127.0.0.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_that_was_cut_off_goes_on_in_its_row_of_the_record() {
    let host = Host::start("").await;
    let (_, [ada]) = visited::<1>(&host).await;
    // As a host that was killed in the middle leaves it.
    let begun =
        json!({ "removed": { "conversations": 2, "messages": 5, "files": 0, "profiles": 0 }, "unfinished": true });
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    let sql = "insert into audit (at, actor, origin, action, subject, outcome, detail)
               values (1, 'operator', '127.0.0.1', 'users.forget', ?1, 'done', ?2)";
    store.execute(sql, [&ada, &begun.to_string()]).expect("a deed");
    let done = host.operator().post(&path(&ada, "/forget"), &json!({})).await.ok();
    assert_eq!(
        done["removed"],
        json!({ "conversations": 1, "messages": 2, "files": 0, "profiles": 1 }),
        "of this request"
    );
    let page = host.operator().get("/api/v1/admin/audit?action=users.forget").await.ok();
    assert_eq!(page["deeds"].as_array().map(Vec::len), Some(1), "{page}");
    let all = json!({ "removed": { "conversations": 3, "messages": 7, "files": 0, "profiles": 1 } });
    assert_eq!(page["deeds"][0]["detail"], all);
}
