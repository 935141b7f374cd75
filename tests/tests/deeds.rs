//! The record of operators' deeds: one row for each, also for what was refused, and true also when the host is killed in the middle.

use arcuate_tests::host::Host;
use arcuate_tests::wait::{PATIENCE, until_async};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// Jobs wait for an agent that is switched off.
const WAITING: &str = "[plugins.assistant]\nenabled = false\n";
const STRANGER: &str = "01a1fe12-f718-72ac-b4e1-af03b3e000f6";

async fn deeds(host: &Host) -> Vec<Value> {
    let page = host.operator().get("/api/v1/admin/audit").await.ok();
    page["deeds"].as_array().expect("a list of deeds").clone()
}

fn store(host: &Host) -> Connection {
    let store = Connection::open(host.store()).expect("the store opens");
    store.busy_timeout(PATIENCE).expect("a time-out");
    store
}

/// So many waiting jobs, each in a lane of its own.
fn queue(host: &Host, jobs: i64) {
    let sql = format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {jobs})
         insert into queue (id, kind, instance, lane, state, runnable, max_attempts, next_at, payload, created_at)
         select randomblob(16), 'agent_turn', 'assistant', 'lane' || i, 'pending', 1, 1, 1, '{{}}', i from n;
         insert into queue_counts (instance, state, count) values ('assistant', 'pending', {jobs})"
    );
    store(host).execute_batch(&sql).expect("jobs");
}

fn arcuate(host: &Host, arguments: &[&str]) -> Command {
    let mut command = Command::new(host.setup().program());
    command.current_dir(host.folder()).args(arguments).stdin(Stdio::null());
    command
}

/// What a command that went well says in JSON.
fn done(host: &Host, arguments: &[&str]) -> Value {
    let output = arcuate(host, &[arguments, &["--json"]].concat()).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_deed_is_recorded_whatever_it_was() {
    let host = Host::start("").await;
    let operator = host.operator();
    let of = |what: &str| format!("{what}/{STRANGER}");
    let deeds_refused = [
        ("conversations.takeover", of("conversations") + "/takeover", json!({})),
        ("conversations.release", of("conversations") + "/release", json!({})),
        ("send", "send".into(), json!({ "conversation_id": STRANGER, "content": "Hello" })),
        ("queue.pause", "queue/pause".into(), json!({ "plugin": "nobody" })),
        ("queue.resume", "queue/resume".into(), json!({ "plugin": "nobody" })),
        ("queue.retry", "queue/retry".into(), json!({ "ids": [STRANGER] })),
        ("turns.cancel", of("queue") + "/cancel", json!({})),
        ("users.merge", of("users") + "/merge", json!({ "into": "01a1fe12-f718-72ac-b4e1-af03b3e000f7" })),
        ("users.split", "users/nobody/split".into(), json!({})),
        ("users.forget", of("users") + "/forget", json!({})),
        ("plugins.restart", "plugins/nobody/restart".into(), json!({})),
        ("plugins.enable", "plugins/nobody/enable".into(), json!({})),
        ("rooms.rotate_key", "rooms/rotate-key".into(), json!({ "name": "cellar" })),
    ];
    let count = deeds_refused.len();
    for (action, path, body) in deeds_refused {
        let answer = operator.post(&format!("/api/v1/admin/{path}"), &body).await.is(404);
        let newest = &deeds(&host).await[0];
        assert_eq!((&newest["action"], &newest["outcome"]), (&json!(action), &json!("refused")), "{newest}");
        assert_eq!((&newest["actor"], &newest["origin"]), (&json!("operator"), &json!("127.0.0.1")), "{newest}");
        assert_eq!(newest["detail"], json!({ "error": answer["error"] }));
    }
    operator.get(&format!("/api/v1/admin/{}/export", of("users"))).await.is(404);
    operator.ask(Method::DELETE, "/api/v1/admin/tokens/nobody").await.is(404);
    let all = deeds(&host).await;
    let newest: Vec<_> = all.iter().take(2).map(|deed| [&deed["action"], &deed["subject"]]).collect();
    assert_eq!(newest, [[&json!("tokens.revoke"), &json!("nobody")], [&json!("users.export"), &json!(STRANGER)]]);
    assert_eq!(all.len(), count + 2, "one row each");
    operator.post("/api/v1/admin/queue/flush", &json!({})).await.is(400);
    assert_eq!(deeds(&host).await.len(), all.len(), "what cannot be understood is no deed");
}

#[tokio::test(flavor = "multi_thread")]
async fn record_that_cannot_be_written_changes_no_refusal_and_lets_no_deed_pass() {
    let host = Host::start("").await;
    let full = "create trigger full before insert on audit begin select raise(abort, 'no room in the record'); end";
    store(&host).execute_batch(full).expect("a trigger");
    let (operator, pause) = (host.operator(), "/api/v1/admin/queue/pause");
    operator.post(pause, &json!({ "plugin": "nobody" })).await.refused(404, "no plugin instance has the name nobody");
    let log = host.log();
    assert!(log.contains("missing in the record of deeds") && log.contains("queue.pause"), "{log}");
    let status = operator.post(pause, &json!({ "plugin": "assistant" })).await.status;
    assert!(status >= 500, "{status}");
    assert_eq!(
        operator.get("/api/v1/admin/queue/paused").await.ok(),
        json!({ "paused": [] }),
        "not without its record"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deed_in_portions_is_one_row_with_the_whole_count() {
    let mut host = Host::start(WAITING).await;
    host.terminate().await;
    queue(&host, 2600);
    assert_eq!(done(&host, &["queue", "flush", "--plugin", "assistant"]), json!({ "affected": 2600 }));
    host.start_again().await;
    assert_eq!(done(&host, &["queue", "retry", "--state", "flushed"]), json!({ "affected": 2600 }));
    // Somebody who asks in portions of their own, and stops.
    let two = json!({ "state": "pending", "limit": 2 });
    let delete = async |body: Value| host.operator().post("/api/v1/admin/queue/delete", &body).await.ok();
    let first = delete(two.clone()).await;
    delete(json!({ "state": "pending", "limit": 3, "cursor": first["cursor"] })).await;
    delete(two).await;
    let cursor = json!({ "state": "pending", "cursor": "x&limit=1" });
    host.operator().post("/api/v1/admin/queue/delete", &cursor).await.refused(400, "cursor must be one that");

    let shown: Vec<_> = deeds(&host)
        .await
        .iter()
        .map(|deed| {
            let detail = &deed["detail"];
            (deed["action"].clone(), deed["origin"].clone(), detail["affected"].clone(), detail["unfinished"].clone())
        })
        .collect();
    let row = |action: &str, origin: &str, affected: i64, unfinished: Value| {
        (json!(action), json!(origin), json!(affected), unfinished)
    };
    assert_eq!(
        shown,
        [
            row("queue.delete", "127.0.0.1", 2, json!(true)),
            row("queue.delete", "127.0.0.1", 5, json!(true)),
            row("queue.retry", "127.0.0.1", 2600, Value::Null),
            row("queue.flush", "command line", 2600, Value::Null),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deed_that_a_kill_cuts_says_how_far_it_came() {
    let mut host = Host::start(WAITING).await;
    host.terminate().await;
    queue(&host, 20_000);
    host.start_again().await;
    let flush = arcuate(&host, &["queue", "flush", "--all", "--yes"]).stderr(Stdio::null()).spawn();
    let mut flush = flush.expect("the program runs");
    let looker = store(&host);
    let begun = async || looker.query_row("select 1 from audit where action = 'queue.flush'", [], |_| Ok(())).ok();
    until_async("the deed has begun", PATIENCE, begun).await;
    host.kill_9();
    assert!(!flush.wait().expect("its end can be waited for").success(), "its host is gone");
    let number = |sql: &str| looker.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    let (flushed, told) = (
        number("select count(*) from queue where state = 'flushed'"),
        number("select detail ->> 'affected' from audit where action = 'queue.flush'"),
    );
    assert!(flushed == told && flushed > 0, "{flushed} were flushed, {told} are told");
    assert_eq!(number("select count(*) from audit where detail ->> 'unfinished' = 1"), i64::from(flushed < 20_000));
}
