//! Tickets stand for a token once, where a browser cannot send a header. A revoked token ends what it has open.

use super::{enter, general, make, token_host};
use arcuate_tests::client::Client;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::wait::soon;
use reqwest::Method;
use serde_json::json;

const TICKET: &str = "/api/v1/ws-ticket";

async fn ticket(client: &Client) -> String {
    let given = client.post(TICKET, &json!({})).await.ok();
    assert_eq!(given["expires_in"], 60);
    given["ticket"].as_str().expect("a ticket").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_opens_one_get_request() {
    let host = token_host().await;
    let reader = enter(&host, "ada", &["read"]).await;
    let first = ticket(&reader).await;
    assert!(first.len() > 40 && first != ticket(&reader).await, "{first}");
    host.get(&format!("/api/v1/rooms?ticket={first}")).await.ok();
    host.get(&format!("/api/v1/rooms?ticket={first}")).await.refused(401, "ticket");
    for wrong in ["tkt_0", "%00", "%ff", &"a".repeat(5000)] {
        let answer = host.get(&format!("/api/v1/rooms?ticket={wrong}")).await;
        assert!([400, 401].contains(&answer.status), "{answer}");
    }
    host.get("/api/v1/rooms?ticket=").await.refused(401, "access token");
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_opens_a_stream_in_its_owners_name() {
    let host = token_host().await;
    let ada = enter(&host, "ada", &["write"]).await;
    let room = general(&ada).await;
    let query = format!("?ticket={}", ticket(&ada).await);
    let mut stream = Stream::open(host.client(), &room, &query, &[]).await;
    ada.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "content": "hello" })).await.ok();
    let events = stream.until(|event| event.name == "message").await;
    assert_eq!(events.last().map(|event| event.content()), Some("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_does_not_write_and_is_given_to_no_stranger() {
    let host = token_host().await;
    let ada = enter(&host, "ada", &["write"]).await;
    let path = format!("/api/v1/rooms/{}/messages?ticket={}", general(&ada).await, ticket(&ada).await);
    host.post(&path, &json!({ "content": "x" })).await.refused(401, "access token");
    host.post(&format!("{TICKET}?ticket={}", ticket(&ada).await), &json!({})).await.refused(401, "access token");
    host.post(TICKET, &json!({})).await.refused(401, "access token");
    let poller = enter(&host, "poller", &["bridge"]).await;
    poller.post(TICKET, &json!({})).await.refused(403, "'read'");
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_is_not_repeated_in_the_link_to_the_next_page() {
    let host = token_host().await;
    let ada = enter(&host, "ada", &["write"]).await;
    ada.post("/api/v1/rooms", &json!({ "name": "lab" })).await.ok();
    let page = host.get(&format!("/api/v1/rooms?limit=1&ticket={}", ticket(&ada).await)).await;
    let link = page.header("link");
    assert!(link.contains("limit=1") && !link.contains("ticket"), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_lan_mode_are_given_and_ignored() {
    let host = Host::start("").await;
    let given = ticket(host.client()).await;
    for _ in 0..2 {
        host.get(&format!("/api/v1/rooms?ticket={given}")).await.ok();
    }
    host.get("/api/v1/rooms?ticket=no").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_token_is_refused_at_once_and_its_streams_end() {
    let host = token_host().await;
    let (ada, bob) = (enter(&host, "ada", &["write"]).await, enter(&host, "bob", &["write"]).await);
    let room = general(&ada).await;
    let (late, early) = (ticket(&ada).await, ticket(&ada).await);
    let mut ended = Stream::open(host.client(), &room, &format!("?ticket={early}"), &[]).await;
    let token = make(&host, "cyd", &["read"]).await;
    let header = format!("Bearer {token}");
    let mut kept = Stream::open(host.client(), &room, "", &[("authorization", &header)]).await;
    host.operator().ask(Method::DELETE, "/api/v1/admin/tokens/ada").await.ok();
    ada.get("/api/v1/rooms").await.refused(401, "revoked");
    host.get(&format!("/api/v1/rooms?ticket={late}")).await.refused(401, "ticket");
    soon("the stream ends", async { while ended.next().await.is_some() {} }).await;
    bob.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "content": "still here" })).await.ok();
    let events = kept.until(|event| event.name == "message").await;
    assert_eq!(events.last().map(|event| event.content()), Some("still here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_token_end_with_the_host_too() {
    let mut host = token_host().await;
    let header = format!("Bearer {}", make(&host, "ada", &["read"]).await);
    let room = general(&host.operator()).await;
    let mut stream = Stream::open(host.client(), &room, "", &[("authorization", &header)]).await;
    let (status, _) = host.terminate().await;
    assert!(status.success());
    soon("the stream ends", async { while stream.next().await.is_some() {} }).await;
}
