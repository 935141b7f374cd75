//! The documentation's commands, run as its readers run them. `document.rs` of the harness says how a page marks them.

use arcuate_tests::document::Page;
use arcuate_tests::php;
use arcuate_tests::skip::skipped;
use std::process::Command;

/// What this very test run is, or does by itself.
const KNOWN: [&str; 2] = ["cargo run --release", "cargo test --workspace"];

async fn follow(path: &str, programs: &[&str]) {
    let there = |program: &&&str| Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let missing = programs.iter().find(|program| !there(program).is_ok_and(|output| output.status.success()));
    if let Some(program) = missing {
        return skipped(path, &format!("it needs {program}"));
    }
    let page = Page::read(path);
    let unknown: Vec<_> = page.unmarked.iter().filter(|block| !KNOWN.contains(&block.as_str())).collect();
    assert!(unknown.is_empty(), "{path}: commands that nobody tries; put <!-- run: … --> before them: {unknown:#?}");
    page.run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readme_does_what_it_says() {
    follow("README.md", &["curl"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_guide_does_what_it_says() {
    follow("docs/client-guide.md", &["curl"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bridge_api_page_does_what_it_says() {
    follow("docs/bridge-api.md", &["curl"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_chat_page_does_what_it_says() {
    if php::is_there("docs/web-chat.md") {
        follow("docs/web-chat.md", &["curl"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operating_page_does_what_it_says() {
    follow("docs/operating.md", &["curl"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_page_does_what_it_says() {
    follow("docs/agents.md", &["python3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_page_does_what_it_says() {
    follow("docs/people.md", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_page_does_what_it_says() {
    follow("docs/access.md", &["curl"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_page_does_what_it_says() {
    follow("docs/webhooks.md", &["curl", "python3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_guide_does_what_it_says() {
    follow("docs/operators.md", &["curl", "setsid"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reliability_page_has_commands() {
    follow("docs/RELIABILITY.md", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_page_does_what_it_says() {
    follow("docs/monitoring.md", &["curl"]).await;
}
