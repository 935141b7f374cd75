//! `arcuate plugins`: what runs, or, without a host and even without a store, what a start would find.

use super::{Situation, arcuate, fresh, host_with, names};
use arcuate_tests::host::Host;
use serde_json::{Value, json};

const MIXED: &str = "[plugins.gone]\nenabled = true\n[plugins.shop]\nlibrary = \"web_chat\"\n\
                     [plugins.shop.settings]\npoll_interval = \"often\"\n";

fn states(listed: &Value) -> Vec<(String, String)> {
    let plugins = listed["plugins"].as_array().expect("a list of plugins");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    plugins.iter().map(|plugin| (text(&plugin["name"]), text(&plugin["state"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_has_states_and_reasons_in_both_situations() {
    let mut host = Host::start(MIXED).await;
    for (situation, assistant) in Situation::BOTH.into_iter().zip(["Running", "Checked"]) {
        situation.of(&mut host).await;
        let listed = arcuate(host.setup(), &["plugins", "list", "--json"]).json();
        let expected = [
            ("assistant", assistant),
            ("gone", "Rejected"),
            ("shop", "Failed"),
            ("web_chat", "Checked"),
            ("webhook", assistant),
        ];
        assert_eq!(states(&listed), expected.map(|(name, state)| (name.to_owned(), state.to_owned())));
        for field in ["name", "library", "version", "enabled", "state", "reason", "last_success", "last_error"] {
            assert!(listed["plugins"][0].get(field).is_some(), "no {field}: {listed}");
        }
        let shop = listed["plugins"][2]["reason"].as_str().expect("a reason");
        assert!(shop.contains("config.toml:") && shop.contains("poll_interval"), "{shop}");

        let table = arcuate(host.setup(), &["plugins", "list"]).done();
        let line =
            |name: &str| table.lines().find(|line| line.starts_with(name)).expect("a line per plugin").to_owned();
        assert!(line("assistant").contains(assistant) && line("assistant").contains("agent_invoker"), "{table}");
        assert!(line("gone").contains("no libgone.so in "), "{table}");
        assert!(line("web_chat").contains("disabled"), "{table}");
        assert_eq!(table.contains("no host runs"), situation == Situation::AtRest, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_the_api_has_pages_and_states() {
    let host = Host::start(MIXED).await;
    let operator = host.operator();
    let all = states(&operator.get("/api/v1/admin/plugins").await.ok());
    let (mut found, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = operator.get(&format!("/api/v1/admin/plugins?{query}")).await.ok();
        found.push(states(&page));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!((found.concat(), found.len()), (all, 3));
    let failed = operator.get("/api/v1/admin/plugins?state=failed").await.ok();
    assert_eq!((states(&failed), &failed["cursor"]), (vec![("shop".into(), "Failed".into())], &Value::Null));
    operator.get("/api/v1/admin/plugins?state=fine").await.refused(400, "Running, Degraded");
    operator.get("/api/v1/admin/plugins?cursor=x").await.refused(400, "'cursor'");
    for (list, filter, name) in [("routes", "from=bridge", "routes"), ("config", "section=limits", "settings")] {
        let page = operator.get(&format!("/api/v1/admin/{list}?{filter}&limit=1")).await.ok();
        assert_eq!(page[name].as_array().map(Vec::len), Some(1), "{page}");
        assert!(page.get("cursor").is_some(), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_adds_the_other_libraries_of_the_directory() {
    let mut host = Host::start("").await;
    std::fs::write(host.folder().join("bin/libnotes.so"), "no library").expect("a file");
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let listed = arcuate(host.setup(), &["plugins", "list", "--all", "--json"]).json();
        let others = listed["others"].as_array().expect("a list of others");
        let libraries: Vec<_> = others.iter().map(|other| &other["library"]).collect();
        assert_eq!(libraries, [&Value::Null, &json!("tcp_chat")]);
        assert!(others[0]["reason"].as_str().is_some_and(|reason| reason.contains("is a text file")), "{listed}");
        assert!(arcuate(host.setup(), &["plugins", "list", "--json"]).json().get("others").is_none());
        let table = arcuate(host.setup(), &["plugins", "list", "--all"]).done();
        assert!(table.contains("OTHER LIBRARY") && table.contains("bin/libtcp_chat.so"), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn show_has_the_manifest_and_the_jobs() {
    let mut host = host_with(super::FAILING, "failed", 2).await;
    for situation in Situation::BOTH {
        situation.of(&mut host).await;
        let shown = arcuate(host.setup(), &["plugins", "show", "assistant", "--json"]).json();
        assert_eq!((&shown["roles"], &shown["queue"]["failed"]), (&json!(["agent"]), &json!(2)));
        assert!(shown["settings_schema"]["properties"]["backend"].is_object(), "{shown}");
        let text = arcuate(host.setup(), &["plugins", "show", "assistant"]).done();
        for wanted in ["name ", "2 failed", "agent_invoker 0.1.0", "SETTING", "backend"] {
            assert!(text.contains(wanted), "no `{wanted}`: {text}");
        }
        let unknown = arcuate(host.setup(), &["plugins", "show", "a/../b c"]);
        unknown.refused(1, &["no plugin instance has the name a/../b c", "plugins list"]);
    }
}

#[test]
fn plugins_need_no_store_and_make_none() {
    let (setup, _) = fresh("");
    let before = names(setup.folder());
    let table = arcuate(&setup, &["plugins", "list"]).done();
    assert!(table.contains("assistant") && table.contains("no host runs"), "{table}");
    arcuate(&setup, &["plugins", "show", "assistant"]).done();
    assert_eq!(names(setup.folder()), before);
}
