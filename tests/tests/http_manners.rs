//! What every route owes: clear refusals for whatever comes over the wire, and the headers that clients and browsers go by.

use arcuate_tests::client::Answer;
use arcuate_tests::host::Host;
use arcuate_tests::raw::{Raw, asked};
use reqwest::Method;
use serde_json::{Value, json};

const ROOMS: &str = "/api/v1/rooms";

fn error(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("no JSON ({error}): {body}"));
    body["error"].as_str().unwrap_or_else(|| panic!("no `error`: {body}")).to_owned()
}

async fn options(host: &Host, path: &str) -> Answer {
    host.client().ask(Method::OPTIONS, path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_like_get_without_a_body_or_a_stream() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    for path in [ROOMS, "/", "/health", "/metrics", &format!("{ROOMS}/{room}"), &format!("{ROOMS}/{room}/messages")] {
        let head = host.client().ask(Method::HEAD, path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{head}");
        let length: usize = head.header("content-length").parse().unwrap_or_else(|_| panic!("no length: {path}"));
        let full = host.get(path).await;
        assert!(path == "/metrics" || length == full.text.len(), "{path}: {length}");
        assert_eq!(head.header("content-type"), full.header("content-type"));
    }
    let stream = host.client().ask(Method::HEAD, &format!("{ROOMS}/{room}/stream")).await;
    assert_eq!((stream.status, stream.header("content-type")), (200, "text/event-stream"));
    assert_eq!(host.client().ask(Method::HEAD, "/nowhere").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_names_the_methods_and_only_a_preflight_is_for_browsers() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    for (path, methods) in [
        (ROOMS.to_owned(), "GET,HEAD,POST"),
        (format!("{ROOMS}/{room}/files"), "GET,HEAD,POST"),
        (format!("{ROOMS}/{room}/files/x"), "DELETE"),
        ("/health".to_owned(), "GET,HEAD"),
    ] {
        let answer = options(&host, &path).await;
        assert_eq!((answer.status, answer.header("allow"), answer.text.as_str()), (204, methods, ""), "{path}");
    }
    options(&host, "/nowhere").await.refused(404, "Not found");
    // From a page, but no preflight.
    let plain = host.client().ask(Method::OPTIONS, ROOMS).header("origin", "https://shop.example").await;
    assert_eq!((plain.status, plain.header("allow")), (204, "GET,HEAD,POST"));
    assert_eq!(plain.header("access-control-allow-origin"), "https://shop.example");
    let preflight = host.client().ask(Method::OPTIONS, ROOMS).header("origin", "https://shop.example");
    let preflight = preflight.header("access-control-request-method", "POST").await;
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-methods").contains("DELETE"), "{preflight}");
    assert!(preflight.header("vary").to_ascii_lowercase().contains("origin"), "{preflight}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_method_is_refused_in_json_with_those_that_are_allowed() {
    let host = Host::start("").await;
    for method in ["PATCH", "DELETE", "TRACE", "BREW", "WHICH"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = host.client().ask(method, ROOMS).await;
        answer.refused(405, "Allow");
        assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    }
    let answer = host.post("/nowhere", &json!({})).await;
    answer.refused(404, "Not found");
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_refused_by_type_then_size_then_form() {
    let host = Host::start("").await;
    let post =
        |kind: &str, body: Vec<u8>| host.client().ask(Method::POST, ROOMS).header("content-type", kind).body(body);
    let json = "application/json";
    let large = vec![b' '; 10 * 1024 * 1024 + 1];
    post("text/plain", large.clone()).await.refused(415, "application/json");
    post(json, large).await.refused(413, "10 MiB");
    post(json, b"{\"name\": 1".to_vec()).await.refused(400, "not JSON");
    post(json, b"\xff\xfe".to_vec()).await.refused(400, "UTF-8");
    post(json, vec![b'['; 100_000]).await.refused(400, "not JSON");
    post(json, b"{\"name\": 1}".to_vec()).await.refused(422, "name");
    post("Application/JSON; charset=utf-8", b"{\"name\": \"a\"}".to_vec()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_compressed_for_those_who_ask_and_streams_and_files_never() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    for number in 0..20 {
        host.say(&room, &format!("message {number} {}", "x".repeat(100))).await;
    }
    let messages = format!("{ROOMS}/{room}/messages");
    let gzip = |path: &str| host.get(path).header("accept-encoding", "gzip, br");
    let compressed = gzip(&messages).await;
    assert_eq!((compressed.status, compressed.header("content-encoding")), (200, "gzip"));
    assert!(
        compressed.header("vary").to_ascii_lowercase().contains("accept-encoding"),
        "{}",
        compressed.header("vary")
    );
    assert_eq!(host.get(&messages).await.header("content-encoding"), "", "not asked for");
    assert_eq!(gzip("/health").await.header("content-encoding"), "", "too small");
    let file =
        json!({ "sender": "ada", "filename": "a.txt", "content_type": "text/plain", "data": "YWFh".repeat(1000) });
    let file = host.post(&format!("{ROOMS}/{room}/files"), &file).await.ok();
    let given = gzip(file["url"].as_str().expect("an address")).await;
    assert_eq!((given.header("content-encoding"), given.header("content-length")), ("", "3000"));
    let path = format!("{ROOMS}/{room}/stream?after=0");
    let stream = host.client().open(&path, &[("accept-encoding", "gzip")]).await;
    assert!(!stream.headers().contains_key("content-encoding"), "{stream:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_have_an_id_in_the_answer() {
    let host = Host::start("").await;
    let given = host.get("/health").header("x-request-id", "mine-1").header("origin", "https://shop.example").await;
    assert_eq!(given.header("x-request-id"), "mine-1");
    assert!(given.header("access-control-expose-headers").contains("x-request-id"), "{given}");
    for strange in ["", "a b", "é", "\"", &"x".repeat(200)] {
        let made = host.get("/health").header("x-request-id", strange).await;
        let id = made.header("x-request-id");
        assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "{strange:?} became {id:?}");
    }
    for (path, status) in [("/nowhere", 404), ("/api/v1/rooms/x", 404), ("/health", 200)] {
        let answer = host.get(path).await;
        assert_eq!((answer.status, answer.header("x-request-id").len()), (status, 36));
    }
    assert_ne!(host.get("/health").await.header("x-request-id"), host.get("/health").await.header("x-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_stops_arriving_or_is_cut_off_is_refused() {
    let host = Host::start("server.body_seconds = 0.2").await;
    let head = format!(
        "POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{{\"na"
    );
    let mut slow = Raw::connect(host.port()).await;
    slow.send(&head).await;
    let answer = slow.answer().await.expect("an answer");
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(error(&answer.body).contains("stopped arriving"), "{answer:?}");
    let mut cut = Raw::connect(host.port()).await;
    cut.send(&head).await;
    cut.end().await;
    // Its half of the connection is still open for an answer; to close without one is as good.
    if let Some(answer) = cut.answer().await {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let mut form = Raw::connect(host.port()).await;
    let room = host.room("kitchen").await;
    form.send(format!(
        "POST {ROOMS}/{room}/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n\
         Content-Length: 200\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf"
    ))
    .await;
    let answer = form.answer().await.expect("an answer");
    assert_eq!(answer.status, 408, "{answer:?}");
    host.get("/health").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_is_too_large_is_answered_although_the_client_goes_on_sending() {
    let host = Host::start("").await;
    for framing in ["Content-Length: 30000000", "Transfer-Encoding: chunked"] {
        let mut raw = Raw::connect(host.port()).await;
        let head = format!("POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
        raw.send(head).await;
        let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1024 * 1024], b"\r\n".to_vec()].concat();
        let piece = if framing.starts_with('C') { &chunk[8..] } else { &chunk };
        for number in 0..28 {
            assert!(raw.send(piece).await, "{framing}: the connection was dropped at piece {number}");
        }
        let answer = raw.answer().await.unwrap_or_else(|| panic!("{framing}: no answer"));
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(error(&answer.body).contains("10 MiB"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_with_a_status() {
    let host = Host::start("").await;
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = "x".repeat(100_000);
    for (what, request) in [
        ("a method that is none", "G<T / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        ("no version", "GET /\r\n\r\n".to_owned()),
        ("another version", "GET / HTTP/3.7\r\nHost: x\r\n\r\n".to_owned()),
        ("a header without a colon", "GET / HTTP/1.1\r\nHost x\r\n\r\n".to_owned()),
        ("a NUL", "GET / HTTP/1.1\r\nHost: x\0\r\n\r\n".to_owned()),
        ("a blank before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n".to_owned()),
        ("a target with a blank", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        ("hundreds of headers", format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")),
        ("a huge header", format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n")),
        ("a huge target", format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        ("another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\r\n\r\n".to_owned()),
        (
            "two lengths",
            format!("POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
        ),
        ("a length that is none", format!("POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{{}}")),
        ("an unknown coding", format!("POST {ROOMS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: cow\r\n\r\n{{}}")),
        (
            "chunked, but not at the end",
            format!("POST {ROOMS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
        ),
    ] {
        let answer = asked(host.port(), request).await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    }
    host.get("/health").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_but_right_requests_are_served() {
    let host = Host::start("").await;
    let port = host.port();
    for (what, request) in [
        ("HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n".to_owned()),
        ("an absolute target", "GET http://elsewhere.example/health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        ("blank lines before", "\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        ("an empty query", "GET /health? HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
        (
            "chunks with an extension and a trailer",
            format!(
                "POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                 8;a=b\r\n{{\"name\":\r\n4\r\n\"a\"}}\r\n0\r\nX-After: y\r\n\r\n"
            ),
        ),
    ] {
        let answer = asked(port, request).await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
    }
    let wrong = format!(
        "POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
    );
    let answer = asked(port, wrong).await.expect("an answer to wrong chunks");
    assert_eq!((answer.status, error(&answer.body).as_str()), (400, "The body was cut off"));
    // Both lengths: the chunks count, and nothing behind them is taken for another request.
    let both = format!(
        "POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    );
    let mut raw = Raw::connect(port).await;
    raw.send(both).await;
    let answer = raw.answer().await.expect("an answer");
    assert!((400..500).contains(&answer.status), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_waits_for_leave_gets_it_or_the_refusal_at_once() {
    let host = Host::start("").await;
    let head = |kind: &str| {
        format!(
            "POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut raw = Raw::connect(host.port()).await;
    raw.send(head("application/json")).await;
    assert_eq!(raw.answer().await.expect("leave").status, 100);
    raw.send("{\"name\":\"a\"}").await;
    assert_eq!(raw.answer().await.expect("an answer").status, 200);
    let mut refused = Raw::connect(host.port()).await;
    refused.send(head("text/plain")).await;
    assert_eq!(refused.answer().await.expect("a refusal").status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_a_row_are_answered_in_order() {
    let host = Host::start("").await;
    let mut raw = Raw::connect(host.port()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.send([get("/health"), get("/nowhere"), get(ROOMS)].concat()).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(raw.answer().await.expect("an answer").status);
    }
    assert_eq!(statuses, [200, 404, 200]);
    raw.send("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!(raw.answer().await.expect("the last").status, 200);
    assert!(raw.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_leaves_a_body_unread_says_that_the_connection_ends() {
    let host = Host::start("").await;
    let post =
        |kind: &str| format!("POST {ROOMS} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 12\r\n\r\n");
    let mut refused = Raw::connect(host.port()).await;
    refused.send(post("text/plain")).await;
    let answer = refused.answer().await.expect("a refusal before the body");
    assert!(answer.status == 415 && answer.head.to_lowercase().contains("\r\nconnection: close"), "{answer:?}");
    let mut read = Raw::connect(host.port()).await;
    read.send(post("application/json") + "{\"name\":\"a\"}").await;
    let answer = read.answer().await.expect("an answer");
    assert!(
        answer.status == 200 && !answer.head.to_lowercase().contains("\r\nconnection:"),
        "another may follow: {answer:?}"
    );
}
