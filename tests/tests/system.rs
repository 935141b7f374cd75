//! What watchers and browsers see first: alive, ready, counted, the page at the door, and who may call from where.

use arcuate_tests::host::Host;
use arcuate_tests::wait::{PATIENCE, until_async};
use reqwest::Method;
use serde_json::json;
use toml_edit::Item;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_told_at_both_places() {
    let host = Host::start("[plugins.missing]\nlibrary = \"missing\"\nenabled = true").await;
    for path in ["/health", "/api/v1/health"] {
        let health = host.get(path).await.ok();
        assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("arcuate")));
        assert_eq!((&health["version"], &health["compatible"]), (&json!(VERSION), &json!(["local-agent-chat"])));
    }
    for path in ["/ready", "/api/v1/ready"] {
        let ready = host.get(path).await.ok();
        assert_eq!(ready["status"], "ready");
        let troubled = ready["plugins"].as_array().expect("plugins that are not as they should be");
        assert_eq!(troubled.len(), 1, "{ready:#}");
        assert_eq!((&troubled[0]["name"], &troubled[0]["state"]), (&json!("missing"), &json!("Rejected")));
        assert!(troubled[0]["reason"].as_str().is_some_and(|reason| reason.contains("libmissing.so")), "{ready:#}");
        let queue = &ready["queue"];
        assert_eq!((&queue["pending"], &queue["processing"], &queue["failed"]), (&json!(0), &json!(0), &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn host_is_not_ready_while_a_plugin_still_starts() {
    // It takes connections and says nothing, so that the plugin's first question has no answer.
    let bridge = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bridge.local_addr().expect("its number");
    let mut host = Host::start("[plugins]\nstart_seconds = 2\n[plugins.web_chat]\nenabled = false\n").await;
    host.terminate().await;
    host.configure(|config| {
        let settings = format!("{{ api_url = \"http://{address}/\", api_key = \"key\" }}");
        config["plugins"]["web_chat"]["enabled"] = true.into();
        config["plugins"]["web_chat"]["settings"] = Item::Value(settings.parse().expect("settings"));
    });
    host.spawn_again();
    let client = host.client().clone();
    let asked = || async {
        let answer = client.get("/ready").attempt().await.ok()?;
        Some((answer.status, answer.json()["status"].clone()))
    };
    let first = until_async("it answers", PATIENCE, asked).await;
    assert_eq!(first, (503, json!("starting")));
    host.until_listening().await;
    assert_eq!(host.get("/ready").await.ok()["status"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happens() {
    let host = Host::start("").await;
    let room = host.room("room").await;
    host.say(&room, "one").await;
    host.get("/api/v1/rooms/nowhere").await.is(404);
    host.get("/nothing").await.is(404);
    let metrics = host.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8", "{metrics}");
    for wanted in [
        "arcuate_http_requests_total{method=\"POST\",route=\"/api/v1/rooms/{id}/messages\",status=\"200\"} 1",
        "arcuate_http_requests_total{method=\"GET\",route=\"/api/v1/rooms/{id}\",status=\"404\"} 1",
        "arcuate_http_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
        "arcuate_http_request_seconds_count{route=\"/api/v1/rooms\"} 1",
        "arcuate_log_head 2",
        "arcuate_store_unwritable 0",
        "arcuate_plugin_state{plugin=\"assistant\",state=\"Running\"} 1",
        "# TYPE arcuate_http_requests_total counter",
        "# TYPE arcuate_store_commit_seconds histogram",
    ] {
        assert!(metrics.text.contains(wanted), "no `{wanted}` in {}", metrics.text);
    }
    assert!(!metrics.text.contains(&room), "an id in a label makes series without end");
    let open = host.get("/metrics").header("accept", "application/openmetrics-text; version=1.0.0,text/plain").await;
    assert!(open.header("content-type").starts_with("application/openmetrics-text"), "{open}");
    assert!(open.text.ends_with("# EOF\n") && open.text.contains("# TYPE arcuate_http_requests counter"), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn page_at_the_door_says_what_this_is() {
    let host = Host::start("").await;
    let page = host.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for wanted in ["Arcuate", VERSION, "/api/v1/rooms", "/ready", "assistant"] {
        assert!(page.text.contains(wanted), "no `{wanted}` on the page: {page}");
    }
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page}");
    assert_eq!((page.header("x-content-type-options"), page.header("x-frame-options")), ("nosniff", "SAMEORIGIN"));
    assert!(!page.text.contains('{') || !page.text.contains("{version}"), "a placeholder is left: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn page_and_api_are_open_to_pages_of_any_origin() {
    let host = Host::start("").await;
    let asked = host.get("/api/v1/rooms").header("origin", "https://shop.example").await;
    assert_eq!(asked.header("access-control-allow-origin"), "https://shop.example");
    assert!(asked.header("vary").to_ascii_lowercase().contains("origin"), "{asked}");
    assert!(asked.header("access-control-allow-credentials").is_empty(), "never with cookies");
    assert!(asked.header("access-control-expose-headers").contains("x-ratelimit-remaining"), "{asked}");
    let preflight = host.client().ask(Method::OPTIONS, "/api/v1/rooms").header("origin", "https://shop.example");
    let preflight = preflight.header("access-control-request-method", "POST");
    let preflight = preflight.header("access-control-request-headers", "content-type,x-mine").await;
    assert_eq!(preflight.status, 200, "{preflight}");
    assert!(preflight.header("access-control-allow-methods").contains("POST"), "{preflight}");
    assert!(preflight.header("access-control-allow-headers").contains("x-mine"), "{preflight}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_not_let_in_where_origins_are_named() {
    let host = Host::start("server.cors_origins = [\"https://shop.example\"]").await;
    let ours = host.get("/api/v1/rooms").header("origin", "https://shop.example").await;
    assert_eq!(ours.header("access-control-allow-origin"), "https://shop.example");
    let other = host.get("/api/v1/rooms").header("origin", "https://else.example").await;
    assert_eq!(other.header("access-control-allow-origin"), "", "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_api_needs_the_token() {
    let host = Host::start("").await;
    for path in ["plugins", "queue", "users", "conversations"] {
        let path = format!("/api/v1/admin/{path}");
        host.get(&path).await.refused(401, "operator's token");
        host.get(&path).token("wrong").await.refused(403, "operator's token");
        host.operator().get(&path).await.ok();
    }
    let given = Host::start("auth.admin_token = \"mine\"").await;
    given.get("/api/v1/admin/plugins").token("mine").await.ok();
}
