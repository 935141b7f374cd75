//! What the log may not hold: tokens, keys, tickets, and lines that somebody else wrote.

use super::{TOKEN_MODE, general, make};
use arcuate_tests::events::Stream;
use arcuate_tests::host::Setup;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn log_has_no_token_no_key_and_no_ticket_at_any_level() {
    let host = Setup::new(TOKEN_MODE).env("ARCUATE_LOG", "trace").start().await;
    let token = make(&host, "ada", &["write"]).await;
    let ada = host.client().with_token(&token);
    let made = ada.post("/api/v1/rooms", &json!({ "name": "lab" })).await.ok();
    let (room, key) = (made["id"].as_str().expect("an id"), made["admin_key"].as_str().expect("a key"));
    ada.get(&format!("/api/v1/rooms/{room}")).header("x-admin-key", key).await.ok();
    let mut tickets = Vec::new();
    for _ in 0..2 {
        let given = ada.post("/api/v1/ws-ticket", &json!({})).await.ok();
        tickets.push(given["ticket"].as_str().expect("a ticket").to_owned());
    }
    drop(Stream::open(host.client(), room, &format!("?ticket={}", tickets[0]), &[]).await);
    host.get(&format!("/api/v1/rooms?ticket={}x", tickets[1])).await.is(401);
    host.client().with_token("tok_of_a_stranger").get("/api/v1/rooms").await.is(401);
    let log = host.log();
    assert!(log.contains("an access token was made") && log.contains("/api/v1/admin/tokens"), "{log}");
    for secret in [&token, key, &tickets[0], &tickets[1], "tok_of_a_stranger"] {
        let recognizable = &secret[..secret.len().min(16)];
        assert!(!log.contains(recognizable), "{recognizable} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_lines_into_the_log() {
    let host = Setup::new(TOKEN_MODE).env("ARCUATE_LOG", "debug").start().await;
    let operator = host.operator();
    let forged = "x\n2026-01-01T00:00:00Z ERROR forged\r\nforged";
    let room = general(&operator).await;
    let messages = format!("/api/v1/rooms/{room}/messages");
    operator.post(&messages, &json!({ "sender": forged, "content": forged, "sender_type": forged })).await.ok();
    operator.post("/api/v1/rooms", &json!({ "name": forged, "created_by": forged })).await.ok();
    operator.get("/api/v1/rooms/x%0aforged%0d%0aforged?sender=%0aforged").await.is(404);
    operator.get("/forged%0aforged").header("user-agent", "forged").await.is(404);
    operator.post("/api/v1/admin/tokens", &json!({ "name": forged, "scopes": ["read"] })).await.is(400);
    let answer = operator.ask(Method::DELETE, "/api/v1/admin/tokens/x%0aforged").await;
    answer.refused(404, "x\nforged");
    let log = host.log();
    assert!(!log.lines().any(|line| line.trim_start().starts_with("forged") || line.contains("ERROR forged")), "{log}");
}
