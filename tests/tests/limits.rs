//! Limits from outside: how many, counted by whom, told in which headers, and what costs nothing.

use arcuate_tests::client::{Answer, Asked};
use arcuate_tests::host::Host;
use serde_json::json;

/// Each limiter's key, its text behind `max 2 `, and a window's seconds.
const LIMITERS: [(&str, &str, u64); 3] = [
    ("messages_per_minute", "messages per minute", 60),
    ("rooms_per_hour", "rooms per hour", 3600),
    ("files_per_minute", "file uploads per minute", 60),
];

/// A request that the limiter counts; `number` makes it unlike the others.
fn counted(host: &Host, key: &str, room: &str, number: usize) -> Asked {
    match key {
        "messages_per_minute" => {
            host.post(&format!("/api/v1/rooms/{room}/messages"), &json!({ "sender": "ada", "content": "hello" }))
        }
        "rooms_per_hour" => host.post("/api/v1/rooms", &json!({ "name": format!("room {number}") })),
        _ => {
            let file = json!({ "sender": "ada", "filename": "a", "data": "YQ==" });
            host.post(&format!("/api/v1/rooms/{room}/files"), &file)
        }
    }
}

async fn general(host: &Host) -> String {
    host.get("/api/v1/rooms").await.ok()[0]["id"].as_str().expect("a room").to_owned()
}

fn told(answer: &Answer) -> [&str; 3] {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(|name| answer.header(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_tells_what_is_left_and_then_how_long_to_wait() {
    for (key, what, window) in LIMITERS {
        let host = Host::start(&format!("limits.{key} = 2")).await;
        let room = general(&host).await;
        for left in ["1", "0"] {
            let answer = counted(&host, key, &room, left.len() + left.as_bytes()[0] as usize).await;
            answer.ok();
            assert_eq!(told(&answer), ["2", left, "0"], "{key}");
        }
        let refused = counted(&host, key, &room, 9).await;
        let body = refused.is(429);
        let wait: u64 = refused.header("retry-after").parse().expect("seconds to wait");
        assert!(wait >= 1 && wait <= window, "{refused}");
        assert_eq!(told(&refused), ["2", "0", wait.to_string().as_str()]);
        let expected = json!({ "error": format!("Rate limited: max 2 {what}"), "retry_after_secs": wait, "limit": 2, "remaining": 0 });
        assert_eq!(body, expected);
        host.get("/api/v1/rooms").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_of_zero_is_off_and_tells_nothing() {
    let host = Host::start("").await;
    let room = general(&host).await;
    for (key, ..) in LIMITERS {
        for number in 0..5 {
            let answer = counted(&host, key, &room, number).await;
            answer.ok();
            assert_eq!(told(&answer), ["", "", ""]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_bodies_cost_nothing_and_later_failures_do() {
    let host = Host::start("limits.messages_per_minute = 2").await;
    let room = general(&host).await;
    let path = format!("/api/v1/rooms/{room}/messages");
    for body in
        [json!({ "sender": "ada", "content": "" }), json!({ "sender": "", "content": "x" }), json!({ "sender": 1 })]
    {
        assert!((400..423).contains(&host.post(&path, &body).await.status));
    }
    host.post(&path, &json!([])).header("content-type", "text/plain").await;
    let nowhere = "/api/v1/rooms/nowhere/messages";
    host.post(nowhere, &json!({ "sender": "ada", "content": "x" })).await.refused(404, "Room not found");
    let last = counted(&host, "messages_per_minute", &room, 0).await;
    last.ok();
    assert_eq!(told(&last), ["2", "0", "0"], "the unknown room was counted, nothing else");
    host.post(nowhere, &json!({ "sender": "ada", "content": "x" })).await.is(429);
    host.post(&path, &json!({ "sender": "ada", "content": "" })).await.is(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_apart_by_a_trusted_proxy_alone() {
    let limit = "limits.messages_per_minute = 1";
    let open = Host::start(limit).await;
    let room = general(&open).await;
    let from = |host: &Host, room: &str, client: &str| {
        counted(host, "messages_per_minute", room, 0).header("x-forwarded-for", client)
    };
    from(&open, &room, "1.1.1.1").await.ok();
    from(&open, &room, "2.2.2.2").await.is(429);
    let behind = Host::start(&format!("{limit}\nserver.trusted_proxies = [\"127.0.0.0/8\"]")).await;
    let room = general(&behind).await;
    from(&behind, &room, "1.1.1.1").await.ok();
    from(&behind, &room, "1.1.1.1").await.is(429);
    from(&behind, &room, "9.9.9.9, 1.1.1.1").await.is(429);
    from(&behind, &room, "1.1.1.1, 2.2.2.2").await.ok();
    from(&behind, &room, "nonsense").await.ok();
    from(&behind, &room, "2001:db8::1").await.ok();
    from(&behind, &room, "2001:db8::ffff:2").await.is(429);
    from(&behind, &room, "2001:db8:0:1::1").await.ok();
}
