//! The PHP example by itself: its hourly limit, and what its operator may do.

use arcuate_tests::php::PhpBridge;
use serde_json::json;

const API: &str = "/api/v1/?action=";

#[tokio::test(flavor = "multi_thread")]
async fn php_bridge_refuses_more_than_its_messages_an_hour() {
    let limited = [("BRIDGE_ENFORCE_LIMITS", "true"), ("BRIDGE_MESSAGES_PER_HOUR", "3")];
    let Some(bridge) = PhpBridge::start_with("php_bridge_refuses_more_than_its_messages_an_hour", &limited).await
    else {
        return;
    };
    for (number, session) in ["a", "b", "a"].iter().enumerate() {
        bridge.visitor(session).say(&format!("message {number}")).await;
    }
    let refused = bridge.visitor("c").message("one too many").await;
    refused.failed(429, "3 an hour");
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=3600).contains(&wait), "{wait}");
    let sessions = bridge.operator().get(&format!("{API}sessions")).await.data();
    assert_eq!(sessions["pagination"]["total"], 2, "nothing of the refused one is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn php_bridge_shows_its_settings_and_clears_only_with_a_yes() {
    let test = "php_bridge_shows_its_settings_and_clears_only_with_a_yes";
    let Some(bridge) = PhpBridge::start_with(test, &[]).await else { return };
    bridge.visitor("a").say("hello").await;
    let operator = bridge.operator();
    let tell = |action: &str, body| operator.post(&format!("{API}{action}"), &body);
    assert_eq!(operator.get(&format!("{API}config")).await.data(), json!({ "session_timeout": 1800 }));
    tell("config", json!({ "session_timeout": 1 })).await.failed(400, "bridge.config.php");
    assert_eq!(tell("cleanup", json!({})).await.data()["cleaned_count"], 0);
    assert!(tell("cleanup_logs", json!({})).await.data()["message"].is_string());
    tell("clear_data", json!({})).await.failed(400, "confirm");
    let cleared = tell("clear_data", json!({ "confirm": true })).await.data();
    assert_eq!((&cleared["cleared_sessions"], &cleared["cleared_messages"]), (&json!(1), &json!(1)));
    bridge.client().get(&format!("{API}config")).await.failed(401, "admin_key");
}
