//! The queue for operators, over the admin API of hosts that run: find, run again, hold back, put first, and what goes after its days.

use arcuate_tests::client::Client;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

/// Nobody listens there, so that each turn has failed after its one attempt.
const FAILING: &str = "[queue]\nmax_attempts = 1\n[plugins.assistant.settings]\nbackend = \"http\"\n\
                       url = \"http://127.0.0.1:1/\"\n";
/// Turns wait for an agent that is switched off.
const WAITING: &str = "[plugins.assistant]\nenabled = false\n";
const QUEUE: &str = "/api/v1/admin/queue";

async fn jobs(operator: &Client, filters: &str) -> Vec<Value> {
    let page = operator.get(&format!("{QUEUE}?{filters}")).await.ok();
    page["jobs"].as_array().expect("a list of jobs").clone()
}

async fn until_jobs(host: &Host, filters: &str, count: usize) -> Vec<Value> {
    let operator = host.operator();
    let look = async || Some(jobs(&operator, filters).await).filter(|jobs| jobs.len() == count);
    until_async("the jobs are in their state", PATIENCE, look).await
}

async fn deed(operator: &Client, deed: &str, body: Value) -> Value {
    operator.post(&format!("{QUEUE}/{deed}"), &body).await.ok()
}

/// With one job per session.
async fn host_with(config: &str, sessions: &[&str]) -> Host {
    let host = Host::start(config).await;
    for session in sessions {
        Visitor::new(host.client(), session).say("Hello").await;
    }
    host
}

/// What the store's file says, as somebody with SQL sees it.
fn number(host: &Host, sql: &str) -> i64 {
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    store.query_row(sql, [], |row| row.get(0)).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_plugin_waits_over_a_restart_and_then_answers() {
    let mut host = Host::start("").await;
    let held = json!({ "plugin": "assistant", "reason": "the model moves" });
    let operator = host.operator();
    assert_eq!(deed(&operator, "pause", held.clone()).await, json!({ "affected": 1 }));
    assert_eq!(deed(&operator, "pause", held).await, json!({ "affected": 0 }), "it was paused already");
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello").await;
    host.kill_9();
    host.start_again().await;

    let operator = host.operator();
    let waiting = jobs(&operator, "state=pending").await;
    assert_eq!((waiting.len(), &waiting[0]["paused"], &waiting[0]["attempts"]), (1, &json!(true), &json!(0)));
    let paused = operator.get(&format!("{QUEUE}/paused")).await.ok();
    let pause = &paused["paused"][0];
    assert_eq!(
        (&pause["plugin"], &pause["lane"], &pause["reason"]),
        (&json!("assistant"), &Value::Null, &json!("the model moves"))
    );
    assert!(pause["paused_at"].is_string() && pause["paused_by"] == "operator", "{pause}");
    assert_eq!(host.get("/ready").await.ok()["queue"]["paused"][0]["plugin"], "assistant");
    let shown = operator.get("/api/v1/admin/plugins/assistant").await.ok();
    assert_eq!(shown["paused"][0]["reason"], "the model moves");

    let visitor = Visitor::new(host.client(), "session_1");
    assert_eq!(deed(&operator, "resume", json!({ "plugin": "assistant" })).await, json!({ "affected": 1 }));
    assert_eq!(visitor.hears(1).await.len(), 1);
    assert_eq!(deed(&operator, "resume", json!({ "plugin": "assistant" })).await, json!({ "affected": 0 }));
    let job = until_jobs(&host, "state=completed", 1).await.remove(0);
    assert_eq!((&job["attempts"], &job["paused"]), (&json!(1), &Value::Null), "waiting counted no attempt");
    let deeds = "select count(*) from audit where action in ('queue.pause', 'queue.resume') and actor = 'operator'";
    assert_eq!(number(&host, deeds), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_lane_holds_one_conversation_alone() {
    let host = Host::start("").await;
    let (held, free) = (Visitor::new(host.client(), "held"), Visitor::new(host.client(), "free"));
    held.say("one").await;
    held.hears(1).await;
    let lane = until_jobs(&host, "state=completed", 1).await[0]["lane"].clone();
    let operator = host.operator();
    deed(&operator, "pause", json!({ "plugin": "assistant", "lane": lane })).await;
    held.say("two").await;
    free.say("me too").await;
    free.hears(1).await;
    let lane_name = lane.as_str().expect("a lane");
    let waiting = jobs(&operator, &format!("state=pending&lane={lane_name}")).await;
    assert_eq!((waiting.len(), &waiting[0]["paused"]), (1, &json!(true)));
    deed(&operator, "resume", json!({ "plugin": "assistant", "lane": lane })).await;
    assert_eq!(held.hears(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_names_what_is_wrong() {
    let host = Host::start("").await;
    let operator = host.operator();
    let pause = |body: Value| operator.post(&format!("{QUEUE}/pause"), &body);
    pause(json!({ "plugin": "assistent" })).await.refused(404, "assistant");
    pause(json!({ "plugin": "assistant", "lane": "" })).await.refused(400, "lane");
    pause(json!({ "plugin": "assistant", "reason": "x".repeat(501) })).await.refused(400, "500");
    pause(json!({ "plugin": "inbox", "lane": "x" })).await.refused(400, "no lanes");
    host.post(&format!("{QUEUE}/pause"), &json!({ "plugin": "assistant" })).await.refused(401, "operator's token");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_jobs_by_error_and_age_and_deeds_take_the_same() {
    let host = host_with(FAILING, &["a", "b", "c"]).await;
    let failed = until_jobs(&host, "state=failed", 3).await;
    let operator = host.operator();
    let error = failed[0]["last_error"].as_str().expect("an error").to_uppercase();
    let part = "REFUSED";
    assert!(error.contains(part), "{error}");
    assert_eq!(jobs(&operator, &format!("error={part}")).await.len(), 3, "capitals do not count");
    assert_eq!(jobs(&operator, "error=never_said").await.len(), 0);
    assert_eq!(jobs(&operator, "newer_than=1h&state=failed").await.len(), 3);
    assert_eq!(jobs(&operator, "older_than=1h").await.len(), 0);
    operator.get(&format!("{QUEUE}?older_than=soon")).await.refused(400, "1h or 7d");

    let none = json!({ "state": "failed", "error": "never_said" });
    assert_eq!(deed(&operator, "retry", none.clone()).await, json!({ "affected": 0 }));
    assert_eq!(deed(&operator, "delete", none).await, json!({ "affected": 0 }));
    let all = json!({ "state": "failed", "plugin": "assistant", "error": part, "newer_than": "1h" });
    assert_eq!(deed(&operator, "retry", all.clone()).await, json!({ "affected": 3 }));
    until_jobs(&host, "state=failed", 3).await;
    let two = json!({ "state": "failed", "limit": 2 });
    let first = deed(&operator, "delete", two).await;
    assert_eq!((&first["affected"], first["cursor"].is_string()), (&json!(2), true), "the oldest two");
    let left = jobs(&operator, "state=failed").await;
    assert_eq!(left[0]["id"], failed[0]["id"], "the newest is left");
    let rest = json!({ "state": "failed", "limit": 2, "cursor": first["cursor"] });
    assert_eq!(deed(&operator, "delete", rest).await, json!({ "affected": 1 }));
    for (name, body) in [
        ("delete", json!({})),
        ("delete", json!({ "state": "processing" })),
        ("retry", json!({ "state": "completed" })),
        ("retry", json!({ "state": "failed", "plugins": "assistant" })),
        ("flush", json!({})),
        ("flush", json!({ "all": true, "state": "failed" })),
        ("prioritize", json!({ "all": true, "priority": "urgent" })),
    ] {
        let status = operator.post(&format!("{QUEUE}/{name}"), &body).await.status;
        assert!([400, 422].contains(&status), "{name} {body}: {status}");
    }
    assert_eq!(number(&host, "select count(*) from queue_attempts"), 0, "attempts go with their jobs");
    assert_eq!(number(&host, "select count(*) from audit where action = 'queue.delete' and outcome = 'done'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_is_shown_where_it_is_not_normal() {
    let host = host_with(WAITING, &["a", "b"]).await;
    let operator = host.operator();
    let ids: Vec<Value> = jobs(&operator, "").await.iter().map(|job| job["id"].clone()).collect();
    let urgent = json!({ "ids": [ids[0]], "priority": "high" });
    assert_eq!(deed(&operator, "prioritize", urgent).await, json!({ "affected": 1 }));
    let listed = jobs(&operator, "").await;
    assert_eq!((&listed[0]["priority"], &listed[1]["priority"]), (&json!("high"), &Value::Null));
    let all = json!({ "plugin": "assistant", "priority": "low" });
    assert_eq!(deed(&operator, "prioritize", all).await, json!({ "affected": 2 }));
    let unknown = json!({ "ids": ["01a1fe12-f718-72ac-b4e1-af03b3e000f6"], "priority": "high" });
    operator.post(&format!("{QUEUE}/prioritize"), &unknown).await.refused(404, "no job has the id");
    assert_eq!(number(&host, "select count(*) from audit where outcome = 'refused'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_jobs_go_after_their_days_at_the_start_and_when_asked() {
    let mut host = host_with("[queue]\nkeep_completed_days = 7\nkeep_dead_days = 0\n", &["a", "b"]).await;
    until_jobs(&host, "state=completed", 2).await;
    host.terminate().await;
    let days_ago = |days: i64, state: &str, count: i64| {
        let store = rusqlite::Connection::open(host.store()).expect("the store opens");
        let sql = "update queue set finished_at = finished_at - ?1 * 86400000000, state = ?2
                   where key in (select key from queue where state = 'completed' order by key limit ?3)";
        store.execute(sql, rusqlite::params![days, state, count]).expect("jobs change");
        let counts =
            "update queue_counts set count = (select count(*) from queue q where q.instance = queue_counts.instance
                                                       and q.state = queue_counts.state);
                      insert or ignore into queue_counts select instance, state, count(*) from queue group by 1, 2";
        store.execute_batch(counts).expect("counts change");
    };
    days_ago(8, "completed", 1);
    host.start_again().await;
    until_jobs(&host, "", 1).await;
    host.terminate().await;
    let days_ago_of = |days: i64| {
        let store = rusqlite::Connection::open(host.store()).expect("the store opens");
        let sql = "update queue set finished_at = finished_at - ?1 * 86400000000, state = 'failed'";
        store.execute(sql, [days]).expect("jobs change");
    };
    days_ago_of(1000);
    host.start_again().await;
    host.post("/api/v1/admin/retention/run", &json!({})).await.ok();
    assert_eq!(jobs(&host.operator(), "").await.len(), 1, "0 days: for ever");
    assert!(host.log().contains("jobs that ended long ago were removed"), "it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_the_host_refused_is_taken_by_the_host_when_retried() {
    let mut host = Host::start("").await;
    host.terminate().await;
    // As an earlier host with narrower bounds would have left it; no plugin could read this.
    let kept = json!({ "platform": "web_chat", "message": { "external_id": "s/1/", "conversation": "s", "platform_user_id": "7",
                       "content": "refused once" } });
    let store = rusqlite::Connection::open(host.store()).expect("the store opens");
    let sql = "insert into queue (id, kind, instance, lane, state, runnable, attempts, max_attempts, next_at, payload, created_at, finished_at)
               values (x'01a1ff6cffdf75d193c17a65961736c5', 'ingest', 'assistant', 'message:1', 'failed', 0, 1, 1, 1, ?1, 1, 9000000000000000)";
    store.execute(sql, [kept.to_string()]).expect("a dead letter");
    let rest = "insert into ingested (instance, external_id) values ('assistant', 's/1/');
                insert into queue_counts (instance, state, count) values ('assistant', 'failed', 1)";
    store.execute_batch(rest).expect("its traces");
    drop(store);
    host.start_again().await;
    let operator = host.operator();
    assert_eq!(deed(&operator, "retry", json!({ "state": "failed" })).await, json!({ "affected": 1 }));
    until_jobs(&host, "state=completed&kind=ingest", 1).await;
    let list = host.get("/api/v1/conversations").await.ok();
    let room = list["conversations"][0]["room_id"].as_str().expect("a room");
    let messages = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok();
    assert_eq!((&messages[0]["content"], &messages[1]), (&json!("refused once"), &Value::Null));
}
