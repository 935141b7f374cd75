//! The host describing itself: what it says must be there, and true.

use arcuate_tests::host::Host;
use serde_json::{Value, json};

const TEXTS: [&str; 5] = [
    "/llms.txt",
    "/api/v1/llms.txt",
    "/SKILL.md",
    "/api/v1/skills/SKILL.md",
    "/.well-known/skills/local-agent-chat/SKILL.md",
];

#[tokio::test(flavor = "multi_thread")]
async fn discover_tells_what_the_host_is_and_allows() {
    let host =
        Host::start("limits.messages_per_minute = 7\nlimits.rooms_per_hour = 3\nlimits.files_per_minute = 0").await;
    let told = host.get("/api/v1/discover").await.ok();
    assert_eq!((&told["service"], &told["compatible"]), (&json!("arcuate"), &json!(["local-agent-chat"])));
    assert_eq!((&told["protocol"], &told["api_base"]), (&json!("http"), &json!("/api/v1")));
    assert_eq!((&told["ip"], &told["port"]), (&json!("127.0.0.1"), &json!(host.port())));
    assert!(told["hostname"].as_str().is_some_and(|name| !name.is_empty()), "{told}");
    assert_eq!(told["auth"]["model"], "trust-based");
    let limits = &told["rate_limits"];
    let own = ["messages_per_min", "rooms_per_hour", "files_per_min"].map(|name| limits[name].clone());
    assert_eq!(own, [json!(7), json!(3), json!(0)], "the limits are the configured ones");
    assert!(told["mdns"]["enabled"].is_boolean() && told["mdns"]["service_type"].is_string());
    for name in
        ["health", "rooms", "search", "activity", "profiles", "presence", "unread", "mentions", "dm", "discover"]
    {
        assert_eq!(told["endpoints"][name], format!("/api/v1/{name}"));
    }
    let documents = ["openapi", "llms_txt"].map(|name| told["endpoints"][name].clone());
    assert_eq!(documents, [json!("/api/v1/openapi.json"), json!("/api/v1/llms.txt")]);
    let capabilities = told["capabilities"].as_array().expect("a list");
    for name in ["rooms", "messages", "direct_messages", "sse_streaming", "reactions", "threads"] {
        assert!(capabilities.contains(&json!(name)), "{name} is missing");
    }
    for name in ["mentions", "presence", "profiles", "webhooks", "search_fts5"] {
        assert!(capabilities.contains(&json!(name)), "{name} is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_for_agents_are_one_and_hold_the_hosts_address_and_limits() {
    let host = Host::start("limits.messages_per_minute = 7").await;
    let text = host.get(TEXTS[0]).await.text;
    for path in TEXTS {
        let answer = host.get(path).await;
        assert_eq!((answer.status, &answer.text), (200, &text), "{path}");
        let wanted = if path.ends_with(".md") { "text/markdown; charset=utf-8" } else { "text/plain; charset=utf-8" };
        assert_eq!(answer.header("content-type"), wanted, "{path}");
    }
    assert!(text.starts_with("---\nname: local-agent-chat\ndescription: "), "no front matter: {text}");
    assert!(text.contains(&host.url("/api/v1/rooms")) && text.contains("messages 7 per minute"), "{text}");
    let headings =
        ["Quick Start", "Rooms", "Messages", "Reactions", "Profiles", "Direct Messages", "Webhooks", "Search"];
    let more = ["Bookmarks", "Mentions", "Presence", "Rate Limiting", "Discovery"];
    for heading in headings.iter().chain(&more) {
        assert!(text.contains(&format!("\n## {heading}\n")), "the heading {heading} is missing");
    }
    let left = ["{base}", "{name}", "{description}", "{version}", "{messages}", "{broadcasts}"];
    assert!(left.iter().all(|left| !text.contains(left)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_for_agents_names_the_public_address() {
    let host = Host::start("server.public_url = \"https://chat.example.org\"").await;
    let text = host.get("/llms.txt").await.text;
    assert!(text.contains("https://chat.example.org/api/v1/rooms") && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(host.get("/api/v1/discover").await.ok()["public_url"], "https://chat.example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_host_header_is_not_repeated_to_agents() {
    let host = Host::start("").await;
    let answer = host.get("/llms.txt").header("host", "evil.example/\"><script>").await;
    assert!(answer.status == 400 || !answer.text.contains("evil.example"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn skills_index_leads_to_the_skill() {
    let host = Host::start("").await;
    let index = host.get("/.well-known/skills/index.json").await.ok();
    let skill = &index["skills"][0];
    assert_eq!((&skill["name"], &skill["files"]), (&json!("local-agent-chat"), &json!(["SKILL.md"])));
    let text = host.get(skill["url"].as_str().expect("where it is")).await.text;
    assert!(text.contains(skill["description"].as_str().expect("what it is for")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_is_the_same_at_both_addresses() {
    let host = Host::start("").await;
    let document = host.get("/openapi.json").await;
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.text, host.get("/api/v1/openapi.json").await.text);
    let document = document.ok();
    assert_eq!((&document["openapi"], &document["info"]["license"]["name"]), (&json!("3.1.0"), &json!("MIT")));
}

/// What is described is there: an unknown path has another answer.
#[tokio::test(flavor = "multi_thread")]
async fn described_paths_are_served_and_their_other_methods_refused() {
    let host = Host::start("").await;
    let document = host.get("/openapi.json").await.ok();
    for (path, item) in document["paths"].as_object().expect("paths") {
        if path.starts_with("/plugins/") {
            continue;
        }
        let address = filled(path);
        let answer = host.client().ask("PATCH".parse().expect("a method"), &address).await;
        if item.get("patch").is_none() {
            assert!(answer.status == 405 || (answer.status == 400 && is_bridge(path)), "{answer}");
            assert!(answer.json()["error"].is_string(), "{answer}");
        }
        if answer.status == 405 {
            let allowed = answer.header("allow").to_ascii_lowercase();
            for method in ["get", "put", "post", "delete"] {
                assert_eq!(allowed.contains(method), item.get(method).is_some(), "{path}: {method} {allowed}");
            }
        }
    }
}

fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn is_bridge(path: &str) -> bool {
    ["/api/v1", "/api/v1/", "/api/v1/index.php"].contains(&path)
}

#[tokio::test(flavor = "multi_thread")]
async fn docs_page_asks_no_other_host() {
    let host = Host::start("").await;
    let page = host.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    let (_, rest) = page.text.split_once("<script src=\"").expect("a script");
    let (script, _) = rest.split_once('"').expect("its address");
    let plain = host.get(script).await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
    assert!(plain.header("cache-control").contains("immutable") && plain.text.len() > 1_000_000);
    let packed = host.client().open(script, &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let bytes = packed.bytes().await.expect("the packed script");
    assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < 1_500_000, "{} bytes", bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_names_the_service_whose_clients_work_here() {
    let host = Host::start("").await;
    for path in ["/health", "/api/v1/health"] {
        let health: Value = host.get(path).await.ok();
        assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("arcuate")));
        assert_eq!(health["compatible"], json!(["local-agent-chat"]));
        assert!(health["version"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_mode_is_told_to_programs_and_agents() {
    let host = Host::start("auth.mode = \"token\"\nauth.admin_token = \"operator\"").await;
    host.get("/api/v1/discover").await.refused(401, "access token");
    let told = host.get("/api/v1/discover").token("operator").await.ok();
    assert_eq!(told["auth"]["model"], "token", "{told}");
    let text = host.get("/llms.txt").await.text;
    let requests: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(requests.len() >= 5 && requests.iter().all(|line| line.contains("Bearer $TOKEN")), "{text}");
    let open = Host::start("").await.get("/llms.txt").await.text;
    assert!(!open.contains("$TOKEN") && !open.contains("{auth}") && !open.contains("{who}"), "{open}");
}

/// The first minute of an agent, as the text for agents tells it.
#[tokio::test(flavor = "multi_thread")]
async fn quick_start_does_what_it_says() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let text = host.get("/llms.txt").await.text;
    let (_, rest) = text.split_once("```sh\n").expect("a block of commands");
    let (block, _) = rest.split_once("\n```").expect("its end");
    let block = block.replace("ROOM_ID=…", &format!("ROOM_ID={room}")).replace("curl -sN", "curl -sN --max-time 1");
    let output = tokio::process::Command::new("bash").args(["-c", &block]).output().await.expect("bash runs");
    let shown = String::from_utf8(output.stdout).expect("text");
    assert!(!shown.contains("\"error\"") && output.stderr.is_empty(), "{shown}\n{output:?}", output = output.stderr);
    for part in ["\"kitchen\"", "\"Hello, everybody\"", "event:heartbeat", "\"mentions\":[]", "\"total_unread\":0"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}
