//! The record of operators' deeds: one row for each, also for what was refused.

use arcuate_tests::host::Host;
use arcuate_tests::wait::PATIENCE;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

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
