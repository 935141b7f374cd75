//! The host's own bridge API for its operators: settings are shown and not changed, and what visitors left is cleared with a yes.

use arcuate_tests::client::Client;
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::{PATIENCE, until_async};
use serde_json::{Value, json};

const API: &str = "/api/v1/?action=";
const CONFIG: &str = "[bridge]\napi_key = \"poller\"\nadmin_key = \"operator\"\n";

fn operator(host: &Host) -> Client {
    host.client().with_token("operator")
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_actions_want_the_admin_key_and_the_right_method() {
    let (open, closed) = (Host::start(CONFIG).await, Host::start("").await);
    for (method, action) in
        [("GET", "config"), ("POST", "config"), ("POST", "cleanup"), ("POST", "cleanup_logs"), ("POST", "clear_data")]
    {
        let ask = |client: &Client| client.ask(method.parse().expect("a method"), &format!("{API}{action}")).body("{}");
        ask(closed.client()).await.failed(401, "admin_key");
        ask(open.client()).await.failed(401, "Authorization: Bearer");
        ask(&open.client().with_token("poller")).await.failed(401, "Invalid");
        if action != "config" {
            operator(&open).get(&format!("{API}{action}")).await.failed(405, "");
        }
    }
    let unknown = operator(&open).get(&format!("{API}settings")).await;
    unknown.failed(400, "cleanup_logs, clear_data");
}

#[tokio::test(flavor = "multi_thread")]
async fn config_tells_the_timeout_and_no_keys_and_is_not_changed() {
    for (seconds, shown) in [("", json!(1800)), ("session_timeout_seconds = 1.5", json!(1.5))] {
        let host = Host::start(&format!("{CONFIG}{seconds}\n")).await;
        let config = operator(&host).get(&format!("{API}config")).await.data();
        assert_eq!(config, json!({ "session_timeout": shown }));
        let change = json!({ "session_timeout": 60 });
        operator(&host).post(&format!("{API}config"), &change).await.failed(400, "config.toml");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_forgets_no_session_so_that_a_late_answer_arrives() {
    let inbox = "session_timeout_seconds = 1\n[[routes]]\nfrom = \"bridge\"\nto = \"inbox\"\n";
    let host = Host::start(&format!("{CONFIG}{inbox}")).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    let idle = async || {
        let data = operator(&host).get(&format!("{API}sessions")).await.data();
        (data["sessions"] == json!([])).then_some(())
    };
    until_async("the session is inactive", PATIENCE, idle).await;
    let cleaned = operator(&host).post(&format!("{API}cleanup"), &json!({})).await.data();
    assert_eq!(cleaned["cleaned_count"], 0);
    assert!(cleaned["message"].as_str().is_some_and(|text| text.contains("kept")), "{cleaned}");
    let body = json!({ "session_id": "session_1", "response": "At last" });
    host.client().with_token("poller").post(&format!("{API}outbox"), &body).await.data();
    assert_eq!(visitor.hears(1).await[0].text, "At last");
    let logs = operator(&host).post(&format!("{API}cleanup_logs"), &json!({})).await.data();
    assert!(logs["message"].as_str().is_some_and(|text| text.contains("no log files")), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_data_takes_sessions_words_and_people_of_the_bridge_alone() {
    let host = Host::start(CONFIG).await;
    let room = host.room("kitchen").await;
    host.say(&room, "stays").await;
    for session in ["a", "b", "c"] {
        let visitor = Visitor::new(host.client(), session);
        visitor.say("a secret").await;
        visitor.hears(1).await;
    }
    let clear = |body: Value| operator(&host).post(&format!("{API}clear_data"), &body);
    for wrong in [json!({}), json!({ "confirm": "true" }), json!({ "confirm": false })] {
        clear(wrong).await.failed(400, "confirm");
    }
    let cleared = clear(json!({ "confirm": true })).await.data();
    let counts = ["sessions", "messages", "responses"].map(|what| cleared[format!("cleared_{what}")].clone());
    assert_eq!((counts, cleared["message"].is_string()), ([3, 3, 3].map(Value::from), true));
    let sessions = operator(&host).get(&format!("{API}sessions&active=false")).await.data();
    assert_eq!(sessions["sessions"], json!([]));
    let path = format!("{API}session_messages&session_id=a");
    operator(&host).get(&path).await.failed(404, "not found");
    let gone = async || {
        let users = host.operator().get("/api/v1/admin/users").await.ok();
        (users["users"] == json!([])).then_some(())
    };
    until_async("the people are gone with their rooms", PATIENCE, gone).await;
    let kept = host.get(&format!("/api/v1/rooms/{room}/messages")).await.ok();
    assert_eq!(kept[0]["content"], "stays");
    let again = Visitor::new(host.client(), "a");
    assert!(again.say("Hello again").await.is_new_user, "and a new visitor is welcome");
    assert_eq!(again.hears(1).await.len(), 1);
    assert_eq!(clear(json!({ "confirm": true })).await.data()["cleared_sessions"], 1);
    assert_eq!(clear(json!({ "confirm": true })).await.data()["cleared_sessions"], 0);
}
