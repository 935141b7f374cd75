//! Those who mean harm: requests that are small on the wire and large inside, names that pretend to be others.

use arcuate_tests::client::Asked;
use arcuate_tests::host::Host;
use arcuate_tests::raw::Raw;
use reqwest::Method;
use serde_json::json;

const ID: &str = "01a1fe0d-be23-76e7-9b23-440ad354ad90";

fn form(host: &Host, room: &str, body: Vec<u8>) -> Asked {
    let asked = host.client().ask(Method::POST, &format!("/api/v1/rooms/{room}/files"));
    asked.header("content-type", "multipart/form-data; boundary=b").body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_would_become_huge_in_memory_is_refused() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let many = "{\"\":0},".repeat(200_000);
    let body = format!("{{\"sender\":\"a\",\"content\":\"b\",\"metadata\":[{many}0]}}");
    let post = |path: &str, body: String| {
        host.client().ask(Method::POST, path).header("content-type", "application/json").body(body)
    };
    post(&format!("/api/v1/rooms/{room}/messages"), body.clone()).await.refused(400, "too many lists");
    post("/api/v1/?action=messages", body).await.failed(400, "too many lists");
    // What is large and harmless is told what is wrong with it, or taken.
    let ids = vec![format!("\"{ID}\""); 100_000].join(",");
    let body = format!("{{\"sender\":\"a\",\"content\":\"b\",\"room_ids\":[{ids}]}}");
    post("/api/v1/broadcast", body).await.refused(400, "limited to 20 rooms");
    let fields: String = (0..10_000).map(|number| format!("\"f{number}\":{number},")).collect();
    let body = format!("{{{fields}\"sender\":\"a\",\"content\":\"b\"}}");
    post(&format!("/api/v1/rooms/{room}/messages"), body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn form_with_an_endless_head_is_refused_before_it_ends() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let head = [b"--b\r\nX-Long: ".to_vec(), vec![b'x'; 3_000_000]].concat();
    form(&host, &room, head).await.refused(400, "too large");
    form(&host, &room, vec![b'x'; 3_000_000]).await.refused(400, "too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn form_of_thousands_of_parts_is_read_to_its_end() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let part = "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nx\r\n".repeat(20_000);
    form(&host, &room, format!("{part}--b--\r\n").into_bytes()).await.refused(422, "sender");
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n1\r\n\
                --b\r\nContent-Disposition: form-data; name=\"sender\"\r\n\r\nada\r\n";
    form(&host, &room, format!("{part}{file}--b--\r\n").into_bytes()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_chunks_of_single_bytes_are_read_like_others() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let chunks = |body: &str| body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect::<String>() + "0\r\n\r\n";
    let post = |path: &str, kind: &str, body: &str| {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
        head + &chunks(body)
    };
    let message = json!({ "sender": "a", "content": "x".repeat(9_000) }).to_string();
    let form = "--b\r\nContent-Disposition: form-data; name=\"sender\"\r\n\r\nada\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n1\r\n--b--\r\n";
    for request in [
        post(&format!("/api/v1/rooms/{room}/messages"), "application/json", &message),
        post(&format!("/api/v1/rooms/{room}/files"), "multipart/form-data; boundary=b", form),
    ] {
        let mut raw = Raw::connect(host.port()).await;
        assert!(raw.send(request).await, "the connection was dropped");
        let answer = raw.answer().await.expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}
