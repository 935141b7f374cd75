//! `arcuate audit` in both situations.

use super::{Situation, arcuate};
use arcuate_tests::host::Host;
use rusqlite::Connection;
use serde_json::{Value, json};

/// As the host writes them, so that this needs no deed of another slice.
fn record(host: &Host, deeds: &[(&str, &str, &str, &str)]) {
    let store = Connection::open(host.store()).expect("the store opens");
    for (action, subject, outcome, detail) in deeds {
        let sql = "insert into audit (at, actor, origin, action, subject, outcome, detail)
                   values (1800000000000000, 'operator', '127.0.0.1', ?1, ?2, ?3, ?4)";
        store.execute(sql, [action, subject, outcome, detail]).expect("a deed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deeds_are_listed_filtered_and_paged() {
    let mut host = Host::start("").await;
    assert_eq!(arcuate(host.setup(), &["audit", "list"]).done(), "no operator has done anything yet\n");
    record(
        &host,
        &[
            ("plugins.enable", "web_chat", "done", "{}"),
            ("queue.retry", "some\u{1b}[2J", "refused", "{\"error\":\"no job has this id\"}"),
            ("plugins.enable", "webhook", "done", "{\"was\":\"disabled\"}"),
        ],
    );
    host.get("/api/v1/admin/audit").await.is(401);
    host.operator().get("/api/v1/admin/audit?cursor=x").await.is(400);
    host.operator().get("/api/v1/admin/audit?outcome=maybe").await.refused(400, "done or refused");
    host.operator().get("/api/v1/admin/audit?since=yesterday").await.refused(400, "'since'");
    let api = host.operator().get("/api/v1/admin/audit").await.ok();
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let page = arcuate(host.setup(), &["audit", "list", "--json"]).json();
        assert_eq!(page, api);
        let newest = json!({ "at": "2027-01-15T08:00:00.000000Z", "actor": "operator", "origin": "127.0.0.1",
            "action": "plugins.enable", "subject": "webhook", "outcome": "done", "detail": { "was": "disabled" } });
        assert_eq!((&page["deeds"][0], &page["cursor"]), (&newest, &Value::Null));
        let short = arcuate(host.setup(), &["audit", "list", "--limit", "1", "--json"]).json();
        let cursor = short["cursor"].as_str().expect("a cursor");
        let rest = arcuate(host.setup(), &["audit", "list", "--cursor", cursor, "--json"]).json();
        assert_eq!(rest["deeds"].as_array().map(Vec::len), Some(2));
        let filtered = arcuate(host.setup(), &["audit", "list", "--action", "queue.retry", "--json"]).json();
        assert_eq!(filtered["deeds"], json!([page["deeds"][1]]));
        for (option, value, count) in [
            ("--outcome", "refused", 1),
            ("--actor", "operator", 3),
            ("--actor", "signal", 0),
            ("--since", "2027-01-15T08:00:00Z", 3),
            ("--since", "2027-01-15T08:00:01Z", 0),
        ] {
            let found = arcuate(host.setup(), &["audit", "list", option, value, "--json"]).json();
            assert_eq!(found["deeds"].as_array().map(Vec::len), Some(count), "{option} {value}: {found}");
        }
        let table = arcuate(host.setup(), &["audit", "list"]).done();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("WHEN") && lines[0].ends_with("DETAIL"), "{table}");
        assert!(lines[2].contains("queue.retry") && lines[2].contains("refused"), "{table}");
        assert!(lines[2].ends_with("no job has this id") && lines[2].contains("some\\u{1b}[2J"), "{table}");
        let none = arcuate(host.setup(), &["audit", "list", "--action", "nothing"]).done();
        assert_eq!(none, "no deeds match\n");
        arcuate(host.setup(), &["audit", "list", "--cursor", "x"]).refused(2, &["'cursor'"]);
    }
}
