//! The plugin against real sockets and forms of addresses, without a host.

use super::*;
use plugin_api::testing::FakeHost;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn sender(settings: serde_json::Value) -> Sender {
    let settings = serde_json::from_value(settings).expect("settings");
    Sender::new(settings, FakeHost::new("webhook").host()).expect("a sender")
}

fn job(url: &str, secret: Option<&str>) -> Job {
    let webhook = Webhook {
        webhook_id: "w1".into(),
        event: "message".into(),
        url: url.into(),
        secret: secret.map(Into::into),
        body: r#"{"event":"message"}"#.into(),
    };
    let (id, work) = ("j1".into(), Work::Webhook(Box::new(webhook)));
    Job { id, attempt: 1, rescues: 0, uncertain: false, timeout_ms: 0, work }
}

/// Takes one request, gives this answer, and answers with the request's text.
async fn receiver(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
    let taken = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.ends_with('}') {
            let read = socket.read(&mut buffer).await.expect("a request");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        socket.write_all(answer.as_bytes()).await.expect("an answer is sent");
        // Kept open, as a body that does not end would be.
        let _ = socket.read(&mut buffer).await;
        text
    });
    (url, taken)
}

#[tokio::test]
async fn post_carries_the_headers_of_both_kinds() {
    let (url, taken) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let lan = json!({ "allow_networks": ["loopback"] });
    let outcome = sender(lan).handle(job(&url, Some("s3cret"))).await;
    assert_eq!(outcome, Outcome::done().status(204));
    let request = taken.await.expect("a request").to_ascii_lowercase();
    for header in [
        "post /hook http/1.1",
        "content-type: application/json",
        "x-chat-event: message",
        "x-chat-webhook-id: w1",
        "x-chat-signature: sha256=",
        "idempotency-key: j1",
        "webhook-id: j1",
        "webhook-timestamp: ",
        "webhook-signature: v1,",
        "user-agent: arcuate/",
    ] {
        assert!(request.contains(header), "no `{header}` in {request}");
    }
    assert!(request.ends_with("\r\n\r\n{\"event\":\"message\"}"), "the body is as given: {request}");
}

#[tokio::test]
async fn body_without_end_does_not_hold_the_delivery() {
    let (url, _taken) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nx").await;
    let lan = json!({ "allow_networks": ["loopback"], "timeout": 20 });
    assert_eq!(sender(lan).handle(job(&url, None)).await, Outcome::done().status(200));
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let (url, _taken) = receiver("").await;
    let lan = json!({ "allow_networks": ["loopback"], "timeout": 0.2 });
    let Outcome::Retry { why, uncertain: true, .. } = sender(lan).handle(job(&url, None)).await else {
        panic!("not tried again")
    };
    assert!(why.contains("0.2 s"), "{why}");
}

#[tokio::test]
async fn addresses_in_all_their_forms_are_refused() {
    let strict = sender(json!({}));
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1%25eth0]",
        "0.0.0.0",
        "[::]",
    ] {
        let outcome = strict.handle(job(&format!("http://{host}:9/"), None)).await;
        assert!(matches!(outcome, Outcome::Discard { .. }), "{host}: {outcome:?}");
    }
}

#[test]
fn settings_with_impossible_times_are_refused() {
    let wrong = |settings: serde_json::Value| {
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        Sender::new(settings, FakeHost::new("webhook").host()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(wrong(json!({ "schedule": [-1.0] })).starts_with("schedule: "));
    assert!(wrong(json!({ "timeout": 0.0 })).starts_with("timeout: "));
    assert!(wrong(json!({ "allow_networks": ["x"] })).starts_with("allow_networks: "));
}
