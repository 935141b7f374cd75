//! `arcuate users` and `arcuate conversations` in both situations.

use super::{Situation, arcuate};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use serde_json::{Value, json};

async fn host_with_visitors(count: usize) -> Host {
    let host = Host::start("").await;
    for number in 0..count {
        let visitor = Visitor::new(host.client(), &format!("session_{number}"));
        visitor.say("Hello").await;
        visitor.hears(1).await;
    }
    host
}

fn list<'v>(page: &'v Value, name: &str) -> &'v Vec<Value> {
    page[name].as_array().unwrap_or_else(|| panic!("no list `{name}`: {page}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_with_their_profiles() {
    let mut host = host_with_visitors(3).await;
    let api = host.operator().get("/api/v1/admin/users").await.ok();
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let page = arcuate(host.setup(), &["users", "list", "--json"]).json();
        assert_eq!(page, api);
        let (users, profile) = (list(&page, "users"), &page["users"][0]["profiles"][0]);
        assert_eq!((users.len(), &page["cursor"], &profile["platform"]), (3, &Value::Null, &json!("bridge")));
        for field in ["platform_user_id", "username", "display_name"] {
            assert!(profile[field].is_string(), "{profile}");
        }
        let table = arcuate(host.setup(), &["users", "list", "--limit", "2"]).done();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines.len() == 4 && lines[0].starts_with("ID "), "{table}");
        assert!(
            lines[1].contains(&format!("bridge:{}", profile["platform_user_id"].as_str().expect("an id"))),
            "{table}"
        );
        assert!(lines[3].starts_with("more: ") && lines[3].contains(" users list --limit 2 --cursor c"), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_platform_id_and_name() {
    let mut host = host_with_visitors(3).await;
    let all = host.operator().get("/api/v1/admin/users").await.ok();
    let (one, id) = (&all["users"][1], all["users"][1]["profiles"][0]["platform_user_id"].as_str().expect("an id"));
    let page = host.operator().get("/api/v1/admin/users?platform=bridge&limit=2").await.ok();
    let rest = format!("/api/v1/admin/users?platform=bridge&cursor={}", page["cursor"].as_str().expect("a cursor"));
    assert_eq!(list(&host.operator().get(&rest).await.ok(), "users")[..], all["users"].as_array().expect("all")[2..]);
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        for options in [
            &["--platform-user-id", id][..],
            &["--platform", "bridge", "--user", id],
            &["--q", &id[..8].to_uppercase()],
            &["--platform", "bridge", "--q", id, "--limit", "1"],
        ] {
            let found = arcuate(host.setup(), &[&["users", "list", "--json"], options].concat()).json();
            assert_eq!(list(&found, "users"), std::slice::from_ref(one), "{options:?}");
        }
        for options in [["--platform", "elsewhere"], ["--q", "no such name"], ["--platform-user-id", "nobody"]] {
            let none = arcuate(host.setup(), &[&["users", "list"][..], &options].concat()).done();
            assert_eq!(none, "nobody else\n", "{options:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_listed_and_narrowed() {
    let mut host = host_with_visitors(2).await;
    let api = host.operator().get("/api/v1/admin/conversations").await.ok();
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let page = arcuate(host.setup(), &["conversations", "list", "--json"]).json();
        assert_eq!(page, api);
        let newest = &list(&page, "conversations")[0];
        for field in ["id", "room_id", "plugin", "external_id", "last_activity"] {
            assert!(newest[field].is_string(), "{newest}");
        }
        let user = newest["user"]["id"].as_str().expect("a user");
        let narrowed = ["conversations", "list", "--platform", "bridge", "--user", user, "--limit", "5", "--json"];
        assert_eq!(list(&arcuate(host.setup(), &narrowed).json(), "conversations"), std::slice::from_ref(newest));
        let table = arcuate(host.setup(), &["conversations", "list"]).done();
        assert!(table.contains("session_0") && table.contains("session_1") && !table.contains("more:"), "{table}");
        let none = arcuate(host.setup(), &["conversations", "list", "--platform", "elsewhere"]).done();
        assert!(none.starts_with("no conversations like that; all of them: "), "{none}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_yet_is_said_in_words() {
    let mut host = Host::start("").await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        assert!(arcuate(host.setup(), &["users", "list"]).done().starts_with("nobody yet: "));
        assert!(arcuate(host.setup(), &["conversations", "list"]).done().starts_with("no conversations yet: "));
        let page = arcuate(host.setup(), &["users", "list", "--json"]).json();
        assert_eq!(page, json!({ "users": [], "cursor": null }));
    }
}
