//! `arcuate rooms` in both situations.

use super::{Situation, arcuate};
use arcuate_tests::host::Host;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_listed_and_paged() {
    let mut host = Host::start("").await;
    let room = host.room("kitchen").await;
    host.say(&room, "Hello").await;
    host.room("hall").await;
    let api = host.operator().get("/api/v1/admin/rooms").await.ok();
    host.get("/api/v1/admin/rooms").await.is(401);
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let page = arcuate(host.setup(), &["rooms", "list", "--json"]).json();
        assert_eq!(page, api);
        let first = &page["rooms"][0];
        assert_eq!(
            (&first["name"], &first["message_count"], &page["cursor"]),
            (&json!("kitchen"), &json!(1), &Value::Null)
        );
        let short = arcuate(host.setup(), &["rooms", "list", "--limit", "2", "--json"]).json();
        let cursor = short["cursor"].as_str().expect("a cursor");
        let rest = arcuate(host.setup(), &["rooms", "list", "--cursor", cursor, "--json"]).json();
        assert_eq!((&rest["rooms"], &rest["cursor"]), (&json!([page["rooms"][2]]), &Value::Null));
        let table = arcuate(host.setup(), &["rooms", "list", "--limit", "2"]).done();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("NAME") && lines[1].starts_with("kitchen"), "{table}");
        assert!(lines[3].starts_with("more: ") && lines[3].contains(" rooms list --limit 2 --cursor "), "{table}");
        arcuate(host.setup(), &["rooms", "list", "--cursor", "x"]).refused(2, &["'cursor'"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_key_opens_and_the_old_one_does_not() {
    let mut host = Host::start("").await;
    let made = host.post("/api/v1/rooms", &json!({ "name": "the kitchen" })).await.ok();
    let path = format!("/api/v1/rooms/{}", made["id"].as_str().expect("an id"));
    let mut old = made["admin_key"].as_str().expect("a key").to_owned();
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let rotated = arcuate(host.setup(), &["rooms", "rotate-key", "the kitchen", "--json"]).json();
        assert_eq!((&rotated["name"], rotated.as_object().map(serde_json::Map::len)), (&json!("the kitchen"), Some(2)));
        let key = rotated["admin_key"].as_str().expect("a key").to_owned();
        assert!(key.starts_with("chat_") && key.len() == 37, "{key}");
        arcuate(host.setup(), &["rooms", "rotate-key", "cellar"]).refused(1, &["no room has the name 'cellar'"]);
        if situation == Situation::AtRest {
            host.start_again().await;
        }
        let update = |key: &str| host.client().ask(Method::PUT, &path).token(key).json(&json!({}));
        update(&key).await.ok();
        update(&old).await.is(403);
        old = key;
    }
    let told = arcuate(host.setup(), &["rooms", "rotate-key", "the kitchen"]).done();
    assert!(told.starts_with("chat_") && told.contains("only key now"), "{told}");
}
