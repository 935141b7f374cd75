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

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_keys_are_recorded_without_the_secret() {
    let mut host = Host::start("").await;
    host.room("kitchen").await;
    let mut newest_first = Vec::new();
    for (situation, origin) in Situation::BOTH.into_iter().zip(["127.0.0.1", "command line"]) {
        situation.of(&mut host).await;
        let create = ["tokens", "create", "ada", "--scope", "read", "--json"];
        let token = arcuate(host.setup(), &create).json()["token"].as_str().expect("a token").to_owned();
        arcuate(host.setup(), &create).refused(1, &["a token for 'ada' exists"]);
        arcuate(host.setup(), &["tokens", "revoke", "ada"]).done();
        arcuate(host.setup(), &["tokens", "revoke", "ada"]).refused(1, &["no token belongs to 'ada'"]);
        let rotated = arcuate(host.setup(), &["rooms", "rotate-key", "kitchen", "--json"]).json();
        let key = rotated["admin_key"].as_str().expect("a key");
        arcuate(host.setup(), &["rooms", "rotate-key", "cellar"]).refused(1, &["cellar"]);

        let page = arcuate(host.setup(), &["audit", "list", "--json"]).json();
        assert!(![&token, key].iter().any(|secret| page.to_string().contains(*secret)), "{page}");
        let told = |deed: &Value| {
            let text = |name: &str| deed[name].as_str().expect("a text").to_owned();
            assert_eq!(text("actor"), "operator");
            ["action", "subject", "outcome", "origin"].map(text).join(" ")
        };
        let now = [
            "rooms.rotate_key cellar refused",
            "rooms.rotate_key kitchen done",
            "tokens.revoke ada refused",
            "tokens.revoke ada done",
            "tokens.create ada refused",
            "tokens.create ada done",
        ];
        newest_first.splice(0..0, now.map(|deed| format!("{deed} {origin}")));
        let deeds = page["deeds"].as_array().expect("a list of deeds");
        assert_eq!(deeds.iter().map(told).collect::<Vec<_>>(), newest_first);
        assert_eq!(deeds[5]["detail"], json!({ "scopes": ["read"] }));
    }
}
