//! The native bridge API and the plugins' own routes in token mode.

use super::{enter, make};
use arcuate_tests::host::Host;
use arcuate_tests::visitor::Visitor;
use serde_json::json;

const BRIDGE: &str = "[auth]\nmode = \"token\"\n[bridge]\napi_key = \"poll\"\nadmin_key = \"look\"\n";
const INBOX: &str = "/api/v1/?action=inbox";

#[tokio::test(flavor = "multi_thread")]
async fn visitors_need_no_token() {
    let host = Host::start(BRIDGE).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("hello").await;
    visitor.hears(1).await;
    // A widget sends a key of its own, which is nobody's business here.
    let path = "/api/v1/?action=session_response";
    host.post(path, &json!({ "session_id": "session_1" })).token("whatever").await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn poller_has_the_bridges_key_or_a_token_with_its_scope() {
    let host = Host::start(BRIDGE).await;
    let poller = enter(&host, "poller", &["bridge"]).await;
    poller.get(INBOX).await.data();
    poller.get("/api/v1/?action=outbox").await.data();
    poller.post("/api/v1/?action=ack", &json!({ "ids": [1] })).await.data();
    host.operator().get(INBOX).await.data();
    host.get(INBOX).token("poll").await.data();
    host.get(INBOX).await.failed(401, "API key required");
    host.get(INBOX).token("tok_0").await.failed(401, "Invalid API key");
    for scope in ["read", "write", "admin"] {
        enter(&host, scope, &[scope]).await.get(INBOX).await.failed(403, "'bridge'");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_need_the_bridges_admin_key() {
    let host = Host::start(BRIDGE).await;
    let sessions = "/api/v1/?action=sessions";
    host.get(sessions).token("look").await.data();
    enter(&host, "poller", &["bridge"]).await.get(sessions).await.failed(401, "Invalid API key");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_lan_mode_is_no_key_of_the_bridge() {
    let host = Host::start(&BRIDGE.replace("\"token\"", "\"lan\"")).await;
    host.get(INBOX).token(&make(&host, "poller", &["bridge"]).await).await.failed(401, "Invalid API key");
}

#[tokio::test(flavor = "multi_thread")]
async fn bridged_conversations_are_for_readers() {
    let host = Host::start(BRIDGE).await;
    Visitor::new(host.client(), "session_1").say("hello").await;
    host.get("/api/v1/conversations").await.refused(401, "access token");
    let reader = enter(&host, "ada", &["read"]).await;
    let found = reader.get("/api/v1/conversations").await.ok();
    assert_eq!(found["conversations"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_routes_need_a_token() {
    let host = Host::start(BRIDGE).await;
    host.get("/plugins/assistant/x").await.refused(401, "access token");
    enter(&host, "poller", &["bridge"]).await.get("/plugins/assistant/x").await.refused(403, "'read'");
    let reader = enter(&host, "ada", &["read"]).await;
    assert!(![401, 403].contains(&reader.get("/plugins/assistant/x").await.status));
    reader.post("/plugins/assistant/x", &json!({})).await.refused(403, "'write'");
}
